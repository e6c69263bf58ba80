//! Spec 6.6: who leaves first when the plan is over after a signal that the program handles itself.

use graceshut::config::Config;
use graceshut::{Leave, OwnHandler, State};
use serde_json::Value;

use crate::harness::*;

crate::suite!("leaving",
    tests: [
        r6_6_a_program_that_stops_by_itself_is_not_cut,
        r6_6_its_own_status_is_in_the_report,
        r6_6_a_program_that_handles_int_does_not_die_by_it,
        r6_6_at_the_deadline_it_is_made_to_leave,
        r6_6_a_handler_that_is_only_assumed_does_not_degrade,
        r6_6_work_that_the_deadline_cuts_is_not_clean,
        r6_6_work_that_its_own_exit_cuts_is_not_clean,
        r6_6_at_once_is_as_without_a_handler,
        r6_6_by_itself_needs_no_handler,
        r6_6_a_second_signal_is_the_programs_alone,
        r6_6_the_third_signal_makes_it_leave_at_once,
        r6_6_a_second_signal_that_leaves_at_once_cuts_as_well,
        r6_6_its_own_re_raise_is_no_cut,
        r6_6_stop_and_forced_plans_leave_at_once,
        r6_6_who_waits_leaves_at_once,
        r6_6_an_exit_that_hangs_has_until_the_watchdog,
        r6_6_underscore_exit_leaves_the_report,
        r6_6_a_process_that_lingers_says_so,
        r6_6_own_handlers_are_checked,
        r6_6_a_handler_in_the_kernel_is_the_programs_own,
        r6_6_a_status_of_its_own_is_kept_whenever_it_leaves,
        r3_5_a_program_that_has_term_ignored_is_not_cut_before_d,
    ],
    children: [handling, bad_signals, by_flag]);

fn leave() -> Option<Leave> {
    match arg("GS_LEAVE").as_str() {
        "at_once" => Some(Leave::AtOnce),
        "by_itself" => Some(Leave::ByItself),
        _ => None,
    }
}

fn own() -> OwnHandler {
    match arg("GS_OWN").as_str() {
        "no" => OwnHandler::None,
        "assumed" => OwnHandler::Assumed,
        _ => OwnHandler::Known,
    }
}

/// Grace 3 s: margin 100 ms, D at 2.9 s, the hard end at 2.95 s.
fn handling() {
    // Registered before install, these run after graceshut has seen the exit.
    match arg("GS_DO").as_str() {
        "hang" => drop(unsafe { libc::atexit(hangs) }),
        "never" if arg("GRACESHUT_WATCHDOG") == "0" => drop(unsafe { libc::atexit(lets_events_out) }),
        _ => {}
    }
    let own_work = arg("GS_WORK") == "own";
    let gs = install(Options { leave: leave(), inflight: Some(!own_work), ..grace(3000) }).unwrap();
    let _work = own_work.then(|| gs.inflight().enter().unwrap());
    for signo in [libc::SIGTERM, libc::SIGINT] {
        gs.set_own_handler(signo, own()).unwrap();
    }
    gs.on_event(|e| {
        if e.event == "leave" {
            say(&format!("event leave {:?} {:?}", e.outcome, e.value))
        }
    })
    .unwrap();
    saying(&gs, "flush", "flushed");
    match arg("GS_HOOK").as_str() {
        "hangs" => hanging(&gs, "final", "bad"),
        "slow" => {
            let slow = |_: &graceshut::Context| {
                std::thread::sleep(ms(400));
                say("slow");
                Ok(())
            };
            gs.hook("flush", "slow").run(slow).unwrap();
        }
        _ => {}
    }
    ready();
    if arg("GS_DO") == "stop" {
        gs.stop("by the program", None).unwrap();
    }
    if arg("GS_DO") == "wait" {
        std::process::exit(gs.wait(None).unwrap().exit.code);
    }
    if arg("GS_DO") == "re-raise first" {
        until("the signal", || gs.state() != State::Armed);
        unsafe { libc::raise(libc::SIGTERM) };
        park();
    }
    if arg("GS_DO") == "leave first" {
        until("the signal", || gs.state() != State::Armed);
        say("stopped by itself");
        std::process::exit(0)
    }
    until("the plan's end", || gs.state() == State::Stopped);
    let end = |code| {
        std::thread::sleep(ms(1000));
        say("stopped by itself");
        std::process::exit(code)
    };
    match arg("GS_DO").as_str() {
        "leave" => end(0),
        "leave 3" => end(3),
        "_exit" => {
            let path = std::path::PathBuf::from(arg("GRACESHUT_REPORT"));
            until("the report", || path.exists());
            unsafe { libc::_exit(0) }
        }
        "hang" => std::process::exit(0),
        "re-raise" => {
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
            park()
        }
        "linger" => {
            let code = gs.wait(None).unwrap().exit.code;
            std::thread::sleep(ms(2200));
            std::process::exit(code)
        }
        _ => park(),
    }
}

