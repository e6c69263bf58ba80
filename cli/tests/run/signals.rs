//! Which signals reach the program, as what, and when.

use crate::harness::*;

crate::suite!("signals":
    every_signal_that_can_be_is_passed_on_once,
    a_signal_becomes_another_or_is_dropped,
    the_stop_signal_is_the_one_that_came_or_the_one_asked_for,
    the_group_gets_it_or_the_child_alone,
    the_configuration_maps_signals,
    a_flood_is_survived,
    the_end_of_the_parent_is_a_signal,
);

fn passed_on() -> Vec<i32> {
    let held = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, 32, 33];
    // The three that stop a process are tried in `terminal`.
    let stops = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    (1..=64).filter(|s| !held.contains(s) && !stops.contains(s)).collect()
}

fn every_signal_that_can_be_is_passed_on_once() {
    for args in [&[][..], &["--child"], &["--session"], &["--subreaper"]] {
        let mut kid = Cmd::run(args).probe("catcher").env("GS_ALRM", "1").ready();
        for signo in passed_on() {
            kid.signal(signo);
            kid.wait_for(&format!("got {signo}"));
        }
        kid.term();
        let end = kid.end().code(0).said("leaving");
        for signo in passed_on() {
            let line = format!("got {signo}");
            assert_eq!(end.said.iter().filter(|l| **l == line).count(), 1, "{args:?}: {line} in {:?}", end.said);
        }
    }
}

fn a_signal_becomes_another_or_is_dropped() {
    let rewrites = ["USR1:USR2", "USR2:USR1", "1:1", "WINCH:0", "31:1", "64:12"];
    let args: Vec<&str> = rewrites.iter().flat_map(|r| ["--rewrite", r]).collect();
    let mut kid = Cmd::run(&args).probe("catcher").ready();
    for (sent, got) in [(10, 12), (12, 10), (1, 1), (31, 1), (64, 12)] {
        kid.signal(sent);
        kid.wait_for(&format!("got {got}"));
    }
    kid.signal(libc::SIGWINCH).signal(libc::SIGCONT);
    kid.wait_for("got 18");
    kid.term();
    kid.end().code(0).silent("got 28");
    // TERM as another signal stops as TERM does; TERM dropped does nothing.
    let mut kid = Cmd::run(&["--rewrite", "15:3"]).probe("catcher").env("GS_LEAVE", "3").env("GS_CODE", "5").ready();
    kid.term();
    kid.end().code(5).said("got 3").silent("got 15");
    let mut kid = Cmd::run(&["--rewrite", "15:0"]).probe("catcher").env("GS_LEAVE", "2").ready();
    kid.term().signal(libc::SIGUSR1);
    kid.wait_for("got 10");
    kid.signal(libc::SIGINT);
    kid.end().code(0).silent("got 15");
}

fn the_stop_signal_is_the_one_that_came_or_the_one_asked_for() {
    for (args, sent, leave) in [
        (&[][..], libc::SIGTERM, libc::SIGTERM),
        (&[], libc::SIGINT, libc::SIGINT),
        (&["--stop-signal", "QUIT"], libc::SIGTERM, libc::SIGQUIT),
        (&["--stop-signal", "RTMIN+3"], libc::SIGINT, libc::SIGRTMIN() + 3),
    ] {
        let mut kid = Cmd::run(args).probe("catcher").env("GS_LEAVE", leave.to_string()).ready();
        kid.signal(sent);
        kid.end().code(0).said(&format!("got {leave}"));
    }
    // Died of the stop signal: its status all the same.
    let mut kid = Cmd::run(&["--stop-signal", "USR1"]).sh("echo ready; exec sleep 60").ready();
    kid.term();
    kid.end().code(128 + libc::SIGUSR1);
}

fn the_group_gets_it_or_the_child_alone() {
    let script = "sleep 61 & echo left $!; echo ready; wait; wait";
    let mut kid = Cmd::run(&["-v"]).sh(script).start();
    let left: i32 = kid.wait_for("left").rsplit(' ').next().unwrap().parse().unwrap();
    kid.wait_for("ready");
    until("it is a sleep", || status_field(&left.to_string(), "Name") == "sleep");
    kid.term();
    kid.end().code(143).said("without exec").said("exec sleep");
    until("the sleep is gone", || status_field(&left.to_string(), "State").chars().next().is_none_or(|c| c == 'Z'));

    let mut kid = Cmd::run(&["--child"]).probe("catcher").ready();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", kid.pid())).unwrap();
    let child: i32 = children.trim().parse().unwrap();
    assert_eq!(unsafe { libc::getpgid(child) }, child);
    kid.signal(libc::SIGUSR1);
    kid.wait_for("got 10");
    kid.term();
    kid.end().code(0);
}

fn the_configuration_maps_signals() {
    let folder = Folder::new();
    folder.write(
        "graceshut.toml",
        "[signals]\nUSR1 = \"stop\"\nUSR2 = \"ignore\"\nINT = \"default\"\nHUP = \"stop\"\nWINCH = \"status\"\n",
    );
    let start = |leave: i32| Cmd::run(&[]).dir(&folder).probe("catcher").env("GS_LEAVE", leave.to_string()).ready();
    for leave in [libc::SIGUSR1, libc::SIGHUP] {
        let mut kid = start(leave);
        kid.signal(leave);
        kid.end().code(0);
    }
    let mut kid = start(libc::SIGTERM);
    kid.signal(libc::SIGUSR2).signal(libc::SIGINT);
    kid.wait_for("got 2");
    kid.signal(libc::SIGWINCH);
    kid.wait_for("graceshut: armed");
    kid.term();
    kid.end().code(0).silent("got 12").silent("got 28");
}

fn a_flood_is_survived() {
    let mut kid = Cmd::run(&[]).probe("catcher").ready();
    for n in 0..2_000 {
        kid.signal([libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP, libc::SIGRTMIN() + 1][n % 4]);
    }
    kid.wait_for("got 10");
    kid.term();
    kid.end().code(0);
}

fn the_end_of_the_parent_is_a_signal() {
    let script = format!("{GRACESHUT} run --report none --pdeathsig USR1 -- {} & echo wrapper $!; read x", own());
    let (read, write) = std::io::pipe().unwrap();
    let mut kid =
        Cmd::new("sh").args(&["-c", &script]).env("GS_CHILD", "catcher").env("GS_LEAVE", "10").stdin(read.into()).start();
    kid.wait_for("ready");
    // The shell ends; the wrapper hears it and passes it on.
    drop(write);
    kid.wait_for("got 10");
    kid.wait_for("leaving");
    kid.end();
}
