//! Children: behaves as though graceshut had never been loaded, until the child arms for itself (spec 10.1, 10.2).
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests call libc all over, and fail by panicking"
)]

mod common_signal;

use std::sync::atomic::{AtomicU32, Ordering};

use common_signal::{
    LIMIT, arm, caught, caught_now, exited, forked, host_calls, host_handler, killed_by, managed, raise, raw, reap, say, set,
    start,
};
use graceshut::process::fork;
use graceshut::signal::{self, Chain, Disarmed, Outside};
use libc::{SA_SIGINFO, SIGHUP, SIGTERM, SIGUSR1};

children! {
    "default" => default,
    "handler" => handler,
    "ignored" => ignored,
    "outside" => outside,
    "repaired" => repaired,
    "vfork" => vfork,
    "namespace" => namespace,
    "rearm" => rearm,
    "raw_clone" => raw_clone,
    "held" => held,
    "exec" => exec,
}

fn quiet() {
    assert!(caught_now().is_empty() && !signal::pending(), "the parent saw nothing");
    assert!(fork::is_owner() && fork::is_owner_certain() && signal::armed(SIGTERM));
}

fn default() {
    arm(&[SIGTERM], Chain::Always);
    for _ in 0..20 {
        assert_eq!(
            killed_by(forked(|| {
                raise(SIGTERM);
                1
            })),
            Some(SIGTERM)
        );
        // From another process, while the child sleeps.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            common_signal::in_child();
            loop {
                unsafe { libc::pause() };
            }
        }
        unsafe { libc::kill(pid, SIGTERM) };
        assert_eq!(killed_by(reap(pid)), Some(SIGTERM));
        quiet();
    }
    // What the child says about itself.
    assert_eq!(exited(forked(|| i32::from(fork::is_owner() || fork::is_owner_certain() || signal::armed(SIGTERM)))), Some(0));
    let parent = fork::generation();
    assert_eq!(exited(forked(|| i32::from(fork::generation() == parent))), Some(0));
    raise(SIGTERM);
    assert_eq!(caught_now(), [SIGTERM], "and the parent is as before");
}

fn handler() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Never);
    let in_child = || {
        raise(SIGTERM);
        raise(SIGTERM);
        i32::from(host_calls() != 2 || common_signal::HOST_PID.load(Ordering::SeqCst) != unsafe { libc::getpid() })
    };
    assert_eq!(exited(forked(in_child)), Some(0));
    assert_eq!(host_calls(), 0);
    quiet();
}

fn ignored() {
    set(SIGTERM, libc::SIG_IGN, 0);
    arm(&[SIGTERM], Chain::Always);
    assert_eq!(
        exited(forked(|| {
            raise(SIGTERM);
            raise(SIGTERM);
            7
        })),
        Some(7)
    );
    quiet();
}

/// A binding's shim had put the host's handler there: a child meets what the program itself has set.
fn outside() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    let raised = || {
        forked(|| {
            raise(SIGTERM);
            raise(SIGTERM);
            7
        })
    };
    signal::set_outside(SIGTERM, Outside::Default);
    assert_eq!(killed_by(raised()), Some(SIGTERM));
    signal::set_outside(SIGTERM, Outside::Ignored);
    assert_eq!(exited(raised()), Some(7));
    assert_eq!(exited(forked(|| i32::from(host_calls() != 0))), Some(0));
    quiet();
    // Here the host's handler is chained to all the same.
    raise(SIGTERM);
    assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], 1));
    signal::set_outside(SIGTERM, Outside::Saved);
    assert_eq!(
        exited(forked(|| {
            raise(SIGTERM);
            i32::from(host_calls() != 2)
        })),
        Some(0)
    );
    signal::set_outside(0, Outside::Default);
    signal::set_outside(-9, Outside::Default);
    signal::set_outside(65, Outside::Default);
}

static B_SAVED: AtomicU32 = AtomicU32::new(0);
static B_OURS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

extern "C" fn b(signo: i32, info: *mut libc::siginfo_t, ctx: *mut libc::c_void) {
    B_SAVED.fetch_add(1, Ordering::SeqCst);
    let saved: common_signal::Handler = unsafe { std::mem::transmute(B_OURS.load(Ordering::SeqCst)) };
    saved(signo, info, ctx);
}

