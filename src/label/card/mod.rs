//! The card: what was asked and what was answered, and three buttons.
//!
//! A trace in, one message of Slack out, within every limit of Slack's whatever the trace holds. Text of the trace is
//! in `rich_text`, or in `plain_text` without emoji codes: it mentions nobody, links nowhere, unfurls nothing and ends
//! no block. What is long is cut at a sensible place, and stands whole in the pages that *Show all* opens.

mod clean;
mod cut;
mod markdown;
mod pages;
mod pictures;
mod rich;
mod sources;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

use serde_json::{Value, json};

use self::clean::line;
use self::cut::{groups, shorten};
pub use self::pages::{PAGES_BACK, PAGES_CALLBACK, PAGES_NEXT, Pages, Shown};
use self::rich::{Piece, cost};
use crate::domain::{Thumb, Trace, head};
use crate::slack::{Message, actions, button, context, escape};

/// The buttons' `action_id`s and what they mean.
pub const THUMB_ACTIONS: [(&str, Thumb); 3] = [
    ("thumb_up", Thumb::Up),
    ("thumb_down", Thumb::Down),
    ("thumb_neutral", Thumb::Neutral),
];
/// The `action_id` of the button that opens the whole trace.
pub const SHOW_ALL: &str = "show_all";
/// The `action_id` of the overflow menu.
pub const CARD_MENU: &str = "card_menu";
/// What the overflow menu offers: the buttons in words for keyboards and screen readers, and what is rarer. Slack takes
/// five options.
const MENU: [(&str, &str); 5] = [
    ("up", "Good answer"),
    ("down", "Bad answer"),
    ("neutral", "Neither good nor bad"),
    ("undo", "Undo my label"),
    ("skip", "Skip"),
];

/// What the thumb on a card is about, where that is more than the card shows.
const ON_SESSION: &str =
    "🧵 Judge the whole session up to this answer, the turns before it included";

/// Instead of a deleted trace.
const DELETED: &str = "🗑️ This trace was deleted in Langfuse, and its text here with it. Its labels stay, but no \
    eval learns from them.";

/// No more of a text is read for a card, which shows far less.
const READ_CHARS: usize = 16_000;
/// What the parts of a card may cost. Slack refuses a message whose blocks are longer than about 13,000 characters of
/// JSON (`msg_blocks_too_long`), which is written nowhere.
const QUESTION_COST: usize = 1_600;
const ANSWER_COST: usize = 4_000;
/// What a block may cost: Slack takes 3,000 characters of text in one.
const BLOCK_COST: usize = 2_900;

/// How the thumbs of a trace add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// 👍.
    pub up: i64,
    /// 😐.
    pub neutral: i64,
    /// 👎.
    pub down: i64,
}

/// What a card shows beside the trace itself.
pub struct CardView<'a> {
    /// The trace.
    pub trace: &'a Trace,
    /// The trace's page in Langfuse.
    pub url: Option<String>,
    /// Whether unreadable characters were replaced.
    pub cleaned: bool,
    /// Whether the trace was deleted in Langfuse: nothing of it is shown then.
    pub deleted: bool,
    /// The thumbs so far.
    pub tally: Tally,
    /// Who asked for the card by hand: empty where that is not known, `None` where nobody did.
    pub asked_by: Option<&'a str>,
    /// Whether the thumb is about the trace's session and not about its answer alone.
    pub on_session: bool,
}

/// The card: question, tool calls, sources, answer, three buttons, the tally.
pub fn card(view: &CardView<'_>) -> Message {
    if view.deleted {
        return deleted_card(view);
    }
    let (body, is_cut) = body(view.trace);
    let mut blocks: Vec<Value> = view.asked_by.map(asked).into_iter().collect();
    blocks.extend(body);
    if view.on_session {
        blocks.push(context(ON_SESSION));
    }
    if is_cut {
        let label = "Show the whole trace";
        blocks.push(actions(
            "more",
            &[button(SHOW_ALL, "Show all", label, &view.trace.id)],
        ));
    }
    blocks.push(actions("thumbs", &thumb_buttons(&view.trace.id)));
    blocks.push(footer(view));
    let question = escape(&line(&view.trace.input_text, 200));
    Message {
        text: format!("Is this answer good? {question}"),
        blocks,
        metadata: None,
    }
}

