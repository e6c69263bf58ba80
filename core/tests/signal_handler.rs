//! The handler on its own: errno, flags, sender, ignored signals, lost descriptors, floods.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests call libc all over, and fail by panicking"
)]

mod common_signal;

use std::time::Duration;

use common_signal::{LIMIT, arm, caught, caught_now, host_handler, managed, raise, raw, say, set, start, start_with};
use graceshut::signal::{self, Chain, Managed};
use graceshut::{Error, ErrorKind};
use libc::{SA_ONSTACK, SA_RESTART, SA_SIGINFO, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

children! {
    "errno" => errno,
    "flags" => flags,
    "sender" => sender,
    "ignored" => ignored,
    "ignored_taken" => ignored_taken,
    "closed" => closed,
    "flood" => flood,
    "flood_inside" => flood_inside,
    "refused" => refused,
    "masks" => masks,
}

extern "C" fn spoils_errno(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    unsafe { *libc::__errno_location() = 99 };
}

fn errno() {
    set(SIGTERM, spoils_errno as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    for value in [0, libc::EINTR, libc::EBADF, 77] {
        unsafe { *libc::__errno_location() = value };
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), SIGTERM) };
        assert_eq!(unsafe { *libc::__errno_location() }, value);
        assert_eq!(caught_now(), [SIGTERM]);
    }
}

#[test]
fn errno_is_kept() {
    start("errno").ends_well();
}

fn flags() {
    let ours = |signo| raw(signo).flags as i32 & (SA_RESTART | SA_SIGINFO | SA_ONSTACK);
    set(SIGUSR1, host_handler as *const () as usize, SA_SIGINFO);
    set(SIGUSR2, host_handler as *const () as usize, SA_SIGINFO | SA_RESTART);
    arm(&[SIGTERM, SIGUSR1, SIGUSR2], Chain::Always);
    assert_eq!(ours(SIGTERM), SA_SIGINFO | SA_ONSTACK | SA_RESTART, "over the default");
    assert_eq!(ours(SIGUSR1), SA_SIGINFO | SA_ONSTACK, "over a handler without SA_RESTART");
    assert_eq!(ours(SIGUSR2), SA_SIGINFO | SA_ONSTACK | SA_RESTART, "over a handler with it");
    // Repaired over a handler with other flags: its rule again.
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    signal::rearm(SIGTERM, Chain::Never).unwrap();
    assert_eq!(ours(SIGTERM), SA_SIGINFO | SA_ONSTACK);
}

#[test]
fn flags_follow_what_was_there() {
    start("flags").ends_well();
}

fn sender() {
    arm(&[SIGTERM, SIGHUP], Chain::Never);
    say("ready");
    let from_outside = caught(LIMIT)[0];
    raise(SIGHUP);
    let from_here = caught(LIMIT)[0];
    say(&format!("{} {} {}", from_outside.signo, from_outside.pid, from_outside.uid));
    assert_eq!(from_outside.code, libc::SI_USER);
    assert!(from_outside.at < from_here.at);
    assert_eq!((from_here.signo, from_here.pid), (SIGHUP, std::process::id() as i32));
    unsafe { libc::raise(SIGHUP) };
    assert_eq!(caught(LIMIT)[0].code, libc::SI_TKILL);
}

#[test]
fn sender_and_order_are_recorded() {
    let mut child = start("sender");
    child.expect("ready").kill(SIGTERM);
    let uid = unsafe { libc::getuid() };
    child.expect(&format!("15 {} {uid}", std::process::id())).ends_well();
}

fn ignored() {
    let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].map(|s| managed(s, Chain::Never));
    let armed = signal::arm(&wanted).unwrap();
    let seen: Vec<_> = armed.iter().map(|a| (a.signo, a.inherited_ignored, a.taken)).collect();
    assert_eq!(seen, [(SIGHUP, true, false), (SIGINT, true, false), (SIGQUIT, true, false), (SIGTERM, true, true)]);
    assert!(!signal::armed(SIGHUP) && signal::armed(SIGTERM));
    assert_eq!(raw(SIGHUP).handler, libc::SIG_IGN);
    say("ready");
    let all = caught(LIMIT);
    assert_eq!(all.iter().map(|c| c.signo).collect::<Vec<_>>(), [SIGTERM]);
    signal::disarm();
    assert_eq!(raw(SIGTERM).handler, libc::SIG_IGN);
}

fn ignored_taken() {
    let armed = signal::arm(&[Managed { signo: SIGHUP, chain: Chain::Always, even_if_ignored: true }]).unwrap();
    assert!(armed[0].taken && armed[0].inherited_ignored);
    raise(SIGHUP);
    assert_eq!(caught_now(), [SIGHUP]);
}

/// Starts a child with these signals ignored, as nohup does.
fn start_ignoring(name: &str, signals: &'static [i32]) -> common_signal::Started {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let ignore = move || {
        for signo in signals {
            unsafe { libc::signal(*signo, libc::SIG_IGN) };
        }
        Ok(())
    };
    unsafe { command.pre_exec(ignore) };
    start_with(name, &mut command)
}

#[test]
fn inherited_as_ignored_stays_ignored() {
    let mut child = start_ignoring("ignored", &[SIGHUP, SIGINT, SIGQUIT, SIGTERM]);
    child.expect("ready").kill(SIGHUP).kill(SIGINT).kill(SIGQUIT).kill(SIGTERM).ends_well();
    start_ignoring("ignored_taken", &[SIGHUP]).ends_well();
}

