//! `graceshut hook new`: a project that builds, in the languages whose toolchains make core modules or components.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

#[derive(clap::Args)]
pub struct Args {
    /// The language.
    #[arg(long, value_enum)]
    lang: Lang,
    /// The folder to make; its last part is the hook's name.
    name: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lang {
    Wat,
    C,
    Rust,
    Assemblyscript,
    Go,
    Js,
    Python,
}

/// Files of a project: name and text. `@NAME@` is the hook's name.
type Files = &'static [(&'static str, &'static str)];

/// What a component imports and exports.
const WORLD: (&str, &str) = ("hook.wit", graceshut_wasm::WIT);

macro_rules! template {
    ($folder:literal, $($name:literal),+ $(; $other:expr)?) => {
        &[$(($name, include_str!(concat!("../../templates/hook/", $folder, "/", $name, ".in"))),)+ $($other)?]
    };
}

fn files(lang: Lang) -> Files {
    match lang {
        Lang::Wat => template!("wat", "hook.wat", "Makefile"),
        Lang::C => template!("c", "hook.c", "graceshut_v1.h", "Makefile"),
        Lang::Rust => template!("rust", "Cargo.toml", "lib.rs", "Makefile"),
        Lang::Assemblyscript => template!("assemblyscript", "package.json", "hook.ts", "Makefile"),
        Lang::Go => template!("go", "go.mod", "hook.go", "Makefile"),
        Lang::Js => template!("js", "package.json", "hook.js", "Makefile"; WORLD),
        Lang::Python => template!("python", "hook.py", "Makefile"; WORLD),
    }
}

/// Writes the project; refuses a folder that is there already.
pub fn run(args: &Args) -> Result<(), String> {
    let name = args.name.file_name().and_then(|n| n.to_str()).filter(|n| sound(n));
    let name = name.ok_or_else(|| format!("{}: a name is of letters, digits, '-' and '_'", args.name.display()))?;
    let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir(&args.name).map_err(|e| failed(&args.name, e))?;
    for (file, text) in files(args.lang) {
        let path = args.name.join(file);
        std::fs::write(&path, text.replace("@NAME@", name)).map_err(|e| failed(&path, e))?;
    }
    println!("{0}: build it with `make -C {0}`, then `graceshut hook run {0}/{name}.wasm`", args.name.display());
    Ok(())
}

fn sound(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
