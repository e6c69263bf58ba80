//! Stopping: grace, KILL, what is left behind, time limits.

use crate::harness::*;

crate::suite!("ends":
    a_program_that_does_not_stop_is_killed_when_its_time_is_over,
    a_second_signal_cuts_the_grace_short,
    a_third_signal_leaves_at_once_and_nothing_behind,
    nothing_waits_when_nothing_is_left,
    what_is_left_in_the_group_is_ended,
    orphans_are_ended_by_a_subreaper,
    what_is_left_has_its_own_grace,
    a_stopped_program_hears_the_signal,
    a_time_limit_as_timeout_has_it,
    a_program_that_ends_by_itself_takes_its_group_along,
    a_closed_pipe_of_output_changes_nothing,
    exit_status_of_a_failed_stop,
);

fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static N: AtomicU32 = AtomicU32::new(0);
    format!("ends-{}-{}", std::process::id(), N.fetch_add(1, Ordering::SeqCst))
}

fn a_program_that_does_not_stop_is_killed_when_its_time_is_over() {
    let mut kid = Cmd::run(&["--grace", "2s"]).probe("stubborn").ready();
    kid.term();
    // Budget 1.9 s, KILL 100 ms before its end.
    kid.end().code(137).within(ms(1_700), ms(1_900)).said("KILL");
}

fn a_second_signal_cuts_the_grace_short() {
    let mut kid = Cmd::run(&["--grace", "50s"]).probe("stubborn").ready();
    let since = std::time::Instant::now();
    // Spec 7.1: what comes within 500 ms is a duplicate, and a busy machine hears the first one late.
    for _ in 0..2 {
        kid.term();
        std::thread::sleep(ms(1_000));
    }
    kid.end().code(137).said("KILL");
    assert!(since.elapsed() < ms(2_000) + SLACK, "{:?}", since.elapsed());
}

fn a_third_signal_leaves_at_once_and_nothing_behind() {
    let mark = mark();
    let folder = Folder::new();
    // A hook of a reserved phase goes on after the second signal; the third ends it too.
    folder.write("graceshut.toml", "[[hook]]\nphase = \"flush\"\nname = \"long\"\nexec = [\"sleep\", \"60\"]\n");
    let cmd = Cmd::run(&["--grace", "60s", "--subreaper"]).dir(&folder).env("GS_TREE", "plain,daemon,stubborn");
    let mut kid = cmd.env("GS_MARK", &mark).env("GS_LEAVE", "64").probe("tree").ready();
    for _ in 0..3 {
        kid.term();
        std::thread::sleep(ms(1_000));
    }
    let end = kid.end();
    assert!([137, 143].contains(&end.as_shell()), "{:?}: {:#?}", end.status, end.said);
    end.within(ms(0), ms(1_000));
    until("nothing is left", || alive_with_mark(&mark).is_empty());
}

fn nothing_waits_when_nothing_is_left() {
    let mut kid = Cmd::run(&["--grace", "60s", "--rest-grace", "30s", "--subreaper"]).probe("catcher").ready();
    kid.term();
    kid.end().code(0).within(ms(0), ms(100));
    Cmd::run(&["--grace", "60s"]).sh("true").end().code(0).within(ms(0), ms(100));
}

fn what_is_left_in_the_group_is_ended() {
    let mark = mark();
    let mut kid = Cmd::run(&[]).env("GS_TREE", "plain,plain").env("GS_MARK", &mark).probe("tree").ready();
    kid.term();
    kid.end().code(0).within(ms(0), ms(1_000));
    until("nothing is left", || alive_with_mark(&mark).is_empty());
}

fn orphans_are_ended_by_a_subreaper() {
    let mark = mark();
    let mut kid = Cmd::run(&["--subreaper"]).env("GS_TREE", "daemon,daemon").env("GS_MARK", &mark).probe("tree").ready();
    kid.term();
    kid.end().code(0).within(ms(0), ms(1_000));
    assert_eq!(alive_with_mark(&mark), Vec::<i32>::new());
}

