//! The main thread: which one it is, and how it is reached in order to leave (spec 6.5).
//!
//! It is woken by a signal that no part of the program listens to: a stop signal would be heard a second time by every handler
//! of the program that hangs on the wake-up descriptor (asyncio, uvloop), and a second one means "at once" to most servers.
//! So a real-time signal is looked up that is free in the kernel. In Python's own table it stands for a callable of ours; the kernel
//! keeps the default action until the moment of leaving, so that other code may still take that number, and then gets
//! CPython's handler: blocking calls return with EINTR and CPython runs the callable, in sleep, select, locks and every event
//! loop. Loops know no handler for that number and go on.
//!
//! Threads are named by the kernel's number, taken here: what Python says about threads is the program's to replace (gevent and
//! eventlet do). `tgkill` with a number that is no thread any more does nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering::SeqCst};

use graceshut::process::objects;
use graceshut::process::raw;
use graceshut::signal::disposition::{self, Disposition};
use graceshut::signal::neighbour;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::gate;

/// The thread in which CPython takes signal handlers; 0: not seen yet.
static MAIN: AtomicI32 = AtomicI32::new(0);
/// The numbers kept for reaching it, the first that is still free is used; 0: none.
static KEPT: [AtomicI32; 3] = [AtomicI32::new(0), AtomicI32::new(0), AtomicI32::new(0)];
/// What CPython has the kernel call for a signal that has a Python handler.
static CPYTHONS: Mutex<Option<Disposition>> = Mutex::new(None);
/// Its address, for who must not wait.
static CPYTHONS_ADDRESS: AtomicUsize = AtomicUsize::new(0);
/// How often our callable was called.
static CAME_BY: AtomicU32 = AtomicU32::new(0);

/// It has a hub: gevent's, eventlet's.
static HUB: AtomicBool = AtomicBool::new(false);

/// From here downwards: programs that use real-time signals count from the other end, and valgrind keeps the last.
const HIGHEST: i32 = 62;
const LOWEST: i32 = 40;

