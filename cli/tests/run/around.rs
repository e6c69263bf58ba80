//! graceshut's phases around the program: hooks before and after, delay, readiness, preStop, report.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::*;

crate::suite!("around":
    hooks_run_before_and_after_the_stop,
    hooks_also_run_when_the_program_ends_by_itself,
    a_failing_hook_degrades,
    commands_of_hooks_are_not_taken_by_the_reaper,
    a_hook_that_hangs_costs_its_own_box,
    readiness_turns_red_and_the_delay_is_served,
    prestop_drains_and_the_term_goes_on,
    without_graceshut_prestop_is_a_delay,
    the_report_is_that_of_the_library,
);

const SAYING: &str = r#"
grace = "20s"
[[hook]]
phase = "announce"
name = "before"
exec = ["sh", "-c", "echo hook before"]
[[hook]]
phase = "close"
name = "after"
exec = ["sh", "-c", "echo hook after"]
"#;

fn hooks_run_before_and_after_the_stop() {
    let folder = Folder::new();
    folder.write("graceshut.toml", SAYING);
    let mut kid = Cmd::run(&[]).dir(&folder).env("GS_PAUSE", "100").probe("catcher").ready();
    kid.term();
    kid.end().code(0).in_order(&["hook before", "got 15", "leaving", "hook after"]);
}

fn hooks_also_run_when_the_program_ends_by_itself() {
    let folder = Folder::new();
    folder.write("graceshut.toml", SAYING);
    Cmd::run(&[]).dir(&folder).sh("echo working; exit 7").end().code(7).in_order(&["working", "hook before", "hook after"]);
}

fn a_failing_hook_degrades() {
    let folder = Folder::new();
    folder.write("graceshut.toml", "[[hook]]\nphase = \"close\"\nexec = [\"false\"]\n");
    Cmd::run(&[]).dir(&folder).sh("exit 0").end().code(1);
    Cmd::run(&[]).dir(&folder).sh("exit 9").end().code(9);
    folder.write("graceshut.toml", "exit_code_degraded = 77\n[[hook]]\nphase = \"close\"\nexec = [\"false\"]\n");
    Cmd::run(&[]).dir(&folder).sh("exit 0").end().code(77);
}

fn commands_of_hooks_are_not_taken_by_the_reaper() {
    let folder = Folder::new();
    let hook = |n: u32| format!("[[hook]]\nphase = \"announce\"\nname = \"h{n}\"\nexec = [\"sh\", \"-c\", \"exit {n}\"]\n");
    folder.write("graceshut.toml", &(0..6).map(hook).collect::<String>());
    let look = |cmd: Cmd| {
        let report = folder.path("report.json");
        cmd.env("GRACESHUT_REPORT", &report).dir(&folder).end().code(5);
        let report: Value = serde_json::from_str(&folder.text("report.json")).unwrap();
        let hooks = report["phases"][0]["hooks"].as_array().unwrap();
        for n in 1..6 {
            let hook = hooks.iter().find(|h| h["name"] == format!("h{n}")).unwrap();
            assert_eq!(hook["message"], format!("exited with status {n}"), "{hook}");
        }
        assert_eq!(hooks.iter().find(|h| h["name"] == "h0").unwrap()["outcome"], "ok");
    };
    for _ in 0..3 {
        look(Cmd::new(GRACESHUT).args(&["run", "--subreaper"]).sh("(sleep 0.05 &) ; (true &) ; exit 5"));
        if may("make a pid namespace") {
            let cmd = Cmd::new("unshare").args(&["--pid", "--fork", "--mount-proc", GRACESHUT, "run"]);
            look(cmd.sh("(sleep 0.05 &) ; (true &) ; exit 5"));
        }
    }
}

fn a_hook_that_hangs_costs_its_own_box() {
    let folder = Folder::new();
    let hang = "grace = \"4s\"\n[[hook]]\nphase = \"announce\"\nname = \"hang\"\nexec = [\"sleep\", \"60\"]\n[[hook]]\nphase = \"final\"\nname = \"last\"\nexec = [\"sh\", \"-c\", \"echo last words\"]\n";
    folder.write("graceshut.toml", hang);
    let mut kid = Cmd::run(&[]).dir(&folder).probe("catcher").ready();
    kid.term();
    kid.end().code(1).in_order(&["got 15", "leaving", "last words"]).within(ms(500), ms(1_500));
}

