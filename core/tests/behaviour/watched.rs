//! The two opt-in triggers that are watched for: the death of the parent, the end of stdin (spec 2.3).

use serde_json::Value;

use crate::asking::*;
use crate::harness::*;

crate::suite!("watched",
tests: [
    r2_3_the_parents_death_is_a_trigger,
    r2_3_the_end_of_stdin_is_a_trigger_and_nothing_is_read,
],
children: [admin_orphan, admin_stdin, admin_stdin_data]);

fn admin_orphan() {
    let pid = unsafe { libc::fork() };
    if pid != 0 {
        // The parent, until it is killed.
        say(&format!("pid {pid}"));
        park();
    }
    unsafe { libc::alarm(25) };
    let gs = install(Options { parent_death: Some(true), ..grace(3000) }).unwrap();
    saying(&gs, "flush", "flushed by the orphan");
    serve(&gs);
}

fn r2_3_the_parents_death_is_a_trigger() {
    let mut kid = Kid::new("admin_orphan").start();
    kid.wait_for("ready");
    let folder = kid.folder();
    kid.signal(libc::SIGKILL);
    kid.end().died_by(libc::SIGKILL);
    until("the orphan's report", || std::fs::read_to_string(folder.join("report.json")).is_ok_and(|t| t.ends_with('\n')));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["reason"]["kind"], &report["outcome"]), (&"parent_death".into(), &"clean".into()));
}

fn admin_stdin() {
    let gs = install(Options { stdin_eof: Some(true), ..grace(3000) }).unwrap();
    serve(&gs);
}

fn admin_stdin_data() {
    let mut ends = [0; 2];
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    unsafe { libc::dup2(ends[0], 0) };
    unsafe { libc::close(ends[0]) };
    assert_eq!(unsafe { libc::write(ends[1], b"unread".as_ptr().cast(), 6) }, 6);
    let gs = install(Options { stdin_eof: Some(true), ..grace(3000) }).unwrap();
    let used = cpu_of(std::process::id() as i32);
    std::thread::sleep(ms(500));
    assert!(cpu_of(std::process::id() as i32) - used <= 5, "what lies there unread wakes nobody");
    assert_eq!(gs.state(), graceshut::State::Armed);
    unsafe { libc::close(ends[1]) };
    let finished = gs.wait(Some(ms(5000))).unwrap();
    assert_eq!(finished.report.reason.kind, "stdin_eof");
    let mut text = [0; 16];
    assert_eq!(unsafe { libc::read(0, text.as_mut_ptr().cast(), 16) }, 6, "nothing was read");
    say("all of it is still there");
    std::process::exit(finished.exit.code)
}

fn r2_3_the_end_of_stdin_is_a_trigger_and_nothing_is_read() {
    Kid::new("admin_stdin_data").end().code(0).said("all of it is still there");
    // /dev/null is at its end from the start, and tells nobody.
    let mut kid = Kid::new("admin_stdin").ready();
    std::thread::sleep(ms(200));
    assert!(kid.is_alive());
    kid.term();
    let end = kid.end().code(0);
    assert_eq!(end.report()["reason"]["kind"], "signal");
}
