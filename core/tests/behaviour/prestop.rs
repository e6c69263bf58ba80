//! A preStop of our own, asked for at the admin endpoint (spec 7.4).

use std::time::Instant;

use serde_json::Value;

use crate::asking::*;
use crate::harness::*;

crate::suite!("prestop",
tests: [
    r7_4_prestop_returns_when_drained_and_the_term_is_no_repeat,
    r7_4_without_a_term_the_plan_goes_on_for_its_reserves,
    r7_4_a_prestop_while_stopping_answers_with_the_state,
    r7_4_a_second_signal_after_the_term_expedites,
    r7_4_int_and_stop_during_the_wait,
],
children: [admin_draining]);

fn admin_draining() {
    let repeat = if arg("GS_REPEAT").is_empty() { Repeat::Expedite } else { Repeat::Interactive };
    let gs = install(Options { repeat: Some(repeat), ..options(arg("GS_GRACE").parse().unwrap_or(20_000)) }).unwrap();
    gs.hook("drain", "slow")
        .run(|ctx| {
            say("draining");
            let r = ctx.sleep(ms(700));
            say("drained");
            r
        })
        .unwrap();
    let long = arg("GS_FLUSH").parse().unwrap_or(0);
    gs.hook("flush", "f")
        .run(move |ctx| {
            say("flushing");
            let r = ctx.sleep(ms(long));
            say("flushed");
            r
        })
        .unwrap();
    at_of(&gs);
    if !arg("GS_STOP").is_empty() {
        let gs = gs.clone();
        std::thread::spawn(move || {
            assert!(gs.wait_drained(None).unwrap());
            // The answer to who asked has a moment to leave.
            std::thread::sleep(ms(100));
            gs.stop("enough", None).unwrap()
        });
    }
    serve(&gs);
}

fn prestop_kinds(end: &Ended) -> Vec<(String, String)> {
    let report = end.report();
    let list = report["triggers"].as_array().unwrap().iter();
    list.map(|t| (t["kind"].as_str().unwrap().to_owned(), t["action"].as_str().unwrap().to_owned())).collect()
}

fn pair(kind: &str, action: &str) -> (String, String) {
    (kind.to_owned(), action.to_owned())
}

fn r7_4_prestop_returns_when_drained_and_the_term_is_no_repeat() {
    for repeat in ["", "interactive"] {
        let mut kid = Kid::new("admin_draining").env("GS_REPEAT", repeat).start();
        let at = address(&mut kid);
        kid.wait_for("ready");
        let start = Instant::now();
        let (first, second) = std::thread::scope(|s| {
            let also = s.spawn(|| ask(&at, "GET /prestop"));
            (ask(&at, "POST /prestop"), also.join().unwrap())
        });
        let took = start.elapsed();
        assert!(took >= ms(690) && took < ms(700) + SLACK, "{took:?}");
        kid.wait_for("drained");
        for (code, body) in [first, second] {
            let state: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((code, &state["waiting_for_signal"], &state["state"]), (200, &true.into(), &"stopping".into()));
            assert_eq!((&state["reason"]["kind"], &state["ready"]), (&"prestop".into(), &false.into()));
        }
        let again = Instant::now();
        assert_eq!(ask(&at, "POST /prestop").0, 200);
        assert!(again.elapsed() < SLACK, "what is over is answered at once");
        assert!(kid.is_alive() && !kid.said.iter().any(|l| l == "flushing"));
        let end = kid.term_and(|kid| _ = kid.wait_for("flushed")).code(0);
        assert_eq!(end.report()["outcome"], "clean");
        let kinds = prestop_kinds(&end);
        assert_eq!(kinds[0], pair("prestop", "started"));
        assert_eq!(kinds.last(), Some(&pair("signal", "recorded")));
        assert_eq!(end.report()["reason"]["kind"], "prestop");
    }
}

fn r7_4_without_a_term_the_plan_goes_on_for_its_reserves() {
    let mut kid = Kid::new("admin_draining").env("GS_GRACE", "3000").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    let start = Instant::now();
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    let end = kid.end().code(0).said("flushed");
    // D is at 2.9 s, and flush is promised 20 % of it.
    let took = start.elapsed();
    assert!(took >= ms(2300) && took < ms(2320) + SLACK, "{took:?}");
    assert_eq!(prestop_kinds(&end), [pair("prestop", "started")]);
}

fn r7_4_a_prestop_while_stopping_answers_with_the_state() {
    let mut kid = Kid::new("admin_draining").env("GS_FLUSH", "200").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    kid.term_and(|kid| {
        kid.wait_for("draining");
        let start = Instant::now();
        let (code, body) = ask(&at, "POST /prestop");
        assert!(start.elapsed() < ms(400), "{:?}", start.elapsed());
        let state: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &state["reason"]["signal"], &state["phase"]), (200, &"TERM".into(), &"drain".into()));
    })
    .code(0)
    .said("flushed");
}

fn r7_4_a_second_signal_after_the_term_expedites() {
    let mut kid = Kid::new("admin_draining").env("GS_FLUSH", "8000").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    kid.term().wait_for("flushing");
    std::thread::sleep(ms(520));
    kid.term();
    let end = kid.end().code(143);
    assert_eq!(prestop_kinds(&end)[1..], [pair("signal", "recorded"), pair("signal", "expedited")]);
}

fn r7_4_int_and_stop_during_the_wait() {
    let mut kid = Kid::new("admin_draining").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    kid.signal(libc::SIGINT);
    kid.end().died_by(libc::SIGINT).said("flushed");
    let mut kid = Kid::new("admin_draining").env("GS_STOP", "1").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    let end = kid.end().code(0).said("flushed");
    assert_eq!(prestop_kinds(&end), [pair("prestop", "started"), pair("stop", "recorded")]);
}
