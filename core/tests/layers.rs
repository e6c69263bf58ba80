//! Dependencies point one way: between crates (their Cargo.toml) and between the rooms of core (`use crate::`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Which crates of the workspace each crate may depend on (tests included).
const CRATES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("wasm", &["graceshut"]),
    ("bindings-c", &["graceshut", "graceshut-wasm"]),
    ("bindings-python", &["graceshut", "graceshut-wasm"]),
    ("bindings-node", &["graceshut", "graceshut-wasm"]),
    ("cli", &["graceshut", "graceshut-wasm"]),
    ("bench", &["graceshut", "graceshut-wasm"]),
    ("examples/demo", &[]),
    ("examples/rust", &["graceshut", "graceshut-wasm"]),
    ("conformance", &[]),
    ("conformance/drivers/rust", &["graceshut", "graceshut-wasm"]),
];

fn wrong_crate_edges(manifest: &toml::Table, own: &[String], allowed: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        wrong.extend(table.keys().filter(|d| own.contains(d) && !allowed.contains(&d.as_str())).cloned());
    }
    wrong
}

fn manifest(folder: &str) -> toml::Table {
    fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
}

fn package_name(manifest: &toml::Table) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn crates_know_only_what_lies_below_them() {
    let workspace = manifest(".");
    let members: Vec<&str> =
        workspace["workspace"]["members"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    let own: Vec<String> = members.iter().map(|m| package_name(&manifest(m))).collect();
    for member in members {
        let (_, allowed) =
            CRATES.iter().find(|(c, _)| *c == member).unwrap_or_else(|| panic!("say in this test what {member} may know"));
        let wrong = wrong_crate_edges(&manifest(member), &own, allowed);
        assert!(wrong.is_empty(), "{member} must not depend on {wrong:?}");
    }
}

/// Which rooms of core each room may use. A room not named here may use nothing.
const ROOMS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("error", &[]),
    ("wake", &["clock"]),
    ("plan", &["clock", "error"]),
    ("process", &["clock", "error", "wake"]),
    ("signal", &["clock", "error", "process", "wake"]),
    ("config", &["clock", "error", "plan", "signal"]),
    ("admin", &["clock", "config", "error", "process", "signal"]),
    ("engine", &["clock", "config", "error", "plan"]),
    ("inflight", &["error", "signal"]),
    ("listener", &["clock"]),
    ("report", &["clock", "config", "engine", "plan", "signal"]),
    ("hook", &["clock", "config", "engine", "error", "hooks", "inflight", "runtime", "wake"]),
    ("hooks", &["clock", "config", "error", "hook", "plan", "signal"]),
    ("host", &["engine", "runtime", "signal"]),
    (
        "runtime",
        &[
            "admin", "clock", "config", "engine", "error", "hook", "host", "inflight", "plan", "process", "report", "signal",
            "wake",
        ],
    ),
];

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Every room that `text` names by `crate::room`, in code (comments do not count).
fn rooms_named(text: &str) -> Vec<String> {
    let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for line in code {
        for part in line.split("crate::").skip(1) {
            let list = part.strip_prefix('{').map_or(part, |inner| inner.split('}').next().unwrap_or(inner));
            let names = if part.starts_with('{') { list.split(',').collect() } else { vec![list] };
            found.extend(
                names.iter().map(|n| n.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()),
            );
        }
    }
    found.retain(|n| ROOMS.iter().any(|(room, _)| room == n));
    found
}

#[test]
fn rooms_of_core_know_only_what_they_may() {
    let source = root().join("core/src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in all {
        let inside = path.strip_prefix(&source).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let allowed = ROOMS.iter().find(|(r, _)| *r == room).map_or(&[][..], |(_, a)| *a);
        let text = fs::read_to_string(&path).unwrap();
        let named = rooms_named(&text).into_iter().filter(|n| *n != room && !allowed.contains(&n.as_str()));
        let list: Vec<String> = named.collect();
        if !list.is_empty() {
            wrong.insert(inside.display().to_string(), list);
        }
    }
    assert!(wrong.is_empty(), "rooms that know too much: {wrong:#?}");
}

#[test]
fn the_checks_can_fail() {
    let manifest: toml::Table = "[dependencies]\ngraceshut-c = \"1\"\nserde = \"1\"".parse().unwrap();
    assert_eq!(wrong_crate_edges(&manifest, &["graceshut-c".to_owned()], &["graceshut"]), ["graceshut-c"]);
    assert_eq!(
        rooms_named("use crate::{runtime::Shared, plan};\n// crate::signal\nlet x = crate::engine::Engine;"),
        ["runtime", "plan", "engine"]
    );
}