/// Ours over B over ours over the host's: in a child the loop must end too, where no shared memory may be touched.
fn repaired() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    B_OURS.store(set(SIGTERM, b as *const () as usize, SA_SIGINFO), Ordering::SeqCst);
    assert!(signal::look(true)[0].repaired);
    let in_child = || {
        for _ in 0..100 {
            raise(SIGTERM);
        }
        i32::from(B_SAVED.load(Ordering::SeqCst) != 100 || host_calls() != 100)
    };
    assert_eq!(exited(forked(in_child)), Some(0));
    quiet();
}

#[test]
fn fork_child_dies_of_the_default() {
    start("default").ends_well();
}

#[test]
fn fork_child_runs_the_saved_handler() {
    start("handler").ends_well();
    start("ignored").ends_well();
    start("repaired").ends_well();
}

static IN_VFORK: AtomicU32 = AtomicU32::new(0);
extern "C" fn counts(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    IN_VFORK.fetch_add(1, Ordering::SeqCst);
}

/// CLONE_VM | CLONE_VFORK on a stack of its own, which is what posix_spawn does and Rust can do soundly.
fn vforked(f: extern "C" fn(*mut libc::c_void) -> i32, extra: i32) -> i32 {
    let mut stack = vec![0_u8; 256 * 1024];
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top as usize % 16);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | extra | libc::SIGCHLD;
    let pid = unsafe { libc::clone(f, top.cast(), flags, std::ptr::null_mut()) };
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    reap(pid)
}

extern "C" fn raises(_: *mut libc::c_void) -> i32 {
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    unsafe { libc::syscall(libc::SYS_kill, pid, SIGTERM) };
    unsafe { libc::syscall(libc::SYS_kill, pid, SIGUSR1) };
    0
}

fn vfork() {
    set(SIGTERM, counts as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM, SIGUSR1], Chain::Always);
    let ours = raw(SIGUSR1).handler;
    let word = signal::wake().seen();
    for n in 1..=20 {
        assert_eq!(killed_by(vforked(raises, 0)), Some(SIGUSR1), "the default, after the saved handler ran");
        assert_eq!(IN_VFORK.load(Ordering::SeqCst), n);
        assert_eq!(signal::wake().seen(), word, "the parent's word was not touched");
        assert_eq!(raw(SIGUSR1).handler, ours);
        quiet();
    }
    raise(SIGUSR1);
    assert_eq!(caught_now(), [SIGUSR1]);
}

#[test]
fn vfork_child_does_not_wake_the_parent() {
    start("vfork").ends_well();
}

/// Runs as pid 1 of a namespace, arms, forks a child into another new namespace: it is pid 1 there as well.
fn namespace() {
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        say("skip");
        return;
    }
    let status = forked(|| {
        if unsafe { libc::getpid() } != 1 {
            return 90;
        }
        set(SIGTERM, counts as *const () as usize, SA_SIGINFO);
        arm(&[SIGTERM, SIGHUP], Chain::Always);
        let word = signal::wake().seen();
        // By fork(), and by a raw clone that runs no fork handlers.
        for by_fork in [true, false] {
            let flags = libc::c_long::from(libc::CLONE_NEWPID | libc::SIGCHLD);
            let pid = if by_fork {
                if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
                    return 91;
                }
                unsafe { libc::fork() }
            } else {
                unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) as i32 }
            };
            if pid == 0 {
                let me = unsafe { libc::syscall(libc::SYS_getpid) };
                unsafe { libc::syscall(libc::SYS_kill, me, SIGTERM) };
                unsafe { libc::syscall(libc::SYS_kill, me, SIGHUP) };
                let wrong = me != 1
                    || IN_VFORK.load(Ordering::SeqCst) != 1
                    || fork::is_owner_certain()
                    || signal::armed(SIGTERM)
                    || signal::wake().seen() != word;
                unsafe { libc::_exit(i32::from(wrong)) };
            }
            let status = reap(pid);
            if exited(status) != Some(0) {
                return 92 + i32::from(by_fork);
            }
        }
        i32::from(!caught_now().is_empty() || signal::wake().seen() != word)
    });
    say(&format!("{:?}", exited(status)));
}

#[test]
fn child_in_a_new_pid_namespace_is_told_apart() {
    let mut child = start("namespace");
    let line = child.line();
    if line.as_deref() == Some("skip") {
        assert!(std::env::var_os("CI").is_none(), "unshare(CLONE_NEWPID) is not permitted, and in CI nothing is left out");
        eprintln!("left out: unshare(CLONE_NEWPID) is not permitted");
        return;
    }
    assert_eq!(line.as_deref(), Some("Some(0)"));
}

