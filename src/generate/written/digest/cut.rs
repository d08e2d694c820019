//! A part that is too long for its share: its head, its tail and what the answer depends on.

use std::iter::once;
use std::ops::Range;

use super::characters;
use super::parts::{Part, quote};

/// A share of fewer characters holds head and tail only.
const PASSAGES_FROM: usize = 400;
/// White space is looked for over so many characters before a word is cut.
const SNAP: usize = 24;

/// A part cut to its share.
pub struct Cut {
    /// Heading, what is kept, and a mark for each piece that is not.
    pub text: String,
    /// What is not kept.
    pub in_words: String,
}

/// What a mark in a body takes at most, its line end included.
pub fn mark_max(body_chars: usize) -> usize {
    mark(body_chars.max(2)).chars().count()
}

fn mark(chars: usize) -> String {
    format!("[… {} left out …]\n", characters(chars))
}

impl Part {
    /// The part in at most `share` characters, which must hold its heading and a mark.
    pub fn cut(&self, share: usize, passages: &[Range<usize>]) -> Cut {
        let mut text = format!("{}:\n", self.heading);
        let body = self.body.as_deref().unwrap_or_default();
        let room = share.saturating_sub(text.chars().count());
        let kept = kept(body, self.body_chars, room, passages);
        let (mut end, mut left_out) = (0, 0);
        for range in kept.into_iter().chain(once(body.len()..body.len())) {
            let missing = body[end..range.start].chars().count();
            if missing > 0 {
                text.push_str(&mark(missing));
                left_out += missing;
            }
            if !range.is_empty() {
                quote(&mut text, &body[range.clone()]);
            }
            end = range.end;
        }
        let total = characters(self.body_chars);
        let in_words = format!("{} of {total} of {}", super::grouped(left_out), self.path);
        Cut { text, in_words }
    }
}

/// The byte ranges of `body` to keep, apart from each other and in order.
fn kept(body: &str, chars: usize, room: usize, passages: &[Range<usize>]) -> Vec<Range<usize>> {
    let passages = if room < PASSAGES_FROM { &[] } else { passages };
    let room = room.saturating_sub((passages.len() + 1) * mark_max(chars));
    let (head, tail) = match passages.len() {
        0 => (room * 3 / 5, room - room * 3 / 5),
        _ => (room * 2 / 5, room / 4),
    };
    let each = (room - head - tail) / passages.len().max(1);
    let passages = passages.iter().map(|passage| {
        let text = &body[passage.clone()];
        passage.start..passage.start + head_end(text, each)
    });
    let (head, tail) = (0..head_end(body, head), tail_start(body, tail)..body.len());
    merged(once(head).chain(passages).chain(once(tail)).collect())
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// Where the longest head ends whose lines take at most `room` characters; not inside a word, if that can be.
fn head_end(text: &str, room: usize) -> usize {
    let end = reach(
        text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)),
        room,
    )
    .unwrap_or(0);
    if end == text.len() {
        return end;
    }
    let mut back = text[..end].char_indices().rev().take(SNAP);
    let snapped = back.find(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    snapped.filter(|at| *at > 0).unwrap_or(end)
}

/// Where the longest tail starts whose lines take at most `room` characters; not inside a word, if that can be.
fn tail_start(text: &str, room: usize) -> usize {
    let start = reach(text.char_indices().rev(), room).unwrap_or(text.len());
    if start == 0 {
        return start;
    }
    let mut ahead = text[start..].char_indices().take(SNAP);
    let snapped = ahead
        .find(|(_, c)| c.is_whitespace())
        .map(|(at, c)| start + at + c.len_utf8());
    snapped.filter(|at| *at < text.len()).unwrap_or(start)
}

/// The place of the last of these characters that still fits; a line takes three more for its begin and end.
fn reach(characters: impl Iterator<Item = (usize, char)>, room: usize) -> Option<usize> {
    let (mut taken, mut reached) = (3, None);
    for (place, c) in characters {
        taken += if c == '\n' { 3 } else { 1 };
        if taken > room {
            break;
        }
        reached = Some(place);
    }
    reached
}
