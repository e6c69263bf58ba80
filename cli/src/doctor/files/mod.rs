//! Deployment files: which kind each is, and what is found in it.

mod command;
mod compose;
mod docker;
mod ini;
mod kube;
mod place;
mod procfile;
mod script;
mod servers;
mod shell;
mod supervisord;
mod systemd;
mod uwsgi;
mod yaml;

use super::finding::Finding;
use graceshut::format_duration;
use place::Grace;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A larger file is none of these.
const LIMIT: u64 = 4 * 1024 * 1024;
/// Folders of others.
const SKIPPED: &[&str] = &["node_modules", "target", "vendor", "__pycache__"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Docker,
    Compose,
    Kube,
    Systemd,
    Supervisord,
    Uwsgi,
    Procfile,
    Script,
}

/// A file under examination, and what was found in it so far.
struct Sheet<'a> {
    file: String,
    path: &'a Path,
    text: &'a str,
    findings: Vec<Finding>,
}

impl Sheet<'_> {
    /// Notes a finding, unless a comment there silences its code.
    fn say(&mut self, code: &'static str, line: usize, why: impl Into<String>, fix: impl Into<String>) {
        if !silenced(self.text, line, code) {
            self.findings.push(Finding { code, file: self.file.clone(), line, why: why.into(), fix: fix.into() });
        }
    }

    /// The program was told of `counts`, and has less.
    fn plans_longer(&mut self, counts: Duration, grace: &Grace, line: usize, fix: String) {
        let (counts, has) = (format_duration(counts), format_duration(grace.time));
        let why = format!("graceshut plans with {counts} (GRACESHUT_GRACE), and KILL comes after {has} ({})", grace.origin);
        self.say("plan-grace", line, why, fix);
    }
}

/// `# graceshut: ignore=a,b` at the end of the line, or in the comment above it.
fn silenced(text: &str, line: usize, code: &str) -> bool {
    let says = |l: &str| {
        let list = l.split_once("graceshut: ignore=").map_or("", |(_, codes)| codes.split_whitespace().next().unwrap_or(""));
        list.split(',').any(|c| c == code)
    };
    let lines: Vec<&str> = text.lines().collect();
    let at = |n: usize| n.checked_sub(1).and_then(|i| lines.get(i)).copied().unwrap_or_default();
    let comment = |l: &str| l.trim_start().starts_with(['#', ';']);
    says(at(line)) || (1..line).rev().take_while(|n| comment(at(*n))).any(|n| says(at(n)))
}

/// Everything found in the files, and a message for each that cannot be examined.
pub fn examine(paths: &[PathBuf]) -> (Vec<Finding>, Vec<String>) {
    let (mut findings, mut failures) = (Vec::new(), Vec::new());
    for path in paths {
        let mut files = Vec::new();
        let folder = path.is_dir();
        if folder {
            walk(path, &mut files);
            if files.is_empty() {
                failures.push(format!(
                    "{}: no file in this folder is of a known kind; name a file to examine it by its content",
                    path.display()
                ));
            }
        } else {
            files.push(path.clone());
        }
        for file in files {
            match one(&file, folder) {
                Ok(found) => findings.extend(found),
                Err(message) => failures.push(message),
            }
        }
    }
    // An entrypoint script may be named itself and by its Dockerfile.
    let mut seen: Vec<Finding> = Vec::new();
    for f in findings {
        if !seen.contains(&f) {
            seen.push(f);
        }
    }
    (seen, failures)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                walk(&path, files);
            }
        } else if may_be(&name) {
            files.push(path);
        }
    }
}

/// Worth a look, by its name.
fn may_be(name: &str) -> bool {
    by_name(name).is_some() || [".yaml", ".yml", ".ini", ".conf"].iter().any(|e| name.ends_with(e))
}

fn by_name(name: &str) -> Option<Kind> {
    let lower = name.to_ascii_lowercase();
    let begins = |p: &str| lower == p || lower.starts_with(&format!("{p}."));
    if begins("dockerfile") || begins("containerfile") || lower.ends_with(".dockerfile") {
        return Some(Kind::Docker);
    }
    if name == "Procfile" || name.starts_with("Procfile.") {
        return Some(Kind::Procfile);
    }
    if lower.ends_with(".service") {
        return Some(Kind::Systemd);
    }
    if lower.ends_with(".sh") && lower.contains("entrypoint") {
        return Some(Kind::Script);
    }
    None
}

fn one(path: &Path, of_folder: bool) -> Result<Vec<Finding>, String> {
    let shown = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let text = read(path).map_err(|e| cannot_read(&shown, &e))?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut sheet = Sheet { file: shown.clone(), path, text: &text, findings: Vec::new() };
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let kind = by_name(&name).or_else(|| ini::kind(&text));
    match kind {
        Some(Kind::Docker) => docker::check(&mut sheet),
        Some(Kind::Procfile) => procfile::check(&mut sheet),
        Some(Kind::Systemd) => systemd::check(&mut sheet),
        Some(Kind::Supervisord) => supervisord::check(&mut sheet),
        Some(Kind::Uwsgi) => uwsgi::check(&mut sheet),
        Some(Kind::Script) => script::check(&mut sheet),
        _ => {
            let documents = match yaml::parse(&text) {
                Ok(documents) => documents,
                Err(_) if !is_yaml && of_folder => return Ok(Vec::new()),
                Err(e) if !is_yaml => return Err(unknown(&shown, &text, Some(&e))),
                Err(e) => return Err(not_yaml(&shown, &text, &e)),
            };
            match yaml_kind(&documents) {
                Some(Kind::Compose) => documents.iter().for_each(|d| compose::check(&mut sheet, d)),
                Some(_) => documents.iter().for_each(|d| kube::check(&mut sheet, d)),
                None if of_folder => {}
                None => return Err(unknown(&shown, &text, None)),
            }
        }
    }
    sheet.findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(sheet.findings)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LIMIT).read_to_string(&mut text)?;
    } else {
        fs::File::open(path)?.take(LIMIT).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn cannot_read(shown: &str, e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => format!("{shown}: there is no such file; name a Dockerfile, a manifest or a folder"),
        io::ErrorKind::PermissionDenied => format!("{shown}: no permission to read it; run as its owner"),
        io::ErrorKind::InvalidData => format!("{shown} is not text"),
        _ => format!("{shown}: {e}"),
    }
}

fn not_yaml(shown: &str, text: &str, e: &str) -> String {
    let hint = template(text).unwrap_or("; mend it there, `graceshut doctor` needs the whole file");
    format!("{shown} is not YAML: {e}{hint}")
}

/// What to do about a chart's template.
fn template(text: &str) -> Option<&'static str> {
    text.contains("{{").then_some("; it looks like a template: render it first, like `helm template . | graceshut doctor -`")
}

fn unknown(shown: &str, text: &str, yaml: Option<&str>) -> String {
    let why = yaml.map_or(String::new(), |e| format!(" (and no YAML: {e})"));
    let hint = template(text).unwrap_or_default();
    format!(
        "{shown}: what kind of file this is cannot be told{why}; known are Dockerfile, compose and Kubernetes YAML, *.service, \
         supervisord.conf, uwsgi.ini, Procfile and *entrypoint*.sh{hint}"
    )
}

fn yaml_kind(documents: &[yaml::Node]) -> Option<Kind> {
    if documents.iter().any(|d| d.get("apiVersion").is_some() && d.get("kind").is_some()) {
        return Some(Kind::Kube);
    }
    documents.iter().any(|d| d.get("services").is_some_and(|s| s.is_map())).then_some(Kind::Compose)
}
