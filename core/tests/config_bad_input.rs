//! What is wrong is refused with a kind, the key, the value, the place and the nearest valid one (spec 12.1, 13).
#![allow(clippy::unwrap_used, missing_docs)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use graceshut::config::{Action, NumberUnit, Options, SignalRule, Source, Sources, read, resolve};
use graceshut::error::{Error, ErrorKind};
use serde_json::{Value, json};

fn said(value: &Value) -> Error {
    match read(value, NumberUnit::Seconds, &Source::Code) {
        Err(e) => e,
        Ok(options) => resolve(options, &Sources::none()).unwrap_err(),
    }
}

fn refused(value: &Value, kind: ErrorKind, words: &[&str]) {
    let e = said(value);
    assert_eq!(e.kind(), kind, "{value}: {e}");
    for word in words {
        assert!(e.message().contains(word), "{value}: no {word:?} in: {e}");
    }
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("gs-bad-{}-{name}", std::process::id()));
    let _old = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn with_file(name: &str, bytes: &[u8]) -> Error {
    let dir = folder(name);
    std::fs::write(dir.join("graceshut.toml"), bytes).unwrap();
    let e = resolve(Options::default(), &Sources { dir: Some(dir.clone()), ..Sources::none() }).unwrap_err();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(e.message().contains("graceshut.toml"), "{e}");
    e
}

fn with_vars(vars: &[(&str, &str)]) -> Result<(), Error> {
    let vars = vars.iter().map(|(k, v)| (k.into(), v.into())).collect();
    resolve(Options::default(), &Sources { vars, ..Sources::none() }).map(|_| ())
}

#[test]
fn unknown_keys_name_the_nearest() {
    use ErrorKind::BadConfig;
    refused(&json!({"grcae": 1}), BadConfig, &["\"grcae\"", "did you mean \"grace\""]);
    refused(&json!({"phases": {"flush": {"reserv": "1s"}}}), BadConfig, &["phases.flush", "\"reserv\"", "\"reserve\""]);
    refused(&json!({"hook": [{"phase": "drain", "exce": ["x"]}]}), BadConfig, &["hook[0]", "\"exce\"", "\"exec\""]);
    refused(&json!({"hook": [{"phase": "drain", "http": {"ulr": "x"}}]}), BadConfig, &["hook[0].http", "\"url\""]);
    refused(&json!({"signals": {"TERM": {"acton": "stop"}}}), BadConfig, &["signals.TERM", "\"action\""]);
    refused(&json!({"hooks": []}), BadConfig, &["\"hooks\"", "\"hook\""]);
    refused(&json!([1]), BadConfig, &["the options", "a table"]);
}

#[test]
fn words_outside_the_list_name_the_nearest() {
    use ErrorKind::BadConfig;
    refused(
        &json!({"exit": "manaul"}),
        BadConfig,
        &["exit", "\"manaul\"", "did you mean \"manual\"", "\"host\" or \"reraise\""],
    );
    refused(&json!({"repeat": "EXPEDITE"}), BadConfig, &["repeat", "\"expedite\""]);
    refused(&json!({"signals": {"HUP": "relaod"}}), BadConfig, &["signals.HUP", "\"reload\""]);
    refused(
        &json!({"phases": {"drain": {"order": "parallel"}}}),
        BadConfig,
        &["phases.drain.order", "\"concurrent\" or \"serial\""],
    );
    refused(&json!({"phases": {"drain": {"on_failure": "stop"}}}), BadConfig, &["phases.drain.on_failure", "skip_to_reserved"]);
    refused(&json!({"report": "stdrr"}), BadConfig, &["report", "\"stderr\"", "./stdrr"]);
    refused(&json!({"report": "fd:three"}), BadConfig, &["report", "fd:3"]);
    refused(&json!({"report": "fd:+3"}), BadConfig, &["report"]);
}

