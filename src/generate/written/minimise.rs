//! The same eval in fewer lines.
//!
//! An eval of ours proposes smaller sources, in the sandbox; one is taken where it says the same of every labelled and
//! unlabelled trace, and of traces that lack parts, so that what guards against those stays.

use std::collections::BTreeSet;

use super::WriteError;
use super::desk::Desk;
use super::labels::Decided;
use crate::domain::{ErrorKind, EvalSource, Outcome, Trace, Verdict};

/// Our eval that proposes; it is given a source for a trace.
const MINIMISER: &str = concat!(include_str!("minimiser.py"), include_str!("names.py"));
/// Smaller sources that are tried.
const MOST_TRIES: usize = 120;
/// Traces that one is run on first: most that say something else do so here.
const PROBED: usize = 8;

/// The smallest source found that says the same; all it says differently is its reasons.
///
/// What asks `judge` is tried on labelled traces alone, whose answers are known; questions about others cost.
///
/// # Errors
/// The host failed.
pub fn minimise(
    desk: &Desk<'_>,
    source: &EvalSource,
    asks: bool,
    labels: &[&Decided<'_>],
) -> Result<EvalSource, WriteError> {
    let mut traces: Vec<String> = labels.iter().map(|label| label.json.clone()).collect();
    if !asks {
        traces.extend(
            labels
                .first()
                .into_iter()
                .flat_map(|label| hollow(&label.label.trace)),
        );
        traces.extend(desk.pool.iter().map(Trace::to_json));
    }
    let said = said(&desk.run(source, &traces)?);
    let mut smallest = source.clone();
    let mut tried = BTreeSet::new();
    while let Some(smaller) = next_smaller(desk, &smallest, (&traces, &said), &mut tried)? {
        smallest = smaller;
    }
    Ok(smallest)
}

/// What an eval said of a trace, reasons left out.
type Said = Result<Verdict, ErrorKind>;

fn said(outcomes: &[Outcome]) -> Vec<Said> {
    let of = |outcome: &Outcome| match &outcome.result {
        Ok((verdict, _)) => Ok(*verdict),
        Err(error) => Err(error.kind),
    };
    outcomes.iter().map(of).collect()
}

/// The largest cut that changes nothing.
fn next_smaller(
    desk: &Desk<'_>,
    source: &EvalSource,
    (traces, expected): (&[String], &[Said]),
    tried: &mut BTreeSet<String>,
) -> Result<Option<EvalSource>, WriteError> {
    for edit in proposed(desk, source)? {
        let Some(smaller) = applied(source, &edit) else {
            continue;
        };
        if tried.len() >= MOST_TRIES {
            return Ok(None);
        }
        if tried.insert(smaller.hash()) && says(desk, &smaller, traces, expected)? {
            return Ok(Some(smaller));
        }
    }
    Ok(None)
}

fn says(
    desk: &Desk<'_>,
    source: &EvalSource,
    traces: &[String],
    expected: &[Said],
) -> Result<bool, WriteError> {
    let probed = traces.len().min(PROBED);
    let same = |range: std::ops::Range<usize>| {
        let outcomes = desk.run(source, &traces[range.clone()])?;
        Ok::<bool, WriteError>(said(&outcomes) == expected[range])
    };
    Ok(same(0..probed)? && same(probed..traces.len())?)
}

/// Bytes from, to, and what stands there instead.
type Edit = (usize, usize, String);

fn proposed(desk: &Desk<'_>, source: &EvalSource) -> Result<Vec<Edit>, WriteError> {
    let given = serde_json::json!({ "source": source.as_str() }).to_string();
    let outcomes = desk.run(&EvalSource::new(MINIMISER), &[given])?;
    let reason = outcomes
        .first()
        .and_then(|outcome| outcome.result.as_ref().ok());
    // One that is too tangled to be read stays as it is.
    let edits = reason.and_then(|(_, edits)| serde_json::from_str(edits).ok());
    Ok(edits.unwrap_or_default())
}

/// `None` where the edit does not fit: what proposes runs beside hostile text.
fn applied(source: &EvalSource, (start, end, text): &Edit) -> Option<EvalSource> {
    let source = source.as_str();
    let (before, after) = (source.get(..*start)?, source.get(*end..)?);
    let smaller = format!("{before}{text}{after}");
    (start < end && smaller.len() < source.len()).then(|| EvalSource::new(smaller))
}

/// A trace with one part missing each, and with none at all.
fn hollow(trace: &Trace) -> Vec<String> {
    let without = |empty: &dyn Fn(&mut Trace)| {
        let mut hollow = trace.clone();
        empty(&mut hollow);
        hollow.to_json()
    };
    let no_answer = |trace: &mut Trace| (trace.output_text, trace.output) = Default::default();
    let no_request = |trace: &mut Trace| (trace.input_text, trace.input) = Default::default();
    let no_metadata = |trace: &mut Trace| trace.metadata = serde_json::json!({});
    let no_steps = |trace: &mut Trace| {
        trace.messages.clear();
        trace.tool_calls.clear();
        trace.observations.clear();
    };
    let nothing = |trace: &mut Trace| {
        no_answer(trace);
        no_request(trace);
        no_metadata(trace);
        no_steps(trace);
    };
    vec![
        without(&no_answer),
        without(&no_request),
        without(&no_metadata),
        without(&no_steps),
        without(&nothing),
    ]
}
