//! What graceshut weighs: library, memory, import time, packages.

use std::io::{Error, Result};
use std::process::Command;

use crate::Tools;
use crate::process::Running;
use crate::stats::{Limit, Row, missing, row};

const ROUNDS: usize = 21;

/// KiB of a file; a library is stripped into a copy first.
fn file_kib(path: &str, strip: bool) -> Result<f64> {
    let copy = std::env::temp_dir().join(format!("graceshut-bench-{}", std::process::id()));
    std::fs::copy(path, &copy)?;
    if strip && !Command::new("strip").arg(&copy).status()?.success() {
        return Err(Error::other("strip failed"));
    }
    let size = std::fs::metadata(&copy)?.len();
    std::fs::remove_file(&copy)?;
    Ok(size as f64 / 1024.0)
}

pub(crate) fn size_row(tools: &Tools, key: &str, what: &str, limit: Limit) -> Row {
    let Some(path) = tools.get(key) else { return missing(what, "not built") };
    match file_kib(path, path.ends_with(".so")) {
        Ok(kib) => row(what, "KiB", vec![kib], ("", Vec::new()), limit),
        Err(e) => missing(what, &format!("{path}: {e}")),
    }
}

fn memory_row() -> Row {
    let what = "private dirty memory added by install";
    let measure = || -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut ours, mut thread) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            let mut child = Running::start(Command::new(std::env::current_exe()?).args(["child", "memory"]))?;
            let stamps = child.until("stamps")?;
            let mut numbers = stamps.split(' ').filter_map(|s| s.parse::<f64>().ok());
            ours.extend(numbers.next());
            thread.extend(numbers.next());
        }
        Ok((ours, thread))
    };
    match measure() {
        Ok((ours, thread)) => row(what, "KiB", ours, ("one idle std thread", thread), Limit::Value(400.0)),
        Err(e) => missing(what, &e.to_string()),
    }
}

/// Milliseconds that `import graceshut` / `require('graceshut')` takes in a fresh process.
fn import_row(tools: &Tools, language: &str) -> Row {
    let what = format!("import time, {language}");
    let measure = || -> Result<Vec<f64>> {
        (0..ROUNDS)
            .map(|_| {
                let mut command = crate::hosts::script(tools, language, "load")
                    .ok_or_else(|| Error::other(format!("no {language} was given")))?;
                Running::start(&mut command)?.until("ms")?.parse().map_err(Error::other)
            })
            .collect()
    };
    match measure() {
        Ok(ours) => row(&what, "ms", ours, ("", Vec::new()), Limit::Value(3.0)),
        Err(e) => missing(&what, &e.to_string()),
    }
}

/// All of them.
pub fn rows(tools: &Tools) -> Vec<Row> {
    vec![
        size_row(tools, "library", "libgraceshut.so, stripped (no TLS, no wasm)", Limit::Value(1024.0)),
        size_row(tools, "library-tls", "libgraceshut.so, stripped, with TLS", Limit::None),
        size_row(tools, "wheel", "Python wheel", Limit::None),
        size_row(tools, "tarball", "npm tarball", Limit::None),
        size_row(tools, "tarball-addon", "npm tarball of the addon, linux-x64-gnu", Limit::None),
        memory_row(),
        import_row(tools, "python"),
        import_row(tools, "node"),
    ]
}
