//! The labelled traces as a prompt shows them: data between marks that do not occur in it, those that are alike but
//! judged differently side by side.

use std::collections::BTreeSet;

use super::digest::{Digest, digest};
use super::labels::{Decided, contrasts, count, drawn};
use crate::domain::{Class, Thumb, head, sha256_hex};

/// Labelled traces in a prompt, at most: more teach little, and cost.
const MOST_SHOWN: usize = 120;
/// In fewer characters a trace says too little: fewer are shown then.
const LEAST_CHARS: usize = 500;
/// Characters of all comments on a label.
const COMMENT_CHARS: usize = 600;

/// Characters of headings and marks around a trace, about.
const AROUND_CHARS: usize = 150;
/// Things left out of a trace that are named; its text has a mark for each of the others too.
const NAMED_GAPS: usize = 4;

/// What a prompt says of the labels.
pub struct Material {
    /// The text, each part of a trace between marks.
    pub text: String,
    /// Tags of the labels that are in it.
    pub tags: BTreeSet<String>,
}

/// The labels in about `chars` characters. The same labels and seed give the same text.
pub fn material(labels: &[&Decided<'_>], chars: usize, seed: u64) -> Material {
    let shown = drawn(labels, (chars / LEAST_CHARS).clamp(2, MOST_SHOWN), seed);
    let comments: Vec<String> = shown.iter().map(|label| comments(label)).collect();
    let beside = shown.len() * AROUND_CHARS + comments.iter().map(String::len).sum::<usize>();
    let digests = fitted(&shown, chars.saturating_sub(beside));
    let texts = digests.iter().map(|digest| digest.text.as_str());
    let mark = mark(seed, texts.chain(comments.iter().map(String::as_str)));
    let block = |label: &Decided<'_>| {
        let at = shown.iter().position(|shown| shown.tag == label.tag);
        at.map_or_else(String::new, |at| {
            block(label, &digests[at], &comments[at], &mark)
        })
    };
    let mut paired = BTreeSet::new();
    let mut text = vec![opening(labels, shown.len())];
    for (number, (pass, fail)) in contrasts(&shown).into_iter().enumerate() {
        paired.extend([&pass.tag, &fail.tag]);
        text.push(format!(
            "Contrast {}: alike, and judged differently.\n{}\n{}",
            number + 1,
            block(pass),
            block(fail)
        ));
    }
    let alone = shown.iter().filter(|label| !paired.contains(&label.tag));
    text.extend(alone.map(|label| block(label)));
    Material {
        text: text.join("\n\n"),
        tags: shown.iter().map(|label| label.tag.clone()).collect(),
    }
}

fn opening(labels: &[&Decided<'_>], shown: usize) -> String {
    let (passes, fails) = (count(labels, Class::Pass), count(labels, Class::Fail));
    let left = labels.len() - shown;
    let rest = match left {
        0 => String::new(),
        _ => format!(
            " {left} of them are not shown here for want of room; evals are tried on them too."
        ),
    };
    format!("People labelled {passes} traces 👍 (pass) and {fails} traces 👎 (fail).{rest}")
}

/// Digests that fit together: short traces leave their room to long ones.
fn fitted(labels: &[&Decided<'_>], chars: usize) -> Vec<Digest> {
    let whole: Vec<Digest> = labels
        .iter()
        .map(|label| digest(&label.label.trace, chars))
        .collect();
    let sizes: Vec<usize> = whole
        .iter()
        .map(|digest| digest.text.chars().count())
        .collect();
    let level = level(sizes.clone(), chars);
    let fit = |((digested, size), label): ((Digest, usize), &&Decided<'_>)| {
        if size <= level {
            return digested;
        }
        digest(&label.label.trace, level)
    };
    whole.into_iter().zip(sizes).zip(labels).map(fit).collect()
}

/// The size to which the larger ones must be cut for all to have `room`.
fn level(mut sizes: Vec<usize>, mut room: usize) -> usize {
    sizes.sort_unstable();
    for (at, size) in sizes.iter().enumerate() {
        let share = room / (sizes.len() - at);
        if *size > share {
            return share;
        }
        room -= size;
    }
    usize::MAX
}

fn comments(label: &Decided<'_>) -> String {
    let votes = label
        .label
        .votes
        .iter()
        .filter_map(|vote| vote.comment.as_ref());
    let said: BTreeSet<&str> = votes
        .chain(&label.label.comments)
        .map(|comment| comment.trim())
        .filter(|comment| !comment.is_empty())
        .collect();
    let all = said.into_iter().collect::<Vec<_>>().join("\n");
    head(&all, COMMENT_CHARS).to_owned()
}

/// A label with its trace, and with why, where people said so.
pub fn block(label: &Decided<'_>, digest: &Digest, comments: &str, mark: &str) -> String {
    let thumb = match label.class {
        Class::Pass => Thumb::Up.emoji(),
        Class::Fail => Thumb::Down.emoji(),
    };
    let mut text = vec![format!(
        "{}, {}, people say {thumb}",
        label.tag,
        votes(label)
    )];
    if !comments.is_empty() {
        text.push(fenced("their comments", comments, mark));
    }
    text.push(fenced("the trace", &digest.text, mark));
    if !digest.left_out.is_empty() {
        text.push(left_out(label, &digest.left_out));
    }
    text.join("\n")
}

fn left_out(label: &Decided<'_>, parts: &[String]) -> String {
    let named = parts[..parts.len().min(NAMED_GAPS)].join("; ");
    let more = match parts.len().saturating_sub(NAMED_GAPS) {
        0 => String::new(),
        more => format!("; and {more} more parts"),
    };
    format!("Left out of {}: {named}{more}.", label.tag)
}

/// One more label as a request shows it, with marks of its own.
pub fn alone(label: &Decided<'_>, chars: usize, seed: u64) -> String {
    let (digest, comments) = (digest(&label.label.trace, chars), comments(label));
    let mark = mark(seed, [digest.text.as_str(), &comments].into_iter());
    block(label, &digest, &comments, &mark)
}

fn votes(label: &Decided<'_>) -> String {
    match label.label.votes.len() {
        0 | 1 => "one label".to_owned(),
        votes => format!("{votes} labels"),
    }
}

/// Data between marks.
pub fn fenced(what: &str, data: &str, mark: &str) -> String {
    format!("[{mark} {what}]\n{}\n[/{mark}]", data.trim_end())
}

/// A word that none of `texts` has, so that none can end what it marks.
pub fn mark<'t>(seed: u64, texts: impl Iterator<Item = &'t str> + Clone) -> String {
    let mut number = seed;
    loop {
        let all = texts.clone().map(sha256_hex).collect::<Vec<_>>().join("\n");
        let mark = sha256_hex(format!("{number}\n{all}"))[..16].to_owned();
        if !texts.clone().any(|text| text.contains(&mark)) {
            return mark;
        }
        number = number.wrapping_add(1);
    }
}
