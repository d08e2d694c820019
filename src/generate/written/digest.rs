//! A trace as text for a prompt, within a budget of characters.
//!
//! In: a trace, or a session. Out: its texts in order, each under the path by which an eval finds it. Whatever does not
//! fit is marked where it was and listed; the same trace and budget give the same text.
//!
//! Every line that begins with `| ` is the trace's, every other line is ours, so that no text of a trace can pass for
//! a heading or a mark. Characters that can't be seen are written as Python writes them.

mod choose;
mod cut;
mod parts;
mod payload;
mod relevance;
#[cfg(test)]
mod tests;
mod visible;

use crate::domain::Trace;
use choose::{Share, shares};
use parts::{Part, parts_of};
use relevance::Relevance;

/// A trace's text for a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// At most the budget's characters; empty where not even a mark fits.
    pub text: String,
    /// What is not in the text, a phrase each; empty where the whole trace is.
    pub left_out: Vec<String>,
}

/// The trace within `budget_chars` characters: the request, the answer, the whole conversation, tool calls with what
/// they returned, what was retrieved, other steps, and metadata. Of a session, every trace in its order.
///
/// Over the budget, small parts stay whole; of a long one stay its head, its tail and the passages that share the
/// rarest words with the answer. Errors and the steps around them come first, after the answer and the request.
///
/// What does not say whether an answer is good is never in it, and does not count as left out: ids, times, names of
/// models, costs, scores, latencies, tags, and fields of the metadata that are named after such. A long name in a
/// heading ends in an ellipsis.
pub fn digest(trace: &Trace, budget_chars: usize) -> Digest {
    let parts = parts_of(trace);
    if parts.iter().map(|part| part.whole_chars).sum::<usize>() <= budget_chars {
        let text = parts.iter().map(Part::whole).collect();
        let left_out = Vec::new();
        return Digest { text, left_out };
    }
    let relevance = Relevance::of(&parts);
    let shares = shares(&parts, &relevance, budget_chars);
    written(&parts, &relevance, &shares, budget_chars)
}

/// The parts by their shares, with a mark for each run of parts that has none.
fn written(parts: &[Part], relevance: &Relevance, shares: &[Share], budget: usize) -> Digest {
    let (mut text, mut left_out) = (String::new(), Vec::new());
    let mut at = 0;
    while at < parts.len() {
        let dropped = shares[at..]
            .iter()
            .take_while(|share| **share == Share::None);
        let end = at + dropped.count();
        if end > at {
            let gap = Gap::of(&parts[at..end]);
            text.push_str(&gap.mark());
            left_out.push(gap.in_words());
            at = end;
            continue;
        }
        match shares[at] {
            Share::Cut(chars) => {
                let cut = parts[at].cut(chars, relevance.passages(at));
                text.push_str(&cut.text);
                left_out.push(cut.in_words);
            }
            _ => text.push_str(&parts[at].whole()),
        }
        at += 1;
    }
    if text.chars().count() > budget {
        // Not even one mark fits.
        text.clear();
    }
    Digest { text, left_out }
}

/// A run of parts that are left out.
struct Gap<'p> {
    first: &'p str,
    last: &'p str,
    parts: usize,
    chars: usize,
}

impl<'p> Gap<'p> {
    fn of(parts: &'p [Part]) -> Self {
        let chars = parts.iter().map(|part| part.body_chars).sum();
        let path = |part: Option<&'p Part>| part.map_or("", |part| part.path.as_str());
        Self {
            first: path(parts.first()),
            last: path(parts.last()),
            parts: parts.len(),
            chars,
        }
    }

    fn mark(&self) -> String {
        format!("[… {} left out …]\n", self.in_words())
    }

    fn in_words(&self) -> String {
        let chars = characters(self.chars);
        match self.parts {
            1 => format!("{} ({chars})", self.first),
            parts => format!("{parts} parts, {} to {} ({chars})", self.first, self.last),
        }
    }
}

/// A number of characters in words.
fn characters(count: usize) -> String {
    match count {
        1 => "1 character".to_owned(),
        _ => format!("{} characters", grouped(count)),
    }
}

/// A number with commas between its thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
