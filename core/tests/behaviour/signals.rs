//! Spec 3.4 to 3.6, 3.8: what signals do, and who handles them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use graceshut::{Action, SignalRule};

use crate::harness::*;

crate::suite!("signals",
    tests: [
        r3_4_hup_reloads_where_there_is_a_reload_hook,
        r3_4_hup_stops_where_there_is_none,
        r3_4_hup_is_left_to_a_program_that_handles_it,
        r3_4_status_says_a_line,
        r3_4_ignored_at_start_stays_ignored,
        r3_4_other_signals_can_be_mapped,
        r3_5_a_replaced_handler_is_repaired_and_reported,
        r3_5_a_handler_set_after_install_hides_no_signal_for_long,
        r3_5_what_a_repair_may_have_missed_is_said,
        r3_5_a_registration_makes_it_look_soon,
        r3_5_a_handler_that_took_itself_out_is_not_the_programs_own,
        r3_5_system_keeps_int_from_the_program_that_waits_for_its_child,
        r3_6_reloads_coalesce_and_a_stop_wins,
        r3_6_a_reload_hook_may_fail_and_panic,
        r3_8_threads_block_what_they_do_not_serve,
    ],
    children: [reloading, rereading, statusing, mapped, replaced, taken_later, taken_and_put_back, in_system, coalescing, failing_reload, masks]);

fn reloading() {
    let gs = install(grace(2000)).unwrap();
    if arg("GS_RELOAD") == "yes" {
        gs.on_reload("conf", || {
            say("reloaded");
            Ok(())
        })
        .unwrap();
    }
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r3_4_hup_reloads_where_there_is_a_reload_hook() {
    let mut kid = Kid::new("reloading").env("GS_RELOAD", "yes").ready();
    for _ in 0..3 {
        kid.signal(libc::SIGHUP);
        kid.wait_for("reloaded");
    }
    assert!(kid.is_alive());
    kid.term();
    assert_eq!(kid.end().code(0).said("flushed").report()["reason"]["signal"], "TERM");
}

fn r3_4_hup_stops_where_there_is_none() {
    let mut kid = Kid::new("reloading").ready();
    kid.signal(libc::SIGHUP);
    assert_eq!(kid.end().code(0).said("flushed").report()["reason"]["signal"], "HUP");
}

static READ: AtomicU32 = AtomicU32::new(0);

extern "C" fn read_again(_: i32) {
    READ.fetch_add(1, SeqCst);
}

/// The daemon that reads its configuration again at HUP, as it did before it had graceshut.
fn rereading() {
    let handle = || unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        act.sa_sigaction = read_again as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGHUP, &act, std::ptr::null_mut());
    };
    let later = arg("GS_ORDER") == "later";
    if !later {
        handle();
    }
    let signals = match arg("GS_NAMED").as_str() {
        "yes" => vec![SignalRule { signo: libc::SIGHUP, action: Action::Stop, grace: None }],
        _ => Vec::new(),
    };
    let gs = install(Options { signals, ..grace(2000) }).unwrap();
    if later {
        handle();
        until("the repair", || gs.handlers().iter().all(|h| h.state == "ours"));
    }
    saying(&gs, "flush", "flushed");
    std::thread::spawn(|| {
        for n in 1.. {
            until("HUP", || READ.load(SeqCst) >= n);
            say(&format!("read again {n}"));
        }
    });
    // It waits: what leaves first is another question.
    serve(&gs);
}

fn r3_4_hup_is_left_to_a_program_that_handles_it() {
    for order in ["first", "later"] {
        let mut kid = Kid::new("rereading").env("GS_ORDER", order).ready();
        for n in 1..=3 {
            kid.signal(libc::SIGHUP);
            kid.wait_for(&format!("read again {n}"));
        }
        kid.term();
        let report = kid.end().code(0).said("flushed").report();
        assert_eq!(report["triggers"].as_array().unwrap().len(), 1, "{report:#}");
        assert_eq!(report["reason"]["signal"], "TERM");
    }
    // Who names HUP to graceshut means it.
    let mut kid = Kid::new("rereading").env("GS_NAMED", "yes").ready();
    kid.signal(libc::SIGHUP);
    assert_eq!(kid.end().code(0).said("flushed").report()["reason"]["signal"], "HUP");
}

