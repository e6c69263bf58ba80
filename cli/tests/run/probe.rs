//! The programs that are run: each prints `ready` when it is, with one write a line.

use std::time::Duration;

/// Runs the child function `name`.
pub fn be(name: &str) {
    // Its default disposition ends a child that hangs. Children that must live on are ended by their tests.
    unsafe { libc::alarm(120) };
    match name {
        "catcher" => catcher(),
        "sigstate" => sigstate(),
        "stubborn" => stubborn(),
        "tree" => tree(),
        "storm" => storm(),
        "env" => std::env::vars().for_each(|(k, v)| say(&format!("{k}={v}"))),
        "leader" => leader(),
        other => panic!("no child {other}"),
    }
}

pub fn say(line: &str) {
    let line = format!("{line}\n");
    if unsafe { libc::write(1, line.as_ptr().cast(), line.len()) } < 0 {
        // Nobody reads: the test is over.
        unsafe { libc::_exit(98) };
    }
}

fn number(name: &str) -> Option<i32> {
    std::env::var(name).ok()?.parse().ok()
}

fn block_all() -> libc::sigset_t {
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        all
    }
}

/// Says the number of every signal it gets; leaves with `GS_CODE` at `GS_LEAVE` (TERM).
fn catcher() {
    let all = block_all();
    for signo in 1..=64 {
        // An ignored one (what a shell in the background leaves) would never be taken.
        if ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(&signo) {
            unsafe { libc::signal(signo, libc::SIG_DFL) };
        }
    }
    let leave = number("GS_LEAVE").unwrap_or(libc::SIGTERM);
    say("ready");
    loop {
        let mut signo = 0;
        unsafe { libc::sigwait(&all, &mut signo) };
        if signo == libc::SIGALRM && number("GS_ALRM").is_none() {
            std::process::exit(99);
        }
        say(&format!("got {signo}"));
        if signo == leave {
            if let Some(pause) = number("GS_PAUSE") {
                std::thread::sleep(Duration::from_millis(pause as u64));
            }
            say("leaving");
            std::process::exit(number("GS_CODE").unwrap_or(0));
        }
    }
}

/// Says what it inherited.
fn sigstate() {
    // Its own runtime sets PIPE to ignored: what a program sees is told by another one.
    let status = std::process::Command::new("grep").args(["^Sig[BI]", "/proc/self/status"]).status();
    say(&format!("{status:?}"));
}

/// Blocks everything and lives until KILL.
fn stubborn() {
    block_all();
    say("ready");
    loop {
        std::thread::park();
    }
}

/// A process in a group of its own or not, that outlives its parent: `GS_TREE` is a list of `plain`, `daemon`, `stubborn`.
fn tree() {
    let wanted = std::env::var("GS_TREE").unwrap_or_default();
    for kind in wanted.split(',').filter(|k| !k.is_empty()) {
        unsafe {
            let mut fds = [0; 2];
            assert_eq!(libc::pipe(fds.as_mut_ptr()), 0);
            let pid = libc::fork();
            if pid == 0 {
                if kind.contains("daemon") {
                    libc::setsid();
                }
                if kind.contains("stubborn") {
                    block_all();
                }
                libc::write(fds[1], b"x".as_ptr().cast(), 1);
                loop {
                    libc::pause();
                }
            }
            let mut byte = [0_u8; 1];
            assert_eq!(libc::read(fds[0], byte.as_mut_ptr().cast(), 1), 1);
            say(&format!("left {kind} {pid}"));
        }
    }
    if let Some(code) = number("GS_CODE") {
        std::process::exit(code);
    }
    catcher();
}

/// Leaves `GS_COUNT` orphans behind that end at about the same time, some of them parents of zombies.
fn storm() {
    let count = number("GS_COUNT").unwrap_or(200);
    let (mut started, mut gate) = ([0; 2], [0; 2]);
    unsafe {
        assert_eq!(libc::pipe(started.as_mut_ptr()), 0);
        assert_eq!(libc::pipe(gate.as_mut_ptr()), 0);
        for n in 0..count {
            // Twice forked: an orphan at once.
            let middle = libc::fork();
            if middle == 0 {
                if libc::fork() == 0 {
                    libc::close(gate[1]);
                    if n % 4 == 0 {
                        // A parent that never waits: its child stays a zombie until it is orphaned too.
                        if libc::fork() == 0 {
                            libc::_exit(n % 256);
                        }
                    }
                    libc::write(started[1], b"x".as_ptr().cast(), 1);
                    let mut byte = [0_u8; 1];
                    libc::read(gate[0], byte.as_mut_ptr().cast(), 1);
                    libc::_exit(n % 256);
                }
                libc::_exit(0);
            }
            libc::waitpid(middle, std::ptr::null_mut(), 0);
        }
        let mut byte = [0_u8; 1];
        for _ in 0..count {
            assert_eq!(libc::read(started[0], byte.as_mut_ptr().cast(), 1), 1);
        }
        // The gate opens for all at once.
        libc::close(gate[1]);
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let others = || {
        let all = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
        all.filter(|pid| *pid != 1 && *pid != std::process::id()).count()
    };
    while others() > 0 && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    say(&format!("left over: {}", others()));
}

/// Says who it is to the kernel.
fn leader() {
    unsafe {
        say(&format!(
            "group {} session {} pid {}",
            libc::getpgrp() == libc::getpid(),
            libc::getsid(0) == libc::getpid(),
            libc::getpid()
        ));
    }
}
