//! The engine is compiled once a profile for all that has it: every build of this workspace gives the crates below it the same
//! features. And what `make engine` links is linked once: alone, each has what it has there. A feature more costs minutes, and
//! shows in nothing but the time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// As `make engine` calls cargo.
const ENGINE: &str = "-p graceshut-c -p graceshut-cli -p graceshut-demo -p graceshut-demo-service \
     -p graceshut-node --features graceshut-node/wasm,graceshut-c/wasm,graceshut-cli/wasm";

/// How the Makefile and bindings-node/build.mjs call it for one of these.
const ALONE: &[&str] = &[
    "-p graceshut-c --features graceshut-c/wasm",
    "-p graceshut-node --features graceshut-node/wasm",
    "-p graceshut-cli -p graceshut-demo --features graceshut-cli/wasm",
    "-p graceshut-demo-service",
];

/// What else has the engine: maturin's call, the conformance runner's, and the tests'.
const BUILDS: &[(&str, &str)] = &[
    ("normal,build", "-p graceshut-python --features graceshut-python/wasm"),
    ("normal,build", "-p graceshut-conformance-driver"),
    ("normal,build,dev", "-p graceshut-cli -p graceshut-demo --features graceshut-cli/wasm"),
    ("normal,build,dev", "--workspace --exclude graceshut-c --exclude graceshut-wasm --exclude graceshut-bench"),
];

/// The crates of these names and all below them, each with its features.
fn below(tops: &[&str], edges: &str, build: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tree = ["tree", "--locked", "--no-dedupe", "--prefix", "depth", "--format", "|{p}|{f}", "--edges", edges];
    let out = Command::new(env!("CARGO")).args(tree).args(build.split_whitespace()).current_dir(root).output().unwrap();
    assert!(out.status.success(), "{build}: {}", String::from_utf8_lossy(&out.stderr));
    let (mut found, mut top) = (BTreeSet::new(), None);
    for line in String::from_utf8(out.stdout).unwrap().lines() {
        let Some((depth, package)) = line.split_once('|') else { continue };
        let depth: usize = depth.parse().unwrap();
        top = top.filter(|top| depth > *top);
        if tops.iter().any(|e| package.starts_with(&format!("{e} v"))) {
            top = top.or(Some(depth));
        }
        if top.is_some() {
            found.insert(package.to_owned());
        }
    }
    found
}

#[test]
fn every_build_has_the_engine_with_the_same_features() {
    let engine = ["wasmtime", "wasmtime-wasi"];
    let ours = below(&engine, "normal,build,dev", "-p graceshut-wasm");
    assert!(ours.len() > 100, "{ours:?}");
    for (edges, build) in BUILDS.iter().chain(&[("normal,build", ENGINE)]) {
        let theirs = below(&engine, edges, build);
        let differ: Vec<_> = ours.symmetric_difference(&theirs).collect();
        assert!(differ.is_empty(), "cargo … {build}: say these in wasm/Cargo.toml: {differ:?}");
    }
}

#[test]
fn what_is_linked_together_is_linked_once() {
    let host = ["graceshut", "graceshut-wasm"];
    let together = below(&host, "normal,build", ENGINE);
    for build in ALONE {
        let differ: Vec<_> = below(&host, "normal,build", build).difference(&together).cloned().collect();
        assert!(differ.is_empty(), "cargo … {build}: has another {differ:?} than `make engine`");
    }
}
