//! A hook from registration to its outcome.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::Read;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use std::task::Poll;
use std::time::Instant;

use futures::FutureExt;
use graceshut::{Context, Error, ErrorKind, HookError, HookResult};
use tokio::sync::Notify;
use wasmtime::{Engine, Module, Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::check::{self, Entry};
use crate::compile::Code;
use crate::guest::Guest;
use crate::http::HttpGrants;
use crate::link::{Ended, Linked};
use crate::spec::{Grants, MODULE_LIMIT, Meter, Source, Wasm};
use crate::{engine, threads};

/// Functions named in a message; the innermost say the most.
const FRAMES: usize = 6;
/// Bytes that a component gives the host in one call, however often it names the same ones.
const CALL_LIMIT: usize = 16 << 20;
/// The error by which a component that was cancelled says that it left for that reason.
const CANCELLED: &str = "cancelled";

/// What is set aside for a run.
pub(crate) struct Prepared {
    code: Arc<Code>,
    grants: Grants,
    http: HttpGrants,
    memory: u64,
    fuel: Option<u64>,
    meter: Option<Arc<Meter>>,
}

/// Reads and checks a module and begins to compile it.
pub(crate) fn prepare(name: &str, wasm: &Wasm) -> Result<impl FnOnce(&Context) -> HookResult + Send + 'static, Error> {
    let prepared = Prepared::new(name, wasm)?;
    Ok(move |context: &Context| prepared.run(context))
}

impl Prepared {
    fn new(name: &str, wasm: &Wasm) -> Result<Prepared, Error> {
        let file = match &wasm.source {
            Source::File(path) => format!(" {}", path.display()),
            Source::Bytes(_) => String::new(),
        };
        let say = |kind, why: String| Error::new(kind, format!("wasm hook \"{name}\"{file}: {why}"));
        let bad = |why| say(ErrorKind::BadValue, why);
        wasm.check().map_err(bad)?;
        let bytes = match &wasm.source {
            Source::Bytes(bytes) => Arc::clone(bytes),
            Source::File(path) => read(path).map_err(|why| say(ErrorKind::Os, why))?.into(),
        };
        let shape = check::shape(&bytes).map_err(bad)?;
        check::granted(&shape, &wasm.grants, wasm.memory).map_err(bad)?;
        let engine = engine::engine(wasm.fuel.is_some()).map_err(|why| say(ErrorKind::Unsupported, why))?;
        if shape.entry != Entry::Component {
            // A component's shape is read from valid ones alone.
            Module::validate(engine, &bytes).map_err(|e| bad(format!("it is not valid: {e:#}")))?;
        }
        let mut grants = wasm.grants.clone();
        for name in std::mem::take(&mut grants.env_of_host) {
            grants.env.extend(std::env::var(&name).ok().map(|value| (name, value)));
        }
        let http: HttpGrants = std::mem::take(&mut grants.http).into();
        let code = Code::begin(engine, bytes, shape)?;
        Ok(Prepared { code, grants, http, memory: wasm.memory, fuel: wasm.fuel, meter: wasm.meter.clone() })
    }

