//! The engine is compiled once a profile for all that has it: every build of this workspace gives the crates below it the same
//! features. One that asks for more costs minutes, and shows in nothing but the time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// How cargo is called by the Makefile, by maturin and by bindings-node/build.mjs.
const BUILDS: &[(&str, &str)] = &[
    ("normal,build", "-p graceshut-c --features graceshut-c/wasm"),
    ("normal,build", "-p graceshut-python --features graceshut-python/wasm"),
    ("normal,build", "-p graceshut-node --features graceshut-node/wasm"),
    ("normal,build,dev", "-p graceshut-cli -p graceshut-demo --features graceshut-cli/wasm"),
    ("normal,build", "-p graceshut-demo-service"),
    ("normal,build", "-p graceshut-conformance-driver"),
    ("normal,build,dev", "--workspace --exclude graceshut-c --exclude graceshut-wasm --exclude graceshut-bench"),
];

/// The engine's crates and all below them, each with its features.
fn engine(edges: &str, build: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tree = ["tree", "--locked", "--no-dedupe", "--prefix", "depth", "--format", "|{p}|{f}", "--edges", edges];
    let out = Command::new(env!("CARGO")).args(tree).args(build.split(' ')).current_dir(root).output().unwrap();
    assert!(out.status.success(), "{build}: {}", String::from_utf8_lossy(&out.stderr));
    let (mut found, mut top) = (BTreeSet::new(), None);
    for line in String::from_utf8(out.stdout).unwrap().lines() {
        let Some((depth, package)) = line.split_once('|') else { continue };
        let depth: usize = depth.parse().unwrap();
        top = top.filter(|top| depth > *top);
        if ["wasmtime v", "wasmtime-wasi v"].iter().any(|e| package.starts_with(e)) {
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
    let ours = engine("normal,build,dev", "-p graceshut-wasm");
    assert!(ours.len() > 100, "{ours:?}");
    for (edges, build) in BUILDS {
        let theirs = engine(edges, build);
        let differ: Vec<_> = ours.symmetric_difference(&theirs).collect();
        assert!(differ.is_empty(), "cargo … {build}: say these in wasm/Cargo.toml: {differ:?}");
    }
}
