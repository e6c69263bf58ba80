//! As a real PID 1 (`unshare --pid --fork --mount-proc`): reaping, orphans, idleness.

use crate::harness::*;

crate::suite!("pid1":
    two_hundred_orphans_and_their_zombies_are_reaped,
    a_double_forked_child_leaves_no_zombie,
    signals_reach_the_program,
    kill_comes_when_the_time_is_over,
    fault_signals_from_outside_are_passed_on,
    idle_it_never_wakes,
    prestop_finds_pid_1,
);

/// The pid, seen from here, of the PID 1 that `unshare` started.
fn inside(kid: &Running) -> i32 {
    let path = format!("/proc/{0}/task/{0}/children", kid.pid());
    until("it has a child", || std::fs::read_to_string(&path).is_ok_and(|t| !t.trim().is_empty()));
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

fn two_hundred_orphans_and_their_zombies_are_reaped() {
    if !may("make a pid namespace") {
        return;
    }
    Cmd::pid1(&[]).env("GS_COUNT", "200").probe("storm").end().code(0).said("left over: 0");
    // The same as a subreaper, seen from inside its own namespace by the program.
    let folder = Folder::new();
    for name in ["tini", "dumb-init", "catatonit"] {
        let link = folder.link(name);
        let cmd = Cmd::new("unshare").args(&["--pid", "--fork", "--kill-child", "--mount-proc", link.to_str().unwrap()]);
        cmd.env("GS_COUNT", "50").probe("storm").end().code(0).said("left over: 0");
    }
}

fn a_double_forked_child_leaves_no_zombie() {
    if !may("make a pid namespace") {
        return;
    }
    let script = "for i in 1 2 3; do (sh -c 'sleep 0.05 &' &) ; done; sleep 1; ps ax -o stat= | grep -c Z";
    let end = Cmd::pid1(&[]).sh(script).end();
    assert_eq!(end.said.last().map(String::as_str), Some("0"), "{:?}", end.said);
}

fn signals_reach_the_program() {
    if !may("make a pid namespace") {
        return;
    }
    let mut kid = Cmd::pid1(&[]).env("GS_CODE", "4").probe("catcher").ready();
    let pid = inside(&kid);
    for signo in [libc::SIGHUP, libc::SIGUSR1, libc::SIGWINCH, libc::SIGRTMAX()] {
        kid.signal_at(pid, signo);
        kid.wait_for(&format!("got {signo}"));
    }
    kid.signal_at(pid, libc::SIGTERM);
    kid.end().code(4);
}

fn kill_comes_when_the_time_is_over() {
    if !may("make a pid namespace") {
        return;
    }
    let mut kid = Cmd::pid1(&["--grace", "1s"]).probe("stubborn").ready();
    let pid = inside(&kid);
    kid.signal_at(pid, libc::SIGTERM);
    kid.end().code(137).within(ms(700), ms(900));
}

fn fault_signals_from_outside_are_passed_on() {
    if !may("make a pid namespace") {
        return;
    }
    let mut kid = Cmd::pid1(&[]).probe("catcher").ready();
    let pid = inside(&kid);
    for signo in [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS] {
        kid.signal_at(pid, signo);
        kid.wait_for(&format!("got {signo}"));
    }
    kid.signal_at(pid, libc::SIGTERM);
    kid.end().code(0);
}

/// How often the threads of `pid` were put on a CPU of their own accord.
fn switches(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |tid: String| status_field(&format!("{pid}/task/{tid}"), "voluntary_ctxt_switches").parse::<u64>().unwrap();
    tasks.map(|t| of(t.unwrap().file_name().into_string().unwrap())).sum()
}

fn idle_it_never_wakes() {
    if !may("make a pid namespace") {
        return;
    }
    let mut kid = Cmd::pid1(&[]).probe("catcher").ready();
    let pid = inside(&kid);
    // It has settled when nothing has changed for a while.
    let mut before = switches(pid);
    until("settled", || {
        std::thread::sleep(ms(300));
        let now = switches(pid);
        std::mem::replace(&mut before, now) == now
    });
    std::thread::sleep(std::time::Duration::from_secs(10));
    assert_eq!(switches(pid), before, "it woke");
    if let Some(strace) = program("strace") {
        let folder = Folder::new();
        let out = folder.path("strace");
        let mut tracer = Cmd::new(strace).args(&["-f", "-o", out.to_str().unwrap(), "-p", &pid.to_string()]).start();
        tracer.wait_for("attached");
        std::thread::sleep(std::time::Duration::from_secs(10));
        tracer.signal(libc::SIGINT);
        tracer.end();
        let text = folder.text("strace");
        // What strace itself interrupted is restarted or seen as unfinished; a system call that returned would be a wake-up.
        let woke: Vec<&str> = text.lines().filter(|l| !l.contains("restart_syscall") && l.contains(" = ")).collect();
        assert!(woke.iter().all(|l| l.contains("ERESTART")), "{text}");
    }
    kid.signal_at(pid, libc::SIGTERM);
    kid.end().code(0);
}

fn prestop_finds_pid_1() {
    if !may("make a pid namespace") {
        return;
    }
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.path("%p.sock").display());
    // The command sees neither the option nor the variable: it looks at PID 1.
    let script = format!(
        "trap 'echo drained; exit 0' TERM; (sleep 0.3; setsid {GRACESHUT} prestop; echo prestop $? >> {0}) & echo ready; while :; do sleep 0.05; done",
        folder.path("status").display()
    );
    let mut kid =
        Cmd::pid1(&["--admin", &socket, "--child", "--grace", "5s", "--rest-grace", "1s"]).dir(&folder).sh(&script).ready();
    kid.wait_for("drained");
    // The preStop command is one of the container: PID 1 does not end it while it waits for the drain it asked for... it ends
    // with the rest of the tree at the latest.
    let pid = inside(&kid);
    kid.signal_at(pid, libc::SIGTERM);
    kid.end().code(0);
}
