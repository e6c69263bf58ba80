//! Other handlers below and above ours.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests call libc all over, and fail by panicking"
)]

mod common_signal;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use common_signal::{Handler, arm, caught_now, exited, forked, host_calls, host_handler, raise, raw, set, start};
use graceshut::signal::neighbour::{another_hears, called_after_ours, handler_now};
use graceshut::signal::{self, Chain, Disarmed, MAX_REPAIRS};
use libc::{SA_NODEFER, SA_RESETHAND, SA_RESTART, SA_SIGINFO, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};

children! {
    "chained" => chained,
    "not_chained" => not_chained,
    "default" => default,
    "once" => once,
    "loop_" => loop_,
    "loop_plain" => loop_plain,
    "deep" => deep,
    "nested" => nested,
    "jumps" => jumps,
    "repair" => repair,
    "disarm" => disarm,
    "again" => again,
    "takes_itself_out" => takes_itself_out,
    "nothing_below" => nothing_below,
    "two_plugins" => two_plugins,
    "for_ever" => for_ever,
    "ignores" => ignores,
}

fn chained() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    set(SIGINT, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM, SIGINT], Chain::Always);
    for n in 1..=50 {
        raise(SIGTERM);
        assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], n));
    }
    assert_eq!(common_signal::HOST_SIGNO.load(Ordering::SeqCst), SIGTERM);
    assert_eq!(common_signal::HOST_PID.load(Ordering::SeqCst), std::process::id() as i32, "same arguments");
    // Changed by a shim.
    signal::rearm(SIGTERM, Chain::Never).unwrap();
    raise(SIGTERM);
    assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], 50));
    raise(SIGINT);
    assert_eq!(host_calls(), 51);
}

fn not_chained() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Never);
    raise(SIGTERM);
    assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], 0));
}

fn default() {
    arm(&[SIGTERM], Chain::Always);
    raise(SIGTERM);
    assert_eq!(caught_now(), [SIGTERM], "still alive: SIG_DFL is never chained to");
}

fn once() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO | SA_RESETHAND);
    arm(&[SIGTERM], Chain::Always);
    raise(SIGTERM);
    raise(SIGTERM);
    assert_eq!((caught_now(), host_calls()), (vec![SIGTERM, SIGTERM], 1));
}

#[test]
fn previous_handler_is_chained() {
    start("chained").ends_well();
    start("once").ends_well();
}

#[test]
fn previous_handler_is_not_chained() {
    start("not_chained").ends_well();
    start("default").ends_well();
}

static B_CALLS: AtomicU32 = AtomicU32::new(0);
static B_SAVED: AtomicUsize = AtomicUsize::new(0);

/// A chainer: does its work, then calls what it had replaced.
extern "C" fn b(signo: i32, info: *mut libc::siginfo_t, ctx: *mut libc::c_void) {
    B_CALLS.fetch_add(1, Ordering::SeqCst);
    let saved = B_SAVED.load(Ordering::SeqCst);
    if saved != libc::SIG_DFL && saved != libc::SIG_IGN {
        let saved: Handler = unsafe { std::mem::transmute(saved) };
        saved(signo, info, ctx);
    }
}

/// The same by somebody who ignores SA_SIGINFO: what we get for info and ctx is not what the kernel made.
extern "C" fn b_plain(signo: i32, _info: *mut libc::siginfo_t, _ctx: *mut libc::c_void) {
    B_CALLS.fetch_add(1, Ordering::SeqCst);
    let saved: Handler = unsafe { std::mem::transmute(B_SAVED.load(Ordering::SeqCst)) };
    saved(signo, std::ptr::without_provenance_mut(8), std::ptr::without_provenance_mut(0x1234_5678_9abc));
}

fn over_ours(handler: Handler) {
    B_SAVED.store(set(SIGTERM, handler as usize, SA_SIGINFO | SA_RESTART), Ordering::SeqCst);
}

fn loop_() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    over_ours(b);
    raise(SIGTERM);
    assert_eq!((caught_now(), B_CALLS.load(Ordering::SeqCst), host_calls()), (vec![SIGTERM], 1, 1), "called by B");
    assert!(signal::look(true)[0].repaired);
    for n in 2..=10_000 {
        raise(SIGTERM);
        assert_eq!(caught_now(), [SIGTERM], "recorded once though B leads back");
        assert_eq!((B_CALLS.load(Ordering::SeqCst), host_calls()), (n, n), "B and what was below, once each");
    }
}

