//! What is not granted is denied, what is granted is what there is, and nothing escapes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::path::PathBuf;

use common::{SECOND, Stage, module, play, refusal, wat};
use graceshut_wasm::{Access, Wasm};

const OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;
const READ: i64 = 2;
const WRITE: i64 = 64;
const CREATE: i32 = 1;

/// Opens `path` below descriptor 3 and returns the errno.
fn opener(path: &str, flags: i32, rights: i64) -> Wasm {
    let data = path.bytes().fold(String::new(), |text, b| text + &format!("\\{b:02x}"));
    module(
        &format!("{OPEN} (data (i32.const 64) \"{data}\")"),
        &format!(
            "(call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const {}) (i32.const {flags})
             (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 32))",
            path.len()
        ),
    )
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("graceshut-wasm-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("inside")).unwrap();
        std::fs::write(path.join("secret"), "s").unwrap();
        std::fs::write(path.join("inside/file"), "f").unwrap();
        std::os::unix::fs::symlink("../secret", path.join("inside/relative")).unwrap();
        std::os::unix::fs::symlink(path.join("secret"), path.join("inside/absolute")).unwrap();
        std::os::unix::fs::symlink("..", path.join("inside/up")).unwrap();
        Folder(path)
    }

    fn granted(&self, wasm: Wasm, access: Access) -> String {
        let (hook, _) = play(&wasm.dir("/in", self.0.join("inside"), access), SECOND * 10);
        hook.message.unwrap_or(hook.outcome)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_granted_folder_can_be_read_and_no_more() {
    let folder = Folder::new("read");
    assert_eq!(folder.granted(opener("file", 0, READ), Access::Read), "ok");
    let denied = |message: String| assert!(message.starts_with("returned ") && message != "returned 0", "{message}");
    denied(folder.granted(opener("file", 0, WRITE), Access::Read));
    denied(folder.granted(opener("new", CREATE, READ), Access::Read));
    assert!(!folder.0.join("inside/new").exists());
}

#[test]
fn a_folder_granted_for_writing_can_be_written() {
    let folder = Folder::new("write");
    assert_eq!(folder.granted(opener("new", CREATE, WRITE), Access::ReadWrite), "ok");
    assert!(folder.0.join("inside/new").exists());
}

#[test]
fn no_path_and_no_link_leads_out_of_a_folder() {
    let folder = Folder::new("escape");
    let secret = folder.0.join("secret").to_str().unwrap().to_owned();
    let ways = [
        "../secret",
        "./../secret",
        "x/../../secret",
        "up/secret",
        "relative",
        "absolute",
        "..",
        "/etc/passwd",
        secret.as_str(),
        "file/../../secret",
        "../../../../../../../../etc/passwd",
        "..\0/secret",
        "",
    ];
    for way in ways {
        for (flags, rights) in [(0, READ), (CREATE, WRITE)] {
            let message = folder.granted(opener(way, flags, rights), Access::ReadWrite);
            assert!(message.starts_with("returned ") && message != "returned 0", "{way:?}: {message}");
        }
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "s");
}

#[test]
fn links_out_of_a_folder_cannot_be_made_and_followed() {
    let folder = Folder::new("link");
    let before = r#"(import "wasi_snapshot_preview1" "path_symlink" (func $link (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (data (i32.const 64) "../secret") (data (i32.const 80) "door")"#;
    let body = "(drop (call $link (i32.const 64) (i32.const 9) (i32.const 3) (i32.const 80) (i32.const 4)))
        (call $open (i32.const 3) (i32.const 1) (i32.const 80) (i32.const 4) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))";
    let message = folder.granted(module(before, body), Access::ReadWrite);
    assert!(message.starts_with("returned ") && message != "returned 0", "{message}");
}

