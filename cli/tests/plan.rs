//! `graceshut plan` against the engine: what it prints is what a real process then does, number for number.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Folder, Run, graceshut};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Every phase is used up in this: a custom phase, percents, a fixed reserve, a default one.
const CONFIG: &str = r#"
grace = "2s"
already_spent = "100ms"

[phases.announce]
cap = "10%"

[phases.persist]
after = "flush"
reserve = "150ms"

[phases.close]
cap = "400ms"
reserve = "15%"
"#;

/// A service with one hook in each phase, which returns at once or never: what this program is where HOOKS is set.
fn child() -> ! {
    let gs = graceshut::install(graceshut::Options::default()).unwrap();
    let stubborn = std::env::var("HOOKS").is_ok_and(|hooks| hooks == "stubborn");
    let names: Vec<String> = gs.plan().rows.iter().map(|r| r.phase.clone()).collect();
    for name in &names {
        let body = move |_: &graceshut::Context| match stubborn {
            true => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
            false => Ok(()),
        };
        gs.hook(name, "hook").run(body).unwrap();
    }
    println!("\nready");
    let finished = gs.wait(None).unwrap();
    std::process::exit(finished.exit.code);
}

/// Runs the child, with hooks of this kind and this environment, and gives its report. Without the watchdog: on a machine that is
/// busy enough it would end the process before the report of a plan that went up to its very deadline is written (spec 5.9).
fn report_of(folder: &Folder, hooks: &str, env: &[(&str, &str)]) -> Value {
    let report = format!("{hooks}.json");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "plan_is_what_the_engine_does_with_a_file", "--nocapture"])
        .envs([("HOOKS", hooks), ("GRACESHUT_REPORT", &folder.path(&report)), ("GRACESHUT_WATCHDOG", "false")])
        .envs(env.iter().copied())
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|l| l.unwrap() == "ready"), "the child never got ready");
    // SAFETY: a plain system call; the child is ours and not waited for yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    common::wait(&mut child, Duration::from_secs(60));
    serde_json::from_str(&folder.text(&report)).unwrap()
}

fn us(v: &Value, key: &str) -> i64 {
    v[key].as_i64().unwrap_or_else(|| panic!("no {key} in {v}"))
}

/// What is fixed before anything happens.
fn same_frame(plan: &Value, report: &Value) -> Vec<(Value, Value)> {
    for key in ["grace_us", "already_spent_us", "margin_us", "budget_us"] {
        assert_eq!(plan[key], report[key], "{key}");
    }
    let (planned, done) = (plan["phases"].as_array().unwrap(), report["phases"].as_array().unwrap());
    assert_eq!(planned.len(), done.len());
    for (p, r) in planned.iter().zip(done) {
        assert_eq!((&p["name"], &p["reserve_us"]), (&r["name"], &r["reserve_us"]), "{p}");
    }
    planned.iter().cloned().zip(done.iter().cloned()).collect()
}

/// Every hook returned at once: a phase bounded by D has to end where the plan says, one bounded by its cap gets `best`;
/// to the microsecond (the report rounds a start and a length).
fn same_when_quick(plan: &Value, report: &Value) {
    for (p, r) in same_frame(plan, report) {
        let capped = us(&p, "best_us") < us(&p, "over_by_us");
        let (said, did) = if capped || us(&r, "start_us") == 0 {
            (us(&p, "best_us"), us(&r, "budget_us"))
        } else {
            (us(&p, "over_by_us"), us(&r, "start_us") + us(&r, "budget_us"))
        };
        // A cap shorter than what is left shows only where earlier phases took their time: announce, whose cap is both.
        let cap_alone = us(&r, "budget_us") == us(&p, "best_us");
        assert!((said - did).abs() <= 1 || cap_alone, "planned {p}\nreported {r}");
    }
}

/// No hook ever returned: each phase gets `worst` and is over by `over_by`, but for how late the engine's thread came to its
/// start, which the report says too (spec 5.1).
fn same_when_stubborn(plan: &Value, report: &Value) {
    let mut planned_start = 0;
    for (p, r) in same_frame(plan, report) {
        let late = us(&r, "start_us") - planned_start;
        assert!((0..900_000).contains(&late), "{late} us late: planned {p}\nreported {r}");
        let end = us(&r, "start_us") + us(&r, "budget_us");
        assert!((-1..=late + 1).contains(&(end - us(&p, "over_by_us"))), "planned {p}\nreported {r}");
        assert!((-1..=late + 1).contains(&(us(&p, "worst_us") - us(&r, "budget_us"))), "planned {p}\nreported {r}");
        assert!(us(&r, "used_us") >= us(&r, "budget_us"), "the hook did not use it up: {r}");
        planned_start = us(&p, "over_by_us");
    }
}

