//! Options as getopt_long reads them, which is what the users of the four programs are used to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a program understands.
pub struct Spec {
    /// As for getopt: a letter each, `:` behind those with a value.
    pub short: &'static str,
    /// Name, whether it takes a value, and the letter it stands for.
    pub long: &'static [(&'static str, bool, char)],
    /// Options behind the first word that is none are options too, unless POSIXLY_CORRECT is set.
    pub permute: bool,
}

/// What was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    pub options: Vec<(char, Option<OsString>)>,
    pub rest: Vec<OsString>,
}

/// Reads `words` (without the program's own name). The error is what getopt would say behind the program's name.
pub fn read(spec: &Spec, words: impl IntoIterator<Item = OsString>) -> Result<Given, String> {
    let permute = spec.permute && std::env::var_os("POSIXLY_CORRECT").is_none();
    let mut words = words.into_iter();
    let mut given = Given { options: Vec::new(), rest: Vec::new() };
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        } else if let Some(name) = bytes.strip_prefix(b"--") {
            let option = long(spec, name, &mut words)?;
            given.options.push(option);
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            cluster(spec, &bytes[1..], &mut words, &mut given.options)?;
        } else {
            given.rest.push(word);
            if !permute {
                break;
            }
        }
    }
    given.rest.extend(words);
    Ok(given)
}

fn long(spec: &Spec, word: &[u8], words: &mut impl Iterator<Item = OsString>) -> Result<(char, Option<OsString>), String> {
    let (name, value) = match word.iter().position(|b| *b == b'=') {
        Some(at) => (&word[..at], Some(OsString::from_vec(word[at + 1..].to_vec()))),
        None => (word, None),
    };
    let shown = String::from_utf8_lossy(name);
    let like: Vec<_> = spec.long.iter().filter(|(n, ..)| n.as_bytes().starts_with(name)).collect();
    let exact = like.iter().find(|(n, ..)| n.as_bytes() == name).copied();
    let (_, takes, letter) = match (exact, like.as_slice()) {
        (Some(one), _) => one,
        (None, [one]) => one,
        (None, []) => return Err(format!("unrecognized option '--{shown}'")),
        _ => return Err(format!("option '--{shown}' is ambiguous")),
    };
    match (takes, value) {
        (false, Some(_)) => Err(format!("option '--{shown}' doesn't allow an argument")),
        (false, None) => Ok((*letter, None)),
        (true, Some(value)) => Ok((*letter, Some(value))),
        (true, None) => {
            let value = words.next().ok_or_else(|| format!("option '--{shown}' requires an argument"))?;
            Ok((*letter, Some(value)))
        }
    }
}

fn cluster(
    spec: &Spec,
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    options: &mut Vec<(char, Option<OsString>)>,
) -> Result<(), String> {
    for (at, byte) in letters.iter().enumerate() {
        let letter = char::from(*byte);
        let known = spec.short.find(letter).filter(|_| letter != ':');
        let Some(place) = known else { return Err(format!("invalid option -- '{letter}'")) };
        if !spec.short[place + 1..].starts_with(':') {
            options.push((letter, None));
            continue;
        }
        let attached = &letters[at + 1..];
        let value = if attached.is_empty() { words.next() } else { Some(OsStr::from_bytes(attached).to_owned()) };
        let value = value.ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
        options.push((letter, Some(value)));
        break;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SPEC: Spec =
        Spec { short: "vk:c", long: &[("verbose", false, 'v'), ("version", false, 'V'), ("kill", true, 'k')], permute: true };

    fn given(words: &[&str], permute: bool) -> Result<(String, Vec<OsString>), String> {
        let spec = Spec { permute, ..SPEC };
        let g = read(&spec, words.iter().map(OsString::from))?;
        let one = |(c, v): &(char, Option<OsString>)| {
            v.as_ref().map_or_else(|| c.to_string(), |v| format!("{c}={}", v.to_string_lossy()))
        };
        Ok((g.options.iter().map(one).collect::<Vec<_>>().join(" "), g.rest))
    }

    #[test]
    fn short_long_attached_abbreviated_and_permuted() {
        let rest = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(given(&["-vc", "-k5", "a", "-v"], false), Ok(("v c k=5".into(), rest(&["a", "-v"]))));
        assert_eq!(given(&["a", "-v", "--", "-c"], true), Ok(("v".into(), rest(&["a", "-c"]))));
        assert_eq!(given(&["--kill=5", "--verb", "--kill", "6", "x"], false), Ok(("k=5 v k=6".into(), rest(&["x"]))));
        assert_eq!(given(&["-"], false), Ok((String::new(), rest(&["-"]))));
        assert!(given(&["--ver"], false).unwrap_err().contains("ambiguous"));
        assert!(given(&["--verbose=1"], false).unwrap_err().contains("doesn't allow"));
        assert!(given(&["-z"], false).unwrap_err().contains("invalid option -- 'z'"));
        assert!(given(&["-k"], false).unwrap_err().contains("requires"));
        assert!(given(&["--kill"], false).unwrap_err().contains("requires"));
    }
}
