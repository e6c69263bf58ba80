//! `graceshut hook new`: the project of every language builds and runs, where its toolchain is on this machine; and then with the
//! source of an example in place of its own. Only the module is built anew for that.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Folder, examples};

/// Says what is missing; in CI nothing may be.
pub fn skipped(missing: &str) {
    println!("skipped: {missing} is not on this machine");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "and this is CI, where nothing may be skipped");
}

pub fn has_tools(tools: &[&str]) -> bool {
    let has =
        |tool: &&str| Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().is_ok_and(|o| o.status.success());
    let missing = tools.iter().find(|t| !has(t));
    missing.inspect(|m| skipped(m)).is_none()
}

/// `make` in that folder.
pub fn make(folder: &Path, args: &[&str]) {
    let made = Command::new("make").arg("-C").arg(folder).args(args).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A project of a language, built.
struct Project {
    folder: Folder,
    name: String,
}

impl Project {
    /// `None` without its toolchain.
    fn new(lang: &str, tools: &[&str]) -> Option<Project> {
        let project = Project { folder: Folder::new(lang), name: format!("my-{lang}") };
        let new = || project.folder.hook(&["new", "--lang", lang, &project.name]);
        let (ok, out, err) = new();
        assert!(ok && out.contains("build it with"), "{err}");
        let (ok, _, err) = new();
        assert!(!ok && err.contains("exists"), "{err}");
        if !has_tools(tools) {
            return None;
        }
        make(&project.path(), &[]);
        Some(project)
    }

    fn path(&self) -> PathBuf {
        self.folder.0.join(&self.name)
    }

    /// The module, for the command.
    fn wasm(&self) -> String {
        format!("{0}/{0}.wasm", self.name)
    }

    fn shape(&self) -> graceshut_wasm::Shape {
        graceshut_wasm::shape(&std::fs::read(self.folder.0.join(self.wasm())).unwrap()).unwrap()
    }

    fn says_hello(self) -> Project {
        let (ok, out, err) = self.folder.hook(&["run", &self.wasm(), "--timeout", "20s"]);
        assert!(ok && out.contains("log: hello from ") && out.contains("outcome: ok"), "{out}{err}");
        self
    }

    /// Built again from an example of `examples/hooks` in place of its `source`.
    fn becomes(self, example: &str, source: &str, args: &[&str]) -> Project {
        let before = std::fs::read(self.folder.0.join(self.wasm())).unwrap();
        std::fs::copy(examples::source(example), self.path().join(source)).unwrap();
        make(&self.path(), args);
        assert!(std::fs::read(self.folder.0.join(self.wasm())).unwrap() != before, "{example} is not what was built");
        self
    }
}

#[test]
fn new_in_wat() {
    let Some(project) = Project::new("wat", &["wat2wasm"]) else { return };
    let example = project.says_hello().becomes("quit.wat", "hook.wat", &[]);
    examples::quits_a_sidecar(&example.folder, &example.wasm());
}

#[test]
fn new_in_c() {
    let Some(project) = Project::new("c", &["clang", "wasm-ld"]) else { return };
    let example = project.says_hello().becomes("deregister.c", "hook.c", &[]);
    examples::takes_out_by_one_request(&example.folder, &example.wasm());
}

#[test]
fn new_in_assemblyscript() {
    let Some(project) = Project::new("assemblyscript", &["npm"]) else { return };
    let example = project.says_hello().becomes("deregister.ts", "hook.ts", &[]);
    examples::asks_one_node_after_another(&example.folder, &example.wasm());
}

#[test]
fn new_in_js() {
    let Some(project) = Project::new("js", &["npm"]) else { return };
    // Half a minute for each in a compiler that is not optimised itself: only the example is run.
    let shape = project.shape();
    assert!(shape.entry == graceshut_wasm::Entry::Component && shape.needs.is_empty(), "{shape:?}");
    let example = project.becomes("deregister.js", "hook.js", &["WORLD=hook-with-http"]);
    assert_eq!(example.shape().needs, ["http"]);
    examples::takes_every_instance_out_of_consul(&example.folder, &example.wasm());
}

#[test]
fn new_in_python() {
    // 18 MB: minutes for a compiler that is not optimised itself, as with Go.
    let Some(project) = Project::new("python", &["python3"]) else { return };
    let shape = project.shape();
    assert!(shape.entry == graceshut_wasm::Entry::Component && shape.needs.is_empty(), "{shape:?}");
    assert!(shape.memory <= graceshut_wasm::DEFAULT_MEMORY, "{shape:?}");
}

#[test]
fn new_in_go() {
    // 3 MB of machine code are minutes for a compiler that is not optimised itself: built and looked at, not run.
    let Some(project) = Project::new("go", &["go"]) else { return };
    let sound = |project: Project| {
        let shape = project.shape();
        assert!(shape.initialize && shape.entry == graceshut_wasm::Entry::Run, "{shape:?}");
        assert_eq!(shape.needs, ["clock", "random"]);
        project
    };
    let example = sound(sound(project).becomes("state.go", "hook.go", &[]));
    let imports = example.shape().imports;
    for (module, name) in [("graceshut_v1", "context_read"), ("wasi_snapshot_preview1", "path_rename")] {
        assert!(imports.iter().any(|(m, n)| m == module && n == name), "{module}.{name}: {imports:?}");
    }
}

/// A compiler of Rust with a target of WASI: the one cargo uses, where rustup gave it one, or Debian's (libstd-rust-dev-wasm32).
fn rust_for_wasi() -> Option<(&'static str, &'static str)> {
    let has = |rustc: &str, target: &str| {
        let out = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
        out.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir())
    };
    let found =
        [("rustc", "wasm32-wasip1"), ("/usr/bin/rustc", "wasm32-wasi")].into_iter().find(|(rustc, target)| has(rustc, target));
    if found.is_none() {
        skipped("a Rust compiler with a target of WASI");
    }
    found
}

#[test]
fn new_in_rust() {
    let folder = Folder::new("rust");
    assert!(folder.hook(&["new", "--lang", "rust", "my-hook"]).0);
    let manifest = std::fs::read_to_string(folder.0.join("my-hook/Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"my-hook\"") && manifest.contains("crate-type = [\"cdylib\"]"));
    let (ok, _, err) = folder.hook(&["new", "--lang", "c", "a b"]);
    assert!(!ok && err.contains("letters, digits"), "{err}");
    let Some((rustc, target)) = rust_for_wasi() else { return };
    // Not by the project's Makefile: Debian's compiler is older than any cargo that would call it. The options are its Cargo.toml's.
    let compile = |source: &Path, wasm: &str| {
        let mut compiler = Command::new(rustc);
        compiler.args(["--edition", "2021", "--crate-type", "cdylib", "--target", target]);
        for option in ["opt-level=s", "lto", "panic=abort", "strip=debuginfo", "linker=wasm-ld", "linker-flavor=wasm-ld"] {
            compiler.args(["-C", option]);
        }
        compiler.arg("-o").arg(wasm).arg(source).current_dir(&folder.0).env_remove("LD_LIBRARY_PATH");
        let made = compiler.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    compile(Path::new("my-hook/lib.rs"), "my-hook.wasm");
    let (ok, out, err) = folder.hook(&["run", "my-hook.wasm", "--timeout", "20s"]);
    assert!(ok && out.contains("log: hello from my-hook") && out.contains("outcome: ok"), "{out}{err}");
    compile(&examples::source("spool.rs"), "spool.wasm");
    examples::moves_spooled_files(&folder, "spool.wasm");
}
