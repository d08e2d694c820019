//! Pictures that were part of the question or the answer: links, named by their host, and nothing that unfurls.
//!
//! Only a picture that the trace holds as one becomes a link, and only with an address of the web; an address in a
//! text stays text.

use serde_json::Value;
use url::Url;

use super::rich::{Form, Piece, Span};
use crate::domain::Trace;

/// Links on a card.
const SHOWN: usize = 3;
/// Signed addresses are long, and a card has not much room.
const ADDRESS_MAX: usize = 800;
/// Nobody nests a picture deeper.
const DEPTH_MAX: usize = 12;

/// One line with a link for each picture; nothing without pictures.
pub fn links(trace: &Trace) -> Option<Piece> {
    let mut found = Vec::new();
    for value in [&trace.input, &trace.output] {
        look_for(value, 0, &mut found);
    }
    let spans: Vec<Span> = found
        .iter()
        .flat_map(|url| [link(url), Span::plain(" ")])
        .collect();
    (!spans.is_empty()).then(|| Piece::new(Form::Title, spans))
}

fn link(url: &Url) -> Span {
    let host = url.host_str().unwrap_or_default();
    Span {
        url: Some(url.to_string()),
        ..Span::plain(format!("🖼 Picture at {host}"))
    }
}

fn look_for(value: &Value, depth: usize, found: &mut Vec<Url>) {
    if depth > DEPTH_MAX || found.len() >= SHOWN {
        return;
    }
    if is_picture(value) {
        let url = address(value, 0).filter(|url| !found.contains(url));
        found.extend(url);
        return;
    }
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| look_for(item, depth + 1, found)),
        Value::Object(fields) => fields
            .values()
            .for_each(|item| look_for(item, depth + 1, found)),
        _ => {}
    }
}

/// A part of a message that says that it is one.
fn is_picture(part: &Value) -> bool {
    let kind = part["type"].as_str().unwrap_or_default();
    let media = part["mediaType"]
        .as_str()
        .or_else(|| part["media_type"].as_str());
    matches!(kind, "image" | "image_url" | "input_image")
        || kind == "file" && media.is_some_and(|media| media.starts_with("image/"))
}

/// The first address of the web in a part.
fn address(part: &Value, depth: usize) -> Option<Url> {
    match part {
        Value::String(text) if text.len() <= ADDRESS_MAX => {
            let url = Url::parse(text).ok()?;
            let is_webs = matches!(url.scheme(), "http" | "https") && url.has_host();
            (is_webs && url.username().is_empty() && url.as_str().len() <= ADDRESS_MAX)
                .then_some(url)
        }
        Value::Object(fields) if depth < 3 => {
            fields.values().find_map(|value| address(value, depth + 1))
        }
        _ => None,
    }
}
