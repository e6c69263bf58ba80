//! Rule 8.7: from the trigger to the end the engine allocates nothing that was not set aside at registration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use graceshut::config::{NormalGrace, Repeat};
use graceshut::engine::{
    Command, Ending, Engine, Event, HookId, HookSpec, Kind, Reason, ReasonKind, Settings, ShutdownOutcome,
};
use graceshut::plan::{Order, PhasePatch};
use sim::bench::*;

/// Counts what the measuring thread allocates while it measures.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<Option<usize>> = const { Cell::new(None) };
}

fn count() {
    ALLOCATIONS.with(|n| n.set(n.get().map(|n| n + 1)));
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches a thread-local cell only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.realloc(ptr, layout, new) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn allocations(f: impl FnOnce()) -> usize {
    ALLOCATIONS.with(|n| n.set(Some(0)));
    f();
    ALLOCATIONS.with(|n| n.replace(None)).unwrap()
}

/// How the hooks of a phase end, by turns.
fn act(engine: &mut Engine, id: HookId, now: u64, endings: &mut Vec<Ending>) {
    match id.0 % 6 {
        0 | 1 => {
            engine.handle(Event::Begun(id), at(now));
            engine.handle(Event::Done(id, Ending::Ok, None), at(now));
        }
        2 => {
            engine.handle(Event::Begun(id), at(now));
            // The words of a failing hook come from outside, allocated by its lane.
            engine.handle(Event::Done(id, endings.pop().unwrap(), Some(3)), at(now));
        }
        3 => {} // never begins
        _ => {
            engine.handle(Event::Begun(id), at(now)); // never ends: cancelled, then abandoned
            engine.extend(id, Duration::from_millis(5), at(now));
            engine.extend(id, Duration::from_millis(5), at(now));
        }
    }
}

fn drive(engine: &mut Engine, endings: &mut Vec<Ending>, extra: &mut Vec<(u64, Event)>) {
    let mut now = 0;
    while engine.finished().is_none() || engine.has_commands() {
        while let Some(command) = engine.next_command() {
            match command {
                Command::Start(id) => act(engine, id, now, endings),
                Command::CountInFlight(point) => engine.note_in_flight(point, 1, at(now)),
                Command::Abandon(id) if id.0 % 12 == 5 => engine.handle(Event::Done(id, Ending::Ok, None), at(now)),
                _ => {}
            }
        }
        while extra.last().is_some_and(|(when, _)| *when <= now) {
            let (_, event) = extra.pop().unwrap();
            engine.handle(event, at(now));
        }
        now += 1;
        if engine.next_deadline() <= at(now) {
            engine.handle(Event::Tick, at(now));
        }
        assert!(now < 400_000, "it never ends");
    }
}

fn engine(settings: Settings, hooks: u32, held: bool) -> Engine {
    let mut engine = Engine::new(settings, held);
    for k in 0..hooks {
        let phase = (k % 5) as usize;
        let kind = [Kind::NATIVE, Kind::HOST, Kind::EXEC, Kind::delay(ms(3)), Kind::INFLIGHT][(k / 5 % 5) as usize];
        let after = if k % 4 == 1 {
            vec![format!("n{}", k - 1), format!("n{}", k.saturating_sub(6)), "nobody".into()]
        } else {
            Vec::new()
        };
        let timeout = (k % 3 == 0).then(|| ms(50 + u64::from(k)));
        let spec = HookSpec { phase, name: format!("n{k}"), timeout, after, optional: k % 7 == 0, kind };
        engine.register(spec, at(0)).unwrap();
    }
    engine
}

fn endings() -> Vec<Ending> {
    (0..300).map(|_| Ending::Failed { message: "the disk is full".to_owned(), panic: false }).collect()
}

fn signal(n: u64, signo: i32) -> (u64, Event) {
    (n, Event::Signal { signo, at: at(n), sender: None, self_sent: false, grace: None })
}

fn measure(mut engine: Engine, first: Event, mut extra: Vec<(u64, Event)>) -> (usize, Engine) {
    let mut endings = endings();
    extra.reverse();
    let n = allocations(|| {
        engine.handle(first, at(0));
        drive(&mut engine, &mut endings, &mut extra);
    });
    (n, engine)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn two_hundred_hooks_in_all_phases_cost_no_allocation() {
    let serial = PhasePatch { order: Some(Order::Serial), ..PhasePatch::default() };
    for settings in [settings(), with_phases(&[("drain", serial)])] {
        let (n, engine) = measure(engine(settings, 200, false), signal(0, TERM).1, Vec::new());
        assert_eq!(engine.hook_ids().filter(|id| engine.outcome_of(*id).is_none()).count(), 0);
        assert!(engine.records().iter().any(|r| matches!(r.what, graceshut::engine::What::HookCancel(_))));
        assert_eq!(n, 0, "allocations from the trigger to the end");
    }
}

#[test]
fn nor_do_triggers_with_words_floods_and_a_d_that_keeps_moving() {
    let mut extra = Vec::new();
    for k in 0..2000 {
        let grace = Some(ms(9000 - k));
        extra.push((
            k / 4,
            Event::Trigger {
                reason: Reason::new(ReasonKind::Stop, Some("again".into())),
                at: at(k / 4),
                grace,
                host_code: None,
            },
        ));
        extra.push(signal(k / 4, TERM));
    }
    extra.push(signal(700, TERM));
    extra.push(signal(1300, TERM));
    extra.push(signal(2000, TERM));
    extra.sort_by_key(|(when, _)| *when);
    let first = Event::Trigger {
        reason: Reason::new(ReasonKind::Stop, Some("deployment".into())),
        at: at(0),
        grace: None,
        host_code: None,
    };
    for held in [false, true] {
        let grace_normal = NormalGrace::Unlimited;
        let settings = Settings { grace_normal, systemd_extend: true, repeat: Repeat::Expedite, ..settings() };
        let (n, engine) = measure(engine(settings, 200, held), first.clone(), extra.clone());
        assert_eq!(engine.finished().unwrap().0, ShutdownOutcome::Forced);
        assert_eq!(n, 0);
    }
}

#[test]
fn nor_does_a_hook_that_extends_in_a_loop() {
    let mut engine = engine(Settings { systemd_extend: true, ..settings() }, 3, false);
    engine.handle(signal(0, TERM).1, at(0));
    engine.handle(Event::Begun(HookId(0)), at(0));
    let n = allocations(|| {
        for k in 0..10_000 {
            engine.extend(HookId(0), ms(1), at(0).plus(Duration::from_micros(k)));
            while engine.next_command().is_some() {}
        }
    });
    assert_eq!(n, 0);
}

#[test]
fn nor_does_an_engine_without_hooks() {
    let (n, _) = measure(Engine::new(settings(), true), signal(0, TERM).1, vec![signal(600, TERM), signal(1200, TERM)]);
    assert_eq!(n, 0);
}

#[test]
fn nor_do_a_closed_host_and_a_re_base() {
    let (n, engine) = measure(engine(settings(), 200, false), signal(0, TERM).1, vec![(3, Event::HostClosed)]);
    assert!(engine.finished().is_some());
    assert_eq!(n, 0);
    let mut engine = self::engine(settings(), 200, false);
    let mut endings = endings();
    let n = allocations(|| {
        engine.handle(signal(0, TERM).1, at(0));
        engine.handle(Event::Tick, at(60_000));
        while let Some(command) = engine.next_command() {
            if let Command::Start(id) = command {
                act(&mut engine, id, 60_000, &mut endings);
            }
        }
        engine.handle(Event::Tick, at(90_000));
    });
    assert!(engine.finished().is_some());
    assert_eq!(n, 0);
}
