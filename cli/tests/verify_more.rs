//! `graceshut verify` where it goes beyond one quiet stop: many requests, rolling restarts behind a load balancer, a second signal,
//! a resource held short, JUnit XML, comparison of two runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Done, Folder, free_port, graceshut, has};
use serde_json::Value;
use std::process::Command;

/// Runs a check of a service of ours. `{port}` in its arguments is the load's port, but with --rounds left as it is.
fn verify(folder: &Folder, service: &str, args: &[&str], options: &[&str]) -> (Done, Value) {
    let port = free_port().to_string();
    let rounds = options.contains(&"--rounds");
    let path = format!("{}/tests/services/{service}", env!("CARGO_MANIFEST_DIR"));
    let (ready, load) = (format!("http://127.0.0.1:{port}/ready"), format!("http://127.0.0.1:{port}/work"));
    let mut all = vec!["verify", "--ready", &ready, "--load", &load, "--json", "out.json", "--junit", "out.xml"];
    all.extend(options);
    all.extend(["--", "python3", &path]);
    all.push(if rounds { "{port}" } else { &port });
    all.extend(args);
    let done = graceshut(&all).dir(folder).done();
    let verdict = serde_json::from_str(&folder.text("out.json")).unwrap_or(Value::Null);
    if has("xmllint") && done.code < 2 {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");
        let lint = Command::new("xmllint").args(["--noout", "--schema", schema, &folder.path("out.xml")]).output().unwrap();
        assert!(lint.status.success(), "{}{}", String::from_utf8_lossy(&lint.stderr), folder.text("out.xml"));
    }
    (done, verdict)
}

