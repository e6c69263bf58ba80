//! Spec 7: repeated signals.

use crate::harness::*;

crate::suite!("repeat",
    tests: [
        r7_1_duplicates_within_500_ms,
        r7_1_a_signal_the_process_sent_itself_is_a_duplicate,
        r7_2_second_signal_keeps_the_reserves,
        r7_2_second_signal_lets_a_reserved_phase_go_on,
        r7_2_third_signal_leaves_at_once,
        r7_3_interactive_leaves_at_the_second,
        r7_3_orchestrated_ignores_a_second_term,
    ],
    children: [service, reserved, raising]);

fn service() {
    let repeat = match arg("GS_REPEAT").as_str() {
        "interactive" => Repeat::Interactive,
        "orchestrated" => Repeat::Orchestrated,
        _ => Repeat::Expedite,
    };
    let gs = install(Options { repeat: Some(repeat), ..grace(6000) }).unwrap();
    gs.hook("drain", "slow")
        .run(|ctx| {
            say("draining");
            let result = ctx.sleep(ms(2000));
            say(if result.is_err() { "cancelled" } else { "drained" });
            result
        })
        .unwrap();
    saying(&gs, "flush", "flushed");
    let (_, unreserved) = (0, "announce");
    saying(&gs, unreserved, "announced");
    saying(&gs, "final", "final");
    serve(&gs);
}

fn r7_1_duplicates_within_500_ms() {
    let mut kid = Kid::new("service").ready();
    kid.term();
    kid.wait_for("draining");
    kid.term().signal(libc::SIGINT).signal(libc::SIGHUP);
    let end = kid.end().code(0).said("drained").said("final");
    let report = end.report();
    let triggers = report["triggers"].as_array().unwrap();
    assert!(triggers.len() >= 3 && triggers[1..].iter().all(|t| t["action"] == "duplicate"), "{triggers:?}");
}

fn raising() {
    let gs = install(grace(6000)).unwrap();
    gs.hook("drain", "d")
        .run(|ctx| {
            ctx.sleep(ms(700))?;
            unsafe {
                libc::raise(libc::SIGTERM);
                libc::kill(libc::getpid(), libc::SIGTERM);
            }
            ctx.sleep(ms(100))
        })
        .unwrap();
    serve(&gs);
}

fn r7_1_a_signal_the_process_sent_itself_is_a_duplicate() {
    let mut kid = Kid::new("raising").ready();
    kid.term();
    let report = kid.end().code(0).report();
    assert_eq!(outcome(&report, "d"), "ok");
    assert!(report["triggers"].as_array().unwrap()[1..].iter().all(|t| t["action"] == "duplicate"));
}

/// TERM, and another one 600 ms later.
fn twice(child: &str, repeat: &str) -> Running {
    let mut kid = Kid::new(child).env("GS_REPEAT", repeat).ready();
    kid.term();
    kid.wait_for("ing");
    std::thread::sleep(ms(600));
    kid.term();
    kid
}

fn r7_2_second_signal_keeps_the_reserves() {
    let end = twice("service", "").end().code(143).said("cancelled").said("flushed").said("final");
    let report = end.report();
    assert_eq!(report["outcome"], "forced");
    assert_eq!(report["triggers"][1]["action"], "expedited");
    assert_eq!(outcome(&report, "slow"), "cancelled");
    end.within(ms(0), ms(100));
}

fn reserved() {
    let gs = install(grace(6000)).unwrap();
    gs.hook("flush", "slow")
        .run(|ctx| {
            say("flushing");
            if ctx.wait_cancelled(ms(1000)) {
                say("cancelled");
            }
            Ok(())
        })
        .unwrap();
    hanging(&gs, "final", "final");
    serve(&gs);
}

fn r7_2_second_signal_lets_a_reserved_phase_go_on() {
    // B 5.82 s: flush is promised 1.164 s and final 0.291 s.
    let end = twice("reserved", "").end().code(143).silent("cancelled").said("final hangs");
    let report = end.report();
    assert_eq!(outcome(&report, "slow"), "ok");
    assert_eq!(outcome(&report, "final"), "abandoned");
    end.within(ms(600), ms(1000));
}

fn r7_2_third_signal_leaves_at_once() {
    let mut kid = Kid::new("reserved").ready();
    kid.term();
    kid.wait_for("flushing");
    std::thread::sleep(ms(550));
    kid.term();
    std::thread::sleep(ms(520));
    if kid.is_alive() {
        kid.signal(libc::SIGINT);
        let end = kid.end();
        let late = end.report()["triggers"].as_array().unwrap().iter().filter(|t| t["action"] == "left").count();
        assert_eq!(late, 1);
        end.code(130).within(ms(0), ms(50));
    }
}

fn r7_3_interactive_leaves_at_the_second() {
    let end = twice("service", "interactive").end().code(143).silent("flushed").silent("final");
    let report = end.report();
    assert_eq!(report["outcome"], "forced");
    assert_eq!(outcome(&report, "flushed"), "skipped");
    end.within(ms(0), ms(100));
}

fn r7_3_orchestrated_ignores_a_second_term() {
    let report = twice("service", "orchestrated").end().code(0).said("drained").said("flushed").report();
    assert_eq!(report["triggers"][1]["action"], "ignored");
}
