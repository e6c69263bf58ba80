//! Hooks: order, outcomes, cancellation, completion later, kinds without code.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use libc::{SIGHUP, SIGTERM, SIGUSR1};

use crate::Test;
use crate::child::{End, start, start_with};
use crate::kit::{Kit, here};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("legacy_daemon_in_under_15_lines", legacy).everywhere(),
        Test::new("phases_run_in_order", |k| {
            let e = start(k, "hooks", "order").ready().kill(SIGTERM).end();
            e.code(0).outcome("clean").said(&[
                "hook announce/a",
                "hook drain/d",
                "hook flush/b",
                "hook close/c2", // serial, last registered first
                "hook close/c1",
                "hook final/f",
            ]);
        })
        .everywhere(),
        Test::new("a_hooks_error_is_in_the_report_and_the_plan_goes_on", |k| {
            let e = start(k, "hooks", "error").ready().kill(SIGTERM).end();
            e.code(1).outcome("degraded").said(&["hook close/good"]).hook_was("bad", "failed").hook_was("silent", "failed");
            assert!(!e.reported() || e.hook("bad")["message"] == "disk on fire", "{e:?}");
            assert!(!e.reported() || e.hook("silent")["message"] == "returned 7", "{e:?}");
        })
        .everywhere(),
        Test::new("a_binding_says_panic_and_exit_of_its_hooks", |k| {
            let e = start(k, "hooks", "for_bindings").ready().kill(SIGTERM).end();
            e.code(3).outcome("degraded").said(&["hook close/good"]).hook_was("panics", "failed").hook_was("exit 0", "ok");
            e.hook_was("exit 3", "failed");
            assert!(!e.reported() || e.hook("panics")["panic"] == true, "{e:?}");
            assert!(!e.reported() || e.hook("panics")["message"] == "index out of range", "{e:?}");
            assert!(!e.reported() || e.hook("exit 3").get("panic").is_none_or(|p| p == false), "{e:?}");
        }),
        Test::new("the_last_act_dies_by_int_where_exit_is_not_libcs", |k| {
            let e = start(k, "hooks", "raw_host").ready().kill(SIGTERM).end();
            e.code(0).said(&["exit 0", "not by signal"]);
            let e = start(k, "hooks", "raw_host").ready().kill(libc::SIGINT).end();
            e.left(End::Signal(libc::SIGINT)).said(&["exit 130"]);
        }),
        Test::new("an_optional_hook_does_not_count", |k| {
            start(k, "hooks", "optional").ready().kill(SIGTERM).end().code(0).outcome("clean").hook_was("bad", "failed");
        }),
        Test::new("cancelled_and_late", |k| {
            let e = start(k, "hooks", "cancelled").ready().kill(SIGTERM).end();
            e.code(1).said(&["on_cancel heard", "hook close/after"]).hook_was("gives up", "cancelled").hook_was("late", "ok");
            assert!(!e.reported() || e.hook("late")["late"] == true, "{e:?}");
        })
        .everywhere(),
        Test::new("a_hook_over_its_timeout_is_abandoned", |k| {
            let e = start(k, "hooks", "timeout").ready().kill(SIGTERM).end();
            e.code(1).said(&["hook flush/beside", "hook close/after"]).hook_was("stuck", "abandoned").within(500);
        })
        .everywhere(),
        Test::new("later_hooks_see_the_abandoned", |k| {
            start(k, "hooks", "abandoned").ready().kill(SIGTERM).end().code(1).said(&["abandoned [\"stuck\"]"]);
        }),
        Test::new("completed_later_from_another_thread", |k| {
            let e = start(k, "hooks", "later").ready().kill(SIGTERM).end();
            e.code(1).said(&["later done", "hook close/after"]).hook_was("later", "ok").hook_was("at once", "cancelled");
            e.hook_was("later bad", "failed");
            assert!(!e.reported() || e.hook("later bad")["message"] == "broker gone", "{e:?}");
        })
        .everywhere(),
        Test::new("never_completed", |k| {
            let e = start(k, "hooks", "never").ready().kill(SIGTERM).end();
            e.code(1).said(&["hook close/after"]).hook_was("never", "abandoned").within(500);
        }),
        Test::new("after", |k| {
            let e = start(k, "hooks", "after").ready().kill(SIGTERM).end();
            e.code(0).said(&["hook flush/first", "hook flush/second", "hook flush/third"]);
        }),
        Test::new("exec_http_delay_and_signal_by_json", by_json),
        Test::new("registering_and_triggering_under_way", |k| {
            let e = start(k, "hooks", "under_way").ready().kill(SIGTERM).end();
            e.code(0).said(&["hook drain/now", "hook close/then"]).hook_was("registers", "ok");
        })
        .everywhere(),
        Test::new("extend", |k| {
            start(k, "hooks", "extend").ready().kill(SIGTERM).end().code(0).hook_was("extends", "ok");
        }),
        Test::new("events", |k| {
            let e = start(k, "hooks", "events").ready().kill(SIGTERM).end();
            e.code(0);
            let seen =
                |part: &str| assert!(e.lines.iter().any(|l| l.starts_with("event {") && l.contains(part)), "{part}: {e:#?}");
            seen("\"event\":\"trigger\"");
            seen("\"event\":\"phase_start\"");
            seen("\"event\":\"hook_end\"");
            seen("half way");
            seen("\"total\":10");
        })
        .everywhere(),
        Test::new("hup_reloads_where_there_is_a_reload_hook", |k| {
            let mut c = start(k, "hooks", "reload");
            let e = c.ready().kill(SIGHUP).line("reloaded").kill(SIGHUP).line("reloaded").kill(SIGTERM).end();
            e.code(0).said(&["hook flush/b"]);
        }),
        Test::new("a_removed_hook_does_not_run", |k| {
            let e = start(k, "hooks", "removed").ready().kill(SIGTERM).end();
            e.code(0).said(&["hook flush/stays"]).silent("hook flush/gone");
        }),
        Test::new("a_held_install_waits_for_ready", |k| {
            start(k, "hooks", "hold").end().code(0).said(&["ready", "hook flush/registered after the signal"]);
        }),
        Test::new("rearmed_over_a_foreign_handler", |k| {
            start(k, "hooks", "foreign_handler").ready().kill(SIGTERM).end().code(0).said(&["hook flush/b"]);
        }),
    ]
}

