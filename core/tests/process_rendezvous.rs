//! Several copies of graceshut in one process: this test program holds one, libraries built here hold others.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests call libc all over, and fail by panicking"
)]

mod common_signal;

use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Barrier, OnceLock};

use common_signal::{exited, forked, killed_by, raise, raw, start_with};
use graceshut::ErrorKind;
use graceshut::process::{fork, rendezvous};
use libc::SIGTERM;

children! {
    "see" => see,
    "race" => race,
    "forks" => forks,
    "unload" => unload,
    "foreign" => foreign,
    "linked" => linked,
}

// ---- building ----

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Builds the fixture against the library this test was built with: the newest one beside it.
fn rustc(kind: &str, to: &Path) {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap();
    let rlib = std::fs::read_dir(deps)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| {
            let name = p.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("libgraceshut-") && name.ends_with(".rlib")
        })
        .max_by_key(|p| p.metadata().unwrap().modified().unwrap())
        .unwrap();
    run(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-name", "copy", "--crate-type", kind, "-o"])
        .arg(to)
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("graceshut={}", rlib.display()))
        .arg(fixture("copy.rs")));
}

/// The folder with `a.so` and `b.so` (two files of one build), `c.so` (the static library linked by a C linker), and the
/// foreign ones. Built once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rendezvous-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        rustc("cdylib", &dir.join("a.so"));
        std::fs::copy(dir.join("a.so"), dir.join("b.so")).unwrap();
        rustc("staticlib", &dir.join("libcopy.a"));
        let cc = || Command::new("cc");
        run(cc()
            .current_dir(&dir)
            .args([
                "-shared",
                "-o",
                "c.so",
                "-Wl,--gc-sections",
                "-Wl,-z,defs",
                "-Wl,-u,copy_elect,-u,copy_header,-u,copy_others",
            ])
            .args(["-Wl,-u,copy_resign,-u,copy_publish,-u,copy_table_of,-u,copy_arm,-u,copy_caught,-u,copy_disarm"])
            .args(["libcopy.a", "-lgcc_s", "-lc", "-lm", "-s"]));
        run(cc().current_dir(&dir).args(["-shared", "-fPIC", "-o", "foreign.so"]).arg(fixture("foreign.c")));
        run(cc().current_dir(&dir).args(["-shared", "-fPIC", "-DONLY_BROKEN", "-o", "broken.so"]).arg(fixture("foreign.c")));
        dir
    })
}

fn child(name: &str) {
    start_with(name, Command::new(std::env::current_exe().unwrap()).env("GS_DIR", built())).ends_well();
}

// ---- in children ----

type Header = *const c_void;

#[derive(Clone, Copy)]
struct Library(*mut c_void);
unsafe impl Send for Library {}
unsafe impl Sync for Library {}

fn open(name: &str) -> Library {
    let path = PathBuf::from(std::env::var_os("GS_DIR").unwrap()).join(name);
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "{:?}", unsafe { std::ffi::CStr::from_ptr(libc::dlerror()) });
    Library(handle)
}

impl Library {
    fn get<F: Copy>(self, name: &str) -> F {
        let name = CString::new(name).unwrap();
        let at = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!at.is_null(), "{name:?}");
        unsafe { std::mem::transmute_copy(&at) }
    }
    fn number(self, name: &str) -> i32 {
        self.get::<extern "C" fn() -> i32>(name)()
    }
    fn header(self) -> Header {
        self.get::<extern "C" fn() -> Header>("copy_header")()
    }
    /// `None`: leads. Errors as their number.
    fn elect(self) -> Result<Option<Header>, i32> {
        let mut leader = std::ptr::null();
        match self.get::<extern "C" fn(*mut Header) -> i32>("copy_elect")(&mut leader) {
            0 => Ok(None),
            1 => Ok(Some(leader)),
            error => Err(-error),
        }
    }
    fn resign(self) {
        self.get::<extern "C" fn()>("copy_resign")();
    }
    fn arm(self, signo: i32) {
        assert_eq!(self.get::<extern "C" fn(i32) -> i32>("copy_arm")(signo), 0);
    }
}

