//! Components: begun, ended, limited, refused and cached as core modules are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::component::{Guest, HOST, NOTHING, error};
use common::{SECOND, Stage, cache_folder, module, play, refusal, wat};
use graceshut::report::HookInfo;
use graceshut_wasm::{Access, Entry, Wasm, shape};

/// See tests/outcomes.rs.
const SLACK: Duration = Duration::from_millis(1500);

fn us(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap()
}

/// Plays a guest that has to be killed, as tests/outcomes.rs does.
fn killed(wasm: &Wasm, timeout: Duration) -> String {
    for _ in 0..3 {
        let (hook, _) = play(wasm, timeout);
        assert_eq!(hook.outcome, "killed", "{hook:?}");
        assert!(hook.used_us >= us(timeout) && hook.used_us < us(timeout + SLACK), "{hook:?}");
        if let Some(message) = hook.message {
            return message;
        }
    }
    panic!("it never said where it was");
}

fn ended(guest: &Guest<'_>) -> (String, Option<String>) {
    let HookInfo { outcome, message, .. } = play(&guest.wasm(), SECOND * 10).0;
    (outcome, message)
}

fn failed(guest: &Guest<'_>) -> String {
    let (outcome, message) = ended(guest);
    assert_eq!(outcome, "failed", "{message:?}");
    message.unwrap()
}

