//! `graceshut hook`: new, check, run, compile; and the hooks of `examples/hooks`, built from source.
#![cfg(feature = "wasm")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod examples;
mod projects;
mod stand_in;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own, removed at the end; its cache too.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hook-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn hook(&self, args: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graceshut"));
        command.arg("hook").args(args).current_dir(&self.0).stdin(Stdio::null());
        command.env("GRACESHUT_WASM_CACHE", self.0.join("cache")).env_remove("GRACESHUT_CONFIG");
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.success(), text(stdout), text(stderr))
    }

    fn file(&self, name: &str, wat: &str) {
        std::fs::write(self.0.join(name), wat::parse_str(wat).unwrap()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const CLOCK: &str = r#"(module (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
    (import "graceshut_v1" "log" (func $log (param i32 i32 i32))) (memory (export "memory") 2) (data (i32.const 8) "line")
    (func (export "run") (param i32) (result i32)
      (call $log (i32.const 2) (i32.const 8) (i32.const 4)) (drop (memory.grow (i32.const 3)))
      (call $now (i32.const 1) (i64.const 1) (i32.const 0))))"#;

#[test]
fn check_says_what_a_module_is_and_needs() {
    let folder = Folder::new("check");
    folder.file("clock.wasm", CLOCK);
    let (ok, out, err) = folder.hook(&["check", "clock.wasm"]);
    assert!(ok, "{err}");
    for line in [
        "begins with run(reason: i32) -> i32",
        "memory to begin with: 128 KiB",
        "exports: memory, run",
        "imports: wasi_snapshot_preview1.clock_time_get, graceshut_v1.log",
        "needs granted: clock = true",
    ] {
        assert!(out.lines().any(|l| l == line), "no {line:?} in {out}");
    }
    folder.file(
        "component.wasm",
        r#"(component (import "graceshut:hook/host@0.1.0" (instance $host
            (type $r' (enum "signal" "stop" "host-end" "uncaught" "prestop" "parent-death" "stdin-eof"))
            (export "reason-kind" (type (eq $r'))) (export "set-error" (func (param "text" string)))))
          (import "wasi:clocks/wall-clock@0.2.0" (instance
            (type $d' (record (field "seconds" u64) (field "nanoseconds" u32))) (export "datetime" (type $d (eq $d')))
            (export "now" (func (result $d)))))
          (alias export $host "reason-kind" (type $r))
          (core module $M (memory (export "memory") 2) (func (export "run") (param i32) (result i32) (i32.const 16)))
          (core instance $m (instantiate $M))
          (func $run (param "reason" $r) (result (result (error string)))
            (canon lift (core func $m "run") (memory (core memory $m "memory"))))
          (export "run" (func $run)))"#,
    );
    let (ok, out, err) = folder.hook(&["check", "component.wasm"]);
    assert!(ok, "{err}");
    for line in [
        "begins with run(reason) -> result<_, string>",
        "memory to begin with: 128 KiB",
        "imports: graceshut:hook/host@0.1.0, wasi:clocks/wall-clock@0.2.0",
        "needs granted: clock = true",
    ] {
        assert!(out.lines().any(|l| l == line), "no {line:?} in {out}");
    }
    let (ok, out, err) = folder.hook(&["run", "component.wasm", "--clock"]);
    assert!(ok && out.contains("outcome: ok\n") && out.contains("memory: 128 KiB\n"), "{out}{err}");
    folder.file("env.wasm", r#"(module (import "env" "abort" (func)) (memory (export "memory") 1) (func (export "_start")))"#);
    let (ok, _, err) = folder.hook(&["check", "env.wasm"]);
    assert!(!ok && err.contains("env.wasm: it imports `env.abort`"), "{err}");
}

#[test]
fn run_prints_log_outcome_time_and_memory() {
    let folder = Folder::new("run");
    folder.file("clock.wasm", CLOCK);
    let (ok, _, err) = folder.hook(&["run", "clock.wasm"]);
    assert!(!ok && err.contains("grant it with clock = true"), "{err}");
    let (ok, out, err) = folder.hook(&["run", "clock.wasm", "--clock", "--fuel", "100000"]);
    assert!(ok, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["log: line", "outcome: ok"]);
    assert!(lines[2].starts_with("time: ") && lines[2].ends_with(" ms of 2s"), "{out}");
    assert_eq!(lines[3], "memory: 320 KiB");
    assert!(lines[4].strip_prefix("fuel: ").unwrap().parse::<u64>().unwrap() > 5, "{out}");
    folder.file(
        "spin.wasm",
        r#"(module (memory (export "memory") 1) (func $f (export "run") (param i32) (result i32) (loop (br 0)) unreachable))"#,
    );
    let (ok, out, _) = folder.hook(&["run", "spin.wasm", "--timeout", "500ms"]);
    assert!(!ok && out.contains("outcome: killed\nmessage: stopped at its deadline in `f`\n"), "{out}");
}

#[test]
fn compile_fills_the_cache() {
    let folder = Folder::new("compile");
    folder.file("clock.wasm", CLOCK);
    assert_eq!(folder.hook(&["compile", "clock.wasm"]).1, "clock.wasm: compiled\n");
    assert_eq!(folder.hook(&["compile", "clock.wasm"]).1, "clock.wasm: was in the cache\n");
    assert_eq!(folder.hook(&["compile", "--fuel", "clock.wasm"]).1, "clock.wasm: compiled\n");
    let (ok, _, err) = folder.hook(&["compile", "missing.wasm"]);
    assert!(!ok && err.contains("missing.wasm"), "{err}");
}

const FILE: &str = "[[hook]]\nphase = \"close\"\nname = \"last words\"\n[hook.wasm]\npath = \"clock.wasm\"\nclock = true\n";

/// `graceshut run` in that folder, with a `wasm` hook in its file.
fn wrapped(folder: &Folder, graceshut: &str, command: &str) -> Output {
    folder.file("clock.wasm", CLOCK);
    std::fs::write(folder.0.join("graceshut.toml"), FILE).unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(&folder.0)
        .env("RUN", format!("{graceshut} run --grace 20s --"))
        .stdin(Stdio::null());
    shell.env("GRACESHUT_WASM_CACHE", folder.0.join("cache")).env("GRACESHUT_REPORT", folder.0.join("report.json"));
    shell.env_remove("GRACESHUT_CONFIG").output().unwrap()
}

#[test]
fn a_program_that_nobody_changes_has_hooks_by_its_file() {
    let folder = Folder::new("wrapped");
    let out = wrapped(&folder, env!("CARGO_BIN_EXE_graceshut"), "exec $RUN sh -c 'kill -TERM $PPID; exec sleep 60'");
    let report = std::fs::read_to_string(folder.0.join("report.json")).unwrap_or_default();
    assert_eq!(out.status.code(), Some(143), "{report} {out:?}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let close = report["phases"].as_array().unwrap().iter().find(|p| p["name"] == "close").unwrap();
    assert_eq!(
        (close["hooks"][0]["kind"].as_str(), close["hooks"][0]["outcome"].as_str()),
        (Some("wasm"), Some("ok")),
        "{close}"
    );
}

#[test]
fn what_is_inherited_goes_through_the_program_with_the_engine() {
    let folder = Folder::new("inherited");
    let look = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    for ignored in ["", "trap '' PIPE USR1; ", "trap '' CHLD; "] {
        let command = format!("{ignored}{look}; exec $RUN {look}");
        let out = wrapped(&folder, env!("CARGO_BIN_EXE_graceshut"), &command);
        let lines: Vec<_> = out.stdout.split(|b| *b == b'\n').filter(|l| l.starts_with(b"Sig")).collect();
        assert_eq!(lines.len(), 4, "{out:?}");
        assert_eq!(lines[..2], lines[2..], "{out:?}");
    }
    let out = wrapped(&folder, env!("CARGO_BIN_EXE_graceshut"), "exec $RUN env");
    assert!(!String::from_utf8_lossy(&out.stdout).contains("GRACESHUT_INHERITED"), "{out:?}");
}

#[test]
fn without_the_program_with_the_engine_it_says_so() {
    let folder = Folder::new("alone");
    let alone = folder.0.join("graceshut");
    std::fs::copy(env!("CARGO_BIN_EXE_graceshut"), &alone).unwrap();
    let out = wrapped(&folder, alone.to_str().unwrap(), "exec $RUN true");
    assert_eq!(out.status.code(), Some(125), "{out:?}");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("graceshut-wasm, which is neither beside graceshut nor on PATH"), "{said}");
    // What only reads the file does not need it.
    let plan = Command::new(&alone).arg("plan").current_dir(&folder.0).output().unwrap();
    assert!(plan.status.success() && String::from_utf8_lossy(&plan.stdout).contains("wasm clock.wasm"), "{plan:?}");
}
