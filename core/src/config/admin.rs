//! Where the admin endpoint listens, and what `/prestop` asks of strangers.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::origin::Setting;
use super::walk::Item;
use crate::error::{Error, ErrorKind};

/// Where the admin endpoint listens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum AdminAt {
    /// Nowhere (`"none"`): the default, and how a file or the environment turns off what the program asks for.
    #[default]
    None,
    /// An IP address and a port (`"127.0.0.1:9901"`, `"[::1]:9901"`); port 0 is any free one.
    Tcp(SocketAddr),
    /// A Unix socket (`"unix:/run/app.sock"`); `%p` in the path is the pid.
    Unix(PathBuf),
}

/// A secret; never printed, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of 16 to 256 visible ASCII characters.
    ///
    /// # Errors
    /// [`ErrorKind::BadConfig`]; the message does not repeat the token.
    pub fn new(text: &str) -> Result<Token, Error> {
        if (16..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Token(text.to_owned()));
        }
        Err(Error::new(ErrorKind::BadConfig, "a token is 16 to 256 visible ASCII characters without spaces"))
    }

    /// True for the same token; takes the same time whatever the difference.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let mut differ = usize::from(own.len() != given.len());
        for (i, byte) in own.iter().enumerate() {
            // The index is the own token's, so the time says nothing about where the two part.
            differ |= usize::from(byte ^ given.get(i).copied().unwrap_or(0));
        }
        std::hint::black_box(differ) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Display for AdminAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminAt::None => f.write_str("none"),
            AdminAt::Tcp(at) => write!(f, "{at}"),
            AdminAt::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Item<'_> {
    pub(super) fn admin(&self) -> Result<AdminAt, Error> {
        let text = self.text()?;
        if text == "none" {
            return Ok(AdminAt::None);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(self.bad("the path is missing, as in \"unix:/run/app.sock\""))
            } else {
                Ok(AdminAt::Unix(PathBuf::from(path)))
            };
        }
        text.parse().map(AdminAt::Tcp).map_err(|_| {
            self.bad("this is no place to listen at; write an IP address and a port (\"127.0.0.1:9901\", \"[::1]:9901\"), \"unix:/run/app.sock\" or \"none\"")
        })
    }

    pub(super) fn token(&self) -> Result<Token, Error> {
        let refuse = |e: Error| Error::new(e.kind(), format!("{}: {e}", self.label()));
        Token::new(self.value().as_str().unwrap_or_default()).map_err(refuse)
    }
}

/// The host may change its working directory before the socket is taken away again.
pub(super) fn absolute(admin: Setting<AdminAt>, dir: Option<&Path>) -> Setting<AdminAt> {
    match (admin.value, dir) {
        (AdminAt::Unix(path), Some(dir)) => Setting::new(AdminAt::Unix(dir.join(path)), admin.origin),
        (value, _) => Setting::new(value, admin.origin),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_never_printed_and_compares_whole() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(token.is(b"0123456789abcdef"));
        for other in [&b""[..], b"0123456789abcde", b"0123456789abcdef0", b"0123456789abcdeg", b"0123456789abcde\0"] {
            assert!(!token.is(other), "{other:?}");
        }
        for bad in ["", "short", "with a space in it", "ümlautümlautümlaut", &"x".repeat(257)] {
            let e = Token::new(bad).unwrap_err();
            assert!(bad.is_empty() || !e.message().contains(bad), "{e}");
        }
    }
}
