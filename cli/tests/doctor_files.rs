//! `graceshut doctor FILE…` over a corpus: every finding that is expected, and no other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Folder, graceshut};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `file:line code`, sorted.
fn found(folder: &Path, target: &str, code: i32) -> Vec<String> {
    let run = graceshut(&["doctor", "--format", "json", target]).in_path(folder).gives(code);
    let mut all: Vec<String> = run.json()["findings"].as_array().unwrap().iter().map(line).collect();
    all.sort();
    all
}

fn line(f: &Value) -> String {
    let file = f["file"].as_str().unwrap().trim_start_matches("./").to_owned();
    format!("{file}:{} {}", f["line"], f["code"].as_str().unwrap())
}

fn expected() -> Vec<String> {
    let text = fs::read_to_string(corpus().join("expected.txt")).unwrap();
    let mut all: Vec<String> = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    all.sort();
    all
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

#[test]
fn the_corpus_has_every_expected_finding_and_no_other() {
    let mut all = Vec::new();
    files(&corpus(), &mut all);
    assert!(all.len() > 40, "{} files", all.len());
    assert_eq!(found(&corpus(), ".", 1), expected());
}

#[test]
fn every_code_of_a_file_has_a_bad_and_a_good_fixture() {
    let list = graceshut(&["doctor", "--list"]).ok().stdout;
    let codes: BTreeSet<&str> = list.lines().map(|l| l.split_whitespace().next().unwrap()).collect();
    let of_files: Vec<&&str> = codes.iter().filter(|c| !c.starts_with("pid-")).collect();
    assert!(of_files.len() >= 25);
    for code in of_files {
        let expected = expected();
        let bad = |l: &&String| l.starts_with(&format!("bad/{code}/")) && l.ends_with(&format!(" {code}"));
        assert!(expected.iter().any(|l| bad(&l)), "{code} has no bad fixture");
        assert!(corpus().join("good").join(code).is_dir(), "{code} has no good fixture");
    }
    for line in expected() {
        assert!(codes.contains(line.rsplit(' ').next().unwrap()), "{line} names no code");
    }
}

#[test]
fn every_code_is_documented() {
    let docs = fs::read_to_string(root().join("docs/doctor.md")).unwrap();
    for line in graceshut(&["doctor", "--list"]).ok().stdout.lines() {
        let code = line.split_whitespace().next().unwrap();
        assert!(docs.contains(&format!("### {code}\n")), "docs/doctor.md has no section {code}");
    }
}

#[test]
fn the_projects_own_examples_have_none() {
    assert_eq!(found(&root(), "examples", 0), Vec::<String>::new());
}

#[test]
fn findings_say_where_why_and_what_to_write() {
    let run = graceshut(&["doctor", "bad/stop-signal/Dockerfile"]).in_path(&corpus()).gives(1);
    assert_eq!(
        run.stdout,
        "bad/stop-signal/Dockerfile:26: error [stop-signal] SIGKILL cannot be caught: nothing is shut down, it is cut off\n    \
         fix: STOPSIGNAL SIGTERM\n1 error\n"
    );
    let run = graceshut(&["doctor", "bad/pid1-no-init/compose.yaml"]).in_path(&corpus()).ok();
    assert!(run.stdout.ends_with("1 note\n"), "a note changes no status: {}", run.stdout);
}

#[test]
fn a_code_can_be_silenced() {
    graceshut(&["doctor", "--ignore", "stop-signal", "bad/stop-signal/Dockerfile"]).in_path(&corpus()).ok();
    let run = graceshut(&["doctor", "--ignore", "stop-sign", "x"]).gives(2);
    assert!(run.stderr.contains("--list"), "{}", run.stderr);
    let folder = Folder::new("doctor");
    for (comment, code) in [("# graceshut: ignore=stop-signal", 0), ("# graceshut: ignore=shell-form", 1), ("# ignore it", 1)] {
        folder.write("Dockerfile", &format!("FROM x\n{comment}\nSTOPSIGNAL 9\nCMD [\"x\"]\n"));
        graceshut(&["doctor", "Dockerfile"]).dir(&folder).gives(code);
    }
}

#[test]
fn sarif_is_what_code_hosts_take() {
    let run = graceshut(&["doctor", "--format", "sarif", "bad"]).in_path(&corpus()).gives(1);
    let log = run.json();
    assert_eq!(log["version"], "2.1.0");
    let driver = &log["runs"][0]["tool"]["driver"];
    let rules = driver["rules"].as_array().unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), expected().len());
    for r in results {
        let index = r["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], r["ruleId"]);
        assert!(["note", "warning", "error"].contains(&r["level"].as_str().unwrap()));
        assert!(!r["message"]["text"].as_str().unwrap().is_empty());
        let place = &r["locations"][0]["physicalLocation"];
        assert!(corpus().join(place["artifactLocation"]["uri"].as_str().unwrap()).is_file(), "{place}");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
    }
}

#[test]
fn what_cannot_be_examined_says_what_to_do() {
    let folder = Folder::new("doctor");
    folder.write("broken.yaml", "services:\n  web: [1, 2\n  db: 3\n");
    folder.write("chart.yaml", "kind: Deployment\nspec: {{ .Values.spec }}\n");
    folder.write("other.yaml", "colours: [red, green]\n");
    folder.write("notes.txt", "just words\n");
    fs::write(folder.0.join("binary.yaml"), [0xff, 0xfe, 0x00, 0x9f]).unwrap();
    let fails = |file: &str, saying: &[&str]| {
        let run = graceshut(&["doctor", file]).dir(&folder).gives(2);
        saying.iter().for_each(|s| assert!(run.stderr.contains(s), "{s:?} is not in {}", run.stderr));
    };
    fails("broken.yaml", &["broken.yaml is not YAML: line ", "mend it"]);
    fails("chart.yaml", &["helm template"]);
    fails("other.yaml", &["cannot be told", "Dockerfile, compose"]);
    fails("notes.txt", &["cannot be told"]);
    fails("binary.yaml", &["is not text"]);
    fails("missing.yaml", &["no such file"]);
    // One bad file does not hide what is found in another.
    folder.write("Dockerfile", "FROM x\nCMD node x\n");
    let run = graceshut(&["doctor", "broken.yaml", "Dockerfile"]).dir(&folder).gives(2);
    assert!(run.stdout.contains("[shell-form]"), "{}", run.stdout);
}

#[test]
fn nothing_makes_it_panic() {
    let folder = Folder::new("doctor");
    let mut all = Vec::new();
    files(&corpus(), &mut all);
    // Every file cut off at odd places, and with its lines in reverse order.
    for (n, path) in all.iter().enumerate() {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let cut: String = text.chars().take(text.chars().count() * (n % 7 + 1) / 8).collect();
        folder.write(&format!("{n}/cut/{name}"), &cut);
        folder.write(&format!("{n}/reversed/{name}"), &text.lines().rev().collect::<Vec<_>>().join("\n"));
    }
    let run = graceshut(&["doctor", "."]).dir(&folder).done();
    assert!((0..=2).contains(&run.code) && !run.stderr.contains("panicked"), "{}: {}", run.code, run.stderr);
}
