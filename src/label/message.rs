use serde_json::{Value, json};

use crate::domain::{Thumb, ToolCall, Trace};
use crate::slack::{Message, actions, button, context, cut, escape};

/// The buttons' `action_id`s and what they mean.
pub const THUMB_ACTIONS: [(&str, Thumb); 3] = [
    ("thumb_up", Thumb::Up),
    ("thumb_down", Thumb::Down),
    ("thumb_neutral", Thumb::Neutral),
];

/// What the thumb on a card is about, where that is more than the card shows.
const ON_SESSION: &str =
    "🧵 Judge the whole session up to this answer, the turns before it included";

/// Instead of a deleted trace.
const DELETED: &str = "🗑️ This trace was deleted in Langfuse, and its text here with it. Its labels stay, but no \
    eval learns from them.";

const QUESTION_MAX: usize = 1_500;
const ANSWER_MAX: usize = 2_800;
const SOURCE_MAX: usize = 600;
const SOURCES_SHOWN: usize = 3;
const CALLS_SHOWN: usize = 8;
const ARGUMENTS_MAX: usize = 120;

/// How the thumbs of a trace add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub up: i64,
    pub neutral: i64,
    pub down: i64,
}

/// What a card shows beside the trace itself.
pub struct CardView<'a> {
    pub trace: &'a Trace,
    /// The trace's page in Langfuse.
    pub url: Option<String>,
    /// Whether unreadable characters were replaced.
    pub cleaned: bool,
    /// Whether the trace was deleted in Langfuse: nothing of it is shown then.
    pub deleted: bool,
    pub tally: Tally,
    /// Who asked for the card by hand: empty where that is not known, `None` where nobody did.
    pub asked_by: Option<&'a str>,
    /// Whether the thumb is about the trace's session and not about its answer alone.
    pub on_session: bool,
}

/// The card: question, tool calls, sources, answer, three buttons, the tally.
pub fn card(view: &CardView<'_>) -> Message {
    let trace = view.trace;
    if view.deleted {
        return deleted_card(view);
    }
    let mut blocks: Vec<Value> = view.asked_by.map(asked).into_iter().collect();
    blocks.push(labelled(
        "Question",
        &shown(&trace.input_text, QUESTION_MAX),
    ));
    if !trace.tool_calls.is_empty() {
        blocks.push(context(&tool_lines(&trace.tool_calls)));
    }
    blocks.extend(sources(trace));
    blocks.push(labelled("Answer", &shown(&trace.output_text, ANSWER_MAX)));
    if view.on_session {
        blocks.push(context(ON_SESSION));
    }
    blocks.push(actions("thumbs", &thumb_buttons(&trace.id)));
    blocks.push(context(&footer(view)));
    Message {
        text: cut(
            &format!("Is this answer good? {}", escape(&trace.input_text)),
            300,
        ),
        blocks,
        metadata: None,
    }
}

/// That a person wants to know, which no sampled card says.
fn asked(by: &str) -> Value {
    match by {
        "" => context("🙋 Asked for in Langfuse"),
        by => context(&format!(
            "🙋 Asked for in Langfuse by {}",
            escape(&cut(by, 80))
        )),
    }
}

/// What is left of a card.
fn deleted_card(view: &CardView<'_>) -> Message {
    Message {
        text: DELETED.to_owned(),
        blocks: vec![context(DELETED), context(&tally_line(view.tally))],
        metadata: None,
    }
}

fn tally_line(tally: Tally) -> String {
    match (tally.up, tally.neutral, tally.down) {
        (0, 0, 0) => "No labels yet".to_owned(),
        (up, neutral, down) => format!("👍 {up} · 👎 {down} · 😐 {neutral}"),
    }
}

fn thumb_buttons(trace_id: &str) -> Vec<Value> {
    THUMB_ACTIONS
        .iter()
        .map(|(action, thumb)| {
            let (text, label) = match thumb {
                Thumb::Up => ("👍 Good", "Good answer"),
                Thumb::Down => ("👎 Bad", "Bad answer"),
                Thumb::Neutral => ("😐 Neither", "Neither good nor bad"),
            };
            button(action, text, label, trace_id)
        })
        .collect()
}