/// The trace in blocks; and whether it has more than they show.
fn body(trace: &Trace) -> (Vec<Value>, bool) {
    let pictures = pictures::links(trace);
    let room = ANSWER_COST - pictures.as_ref().map_or(0, Piece::cost);
    let (mut answer, is_answer_cut) = titled("Answer", &trace.output_text, room);
    answer.extend(pictures);
    let parts = [
        turns::last_turns(trace),
        titled("Question", &trace.input_text, QUESTION_COST),
        tools::lines(trace),
        sources::folded(trace),
        (answer, is_answer_cut),
    ];
    let is_cut = parts.iter().any(|(_, is_cut)| *is_cut);
    let blocks = parts
        .into_iter()
        .flat_map(|(part, _)| groups(part, BLOCK_COST));
    (blocks.map(|group| rich::block(&group)).collect(), is_cut)
}

/// A text below its heading; and whether it was cut.
fn titled(title: &str, text: &str, budget: usize) -> (Vec<Piece>, bool) {
    let read = head(text, READ_CHARS);
    let mut pieces = vec![Piece::title(title)];
    let (shown, is_cut) = shorten(markdown::pieces(read), budget - cost(&pieces));
    match shown.is_empty() {
        true => pieces.push(Piece::plain("(empty)")),
        false => pieces.extend(shown),
    }
    (pieces, is_cut || read.len() < text.len())
}

/// That a person wants to know, which no sampled card says.
fn asked(by: &str) -> Value {
    match line(by, 80).as_str() {
        "" => context("🙋 Asked for in Langfuse"),
        by => context(&format!("🙋 Asked for in Langfuse by {}", escape(by))),
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
    let thumbs = THUMB_ACTIONS.iter().map(|(action, thumb)| {
        let (text, label) = match thumb {
            Thumb::Up => ("👍 Good", "Good answer"),
            Thumb::Down => ("👎 Bad", "Bad answer"),
            Thumb::Neutral => ("😐 Neither", "Neither good nor bad"),
        };
        button(action, text, label, trace_id)
    });
    thumbs.chain([menu()]).collect()
}

fn menu() -> Value {
    let options = MENU.map(|(value, text)| {
        json!({"value": value, "text": {"type": "plain_text", "text": text, "emoji": false}})
    });
    json!({"type": "overflow", "action_id": CARD_MENU, "options": options})
}

/// The tally, then what the trace is called and took: only the last is the trace's own text.
fn footer(view: &CardView<'_>) -> Value {
    let mut footer = context(&ours(view));
    let theirs = theirs(view.trace);
    if !theirs.is_empty()
        && let Some(elements) = footer["elements"].as_array_mut()
    {
        elements.push(json!({"type": "plain_text", "text": theirs, "emoji": false}));
    }
    footer
}

fn ours(view: &CardView<'_>) -> String {
    let mut parts = vec![tally_line(view.tally)];
    parts.extend(
        view.trace
            .latency_ms
            .map(|ms| format!("{:.1} s", ms / 1000.0)),
    );
    parts.extend(
        view.trace
            .total_cost
            .filter(|cost| *cost > 0.0)
            .map(dollars),
    );
    if view.cleaned {
        parts.push("unreadable characters were replaced".to_owned());
    }
    if let Some(url) = &view.url {
        parts.push(format!(
            "<{}|Open in Langfuse>",
            escape(&url.replace('|', "%7C"))
        ));
    }
    parts.join(" · ")
}

/// To the first two figures that say something.
fn dollars(cost: f64) -> String {
    match cost {
        cost if cost >= 0.01 => format!("${cost:.2}"),
        cost if cost >= 0.0001 => format!("${cost:.4}"),
        _ => "under $0.0001".to_owned(),
    }
}

/// What the trace is called. Which model answered is not said: whoever knows it judges the model.
fn theirs(trace: &Trace) -> String {
    line(trace.name.as_deref().unwrap_or_default(), 60)
}
