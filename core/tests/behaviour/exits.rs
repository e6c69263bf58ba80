//! Spec 2.6 (the Rust rows), 5.9, 6.4, 6.5, 8.6: how a process ends, with real wait statuses.

use graceshut::{HookError, State};

use crate::harness::*;

crate::suite!("exits",
    tests: [
        r2_6_return_from_main_runs_every_hook,
        r2_6_exit_call_runs_every_hook,
        r2_6_exit_call_on_another_thread,
        r2_6_panic_in_main_keeps_101,
        r2_6_abort_and_underscore_exit_run_none,
        r6_4_clean_after_a_signal_is_0,
        r6_4_clean_after_int_dies_by_int,
        r6_4_as_pid_1_int_is_130,
        r6_4_reraise_dies_by_term,
        r6_4_as_pid_1_reraise_is_143,
        r6_4_degraded_turns_0_into_1_and_keeps_3,
        r6_4_forced_is_128_plus_n_or_70,
        r6_4_configured_codes,
        r6_4_a_status_chosen_after_the_plan_is_kept,
        r6_5_atexit_handlers_run_unless_a_native_hook_still_runs,
        r6_5_who_is_not_in_wait_is_exited,
        r6_5_an_abort_in_the_exit_we_call_does_not_decide,
        r6_5_wait_in_two_threads,
        r6_5_manual_never_exits,
        r8_6_exit_inside_a_hook_proposes_the_code,
        r8_6_exit_inside_a_hook_while_main_is_in_exit,
        r8_6_exit_inside_a_hook_while_main_waits_in_no_wait,
        r8_6_std_exit_inside_a_hook_leaves_main_a_stack_for_signals,
        r5_9_a_hung_atexit_is_ended_with_the_decided_code,
        r5_9_a_stuck_main_is_ended_with_the_decided_code,
        r5_9_exit_cap_shortens_the_host,
        r5_9_without_watchdog_the_host_has_all_the_time,
    ],
    children: [ending, waiting, aborting, hung_atexit, stuck_main, exit_in_hook, std_exit_in_hook, manual, two_waiters]);

extern "C" fn first_handler() {
    say("atexit first");
}

extern "C" fn last_handler() {
    say("atexit last");
}

/// Grace 600 ms: margin 100 ms, D at 500 ms, the hard end at 550 ms.
fn armed() -> Runtime {
    unsafe { libc::atexit(first_handler) };
    let code = |key: &str| arg(key).parse().ok();
    let exit = if arg("GS_EXIT") == "reraise" { Exit::Reraise } else { Exit::Host };
    let options = Options {
        exit: Some(exit),
        exit_code_clean: code("GS_CLEAN"),
        exit_code_degraded: code("GS_DEGRADED"),
        exit_code_forced: code("GS_FORCED"),
        ..grace(600)
    };
    let gs = install(options).unwrap();
    unsafe { libc::atexit(last_handler) };
    saying(&gs, "drain", "drained");
    match arg("GS_HOOK").as_str() {
        "fails" => drop(gs.hook("flush", "bad").run(|_| Err(HookError::failed("no"))).unwrap()),
        "hangs" => hanging(&gs, "final", "bad"),
        "hangs early" => hanging(&gs, "drain", "bad"),
        _ => {}
    }
    saying(&gs, "final", "final");
    gs
}

fn ending() {
    let gs = armed();
    ready();
    if arg("GS_END") == "thread" {
        std::thread::spawn(|| std::process::exit(4));
        park();
    }
    match arg("GS_END").as_str() {
        "return" => drop(gs),
        "exit 0" => std::process::exit(0),
        "exit 3" => std::process::exit(3),
        "panic" => panic!("on purpose"),
        "abort" => std::process::abort(),
        "_exit" => unsafe { libc::_exit(4) },
        "stop" => {
            gs.stop("x", None).unwrap();
            std::process::exit(gs.wait(None).unwrap().exit.code)
        }
        "park" => park(),
        other => panic!("no way to end: {other}"),
    }
}

/// As the destructor of a global `std::thread` that still runs does it.
extern "C" fn aborts() {
    say("aborts");
    if arg("GS_WHERE") == "another thread" {
        let _ = std::thread::spawn(|| std::process::abort()).join();
    }
    std::process::abort()
}

extern "C" fn own_abort_handler(_: i32) {
    say("own handler");
}

fn aborting() {
    unsafe { libc::atexit(aborts) };
    if arg("GS_WHERE") == "own handler" {
        unsafe { libc::signal(libc::SIGABRT, own_abort_handler as extern "C" fn(i32) as usize) };
    }
    let gs = armed();
    ready();
    if arg("GS_WHERE") == "own exit" {
        until("the plan's end", || gs.state() == State::Stopped);
        std::process::exit(0)
    }
    park()
}

