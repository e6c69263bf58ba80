//! Phases and the validated plan made of them (spec 4).

use std::time::Duration;

use super::amount::{Amount, format_duration};
use super::budget::Slot;
use crate::error::{Error, ErrorKind, did_you_mean};

/// In which order the hooks of one phase run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// All at once.
    #[default]
    Concurrent,
    /// One at a time, last registered first.
    Serial,
}

/// What a failed required hook does to the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnFailure {
    /// The failure is collected and the plan goes on.
    #[default]
    Continue,
    /// The next phase to run is the next one with a reserve (if there is none, the plan goes on as usual).
    SkipToReserved,
}

/// One phase of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PhaseSpec {
    /// The name hooks are registered under.
    pub name: String,
    /// The most this phase may take.
    pub cap: Amount,
    /// What it is promised whatever happened before it.
    pub reserve: Amount,
    /// An explicit reserve always counts; a default one only while the phase has hooks.
    pub reserve_explicit: bool,
    /// How its hooks run.
    pub order: Order,
    /// What a failure in it does.
    pub on_failure: OnFailure,
}

/// Changes to one phase of the default plan, or a custom phase when the name is a new one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PhasePatch {
    /// See [`PhaseSpec::cap`].
    pub cap: Option<Amount>,
    /// See [`PhaseSpec::reserve`].
    pub reserve: Option<Amount>,
    /// See [`PhaseSpec::order`].
    pub order: Option<Order>,
    /// See [`PhaseSpec::on_failure`].
    pub on_failure: Option<OnFailure>,
    /// `false` takes the phase out of the plan.
    pub enabled: Option<bool>,
    /// A custom phase goes directly before this one.
    pub before: Option<String>,
    /// A custom phase goes directly after this one.
    pub after: Option<String>,
}

/// The phases in the order they run; validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    phases: Vec<PhaseSpec>,
}

/// The default plan's names, in order.
pub const ANNOUNCE: &str = "announce";
/// The phase that stops taking work; the shared word says 2 from its start.
pub const DRAIN: &str = "drain";

fn default_phases() -> Vec<PhaseSpec> {
    let phase = |name: &str, cap, reserve, order| PhaseSpec {
        name: name.to_owned(),
        cap,
        reserve,
        reserve_explicit: false,
        order,
        on_failure: OnFailure::Continue,
    };
    let s = Duration::from_secs;
    vec![
        phase(ANNOUNCE, Amount::percent_at_most(25, s(60)), Amount::ZERO, Order::Concurrent),
        phase(DRAIN, Amount::REST, Amount::ZERO, Order::Concurrent),
        phase("flush", Amount::REST, Amount::percent_at_most(20, s(20)), Order::Concurrent),
        phase("close", Amount::REST, Amount::percent_at_most(10, s(10)), Order::Serial),
        phase("final", Amount::REST, Amount::percent_at_most(5, s(5)), Order::Concurrent),
    ]
}

impl Plan {
    /// The default plan with `patches` applied in order.
    ///
    /// # Errors
    /// [`ErrorKind::BadPlan`] for a name given twice, a new phase with no place, a place that is no phase, or places
    /// that form a circle; the message names the culprit.
    pub fn build(patches: &[(String, PhasePatch)]) -> Result<Plan, Error> {
        for (i, (name, _)) in patches.iter().enumerate() {
            if patches[..i].iter().any(|(n, _)| n == name) {
                return Err(bad(format!("phase \"{name}\" is given twice; merge the two")));
            }
        }
        let mut plan = Plan { phases: default_phases() };
        let (known, mut custom): (Vec<_>, Vec<_>) = patches.iter().partition(|(n, _)| plan.index(n).is_some());
        for (name, patch) in known {
            plan.patch_known(name, patch)?;
        }
        // A custom phase may be placed beside another custom one: place what can be placed until nothing is left.
        while !custom.is_empty() {
            let Some(k) = custom.iter().position(|(_, p)| plan.anchored(p)) else {
                return Err(plan.unplaceable(&custom));
            };
            let (name, patch) = custom.remove(k);
            plan.insert_custom(name, patch)?;
        }
        let off = |n: &str| patches.iter().any(|(m, p)| m == n && p.enabled == Some(false));
        plan.phases.retain(|p| !off(&p.name));
        if plan.phases.is_empty() {
            return Err(bad("every phase is disabled; leave at least one enabled".to_owned()));
        }
        Ok(plan)
    }

    fn patch_known(&mut self, name: &str, patch: &PhasePatch) -> Result<(), Error> {
        if patch.before.is_some() || patch.after.is_some() {
            return Err(bad(format!("phase \"{name}\" belongs to the default plan and keeps its place; remove before/after")));
        }
        if let Some(i) = self.index(name) {
            apply(&mut self.phases[i], patch)?;
        }
        Ok(())
    }

    fn anchored(&self, patch: &PhasePatch) -> bool {
        [&patch.before, &patch.after].into_iter().flatten().all(|n| self.index(n).is_some())
    }

