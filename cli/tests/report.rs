//! `graceshut report` on reports that real shutdowns left (`tests/reports`: the demo's in every language, one that was clean, one
//! in which no hook returned), and on a live one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Folder, graceshut, until};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(name).to_str().unwrap().to_owned()
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

const LANGUAGES: [&str; 8] = ["c", "fastapi", "fastify", "go", "java", "node", "python", "rust"];

#[test]
fn one_report_is_a_timeline() {
    let page = graceshut(&["report", &fixture("forced.json")]).ok().stdout;
    assert!(page.starts_with("rust  forced, TERM at 2026-"), "{page}");
    let bar = |name: &str| page.lines().find(|l| l.trim_start().starts_with(name)).unwrap().to_owned();
    let columns = |line: &str| {
        let inner: Vec<char> = line.split('|').nth(1).unwrap().chars().collect();
        let first = inner.iter().position(|c| *c == '#').unwrap();
        (first, inner.iter().filter(|c| **c == '#').count(), inner.len())
    };
    // Phases follow one another and fill the axis in proportion to what they took.
    let mut end = 0;
    for phase in read("forced.json")["phases"].as_array().unwrap() {
        let (first, long, whole) = columns(&bar(phase["name"].as_str().unwrap()));
        assert!(first.abs_diff(end) <= 1, "{phase}");
        let share = phase["used_us"].as_f64().unwrap() / read("forced.json")["used_us"].as_f64().unwrap();
        assert!((long as f64 - share * whole as f64).abs() <= 2.0, "{phase}");
        end = first + long;
    }
    assert!(bar("announce").contains("abandoned") && bar("announce").contains("475 ms of 475 ms"), "{page}");
    assert!(!page.contains('\x1b') && page.is_ascii() || page.contains("µs"), "not plain in a pipe: {page}");
}

#[test]
fn a_short_one_is_enlarged_unless_the_whole_budget_is_wanted() {
    let page = graceshut(&["report", &fixture("clean.json")]).ok().stdout;
    assert!(page.contains("> the budget goes on beyond the axis"), "{page}");
    let whole = graceshut(&["report", "--whole", &fixture("clean.json")]).ok().stdout;
    assert!(whole.lines().nth(1).unwrap().contains("1.9 s|"), "{whole}");
}

#[test]
fn the_demo_in_every_language_side_by_side() {
    let page = graceshut(&["report", &fixture("demo.json")]).ok().stdout;
    for language in LANGUAGES {
        assert!(page.lines().any(|l| l.starts_with("phase / hook") && l.contains(language)), "no {language}: {page}");
    }
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("requests lost")).collect();
    let lost: usize = rows.iter().map(|r| r.split_whitespace().skip(2).filter(|n| *n == "0").count()).sum();
    assert_eq!(lost, LANGUAGES.len(), "{page}");
    for row in ["announce", "  deregister", "drain", "flush", "  buffers", "close", "final", "outcome", "signal to exit"] {
        assert!(page.lines().any(|l| l.starts_with(row)), "no {row}: {page}");
    }
    assert!(page.lines().all(|l| l.chars().count() <= 100), "wider than a terminal");
    let each = graceshut(&["report", "--each", "--by", "time", &fixture("demo.json")]).ok().stdout;
    assert_eq!(each.matches("# used, . budget left").count(), LANGUAGES.len());
}