fn number(v: &Value, pointer: &str) -> u64 {
    v.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {v:#}"))
}

#[test]
fn one_request_in_5000_is_found() {
    let folder = Folder::new("verify");
    let (done, v) = verify(&folder, "loses_one.py", &[], &["--after", "100ms", "--requests", "5100", "--pause", "1ms"]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(number(&v, "/requests/sent") >= 5100);
    assert_eq!(number(&v, "/requests/lost"), number(&v, "/requests/sent") / 5000, "{}", done.stdout);
    assert!(done.stdout.contains("FAIL  1 request lost"), "{}", done.stdout);
    let junit = folder.text("out.xml");
    assert!(
        junit.contains("tests=\"3\" failures=\"1\"") && junit.contains("<failure type=\"graceshut\" message=\"1 request lost"),
        "{junit}"
    );
}

/// Three rounds, or as many as the variable says: `make test-rounds` says 20, half a minute each.
fn rolling(behind: &str) {
    let rounds = std::env::var("GS_BALANCER_ROUNDS").unwrap_or_else(|_| "3".to_owned());
    let rounds = rounds.as_str();
    if !has(&format!("/usr/sbin/{behind}")) {
        return;
    }
    let folder = Folder::new("verify");
    let (done, v) = verify(&folder, "rolling.py", &[], &["--rounds", rounds, "--behind", behind, "--after", "300ms"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(v["rounds"].as_array().unwrap().len().to_string(), rounds);
    assert_eq!((number(&v, "/requests/lost"), number(&v, "/requests/errors_5xx_before_signal")), (0, 0));
    assert!(number(&v, "/requests/answered_2xx") > 1000, "{}", done.stdout);
    assert!(folder.text("out.xml").contains("failures=\"0\""));
}

#[test]
fn rolling_restarts_behind_haproxy_lose_nothing() {
    rolling("haproxy");
}

#[test]
fn rolling_restarts_behind_nginx_lose_nothing() {
    rolling("nginx");
}

#[test]
fn a_service_that_dies_at_once_loses_requests_behind_either() {
    for behind in ["haproxy", "nginx"] {
        if has(&format!("/usr/sbin/{behind}")) {
            let folder = Folder::new("verify");
            let options = ["--rounds", "6", "--behind", behind, "--after", "300ms", "--pause", "1ms"];
            let (done, v) = verify(&folder, "rolling.py", &["lossy"], &options);
            assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
            let bad = number(&v, "/requests/lost") + number(&v, "/requests/errors_5xx_before_signal");
            assert!(bad > 0, "{}", done.stdout);
        }
    }
}

#[test]
fn a_round_that_takes_too_long_fails() {
    if !has("/usr/sbin/haproxy") {
        return;
    }
    let folder = Folder::new("verify");
    let (done, v) =
        verify(&folder, "ignores_term.py", &[], &["--rounds", "1", "--behind", "haproxy", "--grace", "1s", "--after", "200ms"]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let failure = v["rounds"][0]["failures"][0].as_str().unwrap();
    assert!(failure.contains("was still running 1 s after TERM"), "{failure}");
}

#[test]
fn rounds_that_cannot_be_made_say_what_is_missing() {
    let gives_up = |run: common::Run, saying: &str| {
        let done = run.gives(2);
        assert!(done.stderr.contains(saying), "{saying:?} is not in {}", done.stderr);
    };
    gives_up(graceshut(&["verify", "--rounds", "2", "--", "true"]), "--rounds needs a --load URL");
    gives_up(graceshut(&["verify", "--rounds", "2", "--load", "https://127.0.0.1:1/", "--", "true"]), "plain http");
    let load = format!("http://127.0.0.1:{}/", free_port());
    gives_up(graceshut(&["verify", "--rounds", "2", "--load", &load, "--", "false"]), "ended before");
    gives_up(graceshut(&["verify", "--rounds", "2", "--scarce", "cpu", "--load", &load, "--", "true"]), "cannot be used with");
}

#[test]
fn what_is_scarce_is_refused_to_the_service() {
    for what in ["fds", "threads", "memory", "disk"] {
        let folder = Folder::new("verify");
        let options = ["--after", "200ms", "--connections", "2", "--scarce", what];
        let (done, _) = verify(&folder, "tries.py", &[&folder.path("notes")], &options);
        let refused = format!("{}{}", folder.text("notes"), done.stderr);
        assert!(refused.contains(what), "{what} was not refused: {refused}{}", done.stdout);
        assert!(done.code < 2, "{}", done.stderr);
    }
    let folder = Folder::new("verify");
    let (_, v) = verify(&folder, "tries.py", &[&folder.path("notes")], &["--after", "200ms", "--connections", "2"]);
    assert_eq!(folder.text("notes"), "\n", "something was refused without any shortage");
    assert_eq!(v.pointer("/exit/code"), Some(&0.into()));
}

#[test]
fn a_good_service_leaves_well_on_a_busy_machine() {
    let folder = Folder::new("verify");
    let served = folder.path("served");
    let (done, v) = verify(&folder, "graceful.py", &[&served], &["--after", "500ms", "--connections", "4", "--scarce", "cpu"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(number(&v, "/requests/answered_2xx").to_string(), folder.text("served"));
}

#[test]
fn a_second_signal_is_sent() {
    let folder = Folder::new("verify");
    let options = ["--after", "200ms", "--connections", "2", "--second-signal=700ms", "--grace", "8s"];
    let (_, v) = verify(&folder, "tries.py", &[&folder.path("notes"), "twice"], &options);
    assert_eq!(folder.text("notes").lines().count(), 2);
    assert!(number(&v, "/timing_us/exit") >= 700_000);
    let (_, v) = verify(&folder, "tries.py", &[&folder.path("notes"), "twice"], &["--after", "200ms", "--grace", "1s"]);
    assert_eq!(v.pointer("/exit/killed_at_grace"), Some(&true.into()), "without it the second one was sent all the same");
}

#[test]
fn two_runs_are_compared() {
    let folder = Folder::new("verify");
    let served = folder.path("served");
    let (first, _) = verify(&folder, "graceful.py", &[&served], &["--after", "300ms"]);
    assert_eq!(first.code, 0, "{}", first.stdout);
    folder.write("before.json", &folder.text("out.json"));
    let (second, _) = verify(&folder, "graceful.py", &[&served], &["--after", "300ms", "--baseline", "before.json"]);
    let table = second.stdout.split("compared with the baseline\n").nth(1).unwrap_or_else(|| panic!("{}", second.stdout));
    for row in ["verdict", "requests sent", "latency p99", "exit"] {
        assert!(table.lines().any(|l| l.trim_start().starts_with(row)), "no {row}: {table}");
    }
    folder.write("other.json", "{\"passed\": true}");
    let run = graceshut(&["verify", "--baseline", "other.json", "--", "true"]).dir(&folder).gives(2);
    assert!(run.stderr.contains("is no verdict"), "{}", run.stderr);
}
