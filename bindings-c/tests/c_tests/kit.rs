//! Builds the C programs, once for each way of linking and watching them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// How a program is linked, and what watches it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Against libgraceshut.so.0.
    Shared,
    /// Against libgraceshut.a.
    Static,
    /// Shared, with gcc's AddressSanitizer and UndefinedBehaviorSanitizer on the C side.
    Asan,
    /// Static, under valgrind's memcheck.
    Valgrind,
}

impl How {
    /// For names of tests and folders.
    pub fn word(self) -> &'static str {
        match self {
            How::Shared => "shared",
            How::Static => "static",
            How::Asan => "asan",
            How::Valgrind => "valgrind",
        }
    }
}

type Built = Arc<OnceLock<PathBuf>>;

/// One way, and what was built for it.
pub struct Kit {
    pub how: How,
    pub folder: PathBuf,
    built: Mutex<HashMap<String, Built>>,
}

pub const STATIC_LIBS: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// bindings-c.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the libraries, built here: cargo does not build a library for tests that cannot link it as Rust.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target();
        must(Command::new(env!("CARGO")).args(["build", "-q", "--lib", "--target-dir"]).arg(target).current_dir(here()));
        target.join("debug")
    })
}

/// The target folder this test was built in.
pub fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// Runs a command that has to succeed; what it said on stdout.
pub fn must(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{command:?}: {}\n{text}{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

/// True when the tool answers `--version`.
pub fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success())
}

impl Kit {
    pub fn new(how: How) -> Kit {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c").join(how.word());
        fs::create_dir_all(&folder).unwrap();
        // Names as installed; the programs find them by rpath.
        for (name, file) in [
            ("libgraceshut.so", "libgraceshut_c.so"),
            ("libgraceshut.so.0", "libgraceshut_c.so"),
            ("libgraceshut.a", "libgraceshut_c.a"),
        ] {
            let link = folder.join(name);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(built().join(file), &link).unwrap();
        }
        Kit { how, folder, built: Mutex::default() }
    }

    /// Why nothing can run this way here.
    pub fn missing(&self) -> Option<&'static str> {
        match self.how {
            How::Valgrind if !has("valgrind") => Some("valgrind is not installed"),
            _ => None,
        }
    }

    /// The program made of tests/c/NAME.c or .cpp, built when first asked for.
    pub fn program(&self, name: &str) -> PathBuf {
        let slot = Arc::clone(self.built.lock().unwrap().entry(name.to_owned()).or_default());
        slot.get_or_init(|| self.compile(name)).clone()
    }

    fn compile(&self, name: &str) -> PathBuf {
        // `c/quickstart` is an example, everything else a test.
        let folder = here().join(if name.contains('/') { "../examples" } else { "tests/c" });
        let source = ["c", "cpp"].map(|e| folder.join(name).with_extension(e)).into_iter().find(|p| p.exists());
        let source = source.unwrap_or_else(|| panic!("no {name}.c or .cpp in {}", folder.display()));
        let out = self.folder.join(name.replace('/', "-"));
        must(compiler(&source).args(self.sanitizer()).arg(&source).arg("-o").arg(&out).args(self.link()));
        out
    }

    fn sanitizer(&self) -> &'static [&'static str] {
        if self.how == How::Asan { &["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"] } else { &[] }
    }

    /// What links a program to the library this way.
    pub fn link(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["-pthread".into(), "-ldl".into(), "-rdynamic".into()];
        if matches!(self.how, How::Static | How::Valgrind) {
            args.push(self.folder.join("libgraceshut.a").into());
            args.extend(STATIC_LIBS.iter().map(OsString::from));
        } else {
            let folder = self.folder.to_str().unwrap();
            args.extend([format!("-L{folder}"), "-lgraceshut".to_owned(), format!("-Wl,-rpath,{folder}")].map(OsString::from));
        }
        args
    }

    /// Where a checker says what it found. With the runner's own pid in it: what a run that was killed has left in this folder
    /// is nobody's finding.
    pub fn log(&self, number: u32) -> PathBuf {
        self.folder.join(format!("log-{}-{number}", std::process::id()))
    }

    /// The command that runs a program this way, and valgrind's log.
    pub fn command(&self, program: &Path, log: &Path) -> Command {
        if self.how == How::Valgrind {
            let mut c = Command::new("valgrind");
            c.args(["-q", "--fair-sched=yes", "--num-callers=30"]).arg(format!("--log-file={}", log.display())).arg(program);
            return c;
        }
        let mut c = Command::new(program);
        if self.how == How::Asan {
            c.env("ASAN_OPTIONS", format!("detect_leaks=0:exitcode=96:log_path={}", log.display()));
        }
        c
    }
}

/// gcc or g++ with the header's own flags: C99, C++17, every warning an error.
pub fn compiler(source: &Path) -> Command {
    let cpp = source.extension().is_some_and(|e| e == "cpp");
    let mut c = Command::new(if cpp { "c++" } else { "cc" });
    c.arg(if cpp { "-std=c++17" } else { "-std=c99" });
    c.args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-I"]).arg(here().join("include"));
    c
}