fn see() {
    let (a, b, c) = (open("a.so"), open("b.so"), open("c.so"));
    let headers = [a.header(), b.header(), c.header()];
    let mut found: Vec<_> = rendezvous::find().iter().map(|c| c.header as Header).collect();
    let mut wanted = headers.to_vec();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "this program sees the libraries");
    for copy in [a, b, c] {
        assert_eq!(copy.number("copy_others"), 3, "and each library sees the others");
    }
    let about = rendezvous::find();
    assert!(about.iter().all(|c| c.abi_major == rendezvous::ABI_MAJOR && c.version == env!("CARGO_PKG_VERSION") && !c.active));
    assert!(about.iter().any(|c| c.object.ends_with("/a.so")), "{about:?}");
    // Whoever asks first leads; what it published reaches the others.
    for (first, others) in [(b, [a, c]), (c, [a, b]), (a, [b, c])] {
        let table = 0x5a5a_usize as *const c_void;
        first.get::<extern "C" fn(*const c_void)>("copy_publish")(table);
        assert_eq!(first.elect(), Ok(None));
        assert_eq!(first.elect(), Ok(None), "asking again changes nothing");
        for other in others {
            assert_eq!(other.elect(), Ok(Some(first.header())));
            let read = other.get::<extern "C" fn(Header) -> Header>("copy_table_of")(first.header());
            assert_eq!(read, table);
        }
        let mine = rendezvous::elect(rendezvous::own()).unwrap();
        assert_eq!(mine, rendezvous::Role::Follow(first.header().cast()));
        others[0].resign();
        assert_eq!(others[1].elect(), Ok(Some(first.header())), "a follower cannot resign for the leader");
        first.resign();
    }
    assert_eq!(rendezvous::elect(rendezvous::own()).unwrap(), rendezvous::Role::Leader);
    assert_eq!(a.elect(), Ok(Some(std::ptr::from_ref(rendezvous::own()).cast())));
}

#[test]
fn copies_see_each_other_and_follow_the_first() {
    child("see");
}

fn race() {
    let copies = [open("a.so"), open("b.so"), open("c.so")];
    let rounds = 2000;
    let barrier = Barrier::new(copies.len());
    let mut answers: Vec<Vec<Option<Header>>> = Vec::new();
    std::thread::scope(|s| {
        let threads: Vec<_> = copies
            .iter()
            .map(|copy| {
                let barrier = &barrier;
                s.spawn(move || {
                    let mut mine = Vec::new();
                    for _ in 0..rounds {
                        barrier.wait();
                        mine.push(copy.elect().unwrap().map(|h| h as usize));
                        barrier.wait();
                        copy.resign();
                    }
                    mine
                })
            })
            .collect();
        for thread in threads {
            answers.push(thread.join().unwrap().into_iter().map(|a| a.map(|h| h as Header)).collect());
        }
    });
    let mut led = [0; 3];
    for round in 0..rounds {
        let leaders: Vec<usize> = (0..copies.len()).filter(|i| answers[*i][round].is_none()).collect();
        assert_eq!(leaders.len(), 1, "round {round}");
        led[leaders[0]] += 1;
        for (i, answer) in answers.iter().enumerate() {
            if i != leaders[0] {
                assert_eq!(answer[round], Some(copies[leaders[0]].header()), "round {round}");
            }
        }
    }
    assert!(led.iter().filter(|n| **n > 0).count() > 1, "a race that only one ever wins tests nothing: {led:?}");
}

#[test]
fn simultaneous_elections_have_one_leader() {
    child("race");
}

fn forks() {
    let (a, b) = (open("a.so"), open("b.so"));
    assert_eq!(a.elect(), Ok(None));
    a.arm(SIGTERM);
    let status = forked(|| {
        // A is stale here (G47). What B replaces is A's handler, which must never be chained to (A11).
        assert_eq!(b.elect(), Ok(None));
        b.arm(SIGTERM);
        raise(SIGTERM);
        assert_eq!((b.number("copy_caught"), a.number("copy_caught")), (1, 0));
        assert_eq!(a.elect(), Ok(Some(b.header())));
        assert_eq!(b.number("copy_disarm"), 1);
        assert_eq!(raw(SIGTERM).handler, libc::SIG_DFL);
        raise(SIGTERM);
        1
    });
    assert_eq!(killed_by(status), Some(SIGTERM));
    assert_eq!(b.elect(), Ok(Some(a.header())), "the parent's leader is still A");
    raise(SIGTERM);
    assert_eq!((a.number("copy_caught"), b.number("copy_caught")), (1, 0));
    // A child in which the parent's leader leads again.
    assert_eq!(exited(forked(|| i32::from(a.elect() != Ok(None) || b.elect() != Ok(Some(a.header()))))), Some(0));
    // While threads elect all the time: no child waits for a word, or for a lock of the loader, that its parent's thread held.
    let stop = std::sync::atomic::AtomicBool::new(false);
    a.number("copy_disarm");
    a.resign();
    std::thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let _ = b.elect();
                b.resign();
            }
        });
        for _ in 0..30 {
            assert_eq!(exited(forked(|| i32::from(a.elect() != Ok(None)))), Some(0));
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert!(!fork::is_owner_certain(), "this program's own copy never led");
    // In a new pid namespace with the parent's pid.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        eprintln!("skipped: unshare(CLONE_NEWPID) is not permitted");
        return;
    }
    let status = forked(|| {
        assert_eq!(a.elect(), Ok(None));
        if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
            return 9;
        }
        let status = forked(|| {
            assert_eq!(unsafe { libc::getpid() }, 1);
            i32::from(b.elect() != Ok(None))
        });
        exited(status).unwrap_or(8)
    });
    assert_eq!(exited(status), Some(0));
}

#[test]
fn a_leader_left_behind_by_fork_is_stale() {
    child("forks");
}

