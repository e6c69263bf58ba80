//! Spec 3.8: a program that has a signal blocked takes it itself, by sigwait, from a signalfd or when it unblocks it.

use std::time::Duration;

use graceshut::State;

use crate::harness::*;

crate::suite!("blocked",
    tests: [
        r3_8_who_waits_for_a_blocked_signal_gets_it,
        r3_8_a_critical_section_is_not_cut,
        r3_8_a_blocked_signal_of_a_program_that_waits_is_as_any,
        r3_8_it_is_the_same_where_the_program_blocks_it_after_install,
        r3_8_a_signal_blocked_for_a_moment_is_as_any,
        r3_8_hooks_do_not_inherit_what_a_runtime_blocks_for_a_moment,
        r3_8_a_main_thread_that_has_ended_blocks_nothing,
        r3_8_idle_threads_take_no_signal_of_the_program,
    ],
    children: [taker, critical, blocks_and_waits, sections, spawns, ended, idle]);

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

/// Blocks TERM and installs, or the other way round.
fn blocking(grace_ms: u64) -> graceshut::Runtime {
    if arg("GS_BLOCKS") == "after" {
        let gs = install(grace(grace_ms)).unwrap();
        mask(libc::SIG_BLOCK);
        return gs;
    }
    mask(libc::SIG_BLOCK);
    install(grace(grace_ms)).unwrap()
}

/// A daemon without a handler: TERM is blocked in every thread, one of them takes it and stops the program in 2 s.
fn taker() {
    let gs = blocking(5000);
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
    takes_it_itself("before");
}

fn takes_it_itself(blocks: &str) {
    for how in ["sigwait", "signalfd"] {
        let mut kid = Kid::new("taker").env("GS_BLOCKS", blocks).env("GS_HOW", how).ready();
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
    let gs = blocking(6000);
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
    is_not_cut("before");
}

fn is_not_cut(blocks: &str) {
    let run = |handler: &str| {
        let mut kid = Kid::new("critical").env("GS_BLOCKS", blocks).env("GS_HANDLER", handler).ready();
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
    let gs = blocking(5000);
    saying(&gs, "flush", "flushed");
    serve(&gs)
}

fn r3_8_a_blocked_signal_of_a_program_that_waits_is_as_any() {
    is_as_any("before");
}

fn is_as_any(blocks: &str) {
    let mut kid = Kid::new("blocks_and_waits").env("GS_BLOCKS", blocks).ready();
    kid.term();
    kid.end().code(0).said("flushed").within(ms(0), ms(500));
}

fn r3_8_it_is_the_same_where_the_program_blocks_it_after_install() {
    is_not_cut("after");
    takes_it_itself("after");
    is_as_any("after");
}

/// Blocks TERM again and again for a moment, as a runtime does that starts threads and programs; a slow hook runs meanwhile.
fn sections() {
    let gs = install(grace(5000)).unwrap();
    let slow = |_: &graceshut::Context| {
        say("hook");
        std::thread::sleep(ms(1200));
        Ok(())
    };
    gs.hook("flush", "slow").run(slow).unwrap();
    ready();
    loop {
        mask(libc::SIG_BLOCK);
        std::thread::sleep(Duration::from_micros(300));
        mask(libc::SIG_UNBLOCK);
    }
}

fn r3_8_a_signal_blocked_for_a_moment_is_as_any() {
    let mut kid = Kid::new("sections").ready();
    kid.term();
    // It leaves when the plan is over: nothing in it takes the signal.
    let end = kid.end().code(0).said("hook").within(ms(1100), ms(900));
    assert_eq!(end.report()["triggers"].as_array().unwrap().len(), 1);

    // And a second one asks to hurry, also here.
    let mut kid = Kid::new("sections").ready();
    kid.term();
    kid.wait_for("hook");
    std::thread::sleep(ms(600));
    kid.term();
    let end = kid.end();
    assert_eq!(end.report()["triggers"].as_array().unwrap().len(), 2, "{:#}", end.report());
}

/// Blocks everything 50 ms at a time, as a runtime does until the program that it starts runs.
fn spawns() {
    let gs = install(grace(5000)).unwrap();
    let mask_of_hook = |_: &graceshut::Context| {
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        say(status.lines().find(|line| line.starts_with("SigBlk")).unwrap_or("none"));
        Ok(())
    };
    gs.hook("flush", "mask").run(mask_of_hook).unwrap();
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    unsafe { libc::sigfillset(&mut all) };
    for turn in 0.. {
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut()) };
        if turn == 0 {
            ready();
        }
        std::thread::sleep(ms(50));
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &all, std::ptr::null_mut()) };
    }
}

fn r3_8_hooks_do_not_inherit_what_a_runtime_blocks_for_a_moment() {
    let mut kid = Kid::new("spawns").ready();
    kid.term();
    kid.end().code(0).said("SigBlk:\t0000000000000000").within(ms(0), ms(600));
}

/// Its main thread has ended, with every signal blocked as glibc leaves it.
fn ended() {
    let gs = install(grace(5000)).unwrap();
    saying(&gs, "flush", "flushed");
    std::thread::spawn(|| {
        let zombie = || std::fs::read_to_string("/proc/self/status").unwrap().contains("State:\tZ");
        until("the main thread's end", zombie);
        mask(libc::SIG_BLOCK);
        ready();
        park()
    });
    mask(libc::SIG_BLOCK);
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn r3_8_a_main_thread_that_has_ended_blocks_nothing() {
    let mut kid = Kid::new("ended").ready();
    kid.term();
    kid.end().code(0).said("flushed").within(ms(0), ms(500));
}

/// USR1 is blocked after install: none of graceshut's threads is there to die of it.
fn idle() {
    let gs = install(grace(5000)).unwrap();
    saying(&gs, "flush", "flushed");
    let pending = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        std::thread::sleep(ms(50)); // the workers are there
        libc::kill(libc::getpid(), libc::SIGUSR1);
        let mut pending: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut pending);
        let mut signo = 0;
        libc::sigismember(&pending, libc::SIGUSR1) == 1 && libc::sigwait(&set, &mut signo) == 0
    };
    say(if pending { "pending" } else { "gone" });
    ready();
    serve(&gs)
}

fn r3_8_idle_threads_take_no_signal_of_the_program() {
    let mut kid = Kid::new("idle").ready();
    kid.term();
    kid.end().code(0).said("pending").said("flushed");
}
