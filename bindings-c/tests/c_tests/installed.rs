//! `make install` into an empty place, and programs outside the tree built from nothing but what it put there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libc::SIGTERM;

use crate::Test;
use crate::child::spawn;
use crate::kit::{How, Kit, STATIC_LIBS, has, here, must, target};
use crate::symbols;

const MIB: u64 = 1024 * 1024;
/// The stripped library (no TLS, no wasm) may not grow past this: 1 MiB and what knowing who leaves first took (spec 6.6).
const GOAL: u64 = MIB + MIB / 32;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("install_puts_files_where_they_belong", |_| {
            let p = prefix();
            let version = env!("CARGO_PKG_VERSION");
            for file in [
                "include/graceshut.h",
                "include/graceshut.hpp",
                &format!("lib/libgraceshut.so.{version}"),
                "lib/libgraceshut.a",
                "lib/pkgconfig/graceshut.pc",
                "lib/cmake/graceshut/graceshutConfig.cmake",
                "lib/cmake/graceshut/graceshutConfigVersion.cmake",
            ] {
                assert!(p.join(file).is_file(), "no {file}");
            }
            assert_eq!(
                fs::read_link(p.join("lib/libgraceshut.so.0")).unwrap(),
                Path::new(&format!("libgraceshut.so.{version}"))
            );
            assert_eq!(fs::read_link(p.join("lib/libgraceshut.so")).unwrap(), Path::new("libgraceshut.so.0"));
        }),
        Test::new("the_installed_library_is_small_and_shows_nothing_else", |_| {
            let library = prefix().join("lib/libgraceshut.so.0");
            symbols::exports(&library);
            symbols::links(&library);
            let size = fs::metadata(&library).unwrap().len();
            println!(
                "size    libgraceshut.so, release, stripped, http without TLS: {size} bytes ({:.3} MiB)",
                size as f64 / MIB as f64
            );
            assert!(size <= GOAL, "{size} bytes: {} over the goal of 1.03 MiB", size.saturating_sub(GOAL));
        }),
        Test::new("destdir", |_| {
            let stage = fresh("stage");
            install("/opt/graceshut", Some(&stage));
            let pc = fs::read_to_string(stage.join("opt/graceshut/lib/pkgconfig/graceshut.pc")).unwrap();
            assert!(pc.contains("prefix=/opt/graceshut") && !pc.contains("stage") && !pc.contains('@'), "{pc}");
            make(&["uninstall", "PREFIX=/opt/graceshut", &format!("DESTDIR={}", stage.display())]);
            let left = must(Command::new("find").arg(&stage).args(["-type", "f"]));
            assert!(left.is_empty(), "uninstall leaves {left}");
        }),
        Test::new("outside_the_tree_by_pkg_config", |k| by_pkg_config(k, false)),
        Test::new("outside_the_tree_by_pkg_config_static", |k| by_pkg_config(k, true)),
        Test::new("outside_the_tree_by_cmake", by_cmake),
        Test::new("static_libs_are_what_rustc_says", |_| {
            // Said in the Makefile and here; a new dependency of the library would show up as a link error above.
            let makefile = fs::read_to_string(here().join("Makefile")).unwrap();
            assert!(makefile.contains(&format!("static_libs := {}", STATIC_LIBS.join(" "))));
        }),
    ]
}

fn fresh(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("graceshut-c-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn make(args: &[&str]) {
    let makefile = here().join("Makefile");
    must(
        Command::new("make")
            .arg("-s")
            .arg("-f")
            .arg(makefile)
            .args(args)
            .env("CARGO_TARGET_DIR", target().join("plain")) // as `make c-library`
            .env_remove("MAKEFLAGS"),
    );
}

fn install(prefix: &str, stage: Option<&Path>) {
    let destdir = format!("DESTDIR={}", stage.map_or(String::new(), |s| s.display().to_string()));
    make(&["install", &format!("PREFIX={prefix}"), &destdir]);
}

/// One install for all tests, in a folder of its own outside the tree.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let p = fresh("prefix");
        install(p.to_str().unwrap(), None);
        p
    })
}