extern "C" fn lets_events_out() {
    std::thread::sleep(ms(600));
}

extern "C" fn hangs() {
    say("atexit hangs");
    park()
}

fn kid(what: &str) -> Kid {
    Kid::new("handling").env("GS_DO", what)
}

fn term(kid: Kid) -> Ended {
    let mut kid = kid.ready();
    kid.term();
    kid.end()
}

fn r6_6_a_program_that_stops_by_itself_is_not_cut() {
    let end = term(kid("leave")).code(0).said("flushed").said("stopped by itself").within(ms(1000), ms(1500)).silent("event");
    let report = end.report();
    assert_eq!((report["outcome"].as_str(), report["exit_code"].as_i64()), (Some("clean"), Some(0)));
    assert_eq!(report["leave"]["how"], "by_itself");
    assert!((900_000..2_000_000).contains(&report["leave"]["after_us"].as_u64().unwrap()), "{report:#}");
    assert_eq!(report["leave"]["in_flight"], 0);
    assert!(report["used_us"].as_u64().unwrap() < 900_000, "{report:#}");
}

fn r6_6_its_own_status_is_in_the_report() {
    let end = term(kid("leave 3")).code(3);
    assert_eq!(end.report()["exit_code"], 3);
}

fn r6_6_a_program_that_handles_int_does_not_die_by_it() {
    let int = |kid: Kid| {
        let mut kid = kid.ready();
        kid.signal(libc::SIGINT);
        kid.end()
    };
    let report = int(kid("leave")).code(0).said("stopped by itself").report();
    assert_eq!((report["exit_code"].as_i64(), report["exit_signal"].as_str()), (Some(0), None), "{report:#}");
    // As well where its own end is the shorter one.
    let report = int(kid("leave first").env("GS_HOOK", "slow")).code(0).said("stopped by itself").said("slow").report();
    assert_eq!((report["exit_code"].as_i64(), report["exit_signal"].as_str()), (Some(0), None), "{report:#}");
    int(kid("leave first").env("GS_HOOK", "slow").env("GS_OWN", "no")).died_by(libc::SIGINT);
    int(kid("leave first").env("GS_HOOK", "slow").env("GRACESHUT_EXIT", "reraise")).died_by(libc::SIGINT);
    int(kid("leave").env("GRACESHUT_EXIT", "reraise")).died_by(libc::SIGINT);
    int(kid("leave").env("GRACESHUT_LEAVE", "at_once")).died_by(libc::SIGINT);
}

fn how_it_ended(report: &Value) -> (&str, &str) {
    (report["outcome"].as_str().unwrap_or_default(), report["leave"]["how"].as_str().unwrap_or_default())
}

fn r6_6_at_the_deadline_it_is_made_to_leave() {
    let report = term(kid("never")).code(1).within(ms(2900), ms(2950)).report();
    assert_eq!(how_it_ended(&report), ("degraded", "made_to"));
    assert_eq!((report["exit_code"].as_i64(), report["leave"]["in_flight"].as_i64()), (Some(1), Some(0)));
    // Without the hard end a finaliser may wait for the event, which is told beside the leaving (spec 11.2).
    term(kid("never").env("GRACESHUT_REPORT", "stderr").env("GRACESHUT_WATCHDOG", "0"))
        .code(1)
        .said("event leave Some(\"made_to\") Some(0)")
        .said("graceshut: clean in")
        .said("made to leave, which cut its own stop; degraded; exit 1");
}

fn r6_6_a_handler_that_is_only_assumed_does_not_degrade() {
    let assumed = |what: &str| kid(what).env("GS_OWN", "assumed");
    assert_eq!(how_it_ended(&term(assumed("never")).code(0).within(ms(2900), ms(2950)).report()), ("clean", "made_to"));
    term(assumed("never").env("GRACESHUT_REPORT", "stderr").env("GRACESHUT_WATCHDOG", "0"))
        .code(0)
        .said("made to leave; clean; exit 0");
    let end = term(assumed("leave")).code(0).said("stopped by itself");
    assert_eq!(how_it_ended(&end.report()), ("clean", "by_itself"));
    // Here the user has said that the program leaves.
    let end = term(assumed("never").env("GRACESHUT_LEAVE", "by_itself")).code(1);
    assert_eq!(how_it_ended(&end.report()), ("degraded", "made_to"));
}