    fn run(self, context: &Context) -> HookResult {
        // `None`: its time passed while it was compiled, and the engine has said so (spec 6.1, `not_compiled`).
        let Some(code) = self.code.wait(context) else { return Ok(()) };
        if !context.begin() {
            return Ok(());
        }
        let began = Instant::now();
        let result = self.run_code(context, &code.map_err(HookError::failed)?);
        if let Some(meter) = &self.meter {
            meter.nanos.store(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
        }
        result
    }

    fn run_code(&self, context: &Context, code: &Linked) -> HookResult {
        let stop = Stop::arm(context, self.code.engine());
        let waits = self.code.shape.waits();
        let guest = Guest::new(context, &self.grants, &self.http, self.memory, waits).map_err(HookError::failed)?;
        let play = self.play(code, guest, &stop);
        if !waits {
            let unready = || Err(HookError::failed("it waits for something, and imports nothing that waits"));
            return pin!(play).now_or_never().unwrap_or_else(unready);
        }
        // One thread, this one. Blocking work of host functions (files, HTTP) has threads that end with it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_start(threads::block_signals)
            .build()
            .map_err(|e| HookError::failed(format!("cannot run: {e}")))?;
        let result = runtime.block_on(play);
        // A file operation or request that hangs is left to its thread.
        runtime.shutdown_background();
        result
    }

    async fn play(&self, code: &Linked, guest: Guest, stop: &Stop) -> HookResult {
        let mut store = Store::new(self.code.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        store.set_hostcall_fuel(CALL_LIMIT);
        let stopped = Arc::clone(&stop.now);
        store.epoch_deadline_callback(move |_| {
            // Another hook's end moves the epoch too.
            Ok(if stopped.load(SeqCst) { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        store.set_epoch_deadline(1);
        if let Some(units) = self.fuel {
            store.set_fuel(units).map_err(|e| HookError::failed(format!("{e:#}")))?;
        }
        // After the deadline was set: a stop from here on moves the epoch past it.
        if stop.now.load(SeqCst) {
            return Err(HookError::Killed("before it began".to_owned()));
        }
        let ended = unless_stopped(stop, code.call(&mut store, &self.code.shape)).await;
        if let Some(meter) = &self.meter {
            meter.memory.store(store.data().limits.used as u64, Relaxed);
            meter.fuel.store(self.fuel.map_or(0, |all| all - store.get_fuel().unwrap_or(all)), Relaxed);
        }
        self.judge(ended, store.data(), stop)
    }

    /// The outcome. `None`: it was stopped while a host function had not returned.
    fn judge(&self, ended: Option<wasmtime::Result<Ended>>, guest: &Guest, stop: &Stop) -> HookResult {
        let Some(ended) = ended else {
            let place = match guest.at {
                Some(f) if f.contains(':') => format!("a function of `{f}`"),
                Some(f) => format!("the host function `{f}`"),
                None => "a host function".to_owned(),
            };
            return Err(HookError::Killed(format!("stopped at its deadline in {place}")));
        };
        let code = match ended {
            Ok(Ended::Status(code)) => code,
            Ok(Ended::Words(Ok(()))) => 0,
            Ok(Ended::Words(Err(word))) if word == CANCELLED && guest.context.cancelled() => return Err(HookError::Cancelled),
            Ok(Ended::Words(Err(words))) => return Err(HookError::failed(guest.words(&words))),
            Err(e) => match e.downcast_ref::<I32Exit>() {
                Some(exit) => exit.0,
                None => return Err(self.trapped(&e, guest, stop)),
            },
        };
        match code {
            0 => Ok(()),
            -1 if guest.context.cancelled() => Err(HookError::Cancelled),
            code => {
                let words = guest.error.clone().or_else(|| guest.trouble.clone());
                Err(HookError::failed(words.map_or_else(|| format!("returned {code}"), |w| format!("returned {code}: {w}"))))
            }
        }
    }

    fn trapped(&self, e: &wasmtime::Error, guest: &Guest, stop: &Stop) -> HookError {
        let place = e.downcast_ref::<WasmBacktrace>().map(place).filter(|p| !p.is_empty());
        let place = place.map_or_else(String::new, |p| format!(" in {p}"));
        let trap = e.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) && stop.now.load(SeqCst) {
            return HookError::Killed(format!(
                "stopped at its deadline{}",
                if place.is_empty() { " in its own code" } else { &place }
            ));
        }
        let what = match trap {
            Some(Trap::OutOfFuel) => format!("used up its fuel of {}", self.fuel.unwrap_or(0)),
            Some(trap) => format!("trap: {}", trap.to_string().trim_start_matches("wasm trap: ")),
            None => e.root_cause().to_string(),
        };
        let limit = match guest.limits.reached {
            Some("memory") => {
                let twice = (self.memory * 2).div_ceil(1 << 20);
                format!("; it had reached its memory limit of {} bytes: grant more with memory = \"{twice}MiB\"", self.memory)
            }
            Some(what) => format!("; it had reached its {what} limit"),
            None => String::new(),
        };
        let words = guest.error.as_ref().map_or_else(String::new, |w| format!(": {w}"));
        HookError::failed(format!("{what}{place}{words}{limit}"))
    }
}

/// The guest's functions, innermost first.
fn place(trace: &WasmBacktrace) -> String {
    let name = |f: &wasmtime::FrameInfo| {
        let known = f.func_name().map(|n| format!("`{n}`"));
        known.unwrap_or_else(|| format!("function {}", f.func_index()))
    };
    let names: Vec<String> = trace.frames().iter().take(FRAMES).map(name).collect();
    names.join(" < ")
}

/// How a run is stopped for real: by the engine's thread, at the hard deadline, without waiting for anything.
struct Stop {
    now: Arc<AtomicBool>,
    bell: Arc<Notify>,
}

impl Stop {
    fn arm(context: &Context, engine: &'static Engine) -> Stop {
        let stop = Stop { now: Arc::default(), bell: Arc::default() };
        let (now, bell) = (Arc::clone(&stop.now), Arc::clone(&stop.bell));
        context.on_kill(move || {
            now.store(true, SeqCst);
            engine.increment_epoch(); // ends guest code
            bell.notify_one(); // ends the wait for a host function
        });
        stop
    }
}

/// What `work` comes to; `None` when it waits for a host function and is stopped. Dropping it unwinds the guest.
async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut bell = pin!(stop.bell.notified());
    poll_fn(|task| match work.as_mut().poll(task) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => bell.as_mut().poll(task).map(|()| None),
    })
    .await
}

/// Reads a regular file of at most the size allowed.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| format!("cannot be read: {e}");
    // Before it is opened: opening a named pipe waits for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("cannot be read: it is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed: the check of the size says the rest.
    File::open(path).map_err(failed)?.take(MODULE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