fn statusing() {
    let rule = SignalRule { signo: libc::SIGUSR1, action: Action::Status, grace: None };
    let gs = install(Options { signals: vec![rule], ..grace(2000) }).unwrap();
    let _work = gs.inflight().enter().unwrap();
    gs.hook("flush", "never").run(|_| Ok(())).unwrap();
    ready();
    park();
}

fn r3_4_status_says_a_line() {
    let mut kid = Kid::new("statusing").ready();
    kid.signal(libc::SIGUSR1);
    let line = kid.wait_for("graceshut: armed");
    assert!(line.contains("1 in flight") && line.contains("grace 2s"), "{line}");
    kid.signal(libc::SIGKILL);
    kid.end();
}

fn r3_4_ignored_at_start_stays_ignored() {
    let ignore = || {
        for signo in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
            unsafe { libc::signal(signo, libc::SIG_IGN) };
        }
        Ok(())
    };
    let mut kid = Kid::new("reloading").before(ignore).ready();
    let ignored = status_field(kid.pid(), "SigIgn");
    assert!(has_bit(&ignored, libc::SIGHUP) && has_bit(&ignored, libc::SIGINT) && !has_bit(&ignored, libc::SIGTERM));
    kid.signal(libc::SIGHUP).signal(libc::SIGINT).term();
    let report = kid.end().code(0).report();
    assert_eq!(report["reason"]["signal"], "TERM");
    assert_eq!(report["handler"][0]["state"], "ignored");
    assert!(report["warnings"][0].as_str().unwrap().contains("TERM was inherited as ignored"), "{report:#}");
}

fn mapped() {
    let rule = |signo, action, grace| SignalRule { signo, action, grace };
    let signals = vec![
        rule(libc::SIGUSR1, Action::Stop, Some(ms(500))),
        rule(libc::SIGUSR2, Action::Ignore, None),
        rule(libc::SIGHUP, Action::Default, None),
    ];
    let gs = install(Options { signals, ..grace(5000) }).unwrap();
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r3_4_other_signals_can_be_mapped() {
    let mut kid = Kid::new("mapped").ready();
    kid.signal(libc::SIGUSR2).signal(libc::SIGUSR1);
    let end = kid.end().code(0).said("flushed");
    assert_eq!(end.report()["reason"]["signal"], "USR1");
    assert_eq!(end.report()["grace_us"], 500_000);
    let mut kid = Kid::new("mapped").ready();
    kid.signal(libc::SIGHUP);
    kid.end().died_by(libc::SIGHUP).silent("flushed");
}

extern "C" fn stranger(_: i32) {
    say("stranger");
}

fn take_term() {
    unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        act.sa_sigaction = stranger as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGTERM, &act, std::ptr::null_mut());
    }
}

fn replaced() {
    let gs = install(grace(2000)).unwrap();
    gs.on_event(|e| {
        if e.event == "handler" {
            say(&format!("{:?} {:?}", e.outcome, e.message))
        }
    })
    .unwrap();
    take_term();
    assert_eq!(gs.handlers().iter().find(|h| h.signal == "TERM").unwrap().state, "replaced");
    ready();
    until("the repair", || gs.handlers().iter().all(|h| h.state == "ours"));
    say("repaired");
    std::process::exit(gs.wait(None).unwrap().exit.code)
}

fn r3_5_a_replaced_handler_is_repaired_and_reported() {
    let mut kid = Kid::new("replaced").ready();
    let since = std::time::Instant::now();
    kid.wait_for("repaired");
    assert!(since.elapsed() < ms(300) + SLACK, "{:?}", since.elapsed());
    kid.term();
    let end = kid.end().code(0).said("was replaced by");
    let report = end.report();
    let term = report["handler"].as_array().unwrap().iter().find(|h| h["signal"] == "TERM").unwrap().clone();
    assert_eq!((term["state"].as_str(), term["repairs"].as_u64()), (Some("ours"), Some(1)));
    assert_eq!(term["missed"], true);
    // What the program set hears of the signal as it would without graceshut. Found within moments of the install, it is no
    // news for stderr.
    end.said("stranger").silent("graceshut: the handler");
}

/// A library that takes TERM `GS_AFTER` ms after the install.
fn taken_later() {
    let gs = install(grace(2000)).unwrap();
    saying(&gs, "flush", "flushed");
    std::thread::sleep(ms(arg("GS_AFTER").parse().unwrap()));
    take_term();
    if arg("GS_THEN") == "register" {
        saying(&gs, "close", "closed");
    }
    serve(&gs);
}

