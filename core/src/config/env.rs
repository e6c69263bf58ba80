//! `GRACESHUT_*` variables: a key each, and the path of the file. Reads what it is given, never the process's environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::options::Options;
use super::read::{SCALARS, read};
use super::time::NumberUnit;
use super::walk::Source;
use crate::error::{Error, ErrorKind, did_you_mean};

const PREFIX: &str = "GRACESHUT_";
/// The variable that names the file.
pub(super) const CONFIG: &str = "GRACESHUT_CONFIG";
/// Variables of other parts of graceshut, and of parts to come.
const RESERVED: &[&str] = &["GRACESHUT_JOURNAL", "GRACESHUT_WASM_CACHE", "GRACESHUT_LOG", "GRACESHUT_RUN_ID"];

/// What the environment says.
#[derive(Default, Debug)]
pub(super) struct Environment {
    pub(super) options: Options,
    pub(super) config: Option<PathBuf>,
}

/// The variable for a key: `grace` is `GRACESHUT_GRACE`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

/// Reads the `GRACESHUT_*` among `vars`; of two with one name the first counts, as for getenv.
///
/// # Errors
/// [`ErrorKind::NotUtf8`] for a value that is no text, [`ErrorKind::BadConfig`] for an unknown variable, and those of
/// [`read`](super::read()); all name the variable.
pub(super) fn from_vars<'a>(vars: impl IntoIterator<Item = &'a (OsString, OsString)>) -> Result<Environment, Error> {
    let mut table = Map::new();
    let mut config = None;
    for (name, value) in vars.into_iter().filter(|(name, _)| name.as_bytes().starts_with(PREFIX.as_bytes())) {
        let shown = name.to_string_lossy();
        let key = name.to_str().and_then(key_of);
        if key.is_none() && (RESERVED.contains(&&*shown) || (shown != CONFIG && is_service_link(&shown))) {
            continue;
        }
        if key.is_none() && shown != CONFIG {
            return Err(unknown(&shown));
        }
        let text = value.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::NotUtf8,
                format!("{shown} is not valid UTF-8 ({:?}); set it to plain text or unset it", value),
            )
        })?;
        match key {
            Some(key) => _ = table.entry(key).or_insert_with(|| Value::String(text.to_owned())),
            None if text.is_empty() => {
                return Err(Error::new(ErrorKind::BadConfig, format!("{CONFIG} is empty; name a file or unset it")));
            }
            None => _ = config.get_or_insert_with(|| PathBuf::from(text)),
        }
    }
    let options = read(&Value::Object(table), NumberUnit::Refused, &Source::Environment)?;
    Ok(Environment { options, config })
}

fn key_of(variable: &str) -> Option<&'static str> {
    SCALARS.iter().copied().find(|key| variable_of(key) == variable)
}

fn unknown(variable: &str) -> Error {
    let known: Vec<String> = SCALARS.iter().map(|key| variable_of(key)).chain([CONFIG.to_owned()]).collect();
    let tables = ["SIGNALS", "PHASES", "HOOK", "HOOKS"];
    let hint = if tables.contains(&&variable[PREFIX.len()..]) {
        "; signals, phases and hooks are tables: put them into graceshut.toml".to_owned()
    } else {
        did_you_mean(variable, known.iter().map(String::as_str))
    };
    Error::new(
        ErrorKind::BadConfig,
        format!("{variable} is no variable of graceshut{hint} (the variables are {})", known.join(", ")),
    )
}

