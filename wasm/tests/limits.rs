//! What a guest may use, and what a file has to be to become one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{SECOND, Stage, module, play, refusal, wat};
use graceshut_wasm::{MODULE_LIMIT, Wasm};

#[test]
fn memory_grows_to_its_limit_and_no_further() {
    // 64 KiB a page: one page to begin with, 1 MiB allowed.
    let grow = |pages: i32| module("", &format!("(i32.ne (memory.grow (i32.const {pages})) (i32.const 1))")).memory(1 << 20);
    assert_eq!(play(&grow(15), SECOND * 10).0.outcome, "ok");
    assert_eq!(play(&grow(16), SECOND * 10).0.message.as_deref(), Some("returned 1"));
    // A guest that falls over it: the report says what it was that it fell over.
    let bomb = module("", "(if (i32.eq (memory.grow (i32.const 4096)) (i32.const -1)) (then unreachable)) (i32.const 0)");
    let message = play(&bomb, SECOND * 10).0.message.unwrap();
    let words = "; it had reached its memory limit of 16777216 bytes: grant more with memory = \"32MiB\"";
    assert!(message.ends_with(words), "{message}");
}

#[test]
fn a_memory_that_begins_too_large_is_refused_at_registration() {
    let text = "(module (memory (export \"memory\") 512) (func (export \"run\") (param i32) (result i32) (i32.const 0)))";
    assert!(refusal(&Wasm::bytes(wat(text))).contains("grant it with memory = \"32MiB\""));
    assert_eq!(play(&Wasm::bytes(wat(text)).memory(32 << 20), SECOND * 10).0.outcome, "ok");
}

#[test]
fn tables_have_a_limit() {
    let text = r#"(module (memory (export "memory") 1) (table $t 1 funcref)
        (func (export "run") (param i32) (result i32)
          (i32.ne (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const -1))))"#;
    assert_eq!(play(&Wasm::bytes(wat(text)), SECOND * 10).0.outcome, "ok");
}

#[test]
fn fuel_ends_a_guest_as_time_does() {
    let spin = module("", "(loop $again (br $again)) unreachable");
    let message = play(&spin.fuel(100_000), SECOND * 10).0.message.unwrap();
    assert!(message.starts_with("used up its fuel of 100000"), "{message}");
    assert_eq!(play(&module("", "i32.const 0").fuel(100_000), SECOND * 10).0.outcome, "ok");
}

#[test]
fn a_trapped_guest_leaves_nothing_to_the_next_one() {
    let text = r#"(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
        (func (export "run") (param i32) (result i32)
          (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store (i32.const 0) (i32.const 7)) unreachable))"#;
    let clean = module("", "(i32.load (i32.const 0))");
    let stage = Stage::new();
    Wasm::bytes(wat(text)).register(stage.gs.hook("announce", "traps")).unwrap();
    clean.register(stage.gs.hook("flush", "clean")).unwrap();
    let hooks = stage.stop();
    assert_eq!((hooks[0].outcome.as_str(), hooks[1].outcome.as_str()), ("failed", "ok"));
}

fn refused(bytes: Vec<u8>) -> String {
    refusal(&Wasm::bytes(bytes))
}

fn with_run(before: &str) -> Vec<u8> {
    wat(&format!(
        "(module {before} (memory (export \"memory\") 1) (func (export \"run\") (param i32) (result i32) (i32.const 0)))"
    ))
}

#[test]
fn what_is_no_module_is_refused_with_its_name() {
    assert!(refused(Vec::new()).contains("the file is empty"));
    assert!(refused(b"\x7fELF\x02\x01\x01\0\0\0".to_vec()).contains("it is not WebAssembly"));
    assert!(refused(b"(module)".to_vec()).contains("wat2wasm"));
    assert!(refused(b"\0asm\x02\0\0\0".to_vec()).contains("version [2, 0, 0, 0]"));
    assert!(refused(b"\0asm\x01".to_vec()).contains("truncated"));
    assert!(refused(vec![0; MODULE_LIMIT as usize + 1]).contains("a hook has at most 33554432"));
    let whole = with_run("");
    for n in 8..whole.len() {
        let message = refused(whole[..n].to_vec());
        assert!(["truncated", "memory", "neither `run", "damaged"].iter().any(|w| message.contains(w)), "{n}: {message}");
    }
}

#[test]
fn imports_nobody_gives_are_refused_with_their_name() {
    let import = |module: &str, name: &str, ty: &str| refused(with_run(&format!("(import \"{module}\" \"{name}\" {ty})")));
    assert!(import("env", "abort", "(func)").contains("it imports `env.abort`; a hook is given `graceshut_v1`"));
    assert!(import("graceshut_v1", "lgo", "(func)").contains("none of log, remaining_ms"));
    assert!(import("graceshut_v1", "log", "(func)").contains("it imports `graceshut_v1.log` as (); it is (i32, i32, i32)"));
    assert!(import("graceshut_v1", "log", "(global i32)").contains("not as a function"));
    assert!(import("graceshut_v2", "log", "(func)").contains("built for ABI 2 of graceshut; this build runs ABI 1"));
    assert!(import("wasi_snapshot_preview1", "fd_red", "(func)").contains("WASI preview 1 does not have"));
    assert!(import("wasi_snapshot_preview1", "fd_close", "(func)").contains("it is (i32) -> i32"));
    assert!(import("wasi_snapshot_preview1", "sock_accept", "(func)").contains("no hook is given"));
    assert!(import("wasi_unstable", "fd_close", "(func)").contains("before preview 1"));
}

#[test]
fn exports_that_are_missing_or_wrong_are_refused_with_their_name() {
    let message = |text: &str| refused(wat(text));
    assert!(refused(with_run("(memory 1)")).contains("it has 2 memories; a hook has one"));
    assert!(message("(module (memory (export \"memory\") 1))").contains("neither `run(reason: i32) -> i32` nor `_start()`"));
    assert!(message("(module (func (export \"run\") (param i32) (result i32) (i32.const 0)))").contains("no `memory`"));
    let run = message("(module (memory (export \"memory\") 1) (func (export \"run\")))");
    assert!(run.contains("`run`") && run.contains("it has to be `run(reason: i32) -> i32`"), "{run}");
    let abi = with_run("(func (export \"graceshut_abi\") (result i32) (i32.const 3))");
    assert!(refused(abi).contains("built for ABI 3"));
    // Not a constant: found out when it runs.
    let computed = with_run("(func (export \"graceshut_abi\") (result i32) (i32.add (i32.const 1) (i32.const 1)))");
    assert!(play(&Wasm::bytes(computed), SECOND * 10).0.message.unwrap().contains("built for ABI 2"));
    let same = with_run("(func (export \"graceshut_abi\") (result i32) (i32.const 1))");
    assert_eq!(play(&Wasm::bytes(same), SECOND * 10).0.outcome, "ok");
}

#[test]
fn code_that_is_not_valid_is_refused() {
    let mut bytes = with_run("");
    let at = bytes.windows(4).rposition(|w| w == [0x00, 0x41, 0x00, 0x0b]).unwrap();
    bytes[at + 1] = 0x42; // i64.const where i32 is returned
    assert!(refused(bytes).contains("it is not valid"));
}

#[test]
fn files_that_cannot_be_read_are_refused_with_their_path() {
    assert!(refusal(&Wasm::file("/does/not/exist.wasm")).contains("/does/not/exist.wasm: cannot be read"));
    assert!(refusal(&Wasm::file("/tmp")).contains("no regular file"));
    assert!(refusal(&Wasm::file("/dev/zero")).contains("no regular file"));
}
