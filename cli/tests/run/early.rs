//! No TERM is lost, however early it comes: the bar is 0 of 10,000 (`make test-run-long`), fewer in `make test`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::harness::*;

crate::suite!("early":
    a_term_right_after_the_start_is_never_lost,
);

/// A number from the environment, for the long runs.
pub fn count(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

fn a_term_right_after_the_start_is_never_lost() {
    let rounds = count("GS_EARLY", 300);
    let links = Folder::new();
    // The modes of the four names that make a group of their own, and ours.
    let names = ["dumb-init", "tini", "catatonit"].map(|n| links.link(n));
    let (lost, died) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|s| {
        for worker in 0..2 {
            let (lost, died, names) = (&lost, &died, &names);
            s.spawn(move || {
                for n in (worker..rounds).step_by(2) {
                    let cmd = match n % 5 {
                        0 => Cmd::run(&[]),
                        1 => Cmd::run(&["--session"]),
                        2 => Cmd::new(&names[0]),
                        3 => Cmd::new(&names[1]).arg("-g"),
                        _ => Cmd::new(&names[2]).arg("-g"),
                    };
                    // 0 to 15 ms: before signals are masked, before and after the fork, before and after exec.
                    let pause = Duration::from_micros(u64::from(n.wrapping_mul(2_654_435_761) % 15_000));
                    let mut kid = cmd.args(&["--", "sleep", "30"]).start();
                    std::thread::sleep(pause);
                    kid.term();
                    let until = std::time::Instant::now() + Duration::from_secs(10);
                    while kid.is_alive() && std::time::Instant::now() < until {
                        std::thread::sleep(ms(1));
                    }
                    if kid.is_alive() {
                        lost.fetch_add(1, Ordering::SeqCst);
                        kid.signal(libc::SIGKILL);
                    }
                    if std::os::unix::process::ExitStatusExt::signal(&kid.end_quick()).is_some() {
                        died.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let (lost, died) = (lost.into_inner(), died.into_inner());
    println!("early TERM: {rounds} starts, {lost} lost, {died} came before the wrapper had begun");
    assert_eq!(lost, 0, "of {rounds}");
}
