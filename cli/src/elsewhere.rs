//! The engine for WebAssembly is twice what the rest of the command is, and what is PID 1 stays resident for as long as the
//! container lives. So there are two programs: `graceshut` without it, and `graceshut-wasm` with it. The first becomes the second
//! (exec: the same process, the same pid) where WebAssembly is to be run: `graceshut hook`, and a `wasm` hook in the file of
//! `graceshut run`.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use graceshut::{Error, ErrorKind, WasmBody, WasmProvider};
use serde_json::Value;

use crate::Engine;

/// The program with the engine.
const NAME: &str = "graceshut-wasm";

static HERE: AtomicBool = AtomicBool::new(false);

/// Configuration may name `wasm` hooks (`plan` shows them); they are not run in this process.
struct Elsewhere;

impl WasmProvider for Elsewhere {
    fn prepare(&self, name: &str, _: &Value) -> Result<WasmBody, Error> {
        Err(Error::new(ErrorKind::Unsupported, format!("hook \"{name}\" is WebAssembly, which {NAME} runs")))
    }
}

/// Makes `wasm` hooks known: with the engine, where this program has it.
pub fn provide(engine: Option<Engine>) {
    match engine {
        Some(engine) => {
            (engine.enable)();
            HERE.store(true, Relaxed);
        }
        None => graceshut::provide_wasm(&Elsewhere),
    }
}

/// This program has the engine.
pub fn is_here() -> bool {
    HERE.load(Relaxed)
}

/// Becomes the program with the engine, with the same words: the one beside this program, else the one on PATH. Mask and
/// dispositions are as the caller left them. Returns only what went wrong.
pub fn hand_over(words: &[OsString]) -> String {
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join(NAME)));
    let mut failed = None;
    for path in beside.as_deref().into_iter().chain([Path::new(NAME)]) {
        let error = exec(path.as_os_str(), words);
        if error.kind() != io::ErrorKind::NotFound {
            failed = Some(format!("{} cannot be run: {error}", path.display()));
            break;
        }
    }
    failed.unwrap_or_else(|| format!("this is for {NAME}, which is neither beside graceshut nor on PATH; put it there"))
}

fn exec(path: &OsStr, words: &[OsString]) -> io::Error {
    let text = |word: &OsStr| CString::new(word.as_bytes());
    let (Ok(path), Ok(words)) = (text(path), words.iter().map(|w| text(w)).collect::<Result<Vec<_>, _>>()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let mut argv: Vec<_> = words.iter().map(|w| w.as_ptr()).collect();
    argv.push(std::ptr::null());
    // SAFETY: the path and every word end with a NUL, the list with a null; no other thread changes the environment.
    unsafe { libc::execvp(path.as_ptr(), argv.as_ptr()) };
    io::Error::last_os_error()
}
