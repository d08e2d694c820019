//! Which parts stay, and how much of each.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Gap;
use super::cut::mark_max;
use super::parts::{Part, Standing};
use super::relevance::Relevance;

/// What a part that is cut keeps at least, besides its heading and a mark.
const KEPT_MIN: usize = 100;
/// Parts on each side of an error that are steps around it.
const AROUND: usize = 2;
/// Of the budget's tenths, so many may be promised to parts that will be cut: what is left makes them longer.
const PROMISED_TENTHS: usize = 6;

/// What a part gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// It is left out.
    None,
    /// At most so many characters, fewer than it has.
    Cut(usize),
    /// All of it.
    Whole,
}

/// Each part's share of `budget` characters, which the parts together exceed.
pub fn shares(parts: &[Part], relevance: &Relevance, budget: usize) -> Vec<Share> {
    let ranks = ranks(parts, relevance);
    let mut keeping = Keeping::new(parts, budget);
    for index in by_rank(&ranks) {
        keeping.consider(index, ranks[index].0);
    }
    keeping.grow(&ranks, relevance);
    let share = |(part, chars): (&Part, &Option<usize>)| match chars {
        None => Share::None,
        Some(chars) if *chars >= part.whole_chars => Share::Whole,
        Some(chars) => Share::Cut(*chars),
    };
    parts.iter().zip(&keeping.chars).map(share).collect()
}

/// How early a part is considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Answer,
    Request,
    Error,
    AroundAnError,
    Metadata,
    Other,
}

/// The tier, and how much the part matters within it.
type Rank = (Tier, f64);

fn ranks(parts: &[Part], relevance: &Relevance) -> Vec<Rank> {
    let mut tiers: Vec<Tier> = parts.iter().map(tier).collect();
    for (index, part) in parts.iter().enumerate() {
        if part.standing == Standing::Error {
            let around = index.saturating_sub(AROUND)..(index + AROUND + 1).min(parts.len());
            for near in &mut tiers[around] {
                *near = (*near).min(Tier::AroundAnError);
            }
        }
    }
    let matters = |(index, tier): (usize, Tier)| {
        let from_end = (parts.len() - 1 - index).min(index);
        let at_an_end = 1.0 / (1 + from_end) as f64;
        (tier, relevance.of_part(index) + at_an_end)
    };
    tiers.into_iter().enumerate().map(matters).collect()
}

fn tier(part: &Part) -> Tier {
    match part.standing {
        Standing::Answer => Tier::Answer,
        Standing::Request | Standing::About => Tier::Request,
        Standing::Error => Tier::Error,
        Standing::Metadata => Tier::Metadata,
        Standing::Other => Tier::Other,
    }
}

/// Places of parts, those that matter most first.
fn by_rank(ranks: &[Rank]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by(|one, other| {
        let ((tier, matters), (other_tier, other_matters)) = (ranks[*one], ranks[*other]);
        tier.cmp(&other_tier)
            .then(other_matters.total_cmp(&matters))
    });
    order
}

/// The parts that are kept so far, and what the text takes with them.
struct Keeping<'p> {
    parts: &'p [Part],
    budget: usize,
    /// Characters promised to each part.
    chars: Vec<Option<usize>>,
    kept: BTreeSet<usize>,
    /// Characters of all that is promised, marks for left-out parts included.
    taken: usize,
    /// Before each part, the characters of all bodies.
    bodies_before: Vec<usize>,
}

impl<'p> Keeping<'p> {
    fn new(parts: &'p [Part], budget: usize) -> Self {
        let mut keeping = Self {
            parts,
            budget,
            chars: vec![None; parts.len()],
            kept: BTreeSet::new(),
            taken: 0,
            bodies_before: vec![0],
        };
        for part in parts {
            let before = keeping.bodies_before[keeping.bodies_before.len() - 1];
            keeping.bodies_before.push(before + part.body_chars);
        }
        keeping.taken = keeping.gap(0..parts.len());
        keeping
    }

    /// What the mark takes for these parts being left out.
    fn gap(&self, parts: Range<usize>) -> usize {
        let (Some(first), Some(last)) = (self.parts.get(parts.start), parts.clone().next_back())
        else {
            return 0;
        };
        if parts.is_empty() {
            return 0;
        }
        let gap = Gap {
            first: &first.path,
            last: &self.parts[last].path,
            parts: parts.len(),
            chars: self.bodies_before[parts.end] - self.bodies_before[parts.start],
        };
        gap.mark().chars().count()
    }

    /// Keeps a part if what it needs at least still fits.
    fn consider(&mut self, index: usize, tier: Tier) {
        let part = &self.parts[index];
        let least = least(part);
        let wished = match tier {
            Tier::Answer => least.max(self.budget / 4),
            Tier::Request => least.max(self.budget / 8),
            _ => least,
        };
        let is_promise = tier > Tier::Error && least < part.whole_chars;
        let limit = match is_promise {
            true => self.budget * PROMISED_TENTHS / 10,
            false => self.budget,
        };
        let wished = wished.min(part.whole_chars);
        if !self.keep(index, wished, limit) {
            self.keep(index, least, limit);
        }
    }

    fn keep(&mut self, index: usize, chars: usize, limit: usize) -> bool {
        let start = self
            .kept
            .range(..index)
            .next_back()
            .map_or(0, |before| before + 1);
        let end = self
            .kept
            .range(index..)
            .next()
            .copied()
            .unwrap_or(self.parts.len());
        let around = self.gap(start..index) + self.gap(index + 1..end);
        let taken = self.taken + chars + around - self.gap(start..end);
        if taken > limit {
            return false;
        }
        self.taken = taken;
        self.chars[index] = Some(chars);
        self.kept.insert(index);
        true
    }

    /// Shares what is left: small needs whole first, longer ones by their weights.
    fn grow(&mut self, ranks: &[Rank], relevance: &Relevance) {
        let mut left = self.budget.saturating_sub(self.taken);
        let needs = self.kept.iter().filter_map(|index| {
            let need = self.parts[*index].whole_chars - self.chars[*index]?;
            let weight = weight(ranks[*index].0, relevance.of_part(*index));
            (need > 0).then_some((*index, need, weight))
        });
        let mut needs: Vec<(usize, usize, f64)> = needs.collect();
        needs.sort_by(|(_, one, weight), (_, other, other_weight)| {
            (*one as f64 / weight).total_cmp(&(*other as f64 / other_weight))
        });
        let mut weights: f64 = needs.iter().map(|(_, _, weight)| weight).sum();
        for (index, need, weight) in needs {
            let share = (left as f64 * weight / weights) as usize;
            let given = need.min(share).min(left);
            self.chars[index] = self.chars[index].map(|chars| chars + given);
            left -= given;
            weights -= weight;
        }
    }
}

/// What a part needs at least to be worth its heading.
fn least(part: &Part) -> usize {
    let heading = part.heading.chars().count() + 2;
    part.whole_chars
        .min(heading + mark_max(part.body_chars) + KEPT_MIN)
}

fn weight(tier: Tier, relevance: f64) -> f64 {
    match tier {
        Tier::Answer => 6.0,
        Tier::Request | Tier::Error => 3.0,
        Tier::AroundAnError | Tier::Metadata => 2.0 + relevance,
        Tier::Other => 1.0 + 2.0 * relevance,
    }
}
