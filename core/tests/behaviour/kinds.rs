//! Spec 8.5, 5.5, 10.3: hooks that need no code.

use std::io::{Read, Write};
use std::net::TcpListener;

use graceshut::{ExecSpec, HttpSpec, SignalSpec};

use crate::harness::*;

crate::suite!("kinds",
    tests: [
        r8_5_exec_statuses_are_in_the_message,
        r10_3_exec_gets_its_box_and_the_hosts_mask,
        r5_5_exec_is_terminated_then_killed_with_its_group,
        r8_5_http,
        r8_5_http_that_never_answers_ends_by_its_deadline,
        r8_5_signal_to_pid_and_pidfile,
        r8_5_delay,
    ],
    children: [statuses, surroundings, stubborn, http, signalling, delaying]);

fn sh(script: &str) -> ExecSpec {
    ExecSpec { argv: vec!["/bin/sh".into(), "-c".into(), script.into()], ..Default::default() }
}

fn terminated(kid: Kid) -> Ended {
    let mut kid = kid.ready();
    kid.term();
    kid.end()
}

fn message<'a>(report: &'a serde_json::Value, name: &str) -> &'a str {
    hook(report, name)["message"].as_str().unwrap_or("")
}

fn statuses() {
    let gs = install(grace(4000)).unwrap();
    gs.hook("flush", "zero").exec(sh("exit 0")).unwrap();
    gs.hook("flush", "seven").exec(sh("exit 7")).unwrap();
    gs.hook("flush", "killed").exec(sh("kill -SEGV $$")).unwrap();
    let spec = ExecSpec { argv: vec!["/no/such/command".into()], ..Default::default() };
    gs.hook("flush", "absent").exec(spec).unwrap();
    let dir = Some(std::path::PathBuf::from("/no/such/folder"));
    gs.hook("flush", "folder").exec(ExecSpec { dir, ..sh("exit 0") }).unwrap();
    serve(&gs);
}

fn r8_5_exec_statuses_are_in_the_message() {
    let report = terminated(Kid::new("statuses")).code(1).report();
    assert_eq!(outcome(&report, "zero"), "ok");
    assert_eq!((outcome(&report, "seven"), message(&report, "seven")), ("failed", "exited with status 7"));
    assert_eq!(message(&report, "killed"), "killed by SEGV");
    assert!(message(&report, "absent").contains("cannot start \"/no/such/command\": No such file"), "{report:#}");
    assert_eq!(outcome(&report, "folder"), "failed");
}

fn surroundings() {
    if arg("GS_MASK") == "yes" {
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&mut set, libc::SIGUSR1);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
    }
    let gs = install(grace(4000)).unwrap();
    let script = "echo grace=$GRACESHUT_GRACE report=$GRACESHUT_REPORT mine=$MINE; pwd";
    let env = vec![("MINE".into(), "yes".into())];
    gs.hook("flush", "e").timeout(ms(1500)).exec(ExecSpec { env, dir: Some("/usr".into()), ..sh(script) }).unwrap();
    // Through no shell: some reset the mask (embedding A9).
    let argv = vec!["/bin/cat".into(), "/proc/self/status".into()];
    gs.hook("flush", "cat").exec(ExecSpec { argv, ..Default::default() }).unwrap();
    serve(&gs);
}

