//! What the shared library shows and needs (embedding G48).

use std::path::Path;
use std::process::Command;

use crate::Test;
use crate::kit::{built, here, must};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("exports_only_what_the_header_has", |_| exports(&built().join("libgraceshut_c.so"))),
        Test::new("soname_needs_and_bindings", |_| links(&built().join("libgraceshut_c.so"))),
        Test::new("a_foreign_export_is_seen", |k| {
            // The check itself has to fail on a library that exports more.
            let (source, library) = (k.folder.join("foreign.c"), k.folder.join("libforeign.so"));
            std::fs::write(
                &source,
                "int graceshut_install(void) { return 0; }\nint stray(void) { return graceshut_install(); }\n",
            )
            .unwrap();
            must(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source));
            assert_eq!(foreign(&names(&library)), ["stray"]);
            assert!(!own_relocations(&library).is_empty(), "a call that can be interposed went unseen");
        }),
    ]
}

fn names(library: &Path) -> Vec<String> {
    let text = must(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    text.lines().filter_map(|l| l.split_whitespace().last()).map(|n| n.split('@').next().unwrap().to_owned()).collect()
}

fn foreign(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).filter(|n| !n.starts_with("graceshut_")).collect()
}

/// Exactly the functions of the header, and nothing else.
pub fn exports(library: &Path) {
    let header = std::fs::read_to_string(here().join("include/graceshut.h")).unwrap();
    let mut exported = names(library);
    assert_eq!(foreign(&exported), [] as [&str; 0], "exported beside graceshut_*");
    let mut declared: Vec<String> = header
        .lines()
        .filter(|l| !l.starts_with([' ', '#', '/']) && !l.starts_with("static") && !l.starts_with("typedef"))
        .filter_map(|l| l.split_once('(').map(|(before, _)| before))
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("graceshut_"))
        .map(str::to_owned)
        .collect();
    exported.sort();
    declared.sort();
    assert_eq!(exported, declared, "exported and declared differ");
}

/// The soname, the libraries it needs, and that nobody's symbol can get into its own calls.
pub fn links(library: &Path) {
    let dynamic = must(Command::new("readelf").arg("-dW").arg(library));
    assert!(dynamic.contains("soname: [libgraceshut.so.0]"), "{dynamic}");
    let needed: Vec<&str> =
        dynamic.lines().filter(|l| l.contains("(NEEDED)")).filter_map(|l| l.split('[').nth(1)?.split(']').next()).collect();
    for library in &needed {
        let known = ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "libm.so.6", "libpthread.so.0", "libdl.so.2"];
        assert!(known.contains(library), "needs {library} of {needed:?}");
    }
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    let own = own_relocations(library);
    assert!(own.is_empty(), "own symbols are bound at run time and could be interposed: {own:?}");
}

fn own_relocations(library: &Path) -> Vec<String> {
    let relocations = must(Command::new("readelf").arg("-rW").arg(library));
    relocations.lines().filter(|l| l.contains("graceshut_")).map(str::to_owned).collect()
}
