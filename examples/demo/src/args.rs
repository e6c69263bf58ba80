//! The command line.

/// What to run.
#[derive(Debug, Default)]
pub struct Args {
    /// The `graceshut` command.
    pub graceshut: String,
    /// Where the JSON goes.
    pub out: String,
    /// The WebAssembly hook that every service is given: it takes the service out of the registry.
    pub hook: String,
    /// Language and command, split at spaces.
    pub services: Vec<(String, String)>,
    /// Language and why it cannot be run.
    pub missing: Vec<(String, String)>,
}

impl Args {
    /// Reads the arguments.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut parsed = Args::default();
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let pair = |v: &str| {
                let (a, b) = v.split_once('=').ok_or_else(|| format!("{flag} {v}: write LANG=TEXT"))?;
                Ok::<_, String>((a.to_owned(), b.to_owned()))
            };
            match flag.as_str() {
                "--graceshut" => parsed.graceshut = value,
                "--out" => parsed.out = value,
                "--hook" => parsed.hook = value,
                "--service" => parsed.services.push(pair(&value)?),
                "--missing" => parsed.missing.push(pair(&value)?),
                _ => return Err(format!("unknown option {flag}")),
            }
        }
        if parsed.graceshut.is_empty() || parsed.out.is_empty() || parsed.hook.is_empty() {
            return Err("--graceshut, --out and --hook are needed".to_owned());
        }
        Ok(parsed)
    }
}
