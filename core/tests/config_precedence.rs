//! Environment beats file beats code beats platform beats default, key by key (spec 5.2, 12.1), and each value says who won.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::time::Duration;

use graceshut::config::{
    Action, AnnounceDelay, Config, DeclKind, Exit, HookDecl, NormalGrace, NumberUnit, Options, Origin, Platform, Repeat,
    ReportTo, Source, Sources, Surroundings, read, resolve,
};
use graceshut::plan::Amount;
use serde_json::{Value, json};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, toml: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("gs-precedence-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("graceshut.toml"), toml).unwrap();
        Folder(dir)
    }

    fn sources(&self, vars: &[(&str, &str)]) -> Sources {
        let vars = vars.iter().map(|(k, v)| (k.into(), v.into())).collect();
        Sources { vars, dir: Some(self.0.clone()), ..Sources::none() }
    }

    fn file(&self) -> Origin {
        Origin::File(self.0.join("graceshut.toml"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn code(value: &Value) -> Options {
    read(value, NumberUnit::Seconds, &Source::Code).unwrap()
}

fn shown(config: &Config, key: &str) -> (Value, String) {
    let all = config.to_json();
    let row = all.get(key).unwrap_or_else(|| panic!("no row {key} in\n{config}"));
    (row["value"].clone(), row["origin"].as_str().unwrap().to_owned())
}

/// Every scalar key with three values: environment, file (as TOML), code; and what the winner shows as.
fn scalars() -> Vec<(&'static str, [&'static str; 3], [Value; 3])> {
    let time = |key, [e, f, c]: [&'static str; 3]| (key, [e, f, c], [json!(e), json!(f), json!(c)]);
    vec![
        time("grace", ["21s", "22s", "23s"]),
        time("grace_normal", ["21s", "22s", "none"]),
        time("already_spent", ["1s", "2s", "3s"]),
        time("announce_delay", ["1s", "2s", "auto"]),
        ("serving", ["true", "false", "true"], [json!(true), json!(false), json!(true)]),
        time("repeat", ["interactive", "orchestrated", "expedite"]),
        time("exit", ["manual", "reraise", "host"]),
        ("exit_code_clean", ["1", "2", "3"], [json!(1), json!(2), json!(3)]),
        ("exit_code_degraded", ["11", "12", "13"], [json!(11), json!(12), json!(13)]),
        ("exit_code_forced", ["21", "22", "23"], [json!(21), json!(22), json!(23)]),
        time("leave", ["at_once", "by_itself", "auto"]),
        time("exit_cap", ["1s", "2s", "3s"]),
        ("watchdog", ["false", "true", "false"], [json!(false), json!(true), json!(false)]),
        ("max_workers", ["1", "2", "3"], [json!(1), json!(2), json!(3)]),
        time("report", ["fd:3", "none", "stderr:json"]),
        ("systemd_extend", ["true", "false", "true"], [json!(true), json!(false), json!(true)]),
        ("inflight", ["false", "true", "false"], [json!(false), json!(true), json!(false)]),
        ("hold", ["true", "false", "true"], [json!(true), json!(false), json!(true)]),
    ]
}

#[test]
fn each_scalar_key_by_itself() {
    for (key, texts, values) in scalars() {
        let literal = |i: usize| if values[i].is_string() { format!("{:?}", texts[i]) } else { texts[i].to_owned() };
        let file = Folder::new(key, &format!("{key} = {}", literal(1)));
        let empty = Folder::new(&format!("{key}-empty"), "");
        let variable = format!("GRACESHUT_{}", key.to_uppercase());
        let options = code(&json!({ key: values[2] }));

        let top = resolve(options.clone(), &file.sources(&[(&variable, texts[0])])).unwrap();
        assert_eq!(shown(&top, key), (values[0].clone(), format!("environment {variable}")));
        let middle = resolve(options.clone(), &file.sources(&[])).unwrap();
        assert_eq!(shown(&middle, key), (values[1].clone(), file.file().to_string()));
        let low = resolve(options, &empty.sources(&[])).unwrap();
        assert_eq!(shown(&low, key), (values[2].clone(), "code".to_owned()));
        let default = resolve(Options::default(), &empty.sources(&[])).unwrap();
        assert_eq!(shown(&default, key).1, "default", "{key}");
    }
}

#[test]
fn code_beats_platform_beats_default() {
    let around = Surroundings { seen: vec![Platform::Kubernetes], stop_timeout: None };
    let sources = Sources { around, ..Sources::none() };
    let assumed = resolve(Options::default(), &sources).unwrap();
    assert_eq!((assumed.grace.value, &assumed.grace.origin), (Duration::from_secs(30), &Origin::Platform("kubernetes")));
    assert!(assumed.kubernetes);
    let said = resolve(code(&json!({"grace": 5})), &sources).unwrap();
    assert_eq!((said.grace.value, said.grace.origin), (Duration::from_secs(5), Origin::Code));
}

#[test]
fn the_defaults_of_the_spec() {
    let c = resolve(Options::default(), &Sources::none()).unwrap();
    assert_eq!(c.grace.value, Duration::from_secs(10));
    assert_eq!((c.margin, c.budget), (Duration::from_millis(300), Duration::from_millis(9700)));
    assert_eq!(c.grace_normal.value, NormalGrace::SameAsGrace);
    assert_eq!(c.announce_delay.value, AnnounceDelay::Auto);
    assert_eq!((c.repeat.value, c.exit.value), (Repeat::Expedite, Exit::Host));
    assert_eq!((c.exit_code_clean.value, c.exit_code_degraded.value, c.exit_code_forced.value), (None, None, None));
    assert_eq!((c.watchdog.value, c.max_workers.value, c.report.value.clone()), (true, 64, ReportTo::Line));
    let map: Vec<_> = c.signals.iter().map(|s| (s.signo, s.action, s.auto, s.explicit)).collect();
    let stop = |n| (n, Action::Stop, false, false);
    assert_eq!(map, [(libc::SIGHUP, Action::Reload, true, false), stop(libc::SIGINT), stop(libc::SIGTERM)]);
    assert_eq!(c.plan.names().collect::<Vec<_>>(), ["announce", "drain", "flush", "close", "final"]);
}

#[test]
fn signals_merge_by_name() {
    let folder = Folder::new("signals", "[signals]\nSIGTERM = \"stop\"\nusr1 = \"status\"\n34 = \"reload\"\n");
    let options = code(&json!({"signals": {"TERM": {"action": "stop", "grace": 2}, "INT": "ignore", "USR1": "stop"}}));
    let c = resolve(options, &folder.sources(&[])).unwrap();
    let of = |n: i32| c.signals.iter().find(|s| s.signo == n).unwrap();
    // The action is the file's, the grace only code spoke of.
    assert_eq!(of(libc::SIGTERM).origin, folder.file());
    assert_eq!(of(libc::SIGTERM).grace, Some(Duration::from_secs(2)));
    assert_eq!(shown(&c, "signals.TERM.grace"), (json!("2s"), "code".to_owned()));
    assert_eq!(of(libc::SIGINT).action, Action::Ignore);
    assert_eq!(of(libc::SIGUSR1).action, Action::Status);
    assert_eq!(of(libc::SIGRTMIN()).action, Action::Reload);
    assert!(of(libc::SIGTERM).explicit && !of(libc::SIGHUP).explicit);
}

#[test]
fn phases_merge_key_by_key() {
    let folder =
        Folder::new("phases", "[phases.flush]\ncap = \"3s\"\norder = \"serial\"\n[phases.snapshot]\nafter = \"flush\"\n");
    let options = code(&json!({"phases": {"flush": {"reserve": "2s", "cap": "9s"}, "announce": {"enabled": false}}}));
    let c = resolve(options, &folder.sources(&[])).unwrap();
    assert_eq!(c.plan.names().collect::<Vec<_>>(), ["drain", "flush", "snapshot", "close", "final"]);
    let flush = &c.plan.phases()[1];
    assert_eq!((flush.cap, flush.reserve), (Amount::parse("3s").unwrap(), Amount::parse("2s").unwrap()));
    assert_eq!(shown(&c, "phases.flush.cap"), (json!("3s"), folder.file().to_string()));
    assert_eq!(shown(&c, "phases.flush.reserve"), (json!("2s"), "code".to_owned()));
    assert_eq!(shown(&c, "phases.close.order"), (json!("serial"), "default".to_owned()));
}

#[test]
fn hooks_are_appended_the_file_s_first() {
    let toml = r#"
        [[hook]]
        phase = "close"
        name = "leave"
        timeout = "2s"
        after = "pool"
        optional = true
        fork = "inherit"
        http = { url = "http://registry/leave?token=s3cret", method = "PUT", headers = { Authorization = "s3cret" }, accept = [404] }

        [[hook]]
        phase = "flush"
        exec = { argv = ["sync", ""], env = { KEY = "s3cret" }, dir = "/tmp" }
        after = ["a", "b"]

        [[hook]]
        phase = "announce"
        delay = "100ms"

        [[hook]]
        phase = "drain"
        inflight = "uploads"

        [[hook]]
        phase = "final"
        signal = { pidfile = "/run/x.pid", signal = "KILL", wait = true }
    "#;
    let folder = Folder::new("hooks", toml);
    let c = resolve(code(&json!({"hook": [{"phase": "drain", "exec": ["true"]}]})), &folder.sources(&[])).unwrap();
    let hooks: Vec<&HookDecl> = c.hooks.iter().collect();
    assert_eq!(hooks.len(), 6);
    assert_eq!((hooks[0].name.as_str(), hooks[0].timeout, hooks[0].optional), ("leave", Some(Duration::from_secs(2)), true));
    assert!(hooks[0].inherit && !hooks[1].inherit, "a hook stays with the parent unless it says otherwise");
    let DeclKind::Http(request) = &hooks[0].kind else { panic!("{:?}", hooks[0]) };
    assert_eq!((request.method.as_str(), request.accept.as_slice()), ("PUT", &[404][..]));
    assert_eq!(hooks[1].after, ["a", "b"]);
    assert_eq!(hooks[2].kind, DeclKind::Delay(Duration::from_millis(100)));
    assert_eq!(hooks[3].kind, DeclKind::Inflight("uploads".to_owned()));
    assert!(matches!(&hooks[4].kind, DeclKind::Signal(s) if s.wait && s.signo == libc::SIGKILL && s.pid.is_none()));
    assert_eq!(shown(&c, "hook[0]").1, folder.file().to_string());
    assert_eq!(shown(&c, "hook[5]"), (json!("exec in drain: exec true"), "code".to_owned()));
    // Nothing secret in what is printed.
    assert!(c.to_string().contains("http PUT http://registry/leave") && !c.to_string().contains("s3cret"), "{c}");
}

#[test]
fn a_named_file_counts_instead_of_the_one_in_the_folder() {
    let folder = Folder::new("named", "grace = \"20s\"");
    std::fs::write(folder.0.join("other.toml"), "grace = \"40s\"").unwrap();
    let c = resolve(Options::default(), &folder.sources(&[("GRACESHUT_CONFIG", "other.toml")])).unwrap();
    assert_eq!((c.grace.value, c.grace.origin), (Duration::from_secs(40), Origin::File(folder.0.join("other.toml"))));
    let c = resolve(Options::default(), &folder.sources(&[("GRACESHUT_CONFIG", "/dev/null")])).unwrap();
    assert_eq!(c.grace.origin, Origin::Default);
    let elsewhere = Sources { dir: Some(PathBuf::from("/nowhere/at/all")), ..Sources::none() };
    assert_eq!(resolve(Options::default(), &elsewhere).unwrap().grace.origin, Origin::Default);
}

#[test]
fn a_relative_report_stays_where_the_program_began() {
    let folder = Folder::new("report", "report = \"./r-%p.json\"");
    let c = resolve(Options::default(), &folder.sources(&[])).unwrap();
    assert_eq!(c.report.value, ReportTo::Path(folder.0.join("./r-%p.json")));
}

#[test]
fn two_configurations_differ_in_a_named_key() {
    let of = |value: &Value| resolve(code(value), &Sources::none()).unwrap();
    let plain = of(&json!({}));
    assert_eq!(plain.difference(&of(&json!({"grace": "10s", "phases": {"flush": {"order": "concurrent"}}}))), None);
    assert_eq!(plain.difference(&of(&json!({"grace": 20}))).unwrap(), "grace: 10s and 20s");
    assert_eq!(plain.difference(&of(&json!({"exit": "manual"}))).unwrap(), "exit: host and manual");
    let more = of(&json!({"signals": {"USR1": "status"}}));
    assert_eq!(plain.difference(&more).unwrap(), "signals.USR1: unset and status");
    assert_eq!(more.difference(&plain).unwrap(), "signals.USR1: status and unset");
    let hook = |secret: &str| of(&json!({"hook": [{"phase": "close", "exec": ["leave", secret]}]}));
    assert_eq!(hook("a").difference(&hook("a")), None);
    let told = hook("secret-a").difference(&hook("secret-b")).unwrap();
    assert!(told.starts_with("hook[0]") && !told.contains("secret"), "{told}");
    assert!(plain.difference(&hook("a")).unwrap().starts_with("hook[0]: unset and "));
}

#[test]
fn the_table_is_aligned_and_complete() {
    let c = resolve(code(&json!({"grace": 20})), &Sources::none()).unwrap();
    let text = c.to_string();
    let line = |key: &str| text.lines().find(|l| l.starts_with(&format!("{key} "))).unwrap();
    assert_eq!(line("grace").split_whitespace().collect::<Vec<_>>(), ["grace", "20s", "code"]);
    assert_eq!(line("grace").find("20s"), line("max_workers").find("64"));
    assert_eq!(text.lines().count(), c.to_json().as_object().unwrap().len());
}

#[test]
fn this_process_can_be_read() {
    let sources = Sources::from_process();
    assert!(sources.dir.is_some() && !sources.vars.is_empty());
}