fn cpythons() -> Option<Disposition> {
    *CPYTHONS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> i32 {
    match MAIN.load(SeqCst) {
        0 => raw::pid().cast_signed(),
        tid => tid,
    }
}

/// True in the main thread.
#[pyfunction]
pub(crate) fn in_main_thread() -> bool {
    raw::tid().cast_signed() == main()
}

/// The main thread has a hub, or none: who waits there lets other greenlets run.
#[pyfunction]
pub(crate) fn set_hub(there: bool) {
    HUB.store(there, SeqCst);
}

/// True in a main thread that has a hub.
pub(crate) fn in_hub() -> bool {
    HUB.load(SeqCst) && in_main_thread()
}

/// The kernel's number of this thread.
#[pyfunction]
pub(crate) fn thread_id() -> u32 {
    raw::tid()
}

/// In the main thread: puts `callable` into Python's table, by `set_handler`, for real-time signals that are free. False in any
/// other thread, where CPython refuses. CPython is asked also where a parent has done so before: only it knows which
/// thread that is.
#[pyfunction]
pub(crate) fn reserve(py: Python<'_>, set_handler: &Bound<'_, PyAny>, callable: &Bound<'_, PyAny>) -> PyResult<bool> {
    let mut free = (LOWEST..=HIGHEST).rev().filter(|s| disposition::query(*s) == Some(Disposition::DEFAULT));
    for kept in &KEPT {
        let known = Some(kept.load(SeqCst)).filter(|signo| *signo != 0);
        let Some(signo) = known.or_else(|| free.next()) else { break };
        match in_table_only(set_handler, signo, callable) {
            Ok(Some(found)) => {
                CPYTHONS_ADDRESS.store(found.handler, SeqCst);
                *CPYTHONS.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                kept.store(signo, SeqCst);
            }
            Ok(None) => {}
            Err(error) if error.is_instance_of::<PyValueError>(py) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    MAIN.store(raw::tid().cast_signed(), SeqCst);
    Ok(true)
}

/// Sets a Python handler and has the kernel keep what it held; gives what CPython had put there.
fn in_table_only(set_handler: &Bound<'_, PyAny>, signo: i32, handler: &Bound<'_, PyAny>) -> PyResult<Option<Disposition>> {
    let before = disposition::query(signo).unwrap_or(Disposition::DEFAULT);
    set_handler.call1((signo, handler))?;
    let found = disposition::query(signo).filter(Disposition::is_function);
    // SAFETY: exactly what the kernel held a moment ago, restorer included.
    unsafe { disposition::set_raw(signo, &before) };
    Ok(found)
}

/// In the main thread: sets a Python handler for `signo`, and leaves the kernel's as it is.
#[pyfunction]
pub(crate) fn set_in_table_only(set_handler: &Bound<'_, PyAny>, signo: i32, handler: &Bound<'_, PyAny>) -> PyResult<()> {
    in_table_only(set_handler, signo, handler).map(drop)
}

/// The signals kept for reaching the main thread.
#[pyfunction]
pub(crate) fn reserved() -> Vec<i32> {
    KEPT.iter().map(|kept| kept.load(SeqCst)).filter(|signo| *signo != 0).collect()
}

/// The program takes `signo` for itself.
#[pyfunction]
pub(crate) fn give_up(signo: i32) {
    for kept in &KEPT {
        let _ = kept.compare_exchange(signo, 0, SeqCst, SeqCst);
    }
}

/// In the main thread: takes our callable out of Python's table again. The kernel's side stays as it is.
#[pyfunction]
pub(crate) fn give_back(set_handler: &Bound<'_, PyAny>) -> PyResult<()> {
    for kept in &KEPT {
        let signo = kept.swap(0, SeqCst);
        if signo != 0 {
            let default = libc::SIG_DFL.into_pyobject(set_handler.py())?;
            in_table_only(set_handler, signo, default.as_any())?;
        }
    }
    Ok(())
}

/// Sends the main thread a signal of those that are kept; false when there is none to send.
pub(crate) fn kick() -> bool {
    let (main, Some(cpythons)) = (MAIN.load(SeqCst), cpythons()) else { return false };
    if main == 0 {
        return false;
    }
    for signo in reserved() {
        let Some(now) = disposition::query(signo) else { continue };
        if now.handler == libc::SIG_DFL {
            // SAFETY: CPython's own handler as the kernel held it, restorer included; the interpreter's code stays mapped.
            unsafe { disposition::set_raw(signo, &cpythons) };
        } else if now.handler != cpythons.handler {
            continue; // some other code has taken it meanwhile
        }
        return send(main, signo);
    }
    false
}

fn send(tid: i32, signo: i32) -> bool {
    // SAFETY: tgkill takes three numbers; a thread or a signal that does not exist is an error it returns.
    unsafe { libc::syscall(libc::SYS_tgkill, raw::pid(), tid, signo) == 0 }
}

/// Whether core's handler is in place for `signo`.
#[pyfunction]
pub(crate) fn is_armed(signo: i32) -> bool {
    graceshut::signal::armed(signo)
}

/// Gives the main thread a managed signal that was kept from it. False where it is not managed, or the thread is gone.
///
/// By a code that core tells from a re-raise: the program's own stop begins with it and does not end (spec 6.6).
#[pyfunction]
pub(crate) fn signal_main(signo: i32) -> bool {
    is_armed(signo) && hand_on(main(), signo)
}

fn hand_on(tid: i32, signo: i32) -> bool {
    /// The head of the kernel's `siginfo_t` for `SI_QUEUE`, at its full size.
    #[repr(C, align(8))]
    struct Queued {
        signo: i32,
        errno: i32,
        code: i32,
        gap: i32,
        pid: u32,
        uid: u32,
        rest: [u64; 13],
    }
    const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());
    // SAFETY: getuid takes nothing and cannot fail.
    let uid = unsafe { libc::getuid() };
    let info = Queued { signo, errno: 0, code: libc::SI_QUEUE, gap: 0, pid: raw::pid(), uid, rest: [0; 13] };
    // SAFETY: the kernel reads one siginfo_t, which `info` is in size and alignment; a thread that does not exist is an error.
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, raw::pid(), tid, signo, &raw const info) == 0 }
}

