//! Terminals: Ctrl-C once, Ctrl-Z and fg, the terminal handed over.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

use crate::harness::*;

crate::suite!("terminal":
    ctrl_c_reaches_the_program_once,
    an_interactive_shell_has_job_control,
    ctrl_z_and_fg_as_under_any_shell,
    end_of_input_reaches_the_program,
    signals_that_stop_are_passed_on,
);

/// A program on a pseudo terminal, leading its session.
struct Screen {
    pid: i32,
    file: File,
    seen: String,
}

impl Screen {
    fn new(words: &[&str], env: &[(&str, &str)]) -> Screen {
        let words: Vec<std::ffi::CString> = words.iter().map(|w| std::ffi::CString::new(*w).unwrap()).collect();
        let mut argv: Vec<_> = words.iter().map(|w| w.as_ptr()).collect();
        argv.push(std::ptr::null());
        let mut all: Vec<std::ffi::CString> = std::env::vars()
            .filter(|(k, _)| !k.starts_with("GRACESHUT_"))
            .map(|(k, v)| std::ffi::CString::new(format!("{k}={v}")).unwrap())
            .collect();
        all.extend(env.iter().map(|(k, v)| std::ffi::CString::new(format!("{k}={v}")).unwrap()));
        let mut envp: Vec<_> = all.iter().map(|w| w.as_ptr()).collect();
        envp.push(std::ptr::null());
        let mut fd = -1;
        unsafe {
            let pid = libc::forkpty(&mut fd, std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
            if pid == 0 {
                libc::execvpe(argv[0], argv.as_ptr(), envp.as_ptr());
                libc::_exit(127);
            }
            assert!(pid > 0);
            libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            Screen { pid, file: File::from_raw_fd(fd), seen: String::new() }
        }
    }

    fn look(&mut self) {
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = self.file.read(&mut piece) {
            self.seen.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
    }

    /// Until `text` is on the screen; then what came before and it are forgotten.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            self.look();
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(Instant::now() < until, "{text:?} is not on the screen: {:?}", self.seen);
            std::thread::sleep(ms(2));
        }
    }

    fn send(&mut self, keys: &str) {
        self.file.write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    fn end(&mut self) -> i32 {
        let until = Instant::now() + Duration::from_secs(30);
        let mut status = 0;
        while unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) } == 0 {
            self.look();
            assert!(Instant::now() < until, "did not end: {:?}", self.seen);
            std::thread::sleep(ms(2));
        }
        self.look();
        self.pid = 0;
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.pid > 0 {
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

const RUN: [&str; 5] = [GRACESHUT, "run", "--report", "none", "--"];

fn ctrl_c_reaches_the_program_once() {
    let own = own();
    let mut screen = Screen::new(&[&RUN[..], &[&own]].concat(), &[("GS_CHILD", "catcher"), ("GS_CODE", "7")]);
    screen.wait_for("ready");
    screen.send("\x03");
    screen.wait_for("got 2");
    std::thread::sleep(ms(300));
    screen.look();
    assert!(!screen.seen.contains("got"), "{:?}", screen.seen);
    // It chose to go on; the next word is TERM, to the wrapper.
    unsafe { libc::kill(screen.pid, libc::SIGTERM) };
    assert_eq!(screen.end(), 7);
    // One that dies of it: status 130.
    let mut screen = Screen::new(&[&RUN[..], &["sh", "-c", "echo ready; exec sleep 60"]].concat(), &[]);
    screen.wait_for("ready");
    screen.send("\x03");
    assert_eq!(screen.end(), 130);
}

fn an_interactive_shell_has_job_control() {
    for session in [false, true] {
        let links = Folder::new();
        let init = links.link("dumb-init");
        let words = if session {
            vec![init.to_str().unwrap(), "bash", "--norc", "-i"]
        } else {
            [&RUN[..], &["bash", "--norc", "-i"]].concat()
        };
        let mut screen = Screen::new(&words, &[("PS1", "$ ")]);
        screen.wait_for("$ ");
        screen.send("sleep 60\n");
        screen.wait_for("sleep 60");
        std::thread::sleep(ms(300));
        screen.send("\x1a");
        screen.wait_for("Stopped");
        screen.send("bg\n");
        screen.wait_for("sleep 60 &");
        screen.send("kill %1; wait; echo gone $((20+1))\n");
        screen.wait_for("gone 21");
        screen.send("exit 5\n");
        assert_eq!(screen.end(), 5, "session {session}: {:?}", screen.seen);
    }
}

fn ctrl_z_and_fg_as_under_any_shell() {
    let mut screen = Screen::new(&["bash", "--norc", "-i"], &[("PS1", "$ ")]);
    screen.wait_for("$ ");
    // `cat` answers with what it is given while it has the terminal.
    screen.send(&format!("{GRACESHUT} run --report none -- cat\n"));
    screen.wait_for("cat\r\n");
    screen.send("one\n");
    screen.wait_for("one\r\none\r\n");
    screen.send("\x1a");
    screen.wait_for("Stopped");
    screen.send("echo back $((40+2))\n");
    screen.wait_for("back 42");
    screen.send("fg\n");
    screen.wait_for("cat\r\n");
    screen.send("two\n");
    screen.wait_for("two\r\ntwo\r\n");
    screen.send("\x04");
    screen.wait_for("$ ");
    screen.send("exit 3\n");
    assert_eq!(screen.end(), 3);
}

fn end_of_input_reaches_the_program() {
    let mut screen = Screen::new(&[&RUN[..], &["tac"]].concat(), &[]);
    screen.send("a\nb\nc\n\x04");
    screen.wait_for("c\r\nb\r\na\r\n");
    assert_eq!(screen.end(), 0);
}

fn signals_that_stop_are_passed_on() {
    // A program that does not fork: a shell between vfork and its child's exec cannot stop, whoever asks.
    // Sent to the wrapper from outside: program and wrapper stop, CONT wakes both.
    for signo in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        let mut kid = Cmd::run(&[]).sh("echo ready; exec sleep 60").ready();
        kid.signal(signo);
        let pid = kid.pid().to_string();
        until("the wrapper has stopped", || status_field(&pid, "State").starts_with('T'));
        kid.signal(libc::SIGCONT);
        until("the wrapper goes on", || !status_field(&pid, "State").starts_with('T'));
        kid.term();
        kid.end().code(143);
    }
}