fn r6_5_an_abort_in_the_exit_we_call_does_not_decide() {
    let run = |signo, place| signalled(signo, "aborting", &[("GS_WHERE", place)]).said("final").said("aborts");
    let report = run(libc::SIGTERM, "").code(0).report();
    assert_eq!((report["outcome"].as_str(), report["exit_code"].as_i64()), (Some("clean"), Some(0)));
    run(libc::SIGINT, "").died_by(libc::SIGINT);
    // What is the program's own stays so.
    run(libc::SIGTERM, "another thread").died_by(libc::SIGABRT);
    run(libc::SIGTERM, "own handler").said("own handler").died_by(libc::SIGABRT);
    run(libc::SIGTERM, "own exit").died_by(libc::SIGABRT);
}

fn waiting() {
    let gs = armed();
    ready();
    let finished = gs.wait(None).unwrap();
    match arg("GS_END").as_str() {
        "return" => {}
        "own 7" => std::process::exit(7),
        _ => std::process::exit(finished.exit.code),
    }
}

fn ended(end: &str, hook: &str) -> Ended {
    Kid::new("ending").env("GS_END", end).env("GS_HOOK", hook).end()
}

fn r2_6_return_from_main_runs_every_hook() {
    let end = ended("return", "").code(0).said("drained").said("final").said("atexit first").said("atexit last");
    assert_eq!(end.report()["reason"]["kind"], "host_end");
    assert_eq!(end.report()["exit_code"], 0);
}

fn r2_6_exit_call_runs_every_hook() {
    ended("exit 0", "").code(0).said("drained").said("final");
    let end = ended("exit 3", "").code(3).said("drained").said("final");
    assert_eq!(end.report()["outcome"], "clean");
    assert_eq!(end.report()["exit_code"], 3);
}

fn r2_6_exit_call_on_another_thread() {
    ended("thread", "").code(4).said("drained").said("final").said("atexit first");
}

fn r2_6_panic_in_main_keeps_101() {
    for hook in ["", "fails", "hangs"] {
        let end = ended("panic", hook).code(101).said("drained").said("on purpose");
        assert_eq!(end.report()["reason"]["kind"], "uncaught");
        assert_eq!(end.report()["exit_code"], 101);
    }
}

fn r2_6_abort_and_underscore_exit_run_none() {
    let end = ended("abort", "").died_by(libc::SIGABRT).silent("drained");
    assert!(!end.folder.join("report.json").exists());
    ended("_exit", "").code(4).silent("drained").silent("atexit");
}

fn signalled(signo: i32, child: &str, vars: &[(&str, &str)]) -> Ended {
    let mut kid = vars.iter().fold(Kid::new(child), |k, (n, v)| k.env(n, v)).ready();
    kid.signal(signo);
    kid.end()
}

fn r6_4_clean_after_a_signal_is_0() {
    signalled(libc::SIGTERM, "waiting", &[]).code(0).said("final").said("atexit first");
    signalled(libc::SIGTERM, "waiting", &[("GS_END", "return")]).code(0).said("final");
    signalled(libc::SIGTERM, "ending", &[("GS_END", "park")]).code(0).said("final").said("atexit first");
    signalled(libc::SIGHUP, "waiting", &[]).code(0).said("final");
}

fn r6_4_clean_after_int_dies_by_int() {
    for end in ["", "return"] {
        let end =
            signalled(libc::SIGINT, "waiting", &[("GS_END", end)]).died_by(libc::SIGINT).said("final").said("atexit first");
        assert_eq!(end.report()["exit_signal"], "INT");
        assert_eq!(end.report()["exit_code"], 130);
    }
    signalled(libc::SIGINT, "ending", &[("GS_END", "park")]).died_by(libc::SIGINT).said("final");
    signalled(libc::SIGINT, "waiting", &[("GS_CLEAN", "0")]).code(0);
    signalled(libc::SIGINT, "waiting", &[("GS_HOOK", "fails")]).code(1);
}

const PID_1: &[&str] = &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// Signals the process that is pid 1 in there: the only child of `unshare`.
fn as_pid_1(signo: i32, exit: &str) -> Option<Ended> {
    let can = std::process::Command::new(PID_1[0]).args(&PID_1[1..]).arg("true").status();
    if !can.is_ok_and(|s| s.success()) {
        println!("(no pid namespace to be had: skipped)");
        return None;
    }
    let kid = Kid::under(PID_1, "waiting").env("GS_EXIT", exit).ready();
    let children = format!("/proc/{}/task/{}/children", kid.pid(), kid.pid());
    let inner: i32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    assert_eq!(unsafe { libc::kill(inner, signo) }, 0);
    Some(kid.end().said("final"))
}

