//! Registration with bytes that nobody meant: no panic, no hang, no memory beyond a limit; what is let in runs in its box.
//! Bounded here; `make fuzz` sets GS_FUZZ_SECONDS and a seed of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Stage, wat};
use graceshut_wasm::Wasm;

const TRIES: u32 = 1500;
/// One registration, without the time in which the machine ran something else.
const LIMIT: Duration = Duration::from_secs(10);
/// Most resident memory of the whole test, compiling included.
const MEMORY_KB: u64 = 700 << 10;
/// Hooks of one shutdown.
const BATCH: u32 = 100;

/// xorshift64*: the same seed, the same test.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        r#"(module (memory (export "memory") 1) (func (export "run") (param i32) (result i32) (i32.const 0)))"#,
        r#"(module (import "graceshut_v1" "log" (func $log (param i32 i32 i32))) (memory (export "memory") 1 4)
            (data (i32.const 8) "hello") (table 4 funcref) (elem (i32.const 0) $f)
            (func $f (result i32) (local i64 f64) (call $log (i32.const 2) (i32.const 8) (i32.const 5))
              (memory.grow (i32.const 3)) (i32.load8_u (i32.const 9)) (i32.add))
            (func (export "run") (param i32) (result i32) (block $out (loop $again
              (br_if $out (i32.gt_u (call_indirect (result i32) (i32.const 0)) (i32.const 900))) (br $again))) (i32.const 0)))"#,
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 2)
            (global $g (mut i32) (i32.const 3)) (start $init) (func $init (global.set $g (i32.const 0)))
            (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
              (call $exit (global.get $g))))"#,
        r#"(module (import "graceshut_v1" "state_put" (func $put (param i32 i32 i32 i32) (result i32)))
            (import "graceshut_v1" "context_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (func (export "graceshut_abi") (result i32) (i32.const 1))
            (func (export "run") (param i32) (result i32)
              (memory.fill (i32.const 0) (local.get 0) (i32.const 4096)) (memory.copy (i32.const 9) (i32.const 4) (i32.const 99))
              (call $put (i32.const 0) (i32.const 4) (i32.const 4) (i32.const 64))))"#,
        r#"(component
            (import "graceshut:hook/host@0.1.0" (instance $host
              (type $r' (enum "signal" "stop" "host-end" "uncaught" "prestop" "parent-death" "stdin-eof"))
              (export "reason-kind" (type (eq $r')))
              (export "set-error" (func (param "text" string)))
              (export "state-put" (func (param "key" string) (param "value" (list u8)) (result (result (error string)))))))
            (alias export $host "reason-kind" (type $r'))
            (import "reason-kind" (type $r (eq $r')))
            (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
            (core module $Libc (memory (export "memory") 1 3) (global $top (mut i32) (i32.const 2048))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $top) (global.set $top (i32.add (global.get $top) (local.get 3)))))
            (core instance $libc (instantiate $Libc))
            (alias core export $libc "memory" (core memory $memory))
            (core func $error (canon lower (func $host "set-error") (memory $memory)))
            (core func $put (canon lower (func $host "state-put") (memory $memory) (realloc (core func $libc "realloc"))))
            (core func $random (canon lower (func $random "get-random-u64")))
            (core module $Main (import "host" "error" (func $error (param i32 i32))) (import "libc" "memory" (memory 1))
              (import "host" "put" (func $put (param i32 i32 i32 i32 i32))) (import "host" "random" (func $random (result i64)))
              (data (i32.const 64) "words")
              (func (export "run") (param i32) (result i32)
                (call $error (i32.const 64) (i32.const 5)) (drop (memory.grow (i32.const 1)))
                (call $put (i32.const 64) (i32.const 2) (i32.const 66) (i32.const 9) (i32.const 128))
                (loop (br_if 0 (i64.eqz (i64.and (call $random) (i64.const 3)))))
                (i32.load8_u (i32.const 128)) (i32.const 16) (i32.add)))
            (core instance $main (instantiate $Main (with "libc" (instance $libc)) (with "host" (instance
              (export "error" (func $error)) (export "put" (func $put)) (export "random" (func $random))))))
            (func (export "run") (param "reason" $r) (result (result (error string)))
              (canon lift (core func $main "run") (memory $memory))))"#,
        r#"(component
            (import "graceshut:hook/host@0.1.0" (instance $host
              (type $r' (enum "signal" "stop" "host-end" "uncaught" "prestop" "parent-death" "stdin-eof"))
              (export "reason-kind" (type (eq $r')))))
            (alias export $host "reason-kind" (type $r))
            (component $C (core module $M (memory (export "memory") 1) (func (export "run") (result i32) (i32.const 8)))
              (core instance $m (instantiate $M))
              (func (export "run") (result string) (canon lift (core func $m "run") (memory (core memory $m "memory")))))
            (instance $c (instantiate $C))
            (core module $Main (memory (export "memory") 1) (func (export "run") (param i32) (result i32) (i32.const 16)))
            (core instance $main (instantiate $Main))
            (func $run (param "reason" $r) (result (result (error string)))
              (canon lift (core func $main "run") (memory (core memory $main "memory"))))
            (export "run" (func $run)))"#,
    ]
    .iter()
    .map(|text| wat(text))
    .collect()
}

fn mutated(r: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[r.below(seeds.len())].clone();
    match r.below(10) {
        0 => return (0..r.below(2000)).map(|_| r.next() as u8).collect(),
        1 => {
            bytes.truncate(8);
            bytes.extend((0..r.below(2000)).map(|_| r.next() as u8));
            return bytes;
        }
        2 => bytes.truncate(r.below(bytes.len())),
        3 => {
            // A piece of another module in the middle of this one.
            let other = &seeds[r.below(seeds.len())];
            let (from, at) = (r.below(other.len()), r.below(bytes.len()));
            bytes.splice(at..at, other[from..].iter().copied());
        }
        _ => {}
    }
    for _ in 0..1 + r.below(3) {
        if bytes.len() > 9 {
            let at = 8 + r.below(bytes.len() - 8);
            match r.below(4) {
                0 => bytes[at] = r.next() as u8,
                1 => bytes[at] = bytes[at].wrapping_add(1),
                2 => bytes[at] ^= 1 << r.below(8),
                _ => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][r.below(5)],
            }
        }
    }
    bytes
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How long this thread was ready to run and another one ran: `make fuzz` may be the last in the queue for minutes.
fn queued() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

#[test]
fn arbitrary_bytes_are_refused_or_run_in_their_box() {
    let env = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let until = env("GS_FUZZ_SECONDS").map(|s| Instant::now() + Duration::from_secs(s));
    let seed = env("GS_FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15);
    let (mut r, seeds) = (Random(seed | 1), seeds());
    let (mut tries, mut let_in, mut ended) = (0_u32, 0_u32, 0_usize);
    // Each of them is a hook as it is: what is tried is near to what works.
    for seed in &seeds {
        graceshut_wasm::shape(seed).unwrap();
    }
    let on = |tries: u32| until.map_or(tries < TRIES, |t| Instant::now() < t);
    while on(tries) {
        let stage = Stage::new();
        let mut here = 0;
        for _ in 0..BATCH {
            if !on(tries) {
                break;
            }
            tries += 1;
            let bytes = mutated(&mut r, &seeds);
            let (waited, began) = (queued(), Instant::now());
            let hook = stage.gs.hook("flush", "guest").timeout(Duration::from_millis(300)).optional(true);
            let answer = Wasm::bytes(bytes).memory(1 << 20).random().register(hook);
            let (took, waited) = (began.elapsed(), queued().saturating_sub(waited));
            assert!(took.saturating_sub(waited) < LIMIT, "seed {seed}, try {tries}: {took:?}, {waited:?} of it in the queue");
            match answer {
                Ok(_) => here += 1,
                Err(e) => assert!(e.message().starts_with("wasm hook \"guest\": "), "seed {seed}, try {tries}: {e}"),
            }
        }
        let_in += here;
        ended += stage.stop().len();
    }
    println!("{tries} tries, {let_in} let in, {ended} ran, peak {} KiB", peak_kb());
    assert_eq!(let_in as usize, ended, "seed {seed}: every hook that was let in has an outcome");
    assert!(let_in > 0 && let_in < tries, "seed {seed}: both ways were taken");
    assert!(peak_kb() < MEMORY_KB, "seed {seed}: {} KiB", peak_kb());
}