fn rearm() {
    set(SIGHUP, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM, SIGHUP], Chain::Always);
    // State the child must not inherit: something in the ring, repairs.
    set(SIGHUP, host_handler as *const () as usize, SA_SIGINFO);
    let _ = signal::look(true);
    raise(SIGTERM);
    let in_child = || {
        assert!(!signal::pending() && signal::repairs(SIGHUP) == 0);
        arm(&[SIGTERM, SIGHUP], Chain::Always);
        assert!(fork::is_owner() && fork::is_owner_certain());
        raise(SIGHUP);
        assert_eq!((caught_now(), host_calls()), (vec![SIGHUP], 1));
        raise(SIGTERM);
        assert_eq!(caught(LIMIT)[0].signo, SIGTERM);
        // A grandchild is told apart again.
        assert_eq!(
            killed_by(forked(|| {
                raise(SIGTERM);
                1
            })),
            Some(SIGTERM)
        );
        let restored = signal::disarm();
        assert_eq!(restored, [Disarmed::Restored(SIGHUP), Disarmed::Restored(SIGTERM)]);
        assert_eq!(raw(SIGTERM).handler, libc::SIG_DFL, "what the first ancestor had saved");
        assert_eq!(raw(SIGHUP).handler, host_handler as *const () as usize);
        0
    };
    assert_eq!(exited(forked(in_child)), Some(0));
    assert_eq!(caught_now(), [SIGTERM], "the parent's own is still there");
    assert!(signal::armed(SIGTERM));
    // Less than the parent had: what is not named again is given back by itself.
    set(SIGUSR1, libc::SIG_DFL, 0);
    let status = forked(|| {
        signal::arm(&[managed(SIGUSR1, Chain::Never)]).unwrap();
        raise(SIGUSR1);
        assert_eq!(caught_now(), [SIGUSR1]);
        raise(SIGTERM);
        1
    });
    assert_eq!(killed_by(status), Some(SIGTERM));
}

/// A fork that runs no pthread_atfork handlers.
fn raw_clone() {
    arm(&[SIGTERM], Chain::Never);
    raise(SIGTERM);
    let clone = || unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(libc::SIGCHLD), 0, 0, 0, 0) as i32 };
    let pid = clone();
    if pid == 0 {
        assert!(!signal::pending() && !signal::armed(SIGTERM) && !fork::is_owner_certain());
        raise(SIGTERM);
        unsafe { libc::_exit(1) };
    }
    assert_eq!(killed_by(reap(pid)), Some(SIGTERM));
    let pid = clone();
    if pid == 0 {
        arm(&[SIGTERM], Chain::Never);
        raise(SIGTERM);
        unsafe { libc::_exit(i32::from(caught_now() != [SIGTERM])) };
    }
    assert_eq!(exited(reap(pid)), Some(0));
    assert_eq!(caught_now(), [SIGTERM]);
}

/// Forks while other threads hold our lock most of the time: the child never waits for it.
fn held() {
    arm(&[SIGTERM], Chain::Never);
    let stop = AtomicU32::new(0);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while stop.load(Ordering::SeqCst) == 0 {
                    let _ = signal::look(false);
                    let _ = signal::rearm(SIGTERM, Chain::Never);
                }
            });
        }
        for _ in 0..200 {
            let status = forked(|| {
                let armed = signal::arm(&[managed(SIGTERM, Chain::Never)]);
                raise(SIGTERM);
                i32::from(armed.is_err() || caught_now() != [SIGTERM])
            });
            assert_eq!(exited(status), Some(0));
        }
        stop.store(1, Ordering::SeqCst);
    });
}

#[test]
fn fork_child_arms_afresh() {
    start("rearm").ends_well();
    start("raw_clone").ends_well();
    start("held").ends_well();
}

/// Exec from a thread of ours, with its mask put back: the program has neither our handler nor a blocked mask.
fn exec() {
    use std::os::unix::process::CommandExt;
    arm(&[SIGTERM], Chain::Never);
    let thread = std::thread::spawn(|| {
        signal::block_all_but(None);
        let mut command = std::process::Command::new("grep");
        command.args(["-E", "^Sig(Blk|Cgt)", "/proc/self/status"]);
        unsafe {
            command.pre_exec(|| {
                signal::set_host_mask();
                Ok(())
            })
        };
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    });
    let status = thread.join().unwrap();
    let set = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    };
    assert_eq!(set("SigBlk"), 0, "{status}");
    assert_eq!(set("SigCgt") >> (SIGTERM - 1) & 1, 0, "{status}");
}

#[test]
fn exec_inherits_neither_handler_nor_mask() {
    start("exec").ends_well();
}