fn loop_plain() {
    set(SIGTERM, host_handler as *const () as usize, 0);
    arm(&[SIGTERM], Chain::Never);
    over_ours(b_plain);
    raise(SIGTERM);
    assert_eq!((caught_now(), B_CALLS.load(Ordering::SeqCst)), (vec![SIGTERM], 1));
    signal::rearm(SIGTERM, Chain::Always).unwrap();
    for _ in 0..100 {
        raise(SIGTERM);
        assert_eq!(caught_now(), [SIGTERM]);
    }
    assert_eq!(B_CALLS.load(Ordering::SeqCst), 101);
}

static C_SAVED: AtomicUsize = AtomicUsize::new(0);
static C_CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn c(signo: i32, info: *mut libc::siginfo_t, ctx: *mut libc::c_void) {
    C_CALLS.fetch_add(1, Ordering::SeqCst);
    let saved: Handler = unsafe { std::mem::transmute(C_SAVED.load(Ordering::SeqCst)) };
    saved(signo, info, ctx);
}

fn deep() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    over_ours(b);
    signal::rearm(SIGTERM, Chain::Always).unwrap();
    C_SAVED.store(set(SIGTERM, c as *const () as usize, SA_SIGINFO), Ordering::SeqCst);
    signal::rearm(SIGTERM, Chain::Always).unwrap();
    let calls = || (C_CALLS.load(Ordering::SeqCst), B_CALLS.load(Ordering::SeqCst), host_calls());
    for n in 1..=100 {
        raise(SIGTERM);
        assert_eq!(caught_now(), [SIGTERM]);
        assert_eq!(calls(), (n, n, n));
    }
    // The same one again and again does not grow the stack.
    for n in 101..=200 {
        set(SIGTERM, c as *const () as usize, SA_SIGINFO);
        signal::rearm(SIGTERM, Chain::Always).unwrap();
        raise(SIGTERM);
        assert_eq!(calls(), (n, n, n));
    }
    // More chainers than the stack has room for.
    for _ in 0..20 {
        for handler in [b as Handler, c, h1, h2, h3] {
            set(SIGTERM, handler as usize, SA_SIGINFO);
            signal::rearm(SIGTERM, Chain::Always).unwrap();
            raise(SIGTERM);
        }
    }
    caught_now();
    assert!(host_calls() > 0);
    // The host takes its handler away: nothing of what was below comes back (B14, C24).
    set(SIGTERM, libc::SIG_DFL, 0);
    signal::rearm(SIGTERM, Chain::Always).unwrap();
    let before = calls();
    raise(SIGTERM);
    assert_eq!((caught_now(), calls()), (vec![SIGTERM], before));
}

extern "C" fn h1(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
extern "C" fn h2(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    std::hint::black_box(2);
}
extern "C" fn h3(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    std::hint::black_box(3);
}

#[test]
fn a_loop_of_chainers_does_not_overflow() {
    start("loop_").ends_well();
    start("loop_plain").ends_well();
    start("deep").ends_well();
}

static NESTED_HUPS: AtomicU32 = AtomicU32::new(0);

/// A chained handler during which another managed signal arrives, which has a handler too.
extern "C" fn interrupted(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    raise(SIGHUP);
}

extern "C" fn on_hup(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    NESTED_HUPS.fetch_add(1, Ordering::SeqCst);
}

/// With SA_NODEFER: delivered again while it runs.
extern "C" fn again_and_again(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if B_CALLS.fetch_add(1, Ordering::SeqCst) < 3 {
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        unsafe { libc::sigaddset(&mut set, SIGUSR1) };
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()) };
        raise(SIGUSR1);
    }
}

fn nested() {
    set(SIGTERM, interrupted as *const () as usize, SA_SIGINFO);
    set(SIGHUP, on_hup as *const () as usize, SA_SIGINFO);
    set(SIGUSR1, again_and_again as *const () as usize, SA_SIGINFO | SA_NODEFER);
    arm(&[SIGTERM, SIGHUP, SIGUSR1], Chain::Always);
    for n in 1..=20 {
        raise(SIGTERM);
        assert_eq!((caught_now(), NESTED_HUPS.load(Ordering::SeqCst)), (vec![SIGTERM, SIGHUP], n));
    }
    raise(SIGUSR1);
    assert_eq!(caught_now(), [SIGUSR1; 4]);
    assert_eq!(B_CALLS.load(Ordering::SeqCst), 4);
}

#[test]
fn a_signal_during_a_chained_handler_is_chained_as_well() {
    start("nested").ends_well();
}

