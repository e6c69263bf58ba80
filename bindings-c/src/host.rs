//! A language on top of the C ABI (Go, Java): what it must supply.

use std::ffi::{c_char, c_int, c_void};

use graceshut::{Chain, Error, ExitPlan, Host};

use crate::size::check_size;
use crate::text::{optional, required};

/// Do not call the handler that was there before.
pub const GRACESHUT_CHAIN_NEVER: c_int = 0;
/// Call the handler that was there before, if it was a function.
pub const GRACESHUT_CHAIN_ALWAYS: c_int = 1;
/// As ALWAYS, but never a runtime's own handler that ends the process (a JVM's, Node's, a Go program's): what a C program has.
pub const GRACESHUT_CHAIN_UNLESS_IT_EXITS: c_int = 2;

/// Leaves the process through the host's own exit, with `code`. Called at most once, on a thread of graceshut, after the
/// report is written; may return at once and leave later: the watchdog ends what never leaves. (spec 6.5)
pub type graceshut_exit_fn = Option<unsafe extern "C" fn(code: c_int, user_data: *mut c_void)>;
/// Answers `GRACESHUT_CHAIN_*` for a signal. Called during `graceshut_install`, on its thread. (spec 3.5)
pub type graceshut_chain_fn = Option<unsafe extern "C" fn(signo: c_int, user_data: *mut c_void) -> c_int>;

/// What a language runtime on top of this header supplies (Go, Java); a C program has no use for it. Zero everything, set
/// `size` and `language`. Strings are copied; null functions mean what a C program wants.
#[repr(C)]
pub struct graceshut_host {
    /// `sizeof(graceshut_host)`.
    pub size: usize,
    /// The language's name in reports. Required.
    pub language: *const c_char,
    /// The runtime's version. May be null.
    pub version: *const c_char,
    /// See `graceshut_exit_fn`; null: `exit(code)`.
    pub exit: graceshut_exit_fn,
    /// See `graceshut_chain_fn`; null: never.
    pub chain: graceshut_chain_fn,
    /// Passed to both functions; lives as long as the process.
    pub user_data: *mut c_void,
    /// 1: graceshut is told by `graceshut_rearm` when a handler was replaced and need not look every 5 s. (spec 3.5)
    pub tells_of_changes: u8,
    /// 1: the process leaves by `exit` above, not by returning from `graceshut_wait`.
    pub leaves_by_exit: u8,
    /// 1: `exit` and the return from main do not begin the shutdown and do not wait for it, because the host can run nothing any more by
    /// then (the JVM): it says `graceshut_host_end` before; one that did not leaves at once with its own status. (spec 2.6)
    pub tells_of_end: u8,
}

pub(crate) struct ForeignHost {
    language: String,
    version: String,
    exit: graceshut_exit_fn,
    chain: graceshut_chain_fn,
    user_data: *mut c_void,
    tells: bool,
    by_exit: bool,
    tells_of_end: bool,
}

// SAFETY: the header says that `user_data` is used from graceshut's threads and lives as long as the process.
unsafe impl Send for ForeignHost {}
// SAFETY: as above.
unsafe impl Sync for ForeignHost {}

impl ForeignHost {
    /// # Safety
    /// `host` points to a struct of at least its own `size` bytes; its strings are NUL-terminated, its functions are of the
    /// documented types.
    pub(crate) unsafe fn read(host: *const graceshut_host) -> Result<ForeignHost, Error> {
        // SAFETY: `size` is the first member of every version, and the struct has at least that many bytes.
        let size = unsafe { host.cast::<usize>().read() };
        check_size(size, size_of::<graceshut_host>(), "host", "zeroes and size = sizeof(graceshut_host)")?;
        // SAFETY: of the size just checked, by the caller's promise.
        let host = unsafe { &*host };
        // SAFETY: forwarded from the caller.
        let language = unsafe { required(host.language, "host.language") }?.to_owned();
        // SAFETY: forwarded from the caller.
        let version = unsafe { optional(host.version, "host.version") }?.unwrap_or("").to_owned();
        Ok(ForeignHost {
            language,
            version,
            exit: host.exit,
            chain: host.chain,
            user_data: host.user_data,
            tells: host.tells_of_changes != 0,
            by_exit: host.leaves_by_exit != 0,
            tells_of_end: host.tells_of_end != 0,
        })
    }
}

impl Host for ForeignHost {
    fn language(&self) -> &str {
        &self.language
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn exit(&self, plan: ExitPlan) {
        match self.exit {
            // SAFETY: function and data were given together for this call.
            Some(exit) => unsafe { exit(plan.code, self.user_data) },
            None => graceshut::exit_now(plan.code),
        }
    }

    fn leaves_by_wait(&self) -> bool {
        !self.by_exit
    }

    fn exit_is_trigger(&self) -> bool {
        !self.tells_of_end
    }

    fn chain(&self, signo: i32) -> Chain {
        // SAFETY: function and data were given together for this call.
        match self.chain.map(|chain| unsafe { chain(signo, self.user_data) }) {
            Some(GRACESHUT_CHAIN_ALWAYS) => Chain::Always,
            Some(GRACESHUT_CHAIN_UNLESS_IT_EXITS) => Chain::UnlessItExits,
            _ => Chain::Never,
        }
    }

    fn must_poll(&self) -> bool {
        !self.tells
    }
}
