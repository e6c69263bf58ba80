//! A command as a hook: a process group of its own, TERM at the soft deadline, KILL at the hard one (spec 5.5, 10.3).

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::At;
use crate::config::ExecSpec;
use crate::error::{Error, ErrorKind};
use crate::hook::{Context, HookError, HookResult};
use crate::plan::format_duration;

pub(crate) fn check(spec: &ExecSpec, name: &str) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::new(ErrorKind::BadValue, format!("hook \"{name}\": {what}")));
    if spec.argv.first().is_none_or(String::is_empty) {
        return refuse("exec needs a command, for example [\"/bin/sync\"]");
    }
    let texts = spec.argv.iter().chain(spec.env.iter().flat_map(|(k, v)| [k, v]));
    if texts.into_iter().any(|t| t.contains('\0')) {
        return refuse("a command or variable contains a NUL byte");
    }
    Ok(())
}

/// The process group while it may be signalled: emptied before the leader is reaped, so that a number the kernel has
/// given to somebody else is never signalled.
type Group = Arc<Mutex<Option<i32>>>;

fn signal_group(group: &Group, signo: i32) {
    if let Some(pgid) = *group.lock().unwrap_or_else(PoisonError::into_inner) {
        // SAFETY: killpg takes two integers; the group exists while the lock holds its number (see `Group`).
        unsafe { libc::killpg(pgid, signo) };
    }
}

pub(crate) fn run(spec: &ExecSpec, context: &Context) -> HookResult {
    let mut command = command(spec, context);
    let mut child = command.spawn().map_err(|e| HookError::failed(format!("cannot start \"{}\": {e}", spec.argv[0])))?;
    let pid = i32::try_from(child.id()).unwrap_or(0);
    let group: Group = Arc::new(Mutex::new(Some(pid)));
    let (soft, hard) = (Arc::clone(&group), Arc::clone(&group));
    context.on_cancel_inline(move || signal_group(&soft, libc::SIGTERM));
    context.on_kill(move || signal_group(&hard, libc::SIGKILL));
    wait_without_reaping(pid);
    if context.cancelled() {
        // What the leader started and left behind shares its group and its end.
        signal_group(&group, libc::SIGTERM);
    }
    *group.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let status =
        child.wait().map_err(|e| HookError::failed(format!("\"{}\" ended but its status is lost: {e}", spec.argv[0])))?;
    judge(status, context)
}

fn command(spec: &ExecSpec, context: &Context) -> Command {
    let mut command = Command::new(&spec.argv[0]);
    command.args(&spec.argv[1..]).stdin(Stdio::null()).process_group(0);
    command.stdout(copy_of(std::io::stdout().as_fd())).stderr(copy_of(std::io::stderr().as_fd()));
    let grace = context.remaining().map_or_else(|| "10s".to_owned(), format_duration);
    command.env("GRACESHUT_GRACE", grace);
    for own in ["GRACESHUT_REPORT", "GRACESHUT_JOURNAL", "GRACESHUT_ADMIN", "GRACESHUT_ADMIN_TOKEN"] {
        command.env_remove(own);
    }
    command.envs(spec.env.iter().map(|(k, v)| (k, v)));
    if let Some(dir) = &spec.dir {
        command.current_dir(dir);
    }
    if !host_blocks_nothing() {
        let set_mask = || {
            crate::signal::set_host_mask();
            Ok(())
        };
        // SAFETY: between fork and exec only rt_sigprocmask is called, which is async-signal-safe.
        unsafe { command.pre_exec(set_mask) };
    }
    command
}

/// Node closes its standard streams on exec: inherited as they are, the child would have none and its first file would take
/// their numbers. A copy always arrives.
fn copy_of(stream: BorrowedFd<'_>) -> Stdio {
    stream.try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// True when the child is to get an empty mask, which std gives it anyway (spec 10.3). Without a `pre_exec` std starts it by
/// posix_spawn: no copy of a big process's page tables, and nobody's fork handlers run.
fn host_blocks_nothing() -> bool {
    let mask = crate::signal::host_mask();
    // SAFETY: `mask` is a valid set.
    (1..=64).all(|signo| unsafe { libc::sigismember(&raw const mask, signo) } != 1)
}

/// Waits for the end of `pid` and leaves its number taken.
fn wait_without_reaping(pid: i32) {
    loop {
        // SAFETY: siginfo_t is plain data for which zeros are valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid and writable; waitid has no other precondition.
        let r = unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, libc::WEXITED | libc::WNOWAIT) };
        if r == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}

fn judge(status: ExitStatus, context: &Context) -> HookResult {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(HookError::failed(format!("exited with status {code}"))),
        (None, Some(libc::SIGTERM)) if context.cancelled() => Err(HookError::Cancelled),
        (None, signo) => {
            let signo = signo.unwrap_or(0);
            let name = crate::signal::name_of(signo).unwrap_or("unknown signal");
            let when = if context.deadline() <= At::now() { " at its deadline" } else { "" };
            Err(HookError::failed(format!("killed by {name}{when}")))
        }
    }
}