fn closed() {
    arm(&[SIGTERM], Chain::Never);
    for fd in 3..256 {
        unsafe { libc::close(fd) };
    }
    say("ready");
    assert_eq!(caught(LIMIT)[0].signo, SIGTERM);
}

#[test]
fn closing_every_descriptor_loses_no_signal() {
    start("closed").expect("ready").kill(SIGTERM).ends_well();
}

fn flood() {
    arm(&[SIGTERM, SIGUSR1], Chain::Never);
    say("ready");
    // The sender ends its flood with USR1; the last TERM before it must be seen as well.
    let (mut terms, mut ended) = (0, false);
    while !ended {
        for c in caught(LIMIT) {
            terms += u32::from(c.signo == SIGTERM);
            ended |= c.signo == SIGUSR1;
        }
    }
    assert!(terms >= 1);
}

#[test]
fn a_flood_from_outside_never_loses_the_last() {
    let mut child = start("flood");
    child.expect("ready");
    for _ in 0..1000 {
        child.kill(SIGTERM);
    }
    child.kill(SIGUSR1).ends_well();
}

fn flood_inside() {
    arm(&[SIGTERM, SIGUSR1, SIGUSR2], Chain::Never);
    // Nobody drains meanwhile, so the ring overflows; several threads deliver at once.
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for _ in 0..1000 {
                    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), SIGTERM) };
                }
            });
        }
    });
    raise(SIGUSR1);
    raise(SIGUSR2);
    assert!(signal::pending());
    let all = caught_now();
    assert_eq!(all.len(), 256 + 3, "the ring, and each lost signal once");
    assert!(all.contains(&SIGTERM) && all.contains(&SIGUSR1) && all.contains(&SIGUSR2));
    assert!(!signal::pending());
    // And it works as before afterwards, a thousand times around.
    for _ in 0..1000 {
        raise(SIGUSR1);
        assert_eq!(caught_now(), [SIGUSR1]);
    }
}

#[test]
fn an_overflow_keeps_one_of_each() {
    start("flood_inside").ends_well();
}

fn refused() {
    let kind =
        |signo| signal::arm(&[managed(SIGTERM, Chain::Never), managed(signo, Chain::Never)]).map_err(|e: Error| e.kind());
    for signo in [0, -1, 65, 32, 33, libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGABRT, i32::MAX, i32::MIN] {
        assert_eq!(kind(signo), Err(ErrorKind::BadValue), "{signo}");
    }
    assert_eq!(raw(SIGTERM).handler, libc::SIG_DFL, "nothing changed");
    assert!(!signal::armed(SIGTERM) && !signal::armed(-1) && signal::repairs(-1) == 0);
    assert_eq!(signal::rearm(SIGTERM, Chain::Never).map_err(|e| e.kind()), Err(ErrorKind::NotInstalled));
    assert!(signal::disarm().is_empty() && signal::look(true).is_empty());
    // Real-time signals are fine.
    arm(&[libc::SIGRTMIN(), libc::SIGRTMAX()], Chain::Never);
    raise(libc::SIGRTMAX());
    assert_eq!(caught_now(), [libc::SIGRTMAX()]);
}

#[test]
fn signals_that_must_not_be_taken_are_refused() {
    start("refused").ends_well();
}

fn masks() {
    let blocked = |signo| {
        let mut now: libc::sigset_t = unsafe { std::mem::zeroed() };
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut now) };
        unsafe { libc::sigismember(&now, signo) == 1 }
    };
    let mut hosts: libc::sigset_t = unsafe { std::mem::zeroed() };
    unsafe { libc::sigaddset(&mut hosts, SIGUSR2) };
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &hosts, std::ptr::null_mut()) };
    arm(&[SIGTERM, SIGINT], Chain::Never);
    assert_eq!(unsafe { libc::sigismember(&signal::host_mask(), SIGUSR2) }, 1);
    std::thread::spawn(move || {
        signal::block_all_but(Some(&[SIGTERM, SIGINT]));
        assert!(!blocked(SIGTERM) && !blocked(SIGINT));
        assert!(blocked(libc::SIGPIPE) && blocked(SIGUSR1) && blocked(libc::SIGRTMAX()));
        assert!(!blocked(libc::SIGSEGV) && !blocked(libc::SIGABRT));
        signal::block_all_but(None);
        assert!(blocked(SIGTERM) && blocked(libc::SIGPIPE) && !blocked(libc::SIGBUS));
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let set = status.lines().find_map(|l| l.strip_prefix("SigBlk:")).unwrap().trim();
        let set = u64::from_str_radix(set, 16).unwrap();
        assert_eq!(set & (0b11 << 31), 0, "glibc's own signals 32 and 33 stay open: {set:x}");
        signal::set_host_mask();
        assert!(!blocked(SIGTERM) && blocked(SIGUSR2) && !blocked(SIGUSR1));
    })
    .join()
    .unwrap();
    // A process whose every host thread blocks TERM is still served by a thread of ours (A8).
    let mut full: libc::sigset_t = unsafe { std::mem::zeroed() };
    unsafe { libc::sigfillset(&mut full) };
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &full, std::ptr::null_mut()) };
    let engine = std::thread::spawn(|| {
        signal::block_all_but(Some(&[SIGTERM]));
        caught(Duration::from_secs(10)).len()
    });
    raise(SIGTERM);
    assert_eq!(engine.join().unwrap(), 1);
}

#[test]
fn masks_of_our_threads() {
    start("masks").ends_well();
}
