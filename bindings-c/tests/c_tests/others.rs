//! Bad input, life of handles and data, fork, work in flight, dlopen, C++.

use std::fs;

use libc::{SIGABRT, SIGTERM};

use crate::Test;
use crate::child::{End, start, start_with};
use crate::kit::Kit;

/// A program that checks itself and says `ok`.
fn checked(program: &'static str, scenario: &'static str) -> Test {
    Test::new(format!("{program}_{scenario}"), move |k| {
        start(k, program, scenario).end().code(0).said(&["ok"]);
    })
    .everywhere()
}

pub fn tests() -> Vec<Test> {
    let mut list: Vec<Test> =
        ["nulls", "times", "text", "structs", "config", "disagree"].into_iter().map(|s| checked("bad_input", s)).collect();
    list.extend(["run_hooks", "unrun_hooks", "closed"].into_iter().map(|s| checked("life", s)));
    list.push(checked("inflight", "layout"));
    list.extend([
        Test::new("versions", |k| {
            let version = concat!("version ", env!("CARGO_PKG_VERSION"));
            start(k, "bad_input", "versions").end().code(0).said(&[version]);
        }),
        Test::new("a_typo_in_the_file_names_key_value_and_the_nearest", typo),
        Test::new("fork", |k| {
            let mut c = start(k, "life", "forks");
            let e = c.ready().kill(SIGTERM).end();
            e.code(0).said(&["hook flush/child's", "ready", "hook flush/parent's"]);
            assert_eq!(e.lines.iter().filter(|l| l.contains("parent's")).count(), 1, "{e:#?}");
        })
        .everywhere(),
        Test::new("drain_waits_for_threads", |k| {
            let e = start(k, "inflight", "threads").ready().pause(50).kill(SIGTERM).end();
            e.code(0).outcome("clean").said(&["accepted some"]).hook_was("inflight", "ok").within(200);
            assert_eq!(e.report["in_flight"]["at_drain_end"], 0, "{e:#?}");
        })
        .everywhere(),
        Test::new("a_unit_may_leave_on_another_thread", |k| {
            let e = start(k, "inflight", "one").ready().kill(SIGTERM).end();
            e.code(0).said(&["left", "hook flush/b"]).within(400);
            assert_eq!(e.report["in_flight"]["at_drain_start"], 1, "{e:#?}");
        })
        .everywhere(),
        Test::new("work_that_never_leaves_holds_up_no_longer_than_drain", |k| {
            let e = start(k, "inflight", "leak").ready().kill(SIGTERM).end();
            e.code(1).outcome("degraded").said(&["hook flush/b"]).within(1500);
            assert_eq!(e.report["in_flight"]["at_drain_end"], 1, "{e:#?}");
        }),
        Test::new("dlopen_pins_and_is_not_interposed", |k| {
            let library = k.folder.join("libgraceshut.so.0");
            let e = start_with(k, "loaded", &[library.to_str().unwrap()], &[]).ready().kill(SIGTERM).end();
            e.code(0).said(&["hook ran"]);
        }),
        Test::new("cpp_wrapper", |k| {
            let e = start(k, "raii", "checks").end();
            e.code(0).said(&["ok"]);
            let report = e.lines.iter().find(|l| l.starts_with('{')).unwrap();
            for words in ["no disk", "an exception that is no std::exception", "the completion was dropped", "\"cancelled\""] {
                assert!(report.contains(words), "{words}: {report}");
            }
        })
        .everywhere(),
        Test::new("cpp_waits_and_static_destructors_run", |k| {
            let e = start_with(k, "raii", &["serves"], &[("SAY_DESTRUCTOR", "1")]).ready().kill(SIGTERM).end();
            e.code(0).said(&["hook b", "code 0", "static destructor"]);
        })
        .everywhere(),
        Test::new("cpp_uncaught_exception_aborts_and_runs_nothing", |k| {
            start(k, "raii", "uncaught").end().left(End::Signal(SIGABRT)).silent("hook b");
        }),
    ]);
    list
}

fn typo(k: &Kit) {
    let file = k.folder.join("typo.toml");
    fs::write(&file, "grace = \"20s\"\nrepaet = \"expedite\"\n").unwrap();
    let e = start_with(k, "bad_input", &["config_file"], &[("GRACESHUT_CONFIG", file.to_str().unwrap())]).end();
    e.code(0);
    let words = e.lines.iter().find(|l| l.starts_with("words ")).unwrap();
    for part in ["repaet", "repeat", "typo.toml"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}
