//! An amount of time as a plan states it: `10s`, `25%`, `min(25%, 60s)` or `rest`.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Thousandths of a percent in the whole: the resolution of a share.
const WHOLE: u32 = 100_000;

/// A duration, a percentage of the budget B, the smaller of both, or all there is (`rest`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amount {
    share: Option<u32>,
    at_most: Option<Duration>,
}

impl Amount {
    /// All there is.
    pub const REST: Amount = Amount { share: None, at_most: None };
    /// Nothing.
    pub const ZERO: Amount = Amount::fixed(Duration::ZERO);

    /// A fixed duration.
    #[must_use]
    pub const fn fixed(d: Duration) -> Amount {
        Amount { share: None, at_most: Some(d) }
    }

    /// `percent` of B, from 0 to 100.
    #[must_use]
    pub const fn percent(percent: u32) -> Amount {
        Amount { share: Some(percent * (WHOLE / 100)), at_most: None }
    }

    /// `percent` of B, at most `d`.
    #[must_use]
    pub const fn percent_at_most(percent: u32, d: Duration) -> Amount {
        Amount { share: Some(percent * (WHOLE / 100)), at_most: Some(d) }
    }

    /// The duration this comes to in a budget of `b`; `None` stands for a shutdown without a deadline,
    /// in which a bare percentage and `rest` are unlimited.
    #[must_use]
    pub fn resolve(&self, b: Option<Duration>) -> Duration {
        let share = match (self.share, b) {
            (Some(share), Some(b)) => share_of(b, share),
            (None, Some(b)) => b,
            (_, None) => Duration::MAX,
        };
        self.at_most.map_or(share, |most| share.min(most))
    }

    /// The duration as it was asked for: a fixed one is not cut to `b`, so that a check can tell that it does not fit.
    #[must_use]
    pub fn stated(&self, b: Duration) -> Duration {
        match (self.share, self.at_most) {
            (None, Some(fixed)) => fixed,
            _ => self.resolve(Some(b)),
        }
    }

    /// True for `rest`.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        *self == Amount::REST
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`ErrorKind::BadTime`] naming the text and what would be accepted.
    pub fn parse(text: &str) -> Result<Amount, Error> {
        let t = text.trim();
        if t == "rest" {
            return Ok(Amount::REST);
        }
        if let Some(inner) = t.strip_prefix("min(").and_then(|r| r.strip_suffix(')')) {
            let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
            if let [a, b] = parts.as_slice() {
                let (share, most) = if a.ends_with('%') { (a, b) } else { (b, a) };
                return Ok(Amount { share: Some(parse_share(share, text)?), at_most: Some(parse_duration(most)?) });
            }
            return Err(bad(text));
        }
        if t.ends_with('%') {
            return Ok(Amount { share: Some(parse_share(t, text)?), at_most: None });
        }
        parse_duration(t).map(Amount::fixed).map_err(|_| bad(text))
    }
}

fn share_of(b: Duration, share: u32) -> Duration {
    let n = b.as_nanos() * u128::from(share) / u128::from(WHOLE);
    Duration::from_nanos(u64::try_from(n).unwrap_or(u64::MAX))
}

fn parse_share(t: &str, whole: &str) -> Result<u32, Error> {
    let number = t.strip_suffix('%').map(str::trim).ok_or_else(|| bad(whole))?;
    let value: f64 = number.parse().map_err(|_| bad(whole))?;
    if !(0.0..=100.0).contains(&value) {
        return Err(bad(whole));
    }
    Ok((value * f64::from(WHOLE / 100)).round() as u32)
}

fn bad(text: &str) -> Error {
    Error::new(
        ErrorKind::BadTime,
        format!(
            "\"{text}\" is no amount of time: write a duration (\"10s\"), a share (\"25%\"), \"min(25%, 60s)\" or \"rest\""
        ),
    )
}

/// Reads `"500ms"`, `"10s"`, `"2m"`, `"1h"` (also `"250us"` and decimals: `"1.5s"`).
///
/// # Errors
/// [`ErrorKind::BadTime`] when the text is negative, has no unit, is not a number, or exceeds a year.
pub fn parse_duration(text: &str) -> Result<Duration, Error> {
    let refuse = || {
        Error::new(
            ErrorKind::BadTime,
            format!("\"{text}\" is no duration: write a number and a unit, for example \"500ms\", \"10s\", \"2m\", \"1h\""),
        )
    };
    let t = text.trim();
    let at = t.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refuse)?;
    let (number, unit) = t.split_at(at);
    let number = number.trim();
    if !number.starts_with(|c: char| c.is_ascii_digit()) || !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(refuse());
    }
    let value: f64 = number.parse().map_err(|_| refuse())?;
    let seconds = match unit {
        "us" => value / 1e6,
        "ms" => value / 1e3,
        "s" => value,
        "m" | "min" => value * 60.0,
        "h" => value * 3600.0,
        _ => return Err(refuse()),
    };
    if !seconds.is_finite() || seconds > 366.0 * 86400.0 {
        return Err(refuse());
    }
    // Whole microseconds: the unit of the wire, and free of binary-fraction dust.
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}

/// The shortest exact text of a duration: `10s`, `2.425s`, `250ms`, `80us`.
#[must_use]
pub fn format_duration(d: Duration) -> String {
    let us = d.as_micros();
    if d == Duration::MAX {
        return "unlimited".to_owned();
    }
    let (unit_us, unit) = match us {
        0 => return "0s".to_owned(),
        u if u < 1_000 => (1, "us"),
        u if u < 1_000_000 => (1_000, "ms"),
        _ => (1_000_000, "s"),
    };
    let (whole, part) = (us / unit_us, us % unit_us);
    if part == 0 {
        return format!("{whole}{unit}");
    }
    let width = unit_us.to_string().len() - 1;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}{unit}", digits.trim_end_matches('0'))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |s: u32| f64::from(s) / f64::from(WHOLE / 100);
        match (self.share, self.at_most) {
            (None, None) => f.write_str("rest"),
            (None, Some(d)) => f.write_str(&format_duration(d)),
            (Some(s), None) => write!(f, "{}%", percent(s)),
            (Some(s), Some(d)) => write!(f, "min({}%, {})", percent(s), format_duration(d)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_and_writes_every_form() {
        for text in ["rest", "10s", "25%", "min(25%, 60s)", "250ms", "2.5%", "0s", "80us"] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse_duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("1h").unwrap(), Duration::from_secs(3600));
        assert_eq!(Amount::parse("min(60s, 25%)").unwrap(), Amount::parse("min(25%, 60s)").unwrap());
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "10", "-1s", "NaNs", "infs", "1e9h", "9999999h", "5 parsecs", "101%", "-3%", "min(5s)", "min(1,2,3)"] {
            let e = Amount::parse(text).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::BadTime, "{text}");
            assert!(e.message().contains("10s"), "{e}");
        }
    }
}