#[test]
fn an_ok_is_ok_and_an_error_is_its_words() {
    assert_eq!(ended(&NOTHING), ("ok".to_owned(), None));
    let body = error(256, 11);
    let guest = Guest { within: r#"(data (i32.const 256) "no registry")"#, body: &body, ..NOTHING };
    assert_eq!(failed(&guest), "no registry");
    let body = error(256, 0);
    assert_eq!(failed(&Guest { body: &body, ..NOTHING }), "returned an error without words");
    let long = error(256, 60_000);
    assert_eq!(failed(&Guest { body: &long, ..NOTHING }).len(), 1024);
}

#[test]
fn the_reason_is_the_argument() {
    let body = "(if (i32.ne (local.get $reason) (i32.const 1)) (then unreachable))
        (if (i32.ne (call $reason) (i32.const 1)) (then unreachable)) (i32.const 16)";
    assert_eq!(ended(&Guest { host: &["reason"], body, ..NOTHING }).0, "ok");
}

#[test]
fn traps_are_failures_with_their_place() {
    let message = failed(&Guest { body: "unreachable", ..NOTHING });
    assert!(message.contains("trap: ") && message.contains("unreachable") && message.contains("`run`"), "{message}");
    // What was set before is said too.
    let guest = Guest {
        host: &["set-error"],
        within: r#"(data (i32.const 256) "half done")"#,
        body: "(call $set-error (i32.const 256) (i32.const 9)) unreachable",
        ..NOTHING
    };
    let message = failed(&guest);
    assert!(message.contains("unreachable") && message.contains(": half done"), "{message}");
}

#[test]
fn a_component_that_spins_is_killed_at_its_deadline() {
    let guest = Guest { within: "(func $spin (loop $again (br $again)))", body: "(call $spin) (i32.const 16)", ..NOTHING };
    assert_eq!(killed(&guest.wasm(), SECOND * 2), "stopped at its deadline in `spin` < `run`");
}

/// The clock's pollable, and waiting for it.
const SLEEP: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type $pollable (sub resource)))
      (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
      (alias outer 1 $pollable (type $p)) (export "pollable" (type $pollable' (eq $p)))
      (export "subscribe-duration" (func (param "when" u64) (result (own $pollable'))))))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))"#;

fn sleeper(body: &str) -> Vec<u8> {
    let others = [("subscribe", "(param i64) (result i32)"), ("block", "(param i32)")];
    Guest { before: SLEEP, others: &others, body, ..NOTHING }.bytes()
}

#[test]
fn a_component_that_sleeps_in_the_host_is_killed_at_its_deadline() {
    let minute = Wasm::bytes(sleeper("(call $block (call $subscribe (i64.const 60000000000))) (i32.const 16)"));
    assert_eq!(killed(&minute, SECOND * 2), "stopped at its deadline in a function of `wasi:io/poll`");
    let second = Wasm::bytes(sleeper("(call $block (call $subscribe (i64.const 1000000000))) (i32.const 16)"));
    let (hook, _) = play(&second, SECOND * 10);
    assert!(hook.outcome == "ok" && hook.used_us >= us(SECOND), "{hook:?}");
}

#[test]
fn a_component_that_was_cancelled_can_say_so() {
    let wait = format!(
        "(loop $again (call $block (call $subscribe (i64.const 10000000))) (br_if $again (i32.eqz (call $cancelled)))) {}",
        error(256, 9)
    );
    let others = [("subscribe", "(param i64) (result i32)"), ("block", "(param i32)")];
    let within = r#"(data (i32.const 256) "cancelled")"#;
    let guest = Guest { host: &["cancelled"], before: SLEEP, others: &others, within, body: &wait };
    assert_eq!(play(&guest.wasm(), SECOND * 3).0.outcome, "cancelled");
    // Never cancelled, it is an error like any other.
    let body = error(256, 9);
    assert_eq!(failed(&Guest { within, body: &body, ..NOTHING }), "cancelled");
}

#[test]
fn every_function_of_the_host_is_there() {
    let all: Vec<&str> = HOST.iter().map(|(name, _)| *name).collect();
    let guest = Guest { host: &all, ..NOTHING };
    assert_eq!(shape(&guest.bytes()).unwrap().imports.len(), all.len());
    assert_eq!(ended(&guest).0, "ok");
}

#[test]
fn words_and_time_are_the_hosts() {
    // Logs what it is told of "config.id", as a warning; then looks whether time is left, asks for more and says how far it is.
    let body = "
        (call $context-read (i32.const 256) (i32.const 9) (i32.const 1024))
        (if (i32.eqz (i32.load8_u (i32.const 1024))) (then unreachable))
        (call $log (i32.const 3) (i32.load (i32.const 1028)) (i32.load (i32.const 1032)))
        (call $context-read (i32.const 256) (i32.const 8) (i32.const 1024))
        (if (i32.load8_u (i32.const 1024)) (then unreachable))
        (call $remaining-ms (i32.const 1024))
        (if (i32.or (i32.eqz (i32.load8_u (i32.const 1024))) (i64.gt_u (i64.load (i32.const 1032)) (i64.const 2000)))
          (then unreachable))
        (if (i64.ne (call $extend (i64.const 500)) (i64.const 500)) (then unreachable))
        (call $signal-number (i32.const 1024))
        (if (i32.load8_u (i32.const 1024)) (then unreachable))
        (call $progress (i64.const 1) (i32.const 1) (i64.const 2))
        (i32.const 16)";
    let host = &["context-read", "log", "remaining-ms", "extend", "progress", "signal-number"];
    let guest = Guest { host, within: r#"(data (i32.const 256) "config.id")"#, body, ..NOTHING };
    let stage = Stage::new();
    guest.wasm().config("id", "web-1").register(stage.gs.hook("flush", "guest").timeout(SECOND * 2)).unwrap();
    let hook = &stage.stop()[0];
    assert_eq!((hook.outcome.as_str(), hook.budget_us), ("ok", Some(2_500_000)), "{hook:?}");
    assert_eq!(stage.log(1), ["warning: web-1"]);
}

#[test]
fn modules_and_components_of_one_shutdown_share_their_state() {
    let put = "(call $state-put (i32.const 256) (i32.const 2) (i32.const 260) (i32.const 5) (i32.const 1024))
        (if (i32.load8_u (i32.const 1024)) (then unreachable)) (i32.const 16)";
    let first = Guest { host: &["state-put"], within: r#"(data (i32.const 256) "id  web-1")"#, body: put, ..NOTHING };
    let stage = Stage::new();
    first.wasm().register(stage.gs.hook("announce", "first")).unwrap();
    module(
        r#"(import "graceshut_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i32)))
        (import "graceshut_v1" "state_put" (func $put (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 64) "id")"#,
        // One byte less, under the same name.
        "(drop (call $get (i32.const 64) (i32.const 2) (i32.const 96) (i32.const 16)))
        (call $put (i32.const 64) (i32.const 2) (i32.const 96) (i32.const 4))",
    )
    .register(stage.gs.hook("flush", "second"))
    .unwrap();
    let get = "(call $state-get (i32.const 256) (i32.const 2) (i32.const 1024))
        (if (i32.ne (i32.load (i32.const 1032)) (i32.const 4)) (then unreachable))
        (call $log (i32.const 2) (i32.load (i32.const 1028)) (i32.load (i32.const 1032))) (i32.const 16)";
    let third = Guest { host: &["state-get", "log"], within: r#"(data (i32.const 256) "id")"#, body: get, ..NOTHING };
    third.wasm().register(stage.gs.hook("final", "third")).unwrap();
    let hooks = stage.stop();
    assert!(hooks.iter().all(|h| h.outcome == "ok"), "{hooks:?}");
    assert_eq!(stage.log(1), ["web-"]);
}

/// The interface `http`.
const HTTP: &str = r#"
    (import "graceshut:hook/http@0.1.0" (instance $http
      (type $h (list (tuple string string)))
      (type $q' (record (field "method" string) (field "url" string) (field "headers" $h) (field "body" (list u8))))
      (export "request" (type $q (eq $q')))
      (type $a' (record (field "status" u16) (field "headers" $h) (field "body" (list u8))))
      (export "response" (type $a (eq $a')))
      (type $f' (variant (case "denied" string) (case "malformed" string) (case "too-large" string) (case "failed" string)))
      (export "failure" (type $f (eq $f')))
      (export "http-request" (func (param "request" $q) (result (result $a (error $f)))))))
    (core func $http (canon lower (func $http "http-request") (memory $memory) (realloc (core func $libc "realloc"))))"#;

/// Sends `GET url` and returns what `then` makes of the answer at 1024.
fn requester(url: &str, then: &str) -> Wasm {
    let within = format!(r#"(data (i32.const 256) "GET{url}")"#);
    let body = format!(
        "(call $http (i32.const 256) (i32.const 3) (i32.const 259) (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 1024)) {then}",
        url.len()
    );
    let others = [("http", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)")];
    Guest { host: &["log"], before: HTTP, others: &others, within: &within, body: &body }.wasm()
}

/// The failure's words as the error.
const FAILURE: &str = "(if (i32.eqz (i32.load8_u (i32.const 1024))) (then unreachable))
    (i32.store8 (i32.const 16) (i32.const 1)) (i64.store (i32.const 20) (i64.load (i32.const 1032))) (i32.const 16)";

#[test]
fn requests_need_their_grant_and_end_with_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let url = format!("http://{address}/v1");
    assert!(refusal(&requester(&url, FAILURE)).contains(
        "it imports `graceshut:hook/http@0.1.0.http-request`, which is denied unless granted: grant it with http = ["
    ));
    let message = play(&requester(&url, FAILURE).http(&["GET"], "127.0.0.1:1"), SECOND * 10).0.message.unwrap();
    assert!(message.starts_with("http: ") && message.contains(&format!("grant \"GET {address}\"")), "{message}");
    // Nobody answers yet.
    let hangs = requester(&url, FAILURE).http(&["GET"], &address);
    assert_eq!(killed(&hangs, SECOND * 2), "stopped at its deadline in the host function `http-request`");
    drop(listener);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut byte) = (Vec::new(), [0]);
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone").unwrap();
        String::from_utf8(asked).unwrap()
    });
    // Logs the body, if the status is 404: status, headers and body lie at 1028, 1032 and 1040.
    let then = "(if (i32.load8_u (i32.const 1024)) (then unreachable))
        (if (i32.ne (i32.load16_u (i32.const 1028)) (i32.const 404)) (then unreachable))
        (call $log (i32.const 2) (i32.load (i32.const 1040)) (i32.load (i32.const 1044))) (i32.const 16)";
    let stage = Stage::new();
    requester(&format!("http://{address}/v1"), then)
        .http(&["GET"], &address)
        .register(stage.gs.hook("announce", "guest").timeout(SECOND * 10))
        .unwrap();
    let hooks = stage.stop();
    assert_eq!(hooks[0].outcome, "ok", "{hooks:?}");
    assert_eq!(stage.log(1), ["gone"]);
    assert!(server.join().unwrap().starts_with("GET /v1 HTTP/1.1\r\n"));
}

/// One function of an instance of WASI, without types of its own.
fn wasi(interface: &str, function: &str, ty: &str) -> Vec<u8> {
    let before = format!("(import \"{interface}\" (instance $wasi (export \"{function}\" (func {ty}))))");
    Guest { before: &before, ..NOTHING }.bytes()
}

#[test]
fn clocks_and_random_numbers_are_asked_for_at_registration() {
    for (interface, function, ty, grant) in [
        ("wasi:clocks/monotonic-clock@0.2.3", "now", "(result u64)", "clock"),
        ("wasi:random/random@0.2.3", "get-random-u64", "(result u64)", "random"),
        ("wasi:random/insecure-seed@0.2.3", "insecure-seed", "(result (tuple u64 u64))", "random"),
    ] {
        let bytes = wasi(interface, function, ty);
        assert_eq!(shape(&bytes).unwrap().needs, [grant]);
        let denied = refusal(&Wasm::bytes(bytes.clone()));
        let words =
            format!("it imports `{interface}.{function}`, which is denied unless granted: grant it with {grant} = true");
        assert!(denied.contains(&words), "{denied}");
        assert_eq!(play(&Wasm::bytes(bytes).clock().random(), SECOND * 10).0.outcome, "ok");
    }
    // Sleeping is no clock, as for modules.
    assert!(shape(&sleeper("(i32.const 16)")).unwrap().needs.is_empty());
}

#[test]
fn variables_and_folders_are_what_was_granted() {
    // Returns an error of as many letters as there are variables and folders: the lengths of two lists.
    let before = r#"
        (import "wasi:cli/environment@0.2.0" (instance $env
          (export "get-environment" (func (result (list (tuple string string)))))))
        (import "wasi:filesystem/types@0.2.0" (instance $types (export "descriptor" (type (sub resource)))))
        (alias export $types "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
          (alias outer 1 $descriptor (type $d)) (export "descriptor" (type $descriptor' (eq $d)))
          (export "get-directories" (func (result (list (tuple (own $descriptor') string)))))))
        (core func $env (canon lower (func $env "get-environment") (memory $memory) (realloc (core func $libc "realloc"))))
        (core func $dirs (canon lower (func $preopens "get-directories") (memory $memory) (realloc (core func $libc "realloc"))))"#;
    let others = [("env", "(param i32)"), ("dirs", "(param i32)")];
    let body = "(call $env (i32.const 1024)) (call $dirs (i32.const 1040)) (i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 20) (i32.const 256))
        (i32.store (i32.const 24) (i32.add (i32.load (i32.const 1028)) (i32.load (i32.const 1044)))) (i32.const 16)";
    let guest = Guest { before, others: &others, within: r#"(data (i32.const 256) "xxxxxxxx")"#, body, ..NOTHING };
    let message = |wasm: Wasm| play(&wasm, SECOND * 10).0.message.unwrap();
    assert_eq!(message(guest.wasm()), "returned an error without words", "nothing of the host's is seen");
    assert_eq!(message(guest.wasm().env("A", "1").env("B", "2").dir("/tmp", std::env::temp_dir(), Access::Read)), "xxx");
}

/// Makes a socket and returns an error when that is denied.
#[test]
fn there_is_no_socket() {
    let before = r#"
        (import "wasi:sockets/network@0.2.0" (instance $network (type $e' (enum "unknown" "access-denied" "not-supported"
          "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict" "not-in-progress" "would-block" "invalid-state"
          "new-socket-limit" "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
          "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
          (export "error-code" (type (eq $e')))
          (type $f' (enum "ipv4" "ipv6")) (export "ip-address-family" (type (eq $f')))))
        (alias export $network "error-code" (type $error))
        (alias export $network "ip-address-family" (type $family))
        (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
        (alias export $tcp "tcp-socket" (type $socket))
        (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
          (alias outer 1 $error (type $e)) (export "error-code" (type $error' (eq $e)))
          (alias outer 1 $family (type $f)) (export "ip-address-family" (type $family' (eq $f)))
          (alias outer 1 $socket (type $s)) (export "tcp-socket" (type $socket' (eq $s)))
          (export "create-tcp-socket" (func (param "address-family" $family')
            (result (result (own $socket') (error $error')))))))
        (core func $create (canon lower (func $create "create-tcp-socket") (memory $memory)))"#;
    // Error 1 is access-denied.
    let body = "(call $create (i32.const 0) (i32.const 1024))
        (if (i32.eqz (i32.load8_u (i32.const 1024))) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 1028)) (i32.const 1)) (then unreachable)) (i32.const 16)";
    let guest = Guest { before, others: &[("create", "(param i32 i32)")], body, ..NOTHING };
    assert_eq!(ended(&guest), ("ok".to_owned(), None));
}

#[test]
fn what_no_hook_is_given_is_refused_with_its_name() {
    let with = |before: &str| refusal(&Guest { before, ..NOTHING }.wasm());
    let interface = |name: &str| with(&format!("(import \"{name}\" (instance (export \"f\" (func))))"));
    let other = interface("acme:db/rows@1.0.0");
    assert!(other.contains("it imports `acme:db/rows@1.0.0`; a hook is given the interfaces of `graceshut:hook`"), "{other}");
    assert!(
        interface("wasi:http/outgoing-handler@0.2.0").contains("`wasi:http/outgoing-handler@0.2.0`, which no hook is given")
    );
    assert!(interface("wasi:io/poll@0.3.0").contains("this build has WASI 0.2"));
    assert!(interface("graceshut:hook/http@0.2.0").contains("built for version 0.2.0 of graceshut:hook; this build has 0.1.0"));
    assert!(interface("graceshut:hook/extra@0.1.0").contains("has the interfaces host and http"));
    assert!(interface("graceshut:hook/http@0.1.7").contains(".f`, which is none of http-request"));
    assert!(with(r#"(import "f" (func))"#).contains("it imports `f` by itself"));
    let level = r#"(export "level" (type $level (eq $l')))"#;
    let text = NOTHING.text().replace(level, &format!("{level} (export \"log\" (func))"));
    let log = refusal(&Wasm::bytes(wat(&text)));
    assert!(log.contains(".log` as func(); it is func(enum { trace, debug, info, warning, error }, string)"), "{log}");
}

#[test]
fn a_component_that_is_no_hook_is_refused() {
    let none = refusal(&Wasm::bytes(wat("(component)")));
    assert!(none.contains("it exports no `run`; build it for the world `graceshut:hook/hook@0.1.0`"), "{none}");
    let command = wat(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
    assert!(refusal(&Wasm::bytes(command)).contains("it is a command (`wasi:cli/run@0.2.0`)"));
    let text = r#"(component (core module $M (func (export "run"))) (core instance $m (instantiate $M))
        (func (export "run") (canon lift (core func $m "run"))))"#;
    let run = refusal(&Wasm::bytes(wat(text)));
    assert!(run.contains("its export `run` is func(); it has to be func(enum { signal, stop, "), "{run}");
}

#[test]
fn damage_is_refused_with_its_place() {
    let whole = NOTHING.bytes();
    let mut without_names = 0;
    for n in 8..whole.len() {
        match shape(&whole[..n]) {
            Ok(_) => without_names += 1, // its last section, which nobody needs
            Err(message) => {
                let words = ["truncated", "no `run`", "damaged", "not valid"];
                assert!(words.iter().any(|w| message.contains(w)), "{n}: {message}");
            }
        }
    }
    assert!(without_names <= 1, "{without_names} pieces of it are taken for hooks");
    let mut code = Guest { body: "(i32.const 77)", ..NOTHING }.bytes();
    let at = code.windows(4).rposition(|w| w == [0x00, 0x41, 0xcd, 0x00]).unwrap();
    code[at + 1] = 0x42; // i64.const where i32 is returned
    assert!(refusal(&Wasm::bytes(code)).contains("it is not valid at byte "));
    let memories = Guest { within: "(memory 1)", ..NOTHING }.bytes();
    assert!(refusal(&Wasm::bytes(memories)).contains("multiple memories"), "modules in components have one memory each");
}

#[test]
fn components_that_multiply_are_refused() {
    // Each holds two of the one before: 2^40 instances in two kilobytes, all of which the compiler would make.
    let twice = |inner: String, n| {
        format!("(component $C{n} {inner} (instance (instantiate $C{m})) (instance (instantiate $C{m})))", m = n - 1)
    };
    let base = "(component $C0 (core module $M) (core instance (instantiate $M)))".to_owned();
    let before = (1..=40).fold(base.clone(), twice) + "(instance (instantiate $C40))";
    let message = refusal(&Guest { before: &before, ..NOTHING }.wasm());
    assert!(message.contains("instances; a hook has at most 1000"), "{message}");
    let few = (1..=4).fold(base, twice) + "(instance (instantiate $C4))";
    assert_eq!(ended(&Guest { before: &few, ..NOTHING }).0, "ok");
}

#[test]
fn all_memories_of_a_component_together_have_one_limit() {
    // Another module with a memory of its own; that of the first grows to the limit less what this one has.
    let before = "(core module $Other (memory 16)) (core instance (instantiate $Other))";
    let grow = |pages: i32| {
        let body = format!("(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable)) (i32.const 16)");
        Guest { before, body: &body, ..NOTHING }.wasm().memory(2 << 20)
    };
    assert_eq!(play(&grow(15), SECOND * 10).0.outcome, "ok");
    let message = play(&grow(16), SECOND * 10).0.message.unwrap();
    assert!(message.contains("; it had reached its memory limit of 2097152 bytes"), "{message}");
    let large = refusal(&grow(1).memory(1 << 20));
    assert!(
        large.contains("its memory begins with 1114112 bytes and may have 1048576: grant it with memory = \"2MiB\""),
        "{large}"
    );
}

#[test]
fn fuel_ends_a_component_and_what_it_took_is_measured() {
    let spin = Guest { body: "(loop $again (br $again)) unreachable", ..NOTHING };
    let message = play(&spin.wasm().fuel(100_000), SECOND * 10).0.message.unwrap();
    assert!(message.starts_with("used up its fuel of 100000"), "{message}");
    let meter = std::sync::Arc::default();
    assert_eq!(play(&NOTHING.wasm().fuel(100_000).metered(&meter), SECOND * 10).0.outcome, "ok");
    assert!(meter.memory() == 64 << 10 && meter.fuel() > 0 && meter.time() > Duration::ZERO, "{meter:?}");
}

#[test]
fn one_call_gives_the_host_no_more_than_it_takes() {
    // A list of 500000 headers, each the same 60000 bytes: 60 GB, if they were copied.
    let others = [("http", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)")];
    let body = "(local $n i32) (drop (memory.grow (i32.const 160)))
        (loop $again
          (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 16))) (i32.const 4096))
          (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 16))) (i32.const 60000))
          (i32.store (i32.add (i32.const 65544) (i32.mul (local.get $n) (i32.const 16))) (i32.const 4096))
          (i32.store (i32.add (i32.const 65548) (i32.mul (local.get $n) (i32.const 16))) (i32.const 60000))
          (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 500000))))
        (call $http (i32.const 256) (i32.const 3) (i32.const 256) (i32.const 3) (i32.const 65536) (i32.const 500000) (i32.const 0)
        (i32.const 0) (i32.const 1024)) (i32.const 16)";
    let guest = Guest { before: HTTP, others: &others, body, ..NOTHING };
    let (hook, _) = play(&guest.wasm().http(&["GET"], "127.0.0.1:1"), SECOND * 10);
    assert_eq!(hook.outcome, "failed", "{hook:?}");
    assert!(hook.message.as_deref().unwrap().contains("fuel"), "{hook:?}");
}

#[test]
fn compiled_components_are_kept_and_found_again() {
    cache_folder();
    let guest = Guest { within: r#"(data (i32.const 256) "this one is in the cache")"#, ..NOTHING };
    let cached = || graceshut_wasm::compile(guest.bytes(), false, SECOND * 60).unwrap();
    assert!(!cached());
    assert!(cached());
    assert!(!graceshut_wasm::compile(guest.bytes(), true, SECOND * 60).unwrap(), "with fuel it is another code");
    assert_eq!(ended(&guest).0, "ok", "and runs from there");
    assert_eq!(shape(&guest.bytes()).unwrap().entry, Entry::Component);
}

/// WIT without comments and layout.
fn bare(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text: String = lines.flat_map(str::split_whitespace).collect();
    text.replace(",}", "}")
}

#[test]
fn the_page_for_authors_has_the_world_as_it_is() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/wasm-hooks.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = page.split("```wit\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(bare(block), bare(graceshut_wasm::WIT));
}