fn what_is_left_has_its_own_grace() {
    let mark = mark();
    let args = ["--grace", "60s", "--rest-grace", "700ms", "--subreaper"];
    let mut kid = Cmd::run(&args).env("GS_TREE", "stubborn,stubborn-daemon").env("GS_MARK", &mark).probe("tree").ready();
    kid.term();
    kid.end().code(0).within(ms(700), ms(1_200));
    assert_eq!(alive_with_mark(&mark), Vec::<i32>::new());
}

fn a_stopped_program_hears_the_signal() {
    let mut kid = Cmd::run(&[]).probe("catcher").ready();
    let child: i32 =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", kid.pid())).unwrap().trim().parse().unwrap();
    unsafe { libc::kill(child, libc::SIGSTOP) };
    until("it is stopped", || status_field(&child.to_string(), "State").starts_with('T'));
    kid.term();
    kid.end().code(0).said("got 15").within(ms(0), ms(500));
}

fn a_time_limit_as_timeout_has_it() {
    Cmd::run(&["--for", "300ms"]).sh("exec sleep 60").end().code(124).within(ms(300), ms(400));
    Cmd::run(&["--for", "300ms", "--preserve-status"]).sh("exec sleep 60").end().code(143);
    Cmd::run(&["--for", "30s"]).sh("exit 3").end().code(3).within(ms(0), ms(200));
    Cmd::run(&["--for", "300ms", "--signal", "USR1"]).env("GS_LEAVE", "10").probe("catcher").end().code(124).said("got 10");
    let args = ["--for", "200ms", "--signal", "TERM", "--kill-after", "400ms"];
    Cmd::run(&args).probe("stubborn").end().code(137).within(ms(600), ms(700));
}

fn a_program_that_ends_by_itself_takes_its_group_along() {
    let mark = mark();
    let cmd = Cmd::run(&[]).env("GS_TREE", "plain,plain").env("GS_CODE", "6").env("GS_MARK", &mark).probe("tree");
    cmd.end().code(6).within(ms(0), ms(1_000));
    until("nothing is left", || alive_with_mark(&mark).is_empty());
}

fn a_closed_pipe_of_output_changes_nothing() {
    // The reader of the wrapper's output is gone before the stop; every word of it goes to a broken pipe.
    let script = format!("{GRACESHUT} run -v -- {} | grep -m1 ready", own());
    let mut kid = Cmd::new("sh").args(&["-c", &format!("({script}) 2>&1; true")]).env("GS_CHILD", "catcher").start();
    kid.wait_for("ready");
    let wrapper = || {
        let all = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let shell = kid.pid();
        let is = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let ours = line.starts_with(GRACESHUT.as_bytes());
            ours && ancestors(*pid).contains(&shell)
        };
        all.filter(is).collect::<Vec<i32>>()
    };
    let pids = wrapper();
    assert_eq!(pids.len(), 1, "{pids:?}");
    kid.signal_at(pids[0], libc::SIGTERM);
    kid.end().code(0).within(ms(0), ms(1_000));
}

fn ancestors(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    while let Ok(parent) = status_field(&all[all.len() - 1].to_string(), "PPid").parse::<i32>()
        && parent > 0
    {
        all.push(parent);
    }
    all
}

fn exit_status_of_a_failed_stop() {
    // A status of its own on TERM is the program's word, and said in the report.
    let folder = Folder::new();
    let report = folder.path("report.json");
    let cmd = Cmd::new(GRACESHUT).args(&["run", "--report", report.to_str().unwrap()]);
    let mut kid = cmd.env("GS_CODE", "42").probe("catcher").ready();
    kid.term();
    kid.end().code(42);
    let report: serde_json::Value = serde_json::from_str(&folder.text("report.json")).unwrap();
    assert_eq!((report["outcome"].as_str(), report["exit_code"].as_i64()), (Some("degraded"), Some(42)), "{report:#}");
    assert_eq!(report["reason"]["signal"], "TERM");
}
