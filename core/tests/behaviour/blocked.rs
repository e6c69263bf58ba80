//! Spec 3.8: a program that has a signal blocked takes it itself, by sigwait, from a signalfd or when it unblocks it.

use graceshut::State;

use crate::harness::*;

crate::suite!("blocked",
    tests: [
        r3_8_who_waits_for_a_blocked_signal_gets_it,
        r3_8_a_critical_section_is_not_cut,
        r3_8_a_blocked_signal_of_a_program_that_waits_is_as_any,
    ],
    children: [taker, critical, blocks_and_waits]);

fn term_alone() -> libc::sigset_t {
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGTERM);
        set
    }
}

fn mask(how: i32) {
    assert_eq!(unsafe { libc::pthread_sigmask(how, &term_alone(), std::ptr::null_mut()) }, 0);
}

/// A daemon without a handler: TERM is blocked in every thread, one of them takes it and stops the program in 2 s.
fn taker() {
    mask(libc::SIG_BLOCK);
    let gs = install(grace(5000)).unwrap();
    saying(&gs, "flush", "flushed");
    let own_stop = || {
        say("heard");
        std::thread::sleep(ms(2000));
        say("stopped by itself");
        std::process::exit(5)
    };
    if arg("GS_HOW") == "sigwait" {
        std::thread::spawn(move || {
            let mut signo = 0;
            ready();
            assert_eq!(unsafe { libc::sigwait(&term_alone(), &mut signo) }, 0);
            assert_eq!(signo, libc::SIGTERM);
            own_stop()
        });
        park()
    }
    let fd = unsafe { libc::signalfd(-1, &term_alone(), libc::SFD_CLOEXEC) };
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    ready();
    let read = unsafe { libc::read(fd, (&raw mut info).cast(), size_of_val(&info)) };
    assert_eq!((read as usize, info.ssi_signo), (size_of_val(&info), libc::SIGTERM as u32));
    own_stop()
}

fn r3_8_who_waits_for_a_blocked_signal_gets_it() {
    for how in ["sigwait", "signalfd"] {
        let mut kid = Kid::new("taker").env("GS_HOW", how).ready();
        kid.term();
        let end = kid.end().code(5).said("heard").said("flushed").said("stopped by itself").within(ms(2000), ms(2000));
        let report = end.report();
        let kinds: Vec<_> = report["triggers"].as_array().unwrap().iter().map(|t| t["kind"].as_str().unwrap()).collect();
        // Handed on, it is neither a repeat nor a re-raise. The program may be there before the engine.
        let taken_first = kinds == ["host_end"];
        assert!(taken_first || kinds == ["signal"] && report["reason"]["signal"] == "TERM", "{report:#}");
        if !taken_first {
            assert_eq!(report["leave"]["how"], "by_itself");
        }
    }
}

static HEARD: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

extern "C" fn count(_: i32) {
    HEARD.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
}

/// One transaction that a TERM must not cut, and then another.
fn critical() {
    if arg("GS_HANDLER") == "yes" {
        unsafe { libc::signal(libc::SIGTERM, count as extern "C" fn(i32) as usize) };
    }
    mask(libc::SIG_BLOCK);
    let gs = install(grace(6000)).unwrap();
    saying(&gs, "flush", "flushed");
    ready();
    until("the plan's end", || gs.state() == State::Stopped);
    std::thread::sleep(ms(1500));
    assert_eq!(HEARD.load(std::sync::atomic::Ordering::SeqCst), 0, "not in the middle");
    say("transaction done");
    mask(libc::SIG_UNBLOCK);
    if arg("GS_HANDLER") == "yes" {
        until("the handler", || HEARD.load(std::sync::atomic::Ordering::SeqCst) > 0);
        std::thread::sleep(ms(500));
        say(&format!("heard {} times", HEARD.load(std::sync::atomic::Ordering::SeqCst)));
        std::process::exit(3)
    }
    std::thread::sleep(ms(2000));
    say("still there");
    park()
}

fn r3_8_a_critical_section_is_not_cut() {
    let run = |handler: &str| {
        let mut kid = Kid::new("critical").env("GS_HANDLER", handler).ready();
        kid.term();
        kid.end().said("transaction done")
    };
    // Nothing in the program would stop it afterwards: graceshut does, at once.
    let end = run("no").code(0).silent("still there").within(ms(1500), ms(1600));
    assert_eq!(end.report()["triggers"].as_array().unwrap().len(), 1);
    // A stop of its own was not cut: it has none.
    assert_eq!((&end.report()["outcome"], &end.report()["leave"]["how"]), (&"clean".into(), &"by_itself".into()));
    run("yes").code(3).said("heard 1 times");
}

fn blocks_and_waits() {
    mask(libc::SIG_BLOCK);
    let gs = install(grace(5000)).unwrap();
    saying(&gs, "flush", "flushed");
    serve(&gs)
}

fn r3_8_a_blocked_signal_of_a_program_that_waits_is_as_any() {
    let mut kid = Kid::new("blocks_and_waits").ready();
    kid.term();
    kid.end().code(0).said("flushed").within(ms(0), ms(500));
}
