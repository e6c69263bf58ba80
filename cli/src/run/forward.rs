//! What becomes of a signal: kept for the plan, passed on, changed on the way, dropped.

use graceshut::Action;
use graceshut::config::Config;

use crate::signals;

/// `--rewrite 15:2`, `TERM:INT`, `WINCH:0`.
#[derive(Clone, Copy, Debug)]
pub struct Rewrites {
    to: [i32; 65],
}

impl Rewrites {
    /// Every signal as itself.
    pub fn none() -> Rewrites {
        let mut to = [0; 65];
        (1..=64).for_each(|s| to[s as usize] = s);
        Rewrites { to }
    }

    pub fn set(&mut self, from: i32, to: i32) {
        if let Some(slot) = usize::try_from(from).ok().and_then(|n| self.to.get_mut(n)) {
            *slot = to;
        }
    }

    /// What `signo` becomes; 0: nothing.
    pub fn of(&self, signo: i32) -> i32 {
        usize::try_from(signo).ok().and_then(|n| self.to.get(n)).copied().unwrap_or(0)
    }
}

/// Reads one `FROM:TO`, both by name or number; TO may be 0.
pub fn parse_rewrite(text: &str) -> Result<(i32, i32), String> {
    let (from, to) = text.split_once(':').ok_or_else(|| format!("{text:?}: write FROM:TO, as in TERM:INT or 15:0"))?;
    let from = signals::parse(from)?;
    Ok((from, if to == "0" { 0 } else { signals::parse(to)? }))
}

/// Reads one `FROM:TO` of statuses.
pub fn parse_remap(text: &str) -> Result<(i32, i32), String> {
    let wrong = || format!("{text:?}: write FROM:TO, two statuses from 0 to 255, as in 143:0");
    let (from, to) = text.split_once(':').ok_or_else(wrong)?;
    let status = |t: &str| t.parse::<u8>().map(i32::from).map_err(|_| wrong());
    Ok((status(from)?, status(to)?))
}

/// What the configuration wants. What it does not speak of is passed on, and HUP with it unless it is named: to reload is the
/// program's own affair.
pub fn action(config: &Config, signo: i32) -> Action {
    config.signals.iter().find(|s| s.signo == signo && !s.auto).map_or(Action::Default, |s| s.action)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rewrites_and_remaps_are_read() {
        assert_eq!(parse_rewrite("15:2"), Ok((15, 2)));
        assert_eq!(parse_rewrite("TERM:0"), Ok((15, 0)));
        assert_eq!(parse_rewrite("SIGUSR1:RTMIN+1"), Ok((10, libc::SIGRTMIN() + 1)));
        assert_eq!(parse_remap("143:0"), Ok((143, 0)));
        for bad in ["", "15", "15:", ":2", "15:99", "TREM:2", "15::2", "15:-1"] {
            assert!(parse_rewrite(bad).is_err(), "{bad}");
        }
        for bad in ["", "143", "256:0", "143:-1", "a:0"] {
            assert!(parse_remap(bad).is_err(), "{bad}");
        }
        let mut r = Rewrites::none();
        r.set(15, 2);
        r.set(28, 0);
        assert_eq!([15, 28, 1, 64, 65, -1].map(|s| r.of(s)), [2, 0, 1, 64, 0, 0]);
    }
}
