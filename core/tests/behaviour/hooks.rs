//! Spec 6.1, 8.1 to 8.4, 8.6, 11.2: registering, contexts, completion.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use graceshut::{BoxFuture, Completion, ErrorKind, HookError, Removal};

use crate::harness::*;

crate::suite!("hooks",
    tests: [
        r8_1_remove_says_removed_running_or_done,
        r8_2_registration_during_the_shutdown,
        r6_1_panics_and_errors_are_outcomes,
        r6_2_optional_hooks_do_not_count,
        r4_4_after_orders_hooks,
        r4_3_serial_runs_the_last_registered_first,
        r8_4_completion_from_another_thread_or_none,
        r8_4_futures,
        r8_4_the_tokio_example,
        r5_5_cancel_callbacks_and_sleep,
        r8_6_a_stop_inside_a_hook_cannot_deadlock,
        r3_3_user_code_under_no_lock,
        r11_2_events_reach_a_callback,
    ],
    children: [removing, registering, outcomes, optional, ordered, serial, completing, futures, on_tokio, cancelling, stop_inside, calls_back, events]);

fn removing() {
    let gs = install(grace(3000)).unwrap();
    let gone = gs
        .hook("flush", "gone")
        .run(|_| {
            say("must not run");
            Ok(())
        })
        .unwrap();
    assert_eq!(gone.remove().unwrap(), Removal::Removed);
    assert_eq!(gone.remove().unwrap(), Removal::Done);
    let early = gs.hook("announce", "early").run(|_| Ok(())).unwrap();
    let later = gs
        .hook("close", "later")
        .run(|_| {
            say("must not run");
            Ok(())
        })
        .unwrap();
    let own: Arc<Mutex<Option<graceshut::HookHandle>>> = Arc::default();
    let me = Arc::clone(&own);
    let handle = gs
        .hook("drain", "self")
        .run(move |_| {
            until("my own handle", || me.lock().unwrap().is_some());
            assert_eq!(me.lock().unwrap().as_ref().unwrap().remove().unwrap(), Removal::Running);
            assert_eq!(early.remove().unwrap(), Removal::Done);
            assert_eq!(later.remove().unwrap(), Removal::Removed);
            Ok(())
        })
        .unwrap();
    *own.lock().unwrap() = Some(handle);
    serve(&gs);
}

fn terminated(child: &str) -> Ended {
    let mut kid = Kid::new(child).ready();
    kid.term();
    kid.end()
}

fn r8_1_remove_says_removed_running_or_done() {
    terminated("removing").code(0).silent("must not run");
}