#[test]
fn ordered_by_language_or_time_with_labels_of_their_own() {
    let files = [fixture("forced.json"), fixture("clean.json")];
    let labels = |by: &[&str]| {
        let args: Vec<&str> = ["report", "--json"].iter().chain(by).copied().chain(files.iter().map(String::as_str)).collect();
        let json = graceshut(&args).ok().json();
        json["runs"].as_array().unwrap().iter().map(|r| r["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&[]), ["rust #1", "rust #2"]);
    let times = labels(&["--by", "time"]);
    assert!(times[0] < times[1] && times[0].ends_with('Z'), "{times:?}");
}

#[test]
fn json_out_is_json_in() {
    let folder = Folder::new("report");
    let first = graceshut(&["report", "--json", &fixture("demo.json")]).ok().json();
    folder.write("all.json", &first.to_string());
    let again = graceshut(&["report", "--json", "all.json"]).dir(&folder).ok().json();
    let reports =
        |v: &Value| v["runs"].as_array().unwrap().iter().map(|r| (r["label"].clone(), r["report"].clone())).collect::<Vec<_>>();
    assert_eq!(reports(&first), reports(&again));
    assert_eq!(first["runs"][0]["report"], read("demo.json")["services"]["c"]["report"]);
    // A log with a program's own lines and a report a line.
    let lines = format!("starting\n{}\nbye\n{}\n", read("clean.json"), read("forced.json"));
    folder.write("log", &lines);
    assert_eq!(graceshut(&["report", "--json", "log"]).dir(&folder).ok().json()["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn pictures_and_pages_are_whole() {
    let folder = Folder::new("report");
    graceshut(&["report", "--svg", &fixture("demo.json"), "-o", "all.svg"]).dir(&folder).ok();
    let svg = folder.text("all.svg");
    let mut parse = Command::new("python3");
    parse.args(["-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])", &folder.path("all.svg")]);
    assert!(parse.status().unwrap().success(), "the SVG is no XML");
    let html = graceshut(&["report", "--html", &fixture("demo.json")]).ok().stdout;
    for language in LANGUAGES {
        assert!(svg.contains(&format!(">{language} <")) && html.contains(&format!("<h2>{language} ")), "{language}");
    }
    for page in [&html, &svg] {
        for from_elsewhere in ["src=", "url(", "@import", "<script", "href=\"http", "<link rel=\"stylesheet"] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
    let mut evil = read("clean.json");
    evil["phases"][0]["hooks"][0]["name"] = "<script>alert(1)</script>\u{1b}[31m".into();
    folder.write("evil.json", &evil.to_string());
    for format in ["--html", "--svg"] {
        let page = graceshut(&["report", format, "evil.json"]).dir(&folder).ok().stdout;
        assert!(!page.contains("<script") && !page.contains('\x1b') && page.contains("&lt;script&gt;"), "{page}");
    }
    assert!(!graceshut(&["report", "evil.json"]).dir(&folder).ok().stdout.contains('\x1b'));
}

#[test]
fn colours_only_on_a_terminal_and_without_no_color() {
    let with = |env: &str| {
        let command = format!("{env} '{}' report '{}'", env!("CARGO_BIN_EXE_graceshut"), fixture("forced.json"));
        let out = Command::new("script").args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    assert!(with("LC_ALL=C.UTF-8").contains("\x1b[31m"));
    assert!(with("LC_ALL=C.UTF-8").contains('█'));
    assert!(!with("LC_ALL=C").contains('█'));
    assert!(!with("NO_COLOR=1").contains('\x1b'));
}

#[test]
fn a_flush_about_to_outgrow_its_reserve_is_warned_of() {
    let folder = Folder::new("report");
    let runs = |used_ms: &[u64]| {
        for (i, ms) in used_ms.iter().enumerate() {
            let mut report = read("clean.json");
            report["triggered_at_us"] = (1_700_000_000_000_000 + i as u64).into();
            let flush = report["phases"].as_array_mut().unwrap().iter_mut().find(|p| p["name"] == "flush").unwrap();
            assert_eq!(flush["reserve_us"], 380_000);
            flush["used_us"] = (ms * 1000).into();
            folder.write(&format!("{i}.json"), &report.to_string());
        }
        let files: Vec<String> = (0..used_ms.len()).map(|i| folder.path(&format!("{i}.json"))).collect();
        let args: Vec<&str> = ["report", "--check"].iter().copied().chain(files.iter().map(String::as_str)).collect();
        let done = graceshut(&args).done();
        (done.code, done.stdout.lines().find(|l| l.starts_with("warning")).unwrap_or_default().to_owned())
    };
    assert_eq!(runs(&[100, 110, 90]), (0, String::new()));
    let (code, warning) = runs(&[100, 330, 120]);
    assert_eq!(code, 1);
    assert!(
        warning.starts_with("warning: flush of rust is about to outgrow its reserve: it took up to 330 ms, 86 % of"),
        "{warning}"
    );
    let (code, warning) = runs(&[60, 110, 160, 210, 260]);
    assert!(code == 1 && warning.contains("50 ms more with each run, and in about 3 runs 380 ms will not do"), "{warning}");
    let (code, warning) = runs(&[100, 600]);
    assert!(code == 1 && warning.contains("has outgrown its reserve"), "{warning}");
}

#[test]
fn what_is_no_report_is_refused_with_the_next_step() {
    let folder = Folder::new("report");
    let whole = read("clean.json").to_string();
    let mut newer = read("clean.json");
    newer["graceshut"] = 2.into();
    let mut wrong = read("clean.json");
    wrong["phases"][0]["used_us"] = "long".into();
    folder.write("truncated.json", &whole[..whole.len() / 2]);
    folder.write("newer.json", &newer.to_string());
    folder.write("wrong.json", &wrong.to_string());
    folder.write("empty.json", "");
    folder.write("other.json", "{\"a\": 1}");
    folder.write("text.json", "not a report at all");
    folder.write("broken.json", "{\"graceshut\": 1, nonsense}");
    folder.write("verdict.json", "{\"passed\": true, \"report\": null}");
    let fails = |file: &str, saying: &[&str]| {
        let run = graceshut(&["report", file]).dir(&folder).gives(2);
        assert_eq!(run.stdout, "");
        saying.iter().for_each(|s| assert!(run.stderr.contains(s), "{s:?} is not in {}", run.stderr));
    };
    fails("truncated.json", &["is truncated", "line 1", "get the file again"]);
    fails("newer.json", &["newer graceshut", "version 2", "reads version 1", "use the graceshut command that came"]);
    fails("wrong.json", &["something wrong in it", "docs/report.schema.json"]);
    fails("empty.json", &["is empty", "wait for the process to end"]);
    fails("other.json", &["no report", "GRACESHUT_REPORT"]);
    fails("text.json", &["holds no report"]);
    fails("broken.json", &["not valid JSON", "column"]);
    fails("verdict.json", &["without a report inside"]);
    fails("missing.json", &["no such file", "GRACESHUT_REPORT"]);
    fails(".", &["directory"]);
}

/// A service whose shutdown takes two seconds, with an admin endpoint: what this program is where READY is set.
fn child(ready: &std::ffi::OsStr) -> ! {
    let gs = graceshut::install(graceshut::Options::default()).unwrap();
    for (phase, name, ms) in [("drain", "jobs", 1000), ("flush", "buffers", 1000)] {
        gs.hook(phase, name).run(move |ctx| ctx.sleep(Duration::from_millis(ms))).unwrap();
    }
    fs::write(ready, "").unwrap();
    let finished = gs.wait(None).unwrap();
    std::process::exit(finished.exit.code);
}

#[test]
fn a_shutdown_is_followed_live() {
    if let Some(ready) = std::env::var_os("READY") {
        child(&ready);
    }
    let folder = Folder::new("report");
    let socket = format!("unix:{}", folder.path("admin"));
    let mut service = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_shutdown_is_followed_live", "--nocapture"])
        .envs([
            ("GRACESHUT_ADMIN", socket.clone()),
            ("GRACESHUT_REPORT", folder.path("report.json")),
            ("READY", folder.path("ready")),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the service is ready", || folder.0.join("ready").exists());
    let mut follow = Command::new(env!("CARGO_BIN_EXE_graceshut"))
        .args(["report", "--follow", &socket, &folder.path("report.json")])
        .stdout(File::create(folder.0.join("out")).unwrap())
        .stderr(File::create(folder.0.join("err")).unwrap())
        .spawn()
        .unwrap();
    until("it sees the service", || folder.text("out").contains("armed"));
    // SAFETY: a plain system call; the child is ours and not waited for yet.
    assert_eq!(unsafe { libc::kill(service.id() as i32, libc::SIGTERM) }, 0);
    assert!(common::wait(&mut service, Duration::from_secs(30)).success());
    let status = common::wait(&mut follow, Duration::from_secs(30));
    let out = folder.text("out");
    assert!(status.success(), "{out}{}", folder.text("err"));
    let place = |what: &str| out.find(what).unwrap_or_else(|| panic!("{what:?} was not shown: {out}"));
    assert!(place("armed") < place("stopping drain jobs"), "{out}");
    assert!(place("stopping drain jobs") < place("stopping flush buffers"), "{out}");
    assert!(place("stopping flush buffers") < place("the process is gone"), "{out}");
    assert!(place("the process is gone") < place("rust  clean, TERM at"), "{out}");
}

#[test]
fn what_cannot_be_followed_says_why() {
    let folder = Folder::new("report");
    let fails = |at: &str, saying: &[&str]| {
        let run = graceshut(&["report", "--follow", at]).dir(&folder).gives(2);
        saying.iter().for_each(|s| assert!(run.stderr.contains(s), "{s:?} is not in {}", run.stderr));
    };
    fails("unix:/nowhere/at/all", &["GRACESHUT_ADMIN"]);
    fails("https://127.0.0.1:9901", &["plain HTTP"]);
    fails("http://127.0.0.1", &["has no port"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stranger = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 512]);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    fails(&format!("127.0.0.1:{port}"), &["not as graceshut's admin endpoint"]);
    stranger.join().unwrap();
}
