//! A program that takes signals itself and hands them on (`Installer::signals_by_program`): an init, a wrapper.

use std::time::Instant;

use graceshut::{ExecSpec, Installer, Native};

use crate::harness::*;

crate::suite!("by_program",
tests: [
    signals_handed_on_start_and_expedite_the_plan,
    no_thread_of_ours_takes_a_signal_and_commands_get_the_first_mask,
    a_completion_may_propose_the_status,
],
children: [takes_signals_itself, stands_for_a_program]);

/// Blocks everything, as an init does; answers the mask before.
fn block_all() -> libc::sigset_t {
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

fn take() -> i32 {
    let mut signo = 0;
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigwait(&all, &mut signo);
    }
    signo
}

fn takes_signals_itself() {
    let before = block_all();
    let gs = Installer::new(Box::new(Native { language: "rust" })).signals_by_program(before).install(grace(10_000)).unwrap();
    let show = format!("grep Sig[BI] /proc/self/status > {}/mask", arg("GS_FOLDER"));
    let spec = ExecSpec { argv: vec!["sh".into(), "-c".into(), show], ..ExecSpec::default() };
    gs.hook("announce", "mask").exec(spec).unwrap();
    hanging(&gs, "drain", "stuck");
    saying(&gs, "close", "closing");
    ready();
    std::thread::spawn({
        let gs = gs.clone();
        move || {
            let finished = gs.wait(None).unwrap();
            std::process::exit(finished.exit.code);
        }
    });
    loop {
        let signo = take();
        say(&format!("took {signo}"));
        gs.signal(signo, None).unwrap();
    }
}

fn signals_handed_on_start_and_expedite_the_plan() {
    let mut kid = Kid::new("takes_signals_itself").ready();
    for signo in [libc::SIGUSR1, libc::SIGSEGV, libc::SIGTERM] {
        kid.signal(signo);
        kid.wait_for(&format!("took {signo}"));
    }
    kid.wait_for("stuck hangs");
    let since = Instant::now();
    std::thread::sleep(ms(550)); // spec 7.1: what comes sooner is a duplicate
    kid.term();
    let end = kid.end().code(143).said("closing");
    assert!(since.elapsed() < ms(5_000), "the second signal did not expedite: {:?}", since.elapsed());
    let report = end.report();
    assert_eq!(report["outcome"], "forced");
    assert_eq!(report["reason"]["signal"], "TERM");
    assert_eq!(outcome(&report, "closing"), "ok");
}

fn no_thread_of_ours_takes_a_signal_and_commands_get_the_first_mask() {
    let mut kid = Kid::new("takes_signals_itself").ready();
    let pid = kid.pid();
    let ours = || -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let all = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
        // The program's own thread stands in sigwait, which opens its mask for as long.
        all.filter(|status| status.lines().next().is_some_and(|name| name.contains("gs-"))).collect()
    };
    // A thread takes its name when it first runs.
    until("four threads of graceshut", || ours().len() >= 4);
    for status in ours() {
        let blocked = status.lines().find_map(|l| l.strip_prefix("SigBlk:")).unwrap().trim();
        for signo in [libc::SIGTERM, libc::SIGSEGV, libc::SIGUSR2, libc::SIGRTMIN()] {
            assert!(has_bit(blocked, signo), "takes {signo}: {blocked} in {status}");
        }
    }
    kid.term().wait_for("stuck hangs");
    let mask = std::fs::read_to_string(kid.folder().join("mask")).unwrap();
    let blocked = mask.lines().find_map(|l| l.strip_prefix("SigBlk:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(blocked, 16).unwrap(), 0, "{mask}");
    kid.signal(libc::SIGKILL);
    kid.end().died_by(libc::SIGKILL);
}

fn stands_for_a_program() {
    let gs = install(grace(5_000)).unwrap();
    gs.hook("drain", "app").start(|_, done| done.finish_as(Ok(()), 7)).unwrap();
    serve(&gs);
}

fn a_completion_may_propose_the_status() {
    let mut kid = Kid::new("stands_for_a_program").ready();
    kid.term();
    let end = kid.end().code(7);
    let report = end.report();
    assert_eq!((report["outcome"].as_str(), report["exit_code"].as_i64()), (Some("clean"), Some(7)));
    assert_eq!(outcome(&report, "app"), "ok");
}