/// Kubernetes and old Docker links put variables for every service into every container: a service called `graceshut` (or
/// `graceshut-…`) must not keep its own pods from starting.
fn is_service_link(variable: &str) -> bool {
    let rest = &variable[PREFIX.len() - 1..];
    let numbered = rest.split_once("_PORT_").is_some_and(|(_, tail)| tail.starts_with(|c: char| c.is_ascii_digit()));
    rest.ends_with("_SERVICE_HOST") || rest.contains("_SERVICE_PORT") || rest.ends_with("_PORT") || numbered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::admin::{AdminAt, Token};
    use super::super::options::{AnnounceDelay, Exit, Leave, NormalGrace, Repeat, ReportTo};
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::time::Duration;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(k, v)| (k.into(), v.into())).collect()
    }

    #[test]
    fn every_scalar_key_has_its_variable() {
        let e = from_vars(&vars(&[
            ("PATH", "/bin"),
            ("GRACESHUT_GRACE", "12s"),
            ("GRACESHUT_GRACE_NORMAL", "none"),
            ("GRACESHUT_ALREADY_SPENT", "1s"),
            ("GRACESHUT_ANNOUNCE_DELAY", "auto"),
            ("GRACESHUT_SERVING", "true"),
            ("GRACESHUT_REPEAT", "interactive"),
            ("GRACESHUT_EXIT", "manual"),
            ("GRACESHUT_EXIT_CODE_CLEAN", "3"),
            ("GRACESHUT_EXIT_CODE_DEGRADED", "4"),
            ("GRACESHUT_EXIT_CODE_FORCED", "5"),
            ("GRACESHUT_EXIT_CAP", "50ms"),
            ("GRACESHUT_LEAVE", "by_itself"),
            ("GRACESHUT_WATCHDOG", "0"),
            ("GRACESHUT_MAX_WORKERS", "7"),
            ("GRACESHUT_REPORT", "fd:3"),
            ("GRACESHUT_SYSTEMD_EXTEND", "1"),
            ("GRACESHUT_INFLIGHT", "false"),
            ("GRACESHUT_HOLD", "true"),
            ("GRACESHUT_ADMIN", "[::1]:9901"),
            ("GRACESHUT_ADMIN_TOKEN", "0123456789abcdef"),
            ("GRACESHUT_PARENT_DEATH", "1"),
            ("GRACESHUT_STDIN_EOF", "0"),
            ("GRACESHUT_CONFIG", "/etc/g.toml"),
            ("GRACESHUT_JOURNAL", "later"),
        ]))
        .unwrap();
        let s = Duration::from_secs;
        let expected = Options {
            grace: Some(s(12)),
            grace_normal: Some(NormalGrace::Unlimited),
            already_spent: Some(s(1)),
            announce_delay: Some(AnnounceDelay::Auto),
            serving: Some(true),
            repeat: Some(Repeat::Interactive),
            exit: Some(Exit::Manual),
            exit_code_clean: Some(3),
            exit_code_degraded: Some(4),
            exit_code_forced: Some(5),
            exit_cap: Some(Duration::from_millis(50)),
            leave: Some(Leave::ByItself),
            watchdog: Some(false),
            max_workers: Some(7),
            report: Some(ReportTo::Fd(3)),
            systemd_extend: Some(true),
            inflight: Some(false),
            hold: Some(true),
            admin: Some(AdminAt::Tcp("[::1]:9901".parse().unwrap())),
            admin_token: Some(Token::new("0123456789abcdef").unwrap()),
            parent_death: Some(true),
            stdin_eof: Some(false),
            ..Options::default()
        };
        assert_eq!(e.options, expected);
        assert_eq!(e.config, Some(PathBuf::from("/etc/g.toml")));
    }

    #[test]
    fn an_unknown_variable_names_the_nearest() {
        let e = from_vars(&vars(&[("GRACESHUT_GRACEE", "1s")])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::BadConfig);
        assert!(e.message().contains("GRACESHUT_GRACEE") && e.message().contains("did you mean \"GRACESHUT_GRACE\""), "{e}");
        let e = from_vars(&vars(&[("GRACESHUT_SIGNALS", "1s")])).unwrap_err();
        assert!(e.message().contains("graceshut.toml"), "{e}");
        assert!(from_vars(&vars(&[("GRACESHUT_grace", "1s")])).is_err());
        assert!(from_vars(&vars(&[("GRACESHUT_", "1s")])).is_err());
    }

    #[test]
    fn bad_values_name_their_variable() {
        for (name, value) in [
            ("GRACESHUT_GRACE", "30"),
            ("GRACESHUT_GRACE", ""),
            ("GRACESHUT_GRACE", "-3s"),
            ("GRACESHUT_GRACE", "NaN"),
            ("GRACESHUT_GRACE", "99999999999999999999h"),
            ("GRACESHUT_MAX_WORKERS", "0"),
            ("GRACESHUT_MAX_WORKERS", "1025"),
            ("GRACESHUT_EXIT_CODE_CLEAN", "256"),
            ("GRACESHUT_WATCHDOG", "yes"),
            ("GRACESHUT_REPEAT", "interactve"),
            ("GRACESHUT_REPORT", "fd:x"),
            ("GRACESHUT_REPORT", "stdrr"),
            ("GRACESHUT_REPORT", "fd:-1"),
            ("GRACESHUT_CONFIG", ""),
            ("GRACESHUT_ADMIN", "localhost:9901"),
            ("GRACESHUT_ADMIN", ":9901"),
            ("GRACESHUT_ADMIN", "9901"),
            ("GRACESHUT_ADMIN", "127.0.0.1:65536"),
            ("GRACESHUT_ADMIN", "unix:"),
            ("GRACESHUT_ADMIN", ""),
            ("GRACESHUT_ADMIN_TOKEN", "short"),
            ("GRACESHUT_STDIN_EOF", "yes"),
            ("GRACESHUT_LEAVE", "itself"),
        ] {
            let e = from_vars(&vars(&[(name, value)])).unwrap_err();
            assert!(e.message().contains(name), "{name}={value}: {e}");
        }
        assert!(from_vars(&vars(&[("GRACESHUT_REPORT", "stdrr")])).unwrap_err().message().contains("\"stderr\""));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused_by_name() {
        let bad = vec![("GRACESHUT_GRACE".into(), OsString::from_vec(vec![0xff, b's']))];
        let e = from_vars(&bad).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotUtf8);
        assert!(e.message().contains("GRACESHUT_GRACE"), "{e}");
        let foreign = vec![("OTHER".into(), OsString::from_vec(vec![0xff]))];
        assert!(from_vars(&foreign).is_ok());
        let name = vec![(OsString::from_vec(b"GRACESHUT_\xff".to_vec()), "1s".into())];
        assert!(from_vars(&name).is_err());
    }

    #[test]
    fn kubernetes_service_variables_are_none_of_ours() {
        let e = from_vars(&vars(&[
            ("GRACESHUT_SERVICE_HOST", "10.0.0.1"),
            ("GRACESHUT_SERVICE_PORT", "80"),
            ("GRACESHUT_SERVICE_PORT_HTTP", "80"),
            ("GRACESHUT_PORT", "tcp://10.0.0.1:80"),
            ("GRACESHUT_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("GRACESHUT_ADMIN_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("GRACESHUT_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ]))
        .unwrap();
        assert_eq!(e.options, Options::default());
        assert!(from_vars(&vars(&[("GRACESHUT_REPORT_", "x")])).is_err());
    }

    #[test]
    fn of_two_with_one_name_the_first_counts() {
        let e = from_vars(&vars(&[("GRACESHUT_GRACE", "1s"), ("GRACESHUT_GRACE", "2s")])).unwrap();
        assert_eq!(e.options.grace, Some(Duration::from_secs(1)));
    }
}