/// Our callable was called: the main thread takes what it is told.
#[pyfunction]
pub(crate) fn came_by() {
    CAME_BY.fetch_add(1, SeqCst);
}

/// How often it has.
pub(crate) fn times_it_came_by() -> u32 {
    CAME_BY.load(SeqCst)
}

/// True while the main thread sleeps in a system call, or is gone. One that computes will get to what it is told.
pub(crate) fn sleeps() -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", main()));
    let state = stat.as_deref().ok().and_then(|s| s.rsplit(')').next()).and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, Some('R'))
}

/// Calls `graceshut._signals.<method>()` in the main thread as soon as it runs bytecode (embedding B23). What that raises
/// is raised there.
fn call_when_it_runs(work: extern "C" fn(*mut std::ffi::c_void) -> std::ffi::c_int) -> bool {
    // SAFETY: the function is static, takes no argument and may be called at any later time, or never.
    unsafe { pyo3::ffi::Py_AddPendingCall(Some(work), std::ptr::null_mut()) == 0 }
}

fn call(method: &str, raises: bool) -> std::ffi::c_int {
    let done = std::panic::catch_unwind(|| {
        Python::try_attach(|py| match py.import("graceshut._signals").and_then(|m| m.call_method0(method)) {
            Err(error) if raises => {
                error.restore(py);
                -1
            }
            Err(error) => {
                error.write_unraisable(py, None);
                0
            }
            Ok(_) => 0,
        })
    });
    done.ok().flatten().unwrap_or(0)
}

/// For an install made on another thread: has the main thread register when it comes by.
#[pyfunction]
pub(crate) fn call_in_main() -> bool {
    extern "C" fn finish(_: *mut std::ffi::c_void) -> std::ffi::c_int {
        call("finish_in_main", false)
    }
    call_when_it_runs(finish)
}

/// Has the main thread leave between two instructions, once it runs some; false when it cannot be asked.
pub(crate) fn ask_between_instructions() -> bool {
    extern "C" fn leave(_: *mut std::ffi::c_void) -> std::ffi::c_int {
        call("leave_if_due", true)
    }
    gate::with_python(|_| call_when_it_runs(leave)).unwrap_or(false)
}

/// Whose code the kernel calls for `signo` where that is not CPython's ("" for code that belongs to no object), and whether that ends
/// the process, as a JVM's does. None where it is CPython's, the default action, or nothing.
#[pyfunction]
pub(crate) fn foreign_handler(signo: i32) -> Option<(String, bool)> {
    let found = disposition::query(signo).filter(Disposition::is_function)?;
    if cpythons().is_some_and(|own| own.handler == found.handler) || graceshut::signal::armed(signo) {
        return None;
    }
    let owner = objects::owner_of(found.handler).unwrap_or_default();
    // CPython's own second one is faulthandler's, which with `chain=True` sends itself the signal with the default action in place.
    let is_faulthandlers = cpythons().and_then(|own| objects::owner_of(own.handler)).is_some_and(|cpython| cpython == owner);
    let ends = is_faulthandlers || neighbour::ends_the_process(found.handler);
    Some((if is_faulthandlers { "faulthandler".to_owned() } else { owner }, ends))
}

/// True when other native code hears of `signo` after core: a handler that is not CPython's. Any thread, never blocks.
#[pyfunction]
pub(crate) fn native_code_hears(signo: i32) -> bool {
    let cpythons = CPYTHONS_ADDRESS.load(SeqCst);
    cpythons != 0 && neighbour::called_after_ours(signo).is_some_and(|handler| handler != cpythons)
}

/// In a forked child: the forking thread is its main thread now.
pub(crate) fn after_fork() {
    MAIN.store(0, SeqCst);
    HUB.store(false, SeqCst);
}
