//! Medians and rows.

use serde::Serialize;

/// Figures of one thing measured.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// How many samples.
    pub n: usize,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Worst.
    pub max: f64,
}

/// Figures of samples; zeros for none.
pub fn figures(mut samples: Vec<f64>) -> Figures {
    samples.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let last = samples.len().saturating_sub(1);
        samples.get(((last as f64) * q).round() as usize).copied().unwrap_or(0.0)
    };
    Figures { n: samples.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
}

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Of graceshut.
    pub ours: Option<Figures>,
    /// Unit of `ours`, `peer` and `limit` (unless the limit is a ratio).
    pub unit: &'static str,
    /// Who it is compared with.
    pub peer_name: String,
    /// Of the peer, in the same run.
    pub peer: Option<Figures>,
    /// `ours.p50 / peer.p50`.
    pub ratio: Option<f64>,
    /// What was to be reached, in words.
    pub reach: String,
    /// Whether it was; `None`: only reported.
    pub reached: Option<bool>,
    /// Anything to say.
    pub note: String,
}

/// What a row is held against.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Only reported.
    None,
    /// `ours.p50 / peer.p50` at most.
    Ratio(f64),
    /// `ours.p50` at most.
    Value(f64),
    /// `ours.p50 - peer.p50` at most.
    More(f64),
}

/// Builds a row from two sets of samples.
pub fn row(what: &str, unit: &'static str, ours: Vec<f64>, peer: (&str, Vec<f64>), limit: Limit) -> Row {
    let ours = figures(ours);
    let peer_figures = (!peer.1.is_empty()).then(|| figures(peer.1));
    let ratio = peer_figures.as_ref().filter(|p| p.p50 > 0.0).map(|p| ours.p50 / p.p50);
    let peer_p50 = peer_figures.as_ref().map_or(0.0, |p| p.p50);
    let (reach, reached) = match limit {
        Limit::None => ("reported".to_owned(), None),
        Limit::Ratio(x) => (format!("at most {x} x"), ratio.map(|r| r <= x)),
        Limit::Value(v) => (format!("under {v} {unit}"), Some(ours.p50 <= v)),
        Limit::More(v) => (format!("at most {v} {unit} more"), peer_figures.as_ref().map(|_| ours.p50 - peer_p50 <= v)),
    };
    Row {
        what: what.to_owned(),
        ours: Some(ours),
        unit,
        peer_name: peer.0.to_owned(),
        peer: peer_figures,
        ratio,
        reach,
        reached,
        note: String::new(),
    }
}

/// A row for something that could not be measured here, and why.
pub fn missing(what: &str, why: &str) -> Row {
    Row {
        what: what.to_owned(),
        ours: None,
        unit: "",
        peer_name: String::new(),
        peer: None,
        ratio: None,
        reach: String::new(),
        reached: None,
        note: format!("not measured: {why}"),
    }
}

fn number(v: f64) -> String {
    match v.abs() {
        x if x >= 1000.0 => format!("{v:.0}"),
        x if x >= 10.0 => format!("{v:.1}"),
        _ => format!("{v:.2}"),
    }
}

/// The table for people.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![["what", "graceshut p50", "p99", "peer", "peer p50", "ratio", "reach", ""].map(str::to_owned)];
    for r in rows {
        let verdict = match r.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        let with_unit = |f: Option<f64>| f.map_or_else(String::new, |v| format!("{} {}", number(v), r.unit));
        lines.push([
            r.what.clone(),
            with_unit(r.ours.as_ref().map(|f| f.p50)),
            with_unit(r.ours.as_ref().map(|f| f.p99)),
            r.peer_name.clone(),
            with_unit(r.peer.as_ref().map(|f| f.p50)),
            r.ratio.map_or_else(String::new, |x| format!("{x:.2}")),
            r.reach.clone(),
            if r.note.is_empty() { verdict.to_owned() } else { format!("{verdict} {}", r.note) },
        ]);
    }
    let widths: Vec<usize> = (0..8).map(|c| lines.iter().map(|l| l[c].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            out.push_str(&format!("{cell:<width$}  "));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}
