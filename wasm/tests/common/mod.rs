//! Plays one hook alone in a shutdown of its own, in this process: manual mode, one at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

pub mod component;

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use graceshut::report::HookInfo;
use graceshut::{Exit, Options, ReportTo, Runtime};
use graceshut_wasm::Wasm;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A runtime that leaves nobody's process.
pub struct Stage {
    pub gs: Runtime,
    log: Arc<Mutex<Vec<String>>>,
    _one: MutexGuard<'static, ()>,
}

/// The cache of this test run: no other run's code, and nothing left in the user's own.
pub fn cache_folder() -> std::path::PathBuf {
    static MADE: Once = Once::new();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wasm-cache-{}", std::process::id()));
    MADE.call_once(|| {
        // SAFETY: called before any other thread of this test reads the environment: every test begins here.
        unsafe { std::env::set_var(graceshut_wasm::CACHE_VARIABLE, &folder) };
    });
    folder
}

/// Calls `f` while no stage is there: what the process is like by itself.
pub fn between_stages<T>(f: impl FnOnce() -> T) -> T {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}

impl Stage {
    pub fn new() -> Stage {
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        cache_folder();
        graceshut_wasm::enable();
        let options = Options {
            exit: Some(Exit::Manual),
            report: Some(ReportTo::None),
            grace: Some(Duration::from_secs(20)),
            ..Options::default()
        };
        let gs = graceshut::install(options).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        gs.on_event(move |e| {
            if e.event == "log" {
                lines.lock().unwrap().push(e.message.clone().unwrap_or_default());
            }
        })
        .unwrap();
        Stage { gs, log, _one: one }
    }

    /// Stops, and answers what the report says of every hook.
    pub fn stop(&self) -> Vec<HookInfo> {
        self.gs.stop("test", None).unwrap();
        let finished = self.gs.wait(Some(Duration::from_secs(30))).unwrap();
        finished.report.phases.iter().flat_map(|p| p.hooks.clone()).filter(|h| h.kind == "wasm").collect()
    }

    /// The log, once `count` lines are there or a second is over.
    pub fn log(&self, count: usize) -> Vec<String> {
        for _ in 0..1000 {
            if self.log.lock().unwrap().len() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.gs.uninstall().unwrap();
    }
}

pub fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A module whose `run` has this body; imports and data before it.
pub fn module(before: &str, body: &str) -> Wasm {
    let text = format!(
        "(module {before} (memory (export \"memory\") 1) (func (export \"run\") (param $reason i32) (result i32) {body}))"
    );
    Wasm::bytes(wat(&text))
}

/// Registers `wasm` in `flush` with this timeout, stops, and answers how it ended and what it logged.
pub fn play(wasm: &Wasm, timeout: Duration) -> (HookInfo, Vec<String>) {
    let stage = Stage::new();
    wasm.register(stage.gs.hook("flush", "guest").timeout(timeout)).unwrap();
    let hooks = stage.stop();
    let lines = stage.log.lock().unwrap().clone();
    (hooks.into_iter().next().unwrap(), lines)
}

/// The message of a refusal at registration.
pub fn refusal(wasm: &Wasm) -> String {
    let stage = Stage::new();
    wasm.register(stage.gs.hook("flush", "guest")).unwrap_err().message().to_owned()
}

pub const SECOND: Duration = Duration::from_secs(1);
