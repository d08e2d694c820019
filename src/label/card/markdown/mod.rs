//! Markdown as models write it in, pieces of rich text out.
//!
//! Every visible word of the source is in the pieces. What only looks like Markdown stays as it is: `snake_case`,
//! `2*3*4`, `__init__`, a lone `#`, an escape that is none. Addresses are shown as text and link nowhere; HTML and
//! mathematics are text too.

mod held;
mod reader;
mod table;
#[cfg(test)]
mod tests;

use pulldown_cmark::{Options, Parser};
use serde::de::IgnoredAny;

use self::held::hold;
use self::reader::Reader;
use super::clean::clean;
use super::rich::Piece;

/// A longer text, in bytes, is shown without a look: nobody reads it for that, and it would be parsed at every page.
const PARSED_MAX: usize = 128 * 1024;
/// Long texts without a look are pieces of this size, in characters.
const PLAIN_CHARS: usize = 4_000;

/// A text of a trace: JSON as code, else read as Markdown.
pub fn pieces(text: &str) -> Vec<Piece> {
    if text.len() > PARSED_MAX {
        return plain(text);
    }
    let text = clean(text);
    if is_json(&text) {
        return vec![Piece::code(text.trim())];
    }
    let held = hold(&text);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH;
    let events = Parser::new_ext(&held.source, options).into_offset_iter();
    let mut reader = Reader::new(&held);
    for (event, range) in events {
        reader.read(event, range);
    }
    reader.finish()
}

/// A text without a look.
pub fn plain(text: &str) -> Vec<Piece> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.trim().is_empty() {
        let head = crate::domain::head(rest, PLAIN_CHARS);
        let end = match head.rfind('\n') {
            Some(line) if head.len() < rest.len() => line + 1,
            _ => head.len(),
        };
        pieces.push(Piece::plain(clean(&rest[..end]).trim_end().to_owned()));
        rest = &rest[end..];
    }
    pieces.retain(|piece| !piece.text().is_empty());
    pieces
}

/// Whether the whole text is an object or a list.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}
