//! What can be said of a trace in one number, and the conditions made of it.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use super::constraints::Asked;
use super::json::{Kind, Shape};
use super::predicate::Predicate;
use super::reading::{Reading, Source, failed};
use super::search::opposite;
use super::text::{has_run, is_content, strip, words};
use super::trajectory::Trajectory;
use super::vocabulary::{Ending, Pattern, PhraseList};
use crate::domain::{Class, Verdict};

/// What is looked up in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claim {
    Words,
    Numbers,
    Names,
}

/// How an answer is compared with references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Match {
    /// The largest share of one reference's words that the answer has.
    Best,
    /// The answer holds a reference as a run of words, or lies in one.
    Either,
    /// The answer is a reference.
    Equal,
    /// The share of the references that the answer holds.
    Covered,
}

/// What the JSON of an answer must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Any JSON but null.
    Json,
    /// An object with these fields, each of its kind.
    Fields(Vec<(String, Option<Kind>)>),
    /// The same, and no other field.
    ExactFields(Vec<(String, Option<Kind>)>),
}

/// A number read off a trace. Flags are 0 or 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The share of the answer's claims that a source has; undefined without claims or source.
    Share(Claim, Source),
    /// How many different claims of the answer a source lacks.
    Missing(Claim, Source),
    /// The answer against the references in a field of the metadata; undefined without references.
    Reference(String, Match),
    /// Whether the answer is JSON of a format, one surrounding code fence allowed.
    Format(Format),
    /// Whether the answer is wrapped in a code fence.
    Fenced,
    /// How often a pattern occurs in the answer.
    Pattern(&'static Pattern),
    /// Whether the answer says one of the phrases.
    SaysAny(&'static PhraseList),
    /// Whether the answer says a phrase learnt from answers: words in lower case.
    Says(String),
    /// Whether the answer ends so.
    Ends(&'static Ending),
    /// Words in the answer.
    Words,
    /// Characters in the answer.
    Characters,
    /// Different words by all words; undefined without words.
    Variety,
    /// Tool calls in the trace.
    ToolCalls,
    /// Tool calls that went wrong.
    FailedCalls,
    /// Whether a tool was called.
    Uses(String),
    /// What steps were taken, and in which order.
    Trajectory(Trajectory),
    /// Whether the answer follows the constraints that the request states.
    Constraints(Asked),
    /// What a predicate that somebody else wrote says; known only where it was run.
    Written(Arc<Predicate>),
}

/// What a measure's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Flag,
    Count,
    Share,
}

impl Measure {
    /// What kind of number [`Self::value`] is.
    pub fn scale(&self) -> Scale {
        match self {
            Self::Share(..) | Self::Variety | Self::Reference(_, Match::Best | Match::Covered) => {
                Scale::Share
            }
            Self::Missing(..) | Self::Pattern(_) | Self::Words | Self::Characters => Scale::Count,
            Self::ToolCalls | Self::FailedCalls => Scale::Count,
            Self::Trajectory(step) if step.counts() => Scale::Count,
            _ => Scale::Flag,
        }
    }

    /// Whether [`Self::value`] counts something.
    pub fn counts(&self) -> bool {
        self.scale() == Scale::Count
    }

    /// Whether the two can't stand in one eval: they are the same, would need one name for two texts, or fill a page.
    pub fn clashes(&self, other: &Self) -> bool {
        let alike = match (self, other) {
            (Self::Trajectory(one), Self::Trajectory(another)) => one.is_like(another),
            (Self::Says(_), Self::Says(_))
            | (Self::Uses(_), Self::Uses(_))
            | (Self::Format(_), Self::Format(_))
            | (Self::Constraints(_), _)
            | (_, Self::Constraints(_)) => true,
            _ => false,
        };
        let fields = self.field().zip(other.field());
        self == other || alike || fields.is_some_and(|(one, another)| one != another)
    }

    /// The metadata's field that is read.
    fn field(&self) -> Option<&str> {
        match self {
            Self::Share(_, Source::Metadata(field)) | Self::Missing(_, Source::Metadata(field)) => {
                Some(field)
            }
            Self::Reference(field, _) => Some(field),
            _ => None,
        }
    }

    /// Where people would put the cut, for shares that have such a place.
    ///
    /// A faithful answer still adds some words of its own, so most is enough; of numbers, names and
    /// references people expect all.
    pub fn usual_cut(&self) -> Option<f64> {
        match self {
            Self::Share(Claim::Words, _) => Some(0.7),
            Self::Share(..) | Self::Reference(_, Match::Best | Match::Covered) => Some(1.0),
            _ => None,
        }
    }

    /// The number for a trace; `None` where it is undefined: the eval then abstains.
    pub fn value(&self, reading: &Reading<'_>) -> Option<f64> {
        match self {
            Self::Share(claim, source) => share(reading, *claim, source),
            Self::Missing(claim, source) => Some(missing(reading, *claim, source)),
            Self::Reference(field, how) => reference(reading, field, *how),
            Self::Format(format) => Some(flag(fits(format, reading.shape.as_ref()))),
            Self::Fenced => Some(flag(reading.fenced)),
            Self::Pattern(pattern) => Some(pattern.count(reading) as f64),
            Self::SaysAny(list) => Some(flag(
                list.phrases.iter().any(|phrase| says(reading, phrase)),
            )),
            Self::Says(phrase) => Some(flag(says(reading, phrase))),
            Self::Ends(ending) => Some(flag(ending.fits(strip(reading.answer)))),
            Self::Words => Some(reading.words.len() as f64),
            Self::Characters => Some(reading.answer.chars().count() as f64),
            Self::Variety => variety(&reading.words),
            Self::ToolCalls => Some(reading.trace.tool_calls.len() as f64),
            Self::FailedCalls => Some(
                reading
                    .trace
                    .tool_calls
                    .iter()
                    .filter(|call| failed(call))
                    .count() as f64,
            ),
            Self::Uses(tool) => Some(flag(
                reading
                    .trace
                    .tool_calls
                    .iter()
                    .any(|call| call.name == *tool),
            )),
            Self::Trajectory(step) => Some(step.value(reading.trace) as f64),
            Self::Constraints(asked) => Some(flag(asked.is_followed(reading.constraints))),
            Self::Written(predicate) => reading.written.get(&predicate.name).copied().map(flag),
        }
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// The claims of an answer, and what a source knows of their kind.
fn looked_up<'r>(
    reading: &'r Reading<'_>,
    claim: Claim,
    source: &Source,
) -> (Vec<&'r String>, &'r HashSet<String>) {
    static NOTHING: LazyLock<HashSet<String>> = LazyLock::new(HashSet::new);
    let material = reading.sources.get(source);
    let (claims, known) = match claim {
        Claim::Words => (&reading.words, material.map(|material| &material.words)),
        Claim::Numbers => (&reading.numbers, material.map(|material| &material.numbers)),
        Claim::Names => (&reading.names, material.map(|material| &material.words)),
    };
    let claims = claims
        .iter()
        .filter(|word| claim != Claim::Words || is_content(word));
    (claims.collect(), known.unwrap_or(&NOTHING))
}

fn share(reading: &Reading<'_>, claim: Claim, source: &Source) -> Option<f64> {
    let (claims, known) = looked_up(reading, claim, source);
    let found = claims
        .iter()
        .filter(|claim| known.contains(**claim))
        .count();
    let comparable = !claims.is_empty() && !known.is_empty();
    comparable.then(|| found as f64 / claims.len() as f64)
}

fn missing(reading: &Reading<'_>, claim: Claim, source: &Source) -> f64 {
    let (claims, known) = looked_up(reading, claim, source);
    let missing: HashSet<_> = claims
        .into_iter()
        .filter(|claim| !known.contains(*claim))
        .collect();
    missing.len() as f64
}

fn reference(reading: &Reading<'_>, field: &str, how: Match) -> Option<f64> {
    let references = reading.references.get(field)?;
    let answer = &reading.key_words;
    let any = |fits: &dyn Fn(&Vec<String>) -> bool| Some(flag(references.iter().any(fits)));
    match how {
        Match::Best => {
            let known: HashSet<_> = answer.iter().collect();
            let share = |text: &Vec<String>| {
                text.iter().filter(|word| known.contains(word)).count() as f64 / text.len() as f64
            };
            references.iter().map(share).reduce(f64::max)
        }
        Match::Either => any(&|text| has_run(answer, text) || has_run(text, answer)),
        Match::Equal => any(&|text| text == answer),
        Match::Covered => {
            let covered = references
                .iter()
                .filter(|text| has_run(answer, text))
                .count();
            Some(covered as f64 / references.len() as f64)
        }
    }
}

fn fits(format: &Format, shape: Option<&Shape>) -> bool {
    match (format, shape) {
        (Format::Json, Some(shape)) => *shape != Shape::Other(Kind::Null),
        (Format::Fields(wanted), Some(Shape::Object(fields))) => wanted
            .iter()
            .all(|(name, kind)| fields.get(name).is_some_and(|found| is_a(*found, *kind))),
        (Format::ExactFields(wanted), Some(Shape::Object(fields))) => {
            fields.len() == wanted.len() && fits(&Format::Fields(wanted.clone()), shape)
        }
        _ => false,
    }
}

/// Python's `isinstance`, for which a flag is a number too.
fn is_a(found: Kind, wanted: Option<Kind>) -> bool {
    wanted.is_none_or(|wanted| found == wanted || (wanted == Kind::Number && found == Kind::Flag))
}

fn says(reading: &Reading<'_>, phrase: &str) -> bool {
    has_run(&reading.words, &words(phrase))
}

fn variety(words: &[String]) -> Option<f64> {
    let different: HashSet<_> = words.iter().collect();
    (!words.is_empty()).then(|| different.len() as f64 / words.len() as f64)
}

/// A measure on one side of a cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub measure: Measure,
    /// Holds at the cut and above it; else below it.
    pub at_least: bool,
    pub cut: f64,
}

impl Condition {
    /// Whether it holds for a value of the measure.
    pub fn holds(&self, value: f64) -> bool {
        (value >= self.cut) == self.at_least
    }
}

/// The whole eval: the first condition that holds decides, and where none does, the other class.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleList {
    pub conditions: Vec<Condition>,
    /// What a condition that holds says.
    pub when_met: Class,
}

impl RuleList {
    /// What it says of a trace.
    pub fn verdict(&self, reading: &Reading<'_>) -> Verdict {
        for condition in &self.conditions {
            match condition.measure.value(reading) {
                None => return Verdict::Abstain,
                Some(value) if condition.holds(value) => return verdict(self.when_met),
                Some(_) => {}
            }
        }
        verdict(opposite(self.when_met))
    }
}

fn verdict(class: Class) -> Verdict {
    match class {
        Class::Pass => Verdict::Pass,
        Class::Fail => Verdict::Fail,
    }
}
