//! One service under `graceshut verify`.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::args::Args;
use crate::registry::Registry;

/// What verify found out about one language.
#[derive(Debug)]
pub struct LanguageResult {
    /// The language.
    pub language: String,
    /// verify's JSON, the service's own report inside.
    pub verdict: Value,
}

impl LanguageResult {
    /// verify's verdict.
    pub fn passed(&self) -> bool {
        self.verdict["passed"] == json!(true)
    }

    /// verify's reasons.
    pub fn failures(&self) -> String {
        let list = self.verdict["failures"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
    }
}

fn free_port() -> std::io::Result<u16> {
    TcpListener::bind("127.0.0.1:0")?.local_addr().map(|a| a.port())
}

/// Runs the service of one language under load and stops it.
pub fn run(args: &Args, registry: &Registry, language: &str, command: &str) -> Result<LanguageResult, String> {
    let port = free_port().map_err(|e| format!("no free port: {e}"))?;
    let folder = Path::new(&args.out).parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let file = folder.join(format!("{language}.json"));
    let config = folder.join(format!("{language}.toml"));
    let written = registry.config(&args.hook, language).and_then(|text| std::fs::write(&config, text));
    written.map_err(|e| format!("{}: {e}", args.hook))?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()));
    let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let status = Command::new(&args.graceshut)
        .args([
            "verify",
            "--connections",
            "16",
            "--after",
            "2s",
            "--grace",
            "10s",
            "--ready",
            &url("readyz"),
            "--load",
            &url("work"),
        ])
        .arg("--json")
        .arg(&file)
        .arg("--")
        .args(command.split_whitespace())
        .env("PORT", port.to_string())
        .env("GRACESHUT_CONFIG", absolute(&config)?)
        .env("GRACESHUT_WASM_CACHE", absolute(&folder.join("wasm-cache"))?)
        .status()
        .map_err(|e| format!("cannot run {}: {e}", args.graceshut))?;
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let verdict = serde_json::from_str(&text).map_err(|_| format!("verify gave no verdict ({status})"))?;
    Ok(LanguageResult { language: language.to_owned(), verdict })
}

/// Writes everything to one file.
pub fn write(path: &str, results: &[LanguageResult], failures: &[String]) -> std::io::Result<()> {
    let services: serde_json::Map<String, Value> = results.iter().map(|r| (r.language.clone(), r.verdict.clone())).collect();
    let all = json!({ "services": services, "failures": failures, "passed": failures.is_empty() });
    std::fs::write(path, format!("{all:#}\n"))
}

/// The timelines side by side, as `graceshut report` draws what [`write`] wrote.
pub fn side_by_side(args: &Args) -> Result<String, String> {
    let done = Command::new(&args.graceshut)
        .args(["report", &args.out])
        .output()
        .map_err(|e| format!("cannot run {}: {e}", args.graceshut))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("graceshut report {}: {}", args.out, String::from_utf8_lossy(&done.stderr)))
}