fn r6_6_work_that_the_deadline_cuts_is_not_clean() {
    let report = term(kid("never").env("GS_WORK", "own")).code(1).within(ms(2900), ms(2950)).report();
    assert_eq!((report["outcome"].as_str(), report["exit_code"].as_i64()), (Some("degraded"), Some(1)));
    assert_eq!((report["leave"]["how"].as_str(), report["leave"]["in_flight"].as_u64()), (Some("made_to"), Some(1)));
    term(kid("never").env("GS_WORK", "own").env("GRACESHUT_REPORT", "stderr").env("GRACESHUT_WATCHDOG", "0"))
        .said("1 still in flight; degraded; exit 1");
}

fn r6_6_work_that_its_own_exit_cuts_is_not_clean() {
    let end = term(kid("leave").env("GS_WORK", "own")).code(1);
    assert_eq!((end.report()["outcome"].as_str(), end.report()["exit_code"].as_i64()), (Some("degraded"), Some(1)));
}

fn r6_6_at_once_is_as_without_a_handler() {
    for kid in [kid("never").env("GS_LEAVE", "at_once"), kid("never").env("GS_OWN", "no")] {
        let end = term(kid).code(0).within(ms(0), ms(500));
        assert_eq!(end.report()["leave"]["how"], "at_once");
    }
}

fn r6_6_by_itself_needs_no_handler() {
    let end = term(kid("leave").env("GS_OWN", "no").env("GRACESHUT_LEAVE", "by_itself")).code(0).said("stopped by itself");
    assert_eq!(end.report()["leave"]["how"], "by_itself");
}

fn r6_6_a_second_signal_is_the_programs_alone() {
    let mut kid = kid("leave").ready();
    kid.term();
    kid.wait_for("flushed");
    // A duplicate within 500 ms of the first (spec 7.1) is not told from one.
    std::thread::sleep(ms(700));
    kid.term();
    let end = kid.end().code(0).said("stopped by itself");
    assert_eq!(how_it_ended(&end.report()), ("clean", "by_itself"));
    assert_eq!(end.report()["triggers"][1]["action"], "recorded");
}

fn r6_6_the_third_signal_makes_it_leave_at_once() {
    let mut kid = kid("never").ready();
    kid.term();
    kid.wait_for("flushed");
    for _ in 0..2 {
        std::thread::sleep(ms(700));
        kid.term();
    }
    let end = kid.end().code(1).within(ms(0), ms(500));
    assert_eq!(how_it_ended(&end.report()), ("degraded", "made_to"));
}

fn r6_6_a_second_signal_that_leaves_at_once_cuts_as_well() {
    let mut kid = kid("never").env("GRACESHUT_REPEAT", "interactive").ready();
    kid.term();
    kid.wait_for("flushed");
    std::thread::sleep(ms(700)); // later than a duplicate
    kid.term();
    let end = kid.end().code(1).within(ms(0), ms(500));
    assert_eq!(how_it_ended(&end.report()), ("degraded", "made_to"));
}

fn r6_6_its_own_re_raise_is_no_cut() {
    let end = term(kid("re-raise")).code(0).within(ms(0), ms(500));
    assert_eq!(how_it_ended(&end.report()), ("clean", "by_itself"));
    assert!(end.report()["leave"]["after_us"].is_u64());
    // In the plan as after it, and whatever the option says.
    for leave in ["auto", "by_itself"] {
        let kid = kid("re-raise first").env("GS_HOOK", "slow").env("GRACESHUT_LEAVE", leave);
        let end = term(kid).code(0).said("slow").within(ms(400), ms(1000));
        assert_eq!(end.report()["outcome"], "clean", "{leave}");
    }
}

fn r6_6_stop_and_forced_plans_leave_at_once() {
    let end = kid("stop").end().code(0).within(ms(0), ms(700));
    assert_eq!(end.report()["leave"]["how"], "at_once");
    let end = term(kid("never").env("GS_HOOK", "hangs")).code(143).within(ms(2700), ms(2950));
    assert_eq!(end.report()["leave"]["how"], "at_once");
}