#[repr(C, align(16))]
struct JumpBuffer([u64; 40]);
unsafe extern "C" {
    #[link_name = "__sigsetjmp"]
    fn sigsetjmp(buffer: *mut JumpBuffer, save: i32) -> i32;
    fn siglongjmp(buffer: *mut JumpBuffer, value: i32) -> !;
}
static mut BUFFER: JumpBuffer = JumpBuffer([0; 40]);

extern "C" fn jump(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    HOST_JUMPS.fetch_add(1, Ordering::SeqCst);
    unsafe { siglongjmp(&raw mut BUFFER, 1) }
}
static HOST_JUMPS: AtomicU32 = AtomicU32::new(0);
static ROUND: AtomicU32 = AtomicU32::new(0);

/// A host that leaves its handler by longjmp, as interpreters do; at changing stack depths.
#[inline(never)]
fn jump_from(depth: u32) {
    let pad = [depth as u8; 512];
    std::hint::black_box(&pad);
    if depth > 0 { jump_from(depth - 1) } else { raise(SIGINT) }
}

fn jumps() {
    set(SIGINT, jump as *const () as usize, SA_SIGINFO);
    arm(&[SIGINT], Chain::Always);
    unsafe { sigsetjmp(&raw mut BUFFER, 1) };
    let round = ROUND.fetch_add(1, Ordering::SeqCst);
    if round < 60 {
        // Deeper, then shallower: what the guard remembers of an abandoned call must not count against the next ones.
        if round % 3 == 2 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        jump_from(round % 3);
    }
    assert_eq!(caught_now().len(), 60);
    assert_eq!(HOST_JUMPS.load(Ordering::SeqCst), 60, "the host's handler ran every time");
}

#[test]
fn a_handler_that_jumps_away_is_chained_next_time() {
    start("jumps").ends_well();
}

fn repair() {
    arm(&[SIGTERM, SIGHUP], Chain::Always);
    assert!(handler_now(SIGTERM).unwrap().ours && signal::look(true).is_empty());
    let exe = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    for n in 1..=5 {
        set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
        let found = signal::look(false);
        assert_eq!((found.len(), found[0].signo, found[0].repaired), (1, SIGTERM, false));
        let found = signal::look(true);
        assert_eq!(found[0].repaired, n <= MAX_REPAIRS, "{n}");
        assert_eq!(found[0].by.as_deref(), Some(exe.as_str()));
        assert_eq!(signal::repairs(SIGTERM), n.min(MAX_REPAIRS));
        assert_eq!(handler_now(SIGTERM).unwrap().ours, n <= MAX_REPAIRS);
        let before = host_calls();
        raise(SIGTERM);
        assert_eq!(host_calls(), before + 1, "the host's handler runs in any case");
        assert_eq!(caught_now().len(), usize::from(n <= MAX_REPAIRS));
    }
    // A shim's knowledge is not counted.
    for _ in 0..10 {
        set(SIGTERM, libc::SIG_DFL, 0);
        signal::rearm(SIGTERM, Chain::Always).unwrap();
    }
    assert_eq!((signal::repairs(SIGTERM), handler_now(SIGTERM).unwrap().ours), (MAX_REPAIRS, true));
    // By a library, by SIG_DFL, and by code that lies in no object.
    set(SIGHUP, libc::SIG_IGN, 0);
    assert_eq!(signal::look(true)[0].by.as_deref(), Some("SIG_IGN"));
    set(SIGHUP, libc::SIG_DFL, 0);
    assert_eq!(signal::look(true)[0].by.as_deref(), Some("SIG_DFL"));
    set(SIGHUP, libc::abs as *const () as usize, 0);
    let by = signal::look(false)[0].by.clone().unwrap();
    assert!(by.contains("libc"), "{by}");
    let page =
        unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    set(SIGHUP, page as usize, 0);
    assert_eq!(signal::look(true)[0].by, None);
    assert_eq!(signal::repairs(SIGHUP), 2, "the ignored HUP was left alone");
}

#[test]
fn a_replacement_is_noticed_repaired_and_attributed() {
    start("repair").ends_well();
}

