//! What the plan comes to, before anything happens (spec 5.4): the schedule as `plan()` prints it.

use std::fmt;
use std::time::Duration;

use super::{Budget, Order, Plan, format_duration};
use crate::clock::At;

/// One phase of a [`Preview`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviewRow {
    /// The phase.
    pub phase: String,
    /// How its hooks run.
    pub order: Order,
    /// Its hooks at the time of asking.
    pub hooks: usize,
    /// The most it can take: when the phases before it took nothing.
    pub best: Duration,
    /// What it is left with when every earlier phase takes all it may.
    pub worst: Duration,
    /// Its latest end, from the trigger, in that worst case.
    pub over_by: Duration,
    /// What it is promised.
    pub reserve: Duration,
}

/// The schedule in figures. Its `Display` is a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preview {
    /// Grace as configured.
    pub grace: Duration,
    /// Kept back for the report.
    pub margin: Duration,
    /// B: from the trigger to D.
    pub budget: Duration,
    /// A row a phase.
    pub rows: Vec<PreviewRow>,
}

impl Preview {
    /// Computes the schedule of `plan` for a budget; `hooks[i]` counts the hooks of phase i.
    #[must_use]
    pub fn of(plan: &Plan, grace: Duration, margin: Duration, budget: Duration, hooks: &[usize]) -> Preview {
        let has = |i: usize| hooks.get(i).copied().unwrap_or(0) > 0;
        let shares = Budget { deadline: At(0).plus(budget), slots: plan.slots(Some(budget), has) };
        let mut start = At(0);
        let rows = plan
            .phases()
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let end = shares.phase_end(i, start, start);
                let row = PreviewRow {
                    phase: p.name.clone(),
                    order: p.order,
                    hooks: hooks.get(i).copied().unwrap_or(0),
                    best: shares.phase_end(i, At(0), At(0)) - At(0),
                    worst: end - start,
                    over_by: end - At(0),
                    reserve: shares.slots.get(i).map_or(Duration::ZERO, |s| s.reserve),
                };
                start = end;
                row
            })
            .collect();
        Preview { grace, margin, budget, rows }
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = format_duration;
        writeln!(f, "grace {}  margin {}  budget {}", d(self.grace), d(self.margin), d(self.budget))?;
        writeln!(
            f,
            "{:<12} {:<10} {:>5} {:>10} {:>10} {:>10} {:>10}",
            "phase", "order", "hooks", "best", "worst", "over by", "reserve"
        )?;
        for r in &self.rows {
            let order = if r.order == Order::Serial { "serial" } else { "concurrent" };
            writeln!(
                f,
                "{:<12} {:<10} {:>5} {:>10} {:>10} {:>10} {:>10}",
                r.phase,
                order,
                r.hooks,
                d(r.best),
                d(r.worst),
                d(r.over_by),
                d(r.reserve)
            )?;
        }
        Ok(())
    }
}