fn r3_5_a_handler_set_after_install_hides_no_signal_for_long() {
    let mut kid = Kid::new("taken_later").env("GS_AFTER", "0").ready();
    std::thread::sleep(ms(400));
    kid.term();
    kid.end().code(0).said("flushed").said("stranger").silent("graceshut: the handler").within(ms(0), ms(500));
}

fn r3_5_what_a_repair_may_have_missed_is_said() {
    let mut kid = Kid::new("taken_later").env("GS_AFTER", "400").env("GRACESHUT_REPORT", "stderr:json").ready();
    let line = kid.wait_for("graceshut: the handler of TERM was replaced by");
    assert!(line.contains("may have been missed"), "{line}");
    kid.term();
    let end = kid.end().code(0).said("flushed");
    let report: serde_json::Value = end.said.iter().find_map(|l| serde_json::from_str(l).ok()).expect("the report on stderr");
    assert_eq!(report["handler"][2]["missed"], true, "{report:#}");
    let mut kid = Kid::new("taken_later").env("GS_AFTER", "400").env("GRACESHUT_REPORT", "none").ready();
    std::thread::sleep(ms(1000));
    kid.term();
    kid.end().code(0).silent("graceshut:");
}

fn r3_5_a_registration_makes_it_look_soon() {
    // The looks after the install are 2 s apart by then.
    let mut kid = Kid::new("taken_later").env("GS_AFTER", "1300").env("GS_THEN", "register").ready();
    std::thread::sleep(ms(300));
    kid.term();
    kid.end().code(0).said("flushed").said("closed").within(ms(0), ms(500));
}

/// TERM is the program's own for a while, long enough to be seen and repaired.
fn taken_and_put_back() {
    let gs = install(grace(3000)).unwrap();
    saying(&gs, "flush", "flushed");
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    unsafe { libc::sigaction(libc::SIGTERM, std::ptr::null(), &mut ours) };
    take_term();
    until("the repair", || gs.handlers().iter().any(|h| h.signal == "TERM" && h.repairs == 1));
    unsafe { libc::sigaction(libc::SIGTERM, &ours, std::ptr::null_mut()) };
    ready();
    park();
}

fn r3_5_a_handler_that_took_itself_out_is_not_the_programs_own() {
    let mut kid = Kid::new("taken_and_put_back").ready();
    kid.term();
    let end = kid.end().code(0).said("flushed").silent("stranger").within(ms(0), ms(1000));
    assert_eq!(end.report()["leave"]["how"], "at_once");
}

fn int_state(gs: &graceshut::Runtime) -> String {
    gs.handlers().iter().find(|h| h.signal == "INT").unwrap().state.clone()
}

fn in_system() {
    let gs = install(grace(2000)).unwrap();
    saying(&gs, "flush", "flushed");
    let asks = gs.clone();
    std::thread::spawn(move || {
        until("INT to be ignored", || int_state(&asks) == "ignored");
        std::thread::sleep(ms(500)); // four looks after the registration
        say(&format!("in system: {}", int_state(&asks)));
    });
    let status = unsafe { libc::system(c"sleep 30".as_ptr()) };
    say(&format!("system: {} then {}", libc::WTERMSIG(status), int_state(&gs)));
    serve(&gs);
}

fn r3_5_system_keeps_int_from_the_program_that_waits_for_its_child() {
    let group = || if unsafe { libc::setpgid(0, 0) } == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let mut kid = Kid::new("in_system").before(group).start();
    let line = kid.wait_for("in system:");
    assert!(line.contains("ignored"), "{line}");
    assert_eq!(unsafe { libc::kill(-kid.pid(), libc::SIGINT) }, 0);
    let line = kid.wait_for("system: ");
    assert!(line.contains("system: 2 then ours"), "{line}");
    kid.wait_for("ready");
    assert!(kid.is_alive());
    kid.signal(libc::SIGINT);
    kid.end().died_by(libc::SIGINT).said("flushed");
}

