//! The manual pages and shell completions in `cli/man` and `cli/completions`: made from the command line's own description, by
//! `UPDATE=1 cargo test -p graceshut-cli --lib generated`, and compared with it otherwise.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

/// A generated file: its path below `cli/`, its text.
fn files() -> Vec<(String, String)> {
    let command = || super::Cli::command().name("graceshut");
    let mut files = Vec::new();
    let mut pages = vec![("graceshut".to_owned(), command())];
    pages.extend(command().get_subcommands().map(|sub| {
        let name = format!("graceshut-{}", sub.get_name());
        // The name in the page is the page's own; clap wants it to live as long as the program.
        (name.clone(), sub.clone().name(name.leak() as &str).version(env!("CARGO_PKG_VERSION")))
    }));
    for (name, page) in pages {
        let mut text = Vec::new();
        clap_mangen::Man::new(page).date("").render(&mut text).unwrap();
        files.push((format!("man/{name}.1"), String::from_utf8(text).unwrap()));
    }
    for (shell, file) in [(Shell::Bash, "graceshut.bash"), (Shell::Zsh, "_graceshut"), (Shell::Fish, "graceshut.fish")] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command(), "graceshut", &mut text);
        files.push((format!("completions/{file}"), String::from_utf8(text).unwrap()));
    }
    files
}

#[test]
#[allow(clippy::panic)]
fn generated_files_are_up_to_date() {
    // With the engine for WebAssembly there is a command more; what is generated is the usual build's.
    if cfg!(feature = "wasm") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, text) in files() {
        let path = root.join(&file);
        if std::env::var_os("UPDATE").is_some_and(|v| !v.is_empty()) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else {
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(written == text, "cli/{file} is not what the command line says; UPDATE=1 writes it");
        }
    }
}

#[test]
fn every_subcommand_teaches() {
    for sub in super::Cli::command().get_subcommands() {
        let after = sub.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        assert!(sub.get_long_about().is_some(), "{}: no long help", sub.get_name());
        assert!(after.contains("Exit status"), "{}: its statuses are not said", sub.get_name());
    }
}