fn legacy(k: &Kit) {
    let source = std::fs::read_to_string(here().join("tests/c/legacy.c")).unwrap();
    let added = source.lines().filter(|l| l.trim_end().ends_with("/* + */")).count();
    assert!((1..15).contains(&added), "{added} lines added");
    let file = k.folder.join("legacy.journal");
    let path = file.to_str().unwrap();
    start_with(k, "legacy", &[path], &[]).ready().kill(SIGTERM).end().code(0).outcome("clean").within(200);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "begin\nend\n");
}

fn by_json(k: &Kit) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/agent/deregister", listener.local_addr().unwrap());
    let request = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut text = [0; 1024];
        let n = peer.read(&mut text).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    });
    let mut receiver = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let file = k.folder.join("exec-ran");
    let _ = std::fs::remove_file(&file);
    let pid = receiver.id().to_string();
    let env = [("HTTP_URL", url.as_str()), ("EXEC_FILE", file.to_str().unwrap()), ("SIGNAL_PID", pid.as_str())];
    let e = start_with(k, "hooks", &["json"], &env).ready().kill(SIGTERM).end();
    for name in ["sync", "registry", "pause", "child"] {
        e.hook_was(name, "ok");
    }
    e.code(0).outcome("clean").hook_was("wrong", "failed");
    assert!(e.hook("pause")["used_us"].as_u64().unwrap() >= 100_000, "{e:#?}");
    assert!(request.join().unwrap().starts_with("PUT /v1/agent/deregister HTTP/1.1"));
    let ran = std::fs::read_to_string(&file).unwrap();
    assert!(ran.starts_with("ran ") && ran.trim().len() > 4, "no grace of its own: {ran:?}");
    assert_eq!(receiver.wait().unwrap().signal(), Some(SIGUSR1));
}
