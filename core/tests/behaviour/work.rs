//! Spec 9: work in flight.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use graceshut::InFlight;

use crate::harness::*;

crate::suite!("work",
    tests: [
        r9_1_enter_is_refused_from_drain_on,
        r9_3_drain_ends_at_zero_at_once,
        r9_3_what_is_left_is_counted,
        r9_2_threads_enter_and_leave_while_draining,
        r9_1_named_groups,
    ],
    children: [serving, finishing, left_over, storm, groups]);

fn terminated(child: &str) -> Ended {
    let mut kid = Kid::new(child).ready();
    kid.term();
    kid.end()
}

fn serving() {
    let gs = install(grace(4000)).unwrap();
    let work = gs.inflight();
    let (early, part) = (work.enter().unwrap(), work);
    gs.hook("announce", "a")
        .run(move |_| {
            assert!(part.enter().is_some() && part.page().word() == 1);
            Ok(())
        })
        .unwrap();
    gs.hook("drain", "d")
        .run(move |_| {
            assert!(part.enter().is_none() && part.page().word() == 2);
            drop((early.enter(), early));
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r9_1_enter_is_refused_from_drain_on() {
    let report = terminated("serving").code(0).report();
    assert_eq!((outcome(&report, "a"), outcome(&report, "d")), ("ok", "ok"));
    assert_eq!(
        (report["in_flight"]["at_drain_start"].as_u64(), report["in_flight"]["at_drain_end"].as_u64()),
        (Some(1), Some(0))
    );
}

fn finishing() {
    let gs = install(grace(6000)).unwrap();
    let guard = gs.inflight().enter().unwrap();
    let stopping = gs.clone();
    std::thread::spawn(move || {
        until("draining", || stopping.inflight().page().word() == 2);
        std::thread::sleep(ms(300));
        drop(guard);
    });
    serve(&gs);
}

fn r9_3_drain_ends_at_zero_at_once() {
    let report = terminated("finishing").code(0).report();
    let used = hook(&report, "inflight")["used_us"].as_u64().unwrap();
    assert!((299_000..500_000).contains(&used), "{used}");
}

fn left_over() {
    let gs = install(grace(1000)).unwrap();
    let _two = (gs.inflight().enter().unwrap(), InFlight::group("jobs").unwrap().enter().unwrap());
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r9_3_what_is_left_is_counted() {
    let end = terminated("left_over").code(1).said("flushed");
    let report = end.report();
    assert_eq!(outcome(&report, "inflight"), "abandoned");
    assert_eq!(
        (report["in_flight"]["at_drain_start"].as_u64(), report["in_flight"]["at_drain_end"].as_u64()),
        (Some(2), Some(2))
    );
}

fn storm() {
    let gs = install(grace(6000)).unwrap();
    static OPEN: AtomicU64 = AtomicU64::new(0);
    static AFTER: AtomicBool = AtomicBool::new(false);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let work = gs.inflight();
            std::thread::spawn(move || {
                while let Some(guard) = work.enter() {
                    OPEN.fetch_add(1, SeqCst);
                    assert!(!AFTER.load(SeqCst), "work began after the drain was over");
                    let part = guard.enter();
                    // Left on another thread now and then.
                    if OPEN.load(SeqCst).is_multiple_of(1024) {
                        std::thread::spawn(move || {
                            OPEN.fetch_sub(1, SeqCst);
                            drop((part, guard))
                        })
                        .join()
                        .unwrap();
                    } else {
                        OPEN.fetch_sub(1, SeqCst);
                        drop((part, guard));
                    }
                }
            })
        })
        .collect();
    gs.hook("flush", "f")
        .run(move |_| {
            AFTER.store(true, SeqCst);
            assert_eq!(OPEN.load(SeqCst), 0, "drain ended before the work");
            threads.into_iter().for_each(|t| t.join().unwrap());
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r9_2_threads_enter_and_leave_while_draining() {
    for _ in 0..5 {
        let mut kid = Kid::new("storm").ready();
        kid.term();
        let end = kid.end();
        assert_eq!(outcome(&end.report(), "f"), "ok", "{:#?}", end.said);
        assert_eq!(end.report()["in_flight"]["at_drain_end"], 0);
        end.code(0);
    }
}

fn groups() {
    let gs = install(Options { inflight: Some(false), ..grace(3000) }).unwrap();
    let jobs = InFlight::group("jobs").unwrap();
    let guard = jobs.enter().unwrap();
    let _never = InFlight::group("other").unwrap().enter().unwrap();
    gs.hook("drain", "jobs").inflight("jobs").unwrap();
    gs.hook("drain", "ends")
        .run(move |ctx| {
            ctx.sleep(ms(100))?;
            drop(guard);
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r9_1_named_groups() {
    let end = terminated("groups").code(0).within(ms(95), ms(100));
    assert_eq!(outcome(&end.report(), "jobs"), "ok");
}
