//! One eval's table: a row a way.

use std::fmt;

use serde_json::Value;

use super::cases::{Case, Eval};
use super::quantile;
use super::rivals::{Bar, Measured, Way};

/// What the sandbox's p50 on the regex eval should be.
const AIM_MS: f64 = 0.35;

pub struct Table {
    title: String,
    /// What native Python answers.
    expected: Value,
    /// The sandbox's p50, to which all others are set in proportion.
    ours_ms: f64,
    rows: Vec<[String; 6]>,
}

impl Table {
    /// A table with its first row: the sandbox's.
    pub fn new(case: &Case, expected: Value, ours: Vec<f64>) -> Self {
        let ours_ms = quantile(&ours, 0.5);
        let aim =
            (case.eval == Eval::Regex).then(|| judged(ours_ms <= AIM_MS, &format!("{AIM_MS} ms")));
        let head = ["way", "isolated?", "p50 ms", "p95 ms", "ratio", "bar"].map(str::to_owned);
        let first = [
            "iofold".to_owned(),
            "yes: fresh instance, process".to_owned(),
            milliseconds(ours_ms),
            milliseconds(quantile(&ours, 0.95)),
            "1".to_owned(),
            aim.unwrap_or_default(),
        ];
        Self {
            title: format!("{} ({} bytes of trace)", case.name, case.trace.len()),
            expected,
            ours_ms,
            rows: vec![head, first],
        }
    }

    /// Adds the row of `way`; where it has no figures that compare, the row says why.
    pub fn add(&mut self, way: &Way<'_>, measured: Result<Measured, String>, eval: Eval) {
        let (version, figures) = match measured {
            Ok(measured) if measured.answer == self.expected => {
                let bar = way.bar(eval);
                (measured.version, self.figures(&measured.times, bar))
            }
            Ok(measured) => {
                let other = format!("answers {}", measured.answer);
                (measured.version, none(other))
            }
            Err(why) => (String::new(), none(why)),
        };
        let name = format!("{} {version}", way.name).trim_end().to_owned();
        let [p50, p95, ratio, bar] = figures;
        self.rows
            .push([name, way.isolated.to_owned(), p50, p95, ratio, bar]);
    }

    fn figures(&self, times: &[f64], bar: Option<Bar>) -> [String; 4] {
        let p50 = quantile(times, 0.5);
        let ratio = p50 / self.ours_ms;
        [
            milliseconds(p50),
            milliseconds(quantile(times, 0.95)),
            significant(ratio),
            bar.map_or_else(String::new, |bar| bar.judge(ratio)),
        ]
    }
}

/// Figures of a way that has none.
fn none(why: String) -> [String; 4] {
    let dash = || "-".to_owned();
    [dash(), dash(), dash(), why]
}

impl Bar {
    /// `ratio` is the other's p50 to the sandbox's.
    fn judge(self, ratio: f64) -> String {
        match self {
            Self::Faster(1.0) => judged(ratio >= 1.0, "not slower"),
            Self::Faster(times) => judged(ratio >= times, &format!("{times} times faster")),
            Self::Within(times) => {
                let bar = format!("within {times} times, is {}", significant(1.0 / ratio));
                judged(ratio * times >= 1.0, &bar)
            }
        }
    }
}

/// A bar, and whether it is met.
pub fn judged(met: bool, bar: &str) -> String {
    format!("{bar}: {}", if met { "met" } else { "MISSED" })
}

fn milliseconds(ms: f64) -> String {
    if ms < 100.0 {
        format!("{ms:.3}")
    } else {
        format!("{ms:.0}")
    }
}

/// To two digits or more.
fn significant(ratio: f64) -> String {
    match ratio {
        ..0.095 => format!("{ratio:.3}"),
        ..0.95 => format!("{ratio:.2}"),
        ..10.0 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let [way, isolated, p50, p95, ratio, _] = [0, 1, 2, 3, 4, 5].map(width);
        writeln!(f, "{}", self.title)?;
        for [a, b, c, d, e, bar] in &self.rows {
            let line =
                format!("  {a:way$}  {b:isolated$}  {c:>p50$}  {d:>p95$}  {e:>ratio$}  {bar}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
