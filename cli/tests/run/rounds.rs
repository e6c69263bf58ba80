//! Random rounds: programs that leave, hang, fork and die, stopped and killed at any moment, leave no orphan, no zombie, and
//! nobody waiting past the grace. 1,000 in `make test-run-long`, fewer in `make test`.

use std::time::{Duration, Instant};

use crate::early::count;
use crate::harness::*;

crate::suite!("rounds":
    random_rounds_leave_nothing_behind,
);

struct Dice(u64);

impl Dice {
    fn of(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.of(all.len() as u64) as usize]
    }
}

fn random_rounds_leave_nothing_behind() {
    let rounds = count("GS_ROUNDS", 60);
    let seed = std::env::var("GS_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1);
    println!("random rounds: GS_SEED={seed}");
    let mut dice = Dice(seed);
    let root = unsafe { libc::geteuid() } == 0;
    for n in 0..rounds {
        round(n, &mut dice, root);
    }
}

fn round(n: u32, dice: &mut Dice, root: bool) {
    let mark = format!("round-{}-{n}", std::process::id());
    let kind = dice.one(&["catcher", "stubborn", "tree", "tree", "sleep"]);
    let tree = ["plain", "daemon", "stubborn", "stubborn-daemon"];
    let wanted: Vec<&str> = (0..dice.of(4)).map(|_| tree[dice.of(4) as usize]).collect();
    // Only who adopts orphans can end those that left the group.
    let pid1 = root && dice.of(2) == 0;
    let args = ["--grace", "800ms", "--rest-grace", "200ms", "--subreaper"];
    let cmd = if pid1 { Cmd::pid1(&args) } else { Cmd::run(&args) };
    let cmd = cmd.env("GS_MARK", &mark).env("GS_TREE", wanted.join(",")).env("GS_PAUSE", dice.of(300).to_string());
    let cmd = if kind == "sleep" { cmd.args(&["--", "sleep", "0.2"]) } else { cmd.probe(kind) };
    let mut kid = cmd.start();
    let what = format!("round {n}: {kind} with {wanted:?}, pid1 {pid1}");
    if kind != "sleep" && dice.of(3) > 0 {
        kid.wait_for("ready");
    } else {
        std::thread::sleep(ms(dice.of(20)));
    }
    let child = |pid: i32| -> Option<i32> {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.split_whitespace().next()?.parse().ok()
    };
    // `unshare` passes nothing on: the signal is for who it started.
    let target = if pid1 { child(kid.pid()) } else { Some(kid.pid()) };
    let since = Instant::now();
    let deed = dice.of(4);
    for _ in 0..=dice.of(3) {
        match (deed, target) {
            (0, Some(pid)) if child(pid).is_some() => {
                // The program itself is killed or stopped under the wrapper.
                let signo = [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV][dice.of(3) as usize];
                child(pid).map(|c| unsafe { libc::kill(c, signo) });
            }
            (_, Some(pid)) => {
                let signo = [libc::SIGTERM, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1][dice.of(4) as usize];
                unsafe { libc::kill(pid, signo) };
            }
            _ => {}
        }
        std::thread::sleep(ms(dice.of(30)));
    }
    let until = since + Duration::from_secs(20);
    let mut stop_at = Instant::now();
    while kid.is_alive() {
        // A stop for certain; what was sent before may have been a signal that stops nothing, or come too early for the wrapper.
        if Instant::now() >= stop_at {
            stop_at = Instant::now() + ms(600);
            if let Some(pid) = if pid1 { child(kid.pid()) } else { Some(kid.pid()) } {
                unsafe { libc::kill(pid, libc::SIGTERM) };
            }
        }
        assert!(Instant::now() < until, "{what}: still there; {:?}", kid.said);
        std::thread::sleep(ms(2));
    }
    kid.end_quick();
    let took = since.elapsed();
    assert!(took < Duration::from_secs(10), "{what}: took {took:?}");
    // What was sent KILL has still to be scheduled once.
    let limit = Instant::now() + ms(2_000);
    while !alive_with_mark(&mark).is_empty() {
        assert!(Instant::now() < limit, "{what}: left {:?}", alive_with_mark(&mark));
        std::thread::sleep(ms(5));
    }
}
