//! Registering a hook: `runtime.hook("flush", "bulk").timeout(…).run(|ctx| …)`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Body, Completion, Context, HookResult};
use crate::config::{DeclKind, ExecSpec, HookDecl, HttpSpec, SignalSpec};
use crate::engine::{HookId, Kind, Lane, Removal};
use crate::error::{Error, ErrorKind};
use crate::inflight::InFlight;
use crate::runtime::Shared;

/// A future as an executor takes it.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The longest timeout; more is a mistake in the unit.
const TIMEOUT_LIMIT: Duration = Duration::from_secs(366 * 86_400);

/// A hook about to be registered. Nothing is registered until one of the last methods is called.
#[must_use = "a hook is registered by run, start, future, exec, http, delay, inflight or signal"]
pub struct HookBuilder {
    shared: Arc<Shared>,
    phase: String,
    name: String,
    timeout: Option<Duration>,
    after: Vec<String>,
    optional: bool,
    lane: Lane,
}

/// A registered hook.
#[derive(Clone)]
pub struct HookHandle {
    shared: Arc<Shared>,
    id: HookId,
}

impl std::fmt::Debug for HookHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HookHandle({})", self.id.0)
    }
}

impl HookHandle {
    /// Takes the hook out: `Removed`, or `Running` / `Done` when it is too late (spec 8.1). Any thread; never blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after uninstall and in a forked child.
    pub fn remove(&self) -> Result<Removal, Error> {
        self.shared.remove(self.id)
    }

    /// The hook's number, unique within one install.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id.0
    }
}

impl HookBuilder {
    pub(crate) fn new(shared: Arc<Shared>, phase: &str, name: &str) -> HookBuilder {
        HookBuilder {
            shared,
            phase: phase.to_owned(),
            name: name.to_owned(),
            timeout: None,
            after: Vec::new(),
            optional: false,
            lane: Lane::Native,
        }
    }

    /// The hook's own limit, above zero; it never gets more than its phase has left.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Runs after all hooks of that name in the same phase, whatever their outcome (spec 4.4).
    pub fn after(mut self, name: &str) -> Self {
        self.after.push(name.to_owned());
        self
    }

    /// Keeps the hook's outcome out of the result (spec 6.2).
    pub fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// For bindings: the body has to enter a host first and calls [`Context::begin`] when it has.
    pub fn host_lane(mut self) -> Self {
        self.lane = Lane::Host;
        self
    }

