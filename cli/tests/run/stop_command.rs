//! `graceshut stop`.

use crate::harness::*;

crate::suite!("stop_command":
    the_status_tells_how_it_went,
    a_pidfile_that_is_stale_or_empty_signals_nobody,
    run_and_stop_meet_by_the_pidfile,
);

fn stop(args: &[&str]) -> Ended {
    Cmd::new(GRACESHUT).arg("stop").args(args).end()
}

fn the_status_tells_how_it_went() {
    let mut kid = Cmd::new(own()).env("GS_CHILD", "catcher").env("GS_PAUSE", "300").ready();
    stop(&[&kid.pid().to_string()]).code(0).within(ms(300), ms(500));
    kid.end().code(0).said("got 15");

    let mut kid = Cmd::new(own()).env("GS_CHILD", "catcher").env("GS_LEAVE", "12").ready();
    stop(&[&kid.pid().to_string(), "--signal", "USR2"]).code(0);
    kid.end().code(0).said("got 12");

    let mut kid = Cmd::new(own()).env("GS_CHILD", "stubborn").ready();
    stop(&[&kid.pid().to_string(), "--timeout", "300ms"]).code(1).said("still runs").within(ms(300), ms(400));
    assert!(kid.is_alive());
    stop(&[&kid.pid().to_string(), "--kill-after", "300ms"]).code(4).said("KILL").within(ms(300), ms(400));
    assert_eq!(kid.end().as_shell(), 137);

    stop(&["2147483647"]).code(3).said("no process");
    stop(&["0"]).code(2);
    stop(&[]).code(2);
}

fn a_pidfile_that_is_stale_or_empty_signals_nobody() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    stop(&["--pidfile", &path("none")]).code(3);
    folder.write("words", "twelve");
    stop(&["--pidfile", &path("words")]).code(125).said("holds no pid");
    folder.write("minus", "-1");
    stop(&["--pidfile", &path("minus")]).code(125);
    // Older than the process: its number was given to another one.
    let mut kid = Cmd::new(own()).env("GS_CHILD", "catcher").ready();
    folder.write("old", &kid.pid().to_string());
    Cmd::new("touch").args(&["-d", "2 hours ago", &path("old")]).end().code(0);
    stop(&["--pidfile", &path("old")]).code(3).said("stale");
    assert!(kid.is_alive());
    folder.write("new", &format!("{}\n", kid.pid()));
    stop(&["--pidfile", &path("new")]).code(0);
    kid.end().code(0);
}

fn run_and_stop_meet_by_the_pidfile() {
    let folder = Folder::new();
    let pidfile = folder.path("app.pid");
    let mut kid = Cmd::run(&["--pidfile", pidfile.to_str().unwrap()]).env("GS_CODE", "6").probe("catcher").ready();
    stop(&["--pidfile", pidfile.to_str().unwrap()]).code(0);
    kid.end().code(6);
    assert!(!pidfile.exists());
}
