//! Spec 2.1 to 2.5, 2.7, 13.

use std::time::{Duration, Instant};

use graceshut::{ErrorKind, NormalGrace, ReportTo, State};

use crate::harness::*;

crate::suite!("life",
    tests: [
        r2_1_nothing_at_load_and_everything_given_back,
        r2_1_states_have_names,
        r2_2_the_first_reason_wins,
        r2_3_stop_ends_the_process,
        r2_4_a_second_install_agrees_or_names_the_key,
        r2_5_a_held_install_waits_for_ready,
        r2_5_a_held_install_waits_one_second_at_most,
        r2_5_a_signal_during_install_is_kept,
        r2_7_stop_without_a_deadline,
        r13_bad_calls_are_typed_errors,
        r2_1_an_install_that_fails_leaves_nothing,
    ],
    children: [load, states, two_reasons, stopping, twice, held, held_long, early_signal, no_deadline, bad_calls, poor]);

fn caught(signo: i32) -> bool {
    has_bit(&status_field(std::process::id() as i32, "SigCgt"), signo)
}

fn threads() -> String {
    status_field(std::process::id() as i32, "Threads")
}

fn load() {
    assert_eq!(threads(), "1");
    assert!(!caught(libc::SIGTERM) && !caught(libc::SIGINT) && !caught(libc::SIGHUP));
    assert!(graceshut::current().is_none());
    for round in 0..20 {
        let gs = install(Options { exit: Some(Exit::Manual), ..grace(2000) }).unwrap();
        assert_eq!(gs.state(), State::Armed);
        assert!(caught(libc::SIGTERM) && caught(libc::SIGINT) && caught(libc::SIGHUP));
        let hook = gs.hook("flush", "h").run(|_| Ok(())).unwrap();
        gs.on_event(|_| ()).unwrap();
        if round % 2 == 1 {
            gs.stop("round", None).unwrap();
            gs.wait(Some(ms(5000))).unwrap();
            assert_eq!(gs.state(), State::Stopped);
        }
        let given_back = gs.uninstall().unwrap();
        assert_eq!(given_back.len(), 3, "{given_back:?}");
        // A thread that was joined may still be on its way out of the kernel's list.
        let until = Instant::now() + ms(2000);
        while threads() != "1" && Instant::now() < until {
            std::thread::sleep(ms(1));
        }
        assert_eq!(threads(), "1", "round {round}");
        assert!(!caught(libc::SIGTERM) && !caught(libc::SIGINT) && !caught(libc::SIGHUP));
        assert_eq!(gs.state(), State::Idle);
        assert!(graceshut::current().is_none());
        let kinds = [
            gs.wait(None).unwrap_err().kind(),
            gs.stop("x", None).unwrap_err().kind(),
            gs.hook("flush", "h").run(|_| Ok(())).unwrap_err().kind(),
            gs.ready().unwrap_err().kind(),
            gs.reload().unwrap_err().kind(),
            gs.uninstall().unwrap_err().kind(),
            gs.on_event(|_| ()).unwrap_err().kind(),
            gs.on_reload("r", || Ok(())).unwrap_err().kind(),
            hook.remove().unwrap_err().kind(),
        ];
        assert!(kinds.iter().all(|k| *k == ErrorKind::Closed), "{kinds:?}");
    }
    let gs = install(grace(2000)).unwrap();
    saying(&gs, "flush", "again");
    serve(&gs);
}

fn r2_1_nothing_at_load_and_everything_given_back() {
    let mut kid = Kid::new("load").ready();
    kid.term();
    kid.end().code(0).said("again");
}

fn states() {
    let gs = install(grace(2000)).unwrap();
    say(&gs.state().to_string());
    let seen = gs.clone();
    gs.hook("close", "c")
        .run(move |_| {
            say(&seen.state().to_string());
            Ok(())
        })
        .unwrap();
    ready();
    gs.wait(None).unwrap();
    say(&gs.state().to_string());
}

fn r2_1_states_have_names() {
    let mut kid = Kid::new("states").ready();
    kid.term();
    kid.end().code(0).said("armed").said("stopping(close)").said("stopped");
}