/// One request; status and body.
fn ask(at: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap_or("").to_owned())
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn readiness_turns_red_and_the_delay_is_served() {
    let folder = Folder::new();
    folder.write("graceshut.toml", "announce_delay = \"1s\"\ngrace = \"20s\"\n");
    let at = free_address();
    let mut kid = Cmd::run(&["--admin", &at]).dir(&folder).probe("catcher").ready();
    assert_eq!(ask(&at, "GET /readyz").0, 200);
    kid.term();
    until("red", || ask(&at, "GET /readyz").0 == 503);
    let (_, status) = ask(&at, "GET /status");
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((status["state"].as_str(), status["phase"].as_str()), (Some("stopping"), Some("announce")), "{status:#}");
    kid.end().code(0).said("got 15").within(ms(1_000), ms(1_200));
    // INT is for people: no delay.
    let mut kid = Cmd::run(&[]).dir(&folder).env("GS_LEAVE", "2").probe("catcher").ready();
    kid.signal(libc::SIGINT);
    kid.end().code(0).within(ms(0), ms(500));
}

fn prestop_drains_and_the_term_goes_on() {
    let folder = Folder::new();
    folder.write("graceshut.toml", &SAYING.replace("close", "flush"));
    let socket = format!("unix:{}", folder.path("%p.sock").display());
    let mut kid =
        Cmd::run(&["--admin", &socket, "--grace", "30s"]).dir(&folder).env("GS_PAUSE", "300").probe("catcher").ready();
    Cmd::new(GRACESHUT).args(&["prestop", "--admin", &socket]).end().code(0).within(ms(300), ms(1_000));
    // Drained, the program gone, and the plan waits for the signal.
    kid.wait_for("leaving");
    assert!(kid.is_alive());
    assert!(!kid.said.iter().any(|l| l.contains("hook after")), "{:?}", kid.said);
    // A second one has nothing to wait for.
    Cmd::new(GRACESHUT).args(&["prestop", "--admin", &socket]).end().code(0).within(ms(0), ms(200));
    kid.term();
    kid.end().code(0).said("hook after").within(ms(0), ms(1_000));
}

fn without_graceshut_prestop_is_a_delay() {
    let folder = Folder::new();
    let prestop = |args: &[&str]| Cmd::new(GRACESHUT).arg("prestop").args(args).dir(&folder).end();
    prestop(&["--delay", "400ms"]).code(0).said("no graceshut answers").within(ms(400), ms(500));
    prestop(&["--delay", "0s", "--admin", &free_address()]).code(0).within(ms(0), ms(300));
    prestop(&["--delay", "0s", "--admin", "unix:/no/such/%p.sock"]).code(0).within(ms(0), ms(300));
    prestop(&["--admin", "nowhere"]).code(125).said("GRACESHUT_ADMIN");
    // Whoever listens there and never answers is not waited for beyond the time.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = mute.local_addr().unwrap().to_string();
    prestop(&["--admin", &at, "--timeout", "500ms"]).code(1).said("not drained").within(ms(500), ms(700));
}

fn the_report_is_that_of_the_library() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let args = ["run", "--report", report.to_str().unwrap(), "--grace", "10s", "--remap", "3:0"];
    let mut kid = Cmd::new(GRACESHUT).args(&args).env("GS_CODE", "3").probe("catcher").ready();
    let pid = i64::from(kid.pid());
    kid.term();
    kid.end().code(1); // the stop failed with 3; remapped to 0, and degraded
    let report: Value = serde_json::from_str(&folder.text("report.json")).unwrap();
    assert_eq!(report["graceshut"], 1);
    assert_eq!((report["pid"].as_i64(), report["host"]["language"].as_str()), (Some(pid), Some("run")), "{report:#}");
    let drain = report["phases"].as_array().unwrap().iter().find(|p| p["name"] == "drain").unwrap();
    let hook = drain["hooks"].as_array().unwrap().iter().find(|h| h["kind"] == "process").unwrap();
    assert_eq!((hook["outcome"].as_str(), hook["message"].as_str()), (Some("failed"), Some("exited with status 3")));
    // The line on stderr is the default.
    Cmd::new(GRACESHUT).arg("run").sh("exit 0").end().code(0).said("graceshut: clean in ").said("after host_end");
}