    fn insert_custom(&mut self, name: &str, patch: &PhasePatch) -> Result<(), Error> {
        if name.is_empty() || name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(bad(format!("\"{name}\" is no phase name: use 1 to 64 letters, digits, '-' and '_'")));
        }
        let before = patch.before.as_deref().and_then(|n| self.index(n));
        let after = patch.after.as_deref().and_then(|n| self.index(n));
        let at = match (before, after) {
            (Some(b), Some(a)) if a >= b => {
                return Err(bad(format!("phase \"{name}\" cannot be both before and after: its places contradict each other")));
            }
            (Some(b), _) => b,
            (None, Some(a)) => a + 1,
            (None, None) => {
                let hint = did_you_mean(name, self.names());
                return Err(bad(format!(
                    "phase \"{name}\" is new and has no place: say before or after which phase it runs{hint}"
                )));
            }
        };
        let mut spec = PhaseSpec {
            name: name.to_owned(),
            cap: Amount::REST,
            reserve: Amount::ZERO,
            reserve_explicit: false,
            order: Order::Concurrent,
            on_failure: OnFailure::Continue,
        };
        apply(&mut spec, patch)?;
        self.phases.insert(at, spec);
        Ok(())
    }

    fn unplaceable(&self, left: &[&(String, PhasePatch)]) -> Error {
        for (name, patch) in left {
            for anchor in [&patch.before, &patch.after].into_iter().flatten() {
                if self.index(anchor).is_none() && !left.iter().any(|(n, _)| n == anchor) {
                    let hint = did_you_mean(anchor, self.names());
                    return bad(format!("phase \"{name}\" is placed beside \"{anchor}\", which is no phase{hint}"));
                }
            }
        }
        let circle: Vec<&str> = left.iter().map(|(n, _)| n.as_str()).collect();
        bad(format!("the phases {} are placed in a circle; place one of them beside a default phase", circle.join(", ")))
    }

    /// The phases in order.
    #[must_use]
    pub fn phases(&self) -> &[PhaseSpec] {
        &self.phases
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.phases.iter().map(|p| p.name.as_str())
    }

    /// The position of the phase `name`.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.phases.iter().position(|p| p.name == name)
    }

    /// The position of `name`, or [`ErrorKind::UnknownPhase`] with the nearest name.
    ///
    /// # Errors
    /// When the plan has no such phase.
    pub fn find(&self, name: &str) -> Result<usize, Error> {
        self.index(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let hint = did_you_mean(name, names.iter().copied());
            Error::new(ErrorKind::UnknownPhase, format!("no phase \"{name}\"{hint} (the plan has {})", names.join(", ")))
        })
    }

    /// Caps and reserves in a budget of `b` (`None`: no deadline). `in_use(i)` says whether phase i has hooks.
    #[must_use]
    pub fn slots(&self, b: Option<Duration>, in_use: impl Fn(usize) -> bool) -> Vec<Slot> {
        self.phases.iter().enumerate().map(|(i, p)| p.slot(b, p.reserve_explicit || in_use(i))).collect()
    }

    /// Refuses reserves that do not fit into `b`, with the arithmetic (spec 5.4).
    ///
    /// # Errors
    /// [`ErrorKind::PlanDoesNotFit`] when the explicit reserves exceed `b`; [`ErrorKind::BadPlan`] for a reserve above its cap.
    pub fn check(&self, b: Duration) -> Result<(), Error> {
        let mut sum = Duration::ZERO;
        let mut terms = Vec::new();
        for p in self.phases.iter().filter(|p| p.reserve_explicit) {
            let (reserve, cap) = (p.reserve.stated(b), p.cap.stated(b));
            if reserve > cap && !p.cap.is_rest() {
                return Err(bad(format!(
                    "phase \"{}\": its reserve {} is above its cap {}",
                    p.name,
                    format_duration(reserve),
                    format_duration(cap)
                )));
            }
            sum = sum.saturating_add(reserve);
            terms.push(format!("{} {}", p.name, format_duration(reserve)));
        }
        if sum <= b {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PlanDoesNotFit,
            format!(
                "the reserves do not fit: {} = {}, but the budget (grace less already spent less margin) is {}; raise grace or lower a reserve",
                terms.join(" + "),
                format_duration(sum),
                format_duration(b)
            ),
        ))
    }
}

impl PhaseSpec {
    /// This phase's cap and reserve in a budget of `b`; no reserve when it does not count.
    #[must_use]
    pub fn slot(&self, b: Option<Duration>, reserve_counts: bool) -> Slot {
        let cap = self.cap.resolve(b);
        let reserve = match b {
            Some(_) if reserve_counts => self.reserve.resolve(b).min(cap),
            _ => Duration::ZERO,
        };
        Slot { cap, reserve }
    }
}

fn apply(spec: &mut PhaseSpec, patch: &PhasePatch) -> Result<(), Error> {
    if let Some(cap) = patch.cap {
        spec.cap = cap;
    }
    if let Some(reserve) = patch.reserve {
        if reserve.is_rest() {
            let name = &spec.name;
            return Err(bad(format!("phase \"{name}\": a reserve is a duration or a share, not \"rest\"")));
        }
        spec.reserve = reserve;
        spec.reserve_explicit = true;
    }
    spec.order = patch.order.unwrap_or(spec.order);
    spec.on_failure = patch.on_failure.unwrap_or(spec.on_failure);
    Ok(())
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::BadPlan, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_reserve_above_the_whole_budget_does_not_fit() {
        let s = Duration::from_secs;
        let patch = PhasePatch { reserve: Some(Amount::fixed(s(20))), ..PhasePatch::default() };
        let plan = Plan::build(&[("flush".to_owned(), patch)]).unwrap();
        let error = plan.check(s(9)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PlanDoesNotFit);
        assert!(error.message().contains("flush 20s = 20s, but the budget"), "{error}");
        plan.check(s(20)).unwrap();
    }
}
