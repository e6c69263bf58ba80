//! What `graceshut_install` may be asked for.

use std::ffi::{c_char, c_int};
use std::time::Duration;

use graceshut::config::{NumberUnit, options_from_json};
use graceshut::{Error, ErrorKind, Exit, Options, Repeat};

use crate::host::graceshut_host;
use crate::size::check_size;
use crate::text::optional;

/// Flag: defer action on a trigger until `graceshut_ready`, at most 1 s, for programs that register many hooks. (spec 2.5)
pub const GRACESHUT_HOLD: u32 = 1;
/// Flag: do without the hard end of the process at the deadline. (spec 5.9)
pub const GRACESHUT_NO_WATCHDOG: u32 = 2;
/// Flag: this process accepts connections; on Kubernetes it then serves on for 5 s after readiness turned red. (spec 4.2)
pub const GRACESHUT_SERVING: u32 = 4;
/// Flag: do not wait for work in flight in `drain`. (spec 9.3)
pub const GRACESHUT_NO_INFLIGHT: u32 = 8;

/// Not said here: environment, file, else HOST.
pub const GRACESHUT_EXIT_DEFAULT: c_int = 0;
/// Leave through `exit`, with atexit handlers, destructors and flushed streams. (spec 6.5)
pub const GRACESHUT_EXIT_HOST: c_int = 1;
/// As HOST, but a clean shutdown dies by the signal that started it, as the last act. (spec 6.4)
pub const GRACESHUT_EXIT_RERAISE: c_int = 2;
/// Never leave: `graceshut_wait` returns and the program does what it likes; exit and return from main are no triggers.
pub const GRACESHUT_EXIT_MANUAL: c_int = 3;

/// Not said here: environment, file, else EXPEDITE.
pub const GRACESHUT_REPEAT_DEFAULT: c_int = 0;
/// A second signal cuts the plan to its reserves, a third leaves at once. (spec 7.2)
pub const GRACESHUT_REPEAT_EXPEDITE: c_int = 1;
/// A second signal leaves at once. (spec 7.3)
pub const GRACESHUT_REPEAT_INTERACTIVE: c_int = 2;
/// A repeated TERM is ignored. (spec 7.3)
pub const GRACESHUT_REPEAT_ORCHESTRATED: c_int = 3;

/// Options of `graceshut_install`: begin with `GRACESHUT_OPTIONS_INIT`, which sets `size` and leaves the rest unsaid, then set
/// what you want. Environment (GRACESHUT_*) beats graceshut.toml beats these. (spec 12.1) Everything is copied.
#[repr(C)]
pub struct graceshut_options {
    /// `sizeof(graceshut_options)`: tells the library which header the program was built with.
    pub size: usize,
    /// Microseconds from a signal until something outside kills the process, 200 ms to 366 days; 0: not said, then from the
    /// platform (Kubernetes 30 s, Docker 10 s), else 10 s. (spec 5.2)
    pub grace_us: i64,
    /// `GRACESHUT_HOLD`, `_NO_WATCHDOG`, `_SERVING`, `_NO_INFLIGHT`, or-ed.
    pub flags: u32,
    /// `GRACESHUT_EXIT_*`.
    pub exit: c_int,
    /// `GRACESHUT_REPEAT_*`.
    pub repeat: c_int,
    /// Where the report goes: "stderr" (one line), "stderr:json", "fd:N", "termination-log", "none", or a path (%p: the pid).
    /// Null: not said. (spec 11.1)
    pub report: *const c_char,
    /// Every other option: one JSON object with the keys of graceshut.toml, as in {"phases": {"drain": {"cap": "4s"}}}. Bare
    /// numbers are microseconds. Here belongs {"admin": "127.0.0.1:9901"} (or "unix:/path"; with "admin_token"): /livez, /readyz,
    /// /status and /prestop on a native thread (spec 7.5). The members above win over it. Null: none.
    pub json: *const c_char,
    /// For language bindings, see `graceshut_host`. Null in a C program.
    pub host: *const graceshut_host,
}

