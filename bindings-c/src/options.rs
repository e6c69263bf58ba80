//! What `graceshut_install` may be asked for.

use std::ffi::c_char;
use std::time::Duration;

use graceshut::config::{NumberUnit, options_from_json};
use graceshut::{Error, ErrorKind, Exit, Options, Repeat};

use crate::host::graceshut_host;
use crate::text::optional;

/// Defer action on a trigger until `graceshut_ready`, at most 1 s.
pub const GRACESHUT_HOLD: u32 = 1;
/// Do without the hard end at the deadline.
pub const GRACESHUT_NO_WATCHDOG: u32 = 2;
/// This process accepts connections.
pub const GRACESHUT_SERVING: u32 = 4;
/// Do not wait for work in flight in `drain`.
pub const GRACESHUT_NO_INFLIGHT: u32 = 8;

/// Not said here.
pub const GRACESHUT_EXIT_DEFAULT: i32 = 0;
/// Leave through the host's own exit (the default).
pub const GRACESHUT_EXIT_HOST: i32 = 1;
/// As HOST, but a clean shutdown dies by the signal that started it.
pub const GRACESHUT_EXIT_RERAISE: i32 = 2;
/// Never leave: `graceshut_wait` returns and the program does what it likes.
pub const GRACESHUT_EXIT_MANUAL: i32 = 3;

/// Not said here.
pub const GRACESHUT_REPEAT_DEFAULT: i32 = 0;
/// A second signal cuts the plan to its reserves, a third leaves at once (the default).
pub const GRACESHUT_REPEAT_EXPEDITE: i32 = 1;
/// A second signal leaves at once.
pub const GRACESHUT_REPEAT_INTERACTIVE: i32 = 2;
/// A repeated TERM is ignored.
pub const GRACESHUT_REPEAT_ORCHESTRATED: i32 = 3;

/// Options of `graceshut_install`. Zero everything, set `size` (`GRACESHUT_OPTIONS_INIT` does both), then what you want.
/// Members added later come at the end; a library older than the header refuses what it does not know.
#[repr(C)]
pub struct graceshut_options {
    /// `sizeof(graceshut_options)`.
    pub size: usize,
    /// Microseconds from a signal until something outside kills the process; 0: from environment, file, platform, else 10 s.
    pub grace_us: i64,
    /// `GRACESHUT_HOLD` and so on, or-ed.
    pub flags: u32,
    /// `GRACESHUT_EXIT_*`.
    pub exit: i32,
    /// `GRACESHUT_REPEAT_*`.
    pub repeat: i32,
    /// Where the report goes: `"stderr"`, `"stderr:json"`, `"fd:N"`, `"termination-log"`, `"none"` or a path. Null: not said.
    pub report: *const c_char,
    /// Any option by its name, as one JSON object with the keys of graceshut.toml; bare numbers are microseconds. Null: none.
    pub json: *const c_char,
    /// For language bindings; null in a C program.
    pub host: *const graceshut_host,
}

/// Reads the struct; null means all defaults.
///
/// # Safety
/// `p` is null or points to a struct of at least its own `size` bytes with valid pointers.
pub(crate) unsafe fn read<'a>(p: *const graceshut_options) -> Result<(Options, Option<&'a graceshut_host>), Error> {
    // SAFETY: null or valid by the caller's promise; `size` is the first member of every version.
    let Some(o) = (unsafe { p.as_ref() }) else { return Ok((Options::default(), None)) };
    if o.size != size_of::<graceshut_options>() {
        let message = format!(
            "options.size is {}, this library's is {}: set it with GRACESHUT_OPTIONS_INIT and build against the header of version {}",
            o.size,
            size_of::<graceshut_options>(),
            env!("CARGO_PKG_VERSION")
        );
        return Err(Error::new(ErrorKind::AbiMismatch, message));
    }
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
    // SAFETY: null or valid by the caller's promise.
    Ok((options, unsafe { o.host.as_ref() }))
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