fn r6_4_as_pid_1_int_is_130() {
    if let Some(end) = as_pid_1(libc::SIGINT, "") {
        assert_eq!(end.code(130).report()["pid"], 1);
    }
}

fn r6_4_as_pid_1_reraise_is_143() {
    if let Some(end) = as_pid_1(libc::SIGTERM, "reraise") {
        end.code(143);
    }
}

fn r6_4_reraise_dies_by_term() {
    signalled(libc::SIGTERM, "waiting", &[("GS_EXIT", "reraise")]).died_by(libc::SIGTERM).said("final").said("atexit first");
    signalled(libc::SIGTERM, "waiting", &[("GS_EXIT", "reraise"), ("GS_HOOK", "fails")]).code(1);
}

fn r6_4_degraded_turns_0_into_1_and_keeps_3() {
    let end = signalled(libc::SIGTERM, "waiting", &[("GS_HOOK", "fails")]).code(1);
    assert_eq!(end.report()["outcome"], "degraded");
    ended("return", "fails").code(1);
    ended("exit 0", "fails").code(1);
    ended("exit 3", "fails").code(3);
    ended("stop", "fails").code(1);
}

fn r6_4_forced_is_128_plus_n_or_70() {
    let end = signalled(libc::SIGTERM, "waiting", &[("GS_HOOK", "hangs")]).code(143).said("final");
    assert_eq!(end.report()["outcome"], "forced");
    assert_eq!(outcome(&end.report(), "bad"), "abandoned");
    end.within(ms(490), ms(500));
    signalled(libc::SIGINT, "waiting", &[("GS_HOOK", "hangs")]).code(130);
    ended("stop", "hangs").code(70);
    ended("return", "hangs").code(70);
    ended("exit 3", "hangs").code(70);
}

fn r6_4_configured_codes() {
    signalled(libc::SIGTERM, "waiting", &[("GS_CLEAN", "7")]).code(7);
    signalled(libc::SIGTERM, "waiting", &[("GS_HOOK", "fails"), ("GS_DEGRADED", "8")]).code(8);
    signalled(libc::SIGTERM, "waiting", &[("GS_HOOK", "hangs"), ("GS_FORCED", "9")]).code(9);
}

fn r6_4_a_status_chosen_after_the_plan_is_kept() {
    signalled(libc::SIGTERM, "waiting", &[("GS_END", "own 7")]).code(7);
    // Returning from main is no choice.
    signalled(libc::SIGTERM, "waiting", &[("GS_END", "return"), ("GS_HOOK", "fails")]).code(1);
}

fn r6_5_atexit_handlers_run_unless_a_native_hook_still_runs() {
    let end = signalled(libc::SIGTERM, "waiting", &[("GS_HOOK", "hangs early")]).said("final");
    let report = end.report();
    assert_eq!(outcome(&report, "bad"), "abandoned");
    assert_eq!(report["outcome"], "degraded");
    end.code(1).silent("atexit");
    signalled(libc::SIGTERM, "ending", &[("GS_END", "park"), ("GS_HOOK", "hangs early")]).code(1).silent("atexit");
    signalled(libc::SIGTERM, "waiting", &[("GS_HOOK", "fails")]).code(1).said("atexit first").said("atexit last");
}

fn r6_5_who_is_not_in_wait_is_exited() {
    let end = signalled(libc::SIGTERM, "ending", &[("GS_END", "park")]).code(0).said("final").said("atexit first");
    end.within(ms(0), ms(60));
}

fn two_waiters() {
    let gs = armed();
    let other = gs.clone();
    std::thread::spawn(move || {
        other.wait(None).unwrap();
        say("other");
        park();
    });
    ready();
    let finished = gs.wait(None).unwrap();
    std::process::exit(finished.exit.code)
}

fn r6_5_wait_in_two_threads() {
    signalled(libc::SIGTERM, "two_waiters", &[]).code(0).within(ms(0), ms(100));
}

fn manual() {
    let gs = install(Options { exit: Some(Exit::Manual), ..grace(400) }).unwrap();
    hanging(&gs, "drain", "d");
    ready();
    let finished = gs.wait(None).unwrap();
    assert_eq!((finished.exit.code, gs.state()), (143, State::Stopped));
    // Far beyond the hard end a watchdog would have had.
    std::thread::sleep(ms(600));
    gs.uninstall().unwrap();
    let again = install(Options { exit: Some(Exit::Manual), ..grace(400) }).unwrap();
    again.stop("x", None).unwrap();
    assert_eq!(again.wait(None).unwrap().exit.code, 0);
    say("still here");
    std::process::exit(5)
}

