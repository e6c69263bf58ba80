//! Compiled code on disk: used when it is sound and one's own, made anew when it is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{cache_folder, wat};

const LIMIT: Duration = Duration::from_secs(60);

/// One test at a time has the folder, empty at first and gone at last.
struct Folder {
    path: PathBuf,
    _one: MutexGuard<'static, ()>,
}

impl Folder {
    fn new() -> Folder {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let path = cache_folder();
        let _ = fs::remove_dir_all(&path);
        Folder { path, _one: one }
    }

    fn entry(&self) -> PathBuf {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(&self.path).unwrap().map(|e| e.unwrap().path()).filter(|p| p.file_name().unwrap() != "key").collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.pop().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

fn guest(n: i32) -> Vec<u8> {
    wat(&format!("(module (memory (export \"memory\") 1) (func (export \"run\") (param i32) (result i32) (i32.const {n})))"))
}

/// Whether the code came from the cache.
fn cached(n: i32) -> bool {
    graceshut_wasm::compile(guest(n), false, LIMIT).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn code_is_kept_for_its_owner_alone_and_found_again() {
    let folder = Folder::new();
    assert!(!cached(0));
    assert!(cached(0));
    assert_eq!((mode(&folder.path), mode(&folder.entry()), mode(&folder.path.join("key"))), (0o700, 0o600, 0o600));
    assert!(!cached(1), "another module is another entry");
    let fueled = graceshut_wasm::compile(guest(0), true, LIMIT).unwrap();
    assert!(!fueled, "another configuration is another entry");
}

#[test]
fn a_damaged_entry_is_made_anew() {
    let folder = Folder::new();
    assert!(!cached(0));
    let whole = fs::read(folder.entry()).unwrap();
    let mut damages: Vec<Vec<u8>> = vec![Vec::new(), whole[..16].to_vec(), whole[..whole.len() - 1].to_vec()];
    for at in [0, 31, 32, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        damages.push(flipped);
    }
    for damage in damages {
        fs::write(folder.entry(), damage).unwrap();
        assert!(!cached(0));
        assert!(cached(0), "and kept again");
    }
}

#[test]
fn an_entry_under_another_name_is_not_trusted() {
    let folder = Folder::new();
    assert!(!cached(0));
    let first = folder.entry();
    let kept = folder.path.join("../kept-entry");
    fs::rename(&first, &kept).unwrap();
    assert!(!cached(1));
    let second = folder.entry();
    fs::rename(&kept, &second).unwrap(); // sound, sealed with the right key, and somebody else's code
    assert!(!cached(1));
}

#[test]
fn an_entry_sealed_with_another_key_is_not_trusted() {
    let folder = Folder::new();
    assert!(!cached(0));
    fs::write(folder.path.join("key"), [7; 32]).unwrap();
    assert!(!cached(0));
    assert!(cached(0));
}

#[test]
fn files_that_others_can_touch_are_not_trusted() {
    let folder = Folder::new();
    assert!(!cached(0));
    set_mode(&folder.entry(), 0o644);
    assert!(!cached(0), "an entry that others can read was not written by this cache");
    assert!(cached(0));
    set_mode(&folder.path.join("key"), 0o640);
    assert!(!cached(0), "a key that others can read is none");
    assert!(cached(0));
    set_mode(&folder.path, 0o755);
    assert!(!cached(0) && !cached(0), "a folder that others can enter is no cache");
}

#[test]
fn links_are_not_followed() {
    let folder = Folder::new();
    assert!(!cached(0));
    let entry = folder.entry();
    let moved = folder.path.join("../moved-entry");
    fs::rename(&entry, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &entry).unwrap();
    assert!(!cached(0));
    fs::remove_file(&moved).unwrap();
    let real = folder.path.with_extension("real");
    fs::rename(&folder.path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &folder.path).unwrap();
    assert!(!cached(0) && !cached(0), "the folder itself is a link");
    fs::remove_dir_all(&real).unwrap();
}

#[test]
fn without_a_folder_nothing_is_kept_and_all_works() {
    let folder = Folder::new();
    fs::write(&folder.path, "a file").unwrap();
    assert!(!cached(0) && !cached(0));
}

#[test]
fn the_folder_does_not_grow_without_end() {
    let folder = Folder::new();
    for n in 0..70 {
        assert!(!cached(n));
    }
    assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 64 + 1, "64 entries and the key");
    assert!(cached(69), "the newest stay");
}