fn unload() {
    let close = |l: Library| assert_eq!(unsafe { libc::dlclose(l.0) }, 0);
    let (a, b) = (open("a.so"), open("b.so"));
    close(b);
    let others = rendezvous::find();
    assert_eq!(others.len(), 1, "an idle copy can be unloaded: {others:?}");
    // On a thread that ends: while it lives, its thread-local destructors alone keep the library mapped.
    let arm = move || {
        assert_eq!(a.elect(), Ok(None));
        a.arm(SIGTERM);
    };
    std::thread::spawn(arm).join().unwrap();
    let caught: extern "C" fn() -> i32 = a.get("copy_caught");
    close(a);
    raise(SIGTERM);
    assert_eq!(caught(), 1, "an armed one stays (A10)");
    assert_eq!(rendezvous::find().len(), 1);
}

#[test]
fn an_armed_copy_cannot_be_unloaded() {
    child("unload");
}

fn foreign() {
    let broken = open("broken.so");
    assert!(rendezvous::find().is_empty(), "{:?}", rendezvous::find());
    assert_eq!(unsafe { libc::dlclose(broken.0) }, 0);
    let foreign = open("foreign.so");
    let lead = foreign.get::<extern "C" fn(i32)>("foreign_lead");
    let found = rendezvous::find();
    assert_eq!((found.len(), found[0].abi_major, found[0].version.as_str()), (1, 7, "9.9.9"));
    let own = rendezvous::own();
    assert_eq!(rendezvous::elect(own).unwrap(), rendezvous::Role::Leader, "idle copies of another ABI do no harm");
    rendezvous::resign(own);
    lead(1);
    let error = rendezvous::elect(own).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AbiMismatch);
    for word in [env!("CARGO_PKG_VERSION"), "ABI 1", "9.9.9", "ABI 7", "foreign.so"] {
        assert!(error.message().contains(word), "{word}: {error}");
    }
    let a = open("a.so");
    assert_eq!(a.elect(), Err(ErrorKind::AbiMismatch.code()));
    lead(0);
    assert_eq!(a.elect(), Ok(None));
}

#[test]
fn broken_notes_are_passed_over_and_another_abi_is_refused() {
    child("foreign");
}

/// Nothing but the wanted names is exported: a copy's own references cannot bind to another's (G48).
fn linked() {
    let a = open("a.so");
    let header = a.header();
    // One note, of type SHT_NOTE in a PT_NOTE segment, in this program and in the libraries.
    let mut notes = 0;
    graceshut::process::objects::each(&mut |object| {
        notes += object
            .segments(libc::PT_NOTE)
            .filter(|s| {
                let bytes = unsafe { std::slice::from_raw_parts(s.start as *const u8, s.len) };
                bytes.windows(10).any(|w| w == b"graceshut\0")
            })
            .count();
        false
    });
    assert_eq!(notes, 2);
    assert_ne!(header, std::ptr::from_ref(rendezvous::own()).cast());
}

#[test]
fn a_copy_is_its_own() {
    child("linked");
    for library in ["a.so", "c.so"] {
        let output = Command::new("nm").args(["-D", "--defined-only"]).arg(built().join(library)).output().unwrap();
        let names = String::from_utf8(output.stdout).unwrap();
        assert!(names.contains("copy_elect"), "{names}");
        for bad in ["rendezvous", "OWN", "on_signal"] {
            assert!(library == "c.so" || !names.contains(bad), "{library} exports {bad}");
            assert!(!names.lines().any(|l| l.contains("rendezvous") && l.contains("OWN")), "{library} exports its header");
        }
    }
}

/// The whole release build (fat LTO, stripped, garbage-collected sections) of a program and a library. Slow.
#[test]
fn the_note_survives_a_release_build() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-copy");
    std::fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"copy\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \"staticlib\"]\n\
         [dependencies]\ngraceshut = {{ path = {:?}, default-features = false }}\n\
         [profile.release]\nlto = \"fat\"\ncodegen-units = 1\nopt-level = \"s\"\nstrip = \"symbols\"\n[workspace]\n",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(fixture("copy.rs"), dir.join("src/lib.rs")).unwrap();
    run(Command::new("cargo").current_dir(&dir).args(["build", "--release", "--offline", "--target-dir", "target"]));
    let out = dir.join("target/release");
    std::fs::copy(out.join("libcopy.so"), dir.join("a.so")).unwrap();
    std::fs::copy(out.join("libcopy.so"), dir.join("b.so")).unwrap();
    run(Command::new("cc").current_dir(&dir).args([
        "-shared",
        "-o",
        "c.so",
        "-Wl,--gc-sections",
        "-Wl,--whole-archive",
        "target/release/libcopy.a",
        "-Wl,--no-whole-archive",
        "-lgcc_s",
        "-lc",
        "-lm",
        "-s",
    ]));
    for name in ["see", "race", "forks", "unload"] {
        start_with(name, Command::new(std::env::current_exe().unwrap()).env("GS_DIR", &dir)).ends_well();
    }
}