fn coalescing() {
    let gs = install(grace(2000)).unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let (count, asks) = (Arc::clone(&runs), gs.clone());
    gs.on_reload("conf", move || {
        if count.fetch_add(1, SeqCst) == 0 {
            (0..5).for_each(|_| asks.reload().unwrap());
        }
        Ok(())
    })
    .unwrap();
    let (at_end, stops) = (Arc::clone(&runs), gs.clone());
    gs.on_reload("second", move || {
        if at_end.load(SeqCst) == 2 {
            say("two runs");
            stops.reload().unwrap();
            stops.stop("wins", None).unwrap();
        }
        Ok(())
    })
    .unwrap();
    let last = Arc::clone(&runs);
    gs.on_reload("third", move || {
        if last.load(SeqCst) > 1 {
            say("too much");
        }
        Ok(())
    })
    .unwrap();
    gs.hook("final", "f")
        .run(move |ctx| {
            ctx.sleep(ms(100))?;
            say(&format!("runs {}", runs.load(SeqCst)));
            Ok(())
        })
        .unwrap();
    ready();
    gs.reload().unwrap();
    std::process::exit(gs.wait(None).unwrap().exit.code)
}

fn r3_6_reloads_coalesce_and_a_stop_wins() {
    Kid::new("coalescing").end().code(0).said("two runs").said("runs 2").silent("too much");
}

fn failing_reload() {
    let gs = install(grace(2000)).unwrap();
    gs.on_event(|e| {
        if e.event == "reload" {
            say(&format!("{:?} {:?} {:?}", e.hook, e.outcome, e.message))
        }
    })
    .unwrap();
    gs.on_reload("a", || Err(graceshut::HookError::failed("bad file"))).unwrap();
    gs.on_reload("b", || panic!("reload panic")).unwrap();
    gs.on_reload("c", || {
        say("c ran");
        Ok(())
    })
    .unwrap();
    serve(&gs);
}

fn r3_6_a_reload_hook_may_fail_and_panic() {
    let mut kid = Kid::new("failing_reload").ready();
    for _ in 0..2 {
        kid.signal(libc::SIGHUP);
        kid.wait_for("None Some(\"done\")");
    }
    kid.term();
    kid.end().code(0).said("bad file").said("reload panic").said("c ran");
}

fn masks() {
    let gs = install(grace(2000)).unwrap();
    let mask = |_: &graceshut::Context| {
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        say(status.lines().find(|line| line.starts_with("SigBlk")).unwrap_or("none"));
        Ok(())
    };
    gs.hook("flush", "f").run(mask).unwrap();
    ready();
    let all = gs.wait(None).unwrap();
    std::process::exit(all.exit.code);
}

fn r3_8_threads_block_what_they_do_not_serve() {
    let mut kid = Kid::new("masks").ready();
    let mut seen = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", kid.pid())).unwrap().flatten() {
        let tid: i32 = task.file_name().to_str().unwrap().parse().unwrap();
        // The thread that walks the loader's list during install may be on its way out.
        let gone = || !std::path::Path::new(&format!("/proc/{}/task/{tid}", kid.pid())).exists();
        // A thread that was just made still has its maker's name, and everything blocked.
        until("the thread's own name", || gone() || tid == kid.pid() || status_field(tid, "Name").starts_with("gs-"));
        until("the thread's own mask", || {
            let name = status_field(tid, "Name");
            gone() || !name.starts_with("gs-") || !has_bit(&status_field(tid, "SigBlk"), libc::SIGSEGV)
        });
        let (name, mask) = (status_field(tid, "Name"), status_field(tid, "SigBlk"));
        let blocks = |s| has_bit(&mask, s);
        match name.as_str() {
            "gs-engine" => {
                assert!(!blocks(libc::SIGTERM) && !blocks(libc::SIGINT) && blocks(libc::SIGPIPE) && blocks(libc::SIGUSR1))
            }
            "gs-watchdog" | "gs-report" | "gs-hook" => {
                assert!(blocks(libc::SIGTERM) && blocks(libc::SIGPIPE) && blocks(libc::SIGUSR1) && !blocks(libc::SIGSEGV))
            }
            _ => {}
        }
        seen.push(name);
    }
    for name in ["gs-engine", "gs-watchdog", "gs-report", "gs-hook"] {
        assert!(seen.iter().any(|n| n == name), "{seen:?}");
    }
    kid.term();
    // A hook runs with the host's mask, which programs that it starts inherit (spec 10.3).
    kid.end().code(0).said("SigBlk:\t0000000000000000");
}