#[test]
fn without_a_grant_there_is_no_folder() {
    let (hook, _) = play(&opener("etc/passwd", 0, READ), SECOND * 10);
    assert_eq!(hook.message.as_deref(), Some("returned 8"), "EBADF: there is no descriptor 3");
}

/// Returns how many variables (or arguments) the guest sees.
fn counter(function: &str) -> Wasm {
    module(
        &format!(r#"(import "wasi_snapshot_preview1" "{function}" (func $sizes (param i32 i32) (result i32)))"#),
        "(drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 0))",
    )
}

#[test]
fn the_environment_is_granted_by_name() {
    assert_eq!(play(&counter("environ_sizes_get"), SECOND * 10).0.outcome, "ok", "none");
    let wasm = counter("environ_sizes_get").env("A", "1").env_of_host("PATH").env_of_host("GRACESHUT_TEST_UNSET");
    assert_eq!(play(&wasm, SECOND * 10).0.message.as_deref(), Some("returned 2"));
}

#[test]
fn arguments_are_the_hooks_name_and_what_was_granted() {
    assert_eq!(play(&counter("args_sizes_get"), SECOND * 10).0.message.as_deref(), Some("returned 1"));
    let wasm = counter("args_sizes_get").arg("-v").arg("");
    assert_eq!(play(&wasm, SECOND * 10).0.message.as_deref(), Some("returned 3"));
}

#[test]
fn clock_random_and_http_are_asked_for_at_registration() {
    let clock = module(
        r#"(import "wasi_snapshot_preview1" "clock_time_get" (func $f (param i32 i64 i32) (result i32)))"#,
        "(call $f (i32.const 1) (i64.const 1) (i32.const 0))",
    );
    assert!(refusal(&clock).contains("grant it with clock = true"));
    assert_eq!(play(&clock.clock(), SECOND * 10).0.outcome, "ok");
    let random = module(
        r#"(import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32)))"#,
        "(call $f (i32.const 0) (i32.const 8))",
    );
    assert!(refusal(&random).contains("grant it with random = true"));
    assert_eq!(play(&random.random(), SECOND * 10).0.outcome, "ok");
    assert!(refusal(&requester("GET http://127.0.0.1:1/")).contains("grant it with http = ["));
}

#[test]
fn output_goes_to_the_log_line_by_line() {
    let before = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 64) "one\ntwo\nthree")"#;
    let body = "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 13))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
        (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16))";
    let stage = Stage::new();
    module(before, body).register(stage.gs.hook("flush", "guest")).unwrap();
    assert_eq!(stage.stop()[0].outcome, "ok");
    let mut lines = stage.log(6);
    lines.sort();
    assert_eq!(lines, ["one", "three", "two", "warning: one", "warning: three", "warning: two"]);
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let before = r#"(import "graceshut_v1" "log" (func $log (param i32 i32 i32)))"#;
    let body = "(local $n i32) (loop $again (call $log (i32.const 2) (i32.const 0) (i32.const 60000))
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $again (i32.lt_s (local.get $n) (i32.const 10000))))
        (i32.const 0)";
    let stage = Stage::new();
    module(before, body).register(stage.gs.hook("flush", "guest")).unwrap();
    assert_eq!(stage.stop()[0].outcome, "ok");
    let lines = stage.log(33);
    assert_eq!(lines.len(), 33, "32 lines of 8 KiB and the one that says so");
    assert!(lines[32].contains("more than 256 KiB") && lines.iter().all(|l| l.len() <= 8192));
}

/// Sends `request`, keeps at most 4096 bytes of the answer at 1024 and returns what `http_request` does.
fn requester(request: &str) -> Wasm {
    let data = request.bytes().fold(String::new(), |text, b| text + &format!("\\{b:02x}"));
    module(
        &format!(
            r#"(import "graceshut_v1" "http_request" (func $http (param i32 i32 i32 i32) (result i32)))
            (import "graceshut_v1" "log" (func $log (param i32 i32 i32)))
            (data (i32.const 64) "{data}")"#
        ),
        &format!(
            "(local $n i32)
            (local.set $n (call $http (i32.const 64) (i32.const {}) (i32.const 1024) (i32.const 4096)))
            (if (result i32) (i32.gt_s (local.get $n) (i32.const 0))
              (then (call $log (i32.const 2) (i32.const 1024) (local.get $n)) (i32.const 0))
              (else (local.get $n)))",
            request.len()
        ),
    )
}