fn registering() {
    let gs = install(grace(3000)).unwrap();
    let inner = gs.clone();
    gs.hook("drain", "first")
        .run(move |_| {
            let late = inner.hook("announce", "late").run(|_| Ok(())).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::TooLate);
            assert!(late.message().contains("\"announce\" is already over"), "{late}");
            saying(&inner, "drain", "beside");
            saying(&inner, "final", "later");
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r8_2_registration_during_the_shutdown() {
    let end = terminated("registering").code(0).said("beside").said("later");
    assert_eq!(outcome(&end.report(), "first"), "ok");
}

fn outcomes() {
    let gs = install(grace(3000)).unwrap();
    gs.hook("drain", "panics").run(|_| panic!("with {} words", 2)).unwrap();
    gs.hook("drain", "fails").run(|_| Err(HookError::failed("my words"))).unwrap();
    gs.hook("drain", "io")
        .run(|_| {
            std::fs::read("/no/such/file")?;
            Ok(())
        })
        .unwrap();
    gs.hook("drain", "gives up").run(|_| Err(HookError::Cancelled)).unwrap();
    gs.hook("drain", "starts and panics").start(|_, _| panic!("at start")).unwrap();
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r6_1_panics_and_errors_are_outcomes() {
    let report = terminated("outcomes").code(1).said("flushed").report();
    let row = |name| {
        let h = hook(&report, name);
        (h["outcome"].as_str().unwrap(), h["panic"].as_bool().unwrap(), h["message"].as_str().unwrap_or(""))
    };
    assert_eq!(row("panics"), ("failed", true, "with 2 words"));
    assert_eq!(row("fails"), ("failed", false, "my words"));
    assert!(row("io").2.contains("No such file"));
    // Nothing cancelled it here, so the cause is the program's own.
    assert_eq!(
        row("gives up"),
        ("cancelled", false, "cancelled by something else in the program: graceshut had not asked it to end")
    );
    assert_eq!(row("starts and panics"), ("failed", true, "at start"));
}

fn optional() {
    let gs = install(grace(3000)).unwrap();
    gs.hook("drain", "o").optional(true).run(|_| Err(HookError::failed("x"))).unwrap();
    serve(&gs);
}

fn r6_2_optional_hooks_do_not_count() {
    assert_eq!(outcome(&terminated("optional").code(0).report(), "o"), "failed");
}

fn ordered() {
    let gs = install(grace(3000)).unwrap();
    gs.hook("flush", "c")
        .after("b")
        .run(|_| {
            say("order c");
            Ok(())
        })
        .unwrap();
    gs.hook("flush", "b")
        .after("a")
        .after("nobody")
        .run(|_| {
            say("order b");
            Err(HookError::failed("still"))
        })
        .unwrap();
    gs.hook("flush", "a")
        .run(|ctx| {
            ctx.sleep(ms(50))?;
            say("order a");
            Ok(())
        })
        .unwrap();
    assert_eq!(gs.hook("flush", "a").after("c").run(|_| Ok(())).unwrap_err().kind(), ErrorKind::Cycle);
    serve(&gs);
}

fn r4_4_after_orders_hooks() {
    let end = terminated("ordered").code(1);
    let order: Vec<&str> = end.said.iter().filter_map(|l| l.strip_prefix("order ")).collect();
    assert_eq!(order, ["a", "b", "c"]);
    assert!(end.report()["warnings"].to_string().contains("\\\"b\\\" runs after a name"), "{}", end.report()["warnings"]);
}

fn serial() {
    let gs = install(grace(3000)).unwrap();
    for name in ["order 1", "order 2", "order 3"] {
        saying(&gs, "close", name);
    }
    serve(&gs);
}

fn r4_3_serial_runs_the_last_registered_first() {
    let end = terminated("serial").code(0);
    let order: Vec<&String> = end.said.iter().filter(|l| l.starts_with("order")).collect();
    assert_eq!(order, ["order 3", "order 2", "order 1"]);
}

fn completing() {
    let gs = install(grace(3000)).unwrap();
    let later = |delay, result: Result<(), HookError>| {
        move |_: graceshut::Context, c: Completion| {
            std::thread::spawn(move || {
                std::thread::sleep(ms(delay));
                c.finish(result);
            });
        }
    };
    gs.hook("drain", "thread").start(later(100, Ok(()))).unwrap();
    gs.hook("drain", "thread fails").start(later(10, Err(HookError::failed("far away")))).unwrap();
    gs.hook("drain", "dropped").start(|_, c| drop(c)).unwrap();
    gs.hook("drain", "thread panics")
        .start(|_, c| {
            drop(std::thread::spawn(move || {
                let _c = c;
                panic!("over there")
            }));
        })
        .unwrap();
    gs.hook("drain", "never").timeout(ms(300)).start(|_, c| std::mem::forget(c)).unwrap();
    serve(&gs);
}

fn r8_4_completion_from_another_thread_or_none() {
    let end = terminated("completing").code(1);
    let report = end.report();
    let row = |name| (outcome(&report, name), hook(&report, name)["message"].as_str().unwrap_or(""));
    assert_eq!(row("thread"), ("ok", ""));
    assert!(hook(&report, "thread")["used_us"].as_u64().unwrap() >= 99_000);
    assert_eq!(row("thread fails"), ("failed", "far away"));
    assert_eq!(row("dropped"), ("failed", "the hook was dropped before it completed"));
    assert_eq!(row("thread panics"), ("failed", "the hook panicked before it completed"));
    assert_eq!(hook(&report, "thread panics")["panic"], true);
    assert_eq!(row("never").0, "abandoned");
}

/// An executor in ten lines: polls each future on a thread of its own.
fn spawn(future: BoxFuture) {
    use std::task::{Context, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    std::thread::spawn(move || {
        let mut future = future;
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            std::thread::park();
        }
    });
}

fn futures() {
    let gs = install(grace(3000)).unwrap();
    gs.hook("drain", "async")
        .future(spawn, |ctx| async move {
            assert_eq!(ctx.name(), "async");
            Ok(())
        })
        .unwrap();
    gs.hook("drain", "async fails").future(spawn, |_| async { Err(HookError::failed("awaited")) }).unwrap();
    gs.hook("drain", "async panics").future(spawn, |_| async { panic!("async") }).unwrap();
    gs.hook("drain", "never spawned").future(drop, |_| async { Ok(()) }).unwrap();
    serve(&gs);
}

fn r8_4_futures() {
    let report = terminated("futures").code(1).report();
    assert_eq!(outcome(&report, "async"), "ok");
    assert_eq!(hook(&report, "async fails")["message"], "awaited");
    assert_eq!(hook(&report, "async panics")["panic"], true);
    assert_eq!(outcome(&report, "never spawned"), "failed");
}

#[path = "../../examples/tokio.rs"]
#[allow(dead_code)]
mod tokio_example;

/// The example itself, as a child of this binary.
fn on_tokio() {
    tokio_example::run().unwrap();
}

fn r8_4_the_tokio_example() {
    use std::io::{Read, Write};
    let mut kid = Kid::new("on_tokio").start();
    let address = kid.wait_for("listening on ").rsplit(' ').next().unwrap().to_owned();
    kid.wait_for("ready");
    let mut open = std::net::TcpStream::connect(&address).unwrap();
    open.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = [0; 4];
    open.write_all(b"ping").unwrap();
    open.read_exact(&mut answer).unwrap();
    kid.term();
    // In flight, so still served; a new one is closed unanswered once the drain has begun.
    until("the refusal", || {
        let mut new = std::net::TcpStream::connect(&address).unwrap();
        new.set_read_timeout(Some(LIMIT)).unwrap();
        // Reset or closed: both are an answer of nothing.
        let _ = new.write_all(b"x");
        new.read(&mut [0]).unwrap_or(0) == 0
    });
    open.write_all(b"pong").unwrap();
    open.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"pong");
    drop(open);
    let end = kid.end().code(0).said("flushed, Some");
    let report = end.report();
    assert_eq!(outcome(&report, "buffers"), "ok");
    // One of the probes may have been early enough to be counted as well.
    assert!(report["in_flight"]["at_drain_start"].as_u64() >= Some(1), "{report:#}");
    assert_eq!(report["in_flight"]["at_drain_end"], 0);
}

fn cancelling() {
    let gs = install(grace(3000)).unwrap();
    gs.hook("drain", "c")
        .timeout(ms(200))
        .run(|ctx| {
            ctx.on_cancel(|| {
                say("callback");
                std::thread::sleep(ms(50))
            });
            ctx.on_cancel(|| panic!("callback panics"));
            ctx.on_cancel_inline(|| panic!("inline panics"));
            ctx.on_cancel_inline(|| say("inline"));
            let since = Instant::now();
            let result = ctx.sleep(ms(60_000));
            assert!(since.elapsed() < ms(190), "{:?}", since.elapsed());
            assert!(ctx.cancelled() && ctx.sleep(ms(60_000)).is_err());
            ctx.on_cancel_inline(|| say("at once"));
            result
        })
        .unwrap();
    saying(&gs, "final", "final");
    serve(&gs);
}

fn r5_5_cancel_callbacks_and_sleep() {
    let end = terminated("cancelling").code(1).said("callback").said("inline panics").said("at once").said("final");
    assert_eq!(outcome(&end.report(), "c"), "cancelled");
}

fn stop_inside() {
    let gs = install(grace(3000)).unwrap();
    let inner = gs.clone();
    gs.hook("drain", "s")
        .run(move |_| {
            inner.stop("from inside", Some(ms(1000))).unwrap();
            inner.reload().unwrap();
            let _ = (inner.state(), inner.status(), inner.plan(), inner.reason(), inner.handlers(), inner.report());
            inner.host_end(None, 0).unwrap();
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r8_6_a_stop_inside_a_hook_cannot_deadlock() {
    let end = terminated("stop_inside").code(0).within(ms(0), ms(50));
    assert_eq!(end.report()["triggers"].as_array().unwrap().len(), 3);
}

struct CallsBack(graceshut::Runtime);

impl Drop for CallsBack {
    fn drop(&mut self) {
        let _ = (self.0.state(), self.0.hook("final", "from a destructor").run(|_| Ok(())));
        say("dropped");
    }
}

fn calls_back() {
    let gs = install(Options { exit: Some(Exit::Manual), ..grace(3000) }).unwrap();
    // Destructors of what hooks own, in every place where one may run.
    let held = CallsBack(gs.clone());
    gs.hook("nowhere", "refused")
        .run(move |_| {
            drop(held);
            Ok(())
        })
        .unwrap_err();
    let held = CallsBack(gs.clone());
    gs.hook("flush", "removed")
        .run(move |_| {
            drop(held);
            Ok(())
        })
        .unwrap()
        .remove()
        .unwrap();
    let held = CallsBack(gs.clone());
    gs.hook("flush", "run")
        .run(move |_| {
            let _ = &held;
            Ok(())
        })
        .unwrap();
    gs.stop("x", None).unwrap();
    gs.wait(Some(ms(5000))).unwrap();
    let held = CallsBack(gs.clone());
    gs.hook("flush", "too late")
        .run(move |_| {
            let _ = &held;
            Ok(())
        })
        .unwrap_err();
    gs.uninstall().unwrap();
    let gs = install(Options { exit: Some(Exit::Manual), ..grace(3000) }).unwrap();
    let held = CallsBack(gs.clone());
    gs.hook("flush", "never")
        .run(move |_| {
            let _ = &held;
            Ok(())
        })
        .unwrap();
    gs.uninstall().unwrap();
    say("fine");
}

fn r3_3_user_code_under_no_lock() {
    let end = Kid::new("calls_back").end().code(0).said("fine");
    assert_eq!(end.said.iter().filter(|l| *l == "dropped").count(), 5);
}

fn events() {
    let gs = install(Options { exit: Some(Exit::Manual), ..grace(3000) }).unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (list, last) = (Arc::clone(&seen), Arc::new(AtomicU32::new(0)));
    let done = Arc::clone(&last);
    gs.on_event(|_| panic!("a callback that panics")).unwrap();
    gs.on_event(move |e| {
        list.lock().unwrap().push(e.to_json());
        done.fetch_max(u32::from(e.event == "finished"), SeqCst);
    })
    .unwrap();
    gs.hook("drain", "h")
        .run(|ctx| {
            ctx.sleep(ms(20))?;
            ctx.log("a line");
            ctx.progress(1, 2);
            Ok(())
        })
        .unwrap();
    gs.stop("x", None).unwrap();
    gs.wait(None).unwrap();
    until("the last event", || last.load(SeqCst) == 1);
    for line in seen.lock().unwrap().iter() {
        say(line);
    }
    gs.uninstall().unwrap();
}

fn r11_2_events_reach_a_callback() {
    let end = Kid::new("events").end().code(0);
    let events: Vec<serde_json::Value> =
        end.said.iter().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect();
    let find = |word: &str| events.iter().find(|e| e["event"] == word).unwrap_or_else(|| panic!("no {word} in {events:#?}"));
    for word in ["trigger", "phase_start", "hook_start", "hook_end", "phase_end", "finished"] {
        find(word);
    }
    assert_eq!((find("log")["message"].as_str(), find("log")["hook"].as_str()), (Some("a line"), Some("h")));
    assert_eq!((find("progress")["value"].as_u64(), find("progress")["total"].as_u64()), (Some(1), Some(2)));
    assert!(find("log")["at_us"].as_u64().unwrap() >= 20_000, "events of the moment know the time too");
}