#[test]
fn times_that_are_none() {
    use ErrorKind::BadTime;
    for key in ["grace", "grace_normal", "already_spent", "announce_delay", "exit_cap"] {
        for bad in [
            json!(-1),
            json!("-1s"),
            json!("NaN"),
            json!("inf"),
            json!(1e300),
            json!("10"),
            json!("ten"),
            json!(null),
            json!({}),
        ] {
            refused(&json!({ key: bad }), BadTime, &[key]);
        }
    }
    refused(&json!({"grace": -1.5}), BadTime, &["grace = -1.5"]);
    refused(&json!({"phases": {"flush": {"cap": -1}}}), BadTime, &["phases.flush.cap = -1"]);
    refused(&json!({"phases": {"flush": {"cap": "101%"}}}), BadTime, &["phases.flush.cap", "101%"]);
    refused(&json!({"phases": {"flush": {"reserve": "rest"}}}), BadTime, &["phases.flush.reserve"]);
    refused(&json!({"hook": [{"phase": "drain", "delay": -1}]}), BadTime, &["hook[0].delay"]);
    refused(&json!({"hook": [{"phase": "drain", "delay": 1, "timeout": 0}]}), BadTime, &["hook[0].timeout", "zero"]);
    refused(&json!({"signals": {"PWR": {"action": "stop", "grace": 0.1}}}), BadTime, &["signals.PWR.grace", "100ms", "200ms"]);
}

#[test]
fn wrong_types_and_ranges() {
    use ErrorKind::BadConfig;
    refused(&json!({"serving": "true"}), BadConfig, &["serving", "true or false"]);
    refused(&json!({"watchdog": null}), BadConfig, &["watchdog", "leave the key out"]);
    refused(&json!({"max_workers": 0}), BadConfig, &["max_workers = 0", "1 to 1024"]);
    refused(&json!({"max_workers": 1025}), BadConfig, &["1 to 1024"]);
    refused(&json!({"max_workers": 1.5}), BadConfig, &["max_workers = 1.5"]);
    refused(&json!({"exit_code_forced": 256}), BadConfig, &["exit_code_forced = 256", "0 to 255"]);
    refused(&json!({"exit_code_clean": -1}), BadConfig, &["exit_code_clean = -1"]);
    refused(&json!({"signals": ["TERM"]}), BadConfig, &["signals", "a table"]);
    refused(&json!({"signals": {"TERM": {"grace": 1}}}), BadConfig, &["signals.TERM", "\"action\" is missing"]);
    refused(&json!({"hook": {"phase": "drain"}}), BadConfig, &["hook", "[[hook]]"]);
    refused(&json!({"hook": [{"delay": 1}]}), BadConfig, &["hook[0]", "\"phase\" is missing"]);
    refused(&json!({"hook": [{"phase": "drain"}]}), BadConfig, &["hook[0]", "exec, http, delay"]);
    refused(&json!({"hook": [{"phase": "drain", "delay": 1, "exec": ["x"]}]}), BadConfig, &["exec and delay"]);
    refused(&json!({"hook": [{"phase": "drain", "exec": []}]}), BadConfig, &["hook[0].exec", "empty"]);
    refused(&json!({"hook": [{"phase": "drain", "exec": ["a\0b"]}]}), BadConfig, &["hook[0].exec[0]", "NUL"]);
    refused(&json!({"hook": [{"phase": "drain", "exec": {"argv": ["x"], "env": {"A=B": "1"}}}]}), BadConfig, &["env", "A=B"]);
    refused(&json!({"hook": [{"phase": "drain", "http": {"url": "localhost"}}]}), BadConfig, &["hook[0].http.url", "http://"]);
    refused(&json!({"hook": [{"phase": "drain", "http": {"url": "ftp://x"}}]}), BadConfig, &["http://"]);
    let header = json!({"url": "http://x", "headers": {"X": "a\r\nHost: evil"}});
    refused(&json!({"hook": [{"phase": "drain", "http": header}]}), BadConfig, &["headers"]);
    refused(
        &json!({"hook": [{"phase": "drain", "http": {"url": "http://x", "accept": [99]}}]}),
        BadConfig,
        &["accept[0] = 99"],
    );
    refused(&json!({"hook": [{"phase": "drain", "signal": {}}]}), BadConfig, &["pid or pidfile"]);
    refused(&json!({"hook": [{"phase": "drain", "signal": {"pid": 0}}]}), BadConfig, &["pid = 0"]);
    refused(&json!({"hook": [{"phase": "drain", "signal": {"pid": 2, "signal": "TREM"}}]}), BadConfig, &["\"TERM\""]);
    refused(&json!({"report": ""}), BadConfig, &["report", "empty"]);
}

