//! The whole trace, page by page, in the modal that *Show all* opens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cut::groups;
use super::rich::{self, Piece};
use super::{BLOCK_COST, DELETED, markdown, pictures, sources, tools, turns};
use crate::domain::{Message, Trace, TraceId, WorkspaceId};
use crate::slack::{actions, button, context};

/// The modal's `callback_id`.
pub const PAGES_CALLBACK: &str = "pages";
/// The `action_id`s of its buttons; their value is the page that they lead to.
pub const PAGES_BACK: &str = "pages_back";
/// The other one.
pub const PAGES_NEXT: &str = "pages_next";

/// What a page costs: a few screens of a phone, and far below what Slack takes.
const PAGE_COST: usize = 9_000;

/// What a modal shows, kept in its `private_metadata`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Whose trace it is.
    pub workspace: WorkspaceId,
    /// Which one.
    pub trace: TraceId,
}

/// A trace in pages of blocks.
pub struct Pages(Vec<Vec<Vec<Piece>>>);

impl Pages {
    /// All that the trace holds for a reader; nothing of a deleted one.
    pub fn of(trace: &Trace, deleted: bool) -> Self {
        let pieces = match deleted {
            true => vec![Piece::plain(DELETED)],
            false => whole(trace),
        };
        let (mut pages, mut page, mut left) = (Vec::new(), Vec::new(), PAGE_COST);
        for block in groups(pieces, BLOCK_COST) {
            let cost = rich::cost(&block);
            if cost > left {
                pages.push(std::mem::take(&mut page));
                left = PAGE_COST;
            }
            left = left.saturating_sub(cost);
            page.push(block);
        }
        pages.push(page);
        Self(pages)
    }

    /// How many pages there are: one at least.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The modal that shows page `number`, from 0, or the last one there is.
    pub fn view(&self, number: usize, workspace: &WorkspaceId, trace: &TraceId) -> Value {
        let number = number.min(self.count() - 1);
        let (workspace, trace) = (workspace.clone(), trace.clone());
        let shown = serde_json::to_string(&Shown { workspace, trace }).expect("two texts are JSON");
        json!({
            "type": "modal",
            "callback_id": PAGES_CALLBACK,
            "private_metadata": shown,
            "title": {"type": "plain_text", "text": "The whole trace"},
            "close": {"type": "plain_text", "text": "Close"},
            "blocks": self.blocks(number),
        })
    }

    fn blocks(&self, number: usize) -> Vec<Value> {
        let page = self.0[number].iter();
        let mut blocks: Vec<Value> = page.map(|block| rich::block(block)).collect();
        if self.count() > 1 {
            blocks.push(context(&format!("Page {} of {}", number + 1, self.count())));
            blocks.push(actions("pages", &self.buttons(number)));
        }
        blocks
    }

    fn buttons(&self, number: usize) -> Vec<Value> {
        let back = number.checked_sub(1).map(|to| (PAGES_BACK, "Back", to));
        let next = Some(number + 1).filter(|to| *to < self.count());
        let next = next.map(|to| (PAGES_NEXT, "Next", to));
        let buttons = [back, next].into_iter().flatten();
        let buttons = buttons.map(|(action, text, to)| {
            let label = format!("{text}, to page {}", to + 1);
            button(action, text, &label, &to.to_string())
        });
        buttons.collect()
    }
}

fn whole(trace: &Trace) -> Vec<Piece> {
    let mut pieces = titled("Question", &trace.input_text);
    pieces.extend(titled("Answer", &trace.output_text));
    pieces.extend(pictures::links(trace));
    for step in tools::failed_steps(trace) {
        let name = step.name.as_deref().unwrap_or(&step.kind);
        pieces.extend(titled("⚠️ Failed", name));
        pieces.extend(
            step.status_message
                .as_deref()
                .map(markdown::plain)
                .unwrap_or_default(),
        );
    }
    pieces.extend(sources::whole(trace));
    pieces.extend(trace.tool_calls.iter().flat_map(tools::whole));
    let turns = trace
        .messages
        .iter()
        .filter(|turn| !turn.content.trim().is_empty());
    if trace.messages.len() > 2 {
        pieces.push(Piece::title("The conversation"));
        pieces.extend(turns.flat_map(turn));
    }
    if trace.messages.is_empty() {
        pieces.extend(raw("Input", &trace.input));
        pieces.extend(raw("Output", &trace.output));
    }
    pieces
}

fn titled(title: &str, text: &str) -> Vec<Piece> {
    let mut pieces = vec![Piece::title(title)];
    pieces.extend(markdown::pieces(text));
    if pieces.len() == 1 {
        pieces.push(Piece::plain("(empty)"));
    }
    pieces
}

/// What a tool said is data, and read as such.
fn turn(turn: &Message) -> Vec<Piece> {
    let title = Piece::title(turns::speaker(turn));
    let said = match turn.role.as_str() {
        "tool" => tools::whole_value(&Value::String(turn.content.clone())),
        _ => markdown::pieces(&turn.content),
    };
    [title].into_iter().chain(said).collect()
}

/// A value that no reading as a conversation was found for.
fn raw(title: &str, value: &Value) -> Vec<Piece> {
    match value {
        Value::Object(_) | Value::Array(_) => {
            let mut pieces = vec![Piece::title(title)];
            pieces.extend(tools::whole_value(value));
            pieces
        }
        _ => Vec::new(),
    }
}
