//! Bad input, life of handles and data, fork, work in flight, dlopen, C++.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use libc::{SIGABRT, SIGINT, SIGTERM};

use crate::Test;
use crate::child::{End, start, start_with};
use crate::kit::{How, Kit, here};

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
    list.extend(["quiet", "queue", "bad"].into_iter().map(|s| checked("listener", s)));
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
        .everywhere()
        // gcc 12's AddressSanitizer does not look after its own allocator's locks at fork: the child of a program with
        // threads may wait for ever inside libasan. Seen in gdb under load, in `free` with leak checking off as here (run 99)
        // and in the leak checker with it on (run 64). Without the sanitizer, and under valgrind, the test runs.
        .never(How::Asan),
        Test::new("drain_waits_for_threads", |k| {
            let e = start(k, "inflight", "threads").ready().pause(50).kill(SIGTERM).end();
            e.code(0).outcome("clean").said(&["accepted some"]).hook_was("inflight", "ok").within(200);
            assert!(!e.reported() || e.report["in_flight"]["at_drain_end"] == 0, "{e:?}");
        })
        .everywhere(),
        Test::new("a_unit_may_leave_on_another_thread", |k| {
            let e = start(k, "inflight", "one").ready().kill(SIGTERM).end();
            e.code(0).said(&["left", "hook flush/b"]).within(400);
            assert!(!e.reported() || e.report["in_flight"]["at_drain_start"] == 1, "{e:?}");
        })
        .everywhere(),
        Test::new("work_that_never_leaves_holds_up_no_longer_than_drain", |k| {
            let e = start(k, "inflight", "leak").ready().kill(SIGTERM).end();
            e.code(1).outcome("degraded").said(&["hook flush/b"]).within(1500);
            assert!(!e.reported() || e.report["in_flight"]["at_drain_end"] == 1, "{e:?}");
        }),
        Test::new("dlopen_pins_and_is_not_interposed", |k| {
            let library = k.folder.join("libgraceshut.so.0");
            let e = start_with(k, "loaded", &[library.to_str().unwrap()], &[]).ready().kill(SIGTERM).end();
            e.code(0).said(&["hook ran"]);
        }),
        Test::new("a_second_copy_is_refused_by_name", |k| {
            let copy = k.folder.join("libcopy.so");
            fs::copy(k.folder.join("libgraceshut.so.0"), &copy).unwrap();
            let e = start_with(k, "second", &[copy.to_str().unwrap()], &[]).ready().kill(SIGTERM).end();
            e.code(0).said(&["hook ran"]);
            let words = e.lines.iter().find(|l| l.contains("already installed")).unwrap();
            assert!(words.contains("libgraceshut"), "the first copy's file is named: {words}");
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
        Test::new("cpp_a_running_thread_in_a_global_is_no_abort", |k| {
            start(k, "raii", "sleeps").ready().kill(SIGTERM).end().code(0).outcome("clean").said(&["hook b"]);
        }),
        Test::new("cpp_uncaught_exception_aborts_and_runs_nothing", |k| {
            start(k, "raii", "uncaught").end().left(End::Signal(SIGABRT)).silent("hook b");
        }),
    ]);
    list.push(
        Test::new("the_watchers_see_a_bug", |k| {
            if k.how == How::Asan || k.how == How::Valgrind {
                k.program("bug"); // builds: what is caught below is no compiler error
                let seen = std::panic::catch_unwind(|| start(k, "bug", "").ready().kill(SIGTERM).end());
                let words = *seen.expect_err("a use after free went unseen").downcast::<String>().unwrap();
                assert!(words.contains("heap-use-after-free") || words.contains("Invalid read"), "{words}");
            }
        })
        .everywhere(),
    );
    list.extend(examples());
    list
}

fn examples() -> Vec<Test> {
    vec![
        Test::new("example_c_quickstart_under_15_lines", |k| {
            let source = fs::read_to_string(here().join("../examples/c/quickstart.c")).unwrap();
            let lines = source.lines().filter(|l| l.to_lowercase().contains("graceshut")).count();
            assert!(lines < 15, "{lines} lines");
            let e = start(k, "c/quickstart", "").line("ready: press Ctrl-C").kill(SIGINT).end();
            e.left(End::Signal(SIGINT)).said(&["buffers written"]);
            assert!(e.lines.iter().any(|l| l.starts_with("no new work; 7.")), "{e:?}");
        }),
        Test::new("example_cpp_quickstart", |k| {
            start(k, "cpp/quickstart", "").line("ready: press Ctrl-C").kill(SIGTERM).end().code(0).said(&["buffers written"]);
        }),
        Test::new("example_c_service", service).everywhere(),
    ]
}

fn ask(port: &str, request: &str) -> String {
    let mut peer = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    peer.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    text
}

fn service(k: &Kit) {
    // A port nobody has: the kernel names one, the service binds it a moment later.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut c = start_with(k, "c/service", &[], &[("PORT", &port)]);
    c.ready();
    let get = |path: &str| ask(&port, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert!(get("/readyz").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get("/nowhere").starts_with("HTTP/1.1 404"));
    // Two requests in one packet, the second the last.
    let both = "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(&port, both).matches("HTTP/1.1 200 OK").count(), 2);
    let idle = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let e = c.kill(SIGTERM).end();
    drop(idle);
    e.code(0).outcome("clean").said(&["trace announce/deregister", "trace drain/server"]);
    e.said(&["trace drain/server", "trace flush/buffers", "trace close/files", "trace close/pool", "trace final/telemetry"]);
    e.hook_was("offsets", "ok");
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
