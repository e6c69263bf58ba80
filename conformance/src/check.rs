//! What was seen against what must be. Every problem is one line of words; none: the run passed.

mod consistency;
mod expected;
mod time;

use crate::expect::Checks;
use crate::languages::Language;
use crate::play::Played;
use crate::scenario::Scenario;

/// What a check looks at.
pub struct Case<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The language.
    pub language: &'a Language,
    /// What holds for it.
    pub checks: &'a Checks,
    /// What was seen.
    pub played: &'a Played,
}

/// Everything that is wrong.
#[must_use]
pub fn check(case: &Case<'_>) -> Vec<String> {
    let mut problems = case.played.broken.clone();
    expected::status(case, &mut problems);
    expected::trace(case, &mut problems);
    expected::same(case, &mut problems);
    expected::surroundings(case, &mut problems);
    expected::report(case, &mut problems);
    if let Some(report) = &case.played.report {
        expected::hooks(case, report, &mut problems);
        consistency::phases(case, report, &mut problems);
        consistency::contexts(case, report, &mut problems);
        time::hooks(case, report, &mut problems);
        time::gone(case, report, &mut problems);
    }
    time::bounds(case, &mut problems);
    problems
}

/// The hooks of a report, with the name of their phase.
pub(crate) fn hooks_of(report: &serde_json::Value) -> impl Iterator<Item = (&str, &serde_json::Value)> {
    let phases = report["phases"].as_array().into_iter().flatten();
    phases.flat_map(|p| {
        let name = p["name"].as_str().unwrap_or_default();
        p["hooks"].as_array().into_iter().flatten().map(move |h| (name, h))
    })
}
