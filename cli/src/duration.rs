//! Durations as people write them (`500ms`, `10s`, `2m`, `1h`) and as people like to read them.

use std::time::Duration;

/// Parses `500ms`, `10s`, `2m` or `1h`: the notation of `graceshut.toml`, by core itself.
pub fn parse(text: &str) -> Result<Duration, String> {
    graceshut::parse_duration(text).map_err(|e| e.to_string())
}

/// As [`parse`], but refuses zero.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        d if d.is_zero() => Err("must be longer than zero".to_owned()),
        d => Ok(d),
    }
}

/// `12 µs`, `4.1 ms`, `2.425 s`, `3 min 5 s`: about three digits, as many as a reader wants.
pub fn human(d: Duration) -> String {
    let us = d.as_micros();
    let seconds = d.as_secs_f64();
    if us < 1_000 {
        format!("{us} µs")
    } else if us < 10_000 {
        format!("{:.1} ms", seconds * 1e3)
    } else if us < 1_000_000 {
        format!("{:.0} ms", seconds * 1e3)
    } else if us < 120_000_000 {
        let short = if us < 10_000_000 { format!("{seconds:.3}") } else { format!("{seconds:.1}") };
        format!("{} s", short.trim_end_matches('0').trim_end_matches('.'))
    } else {
        format!("{} min {} s", d.as_secs() / 60, d.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn reads_each_unit() {
        assert_eq!(parse("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse("10s").unwrap(), Duration::from_secs(10));
        assert_eq!(parse("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(parse("1h").unwrap(), Duration::from_secs(3600));
        assert_eq!(parse("0s").unwrap(), Duration::ZERO);
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for bad in ["", "s", "10", "-1s", "10S", "1d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(parse_positive("0ms").is_err());
    }

    #[test]
    fn reads_well() {
        let cases = [(12, "12 µs"), (4_100, "4.1 ms"), (52_400, "52 ms"), (2_425_000, "2.425 s"), (10_000_000, "10 s")];
        for (us, text) in cases {
            assert_eq!(human(Duration::from_micros(us)), text);
        }
        assert_eq!(human(Duration::from_secs(185)), "3 min 5 s");
    }
}