#[test]
fn plan_is_what_the_engine_does_with_a_file() {
    if std::env::var_os("HOOKS").is_some() {
        child();
    }
    let folder = Folder::new("plan");
    folder.write("graceshut.toml", CONFIG);
    let plan = graceshut(&["plan", "--json"]).dir(&folder).ok().json();
    assert_eq!(plan["phases"].as_array().unwrap().len(), 6);
    let report = report_of(&folder, "quick", &[]);
    same_when_quick(&plan, &report);
    assert_eq!(plan["grace_origin"], report["grace_origin"]);
    same_when_stubborn(&plan, &report_of(&folder, "stubborn", &[]));
}

#[test]
fn what_if_is_what_the_engine_does_with_that_grace() {
    let folder = Folder::new("plan");
    let plan = graceshut(&["plan", "--json", "--grace", "1500ms"]).dir(&folder).ok().json();
    assert_eq!(plan["grace_origin"], "told by --grace");
    same_when_quick(&plan, &report_of(&folder, "quick", &[("GRACESHUT_GRACE", "1500ms")]));
    same_when_stubborn(&plan, &report_of(&folder, "stubborn", &[("GRACESHUT_GRACE", "1500ms")]));
}

#[test]
fn the_page_names_origins_and_draws_every_phase() {
    let folder = Folder::new("plan");
    folder.write("deploy.toml", CONFIG);
    let page = graceshut(&["plan", "--config", "deploy.toml"]).dir(&folder).ok().stdout;
    assert!(page.starts_with("graceshut plan  grace 2s (file "), "{page}");
    assert!(!page.contains('\x1b'), "colours without a terminal");
    for phase in ["announce", "drain", "flush", "persist", "close", "final"] {
        let line = page.lines().find(|l| l.trim_start().starts_with(phase)).unwrap_or_else(|| panic!("no {phase}: {page}"));
        assert!(line.ends_with('|') && line.contains(['=', '#']), "{line}");
    }
    let of_key = |key: &str| page.lines().find(|l| l.trim_start().starts_with(key)).unwrap_or_default().to_owned();
    assert!(of_key("phases.persist.reserve ").ends_with("deploy.toml"), "{page}");
    assert!(of_key("repeat ").ends_with("default"), "{page}");
}

#[test]
fn reserves_count_only_where_hooks_are() {
    let reserve = |run: Run, name: &str| {
        let plan = run.ok().json();
        let phases = plan["phases"].as_array().unwrap().clone();
        us(phases.iter().find(|p| p["name"] == name).unwrap(), "reserve_us")
    };
    let folder = Folder::new("plan");
    let plan = |hooks: &str| graceshut(&["plan", "--json", "--grace", "10s", "--hooks", hooks]).dir(&folder);
    assert_eq!(reserve(plan("declared"), "flush"), 0);
    assert_eq!(reserve(plan("flush,final"), "flush"), 1_940_000);
    assert_eq!(reserve(plan("flush,final"), "close"), 0);
}

#[test]
fn what_is_wrong_is_named_with_the_next_step() {
    let folder = Folder::new("plan");
    folder.write("bad.toml", "grase = \"10s\"\n");
    folder.write("full.toml", "[phases.flush]\nreserve = \"20s\"\n");
    let fails = |args: &[&str], saying: &[&str]| {
        let run = graceshut(args).dir(&folder).gives(2);
        saying.iter().for_each(|s| assert!(run.stderr.contains(s), "{s:?} is not in {}", run.stderr));
        assert_eq!(run.stdout, "");
    };
    fails(&["plan", "--config", "bad.toml"], &["grase", "grace"]);
    fails(&["plan", "--config", "missing.toml"], &["missing.toml"]);
    fails(&["plan", "--config", "full.toml", "--grace", "10s"], &["do not fit", "raise grace or lower a reserve"]);
    fails(&["plan", "--grace", "100ms"], &["--grace", "at least 200ms"]);
    fails(&["plan", "--hooks", "flsh"], &["--hooks", "flush"]);
    fails(&["plan", "--grace", "ten"], &["ten"]);
}
