use serde::Deserialize;

use super::sources::Found;
use crate::domain::{EvalSource, Outcome, RunError, Verdict};
use crate::sandbox::receipt::{ENGINE, canonical, hash};
use crate::sandbox::{Receipt, interpreter};

/// Characters of a text that a difference quotes.
const QUOTED_CHARS: usize = 200;
/// Digits of a hash that a person compares.
const HASH_DIGITS: usize = 12;

/// What an outcome line says beside its receipt.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Said {
    verdict: Option<Verdict>,
    reason: Option<String>,
    error: Option<RunError>,
    #[serde(default)]
    printed: String,
    fuel: Option<u64>,
}

impl Said {
    fn of(outcome: &Outcome) -> Self {
        let said = outcome.result.as_ref().ok();
        Self {
            verdict: outcome.verdict(),
            reason: said.map(|(_, reason)| reason.clone()),
            error: outcome.result.as_ref().err().cloned(),
            printed: outcome.printed.clone(),
            fuel: Some(outcome.fuel),
        }
    }

    /// Each part of what the eval said, as text.
    fn parts(&self) -> [(&'static str, Option<String>); 4] {
        let error = self.error.as_ref();
        let error = error.map(|error| format!("{}, {}", error.kind.as_str(), error.message));
        let verdict = self.verdict.map(|verdict| verdict.as_str().to_owned());
        [
            ("verdict", verdict),
            ("reason", self.reason.clone()),
            ("error", error),
            ("printed", Some(self.printed.clone())),
        ]
    }
}

/// What came of running what was found again.
pub struct Rerun {
    pub eval: Found<EvalSource>,
    pub trace: Found<String>,
    pub outcome: Outcome,
}

/// What differs between a receipt, with what its outcome line said, and the run now: a line each, nothing if
/// they are the same.
pub fn differences(then: &Receipt, said: Option<&Said>, now: &Rerun) -> Vec<String> {
    let mut lines = subjects_that_differ(then, now);
    lines.extend(said_otherwise(then, said, &now.outcome));
    lines.extend(fuel_that_differs(then, said, now.outcome.fuel));
    lines
}

/// What was run and by what, whatever came of it.
fn subjects_that_differ(then: &Receipt, Rerun { eval, trace, .. }: &Rerun) -> Vec<String> {
    let (eval_hash, trace_hash) = (eval.content.hash(), hash(&trace.content));
    let here = "this iofold";
    let subjects = [
        ("eval source", eval.place.as_str(), &*then.eval, &*eval_hash),
        ("trace", &trace.place, &then.trace, &trace_hash),
        ("interpreter", here, &then.interpreter, interpreter()),
    ];
    let differing = subjects.iter().filter(|(.., then, now)| then != now);
    let mut lines: Vec<String> = differing
        .map(|(what, place, then, now)| {
            let [then, now] = [then, now].map(|hash| short(hash));
            format!("{what} differs: the receipt has {then}, {place} has {now}")
        })
        .collect();
    if then.engine != ENGINE {
        lines.push(format!(
            "engine differs: the receipt has {}, {here} has \"{ENGINE}\"; fuel of two engines can't be compared",
            quoted(&then.engine, 0)
        ));
    }
    lines
}

/// The receipt's fuel, which its outcome line repeats, and the run's, if the same engine counts it.
fn fuel_that_differs(then: &Receipt, said: Option<&Said>, now: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let then_fuel = then.fuel;
    if let Some(said) = said.and_then(|said| said.fuel)
        && said != then_fuel
    {
        lines.push(format!(
            "fuel differs: {said} in the outcome line, {then_fuel} in its receipt"
        ));
    }
    if then.engine == ENGINE && then_fuel != now {
        lines.push(format!("fuel differs: {then_fuel} then, {now} now"));
    }
    lines
}

/// What the eval said differently: part by part if the outcome line is there, else by the hash of all.
fn said_otherwise(then: &Receipt, said: Option<&Said>, now: &Outcome) -> Vec<String> {
    let is_as_hashed = hash(canonical(now)) == then.verdict;
    let now = Said::of(now);
    let parts: Vec<String> = said.map_or_else(Vec::new, |then| parts_that_differ(then, &now));
    if is_as_hashed || !parts.is_empty() {
        return parts;
    }
    let shown = now.parts().into_iter().filter_map(|(what, is)| {
        let is = is?;
        Some(format!("{what} {}", quoted(&is, 0)))
    });
    let shown: Vec<String> = shown.collect();
    let of_which = match said {
        Some(_) => {
            "its outcome line says the same as now, but the receipt's hash is of something else"
        }
        None => "the receipt has only its hash",
    };
    vec![format!(
        "verdict or reason differs ({of_which}); now: {}",
        shown.join(", ")
    )]
}

fn parts_that_differ(then: &Said, now: &Said) -> Vec<String> {
    let pairs = then.parts().into_iter().zip(now.parts());
    let differing = pairs.filter(|((_, then), (_, now))| then != now);
    differing
        .map(|((what, then), (_, now))| {
            let start = start_of_difference(then.as_deref(), now.as_deref());
            let [then, now] = [then, now].map(|text| match text {
                Some(text) => quoted(&text, start),
                None => "none".to_owned(),
            });
            format!("{what} differs: {then} then, {now} now")
        })
        .collect()
}

/// The character from which on two long texts are shown, so that what differs can be seen.
fn start_of_difference(then: Option<&str>, now: Option<&str>) -> usize {
    let pairs = then
        .unwrap_or_default()
        .chars()
        .zip(now.unwrap_or_default().chars());
    let alike = pairs.take_while(|(then, now)| then == now).count();
    match alike < QUOTED_CHARS / 2 {
        true => 0,
        false => alike - QUOTED_CHARS / 4,
    }
}

/// Hostile text from a character on, with nothing in it that a terminal obeys.
fn quoted(text: &str, start: usize) -> String {
    let mut rest = text.chars().skip(start);
    let shown: String = rest.by_ref().take(QUOTED_CHARS).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if rest.next().is_some() { "…" } else { "" };
    format!("{before}{shown:?}{after}")
}

fn short(hash: &str) -> String {
    let digits: String = hash.chars().take(HASH_DIGITS).collect();
    format!("{}…", digits.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reason: &str) -> Said {
        Said {
            verdict: Some(Verdict::Pass),
            reason: Some(reason.to_owned()),
            error: None,
            printed: String::new(),
            fuel: None,
        }
    }

    #[test]
    fn a_difference_far_in_a_long_reason_is_shown() {
        let long = "é".repeat(1_900);
        let lines = parts_that_differ(&said(&format!("{long}a")), &said(&format!("{long}b")));
        let alike = "é".repeat(QUOTED_CHARS / 4);
        let expected = format!("reason differs: …\"{alike}a\" then, …\"{alike}b\" now");
        assert_eq!(lines, [expected]);
        assert!(parts_that_differ(&said(&long), &said(&long)).is_empty());
    }

    #[test]
    fn a_long_text_is_cut_where_it_is_shown() {
        let lines = parts_that_differ(&said(&"x".repeat(300)), &said("y"));
        let cut = "x".repeat(QUOTED_CHARS);
        assert_eq!(
            lines,
            [format!("reason differs: \"{cut}\"… then, \"y\" now")]
        );
    }
}
