//! Runs the tests written in C (tests/c) on child processes: `cargo test -p graceshut-c --test c_tests [-- WORD…]`.
//!
//! A child prints `ready`; the runner then signals it, reads what it says, its exit status and its report. Nothing sleeps as a
//! handshake, every wait is bounded. The programs are built against the header and the library just built: shared, static,
//! and with AddressSanitizer on the C side; the main ones run under valgrind too. A tool that is missing is a failure with
//! `CI=true`, else a skipped test that says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod exits;
mod hooks;
mod installed;
mod kit;
mod others;
mod symbols;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kit::{How, Kit};

type Run = Box<dyn Fn(&Kit) + Send + Sync>;

/// One test: its name, where it runs, what it does.
pub struct Test {
    name: String,
    everywhere: bool,
    never: Option<How>,
    run: Run,
}

impl Test {
    /// With the shared library only.
    pub fn new(name: impl Into<String>, run: impl Fn(&Kit) + Send + Sync + 'static) -> Test {
        Test { name: name.into(), everywhere: false, never: None, run: Box::new(run) }
    }

    /// A main one: also static, with AddressSanitizer and under valgrind.
    pub fn everywhere(mut self) -> Test {
        self.everywhere = true;
        self
    }

    /// Not this way, for a reason said beside the test.
    pub fn never(mut self, how: How) -> Test {
        self.never = Some(how);
        self
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let kits: Vec<(Kit, bool)> =
        [How::Shared, How::Static, How::Asan, How::Valgrind].into_iter().map(|h| (Kit::new(h), h == How::Shared)).collect();
    let tests: Vec<Test> =
        [hooks::tests(), exits::tests(), others::tests(), symbols::tests(), installed::tests()].into_iter().flatten().collect();
    let mut jobs: Vec<(String, &Test, &Kit)> = Vec::new();
    for (kit, all) in &kits {
        for test in tests.iter().filter(|t| (*all || t.everywhere) && t.never != Some(kit.how)) {
            let name = format!("{}::{}", kit.how.word(), test.name);
            if words.is_empty() || words.iter().any(|w| name.contains(w.as_str())) {
                jobs.push((name, test, kit));
            }
        }
    }
    std::panic::set_hook(Box::new(|_| {})); // failures are told below, in one piece
    let (next, failed, skipped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let out = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((name, test, kit)) = jobs.get(next.fetch_add(1, SeqCst)) {
                    let result = kit
                        .missing()
                        .map_or_else(|| catch_unwind(AssertUnwindSafe(|| (test.run)(kit))).map(|()| None), |m| Ok(Some(m)));
                    let _one_at_a_time = out.lock();
                    match result {
                        Ok(None) => println!("ok      {name}"),
                        Ok(Some(missing)) if std::env::var_os("CI").is_none() => {
                            skipped.fetch_add(1, SeqCst);
                            println!("skipped {name}: {missing}");
                        }
                        Ok(Some(missing)) => {
                            failed.fetch_add(1, SeqCst);
                            println!("FAILED  {name}: {missing}");
                        }
                        Err(panic) => {
                            failed.fetch_add(1, SeqCst);
                            let words = panic.downcast_ref::<String>().map(String::as_str);
                            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
                            println!("FAILED  {name}\n        {}", words.replace('\n', "\n        "));
                        }
                    }
                }
            });
        }
    });
    let (failed, skipped) = (failed.into_inner(), skipped.into_inner());
    let passed = jobs.len() - failed - skipped;
    let note = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    println!("{passed} passed, {failed} failed{note}");
    std::process::exit(i32::from(failed > 0 || jobs.is_empty()));
}