#[test]
fn what_this_build_cannot_do() {
    refused(
        &json!({"hook": [{"phase": "drain", "wasm": "x.wasm"}]}),
        ErrorKind::Unsupported,
        &["this build has no wasm hooks"],
    );
    refused(&json!({"journal": "j"}), ErrorKind::Unsupported, &["journal"]);
}

#[test]
fn signals_nobody_can_manage() {
    use ErrorKind::BadConfig;
    refused(&json!({"signals": {"TREM": "stop"}}), BadConfig, &["TREM", "did you mean \"TERM\""]);
    for name in ["KILL", "SIGSTOP", "9"] {
        refused(&json!({"signals": {name: "stop"}}), BadConfig, &[name, "the kernel lets no process"]);
    }
    for name in ["SEGV", "SIGBUS", "FPE", "ILL"] {
        refused(&json!({"signals": {name: "stop"}}), BadConfig, &[name, "fault"]);
    }
    refused(&json!({"signals": {"TERM": "stop", "15": "ignore"}}), BadConfig, &["TERM", "twice"]);
    refused(&json!({"signals": {"33": "stop"}}), BadConfig, &["C library"]);
    refused(&json!({"signals": {"65": "stop"}}), BadConfig, &["65"]);
}

#[test]
fn plans_that_do_not_fit() {
    let e = said(&json!({"grace": "5s", "phases": {"flush": {"reserve": "3s"}, "final": {"reserve": "2s"}}}));
    assert_eq!(e.kind(), ErrorKind::PlanDoesNotFit);
    assert!(e.message().contains("flush 3s + final 2s = 5s") && e.message().contains("4.85s"), "{e}");
    refused(&json!({"phases": {"flush": {"cap": "1s", "reserve": "2s"}}}), ErrorKind::BadPlan, &["flush", "2s", "1s"]);
    refused(&json!({"phases": {"fulsh": {"cap": "1s"}}}), ErrorKind::BadPlan, &["fulsh", "\"flush\""]);
    refused(&json!({"hook": [{"phase": "dran", "delay": 1}]}), ErrorKind::UnknownPhase, &["hook[0]", "dran", "\"drain\""]);
    refused(&json!({"grace": 0.1}), ErrorKind::BadTime, &["grace = 100ms", "200ms"]);
    refused(&json!({"grace_normal": 0}), ErrorKind::BadTime, &["grace_normal", "200ms"]);
    refused(
        &json!({"grace": 10, "already_spent": 10}),
        ErrorKind::BadTime,
        &["grace 10s (code) - already_spent 10s (code) - margin 300ms = -300ms"],
    );
    refused(&json!({"grace": 10, "already_spent": 9.7}), ErrorKind::BadTime, &["= 0s"]);
}

#[test]
fn options_said_in_rust_are_checked_too() {
    let refuse = |o: Options| resolve(o, &Sources::none()).unwrap_err();
    assert_eq!(refuse(Options { grace: Some(Duration::MAX), ..Options::default() }).kind(), ErrorKind::BadTime);
    assert!(refuse(Options { max_workers: Some(0), ..Options::default() }).message().contains("max_workers = 0"));
    assert!(refuse(Options { exit_code_clean: Some(300), ..Options::default() }).message().contains("exit_code_clean = 300"));
    let rule = SignalRule { signo: 9, action: Action::Stop, grace: None };
    assert!(refuse(Options { signals: vec![rule], ..Options::default() }).message().contains("KILL"));
    let twice = vec![("a".to_owned(), Default::default()), ("a".to_owned(), Default::default())];
    assert!(refuse(Options { phases: twice, ..Options::default() }).message().contains("twice"));
}

