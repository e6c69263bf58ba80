//! Every scenario in every language, several at a time, and the reports of the languages against each other.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::act::Form;
use crate::check::{Case, check};
use crate::languages::Language;
use crate::normalise::{Normalised, differences};
use crate::play::play;
use crate::scenario::Scenario;

/// What became of one scenario in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Passed,
    /// What is wrong.
    Failed(Vec<String>),
    /// It was not played, and why.
    Skipped(String),
}

/// One scenario in one form and one language.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Which scenario.
    pub scenario: usize,
    /// In which form.
    pub form: Form,
    /// Which language.
    pub language: usize,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What was wrong the first time, when it failed on time alone and was repeated.
    pub first: Vec<String>,
    /// Normalised, for the comparison.
    report: Option<Value>,
    group: usize,
}

/// What is to be run.
pub struct Plan<'a> {
    /// The repository.
    pub root: &'a Path,
    /// Languages that are there.
    pub languages: &'a [Language],
    /// Scenarios.
    pub scenarios: &'a [Scenario],
    /// What may differ.
    pub normalised: &'a Normalised,
    /// Runs at a time.
    pub jobs: usize,
}

impl Plan<'_> {
    /// Runs it.
    #[must_use]
    pub fn run(&self) -> Vec<Cell> {
        let mut cells = self.cells();
        let (alone, together): (Vec<usize>, Vec<usize>) =
            (0..cells.len()).filter(|i| cells[*i].verdict == Verdict::Passed).partition(|i| self.is_alone(&cells[*i]));
        self.play_all(&mut cells, &together, self.jobs);
        self.play_all(&mut cells, &alone, 1);
        self.repeat(&mut cells);
        self.compare(&mut cells);
        cells
    }

    fn is_alone(&self, cell: &Cell) -> bool {
        self.scenarios[cell.scenario].alone
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (s, scenario) in self.scenarios.iter().enumerate() {
            for &form in &scenario.forms {
                cells.extend(self.languages.iter().enumerate().map(|(l, language)| Cell {
                    scenario: s,
                    form,
                    language: l,
                    verdict: lacking(scenario, form, language),
                    took: Duration::ZERO,
                    first: Vec::new(),
                    report: None,
                    group: 0,
                }));
            }
        }
        cells
    }

    fn play_all(&self, cells: &mut [Cell], which: &[usize], jobs: usize) {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let todo: Vec<(usize, Cell)> = which.iter().map(|i| (*i, cells[*i].clone())).collect();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while let Some((i, cell)) = todo.get(next.fetch_add(1, SeqCst)) {
                        let mut cell = cell.clone();
                        self.play_one(&mut cell);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((*i, cell));
                    }
                });
            }
        });
        for (i, cell) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            cells[i] = cell;
        }
    }

    fn play_one(&self, cell: &mut Cell) {
        let (scenario, language) = (&self.scenarios[cell.scenario], &self.languages[cell.language]);
        let start = Instant::now();
        let seen = scenario.expect.of(&language.name).and_then(|(checks, group)| {
            let played = play(self.root, language, scenario, cell.form)?;
            let problems = check(&Case { scenario, language, checks: &checks, played: &played });
            let report = played.report.as_ref().map(|r| self.normalised.apply(r, language));
            Ok((problems, report, group))
        });
        cell.took = start.elapsed();
        match seen {
            Ok((problems, report, group)) => {
                cell.verdict = if problems.is_empty() { Verdict::Passed } else { Verdict::Failed(problems) };
                (cell.report, cell.group) = (report, group);
            }
            Err(words) => cell.verdict = Verdict::Failed(vec![words]),
        }
    }

    /// What failed on time alone while others ran beside it gets one more try with the machine to itself. It is said.
    fn repeat(&self, cells: &mut [Cell]) {
        let on_time = |c: &Cell| matches!(&c.verdict, Verdict::Failed(p) if p.iter().all(|p| p.starts_with("time: ")));
        let again: Vec<usize> = (0..cells.len()).filter(|i| !self.is_alone(&cells[*i]) && on_time(&cells[*i])).collect();
        for i in again {
            if let Verdict::Failed(problems) = &cells[i].verdict {
                cells[i].first.clone_from(problems);
            }
            cells[i].verdict = Verdict::Passed;
            self.play_all(cells, &[i], 1);
        }
    }

    /// The first language that has a report is what the others of its group are compared with.
    fn compare(&self, cells: &mut [Cell]) {
        for i in 0..cells.len() {
            let of = |c: &Cell| (c.scenario, c.form, c.group);
            let Some(report) = cells[i].report.clone() else { continue };
            let first = cells[..i].iter().find(|c| of(c) == of(&cells[i]) && c.report.is_some());
            let Some((there, name)) = first.and_then(|c| Some((c.report.clone()?, &self.languages[c.language].name))) else {
                continue;
            };
            let found = differences(&there, &report);
            let found: Vec<String> = found.into_iter().map(|d| format!("report differs from {name}'s: {d}")).collect();
            match &mut cells[i].verdict {
                _ if found.is_empty() => {}
                Verdict::Failed(problems) => problems.extend(found),
                verdict => *verdict = Verdict::Failed(found),
            }
        }
    }
}

/// `Passed` for what is to be played.
fn lacking(scenario: &Scenario, form: Form, language: &Language) -> Verdict {
    let is_async = (form == Form::Async).then_some("async");
    let needs = scenario.needs.iter().map(String::as_str).chain(is_async);
    let lacks = needs.filter_map(|n| language.lacks.get(n)).next();
    lacks.map_or(Verdict::Passed, |why| Verdict::Skipped(why.clone()))
}
