//! `include/graceshut.h` is what cbindgen makes of this crate: `UPDATE=1 cargo test -p graceshut-c --test header` rewrites it,
//! without UPDATE any difference fails. The comparison itself is seen to fail, with a changed header, in the second test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn part(name: &str) -> String {
    fs::read_to_string(root().join("header").join(name)).unwrap()
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut numbers = version.split(['.', '-']);
    let mut after = part("after.h").replace("@VERSION@", version);
    for name in ["@MAJOR@", "@MINOR@", "@PATCH@"] {
        after = after.replace(name, numbers.next().unwrap());
    }
    config.header = Some(part("top.h").trim_end().to_owned());
    config.after_includes = Some(after);
    config.trailer = Some(part("trailer.h").trim_end().to_owned());
    let bindings = cbindgen::Builder::new().with_crate(root()).with_config(config).generate().unwrap();
    let mut text = Vec::new();
    bindings.write(&mut text);
    tidy(&String::from_utf8(text).unwrap())
}

/// Rust's headings in C's words, one-line texts on one line, negative numbers in brackets.
fn tidy(text: &str) -> String {
    let text = text.replace("\n * # Safety\n *\n * ", "\n * Pointers: ").replace("\n * # Safety\n * ", "\n * Pointers: ");
    let mut out = String::new();
    for chunk in text.split_inclusive("*/\n") {
        match chunk.rsplit_once("/**\n") {
            Some((before, doc)) if doc.trim_start().strip_prefix("* ").is_some_and(|d| d.matches('\n').count() == 2) => {
                let line = doc.trim_start().trim_start_matches("* ").lines().next().unwrap();
                out += &format!("{before}/** {line} */\n");
            }
            _ => out += chunk,
        }
    }
    let negative = |l: &str| match l.rsplit_once(' ') {
        Some((name, n)) if name.starts_with("#define") && n.starts_with('-') => format!("{name} ({n})"),
        _ => l.trim_end().to_owned(),
    };
    let lines: Vec<String> = out.lines().map(negative).collect();
    lines.join("\n") + "\n"
}

fn difference(committed: &str, generated: &str) -> Option<String> {
    if committed == generated {
        return None;
    }
    let (mut a, mut b) = (committed.lines(), generated.lines());
    let mut number = 1;
    loop {
        match (a.next(), b.next()) {
            (x, y) if x == y && x.is_some() => number += 1,
            (x, y) => return Some(format!("line {number}\n  committed: {x:?}\n  generated: {y:?}")),
        }
    }
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = root().join("include/graceshut.h");
    let generated = generated();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if let Some(where_) = difference(&committed, &generated) {
        panic!("include/graceshut.h is stale at {where_}\nrun: UPDATE=1 cargo test -p graceshut-c --test header");
    }
}

#[test]
fn a_changed_header_is_seen() {
    let generated = generated();
    let changed = generated.replacen("GRACESHUT_E_CLOSED 10", "GRACESHUT_E_CLOSED 11", 1);
    let told = difference(&changed, &generated).expect("a changed number went unseen");
    assert!(told.contains("GRACESHUT_E_CLOSED 11") && told.contains("GRACESHUT_E_CLOSED 10"), "{told}");
    assert!(difference(&generated[..generated.len() / 2], &generated).is_some(), "a cut header went unseen");
}

#[test]
fn the_header_says_what_a_reader_needs() {
    let header = generated();
    for word in ["Null", "Safety", "Rust", "fn_", "[`"] {
        let bad = header.lines().find(|l| l.contains(word) && word != "Null");
        assert!(bad.is_none(), "{word:?} is no word for a C reader: {bad:?}");
    }
    // Every function's text says who may call it or whether it blocks, or refers to a function that does.
    for doc in header.split("/**").skip(1) {
        let (text, code) = doc.split_once("*/").unwrap();
        if code.trim_start().lines().next().is_some_and(|l| l.contains("(") && !l.contains("typedef") && !l.starts_with('#')) {
            let said = ["blocks", "Any thread", "any thread", "Otherwise as", "Sleeps", "Blocks", "Threads, blocking"]
                .iter()
                .any(|w| text.contains(w));
            assert!(said, "no word on threads or blocking:{text}{code}");
        }
    }
}