const PROGRAM: &str = r#"
#include <graceshut.h>
#include <stdio.h>
#include <unistd.h>
static int bye(graceshut_ctx *ctx, void *data) { (void)ctx; (void)data; return write(1, "bye\n", 4) != 4; }
int main(void)
{
    graceshut_t *gs;
    int code = 1;
    alarm(60);
    if (graceshut_install(NULL, &gs) != GRACESHUT_OK) { puts(graceshut_last_error()); return 1; }
    graceshut_hook(gs, "final", "bye", bye, NULL, NULL, NULL, NULL);
    puts("ready");
    fflush(stdout);
    graceshut_wait(gs, GRACESHUT_FOREVER, &code);
    return code;
}
"#;

fn runs(k: &Kit, program: &Path, library_path: Option<&Path>) {
    let mut command = Command::new(program);
    command.env("GRACESHUT_REPORT", "none");
    if let Some(path) = library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    let log = k.folder.join("no-log");
    spawn(command, How::Shared, &program.display().to_string(), log.clone(), log)
        .ready()
        .kill(SIGTERM)
        .end()
        .code(0)
        .said(&["bye"]);
}

fn by_pkg_config(k: &Kit, is_static: bool) {
    let folder = fresh(if is_static { "pc-static" } else { "pc" });
    let mut place = prefix().to_owned();
    let mut flags = vec!["--cflags", "--libs"];
    if is_static {
        // A prefix with the archive alone, as a static-only package has it.
        place = folder.join("prefix");
        install(place.to_str().unwrap(), None);
        for name in ["libgraceshut.so", "libgraceshut.so.0", concat!("libgraceshut.so.", env!("CARGO_PKG_VERSION"))] {
            fs::remove_file(place.join("lib").join(name)).unwrap();
        }
        flags.push("--static");
    }
    let said =
        must(Command::new("pkg-config").args(&flags).arg("graceshut").env("PKG_CONFIG_PATH", place.join("lib/pkgconfig")));
    fs::write(folder.join("main.c"), PROGRAM).unwrap();
    must(Command::new("cc").args(["-o", "main", "main.c"]).args(said.split_whitespace()).current_dir(&folder));
    let dynamic = must(Command::new("readelf").arg("-dW").arg(folder.join("main")));
    assert_eq!(dynamic.contains("libgraceshut.so.0"), !is_static, "{dynamic}");
    runs(k, &folder.join("main"), (!is_static).then_some(place.join("lib").as_path()));
    let version = must(
        Command::new("pkg-config").args(["--modversion", "graceshut"]).env("PKG_CONFIG_PATH", place.join("lib/pkgconfig")),
    );
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    let _ = fs::remove_dir_all(&folder);
}

fn by_cmake(k: &Kit) {
    assert!(has("cmake"), "cmake is not installed");
    let folder = fresh("cmake");
    fs::write(folder.join("main.c"), PROGRAM).unwrap();
    fs::write(
        folder.join("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.13)\nproject(outside C)\nfind_package(graceshut 0.1 REQUIRED)\n\
         add_executable(shared main.c)\ntarget_link_libraries(shared graceshut::graceshut)\n\
         add_executable(archive main.c)\ntarget_link_libraries(archive graceshut::static)\n",
    )
    .unwrap();
    let prefix = format!("-DCMAKE_PREFIX_PATH={}", prefix().display());
    must(Command::new("cmake").args(["-S", ".", "-B", "build", &prefix]).current_dir(&folder));
    must(Command::new("cmake").args(["--build", "build"]).current_dir(&folder));
    runs(k, &folder.join("build/shared"), None);
    runs(k, &folder.join("build/archive"), None);
    // Another minor version is refused before 1.0.
    let wrong = fs::read_to_string(folder.join("CMakeLists.txt")).unwrap().replace("graceshut 0.1 ", "graceshut 0.2 ");
    fs::write(folder.join("CMakeLists.txt"), wrong).unwrap();
    let out = Command::new("cmake").args(["-S", ".", "-B", "other", &prefix]).current_dir(&folder).output().unwrap();
    assert!(!out.status.success(), "version 0.2 was accepted");
    let _ = fs::remove_dir_all(&folder);
}
