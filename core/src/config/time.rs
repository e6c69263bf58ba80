//! Times in a configuration: text with a unit, or a number where the language has a custom for its unit.

use std::time::Duration;

use serde_json::Value;

use super::walk::Item;
use crate::error::{Error, ErrorKind};
use crate::plan::{Amount, parse_duration};

/// The longest time that is accepted: a year. It keeps every later sum of times far from overflow.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// What a bare number means where a time is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberUnit {
    /// Python's custom.
    Seconds,
    /// JavaScript's custom.
    Millis,
    /// The unit of the C interface and of everything on the wire.
    Micros,
    /// Nothing: the unit has to be written (files and the environment).
    Refused,
}

/// A JSON value for `n` that keeps what JSON cannot say: NaN and the infinities become text, which [`read`](super::read())
/// then refuses by name. A binding that fills a table from its own numbers uses this, since they would arrive as null.
#[must_use]
pub fn number(n: f64) -> Value {
    serde_json::Number::from_f64(n).map_or_else(|| Value::String(n.to_string()), Value::Number)
}

impl Item<'_> {
    /// Reads a duration.
    ///
    /// # Errors
    /// [`ErrorKind::BadTime`] naming the key, the value and what would be accepted.
    pub(super) fn time(&self) -> Result<Duration, Error> {
        match self.value() {
            Value::String(text) => parse_duration(text).map_err(|e| self.refuse(ErrorKind::BadTime, e)),
            Value::Number(n) => self.bare(n),
            Value::Null => Err(self.refuse(
                ErrorKind::BadTime,
                "null is no time (a NaN or an infinity arrives as null in JSON); leave the key out or write a duration (\"10s\")",
            )),
            _ => Err(self.refuse(ErrorKind::BadTime, "this is no time; write a duration (\"10s\")")),
        }
    }

    /// Reads a duration above zero.
    pub(super) fn positive_time(&self) -> Result<Duration, Error> {
        match self.time()? {
            Duration::ZERO => {
                Err(self.refuse(ErrorKind::BadTime, "this has to be longer than zero; leave the key out for no limit"))
            }
            d => Ok(d),
        }
    }

    /// Reads an amount: a duration, a percentage, the smaller of both, or `rest`.
    pub(super) fn amount(&self) -> Result<Amount, Error> {
        match self.value() {
            Value::String(text) => Amount::parse(text).map_err(|e| self.refuse(ErrorKind::BadTime, e)),
            _ => self.time().map(Amount::fixed),
        }
    }

    /// Reads a reserve: an amount, but not `rest`.
    pub(super) fn reserve(&self) -> Result<Amount, Error> {
        let amount = self.amount()?;
        if amount.is_rest() {
            return Err(
                self.refuse(ErrorKind::BadTime, "a reserve is a duration (\"2s\") or a share (\"20%\"), never all the rest")
            );
        }
        Ok(amount)
    }

    fn bare(&self, n: &serde_json::Number) -> Result<Duration, Error> {
        let per_unit: u64 = match self.unit() {
            NumberUnit::Seconds => 1_000_000,
            NumberUnit::Millis => 1_000,
            NumberUnit::Micros => 1,
            NumberUnit::Refused => {
                return Err(
                    self.refuse(ErrorKind::BadTime, format_args!("{n} of what? write the unit, as in \"{n}s\" or \"{n}ms\""))
                );
            }
        };
        let range = || self.refuse(ErrorKind::BadTime, "a time lies between 0 and 366 days");
        let micros = match (n.as_u64(), n.as_f64()) {
            (Some(whole), _) => whole.checked_mul(per_unit).ok_or_else(range)?,
            // Checked before the cast: a time that is negative, NaN or beyond the longest never reaches it.
            (None, Some(f)) if f >= 0.0 && f * per_unit as f64 <= LONGEST.as_micros() as f64 => {
                (f * per_unit as f64).round() as u64
            }
            _ => return Err(range()),
        };
        let d = Duration::from_micros(micros);
        if d > LONGEST { Err(range()) } else { Ok(d) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::walk::Source;
    use super::*;
    use serde_json::json;

    fn time(value: Value, unit: NumberUnit) -> Result<Duration, Error> {
        let table = json!({"grace": value});
        Item::root(&table, unit, &Source::Code).any_table()?.need("grace", Item::time)
    }

    #[test]
    fn a_bare_number_has_the_language_s_unit() {
        assert_eq!(time(json!(1.5), NumberUnit::Seconds).unwrap(), Duration::from_millis(1500));
        assert_eq!(time(json!(1500), NumberUnit::Millis).unwrap(), Duration::from_millis(1500));
        assert_eq!(time(json!(1500), NumberUnit::Micros).unwrap(), Duration::from_micros(1500));
        assert_eq!(time(json!("1.5s"), NumberUnit::Micros).unwrap(), Duration::from_millis(1500));
        assert_eq!(time(json!(0), NumberUnit::Seconds).unwrap(), Duration::ZERO);
        let e = time(json!(10), NumberUnit::Refused).unwrap_err();
        assert!(e.message().contains("\"10s\"") && e.message().contains("grace"), "{e}");
    }

    #[test]
    fn what_is_no_time_is_refused_by_name() {
        for unit in [NumberUnit::Seconds, NumberUnit::Millis, NumberUnit::Micros, NumberUnit::Refused] {
            for bad in [
                json!(-1),
                json!(-0.5),
                number(f64::NAN),
                number(f64::INFINITY),
                number(f64::NEG_INFINITY),
                json!(u64::MAX),
                json!(1e300),
                json!(i64::MIN),
                json!(null),
                json!(true),
                json!([1]),
                json!("10"),
                json!(""),
            ] {
                let e = time(bad.clone(), unit).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::BadTime, "{bad} {unit:?}");
                assert!(e.message().contains("grace"), "{e}");
            }
        }
        assert!(time(number(f64::NAN), NumberUnit::Seconds).unwrap_err().message().contains("NaN"));
        assert!(time(json!(366 * 86_400), NumberUnit::Seconds).is_ok());
        assert!(time(json!(366 * 86_400 + 1), NumberUnit::Seconds).is_err());
    }
}