#[test]
fn files_that_are_wrong() {
    let e = with_file("syntax", b"grace = \"10s\"\n[phases.flush\ncap = 1\n");
    assert_eq!(e.kind(), ErrorKind::BadConfig);
    assert!(e.message().contains("graceshut.toml:2:14: "), "{e}");
    let e = with_file("twice", b"grace = \"10s\"\ngrace = \"11s\"\n");
    assert!(e.message().contains("graceshut.toml:2:1: "), "{e}");
    let e = with_file("bare", b"grace = 10\n");
    assert_eq!(e.kind(), ErrorKind::BadTime);
    assert!(e.message().contains("grace = 10") && e.message().contains("\"10s\""), "{e}");
    let e = with_file("nan", b"grace = nan\n");
    assert_eq!(e.kind(), ErrorKind::BadTime);
    assert!(e.message().contains("NaN"), "{e}");
    let e = with_file("key", b"[phases.flush]\nreserv = \"1s\"\n");
    assert!(e.message().contains("phases.flush: unknown key \"reserv\", did you mean \"reserve\"?"), "{e}");
    let e = with_file("utf8", b"grace = \"10s\"\nreport = \"\xff\"\n");
    assert_eq!(e.kind(), ErrorKind::NotUtf8);
    assert!(e.message().contains(":2:11"), "{e}");
    assert!(with_file("large", &vec![b'#'; (1 << 20) + 1]).message().contains("1 MiB"));
    assert_eq!(with_file("date", b"grace = 2020-01-01\n").kind(), ErrorKind::BadTime);
}

#[test]
fn files_that_cannot_be_read() {
    let dir = folder("unreadable");
    let named = |path: &Path| with_vars(&[("GRACESHUT_CONFIG", path.to_str().unwrap())]).unwrap_err();
    let missing = named(&dir.join("missing.toml"));
    assert_eq!(missing.kind(), ErrorKind::Os);
    for word in ["GRACESHUT_CONFIG", "missing.toml", "No such file or directory"] {
        assert!(missing.message().contains(word), "{missing}");
    }
    let directory = named(&dir);
    assert_eq!(directory.kind(), ErrorKind::Os);
    assert!(directory.message().contains("directory"), "{directory}");
    let fifo = dir.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let start = Instant::now();
    assert!(named(&fifo).message().contains("no regular file"));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(named(Path::new("/dev/zero")).message().contains("1 MiB"));
    // A link to nowhere exists, hence has to be readable.
    std::os::unix::fs::symlink("/nowhere", dir.join("graceshut.toml")).unwrap();
    assert!(resolve(Options::default(), &Sources { dir: Some(dir.clone()), ..Sources::none() }).is_err());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn variables_that_are_wrong() {
    let e = with_vars(&[("GRACESHUT_WATCHDG", "false")]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BadConfig);
    assert!(e.message().contains("GRACESHUT_WATCHDG") && e.message().contains("\"GRACESHUT_WATCHDOG\""), "{e}");
    let e = with_vars(&[("GRACESHUT_GRACE", "-2s")]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BadTime);
    assert!(e.message().contains("GRACESHUT_GRACE = \"-2s\""), "{e}");
    let vars = vec![(OsString::from("GRACESHUT_REPORT"), OsString::from_vec(vec![b'/', 0xfe]))];
    let e = resolve(Options::default(), &Sources { vars, ..Sources::none() }).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotUtf8);
    assert!(e.message().contains("GRACESHUT_REPORT"), "{e}");
    with_vars(&[("GRACESHUT_RUN_ID", "x"), ("GRACESHUT_LOG", ""), ("GRACESHUT_WASM_CACHE", "/x")]).unwrap();
}
