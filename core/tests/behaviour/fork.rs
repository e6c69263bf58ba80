//! Spec 10.1, 10.3: forked children, and programs the host starts.

use graceshut::{ErrorKind, State};

use crate::harness::*;

crate::suite!("fork",
    tests: [
        r10_1_term_kills_a_forked_child,
        r10_1_a_forked_child_may_install,
        r10_1_a_hook_that_forks,
        r10_3_programs_of_the_host_get_neither_handler_nor_mask,
    ],
    children: [forking, installing_child, forking_hook, starting]);

/// Forks; the child runs `f` and ends with what it answers.
fn fork(f: impl FnOnce() -> i32) -> i32 {
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        unsafe { libc::alarm(20) };
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or(99);
        unsafe { libc::_exit(code) };
    }
    pid
}

fn status_of(pid: i32) -> i32 {
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

fn forking() {
    let gs = install(grace(3000)).unwrap();
    saying(&gs, "flush", "flushed by the parent");
    let handle = gs.hook("flush", "other").run(|_| Ok(())).unwrap();
    let child = fork(|| {
        assert_eq!(gs.state(), State::Idle);
        assert_eq!(gs.stop("x", None).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(gs.wait(None).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(gs.uninstall().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(handle.remove().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(gs.hook("flush", "c").run(|_| Ok(())).unwrap_err().kind(), ErrorKind::Closed);
        assert!(graceshut::current().is_none());
        say("closed in the child");
        park()
    });
    say(&format!("child {child}"));
    ready();
    let status = status_of(child);
    say(&format!("child died by {}", libc::WTERMSIG(status)));
    std::process::exit(gs.wait(None).unwrap().exit.code)
}

fn r10_1_term_kills_a_forked_child() {
    let mut kid = Kid::new("forking").start();
    kid.wait_for("closed in the child");
    let line = kid.said.iter().find(|l| l.starts_with("child ")).cloned().unwrap_or_else(|| kid.wait_for("child "));
    let child: i32 = line.trim_start_matches("child ").parse().unwrap();
    if !kid.said.iter().any(|l| l == "ready") {
        kid.wait_for("ready");
    }
    assert_eq!(unsafe { libc::kill(child, libc::SIGTERM) }, 0);
    kid.wait_for("child died by 15");
    assert!(kid.is_alive());
    kid.term();
    let end = kid.end().code(0).said("flushed by the parent");
    assert_eq!(end.said.iter().filter(|l| l.starts_with("flushed")).count(), 1);
}

fn installing_child() {
    let gs = install(grace(3000)).unwrap();
    let _work = gs.inflight().enter().unwrap();
    saying(&gs, "flush", "parent hook");
    let child = fork(|| {
        let mine = install(grace(2000)).unwrap();
        assert_eq!(mine.inflight().count(), 0, "the parent's work is not the child's");
        assert_eq!(mine.state(), State::Armed);
        saying(&mine, "flush", "child hook");
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        let code = mine.wait(Some(ms(5000))).unwrap().exit.code;
        assert!(mine.report().unwrap().phases.iter().all(|p| p.hooks.iter().all(|h| h.name != "parent hook")));
        assert_eq!(gs.state(), State::Idle, "the parent's handle stays closed");
        40 + code
    });
    assert_eq!(libc::WEXITSTATUS(status_of(child)), 40);
    assert_eq!(gs.state(), State::Armed);
    assert_eq!(gs.inflight().count(), 1);
    say("parent untouched");
    drop(_work);
    serve(&gs);
}

fn r10_1_a_forked_child_may_install() {
    let mut kid = Kid::new("installing_child").ready();
    kid.term();
    kid.end().code(0).said("child hook").said("parent untouched").said("parent hook");
}

fn forking_hook() {
    let gs = install(grace(3000)).unwrap();
    gs.hook("drain", "forks")
        .run(|_| {
            let child = fork(|| {
                let mine = install(grace(2000)).unwrap();
                mine.stop("x", None).unwrap();
                // In no hook of its own: it may wait.
                30 + mine.wait(Some(ms(5000))).unwrap().exit.code
            });
            assert_eq!(libc::WEXITSTATUS(status_of(child)), 30);
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r10_1_a_hook_that_forks() {
    let mut kid = Kid::new("forking_hook").ready();
    kid.term();
    assert_eq!(outcome(&kid.end().code(0).report(), "forks"), "ok");
}

fn starting() {
    let gs = install(grace(3000)).unwrap();
    let cat = || {
        // Not std: it would reset the mask. As another runtime would start it, and through no shell.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            unsafe {
                libc::execl(c"/bin/cat".as_ptr(), c"cat".as_ptr(), c"/proc/self/status".as_ptr(), std::ptr::null::<i8>());
                libc::_exit(98)
            }
        }
        assert_eq!(status_of(pid), 0);
    };
    cat();
    gs.hook("drain", "starts")
        .run(move |_| {
            cat();
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r10_3_programs_of_the_host_get_neither_handler_nor_mask() {
    let mut kid = Kid::new("starting").ready();
    kid.term();
    let end = kid.end().code(0);
    let fields = |name: &str| -> Vec<String> {
        end.said.iter().filter_map(|l| l.strip_prefix(name)).map(|l| l.trim_start_matches(':').trim().to_owned()).collect()
    };
    assert_eq!(fields("SigBlk"), ["0000000000000000", "0000000000000000"]);
    assert_eq!(fields("SigCgt"), ["0000000000000000", "0000000000000000"]);
}
