//! No verdict.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::check::{Check, is_alive, service};
use crate::common::{Folder, until};

#[test]
fn never_ready() {
    Check::loaded()
        .with(&["--ready-timeout", "700ms"])
        .service("never_ready.py", &[])
        .gives_up(&["was not ready within 700 ms", "never answered 2xx"]);
}

#[test]
fn ends_before_it_is_ready() {
    let script = "import sys; print('warming up', file=sys.stderr); sys.exit('no database')";
    Check::loaded()
        .on(&["python3", "-c", script])
        .gives_up(&["python3 ended before it was ready (status 1)", "last lines:\n    warming up\n    no database"]);
}

#[test]
fn command_that_cannot_be_started() {
    Check::loaded().on(&["no-such-command-7f"]).gives_up(&["no-such-command-7f", "command not found", "127"]);
    let folder = Folder::new("verify");
    fs::write(folder.0.join("plain"), "x").unwrap();
    Check::loaded().on(&[&folder.path("plain")]).gives_up(&["plain: not executable", "126"]);
}

#[test]
fn occupied_port_names_its_holder() {
    let check = Check::loaded();
    let listener = TcpListener::bind(("127.0.0.1", check.port)).unwrap();
    let marker = check.folder.path("started");
    let child = check.spawn(&["touch", &marker]);
    let done = check.done(child);
    drop(listener);
    let (port, pid) = (format!("port {} ", done.port), format!("by process {} ", std::process::id()));
    assert!(!Path::new(&marker).exists(), "it was started all the same");
    done.gives_up(&[&port, "taken already", &pid]);
}

#[test]
fn usage_errors_name_what_is_wrong() {
    for (options, saying) in [
        (&["--after", "2"][..], "write a number and a unit"),
        (&["--grace", "0s"], "longer than zero"),
        (&["--signal", "TERMINATE"], "TERMINATE"),
        (&["--load", "ftp://127.0.0.1/"], "write it like http"),
        (&["--post-share", "101%"], "101%"),
        (&["--connections", "0"], "--connections"),
        (&["--json", "/no/such/folder/x.json"], "--json"),
    ] {
        Check::bare().with(options).on(&["true"]).gives_up(&[saying]);
    }
}

#[test]
fn help_teaches() {
    for (args, saying) in [(&["--help"][..], "graceshut verify --ready"), (&["verify", "--help"], "Exit status:")] {
        let output = Command::new(env!("CARGO_BIN_EXE_graceshut")).args(args).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(saying));
    }
}

#[test]
fn interrupted_it_takes_the_service_with_it() {
    let check = Check::loaded().with(&["--after", "50s"]);
    let (path, port) = (service("leaves_child.py"), check.port);
    let child = check.spawn(&["python3", &path, &port.to_string(), "session"]);
    until("the service is ready", || check.folder.text("stderr").contains("| ready"));
    // SAFETY: kill takes two integers; the child is not reaped yet, so the pid is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    let done = check.done(child);
    assert_eq!(done.code, 143, "{}", done.all());
    assert!(done.stderr.contains("stopped by TERM"), "{}", done.all());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the service is still there");
    let child = done.stderr.lines().find_map(|l| l.strip_prefix("| child ")).unwrap().parse().unwrap();
    assert!(!is_alive(child, "sleep 302"), "its child in a session of its own is still there");
}
