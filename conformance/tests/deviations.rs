//! The runner is itself tested: a driver that deviates in one thing is caught, by the check that is there for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use graceshut_conformance::languages::{self, Language};
use graceshut_conformance::normalise::Normalised;
use graceshut_conformance::run::{Cell, Plan, Verdict};
use graceshut_conformance::scenario::Scenario;
use graceshut_conformance::table;

const SCENARIO: &str = r#"
about = "What the fake driver plays."
rules = ["4.1"]

[[hook]]
phase = "drain"
name = "a"
steps = [{ do = "sleep", ms = 2000 }]

[[hook]]
phase = "flush"
name = "b"

[[event]]
signal = "TERM"

[expect]
exit = 0
reason = "signal"
order = ["start:a", "end:a", "start:b", "end:b"]

[[expect.time]]
from = "trigger"
to = "end:a"
percent = [100, 100]
of = "2000ms"
"#;

fn languages_of(modes: &[&str]) -> Vec<Language> {
    let table = |(i, mode): (usize, &&str)| {
        let run = env!("CARGO_BIN_EXE_conformance-fake");
        format!("[fake{i}]\nrun = [{run:?}]\nenv = {{ FAKE = {mode:?} }}\nhost_errors = [\"Traceback\"]\n")
    };
    let text: String = modes.iter().enumerate().map(table).collect();
    let path = std::env::temp_dir().join(format!("gs-conf-test-{}-{}.toml", std::process::id(), modes.join("-")));
    std::fs::write(&path, text).unwrap();
    let all = languages::read(&path, &[]).unwrap();
    std::fs::remove_file(path).unwrap();
    all
}

fn played(modes: &[&str], scenario: &str) -> (Vec<Cell>, Vec<Scenario>, Vec<Language>) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let languages = languages_of(modes);
    let scenarios = vec![Scenario::parse("fake", scenario).unwrap()];
    let normalised = Normalised::read(&here.join("normalised.toml")).unwrap();
    let root = PathBuf::from("/");
    let plan = Plan { root: &root, languages: &languages, scenarios: &scenarios, normalised: &normalised, jobs: 2 };
    (plan.run(), scenarios, languages)
}

/// What was found wrong with a driver that deviates so.
fn found(mode: &str) -> Vec<String> {
    let (cells, ..) = played(&[mode], SCENARIO);
    match &cells[0].verdict {
        Verdict::Failed(problems) => problems.clone(),
        other => panic!("{mode} was not caught: {other:?}"),
    }
}

#[track_caller]
fn says(problems: &[String], words: &str) {
    assert!(problems.iter().any(|p| p.contains(words)), "nothing like {words:?} in {problems:#?}");
}

#[test]
fn a_driver_that_deviates_in_nothing_passes() {
    let (cells, scenarios, languages) = played(&["", "none"], SCENARIO);
    assert_eq!(table::counts(&cells), (2, 0, 0), "{}", table::failures(&cells, &scenarios, &languages));
}

#[test]
fn an_order_that_is_swapped_is_caught() {
    let problems = found("order");
    says(&problems, "order: no \"start:b\"");
    says(&problems, "b started before a, of an earlier phase, had ended");
}

#[test]
fn a_hook_that_is_lost_is_caught() {
    says(&found("lost"), "hook b: its code started 0 times");
}

#[test]
fn a_wrong_status_is_caught() {
    says(&found("status"), "exit: Code(3), not Code(0)");
}

#[test]
fn a_hook_that_is_late_by_30_percent_is_caught() {
    let problems = found("late");
    says(&problems, "trigger to end:a");
    assert!(problems.iter().all(|p| p.starts_with("time: ")), "{problems:#?}");
}

#[test]
fn a_report_that_says_otherwise_than_the_trace_is_caught() {
    says(&found("lies"), "hook b: its code ended with \"failed\", the report says \"ok\"");
    says(&found("shifted"), "until a starts, by the report");
}

#[test]
fn a_context_that_says_otherwise_than_the_report_is_caught() {
    says(&found("context"), "context of a: reason is");
}

#[test]
fn an_error_on_the_hosts_stderr_is_caught() {
    says(&found("stderr"), "the host says \"Traceback\" on stderr");
}

#[test]
fn a_report_that_is_not_there_is_caught() {
    says(&found("mute"), "there is no report");
}

#[test]
fn a_process_that_stays_after_its_plan_is_caught() {
    let problems = found("hangs");
    says(&problems, "until the process was gone");
}

#[test]
fn a_report_that_differs_from_another_languages_is_caught() {
    let (cells, ..) = played(&["", "field"], SCENARIO);
    assert_eq!(cells[0].verdict, Verdict::Passed);
    let Verdict::Failed(problems) = &cells[1].verdict else { panic!("not caught") };
    says(problems, "report differs from fake0's: /reason/sender_uid: 0 there, 7 here");
}

#[test]
fn a_language_that_lacks_it_is_skipped_and_counted() {
    let (cells, ..) = played(&[""], &SCENARIO.replace("rules =", "needs = [\"panic\"]\nrules ="));
    assert_eq!(table::counts(&cells), (1, 0, 0), "a language that does not lack it plays it");
    let text = "[x]\nrun = [\"x\"]\n[x.lacks]\npaanic = \"6.1: y\"\n";
    let path = std::env::temp_dir().join(format!("gs-conf-lacks-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let error = languages::read(&path, &[]).unwrap_err();
    std::fs::remove_file(path).unwrap();
    assert!(error.contains("paanic"), "{error}");
}

#[test]
fn an_event_that_never_comes_due_is_caught() {
    let text = SCENARIO.replace("[expect]", "[[event]]\nafter = \"mark:never\"\nsignal = \"HUP\"\n\n[expect]");
    let (cells, ..) = played(&[""], &text);
    let Verdict::Failed(problems) = &cells[0].verdict else { panic!("not caught") };
    says(problems, "HUP was never sent");
}