    /// The name given to [`Runtime::hook`](crate::Runtime::hook).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        if self.lane == Lane::Host { Kind::HOST } else { Kind::NATIVE }
    }

    fn add(self, kind: Kind, body: Body) -> Result<HookHandle, Error> {
        if self.name.is_empty() || self.name.len() > 256 {
            return Err(Error::new(ErrorKind::BadValue, "a hook needs a name of 1 to 256 bytes: it is what the report says"));
        }
        if self.timeout.is_some_and(|t| t.is_zero() || t > TIMEOUT_LIMIT) {
            let message = format!("hook \"{}\": its timeout has to be above zero and at most a year", self.name);
            return Err(Error::new(ErrorKind::BadTime, message));
        }
        let HookBuilder { shared, phase, name, timeout, after, optional, .. } = self;
        let id = Shared::register(&shared, &phase, &name, timeout, after, optional, kind, body)?;
        Ok(HookHandle { shared, id })
    }

    /// A function that returns when it is done. Runs on a worker thread of graceshut with 2 MiB of stack, may block; a panic is its
    /// outcome.
    ///
    /// # Errors
    /// `UnknownPhase`, `TooLate`, `Cycle`, `BadTime`, `BadValue`, `Closed`. The same for every registering method.
    pub fn run(self, f: impl FnOnce(&Context) -> HookResult + Send + 'static) -> Result<HookHandle, Error> {
        let kind = self.kind();
        self.add(kind, Body::Run(Box::new(f)))
    }

    /// A function that begins the work and completes it later, from any thread.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run).
    pub fn start(self, f: impl FnOnce(Context, Completion) + Send + 'static) -> Result<HookHandle, Error> {
        let kind = self.kind();
        self.add(kind, Body::Start(Box::new(f)))
    }

    /// As [`start`](HookBuilder::start), for a hook that stops a program and can end it for real: `f` gives what does so, and must
    /// not block, to [`Context::on_kill`].
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run).
    pub fn process(self, f: impl FnOnce(Context, Completion) + Send + 'static) -> Result<HookHandle, Error> {
        self.add(Kind::PROCESS, Body::Start(Box::new(f)))
    }

    /// A future, given to the executor `spawn` belongs to: `.future(move |f| { handle.spawn(f); }, |ctx| async { … })`.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run).
    pub fn future<F>(
        self,
        spawn: impl FnOnce(BoxFuture) + Send + 'static,
        f: impl FnOnce(Context) -> F + Send + 'static,
    ) -> Result<HookHandle, Error>
    where
        F: Future<Output = HookResult> + Send + 'static,
    {
        self.start(move |context, completion| {
            let work = f(context);
            spawn(Box::pin(async move {
                completion.finish(work.await);
            }));
        })
    }

    /// A command: TERM to its process group at the soft deadline, KILL at the hard one.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run); `BadValue` for an empty command.
    pub fn exec(self, spec: ExecSpec) -> Result<HookHandle, Error> {
        crate::hooks::exec::check(&spec, &self.name)?;
        self.add(Kind::EXEC, Body::Run(Box::new(move |ctx| crate::hooks::exec::run(&spec, ctx))))
    }

    /// One HTTP request, its time limited by the hook's own.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run); `BadValue` for a bad method or URL, `Unsupported` for `https` without the `tls` feature.
    pub fn http(self, spec: HttpSpec) -> Result<HookHandle, Error> {
        crate::hooks::http::check(&spec, &self.name)?;
        self.add(Kind::HTTP, Body::Run(Box::new(move |ctx| crate::hooks::http::run(&spec, ctx))))
    }

    /// A pause; cut short it still ends ok.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run).
    pub fn delay(self, d: Duration) -> Result<HookHandle, Error> {
        self.add(Kind::delay(d), Body::Pause)
    }

    /// Waits until the named group of work in flight is empty.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run); `BadValue` for a group too many.
    pub fn inflight(self, group: &str) -> Result<HookHandle, Error> {
        let group = InFlight::group(group)?;
        self.add(Kind::INFLIGHT, Body::Inflight(Some(group)))
    }

    /// Sends a signal to another process.
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run); `BadValue` when neither pid nor pidfile is given.
    pub fn signal(self, spec: SignalSpec) -> Result<HookHandle, Error> {
        crate::hooks::signal::check(&spec, &self.name)?;
        self.add(Kind::SIGNAL, Body::Run(Box::new(move |ctx| crate::hooks::signal::run(&spec, ctx))))
    }

    /// WebAssembly, as the `wasm` key of a declaration has it: a path, or a table of path and grants (`docs/wasm-hooks.md`).
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run); `Unsupported` where no [`WasmProvider`](crate::WasmProvider) is there, and what it refuses.
    pub fn wasm(self, spec: &serde_json::Value) -> Result<HookHandle, Error> {
        let body = crate::hooks::wasm::prepare(&self.name, spec)?;
        self.add(Kind::WASM, Body::Run(body))
    }

    /// For the crate that runs WebAssembly: `body` waits for its code, calls [`Context::begin`] and ends when that says no,
    /// and is stopped for real by what it gives to [`Context::on_kill`].
    ///
    /// # Errors
    /// As [`run`](HookBuilder::run).
    pub fn wasm_body(self, body: impl FnOnce(&Context) -> HookResult + Send + 'static) -> Result<HookHandle, Error> {
        self.add(Kind::WASM, Body::Run(Box::new(body)))
    }

    pub(crate) fn announce(self) -> Result<HookHandle, Error> {
        self.add(Kind::ANNOUNCE, Body::Pause)
    }

    pub(crate) fn all_in_flight(self) -> Result<HookHandle, Error> {
        self.add(Kind::INFLIGHT, Body::Inflight(None))
    }

    /// Registers what the configuration declares.
    pub(crate) fn declared(shared: &Arc<Shared>, decl: &HookDecl) -> Result<HookHandle, Error> {
        let mut builder = HookBuilder::new(Arc::clone(shared), &decl.phase, decl.name_or_kind()).optional(decl.optional);
        builder.timeout = decl.timeout;
        builder.after.clone_from(&decl.after);
        match &decl.kind {
            DeclKind::Exec(spec) => builder.exec(spec.clone()),
            DeclKind::Http(spec) => builder.http(spec.clone()),
            DeclKind::Delay(d) => builder.delay(*d),
            DeclKind::Inflight(group) => builder.inflight(group),
            DeclKind::Signal(spec) => builder.signal(spec.clone()),
            DeclKind::Wasm(spec) => builder.wasm(spec),
        }
    }
}