fn two_reasons() {
    let gs = install(grace(3000)).unwrap();
    let again = gs.clone();
    gs.hook("drain", "d")
        .run(move |ctx| {
            again.stop("later", None).unwrap();
            say(&format!("{:?} {:?}", ctx.reason().kind, ctx.reason().signo));
            Ok(())
        })
        .unwrap();
    gs.hook("final", "f")
        .run(|ctx| {
            say(&format!("final {:?}", ctx.reason().signo));
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r2_2_the_first_reason_wins() {
    let mut kid = Kid::new("two_reasons").ready();
    kid.term();
    let end = kid.end().code(0).said("Signal Some(15)").said("final Some(15)");
    let report = end.report();
    assert_eq!(report["reason"]["signal"], "TERM");
    let actions: Vec<_> = report["triggers"].as_array().unwrap().iter().map(|t| t["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..2], ["started", "recorded"]);
    assert_eq!(report["reason"]["sender_pid"], std::process::id());
}

fn stopping() {
    let gs = install(grace(2000)).unwrap();
    saying(&gs, "flush", "flushed");
    gs.stop("enough", None).unwrap();
    park();
}

fn r2_3_stop_ends_the_process() {
    let end = Kid::new("stopping").end().code(0).said("flushed");
    assert_eq!(end.report()["reason"]["message"], "enough");
}

fn twice() {
    let gs = install(grace(2000)).unwrap();
    let same = install(grace(2000)).unwrap();
    saying(&same, "flush", "one registry");
    let other = install(grace(3000)).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Disagree);
    say(other.message());
    let other = install(Options { report: Some(ReportTo::None), max_workers: Some(3), ..grace(2000) }).unwrap_err();
    say(other.message());
    serve(&gs);
}

fn r2_4_a_second_install_agrees_or_names_the_key() {
    let mut kid = Kid::new("twice").ready();
    kid.term();
    kid.end().code(0).said("grace: 2s and 3s").said("max_workers: 64 and 3").said("one registry");
}

fn held() {
    let gs = install(Options { hold: Some(true), ..grace(4000) }).unwrap();
    ready();
    until("the trigger", || gs.reason().is_some());
    assert_eq!(gs.state(), State::Stopping(String::new()));
    saying(&gs, "announce", "in time");
    let since = Instant::now();
    gs.ready().unwrap();
    let code = gs.wait(None).unwrap().exit.code;
    assert!(since.elapsed() < ms(500), "ready() did not let go: {:?}", since.elapsed());
    std::process::exit(code);
}

fn r2_5_a_held_install_waits_for_ready() {
    let mut kid = Kid::new("held").ready();
    kid.term();
    kid.end().code(0).said("in time");
}

fn held_long() {
    let gs = install(Options { hold: Some(true), ..grace(6000) }).unwrap();
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r2_5_a_held_install_waits_one_second_at_most() {
    let mut kid = Kid::new("held_long").ready();
    kid.term();
    kid.end().code(0).said("flushed").within(ms(1000), ms(1000));
}

fn early_signal() {
    // Pending for the process when install makes the first thread that has it unblocked.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::kill(libc::getpid(), libc::SIGTERM);
    }
    let gs = install(grace(2000)).unwrap();
    let code = gs.wait(Some(ms(5000))).unwrap().exit.code;
    say("kept");
    std::process::exit(code);
}

fn r2_5_a_signal_during_install_is_kept() {
    let end = Kid::new("early_signal").end().code(0).said("kept");
    assert_eq!(end.report()["reason"]["signal"], "TERM");
}

fn no_deadline() {
    let gs = install(Options { grace_normal: Some(NormalGrace::Unlimited), ..grace(400) }).unwrap();
    gs.hook("flush", "slow")
        .run(|ctx| {
            assert_eq!(ctx.remaining(), None);
            say("no deadline");
            ctx.sleep(ms(900))?;
            say("slept");
            ctx.sleep(Duration::from_secs(60))
        })
        .unwrap();
    gs.stop("x", None).unwrap();
    ready();
    std::process::exit(gs.wait(None).unwrap().exit.code)
}

fn r2_7_stop_without_a_deadline() {
    let mut kid = Kid::new("no_deadline").ready();
    kid.wait_for("slept");
    // The first signal after another kind of trigger is no repeat (7.1), and brings the deadline.
    kid.term();
    let end = kid.end().within(ms(100), ms(400));
    let report = end.report();
    assert_eq!(outcome(&report, "slow"), "cancelled");
    assert_eq!(report["outcome"], "degraded");
    assert_eq!(report["triggers"][1]["action"], "recorded");
    end.code(1);
}

fn bad_calls() {
    let gs = install(Options { exit: Some(Exit::Manual), ..grace(2000) }).unwrap();
    let kind = |r: Result<_, graceshut::Error>| r.map(|_: graceshut::HookHandle| ()).unwrap_err().kind();
    let nothing = |_: &graceshut::Context| Ok(());
    assert_eq!(kind(gs.hook("flsh", "h").run(nothing)), ErrorKind::UnknownPhase);
    assert!(gs.hook("flsh", "h").run(nothing).unwrap_err().message().contains("did you mean \"flush\""));
    assert_eq!(kind(gs.hook("flush", "").run(nothing)), ErrorKind::BadValue);
    assert_eq!(kind(gs.hook("flush", &"x".repeat(257)).run(nothing)), ErrorKind::BadValue);
    assert_eq!(kind(gs.hook("flush", "h").timeout(Duration::ZERO).run(nothing)), ErrorKind::BadTime);
    assert_eq!(kind(gs.hook("flush", "h").timeout(Duration::MAX).run(nothing)), ErrorKind::BadTime);
    assert_eq!(kind(gs.hook("flush", "h").after("h").run(nothing)), ErrorKind::Cycle);
    assert_eq!(kind(gs.hook("flush", "h").exec(Default::default())), ErrorKind::BadValue);
    assert_eq!(kind(gs.hook("flush", "h").signal(Default::default())), ErrorKind::BadValue);
    assert_eq!(kind(gs.hook("flush", "h").http(Default::default())), ErrorKind::BadValue);
    assert_eq!(gs.stop("x", Some(ms(199))).unwrap_err().kind(), ErrorKind::BadTime);
    assert_eq!(gs.stop("x", Some(Duration::MAX)).unwrap_err().kind(), ErrorKind::BadTime);
    assert_eq!(gs.wait(Some(ms(20))).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(gs.rearm(libc::SIGUSR1, graceshut::Chain::Never).unwrap_err().kind(), ErrorKind::NotInstalled);
    assert_eq!(gs.on_reload("", || Ok(())).unwrap_err().kind(), ErrorKind::BadValue);
    assert_eq!(install(grace(100)).unwrap_err().kind(), ErrorKind::BadTime);
    let inner = gs.clone();
    gs.hook("flush", "inside")
        .run(move |_| {
            assert_eq!(inner.wait(None).unwrap_err().kind(), ErrorKind::WrongThread);
            assert_eq!(inner.uninstall().unwrap_err().kind(), ErrorKind::WrongThread);
            say("wrong thread");
            Ok(())
        })
        .unwrap();
    let outer = gs.clone();
    gs.hook("drain", "running")
        .run(move |_| {
            // Not a hook's thread, but a shutdown is under way.
            std::thread::spawn(move || assert_eq!(outer.uninstall().unwrap_err().kind(), ErrorKind::TooLate)).join().unwrap();
            Ok(())
        })
        .unwrap();
    gs.stop("go", None).unwrap();
    assert_eq!(gs.wait(Some(ms(5000))).unwrap().exit.code, 0);
    assert_eq!(kind(gs.hook("flush", "late").run(nothing)), ErrorKind::TooLate);
    gs.uninstall().unwrap();
    say("fine");
}

fn r13_bad_calls_are_typed_errors() {
    Kid::new("bad_calls").end().code(0).said("wrong thread").said("fine");
}

fn poor() {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &limit), 0);
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(65534), 0);
        }
    }
    let error = install(grace(2000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Os);
    say(error.message());
    assert_eq!(threads(), "1");
    assert!(!caught(libc::SIGTERM) && graceshut::current().is_none());
    ready();
    park();
}

fn r2_1_an_install_that_fails_leaves_nothing() {
    let mut kid = Kid::new("poor").ready();
    kid.term();
    kid.end().died_by(libc::SIGTERM).said("cannot make");
}
