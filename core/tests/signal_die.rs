//! Death by signal as the last act.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests call libc all over, and fail by panicking"
)]

mod common_signal;

use common_signal::{arm, exited, forked, killed_by, say, start};
use graceshut::signal::{self, Chain};
use libc::{SIGHUP, SIGINT, SIGTERM};

children! {
    "dies" => dies,
    "as_pid_1" => as_pid_1,
}

fn dies() {
    arm(&[SIGTERM, SIGINT, SIGHUP], Chain::Never);
    for signo in [SIGTERM, SIGINT, SIGHUP, libc::SIGKILL, libc::SIGRTMIN() + 3] {
        assert_eq!(killed_by(forked(|| signal::die_by(signo))), Some(signo));
    }
    // With the signal blocked, ignored, and from another thread.
    let status = forked(|| {
        signal::block_all_but(None);
        std::thread::spawn(|| signal::die_by(SIGTERM)).join().unwrap();
        0
    });
    assert_eq!(killed_by(status), Some(SIGTERM));
    let status = forked(|| {
        unsafe { libc::signal(SIGINT, libc::SIG_IGN) };
        signal::die_by(SIGINT)
    });
    assert_eq!(killed_by(status), Some(SIGINT));
    // Signals that do not kill by default.
    assert_eq!(exited(forked(|| signal::die_by(libc::SIGCHLD))), Some(128 + libc::SIGCHLD));
    assert_eq!(exited(forked(|| signal::die_by(0))), Some(128));
    assert!(exited(forked(|| signal::die_by(-5))).is_some());
}

#[test]
fn the_parent_sees_the_signal() {
    start("dies").ends_well();
}

fn as_pid_1() {
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        say("skip");
        return;
    }
    let status = forked(|| {
        if unsafe { libc::getpid() } != 1 {
            return 90;
        }
        arm(&[SIGTERM], Chain::Never);
        signal::die_by(SIGTERM)
    });
    say(&format!("{:?}", exited(status)));
}

#[test]
fn pid_1_leaves_with_128_and_the_signal() {
    let mut child = start("as_pid_1");
    let line = child.line();
    if line.as_deref() == Some("skip") {
        assert!(std::env::var_os("CI").is_none(), "unshare(CLONE_NEWPID) is not permitted, and in CI nothing is left out");
        eprintln!("left out: unshare(CLONE_NEWPID) is not permitted");
        return;
    }
    assert_eq!(line.as_deref(), Some("Some(143)"));
}
