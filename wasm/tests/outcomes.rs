//! How a guest ends: well, with a status, by a trap, by its deadline, in its own code and in the host's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{SECOND, Stage, between_stages, module, play, wat};
use graceshut::report::HookInfo;
use graceshut_wasm::{Access, Wasm};

/// A loaded machine schedules late; what must not happen is that a hook lasts as long as its guest would.
const SLACK: Duration = Duration::from_millis(1500);

/// Plays a guest that has to be killed. Where it was is its last word, for which the report waits 250 ms: a machine on which its
/// thread is not scheduled for so long gets another chance.
fn killed(wasm: &Wasm, timeout: Duration) -> HookInfo {
    for _ in 0..3 {
        let (hook, _) = play(wasm, timeout);
        assert_eq!(hook.outcome, "killed", "{hook:?}");
        assert!(hook.used_us >= us(timeout) && hook.used_us < us(timeout + SLACK), "{hook:?}");
        if hook.message.is_some() {
            return hook;
        }
    }
    panic!("it never said where it was");
}

fn us(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap()
}

#[test]
fn a_status_is_the_result() {
    let (hook, _) = play(&module("", "i32.const 0"), SECOND * 10);
    assert_eq!((hook.outcome.as_str(), hook.kind.as_str(), hook.message), ("ok", "wasm", None));
    let (hook, _) = play(&module("", "i32.const 7"), SECOND * 10);
    assert_eq!((hook.outcome.as_str(), hook.message.as_deref()), ("failed", Some("returned 7")));
}

#[test]
fn the_reason_is_the_argument() {
    // `stop` is 2.
    let (hook, _) = play(&module("", "(i32.ne (local.get $reason) (i32.const 2))"), SECOND * 10);
    assert_eq!(hook.outcome, "ok", "{hook:?}");
}

#[test]
fn initialize_comes_before_run() {
    let text = r#"(module (memory (export "memory") 1) (global $ready (mut i32) (i32.const 9))
        (func (export "_initialize") (global.set $ready (i32.const 0)))
        (func (export "run") (param i32) (result i32) (global.get $ready)))"#;
    assert_eq!(play(&Wasm::bytes(wat(text)), SECOND * 10).0.outcome, "ok");
}

#[test]
fn a_command_module_ends_with_its_exit_status() {
    let command = |code: i32| {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code}))))"#
        );
        play(&Wasm::bytes(wat(&text)), SECOND * 10).0
    };
    assert_eq!(command(0).outcome, "ok");
    assert_eq!(command(3).message.as_deref(), Some("returned 3"));
}

const TRAPS: [(&str, &str); 4] = [
    ("unreachable i32.const 0", "unreachable"),
    ("(i32.div_s (i32.const 1) (i32.const 0))", "divide by zero"),
    ("(i32.load (i32.const -8))", "out of bounds memory access"),
    ("(call 0 (i32.const 0))", "call stack exhausted"),
];

fn caught() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|l| l.starts_with("SigCgt")).unwrap().to_owned()
}

#[test]
fn traps_are_failures_with_a_place_and_no_signal_handler_is_installed() {
    // graceshut's own handlers come and go with each stage, so both looks are between stages, of other tests too.
    drop(Stage::new());
    let before = between_stages(caught);
    // One that never waits runs on the hook's own stack, one that may wait on one of its own.
    let may_wait = r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#;
    for (body, words) in TRAPS {
        for (imports, place) in [("", "function 0"), (may_wait, "function 1")] {
            let body = body.replace("call 0", &place.replace("function", "call"));
            let (hook, _) = play(&module(imports, &body), SECOND * 10);
            let message = hook.message.unwrap();
            assert_eq!(hook.outcome, "failed");
            assert!(message.contains("trap: ") && message.contains(words) && message.contains(place), "{message}");
        }
    }
    assert_eq!(between_stages(caught), before);
}

#[test]
fn a_guest_has_its_stack_whatever_the_environment_gives_threads() {
    let this = "traps_are_failures_with_a_place_and_no_signal_handler_is_installed";
    let mut traps = std::process::Command::new(std::env::current_exe().unwrap());
    let out = traps.args(["--exact", this]).env("RUST_MIN_STACK", "400000").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("1 passed"), "{} {said}", out.status);
}

#[test]
fn a_guest_that_spins_is_killed_at_its_deadline() {
    let text = r#"(module (memory (export "memory") 1)
        (func $spin (loop $again (br $again)))
        (func $work (export "run") (param i32) (result i32) (call $spin) (i32.const 0)))"#;
    let wasm = Wasm::bytes(wat(text));
    let hook = killed(&wasm, SECOND * 2);
    assert_eq!(hook.message.as_deref(), Some("stopped at its deadline in `spin` < `work`"));
}

