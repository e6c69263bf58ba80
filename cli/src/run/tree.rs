//! Who belongs to a program: its process group, and where this process adopts orphans, whatever came to it.

use std::collections::HashSet;
use std::fs;

use super::sys;

/// The descendants of this process's main thread. Programs that hooks start are children of other threads, and not among them.
pub fn descendants() -> Vec<i32> {
    let own = sys::own_pid();
    let mut all: Vec<i32> = children_of_thread(own, own);
    let mut seen: HashSet<i32> = all.iter().copied().collect();
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        for child in children(pid) {
            if seen.insert(child) {
                all.push(child);
            }
        }
    }
    all
}

/// The children of `pid`, whichever of its threads started them.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let tids = threads.filter_map(|t| t.ok()?.file_name().to_str()?.parse().ok());
    tids.flat_map(|tid| children_of_thread(pid, tid)).collect()
}

/// Empty where the kernel does not tell (no `/proc`, no CONFIG_PROC_CHILDREN): groups are signalled all the same.
fn children_of_thread(pid: i32, tid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}

/// True while a process of the group is left. A zombie is not: where it is not ours, its parent waits for it, or never.
pub fn has_members(group: i32) -> bool {
    if !sys::exists(-group) {
        return false;
    }
    let Ok(all) = fs::read_dir("/proc") else { return true };
    let pids = all.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(state_and_group).any(|(state, of)| of == group && !matches!(state, 'Z' | 'X'))
}

/// State and process group of `pid`; `None` when it is gone.
fn state_and_group(pid: i32) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.nth(1)?.parse().ok()?))
}

/// The name of what `pid` executes.
pub fn program_of(pid: i32) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()?.file_name()?.to_str().map(str::to_owned)
}

/// True for the usual shells.
pub fn is_shell(program: &str) -> bool {
    ["sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "mksh"].contains(&program)
}
