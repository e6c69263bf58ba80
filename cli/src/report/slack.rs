//! Slack per reserve over many runs: how much of what a phase is promised it really takes, and whether that grows.

use super::model::Run;
use super::timeline::time;
use std::fmt::Write;

/// A phase whose longest run took more than this share of its reserve is about to outgrow it.
const NEAR: f64 = 0.8;
/// A trend is read from this many runs on.
const TREND_FROM: usize = 5;

/// One phase of one kind of service, over all its runs.
#[derive(Clone, Debug)]
pub struct Slack {
    /// The service: its language, as the reports tell no name.
    pub language: String,
    /// The phase.
    pub phase: String,
    /// Runs in which it ran and had a reserve.
    pub runs: usize,
    /// The smallest reserve it had, in microseconds.
    pub reserve: u64,
    /// What it took: least, middle, most.
    pub used: [u64; 3],
    /// Reserve less the most it took; negative: it took more, and only got it because earlier phases left time.
    pub least: i64,
    /// How much more each run takes than the one before, by a straight line through all; `None`: too few runs.
    pub growth: Option<f64>,
    /// What is wrong with that.
    pub warning: Option<String>,
}

/// Every phase with a reserve, in the order of the reports; nothing when there is only one run.
pub fn over(runs: &[Run]) -> Vec<Slack> {
    let mut sorted: Vec<&Run> = runs.iter().collect();
    sorted.sort_by_key(|r| r.report.triggered_at_us);
    let mut kinds: Vec<(String, String)> = Vec::new();
    for run in &sorted {
        for phase in run.report.phases.iter().filter(|p| p.reserve_us > 0) {
            let kind = (run.report.host.language.clone(), phase.name.clone());
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds.into_iter().filter_map(|(language, phase)| of(&sorted, language, phase)).collect()
}

fn of(runs: &[&Run], language: String, phase: String) -> Option<Slack> {
    let all: Vec<(u64, u64)> = runs
        .iter()
        .filter(|r| r.report.host.language == language)
        .flat_map(|r| &r.report.phases)
        .filter(|p| p.name == phase && p.state == "ran" && p.reserve_us > 0)
        .map(|p| (p.used_us, p.reserve_us))
        .collect();
    if all.len() < 2 {
        return None;
    }
    let mut used: Vec<u64> = all.iter().map(|(u, _)| *u).collect();
    let growth = (used.len() >= TREND_FROM).then(|| slope(&used));
    let latest = used.last().copied()?;
    used.sort_unstable();
    let (least, most) = (*used.first()?, *used.last()?);
    let reserve = all.iter().map(|(_, r)| *r).min()?;
    let mut slack = Slack {
        language,
        phase,
        runs: all.len(),
        reserve,
        used: [least, used[used.len() / 2], most],
        least: reserve as i64 - most as i64,
        growth,
        warning: None,
    };
    slack.warning = warning(&slack, latest);
    Some(slack)
}

/// Least squares over the number of the run.
fn slope(used: &[u64]) -> f64 {
    let n = used.len() as f64;
    let mean_x = (n - 1.0) / 2.0;
    let mean_y = used.iter().map(|u| *u as f64).sum::<f64>() / n;
    let (mut top, mut bottom) = (0.0, 0.0);
    for (i, u) in used.iter().enumerate() {
        let dx = i as f64 - mean_x;
        top += dx * (*u as f64 - mean_y);
        bottom += dx * dx;
    }
    if bottom > 0.0 { top / bottom } else { 0.0 }
}

fn warning(s: &Slack, latest: u64) -> Option<String> {
    let (who, most, reserve) = (format!("{} of {}", s.phase, s.language), s.used[2], s.reserve);
    let fix = format!("raise phases.{}.reserve (and grace, if the plan then does not fit), or make it quicker", s.phase);
    if most > reserve + reserve / 20 {
        return Some(format!(
            "{who} has outgrown its reserve: it took up to {}, and {} is all it is promised; the rest was time that earlier phases \
             happened to leave: {fix}",
            time(most),
            time(reserve)
        ));
    }
    if most >= reserve - reserve / 20 {
        return Some(format!(
            "{who} has outgrown its reserve: it used up all of the {} it is promised, and what was not done by then was cut: {fix}",
            time(reserve)
        ));
    }
    if most as f64 > NEAR * reserve as f64 {
        let percent = most * 100 / reserve.max(1);
        return Some(format!(
            "{who} is about to outgrow its reserve: it took up to {}, {percent} % of the {} it is promised: {fix}",
            time(most),
            time(reserve)
        ));
    }
    // Far from it, but on its way there within as many runs as were looked at.
    let growth = s.growth.filter(|g| *g > 0.0)?;
    let left = (reserve.saturating_sub(latest)) as f64 / growth;
    let steep = growth * s.runs as f64 > 0.25 * s.used[1].max(1) as f64 && most as f64 > 0.1 * reserve as f64;
    (steep && left <= s.runs as f64).then(|| {
        format!(
            "{who} is about to outgrow its reserve: it takes {} more with each run, and in about {} runs {} will not do: {fix}",
            time(growth as u64),
            left.ceil().max(1.0),
            time(reserve)
        )
    })
}

/// The table as text, and the warnings below it.
pub fn text(slacks: &[Slack]) -> String {
    if slacks.is_empty() {
        return String::new();
    }
    let signed = |us: i64| if us < 0 { format!("-{}", time(us.unsigned_abs())) } else { time(us.unsigned_abs()) };
    let mut rows = vec![["service", "phase", "runs", "reserve", "least", "median", "most used", "slack"].map(str::to_owned)];
    for s in slacks {
        let [a, b, c] = s.used.map(time);
        rows.push([s.language.clone(), s.phase.clone(), s.runs.to_string(), time(s.reserve), a, b, c, signed(s.least)]);
    }
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    let mut out = String::from("slack per reserve\n");
    for r in &rows {
        let mut line = format!("  {:<a$}  {:<b$}", r[0], r[1], a = widths[0], b = widths[1]);
        for (cell, w) in r.iter().zip(&widths).skip(2) {
            let _ = write!(line, "  {cell:>w$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    for s in slacks {
        if let Some(w) = &s.warning {
            let _ = writeln!(out, "warning: {w}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slack(used: &[u64], reserve: u64) -> Option<String> {
        let mut sorted = used.to_vec();
        sorted.sort_unstable();
        let s = Slack {
            language: "c".into(),
            phase: "flush".into(),
            runs: used.len(),
            reserve,
            used: [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]],
            least: 0,
            growth: (used.len() >= TREND_FROM).then(|| slope(used)),
            warning: None,
        };
        warning(&s, used[used.len() - 1])
    }

    #[test]
    fn a_line_is_found() {
        assert!((slope(&[10, 20, 30, 40, 50]) - 10.0).abs() < 1e-9);
        assert!(slope(&[7, 7, 7]).abs() < 1e-9);
    }

    #[test]
    fn warned_near_above_and_on_the_way() {
        let says = |used: &[u64], what: &str| slack(used, 1_000_000).is_some_and(|w| w.contains(what));
        assert!(says(&[100_000, 1_100_000], "has outgrown"));
        assert!(says(&[100_000, 1_000_300], "used up all of the 1 s"));
        assert!(says(&[100_000, 850_000], "is about to outgrow its reserve: it took up to 850 ms, 85 %"));
        assert!(says(&[200_000, 300_000, 400_000, 500_000, 600_000], "more with each run"));
        assert_eq!(slack(&[200_000, 210_000, 190_000, 205_000, 200_000], 1_000_000), None);
        assert_eq!(slack(&[10, 20, 30, 40, 50], 1_000_000), None, "a trend of microseconds is noise");
        assert_eq!(slack(&[200_000, 700_000], 1_000_000), None, "two runs are no trend");
    }
}
