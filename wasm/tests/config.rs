//! A hook with no code at all: `[[hook]] wasm` in graceshut.toml, and the JSON that bindings send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::wat;
use graceshut::config::{NumberUnit, hook_from_json};
use graceshut::{ErrorKind, Exit, Options, ReportTo};

#[test]
fn a_file_registers_wasm_and_json_does_too() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wasm-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let hook = folder.join("hook.wasm");
    let text = r#"(module (import "graceshut_v1" "context_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "graceshut_v1" "set_error" (func $error (param i32 i32))) (memory (export "memory") 1)
        (data (i32.const 0) "config.id")
        (func (export "run") (param i32) (result i32) (local $n i32)
          (local.set $n (call $read (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 64)))
          (call $error (i32.const 64) (local.get $n)) (i32.const 5)))"#;
    std::fs::write(&hook, wat(text)).unwrap();
    let toml = folder.join("graceshut.toml");
    let path = hook.display();
    std::fs::write(
        &toml,
        format!(
            "[[hook]]\nphase = \"flush\"\nname = \"file\"\ntimeout = \"5s\"\noptional = true\n\
             wasm = {{ path = \"{path}\", config = {{ id = \"from the file\" }} }}\n"
        ),
    )
    .unwrap();
    // SAFETY: the only test of this binary, and no other thread reads the environment yet.
    unsafe { std::env::set_var("GRACESHUT_CONFIG", &toml) };
    common::cache_folder();
    let options = || Options { exit: Some(Exit::Manual), report: Some(ReportTo::None), ..Options::default() };

    let refused = graceshut::install(options()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "nobody here runs WebAssembly yet: {refused}");

    graceshut_wasm::enable();
    let gs = graceshut::install(options()).unwrap();
    let json = |spec: &str| gs.declare(&hook_from_json(spec, NumberUnit::Micros)?);
    json(&format!(r#"{{"phase": "flush", "optional": true, "wasm": {{"path": "{path}", "config": {{"id": "JSON"}}}}}}"#))
        .unwrap();
    json(&format!(r#"{{"phase": "close", "name": "bare", "optional": true, "wasm": "{path}"}}"#)).unwrap();
    let e = json(&format!(r#"{{"phase": "flush", "wasm": {{"path": "{path}", "dir": "/"}}}}"#)).unwrap_err();
    assert!(e.kind() == ErrorKind::BadConfig && e.message().contains("unknown field `dir`"), "{e}");
    let e = json(r#"{"phase": "flush", "wasm": "/does/not/exist"}"#).unwrap_err();
    assert!(e.kind() == ErrorKind::Os && e.message().contains("/does/not/exist"), "{e}");

    gs.stop("test", None).unwrap();
    let report = gs.wait(Some(common::SECOND * 30)).unwrap().report;
    let hooks: Vec<_> = report.phases.iter().flat_map(|p| &p.hooks).filter(|h| h.kind == "wasm").collect();
    // Without a name it has its file's.
    let stem = hook.file_stem().unwrap().to_str().unwrap();
    let said: Vec<_> = hooks.iter().map(|h| (h.name.as_str(), h.message.as_deref().unwrap())).collect();
    assert_eq!(said[..2], [("file", "returned 5: from the file"), (stem, "returned 5: JSON")]);
    // -1, "nothing of that name", taken for a length.
    assert!(said[2].0 == "bare" && said[2].1.starts_with("set_error: the text at 64, 4294967295 bytes"), "{said:?}");
    gs.uninstall().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
