//! What an answer depends on: the passages that share its rarest words and numbers.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::parts::{Part, Standing};

/// Passages kept for a part.
const PASSAGES: usize = 3;
/// A passage ends at the first end of a line or sentence after so many bytes.
const SENTENCE_MIN: usize = 80;
/// A passage is at most so many bytes long.
const PASSAGE_MAX: usize = 240;
/// Words of an answer that are looked for; an answer of more is cut itself.
const WORDS_MAX: usize = 2_000;

/// The passages of each part that share words with the answer.
pub struct Relevance {
    parts: Vec<Found>,
}

#[derive(Clone, Default)]
struct Found {
    /// Byte ranges of the part's body, in order.
    passages: Vec<Range<usize>>,
    /// The best passage's share of the best of all.
    best: f64,
}

impl Relevance {
    /// Compares every part with the answer.
    pub fn of(parts: &[Part]) -> Self {
        let answer = parts
            .iter()
            .filter(|part| part.standing == Standing::Answer);
        let sought: HashSet<String> = answer
            .filter_map(|part| part.body.as_deref())
            .flat_map(words)
            .take(WORDS_MAX)
            .collect();
        let sources: Vec<Vec<Passage>> = parts.iter().map(|part| passages(part, &sought)).collect();
        let rarity = Rarity::of(sources.iter().flatten());
        let mut parts: Vec<Found> = sources
            .iter()
            .map(|source| found(source, &rarity))
            .collect();
        let best = parts.iter().map(|found| found.best).fold(0.0, f64::max);
        if best > 0.0 {
            parts.iter_mut().for_each(|found| found.best /= best);
        }
        Self { parts }
    }

    /// The passages of a part that share most with the answer, in order.
    pub fn passages(&self, part: usize) -> &[Range<usize>] {
        &self.parts[part].passages
    }

    /// How much a part shares with the answer, in `[0, 1]`.
    pub fn of_part(&self, part: usize) -> f64 {
        self.parts[part].best
    }
}

/// A passage and which of the answer's words it holds, in order of the alphabet.
struct Passage {
    range: Range<usize>,
    words: Vec<String>,
}

fn passages(part: &Part, sought: &HashSet<String>) -> Vec<Passage> {
    let body = part.body.as_deref().unwrap_or_default();
    if part.standing == Standing::Answer || sought.is_empty() {
        return Vec::new();
    }
    let shared = |range: Range<usize>| {
        let mut shared: Vec<String> = words(&body[range.clone()])
            .filter(|word| sought.contains(word))
            .collect();
        shared.sort_unstable();
        shared.dedup();
        let words = shared;
        Passage { range, words }
    };
    segments(body).map(shared).collect()
}

/// In how many passages each word stands.
struct Rarity {
    passages: usize,
    with: HashMap<String, usize>,
}

impl Rarity {
    fn of<'p>(passages: impl Iterator<Item = &'p Passage>) -> Self {
        let mut rarity = Self {
            passages: 0,
            with: HashMap::new(),
        };
        for passage in passages {
            rarity.passages += 1;
            for word in &passage.words {
                *rarity.with.entry(word.clone()).or_default() += 1;
            }
        }
        rarity
    }

    /// The rarer, the more; a number says more than a word.
    fn weight(&self, word: &str) -> f64 {
        let with = self.with.get(word).copied().unwrap_or(1);
        let weight = ((self.passages + 1) as f64 / with as f64).ln();
        if word.bytes().any(|byte| byte.is_ascii_digit()) {
            2.0 * weight
        } else {
            weight
        }
    }
}

fn found(source: &[Passage], rarity: &Rarity) -> Found {
    let score = |passage: &Passage| passage.words.iter().map(|word| rarity.weight(word)).sum();
    let scored = source
        .iter()
        .map(|passage| (score(passage), &passage.range));
    let mut scored: Vec<(f64, &Range<usize>)> = scored.filter(|(score, _)| *score > 0.0).collect();
    // Stable, so that of equals the first stay.
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    scored.truncate(PASSAGES);
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    let mut passages: Vec<_> = scored.into_iter().map(|(_, range)| range.clone()).collect();
    passages.sort_by_key(|range| range.start);
    Found { passages, best }
}

/// Words of three letters or more and numbers, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let telling = |word: &&str| {
        word.chars().nth(2).is_some() || word.bytes().any(|byte| byte.is_ascii_digit())
    };
    words.filter(telling).map(str::to_lowercase)
}

/// `text` in passages: a sentence or a line each, where they are neither short nor long.
fn segments(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let range = start..start + segment(rest);
        start = range.end;
        Some(range)
    })
}

/// The length of the first passage.
fn segment(text: &str) -> usize {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let ends = c == '\n' || (c == ' ' && matches!(before, '.' | '?' | '!' | ';'));
        if (ends && at >= SENTENCE_MIN) || at >= PASSAGE_MAX {
            return at + c.len_utf8();
        }
        before = c;
    }
    text.len()
}