/// Reads the struct; null means all defaults.
///
/// # Safety
/// `p` is null or points to a struct of at least its own `size` bytes with valid pointers.
pub(crate) unsafe fn read(p: *const graceshut_options) -> Result<(Options, *const graceshut_host), Error> {
    if p.is_null() {
        return Ok((Options::default(), std::ptr::null()));
    }
    // SAFETY: `p` is valid for its own size, which is the first member of every version: nothing else is read before.
    check_size(unsafe { p.cast::<usize>().read() }, size_of::<graceshut_options>(), "options", "GRACESHUT_OPTIONS_INIT")?;
    // SAFETY: not null, and of the size just checked.
    let o = unsafe { &*p };
    // SAFETY: forwarded from the caller.
    let mut options = match unsafe { optional(o.json, "options.json") }? {
        Some(json) => options_from_json(json, NumberUnit::Micros)?,
        None => Options::default(),
    };
    if o.grace_us != 0 {
        options.grace = Some(micros(o.grace_us, "options.grace_us")?);
    }
    // SAFETY: forwarded from the caller.
    if let Some(report) = unsafe { optional(o.report, "options.report") }? {
        let json = serde_json::json!({ "report": report }).to_string();
        options.report = options_from_json(&json, NumberUnit::Micros)?.report;
    }
    set_choices(&mut options, o)?;
    Ok((options, o.host))
}

fn set_choices(options: &mut Options, o: &graceshut_options) -> Result<(), Error> {
    let known = GRACESHUT_HOLD | GRACESHUT_NO_WATCHDOG | GRACESHUT_SERVING | GRACESHUT_NO_INFLIGHT;
    if o.flags & !known != 0 {
        return Err(Error::new(ErrorKind::BadValue, format!("options.flags has unknown bits {:#x}", o.flags & !known)));
    }
    let set = |flag: u32, value: bool| (o.flags & flag != 0).then_some(value);
    options.hold = set(GRACESHUT_HOLD, true).or(options.hold);
    options.watchdog = set(GRACESHUT_NO_WATCHDOG, false).or(options.watchdog);
    options.serving = set(GRACESHUT_SERVING, true).or(options.serving);
    options.inflight = set(GRACESHUT_NO_INFLIGHT, false).or(options.inflight);
    options.exit = match o.exit {
        GRACESHUT_EXIT_DEFAULT => options.exit,
        GRACESHUT_EXIT_HOST => Some(Exit::Host),
        GRACESHUT_EXIT_RERAISE => Some(Exit::Reraise),
        GRACESHUT_EXIT_MANUAL => Some(Exit::Manual),
        other => return Err(Error::new(ErrorKind::BadValue, format!("options.exit {other} is no GRACESHUT_EXIT_*"))),
    };
    options.repeat = match o.repeat {
        GRACESHUT_REPEAT_DEFAULT => options.repeat,
        GRACESHUT_REPEAT_EXPEDITE => Some(Repeat::Expedite),
        GRACESHUT_REPEAT_INTERACTIVE => Some(Repeat::Interactive),
        GRACESHUT_REPEAT_ORCHESTRATED => Some(Repeat::Orchestrated),
        other => return Err(Error::new(ErrorKind::BadValue, format!("options.repeat {other} is no GRACESHUT_REPEAT_*"))),
    };
    Ok(())
}

/// A time that must not be negative.
pub(crate) fn micros(us: i64, what: &str) -> Result<Duration, Error> {
    u64::try_from(us)
        .map(Duration::from_micros)
        .map_err(|_| Error::new(ErrorKind::BadTime, format!("{what} is {us}: a time in microseconds cannot be negative")))
}

/// A limit of a wait: -1 is none.
pub(crate) fn limit(us: i64, what: &str) -> Result<Option<Duration>, Error> {
    if us == GRACESHUT_FOREVER { Ok(None) } else { micros(us, what).map(Some) }
}

/// A duration on its way out; more than fits is as good as for ever.
pub(crate) fn as_micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

/// A wait without limit.
pub const GRACESHUT_FOREVER: i64 = -1;