#[test]
fn a_guest_that_spins_in_its_start_function_is_killed_too() {
    let text = r#"(module (memory (export "memory") 1) (func $start (loop $again (br $again))) (start $start)
        (func (export "run") (param i32) (result i32) (i32.const 0)))"#;
    let hook = killed(&Wasm::bytes(wat(text)), SECOND * 2);
    assert_eq!(hook.message.as_deref(), Some("stopped at its deadline in `start`"));
}

/// Sleeps `seconds` in poll_oneoff.
pub fn sleeper(seconds: u64) -> Wasm {
    module(
        &format!(
            r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (func $prepare
              (i32.store (i32.const 16) (i32.const 1)) ;; clock 1: monotonic
              (i64.store (i32.const 24) (i64.const {})))"#,
            seconds * 1_000_000_000
        ),
        "(call $prepare) (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256))",
    )
}

#[test]
fn a_guest_that_sleeps_in_the_host_is_killed_at_its_deadline() {
    let began = Instant::now();
    let hook = killed(&sleeper(60), SECOND * 2);
    assert_eq!(hook.message.as_deref(), Some("stopped at its deadline in the host function `poll_oneoff`"));
    assert!(began.elapsed() < SECOND * 30, "{hook:?}");
}

#[test]
fn a_sleep_that_fits_is_slept() {
    let (hook, _) = play(&sleeper(1), SECOND * 10);
    assert!(hook.outcome == "ok" && hook.used_us >= us(SECOND), "{hook:?}");
}

#[test]
fn a_guest_that_reads_a_pipe_nobody_writes_is_killed_at_its_deadline() {
    let folder = std::env::temp_dir().join(format!("graceshut-wasm-pipe-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = std::ffi::CString::new(folder.join("pipe").to_str().unwrap()).unwrap();
    // SAFETY: `path` is a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let open = r#"(import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (data (i32.const 64) "pipe")"#;
    let body = "(call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 128))";
    let hook = killed(&module(open, body).dir("/in", &folder, Access::Read), SECOND * 2);
    // Lets go of the thread that still opens it.
    let _writer = std::fs::OpenOptions::new().read(true).write(true).open(folder.join("pipe")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(hook.message.as_deref(), Some("stopped at its deadline in the host function `path_open`"));
}

#[test]
fn a_guest_that_waits_for_a_server_that_never_answers_is_killed_at_its_deadline() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let request = format!("GET http://{address}/");
    let before = format!(
        r#"(import "graceshut_v1" "http_request" (func $http (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 64) "{request}")"#
    );
    let body = format!("(call $http (i32.const 64) (i32.const {}) (i32.const 1024) (i32.const 1024))", request.len());
    let hook = killed(&module(&before, &body).http(&["GET"], &address.to_string()), SECOND * 2);
    assert_eq!(hook.message.as_deref(), Some("stopped at its deadline in the host function `http_request`"));
}

#[test]
fn two_hooks_at_once_end_each_at_its_own_deadline() {
    let stage = Stage::new();
    let spin = module("", "(loop $again (br $again)) unreachable");
    spin.register(stage.gs.hook("flush", "short").timeout(SECOND * 2)).unwrap();
    spin.register(stage.gs.hook("flush", "long").timeout(SECOND * 3)).unwrap();
    let hooks = stage.stop();
    assert!(hooks.iter().all(|h| h.outcome == "killed"), "{hooks:?}");
    assert!(hooks[0].used_us < us(SECOND * 2 + SLACK), "{hooks:?}");
    assert!(hooks[1].used_us >= us(SECOND * 3), "the end of one hook ended another: {hooks:?}");
}

#[test]
fn a_cancelled_guest_can_say_so() {
    // Waits until it is cancelled, in steps of 10 ms, and says -1.
    let before = r#"(import "graceshut_v1" "cancelled" (func $cancelled (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    let body = "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 10000000))
        (loop $again
          (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))
          (br_if $again (i32.eqz (call $cancelled))))
        (i32.const -1)";
    let (hook, _) = play(&module(before, body), SECOND * 3);
    assert_eq!(hook.outcome, "cancelled", "{hook:?}");
    // Never cancelled, -1 is a failure like any other.
    assert_eq!(play(&module("", "i32.const -1"), SECOND * 10).0.message.as_deref(), Some("returned -1"));
}