fn r6_5_manual_never_exits() {
    signalled(libc::SIGTERM, "manual", &[]).code(5).said("still here");
}

fn exit_in_hook() {
    unsafe { libc::atexit(first_handler) };
    let gs = install(grace(2000)).unwrap();
    gs.hook("drain", "exits").run(|_| unsafe { libc::exit(5) }).unwrap();
    gs.hook("drain", "beside")
        .run(|ctx| {
            ctx.sleep(ms(100))?;
            say("beside");
            Ok(())
        })
        .unwrap();
    saying(&gs, "final", "final");
    ready();
    match arg("GS_END").as_str() {
        "wait" => std::process::exit(gs.wait(None).unwrap().exit.code),
        "exit" => std::process::exit(0),
        _ => park(),
    }
}

fn exited_in_hook(end: &str) -> Ended {
    let mut kid = Kid::new("exit_in_hook").env("GS_END", end).ready();
    if end != "exit" {
        kid.term();
    }
    let end = kid.end().code(5).said("beside").said("final").said("atexit first");
    let report = end.report();
    assert_eq!(outcome(&report, "exits"), "failed");
    assert_eq!(hook(&report, "exits")["message"], "exit called with 5");
    assert_eq!(report["exit_code"], 5);
    end.within(ms(95), ms(200))
}

fn r8_6_exit_inside_a_hook_proposes_the_code() {
    exited_in_hook("wait");
}

fn r8_6_exit_inside_a_hook_while_main_is_in_exit() {
    exited_in_hook("exit");
}

fn r8_6_exit_inside_a_hook_while_main_waits_in_no_wait() {
    exited_in_hook("park");
}

/// After `std::process::exit` in a hook, the main thread takes a signal on its alternate stack.
fn std_exit_in_hook() {
    let gs = install(grace(2000)).unwrap();
    gs.hook("drain", "exits").run(|_| std::process::exit(5)).unwrap();
    gs.hook("flush", "signals")
        .run(|_| {
            let pid = std::process::id();
            unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGTERM) };
            Ok(())
        })
        .unwrap();
    saying(&gs, "final", "final");
    ready();
    std::process::exit(gs.wait(None).unwrap().exit.code)
}

fn r8_6_std_exit_inside_a_hook_leaves_main_a_stack_for_signals() {
    // The second TERM within half a second is a duplicate.
    let mut kid = Kid::new("std_exit_in_hook").ready();
    kid.term();
    let end = kid.end().code(5).said("final");
    assert_eq!(outcome(&end.report(), "signals"), "ok");
}

extern "C" fn hang() {
    say("hung");
    park();
}

fn hung_atexit() {
    unsafe { libc::atexit(hang) };
    let cap = arg("GS_CAP").parse().ok().map(ms);
    let watchdog = (arg("GS_WATCHDOG") == "off").then_some(false);
    let gs = install(Options { exit_cap: cap, watchdog, ..grace(600) }).unwrap();
    gs.hook("flush", "bad").run(|_| Err(HookError::failed("no"))).unwrap();
    serve(&gs);
}

fn r5_9_a_hung_atexit_is_ended_with_the_decided_code() {
    // D + margin/2 = 500 + 50 ms.
    signalled(libc::SIGTERM, "hung_atexit", &[]).code(1).said("hung").within(ms(550), ms(550));
}

fn r5_9_exit_cap_shortens_the_host() {
    let end = signalled(libc::SIGTERM, "hung_atexit", &[("GS_CAP", "150")]).code(1).said("hung");
    assert!(end.took >= ms(150) && end.took < ms(480), "{:?}", end.took);
}

fn r5_9_without_watchdog_the_host_has_all_the_time() {
    let mut kid = Kid::new("hung_atexit").env("GS_WATCHDOG", "off").ready();
    kid.term();
    kid.wait_for("hung");
    std::thread::sleep(ms(1000));
    assert!(kid.is_alive(), "nobody was to end it");
    kid.signal(libc::SIGKILL);
    kid.end().died_by(libc::SIGKILL);
}

fn stuck_main() {
    let gs = install(grace(600)).unwrap();
    saying(&gs, "flush", "flushed");
    ready();
    // Every thread of the host busy, and the exit owned by one that never finishes it.
    std::thread::spawn(|| {
        loop {
            std::hint::spin_loop()
        }
    });
    gs.wait(None).unwrap();
    loop {
        std::hint::spin_loop();
    }
}

fn r5_9_a_stuck_main_is_ended_with_the_decided_code() {
    let end = signalled(libc::SIGTERM, "stuck_main", &[]).code(0).said("flushed");
    assert_eq!(end.report()["outcome"], "clean");
    end.within(ms(550), ms(550));
}