fn disarm() {
    set(SIGINT, host_handler as *const () as usize, SA_SIGINFO | SA_RESTART);
    let before = raw(SIGINT);
    arm(&[SIGTERM, SIGINT, SIGHUP], Chain::Never);
    set(SIGHUP, host_handler as *const () as usize, SA_SIGINFO);
    let mut done = signal::disarm();
    done.sort_by_key(|d| match d {
        Disarmed::Restored(s) | Disarmed::LeftForeign(s) => *s,
    });
    assert_eq!(done, [Disarmed::LeftForeign(SIGHUP), Disarmed::Restored(SIGINT), Disarmed::Restored(SIGTERM)]);
    assert_eq!(raw(SIGINT), before, "flags and mask too");
    assert_eq!(raw(SIGTERM).handler, libc::SIG_DFL);
    assert_eq!(raw(SIGHUP).handler, host_handler as *const () as usize);
    assert!(!signal::armed(SIGTERM) && signal::disarm().is_empty());
    raise(SIGINT);
    raise(SIGHUP);
    assert_eq!((host_calls(), caught_now()), (2, vec![]));
}

fn again() {
    // Armed, given back, armed: the second time over what is there then.
    arm(&[SIGTERM], Chain::Always);
    signal::disarm();
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    raise(SIGTERM);
    assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], 1));
    // A chainer on top at disarm keeps our address. Calling it then behaves as though we had never been there.
    over_ours(b);
    assert_eq!(signal::disarm(), [Disarmed::LeftForeign(SIGTERM)]);
    raise(SIGTERM);
    assert_eq!((caught_now(), B_CALLS.load(Ordering::SeqCst), host_calls()), (vec![], 1, 2), "B and what was below");
    arm(&[SIGTERM], Chain::Always);
    raise(SIGTERM);
    assert_eq!((caught_now(), B_CALLS.load(Ordering::SeqCst)), (vec![SIGTERM], 2));
    // A second arm of the same signal changes the policy only.
    arm(&[SIGTERM], Chain::Never);
    raise(SIGTERM);
    assert_eq!((caught_now(), B_CALLS.load(Ordering::SeqCst)), (vec![SIGTERM], 2));
}

#[test]
fn disarm_restores_or_leaves() {
    start("disarm").ends_well();
    start("again").ends_well();
}

/// A plugin's handler that only returns, in memory that goes with the plugin.
struct Plugin(*mut libc::c_void);

impl Plugin {
    fn load() -> Plugin {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        let code: &[u8] = if cfg!(target_arch = "x86_64") { &[0xc3] } else { &[0xc0, 0x03, 0x5f, 0xd6] };
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), page.cast(), code.len()) };
        Plugin(page)
    }

    /// Takes TERM; gives what it saved.
    fn on(&self) -> libc::sigaction {
        let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
        new.sa_sigaction = self.0 as usize;
        let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
        assert_eq!(unsafe { libc::sigaction(SIGTERM, &new, &mut old) }, 0);
        old
    }

    fn unload(self) {
        assert_eq!(unsafe { libc::munmap(self.0, 4096) }, 0);
    }
}

fn put_back(old: &libc::sigaction) {
    assert_eq!(unsafe { libc::sigaction(SIGTERM, old, std::ptr::null_mut()) }, 0);
}

fn takes_itself_out() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO | SA_RESTART);
    let hosts = raw(SIGTERM);
    arm(&[SIGTERM], Chain::UnlessItExits);
    for n in 0..5 {
        let plugin = Plugin::load();
        let saved = plugin.on();
        let repaired = signal::look(true)[0].repaired;
        assert_eq!(repaired, n < MAX_REPAIRS);
        if repaired {
            assert_eq!(called_after_ours(SIGTERM), Some(plugin.0 as usize));
            raise(SIGTERM);
            assert_eq!(caught_now(), [SIGTERM]);
        }
        put_back(&saved);
        plugin.unload();
        // Before a look, here and in a child that is not armed; and after one.
        let before = host_calls();
        raise(SIGTERM);
        assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], before + 1), "{n}");
        let in_child = || {
            raise(SIGTERM);
            i32::from(host_calls() != before + 2)
        };
        assert_eq!(exited(forked(in_child)), Some(0));
        assert_eq!(called_after_ours(SIGTERM), Some(hosts.handler));
        assert!(signal::look(true).is_empty());
        raise(SIGTERM);
        assert_eq!((caught_now(), host_calls()), (vec![SIGTERM], before + 2), "{n}");
    }
    assert_eq!(signal::disarm(), [Disarmed::Restored(SIGTERM)]);
    assert_eq!(raw(SIGTERM), hosts);
}

