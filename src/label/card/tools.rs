//! Tool calls and failed steps: one line each on a card, whole in *Show all*.

use serde_json::Value;

use super::clean::{isolated, line};
use super::rich::{Form, Piece, Span, Style, cost};
use crate::domain::{Observation, ToolCall, Trace, head};

/// Calls shown on a card; failed ones and the last are preferred.
const SHOWN: usize = 6;
/// What the lines may cost.
const SHOWN_COST: usize = 2_000;
const ARGUMENTS_SIGNS: usize = 70;
const RESULT_SIGNS: usize = 90;
/// A line shows little; no more of a value is written out for it.
const WRITTEN_CHARS: usize = 2_000;

/// A card's lines on what was called and what failed; says whether more happened than they show.
pub fn lines(trace: &Trace) -> (Vec<Piece>, bool) {
    let fewer = (2..=SHOWN).rev().map(|shown| lines_of(trace, shown));
    let fits = |(pieces, _): &(Vec<Piece>, bool)| cost(pieces) <= SHOWN_COST;
    let mut fitting = fewer.filter(fits);
    fitting.next().unwrap_or_else(|| lines_of(trace, 1))
}

fn lines_of(trace: &Trace, most: usize) -> (Vec<Piece>, bool) {
    let (calls, failed) = (&trace.tool_calls, failed_steps(trace));
    let chosen = chosen(calls, most);
    let mut pieces: Vec<Piece> = chosen.iter().map(|call| call_line(call)).collect();
    let steps = failed.iter().take(most);
    pieces.extend(steps.map(|step| step_line(step)));
    let is_cut = pieces.iter().any(|piece| piece.text().contains('…'));
    let hidden = calls.len() - chosen.len() + failed.len().saturating_sub(most);
    if hidden > 0 {
        pieces.push(item(vec![Span::plain(format!("… and {hidden} more"))]));
    }
    (pieces, is_cut || hidden > 0)
}

/// In order: the failed calls, and as many of the last ones as there is room for.
fn chosen(calls: &[ToolCall], most: usize) -> Vec<&ToolCall> {
    let ranks = calls.iter().enumerate();
    let mut ranked: Vec<(bool, usize)> = ranks.map(|(i, call)| (call.error.is_some(), i)).collect();
    ranked.sort_unstable_by(|one, other| other.cmp(one));
    ranked.truncate(most);
    ranked.sort_unstable_by_key(|(_, i)| *i);
    ranked.iter().map(|(_, i)| &calls[*i]).collect()
}

fn item(spans: Vec<Span>) -> Piece {
    Piece::new(
        Form::Item {
            number: None,
            indent: 0,
        },
        spans,
    )
}

fn call_line(call: &ToolCall) -> Piece {
    let mut spans = vec![
        Span::plain("🔧 "),
        Span::of(isolated(&name(&call.name, 60)), Style::BOLD),
    ];
    let arguments = line(&short(&call.arguments), ARGUMENTS_SIGNS);
    if !arguments.is_empty() {
        spans.push(Span::plain(format!(" {}", isolated(&arguments))));
    }
    let came = match &call.error {
        Some(error) => format!("\n⚠️ failed: {}", isolated(&line(error, RESULT_SIGNS))),
        None => match line(&short(&call.result), RESULT_SIGNS) {
            result if result.is_empty() => String::new(),
            result => format!("\n→ {}", isolated(&result)),
        },
    };
    if !came.is_empty() {
        spans.push(Span::plain(came));
    }
    item(spans)
}

/// Steps that failed, but for tools, whose calls say so.
pub fn failed_steps(trace: &Trace) -> Vec<&Observation> {
    let steps = trace.observations.iter();
    steps
        .filter(|step| step.level == "ERROR" && step.kind != "TOOL")
        .collect()
}

fn step_line(step: &Observation) -> Piece {
    let name = step.name.as_deref().unwrap_or(&step.kind);
    let why = step
        .status_message
        .as_deref()
        .map(|why| line(why, RESULT_SIGNS));
    let why = why.filter(|why| !why.is_empty());
    let why = why.map_or_else(
        || " failed".to_owned(),
        |why| format!(" failed: {}", isolated(&why)),
    );
    item(vec![
        Span::plain("⚠️ "),
        Span::of(isolated(&self::name(name, 60)), Style::BOLD),
        Span::plain(why),
    ])
}

fn name(name: &str, signs: usize) -> String {
    match line(name, signs) {
        empty if empty.is_empty() => "unnamed".to_owned(),
        name => name,
    }
}

/// A value's beginning in a line: nothing where there is none.
fn short(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::String(text) => head(text, WRITTEN_CHARS).to_owned(),
        other => head(&other.to_string(), WRITTEN_CHARS).to_owned(),
    }
}

/// A call, whole.
pub fn whole(call: &ToolCall) -> Vec<Piece> {
    let mark = if call.error.is_some() {
        "⚠️ failed: "
    } else {
        ""
    };
    let mut pieces = vec![Piece::title(format!(
        "🔧 {mark}{}",
        isolated(&name(&call.name, 200))
    ))];
    pieces.extend(whole_value(&call.arguments));
    if let Some(error) = &call.error {
        pieces.push(Piece::title("Error"));
        pieces.extend(whole_text(error));
    }
    if !call.result.is_null() {
        pieces.push(Piece::title("Result"));
        pieces.extend(whole_value(&call.result));
    }
    pieces
}

/// A value, whole: JSON in lines, and a text as it is.
pub fn whole_value(value: &Value) -> Vec<Piece> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => whole_text(text),
        other => code(&serde_json::to_string_pretty(other).unwrap_or_default()),
    }
}

fn whole_text(text: &str) -> Vec<Piece> {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => whole_value(&value),
        _ => code(text),
    }
}

fn code(text: &str) -> Vec<Piece> {
    let mut pieces = super::markdown::plain(text);
    pieces.iter_mut().for_each(|piece| piece.form = Form::Code);
    pieces
}
