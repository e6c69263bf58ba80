//! The memory map of another process, and the copies of graceshut in it.

use graceshut::process::outside::{self, Copy};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// More writable memory of one file is not looked through.
const LIMIT: u64 = 64 * 1024 * 1024;

/// One mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    start: u64,
    end: u64,
    writable: bool,
    code: bool,
    /// The file, `[vdso]` and the like, or nothing.
    pub name: String,
}

/// All of a process's mappings.
#[derive(Clone, Debug, Default)]
pub struct Maps(Vec<Mapping>);

impl Maps {
    /// Reads `/proc/PID/maps`.
    pub fn read(pid: i32) -> io::Result<Maps> {
        let text = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        Ok(Maps(text.lines().filter_map(parse).collect()))
    }

    /// What lies at `address`.
    pub fn at(&self, address: u64) -> Option<&Mapping> {
        self.0.iter().find(|m| (m.start..m.end).contains(&address))
    }

    /// Code that nobody changes: of the kernel's own page, then of files.
    pub fn code(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let of = |kernel: bool| {
            let wanted = move |m: &&Mapping| m.code && (m.name == "[vdso]") == kernel && (kernel || m.name.starts_with('/'));
            self.0.iter().filter(wanted).map(|m| (m.start, m.end))
        };
        of(true).chain(of(false))
    }

    /// True when a file of such a name is mapped.
    pub fn has_file(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|m| m.name.starts_with('/') && is_it(m.name.rsplit('/').next().unwrap_or_default()))
    }

    /// Every copy of graceshut, with the file it is in. Needs the permission to read the process's memory.
    pub fn copies(&self, pid: i32) -> io::Result<Vec<(Copy, String)>> {
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let mut found = Vec::new();
        for m in self.0.iter().filter(|m| m.writable && m.name.starts_with('/') && m.end - m.start <= LIMIT) {
            let mut bytes = vec![0; (m.end - m.start) as usize];
            // A page that cannot be read (a file cut short) is no reason to miss the others.
            if memory.read_exact_at(&mut bytes, m.start).is_err() {
                continue;
            }
            let copies = (0..bytes.len()).step_by(8).filter_map(|at| outside::parse(bytes.get(at..at + outside::LEN)?));
            found.extend(copies.map(|c| (c, m.name.clone())));
        }
        Ok(found)
    }
}

/// `start-end rwxp offset dev inode   name`
fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |s: &str| u64::from_str_radix(s, 16).ok();
    let rights = fields.next()?;
    let name = fields.nth(3).unwrap_or_default().trim_start().trim_end_matches(" (deleted)");
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        writable: rights.starts_with("rw"),
        code: rights.starts_with("r-x"),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_of_the_map() {
        let m = parse("7f0000001000-7f0000003000 rw-p 00001000 fe:00 12  /usr/lib/a b.so (deleted)").unwrap();
        assert_eq!(
            (m.start, m.end, m.writable, m.name.as_str()),
            (0x7f00_0000_1000, 0x7f00_0000_3000, true, "/usr/lib/a b.so")
        );
        assert_eq!(parse("7f0000001000-7f0000003000 r-xp 0 00:00 0 ").unwrap().name, "");
        assert!(parse("nonsense").is_none());
    }
}
