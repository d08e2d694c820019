//! What was retrieved, for an answer can only be judged against it: folded on a card, whole in *Show all*.

use serde_json::Value;

use super::clean::clean;
use super::cut::shorten;
use super::rich::{Piece, cost};
use crate::domain::{Trace, head};

/// What the passages on a card cost, and each of them.
const SHOWN_COST: usize = 1_300;
const PASSAGE_COST: usize = 700;
/// A passage is looked at no further for a card.
const PASSAGE_CHARS: usize = 4_000;

/// Every passage that was retrieved, in order.
pub fn passages(trace: &Trace) -> Vec<String> {
    let retrievals = trace
        .observations
        .iter()
        .filter(|step| step.kind == "RETRIEVER");
    let mut passages = Vec::new();
    for step in retrievals {
        collect(&step.output, &mut passages);
    }
    passages.retain(|passage| !passage.trim().is_empty());
    passages
}

fn collect(value: &Value, passages: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| collect(item, passages)),
        Value::String(text) => passages.push(text.clone()),
        other => passages.push(text_of(other)),
    }
}

/// A document's text, where it names it as retrievers do; else all of it.
fn text_of(document: &Value) -> String {
    const NAMES: [&str; 5] = ["page_content", "pageContent", "content", "text", "document"];
    let texts = NAMES.iter().filter_map(|name| document[name].as_str());
    let longest = texts.max_by_key(|text| text.len());
    longest.map_or_else(|| document.to_string(), str::to_owned)
}

/// The first passages, and how many more there are; says whether anything is hidden.
pub fn folded(trace: &Trace) -> (Vec<Piece>, bool) {
    let passages = passages(trace);
    let (mut pieces, mut left, mut is_hidden) = (Vec::new(), SHOWN_COST, false);
    let mut shown = 0;
    for passage in &passages {
        let start = head(passage, PASSAGE_CHARS);
        let (some, is_cut) = shorten(
            vec![Piece::quote(clean(start).trim())],
            PASSAGE_COST.min(left),
        );
        is_hidden |= is_cut || start.len() < passage.len();
        left = left.saturating_sub(cost(&some));
        pieces.extend(some);
        shown += 1;
        if left < PASSAGE_COST / 2 {
            break;
        }
    }
    let title = match passages.len() - shown {
        0 => "Retrieved".to_owned(),
        more => format!("Retrieved, and {more} more"),
    };
    is_hidden |= passages.len() > shown;
    if !pieces.is_empty() {
        pieces.insert(0, Piece::title(title));
    }
    (pieces, is_hidden)
}

/// The passages, whole.
pub fn whole(trace: &Trace) -> Vec<Piece> {
    let passages = passages(trace);
    let count = passages.len();
    let mut pieces = Vec::new();
    for (i, passage) in passages.iter().enumerate() {
        pieces.push(Piece::title(format!("Retrieved, {} of {count}", i + 1)));
        let mut quotes = super::markdown::plain(passage);
        quotes.iter_mut().for_each(|piece| piece.quoted = true);
        pieces.extend(quotes);
    }
    pieces
}