fn r6_6_who_waits_leaves_at_once() {
    let end = term(kid("wait")).code(0).within(ms(0), ms(500));
    assert_eq!(end.report()["leave"]["how"], "at_once");
}

fn r6_6_an_exit_that_hangs_has_until_the_watchdog() {
    let end = term(kid("hang")).code(0).said("atexit hangs").within(ms(2950), ms(2950)).silent("event");
    assert_eq!(end.report()["leave"]["how"], "by_itself");
}

fn r6_6_underscore_exit_leaves_the_report() {
    let end = term(kid("_exit")).code(0);
    assert_eq!(end.report()["leave"]["how"], "by_itself");
    assert!(end.report()["leave"]["after_us"].is_null());
}

fn r6_6_a_process_that_lingers_says_so() {
    let end = term(kid("linger").env("GS_LEAVE", "at_once").env("GRACESHUT_REPORT", "stderr")).code(0);
    end.said("graceshut: clean in").said("graceshut: the program left 2.");
}

fn bad_signals() {
    let gs = install(grace(2000)).unwrap();
    for signo in [0, -1, 65, i32::MAX, i32::MIN] {
        assert_eq!(gs.set_own_handler(signo, OwnHandler::Known).unwrap_err().kind(), graceshut::ErrorKind::BadValue);
    }
    let _: &Config = gs.config();
    say("checked");
}

fn r6_6_own_handlers_are_checked() {
    Kid::new("bad_signals").end().code(0).said("checked");
}

static FLAG: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

extern "C" fn set_flag(_: i32) {
    FLAG.store(true, std::sync::atomic::Ordering::SeqCst);
}

/// The daemon of the textbook: a handler sets a flag, main looks at it, finishes its round and leaves. Nobody calls `wait`.
fn by_flag() {
    let handle = || unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        let flag = set_flag as extern "C" fn(i32) as usize;
        act.sa_sigaction = if arg("GS_DO") == "ignore" { libc::SIG_IGN } else { flag };
        act.sa_flags = arg("GS_FLAGS").parse().unwrap_or(0);
        libc::sigaction(libc::SIGTERM, &act, std::ptr::null_mut());
    };
    let later = arg("GS_ORDER") == "later";
    if !later {
        handle();
    }
    let gs = install(grace(3000)).unwrap();
    if later {
        handle();
        until("the repair", || gs.handlers().iter().all(|h| h.state == "ours"));
    }
    let pauses = arg("GS_PAUSE").parse().unwrap_or(0);
    if arg("GS_DO") == "return 7" {
        ready();
        while !FLAG.load(std::sync::atomic::Ordering::SeqCst) {
            std::hint::spin_loop();
        }
        std::thread::sleep(std::time::Duration::from_micros(pauses));
        std::process::exit(7)
    }
    saying(&gs, "flush", "flushed");
    ready();
    if arg("GS_DO") == "ignore" {
        until("the plan's end", || gs.state() == State::Stopped);
        std::thread::sleep(ms(500));
        return say("what was not to be cut");
    }
    until("the flag", || FLAG.load(std::sync::atomic::Ordering::SeqCst));
    std::thread::sleep(ms(1000));
    say("stopped by itself");
}

/// Without graceshut it would have gone on.
fn r3_5_a_program_that_has_term_ignored_is_not_cut_before_d() {
    let end = term(Kid::new("by_flag").env("GS_DO", "ignore").env("GS_ORDER", "later")).code(0);
    assert_eq!(end.said("flushed").said("what was not to be cut").report()["leave"]["how"], "by_itself");
}

/// At once, while the plan is being carried out, between its end and its report, after it.
fn r6_6_a_status_of_its_own_is_kept_whenever_it_leaves() {
    for us in (0..3000).step_by(100) {
        let end = term(Kid::new("by_flag").env("GS_DO", "return 7").env("GS_PAUSE", &us.to_string())).code(7);
        assert_eq!(end.report()["exit_code"], 7, "after {us} us");
    }
}

fn r6_6_a_handler_in_the_kernel_is_the_programs_own() {
    for (order, flags) in [("first", 0), ("later", 0), ("first", libc::SA_RESETHAND)] {
        let kid = Kid::new("by_flag").env("GS_ORDER", order).env("GS_FLAGS", &flags.to_string());
        let end = term(kid).code(0).said("flushed").said("stopped by itself").within(ms(1000), ms(1500));
        assert_eq!(end.report()["leave"]["how"], "by_itself", "{order} {flags}");
    }
}
