//! Compiled code on disk, so that the next start of a service does not compile again.
//!
//! Loading machine code from a file is trust. So: the folder is the user's own and closed to others, and every entry carries
//! a seal (HMAC-SHA256) made with a key that never leaves the folder. An entry that is damaged, was put there by somebody
//! else, or belongs to another module, engine, configuration or processor is not loaded but made anew. Without a usable
//! folder there is no cache, and nothing else changes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::check::Entry;
use crate::link::Compiled;

/// Folder of the cache; `off` does without.
pub const VARIABLE: &str = "GRACESHUT_WASM_CACHE";
const KEY: &str = "key";
const KEY_SIZE: usize = 32;
const SEAL_SIZE: usize = 32;
/// Entries beyond this are removed, the oldest first.
const ENTRIES: usize = 64;
/// The largest entry that is read.
const ENTRY_LIMIT: u64 = 512 << 20;

/// The name of an entry: what was compiled (its header says whether it is a module or a component), by what, for what.
pub(crate) fn name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compatible = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatible);
    let mut hash = Sha256::new();
    hash.update(concat!("graceshut-wasm ", env!("CARGO_PKG_VERSION"), "\0"));
    hash.update(compatible.finish().to_le_bytes());
    hash.update(bytes);
    hash.finalize().iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    if std::env::var_os(VARIABLE).is_some() {
        return absolute(VARIABLE);
    }
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".cache")))?;
    Some(base.join("graceshut/wasm"))
}

fn euid() -> u32 {
    // SAFETY: geteuid has no precondition and cannot fail.
    unsafe { libc::geteuid() }
}

fn is_private(meta: &std::fs::Metadata) -> bool {
    meta.uid() == euid() && meta.mode() & 0o077 == 0
}

/// The folder, if it is there (or can be made) and is the user's alone.
fn private_folder() -> Option<PathBuf> {
    let folder = folder()?;
    if std::fs::symlink_metadata(&folder).is_err() {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    }
    let meta = std::fs::symlink_metadata(&folder).ok()?;
    (meta.is_dir() && is_private(&meta)).then_some(folder)
}

/// Reads a regular file that is the user's alone. Follows no link and waits for nobody.
fn read_private(path: &Path) -> Option<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || !is_private(&meta) || meta.len() > ENTRY_LIMIT {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).ok()?);
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes a file that is the user's alone, whole or not at all.
fn write_private(folder: &Path, name: &str, parts: &[&[u8]]) -> Option<()> {
    let temporary = folder.join(format!(".{name}.{}.{:x}", std::process::id(), random()?[0]));
    let written = (|| {
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).ok()?;
        parts.iter().try_for_each(|part| file.write_all(part)).ok()?;
        std::fs::rename(&temporary, folder.join(name)).ok()
    })();
    if written.is_none() {
        // Nothing more can be done for a file that could not be written.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn random() -> Option<[u64; KEY_SIZE / 8]> {
    let mut words = [0_u64; KEY_SIZE / 8];
    // SAFETY: the buffer is live, writable and KEY_SIZE bytes long.
    let n = unsafe { libc::getrandom(words.as_mut_ptr().cast(), KEY_SIZE, 0) };
    (n == KEY_SIZE as isize).then_some(words)
}

/// The key of this folder, made when there is none.
fn key(folder: &Path) -> Option<Vec<u8>> {
    let path = folder.join(KEY);
    if let Some(key) = read_private(&path).filter(|k| k.len() == KEY_SIZE) {
        return Some(key);
    }
    let new: Vec<u8> = random()?.iter().flat_map(|w| w.to_le_bytes()).collect();
    write_private(folder, KEY, &[&new])?;
    // Of two processes that make one at the same time, the later one's stays; entries of the other are made anew.
    read_private(&path).filter(|k| k.len() == KEY_SIZE)
}

fn sealer(key: &[u8], name: &str, code: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(name.as_bytes());
    mac.update(code);
    Some(mac)
}

/// The compiled code, if there is a sound entry.
pub(crate) fn load(engine: &Engine, entry: Entry, name: &str) -> Option<Compiled> {
    let folder = private_folder()?;
    let bytes = read_private(&folder.join(name))?;
    let (seal, code) = bytes.split_at_checked(SEAL_SIZE)?;
    sealer(&key(&folder)?, name, code)?.verify_slice(seal).ok()?;
    // SAFETY: these bytes were made by `store`, for this very module, engine and processor: the seal over name and bytes was
    // made with a key that only this user can read.
    unsafe { Compiled::deserialize(engine, entry, code) }.ok()
}

/// Keeps compiled code; what cannot be kept is compiled again.
pub(crate) fn store(compiled: &Compiled, name: &str) {
    let kept = (|| {
        let folder = private_folder()?;
        let code = compiled.serialize().ok()?;
        let seal = sealer(&key(&folder)?, name, &code)?.finalize().into_bytes();
        write_private(&folder, name, &[&seal, &code])?;
        prune(&folder)
    })();
    let _: Option<()> = kept;
}

fn prune(folder: &Path) -> Option<()> {
    let mut entries: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|e| e.file_name().to_str() != Some(KEY))
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    entries.sort();
    for (_, path) in entries.iter().take(entries.len().saturating_sub(ENTRIES)) {
        // Another process may have removed it first.
        let _ = std::fs::remove_file(path);
    }
    Some(())
}
