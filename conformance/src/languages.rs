//! `languages.toml`: how drivers are found, built and started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// One language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Its table's name.
    #[serde(skip)]
    pub name: String,
    /// Programs that must be on PATH.
    #[serde(default)]
    needs: Vec<String>,
    /// Files that must be there.
    #[serde(default)]
    present: Vec<String>,
    /// How to get them.
    #[serde(default)]
    hint: String,
    /// Commands that make the driver.
    #[serde(default)]
    build: Vec<Vec<String>>,
    /// Where they run.
    build_in: Option<String>,
    /// The command that starts it.
    pub run: Vec<String>,
    /// Variables it needs.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Before a failed hook's message in the report.
    #[serde(default)]
    pub error_prefix: String,
    /// How warnings begin that only this language gives, and the rule that says so: they are no difference between reports.
    #[serde(default)]
    pub own_warnings: BTreeMap<String, String>,
    /// What the host says on stderr when something went wrong in it.
    #[serde(default)]
    pub host_errors: Vec<String>,
    /// What the language does not have, and the rule that says so.
    #[serde(default)]
    pub lacks: BTreeMap<String, String>,
}

/// Reads the file, in the order of `order`; empty: all, in the order of names.
///
/// # Errors
/// Words that name the file, the key or the language.
pub fn read(path: &Path, wanted: &[String]) -> Result<Vec<Language>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut all: BTreeMap<String, Language> = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    for (name, language) in &mut all {
        name.clone_into(&mut language.name);
        if let Some(what) = language.lacks.keys().find(|k| !crate::scenario::NEEDS.contains(&k.as_str())) {
            return Err(format!("{}: {name}.lacks: {what:?} is nothing a scenario can need", path.display()));
        }
    }
    let names: Vec<String> = if wanted.is_empty() { all.keys().cloned().collect() } else { wanted.to_vec() };
    let known: Vec<String> = all.keys().cloned().collect();
    names.iter().map(|n| all.remove(n).ok_or_else(|| format!("no language {n:?}; there are {known:?}"))).collect()
}

impl Language {
    /// Why it cannot be played here, if so.
    #[must_use]
    pub fn missing(&self, root: &Path) -> Option<String> {
        let on_path = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        };
        if let Some(program) = self.needs.iter().find(|p| !on_path(p)) {
            return Some(format!("no {program} on this machine"));
        }
        let missing = self.present.iter().find(|p| !exists(root, p))?;
        Some(format!("{missing} is not there; {}", self.hint))
    }

    /// Builds the driver.
    ///
    /// # Errors
    /// The command and what it said.
    pub fn build(&self, root: &Path) -> Result<(), String> {
        let folder = self.build_in.as_ref().map_or(root.to_owned(), |f| root.join(f));
        for words in &self.build {
            let Some((program, rest)) = words.split_first() else { continue };
            let done = Command::new(program).args(rest).current_dir(&folder).stdin(Stdio::null()).output();
            let done = done.map_err(|e| format!("{program}: {e}"))?;
            if !done.status.success() {
                return Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr)));
            }
        }
        Ok(())
    }

    /// The command that starts it, without what a scenario adds.
    #[must_use]
    pub fn command(&self, root: &Path) -> Command {
        let at_root = |word: &String| {
            let path = root.join(word);
            let inside = word.contains('/') && (path.exists() || path.parent().is_some_and(Path::exists));
            if inside { path } else { PathBuf::from(word) }
        };
        let mut words = self.run.iter().map(at_root);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            let foreign = ["GRACESHUT_", "KUBERNETES_", "NOTIFY_", "INVOCATION_", "NOMAD_", "RUST_BACKTRACE", "PM2_", "pm_"];
            if foreign.iter().any(|p| name.starts_with(p)) {
                command.env_remove(&key);
            }
        }
        command.envs(self.env.iter().map(|(k, v)| (k, at_root(v))));
        command
    }
}

/// `*` is allowed in folders' and files' names, once in each.
fn exists(root: &Path, pattern: &str) -> bool {
    let mut found = vec![root.to_owned()];
    for part in Path::new(pattern).components() {
        let part = part.as_os_str().to_string_lossy().into_owned();
        found = found.into_iter().flat_map(|folder| matching(&folder, &part)).collect();
    }
    !found.is_empty()
}

fn matching(folder: &Path, part: &str) -> Vec<PathBuf> {
    let Some((before, after)) = part.split_once('*') else {
        let path = folder.join(part);
        return if path.exists() { vec![path] } else { Vec::new() };
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let fits = |name: &str| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after);
    entries.filter(|e| fits(&e.file_name().to_string_lossy())).map(|e| e.path()).collect()
}
