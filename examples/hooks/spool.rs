//! Moves what is spooled to where another program picks it up, each file whole or not at all, onto another file system too. With
//! Rust's own library for WASI.
//!
//!   [[hook]]
//!   phase = "flush"
//!   name = "spool"
//!   timeout = "5s"
//!   [hook.wasm]
//!   path = "spool.wasm"
//!   dirs = { "/spool" = "/var/spool/app:rw", "/inbox" = "/mnt/shared/inbox:rw" }
//!   config = { skip = ".part" }
//!
//! config: skip (an ending; such files are not complete and stay). So do folders and what begins with a dot. A file of the same
//! name in /inbox is not written over: it fails the hook, in words, after the others were moved. At its soft deadline the hook
//! stops between two files and is `cancelled`; what it did not reach is there for the next start.

use std::fs::{self, File};
use std::io;
use std::path::Path;

#[link(wasm_import_module = "graceshut_v1")]
extern "C" {
    fn cancelled() -> i32;
    fn progress(done: i64, total: i64);
    fn context_read(key: *const u8, key_len: usize, out: *mut u8, cap: usize) -> i32;
    fn set_error(text: *const u8, len: usize);
}

/// What `run` returns when it stopped because it was told to.
const CANCELLED: i32 = -1;
/// WASI's numbers for "not on the same file system", and for what the host's WASI (wasmtime 48) makes of that.
const EXDEV: i32 = 75;
const EIO: i32 = 29;

fn config(key: &str) -> Option<String> {
    let (key, mut out) = (format!("config.{key}"), [0; 256]);
    // SAFETY: pointers and lengths are those of a live text and a live buffer.
    let len = unsafe { context_read(key.as_ptr(), key.len(), out.as_mut_ptr(), out.len()) };
    let len = usize::try_from(len).ok()?;
    Some(String::from_utf8_lossy(&out[..len.min(out.len())]).into_owned())
}

/// Into a hidden file beside it, to the disk, and there in one step.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let hidden = to.with_file_name(format!(".{name}"));
    let copied = (|| {
        let mut copy = File::create(&hidden)?;
        io::copy(&mut File::open(from)?, &mut copy)?;
        copy.sync_all()?;
        fs::rename(&hidden, to)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    copied.and_then(|()| fs::remove_file(from))
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", to.display())));
    }
    match fs::rename(from, to) {
        Err(e) if matches!(e.raw_os_error(), Some(EXDEV | EIO)) => copy(from, to),
        done => done,
    }
}

/// Whether it came to the end before it was told to stop; the first trouble that a file had is kept for the end.
fn place_all(skip: Option<&str>) -> io::Result<bool> {
    let mut files = Vec::new();
    for entry in fs::read_dir("/spool").map_err(|e| io::Error::new(e.kind(), format!("/spool: {e}")))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let open = skip.map_or(false, |ending| name.ends_with(ending));
        if entry.file_type()?.is_file() && !name.starts_with('.') && !open {
            files.push(name);
        }
    }
    files.sort();
    let (mut moved, mut trouble) = (0, Ok(true));
    for name in &files {
        // SAFETY: a function of the host without arguments.
        if unsafe { cancelled() } == 1 {
            println!("{moved} of {} files moved before the deadline", files.len());
            return trouble.and(Ok(false));
        }
        match place(&Path::new("/spool").join(name), &Path::new("/inbox").join(name)) {
            Ok(()) => moved += 1,
            Err(e) if trouble.is_ok() => trouble = Err(io::Error::new(e.kind(), format!("{name}: {e}"))),
            Err(_) => {}
        }
        // SAFETY: numbers alone.
        unsafe { progress(moved, files.len() as i64) };
    }
    println!("{moved} of {} files moved", files.len());
    trouble
}

#[no_mangle]
pub extern "C" fn run(_reason: i32) -> i32 {
    match place_all(config("skip").as_deref()) {
        Ok(true) => 0,
        Ok(false) => CANCELLED,
        Err(e) => {
            let why = e.to_string();
            // SAFETY: pointer and length are those of a live text.
            unsafe { set_error(why.as_ptr(), why.len()) };
            1
        }
    }
}