/// Answers one request with these bytes; what it was asked comes back.
fn server(answer: Vec<u8>) -> (String, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.push(byte[0]);
        }
        // A guest that refuses the answer closes early.
        let _ = stream.write_all(&answer);
        String::from_utf8(asked).unwrap()
    });
    (address, thread)
}

#[test]
fn a_granted_request_is_made_and_its_answer_given() {
    let (address, thread) = server(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\ndone".to_vec());
    let stage = Stage::new();
    let wasm = requester(&format!("PUT http://{address}/v1/agent\nX-Token: t")).http(&["PUT"], &address);
    wasm.register(stage.gs.hook("announce", "guest")).unwrap();
    let hooks = stage.stop();
    assert_eq!(hooks[0].outcome, "ok", "{hooks:?}");
    let asked = thread.join().unwrap();
    assert!(asked.starts_with("PUT /v1/agent HTTP/1.1\r\n") && asked.contains("X-Token: t\r\n"), "{asked}");
    assert_eq!(stage.log(1)[0], "200\nx-a: b\ncontent-length: 4\n\ndone");
}

#[test]
fn a_redirect_is_not_followed() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let target = other.local_addr().unwrap();
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
    let (address, thread) = server(answer.into_bytes());
    let stage = Stage::new();
    requester(&format!("GET http://{address}/")).http(&["GET"], &address).register(stage.gs.hook("flush", "guest")).unwrap();
    assert_eq!(stage.stop()[0].outcome, "ok");
    thread.join().unwrap();
    assert!(stage.log(1)[0].starts_with("302\n"), "the guest sees the redirect");
    assert_eq!(other.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}

#[test]
fn requests_that_are_not_granted_are_not_made() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let play = |wasm: Wasm| play(&wasm, SECOND * 10).0.message.unwrap();
    let message = play(requester(&format!("DELETE http://{address}/")).http(&["PUT"], &address));
    assert!(message.starts_with("returned -2: http: DELETE to") && message.contains("not granted"), "{message}");
    let message = play(requester(&format!("PUT http://{address}/")).http(&["PUT"], "127.0.0.1:1"));
    assert!(message.contains(&format!("grant \"PUT {address}\"")), "{message}");
    let message = play(requester("nonsense").http(&["PUT"], "127.0.0.1:1"));
    assert!(message.starts_with("returned -3"), "{message}");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}

#[test]
fn an_answer_that_is_too_large_is_refused() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(answer.len() + (2 << 20), b'x');
    let (address, thread) = server(answer);
    let (hook, _) = play(&requester(&format!("GET http://{address}/")).http(&["GET"], &address), SECOND * 10);
    thread.join().unwrap();
    assert!(hook.message.as_deref().unwrap().starts_with("returned -4: http: GET"), "{hook:?}");
}

