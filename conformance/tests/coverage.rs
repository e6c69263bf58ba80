//! Every rule of docs/spec.md is in a scenario, or listed as not covered with why. The README's table is not stale.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use graceshut_conformance::expect::ExitStatus;
use graceshut_conformance::languages;
use graceshut_conformance::readme::block;
use graceshut_conformance::scenario::Scenario;
use graceshut_conformance::table::row_name;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn scenarios() -> Vec<Scenario> {
    let folder = root().join("conformance/scenarios");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|p| Scenario::read(p).unwrap_or_else(|e| panic!("{e}"))).collect()
}

/// Numbers of rules: `- 4.2 ...` at the beginning of a line, and section 13, which is one rule without a number.
fn rules_of_spec() -> BTreeSet<String> {
    let spec = std::fs::read_to_string(root().join("docs/spec.md")).unwrap();
    let numbered = spec.lines().filter_map(|l| l.strip_prefix("- ")).filter_map(|l| l.split_whitespace().next());
    let is_number = |w: &&str| w.split_once('.').is_some_and(|(a, b)| [a, b].iter().all(|p| p.parse::<u32>().is_ok()));
    numbered.filter(is_number).map(str::to_owned).chain(["13".to_owned()]).collect()
}

fn not_covered() -> Vec<(String, String, Vec<String>)> {
    let text = std::fs::read_to_string(root().join("conformance/not-covered.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let rules = table["rule"].as_array().unwrap().iter();
    rules
        .map(|r| {
            let tests = r["tests"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect();
            (r["number"].as_str().unwrap().to_owned(), r["why"].as_str().unwrap().to_owned(), tests)
        })
        .collect()
}

#[test]
fn every_rule_is_in_a_scenario_or_listed_with_why() {
    let spec = rules_of_spec();
    assert!(spec.len() > 50, "only {} rules found in docs/spec.md", spec.len());
    let covered: BTreeSet<String> = scenarios().iter().flat_map(|s| s.rules.clone()).collect();
    let listed: BTreeSet<String> = not_covered().into_iter().map(|(n, ..)| n).collect();
    let unknown: Vec<_> = covered.union(&listed).filter(|r| !spec.contains(*r)).collect();
    assert!(unknown.is_empty(), "no such rules in docs/spec.md: {unknown:?}");
    let missing: Vec<_> = spec.iter().filter(|r| !covered.contains(*r) && !listed.contains(*r)).collect();
    assert!(missing.is_empty(), "in no scenario and not in not-covered.toml: {missing:?}");
    let both: Vec<_> = covered.intersection(&listed).collect();
    assert!(both.is_empty(), "in a scenario, and listed as not covered: {both:?}");
}

#[test]
fn what_is_not_covered_says_why_and_names_tests_that_are_there() {
    for (number, why, tests) in not_covered() {
        assert!(!why.is_empty(), "{number}: say why");
        assert!(!tests.is_empty() || why.contains("not built"), "{number}: name a test");
        for test in tests {
            assert!(root().join(&test).exists(), "{number}: {test} is not there");
        }
    }
}

#[test]
fn there_are_enough_scenarios_and_the_table_of_2_6_has_every_row() {
    let all = scenarios();
    assert!(all.len() >= 60, "{}", all.len());
    let rows = ["return_from_main", "exit_call_0", "exit_call_3", "uncaught_error", "fatal_exit", "fatal_abort"];
    for row in rows {
        let scenario = all.iter().find(|s| s.name == row).unwrap_or_else(|| panic!("{row} is not there"));
        assert!(scenario.rules.contains(&"2.6".to_owned()), "{row}");
    }
}

/// What a language lacks is a rule's doing, and so is what it does otherwise.
#[test]
fn languages_lack_only_what_a_rule_says() {
    let spec = rules_of_spec();
    for language in languages::read(&root().join("conformance/languages.toml"), &[]).unwrap() {
        for (what, why) in &language.lacks {
            let rule = why.split(':').next().unwrap_or_default();
            assert!(spec.contains(rule), "{}.lacks.{what}: {why:?} begins with no rule", language.name);
        }
    }
}

#[test]
fn the_readme_has_a_row_for_every_scenario() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let table = block(&readme).expect("the marked block of README.md");
    let wanted: Vec<String> = scenarios()
        .iter()
        .flat_map(|s| s.forms.iter().map(|f| format!("| {} | {} |", row_name(s, *f), s.rules.join(", "))).collect::<Vec<_>>())
        .collect();
    let rows: Vec<&str> = table.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| scenario")).collect();
    for row in &wanted {
        assert!(rows.iter().any(|r| r.starts_with(row.as_str())), "run make conformance UPDATE=1: no row {row:?}");
    }
    assert_eq!(rows.len(), wanted.len(), "run make conformance UPDATE=1: the table has rows of scenarios that are gone");
    assert!(!table.contains("FAILED"), "a run that failed is no table for the README");
}

#[test]
fn mistakes_in_a_scenario_are_named() {
    let about = "about = \"x\"\nrules = [\"2.1\"]\n";
    let wrong = |text: &str| Scenario::parse("x", &format!("{about}{text}")).unwrap_err();
    assert!(wrong("grcae = 1\n[expect]\nexit = 0").contains("grcae"));
    assert!(wrong("[expect]\nexit = 0\noutcme = \"clean\"").contains("outcme"));
    assert!(
        wrong("[[hook]]\nphase = \"drain\"\nname = \"a\"\nsteps = [{ do = \"sleep\", sm = 1 }]\n[expect]\nexit = 0")
            .contains("sm")
    );
    assert!(
        wrong("[[hook]]\nphase = \"drain\"\nname = \"a\"\nsteps = [{ do = \"sleeep\", ms = 1 }]\n[expect]\nexit = 0")
            .contains("sleeep")
    );
    assert!(wrong("[expect]\nexit = 0\nhook.nobody = { late = true }").contains("nobody"));
    assert!(wrong("[expect]\nexit = \"TREM\"").contains("TREM"));
    assert!(wrong("[[event]]\nsignal = \"TREM\"\n[expect]\nexit = 0").contains("TREM"));
    assert!(wrong("[[event]]\nact = { do = \"return\" }\n[expect]\nexit = 0").contains("idle"));
    let where_of = |rule: &str| {
        format!("[expect]\nexit = 0\n[[expect.where]]\nlanguages = [\"c\"]\nrule = \"{rule}\"\nwhy = \"y\"\nexit = 1")
    };
    assert!(wrong(&where_of("5.5")).contains("5.5"));
    let fine = Scenario::parse("x", &format!("{about}{}", where_of("2.6"))).unwrap();
    assert_eq!(fine.expect.of("c").unwrap().0.exit, ExitStatus::Code(1));
    assert_eq!(fine.expect.of("rust").unwrap().0.exit, ExitStatus::Code(0));
}
