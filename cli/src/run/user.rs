//! The user a program runs as: looked up before the fork, become after it.

use std::ffi::CString;

/// Ids and groups.
#[derive(Clone, Debug)]
pub struct User {
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
}

impl User {
    /// Reads `name`, `uid` or `uid:gid`.
    pub fn parse(text: &str) -> Result<User, String> {
        let number = |t: &str| t.parse::<u32>().ok();
        if let Some((uid, gid)) = text.split_once(':') {
            return match (number(uid), number(gid)) {
                (Some(uid), Some(gid)) => Ok(User { uid, gid, groups: vec![gid] }),
                _ => Err(format!("user {text:?}: write a name, a uid, or uid:gid in numbers")),
            };
        }
        if let Some(uid) = number(text) {
            return Ok(User { uid, gid: uid, groups: vec![uid] });
        }
        let name = CString::new(text).map_err(|_| format!("user {text:?} holds a NUL byte"))?;
        // SAFETY: `name` is NUL-terminated; no other thread of this program asks the user database.
        let entry = unsafe { libc::getpwnam(name.as_ptr()) };
        if entry.is_null() {
            return Err(format!("user {text:?} is not known here; is it in /etc/passwd?"));
        }
        // SAFETY: not null, and valid until the next call.
        let entry = unsafe { &*entry };
        let (uid, gid) = (entry.pw_uid, entry.pw_gid);
        Ok(User { uid, gid, groups: groups_of(&name, gid) })
    }

    /// Async-signal-safe; false with errno set when it may not.
    pub fn become_it(&self) -> bool {
        // SAFETY: `groups` is readable for its length.
        let groups = unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) } == 0;
        // SAFETY: setgid takes an integer.
        let group = groups && unsafe { libc::setgid(self.gid) } == 0;
        // SAFETY: setuid takes an integer.
        group && unsafe { libc::setuid(self.uid) } == 0
    }
}

fn groups_of(name: &CString, gid: libc::gid_t) -> Vec<libc::gid_t> {
    let mut groups = vec![gid; 256];
    let mut n = 256;
    // SAFETY: `groups` is writable for `n` entries, `name` NUL-terminated.
    let r = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut n) };
    groups.truncate(if r < 0 { 1 } else { usize::try_from(n).unwrap_or(1) });
    groups
}