#[test]
fn hooks_of_one_shutdown_hand_bytes_to_each_other() {
    let imports = r#"(import "graceshut_v1" "state_put" (func $put (param i32 i32 i32 i32) (result i32)))
        (import "graceshut_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 64) "id") (data (i32.const 80) "web-1")"#;
    let stage = Stage::new();
    module(imports, "(call $put (i32.const 64) (i32.const 2) (i32.const 80) (i32.const 5))")
        .register(stage.gs.hook("announce", "first"))
        .unwrap();
    module(imports, "(i32.sub (call $get (i32.const 64) (i32.const 2) (i32.const 96) (i32.const 16)) (i32.const 5))")
        .register(stage.gs.hook("flush", "second"))
        .unwrap();
    assert!(stage.stop().iter().all(|h| h.outcome == "ok"));
}

#[test]
fn the_context_can_be_read() {
    let read = |key: &str| {
        let before = format!(
            r#"(import "graceshut_v1" "context_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "graceshut_v1" "set_error" (func $error (param i32 i32))) (data (i32.const 64) "{key}")"#
        );
        let body = format!(
            "(local $n i32)
            (local.set $n (call $read (i32.const 64) (i32.const {}) (i32.const 256) (i32.const 64)))
            (if (i32.ge_s (local.get $n) (i32.const 0)) (then (call $error (i32.const 256) (local.get $n))))
            (i32.const 1)",
            key.len()
        );
        play(&module(&before, &body).config("id", "web-1"), SECOND * 10).0.message.unwrap()
    };
    assert_eq!(read("hook"), "returned 1: guest");
    assert_eq!(read("phase"), "returned 1: flush");
    assert_eq!(read("language"), "returned 1: rust");
    assert_eq!(read("reason"), "returned 1: stop");
    assert_eq!(read("message"), "returned 1: test");
    assert_eq!(read("config.id"), "returned 1: web-1");
    assert_eq!(read("config.other"), "returned 1");
    assert_eq!(read("nonsense"), "returned 1");
}

#[test]
fn time_can_be_read_and_asked_for() {
    let remaining = module(
        r#"(import "graceshut_v1" "remaining_ms" (func $left (result i64)))"#,
        "(i32.or (i64.gt_s (call $left) (i64.const 2000)) (i64.lt_s (call $left) (i64.const 1)))",
    );
    assert_eq!(play(&remaining, SECOND * 2).0.outcome, "ok");
    let extend = module(
        r#"(import "graceshut_v1" "extend" (func $more (param i64) (result i64)))"#,
        "(i64.ne (call $more (i64.const 500)) (i64.const 500))",
    );
    let (hook, _) = play(&extend, SECOND * 2);
    assert_eq!((hook.outcome.as_str(), hook.budget_us), ("ok", Some(2_500_000)));
}

#[test]
fn pointers_outside_of_memory_are_failures_that_name_the_function() {
    for (function, params, arguments) in [
        ("log", "(param i32 i32 i32)", "(i32.const 2) (i32.const 65530) (i32.const 100)"),
        ("set_error", "(param i32 i32)", "(i32.const -1) (i32.const -1)"),
        ("state_put", "(param i32 i32 i32 i32) (result i32)", "(i32.const 0) (i32.const 1) (i32.const 0) (i32.const -1)"),
        ("context_read", "(param i32 i32 i32 i32) (result i32)", "(i32.const -4) (i32.const 8) (i32.const 0) (i32.const 0)"),
        ("http_request", "(param i32 i32 i32 i32) (result i32)", "(i32.const 0) (i32.const 8) (i32.const 0) (i32.const -2)"),
    ] {
        let drop = if params.contains("result") { "drop" } else { "" };
        let wasm = module(
            &format!(r#"(import "graceshut_v1" "{function}" (func $f {params}))"#),
            &format!("(call $f {arguments}) {drop} (i32.const 0)"),
        );
        let (hook, _) = play(&wasm.http(&["PUT"], "127.0.0.1:1"), SECOND * 10);
        let message = hook.message.unwrap();
        assert!(message.starts_with(&format!("{function}: ")) && message.contains("outside the guest's memory"), "{message}");
    }
}

#[test]
fn wat_helper_and_bytes_are_the_same_module() {
    // The fixtures' own check: what `module` writes is what the host reads.
    let shape = graceshut_wasm::shape(&wat("(module (memory (export \"memory\") 1) (func (export \"_start\")))")).unwrap();
    assert_eq!(shape.entry, graceshut_wasm::Entry::Start);
}