fn nothing_below() {
    arm(&[SIGTERM], Chain::UnlessItExits);
    let plugin = Plugin::load();
    let saved = plugin.on();
    assert!(another_hears(SIGTERM) && signal::look(true)[0].repaired);
    raise(SIGTERM);
    assert!(another_hears(SIGTERM), "called after ours");
    put_back(&saved);
    plugin.unload();
    assert!(!another_hears(SIGTERM), "before a look");
    raise(SIGTERM);
    assert!(signal::look(true).is_empty() && !another_hears(SIGTERM));
    raise(SIGTERM);
    assert_eq!(caught_now(), [SIGTERM; 3]);
    assert_eq!(signal::disarm(), [Disarmed::Restored(SIGTERM)]);
    assert_eq!(raw(SIGTERM).handler, libc::SIG_DFL);
}

fn two_plugins() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    over_ours(b);
    assert!(signal::look(true)[0].repaired);
    C_SAVED.store(set(SIGTERM, c as *const () as usize, SA_SIGINFO), Ordering::SeqCst);
    assert!(signal::look(true)[0].repaired);
    let calls = || (C_CALLS.load(Ordering::SeqCst), B_CALLS.load(Ordering::SeqCst), host_calls());
    raise(SIGTERM);
    assert_eq!((calls(), caught_now()), ((1, 1, 1), vec![SIGTERM]));
    // The later one goes: the earlier one is still called, and what it leads back to.
    set(SIGTERM, C_SAVED.load(Ordering::SeqCst), SA_SIGINFO);
    for n in 2..=3 {
        raise(SIGTERM);
        assert_eq!((calls(), caught_now()), ((1, n, n), vec![SIGTERM]));
        assert!(signal::look(true).is_empty());
    }
    // The earlier one goes, and before a look the later one comes again: what that one replaced no longer has the earlier one.
    set(SIGTERM, B_SAVED.load(Ordering::SeqCst), SA_SIGINFO);
    C_SAVED.store(set(SIGTERM, c as *const () as usize, SA_SIGINFO), Ordering::SeqCst);
    raise(SIGTERM);
    assert_eq!((calls(), caught_now()), ((2, 3, 4), vec![SIGTERM]));
    assert!(signal::look(true)[0].repaired);
    raise(SIGTERM);
    assert_eq!((calls(), caught_now()), ((3, 3, 5), vec![SIGTERM]));
}

/// A binding's shim is told of every change: more of them than there are entries.
fn for_ever() {
    set(SIGTERM, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGTERM], Chain::Always);
    for n in 1..=100 {
        let plugin = Plugin::load();
        let saved = plugin.on();
        signal::rearm(SIGTERM, Chain::Always).unwrap();
        raise(SIGTERM);
        put_back(&saved);
        plugin.unload();
        raise(SIGTERM);
        assert_eq!((caught_now(), host_calls()), (vec![SIGTERM; 2], n));
    }
}

#[test]
fn a_handler_that_puts_ours_back_is_called_no_more() {
    start("takes_itself_out").ends_well();
    start("nothing_below").ends_well();
    start("two_plugins").ends_well();
    start("for_ever").ends_well();
}

fn ignores() {
    set(SIGQUIT, host_handler as *const () as usize, SA_SIGINFO);
    arm(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM], Chain::Always);
    for signo in [SIGHUP, SIGINT, SIGQUIT] {
        let ours = set(signo, libc::SIG_IGN, 0);
        for _ in 0..5 {
            let found = signal::look(true);
            assert_eq!((found.len(), found[0].signo, found[0].repaired, found[0].ignored), (1, signo, false, true));
        }
        raise(signo);
        assert_eq!((caught_now(), raw(signo).handler), (vec![], libc::SIG_IGN));
        set(signo, ours, SA_SIGINFO);
        raise(signo);
        assert_eq!((caught_now(), signal::repairs(signo)), (vec![signo], 0));
        assert!(signal::look(true).is_empty());
    }
    assert_eq!(host_calls(), 1, "QUIT's, when ours was back");
    set(SIGINT, libc::SIG_IGN, 0);
    let _ = signal::look(true);
    set(SIGINT, host_handler as *const () as usize, SA_SIGINFO);
    let found = signal::look(true);
    assert!(found[0].repaired && !found[0].ignored);
    raise(SIGINT);
    assert_eq!((caught_now(), host_calls()), (vec![SIGINT], 2));
    set(SIGTERM, libc::SIG_IGN, 0);
    let found = signal::look(true);
    assert!(found[0].repaired && !found[0].ignored, "TERM is what a supervisor ends the program with");
    set(SIGHUP, libc::SIG_IGN, 0);
    let done = signal::disarm();
    assert!(done.contains(&Disarmed::LeftForeign(SIGHUP)) && raw(SIGHUP).handler == libc::SIG_IGN, "{done:?}");
}

#[test]
fn what_the_program_ignores_is_left_so() {
    start("ignores").ends_well();
}
