//! `[signals]` and `[phases.NAME]`.

use super::options::SignalRule;
use super::signame;
use super::walk::Item;
use super::words::{ACTIONS, FAILURES, ORDERS};
use crate::error::Error;
use crate::plan::PhasePatch;
use crate::signal::name::number_of;

impl Item<'_> {
    /// `TERM = "stop"`, or `PWR = { action = "stop", grace = "2s" }`.
    pub(super) fn signals(&self) -> Result<Vec<SignalRule>, Error> {
        let mut rules: Vec<SignalRule> = Vec::new();
        for (name, item) in self.any_table()?.items() {
            let signo = number_of(name).ok_or_else(|| item.bad(signame::unknown(name)))?;
            if let Some(why) = signame::refusal(signo) {
                return Err(item.bad(why));
            }
            if rules.iter().any(|r| r.signo == signo) {
                return Err(item.bad(format_args!("{} is given twice, under two names; keep one", signame::name_of(signo))));
            }
            rules.push(item.signal_rule(signo)?);
        }
        Ok(rules)
    }

    fn signal_rule(&self, signo: i32) -> Result<SignalRule, Error> {
        if !self.value().is_object() {
            return Ok(SignalRule { signo, action: self.word(ACTIONS)?, grace: None });
        }
        let t = self.table(&["action", "grace"])?;
        Ok(SignalRule { signo, action: t.need("action", |i| i.word(ACTIONS))?, grace: t.opt("grace", Item::time)? })
    }

    /// `[phases.flush]`.
    pub(super) fn phases(&self) -> Result<Vec<(String, PhasePatch)>, Error> {
        self.any_table()?.items().map(|(name, item)| Ok((name.to_owned(), item.phase()?))).collect()
    }

    fn phase(&self) -> Result<PhasePatch, Error> {
        let name = |i: &Item<'_>| i.text().map(str::to_owned);
        let t = self.table(&["cap", "reserve", "order", "on_failure", "enabled", "before", "after"])?;
        Ok(PhasePatch {
            cap: t.opt("cap", Item::amount)?,
            reserve: t.opt("reserve", Item::reserve)?,
            order: t.opt("order", |i| i.word(ORDERS))?,
            on_failure: t.opt("on_failure", |i| i.word(FAILURES))?,
            enabled: t.opt("enabled", Item::boolean)?,
            before: t.opt("before", name)?,
            after: t.opt("after", name)?,
        })
    }
}
