//! WebAssembly hooks inside live hosts: C, Python, Node, Java and Go load the same library, built with the feature `wasm`, and
//! play the same guests. Traps of every kind install no signal handler, and what spins is killed.
//!
//! A toolchain that is missing is said and skipped; with CI=true that is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wasm_hosts"))
}

/// Runs a command that has to succeed; what it said on stdout.
fn must(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{command:?}: {}\n{text}{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

fn has(tool: &str, version: &str) -> bool {
    let found = Command::new(tool).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !found {
        println!("skipped: {tool} is not on this machine");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "and this is CI, where nothing may be skipped");
    }
    found
}

/// What all hosts share: the guests, the library, and `libplay.so` that plays them.
struct Stage {
    folder: PathBuf,
    library: PathBuf,
}

impl Stage {
    fn get() -> &'static Stage {
        static STAGE: OnceLock<Stage> = OnceLock::new();
        STAGE.get_or_init(|| {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
            let build = ["build", "-q", "--lib", "--features", "wasm", "--target-dir"];
            must(Command::new(env!("CARGO")).args(build).arg(target).current_dir(env!("CARGO_MANIFEST_DIR")));
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wasm-hosts-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            // The other tests build the library without the feature into the same place.
            let library = folder.join("libgraceshut.so.0");
            std::fs::copy(target.join("debug/libgraceshut_c.so"), &library).unwrap();
            for (name, body) in [
                ("unreachable", "unreachable"),
                ("division", "(i32.div_s (i32.const 1) (i32.const 0))"),
                ("bounds", "(i32.load (i32.const -8))"),
                ("stack", "(call 0 (i32.const 0))"),
                ("spin", "(loop $again (br $again)) unreachable"),
                ("well", "(i32.const 0)"),
            ] {
                let text =
                    format!("(module (memory (export \"memory\") 1) (func (export \"run\") (param i32) (result i32) {body}))");
                std::fs::write(folder.join(name).with_extension("wasm"), wat::parse_str(text).unwrap()).unwrap();
            }
            let stage = Stage { folder, library };
            stage.shared("libplay.so", &["play.c"], &[]);
            stage
        })
    }

    fn cc(&self, output: &str, sources: &[&str], flags: &[&str]) -> PathBuf {
        let output = self.folder.join(output);
        let include = here().join("../../include");
        must(
            Command::new("cc")
                .args(["-Wall", "-Wextra", "-Werror", "-o"])
                .arg(&output)
                .args(sources.iter().map(|s| here().join(s)))
                .arg("-I")
                .arg(include)
                .arg(&self.library)
                .arg(format!("-Wl,-rpath,{}", self.folder.display()))
                .args(flags),
        );
        output
    }

    fn shared(&self, output: &str, sources: &[&str], flags: &[&str]) -> PathBuf {
        self.cc(output, sources, &[flags, &["-shared", "-fPIC"]].concat())
    }

    /// Runs a host, and checks what it wrote.
    fn check(&self, host: &str, command: &mut Command) {
        let out = self.folder.join(format!("{host}.out"));
        command.arg(&self.folder).arg(&out);
        command.env("GRACESHUT_WASM_CACHE", self.folder.join(format!("cache-{host}"))).env_remove("GRACESHUT_CONFIG");
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if began.elapsed() > LIMIT {
                let _ = child.kill();
                panic!("{host}: still running after {LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        assert!(status.success(), "{host}: {status}\n{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 3 && lines[0].starts_with("SigCgt"), "{host}: {text}");
        assert_eq!(lines[0], lines[1], "{host}: hooks changed which signals are caught");
        let report: Value = serde_json::from_str(lines[2]).unwrap();
        let phases = report["phases"].as_array().unwrap();
        let hooks = phases.iter().flat_map(|p| p["hooks"].as_array().unwrap()).filter(|h| h["kind"] == "wasm");
        let said: BTreeMap<&str, (&str, &str)> = hooks
            .map(|h| (h["name"].as_str().unwrap(), (h["outcome"].as_str().unwrap(), h["message"].as_str().unwrap_or(""))))
            .collect();
        for (name, words) in [
            ("unreachable", "unreachable"),
            ("division", "divide by zero"),
            ("bounds", "out of bounds"),
            ("stack", "call stack"),
        ] {
            let (outcome, message) = said[name];
            assert!(outcome == "failed" && message.starts_with("trap: ") && message.contains(words), "{host}: {said:?}");
        }
        assert_eq!(said["spin"].0, "killed", "{host}: {said:?}");
        // Where it was has to be said in time for the report; five hosts at once on a busy machine may be late with it.
        assert!(said["spin"].1.is_empty() || said["spin"].1.starts_with("stopped at its deadline in "), "{host}: {said:?}");
        assert_eq!(said["well"], ("ok", ""), "{host}: {said:?}");
    }
}

#[test]
fn inside_c() {
    let stage = Stage::get();
    let program = stage.cc("main-c", &["main.c", "play.c"], &[]);
    stage.check("c", &mut Command::new(program));
}

#[test]
fn inside_python() {
    if has("python3", "--version") {
        let stage = Stage::get();
        let mut python = Command::new("python3");
        stage.check("python", python.arg(here().join("play.py")).arg(stage.folder.join("libplay.so")));
    }
}

#[test]
fn inside_node() {
    if has("node", "--version") {
        let stage = Stage::get();
        let include = must(Command::new("node").args([
            "-p",
            "const p = require('path'), f = require('fs'); \
             [p.join(process.execPath, '../../include/node'), '/usr/include/node'].find(d => f.existsSync(p.join(d, 'node_api.h')))",
        ]));
        stage.shared("play.node", &["node.c", "play.c"], &["-I", include.trim()]);
        let run = "process.exitCode = require(process.argv[1] + '/play.node')(process.argv[1], process.argv[2])";
        stage.check("node", Command::new("node").args(["-e", run]));
    }
}

#[test]
fn inside_java() {
    if has("javac", "-version") && has("java", "-version") {
        let stage = Stage::get();
        let home = must(Command::new("sh").args(["-c", "dirname $(dirname $(readlink -f $(command -v javac)))"]));
        let include = Path::new(home.trim()).join("include");
        let (include, linux) = (include.display().to_string(), include.join("linux").display().to_string());
        let native = stage.shared("libjava-play.so", &["java.c", "play.c"], &["-I", &include, "-I", &linux]);
        must(Command::new("javac").arg("-d").arg(&stage.folder).arg(here().join("Play.java")));
        stage.check("java", Command::new("java").arg("-cp").arg(&stage.folder).arg("Play").arg(native));
    }
}

#[test]
fn inside_go() {
    if has("go", "version") {
        let stage = Stage::get();
        let program = stage.folder.join("main-go");
        let folder = stage.folder.display();
        let flags = format!("-L{folder} -lplay -l:libgraceshut.so.0 -Wl,-rpath,{folder}");
        let build = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(here().join("main.go"))
            .env("CGO_LDFLAGS", flags)
            .env("GOFLAGS", "-mod=mod")
            .output()
            .unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        stage.check("go", &mut Command::new(program));
    }
}