/// A bold heading and text in which nothing has a meaning.
fn labelled(heading: &str, text: &str) -> Value {
    json!({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
        {"type": "text", "text": format!("{heading}\n"), "style": {"bold": true}},
        {"type": "text", "text": text},
    ]}]})
}

/// Slack refuses empty text.
fn shown(text: &str, max: usize) -> String {
    match text.trim() {
        "" => "(empty)".to_owned(),
        text => cut(text, max),
    }
}

fn tool_lines(calls: &[ToolCall]) -> String {
    let line = |call: &ToolCall| {
        let arguments = cut(&call.arguments.to_string(), ARGUMENTS_MAX);
        let name = escape(&cut(&call.name, 80));
        let mark = if call.error.is_some() {
            "⚠️ failed: "
        } else {
            ""
        };
        format!("🔧 {mark}{name} {}", escape(&arguments))
    };
    let mut lines: Vec<String> = calls.iter().take(CALLS_SHOWN).map(line).collect();
    if calls.len() > CALLS_SHOWN {
        lines.push(format!(
            "… and {} more tool calls",
            calls.len() - CALLS_SHOWN
        ));
    }
    lines.join("\n")
}

/// What was retrieved, for an answer can only be judged against it.
fn sources(trace: &Trace) -> Vec<Value> {
    let retrievals = trace
        .observations
        .iter()
        .filter(|step| step.kind == "RETRIEVER");
    retrievals
        .map(|step| plain_text(&step.output))
        .filter(|text| !text.trim().is_empty())
        .take(SOURCES_SHOWN)
        .map(|text| labelled("Retrieved", &shown(&text, SOURCE_MAX)))
        .collect()
}

/// Strings as they are, lists line by line, the rest as JSON.
fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let lines: Vec<String> = items.iter().map(plain_text).collect();
            lines.join("\n")
        }
        other => other.to_string(),
    }
}

fn footer(view: &CardView<'_>) -> String {
    let mut parts = vec![tally_line(view.tally)];
    parts.extend(
        view.trace
            .name
            .as_deref()
            .map(|name| escape(&cut(name, 80))),
    );
    if let Some(latency) = view.trace.latency_ms {
        parts.push(format!("{:.1} s", latency / 1000.0));
    }
    if view.cleaned {
        parts.push("unreadable characters were replaced".to_owned());
    }
    if let Some(url) = &view.url {
        parts.push(format!("<{}|Open in Langfuse>", url.replace('|', "%7C")));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(change: impl FnOnce(&mut CardView<'_>)) -> String {
        let trace =
            serde_json::from_value(json!({"id": "t", "input": "Which colour?", "output": "Blue."}));
        let trace = crate::ingest::normalise(&trace.unwrap());
        let mut view = CardView {
            trace: &trace,
            url: None,
            cleaned: false,
            deleted: false,
            tally: Tally::default(),
            asked_by: None,
            on_session: false,
        };
        change(&mut view);
        json!(card(&view).blocks).to_string()
    }

    #[test]
    fn a_card_says_when_its_thumb_is_about_the_session() {
        assert!(shown(|view| view.on_session = true).contains("Judge the whole session"));
        assert!(!shown(|_| {}).contains("session"));
    }

    #[test]
    fn a_card_that_a_person_asked_for_says_so_and_a_name_is_only_a_name() {
        let asked_by = |name| shown(|view| view.asked_by = Some(name));
        assert!(!shown(|_| {}).contains("Asked for"));
        assert!(asked_by("").contains("🙋 Asked for in Langfuse\""));
        let named = asked_by("<!channel>");
        assert!(named.contains("by &lt;!channel&gt;"), "{named}");
    }

    #[test]
    fn a_deleted_traces_card_shows_nothing_of_it_and_no_buttons() {
        let shown = shown(|view| {
            view.deleted = true;
            view.asked_by = Some("Ada");
        });
        assert!(shown.contains("deleted in Langfuse") && shown.contains("No labels yet"));
        assert!(!shown.contains("Blue") && !shown.contains("button") && !shown.contains("Ada"));
    }
}
