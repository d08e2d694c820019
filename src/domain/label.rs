use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AnnotatorId, Trace};

/// What an annotator says of a trace: 👍, 😐 or 👎.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thumb {
    /// 👍: the answer passes.
    Up,
    /// 😐: neither; left out of agreement, counted, shown.
    Neutral,
    /// 👎: the answer fails.
    Down,
}

impl Thumb {
    /// The word in rows, in values of buttons and in the `human` score.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Neutral => "neutral",
            Self::Down => "down",
        }
    }

    /// Reads [`Thumb::as_str`] back; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Up, Self::Neutral, Self::Down]
            .into_iter()
            .find(|thumb| thumb.as_str() == word)
    }

    /// The emoji on the card.
    pub fn emoji(self) -> &'static str {
        match self {
            Self::Up => "👍",
            Self::Neutral => "😐",
            Self::Down => "👎",
        }
    }

    /// The class this thumb votes for; `None` for 😐, which is not a class.
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Up => Some(Class::Pass),
            Self::Neutral => None,
            Self::Down => Some(Class::Fail),
        }
    }
}

/// What a thumb is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelUnit {
    /// The trace's answer.
    Trace,
    /// The trace's session up to its answer.
    Session,
}

impl FromStr for LabelUnit {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "trace" => Ok(Self::Trace),
            "session" => Ok(Self::Session),
            _ => Err(()),
        }
    }
}

/// What people say a trace is. The positive class is **fail**, everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// More 👍 than 👎.
    Pass,
    /// More 👎 than 👍.
    Fail,
}

/// One annotator's label on one trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnotatorLabel {
    /// Who.
    pub annotator: AnnotatorId,
    /// What they said.
    pub label: Thumb,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The consensus label: the thumb with strictly the most votes among 👍 and 👎, else 😐.
///
/// 😐 votes are abstentions, except that a majority of them is 😐. `None` without votes.
pub fn consensus(votes: impl IntoIterator<Item = Thumb>) -> Option<Thumb> {
    let (mut up, mut neutral, mut down) = (0usize, 0usize, 0usize);
    for vote in votes {
        match vote {
            Thumb::Up => up += 1,
            Thumb::Neutral => neutral += 1,
            Thumb::Down => down += 1,
        }
    }
    match (up, neutral, down) {
        (0, 0, 0) => None,
        _ if up > down && up >= neutral => Some(Thumb::Up),
        _ if down > up && down >= neutral => Some(Thumb::Down),
        _ => Some(Thumb::Neutral),
    }
}

/// A trace with its consensus label, as generation and reports see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledTrace {
    /// The line's or row's id; the trace's own id in the service.
    pub id: String,
    /// Traces of one group (same prompt, session or task) are never split.
    pub group: String,
    /// The trace, normalised.
    pub trace: Trace,
    /// The consensus label.
    pub label: Thumb,
    /// Each annotator's own label, where known.
    pub votes: Vec<AnnotatorLabel>,
    /// Reasons given for the label.
    pub comments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Thumb::{Down, Neutral, Up};

    #[test]
    fn the_most_votes_win_and_a_tie_is_neutral() {
        for (votes, expected) in [
            (vec![], None),
            (vec![Up], Some(Up)),
            (vec![Down, Down, Up], Some(Down)),
            (vec![Up, Down], Some(Neutral)),
            (vec![Neutral, Neutral, Up], Some(Neutral)),
            (vec![Neutral, Up], Some(Up)),
            (vec![Neutral], Some(Neutral)),
        ] {
            assert_eq!(consensus(votes.clone()), expected, "{votes:?}");
        }
    }

    #[test]
    fn a_thumb_is_read_back_from_its_word() {
        for thumb in [Up, Neutral, Down] {
            assert_eq!(Thumb::parse(thumb.as_str()), Some(thumb));
        }
        assert_eq!(Thumb::parse("sideways"), None);
    }
}