fn r10_3_exec_gets_its_box_and_the_hosts_mask() {
    for (mask, blocked) in [("no", 0), ("yes", 1 << (libc::SIGUSR1 - 1))] {
        let end = terminated(Kid::new("surroundings").env("GS_MASK", mask)).code(0);
        let line = end.said.iter().find(|l| l.starts_with("grace=")).unwrap();
        assert!(line.starts_with("grace=1.4") || line.starts_with("grace=1.5s"), "{line}");
        assert!(line.ends_with("report= mine=yes"), "{line}");
        let field = |name: &str| {
            let line = end.said.iter().find_map(|l| l.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
        };
        assert_eq!(field("SigBlk"), blocked);
        assert_eq!(field("SigCgt") & 1 << (libc::SIGTERM - 1), 0);
        assert_eq!(field("SigIgn") & 1 << (libc::SIGPIPE - 1), 0, "a child dies of a broken pipe as usual");
        assert!(end.has("/usr"));
    }
}

fn stubborn() {
    let gs = install(grace(6000)).unwrap();
    let heeds = sh("trap 'echo got TERM; exit 9' TERM; echo up; while :; do sleep 0.02; done");
    gs.hook("drain", "heeds").timeout(ms(500)).exec(heeds).unwrap();
    gs.hook("drain", "plain").timeout(ms(500)).exec(sh("sleep 60 & wait")).unwrap();
    let deaf = sh("trap '' TERM; sleep 61 & echo grandchild $!; echo leader $$; wait");
    gs.hook("drain", "deaf").timeout(ms(700)).exec(deaf).unwrap();
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn gone(pid: i32) -> bool {
    let state = status_field(pid, "State");
    state.is_empty() || state.starts_with('Z')
}

fn r5_5_exec_is_terminated_then_killed_with_its_group() {
    let mut kid = Kid::new("stubborn").ready();
    kid.term();
    let pid_of = |line: String| line.rsplit(' ').next().unwrap().parse::<i32>().unwrap();
    let grandchild = pid_of(kid.wait_for("grandchild"));
    let leader = pid_of(kid.wait_for("leader"));
    let end = kid.end().code(1).said("got TERM").said("flushed");
    let report = end.report();
    assert_eq!((outcome(&report, "heeds"), message(&report, "heeds")), ("failed", "exited with status 9"));
    assert_eq!(outcome(&report, "plain"), "cancelled");
    assert_eq!(outcome(&report, "deaf"), "killed");
    let used = hook(&report, "deaf")["used_us"].as_u64().unwrap();
    assert!((700_000..1_000_000).contains(&used), "{used}");
    until("the end of the group", || gone(leader) && gone(grandchild));
}

/// Answers each request with what its path says; `/silent` never.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let n = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..n]).into_owned();
            println!("request {}", head.lines().next().unwrap_or(""));
            let status = head.split(['/', ' ']).nth(2).unwrap_or("").to_owned();
            if status == "silent" {
                silent.push(stream);
                continue;
            }
            let _ = write!(stream, "HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    port
}

fn http() {
    let gs = install(grace(4000)).unwrap();
    let port = server();
    let get = |path: &str| HttpSpec { url: format!("http://127.0.0.1:{port}/{path}"), ..Default::default() };
    if arg("GS_PATH") == "silent" {
        gs.hook("drain", "silent").timeout(ms(600)).http(get("silent")).unwrap();
    } else {
        gs.hook("drain", "fine").http(HttpSpec { method: "PUT".into(), ..get("200") }).unwrap();
        gs.hook("drain", "broken").http(get("500")).unwrap();
        gs.hook("drain", "accepted").http(HttpSpec { accept: vec![404], ..get("404") }).unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        gs.hook("drain", "refused")
            .http(HttpSpec { url: format!("http://127.0.0.1:{closed}/"), ..Default::default() })
            .unwrap();
    }
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r8_5_http() {
    let end = terminated(Kid::new("http")).code(1).said("request PUT /200").said("request POST /500").said("flushed");
    let report = end.report();
    assert_eq!((outcome(&report, "fine"), outcome(&report, "accepted")), ("ok", "ok"));
    assert!(message(&report, "broken").ends_with("answered 500"), "{report:#}");
    assert!(message(&report, "refused").contains("efused"), "{report:#}");
}

fn r8_5_http_that_never_answers_ends_by_its_deadline() {
    let end = terminated(Kid::new("http").env("GS_PATH", "silent")).code(1).said("flushed").within(ms(500), ms(600));
    assert_eq!(outcome(&end.report(), "silent"), "abandoned", "{:#}", end.report());
}

fn signalling() {
    let gs = install(grace(4000)).unwrap();
    let sleeper = || std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let (a, mut b) = (sleeper(), sleeper());
    let spec = |pid: u32| SignalSpec { pid: Some(pid as i32), signo: libc::SIGTERM, wait: true, ..Default::default() };
    gs.hook("drain", "waits").signal(spec(a.id())).unwrap();
    let file = std::path::PathBuf::from(arg("GS_FOLDER")).join("pid");
    std::fs::write(&file, format!("{}\n", b.id())).unwrap();
    let by_file = SignalSpec { pidfile: Some(file.clone()), signo: libc::SIGKILL, ..Default::default() };
    gs.hook("drain", "pidfile").signal(by_file).unwrap();
    let no_file = SignalSpec { pidfile: Some(file.with_file_name("none")), signo: libc::SIGTERM, ..Default::default() };
    gs.hook("drain", "no file").signal(no_file).unwrap();
    // A zombie is gone for whoever waits by pidfd; a pid that never was, too.
    gs.hook("drain", "nobody").signal(spec(0x3f_fff0)).unwrap();
    gs.hook("drain", "myself")
        .timeout(ms(300))
        .signal(SignalSpec { signo: libc::SIGCONT, ..spec(std::process::id()) })
        .unwrap();
    gs.hook("final", "f")
        .run(move |_| {
            until("the end of b", || b.try_wait().unwrap().is_some());
            say("b is gone");
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r8_5_signal_to_pid_and_pidfile() {
    let report = terminated(Kid::new("signalling")).code(1).said("b is gone").report();
    assert_eq!((outcome(&report, "waits"), outcome(&report, "pidfile"), outcome(&report, "nobody")), ("ok", "ok", "ok"));
    assert_eq!(outcome(&report, "myself"), "cancelled");
    assert!(message(&report, "no file").contains("cannot read"));
}

fn delaying() {
    let gs = install(grace(4000)).unwrap();
    gs.hook("announce", "pause").delay(ms(200)).unwrap();
    gs.hook("drain", "cut").timeout(ms(100)).delay(ms(60_000)).unwrap();
    serve(&gs);
}

fn r8_5_delay() {
    let report = terminated(Kid::new("delaying")).code(0).within(ms(300), ms(300)).report();
    assert_eq!((outcome(&report, "pause"), outcome(&report, "cut")), ("ok", "ok"));
}
