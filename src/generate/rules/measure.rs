//! What can be said of a trace in one number, and the conditions made of it.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use super::constraints::Asked;
use super::json::{Kind, Shape};
use super::language;
use super::predicate::Predicate;
use super::reading::{Material, Reading, Source, failed};
use super::search::opposite;
use super::text::{has_run, is_content, repeated, sentences, strip, unclosed, words};
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

/// What an answer must not make up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Passage {
    Quotation,
    Link,
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
    /// How many different passages of the answer a source lacks.
    Invented(Passage, Source),
    /// Whether the answer has so many words in a row from a source.
    Copies(Source, usize),
    /// The share of the answer's key words that its longest run from a source has; undefined without any of either.
    LongestRun(Source),
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
    /// Sentences or lines that the answer has more than once.
    RepeatedSentences,
    /// The share of the answer's runs of three words that it has had before.
    Repetition,
    /// Whether the answer is in another language than the request, where both can be told.
    OtherLanguage,
    /// Whether the answer opens a code fence or a bracket that it does not close.
    Unclosed,
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

/// What an eval's own conditions may take of its 60 lines: the rest is criterion, `words`, and what stands around.
///
/// Three conditions fit where of each two the longer and twice the shorter do.
const PAGE_LINES: usize = 48;

impl Measure {
    /// What kind of number [`Self::value`] is.
    pub fn scale(&self) -> Scale {
        match self {
            Self::Share(..)
            | Self::LongestRun(_)
            | Self::Variety
            | Self::Repetition
            | Self::Reference(_, Match::Best | Match::Covered) => Scale::Share,
            Self::Missing(..) | Self::Invented(..) => Scale::Count,
            Self::Pattern(_) | Self::Words | Self::Characters => Scale::Count,
            Self::RepeatedSentences | Self::ToolCalls | Self::FailedCalls => Scale::Count,
            Self::Trajectory(step) if step.counts() => Scale::Count,
            _ => Scale::Flag,
        }
    }

    /// Whether [`Self::value`] counts something.
    pub fn counts(&self) -> bool {
        self.scale() == Scale::Count
    }

    /// Whether the two can't stand in one eval: they are the same, would need one name for two texts, or more than a page.
    pub fn clashes(&self, other: &Self) -> bool {
        let alike = match (self, other) {
            (Self::Trajectory(one), Self::Trajectory(another)) => one.is_like(another),
            (Self::Says(_), Self::Says(_))
            | (Self::Uses(_), Self::Uses(_))
            | (Self::Copies(..), Self::Copies(..))
            | (Self::Format(_), Self::Format(_)) => true,
            _ => false,
        };
        let fields = self.field().zip(other.field());
        let (shorter, longer) = (
            self.lines().min(other.lines()),
            self.lines().max(other.lines()),
        );
        self == other
            || alike
            || fields.is_some_and(|(one, another)| one != another)
            || longer + 2 * shorter > PAGE_LINES
    }

    /// The lines that it adds to an eval, at most; what nearly all evals have is not counted.
    fn lines(&self) -> usize {
        match self {
            Self::Constraints(_) => PAGE_LINES,
            Self::OtherLanguage => 37,
            Self::Reference(..) => 35,
            Self::LongestRun(Source::Any) => 38,
            Self::Share(Claim::Words, _) | Self::LongestRun(_) => 36,
            Self::Missing(Claim::Words, _) => 38,
            Self::Share(Claim::Numbers, _) | Self::Missing(Claim::Numbers, _) => 34,
            Self::Invented(Passage::Quotation, _) => 34,
            Self::Share(..) | Self::Missing(..) | Self::Invented(..) => 29,
            Self::SaysAny(_) => 28,
            Self::Format(Format::Fields(fields) | Format::ExactFields(fields)) => 21 + fields.len(),
            Self::Copies(..) => 25,
            Self::Trajectory(step) => step.lines(),
            Self::Repetition | Self::FailedCalls => 18,
            Self::RepeatedSentences | Self::Format(_) => 15,
            Self::Says(_) | Self::Unclosed => 12,
            Self::Variety => 7,
            Self::Written(predicate) => predicate.source.lines().count() + 6,
            _ => 6,
        }
    }

    /// The metadata's field that is read.
    fn field(&self) -> Option<&str> {
        match self {
            Self::Share(_, Source::Metadata(field))
            | Self::Missing(_, Source::Metadata(field))
            | Self::Invented(_, Source::Metadata(field))
            | Self::Copies(Source::Metadata(field), _)
            | Self::LongestRun(Source::Metadata(field)) => Some(field),
            Self::Reference(field, _) => Some(field),
            _ => None,
        }
    }

    /// Where people would put the cut, for shares that have such a place.
    ///
    /// A faithful answer still adds some words of its own, so most is enough; of numbers, names and
    /// references people expect all, and one that is cut out of a source is a run of it as a whole.
    pub fn usual_cut(&self) -> Option<f64> {
        match self {
            Self::Share(Claim::Words, _) => Some(0.7),
            Self::Share(..) | Self::LongestRun(_) => Some(1.0),
            Self::Reference(_, Match::Best | Match::Covered) => Some(1.0),
            _ => None,
        }
    }

    /// The number for a trace; `None` where it is undefined: the eval then abstains.
    pub fn value(&self, reading: &Reading<'_>) -> Option<f64> {
        match self {
            Self::Share(claim, source) => share(reading, *claim, source),
            Self::Missing(claim, source) => Some(missing(reading, *claim, source)),
            Self::Invented(passage, source) => Some(invented(reading, *passage, source) as f64),
            Self::Copies(source, length) => {
                let copied = reading.sources.get(source).map(|source| source.copied);
                Some(flag(copied.is_some_and(|copied| copied >= *length)))
            }
            Self::LongestRun(source) => {
                let shared = reading.sources.get(source)?.shared?;
                Some(shared as f64 / reading.key_words.len() as f64)
            }
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
            Self::RepeatedSentences => Some(repeated(&sentences(reading.answer)) as f64),
            Self::Repetition => Some(repetition(&reading.runs)),
            Self::OtherLanguage => Some(flag(language::differ(reading.languages))),
            Self::Unclosed => Some(flag(unclosed(reading.answer))),
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
) -> (&'r Vec<String>, &'r HashSet<String>) {
    static NOTHING: LazyLock<HashSet<String>> = LazyLock::new(HashSet::new);
    let material = reading.sources.get(source);
    let (claims, known) = match claim {
        Claim::Words => (
            &reading.content_words,
            material.map(|material| &material.words),
        ),
        Claim::Numbers => (&reading.numbers, material.map(|material| &material.numbers)),
        Claim::Names => (&reading.names, material.map(|material| &material.words)),
    };
    (claims, known.unwrap_or(&NOTHING))
}

fn share(reading: &Reading<'_>, claim: Claim, source: &Source) -> Option<f64> {
    let (claims, known) = looked_up(reading, claim, source);
    let found = claims.iter().filter(|claim| known.contains(*claim)).count();
    let mut telling = known
        .iter()
        .filter(|word| claim != Claim::Words || is_content(word));
    let comparable = !claims.is_empty() && telling.next().is_some();
    comparable.then(|| found as f64 / claims.len() as f64)
}

fn missing(reading: &Reading<'_>, claim: Claim, source: &Source) -> f64 {
    let (claims, known) = looked_up(reading, claim, source);
    let missing: HashSet<_> = claims
        .iter()
        .filter(|claim| !known.contains(*claim))
        .collect();
    missing.len() as f64
}

fn invented(reading: &Reading<'_>, passage: Passage, source: &Source) -> usize {
    let passages = match passage {
        Passage::Quotation => &reading.quotations,
        Passage::Link => &reading.links,
    };
    let knows = |material: &Material, text: &String| match passage {
        Passage::Quotation => material
            .said
            .contains(&format!(" {} ", words(text).join(" "))),
        Passage::Link => material.links.contains(text),
    };
    let material = reading.sources.get(source);
    let invented: HashSet<_> = passages
        .iter()
        .filter(|text| !material.is_some_and(|material| knows(material, text)))
        .collect();
    invented.len()
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

/// The share of runs that were there before.
fn repetition(runs: &[String]) -> f64 {
    let different: HashSet<_> = runs.iter().collect();
    (runs.len() - different.len()) as f64 / runs.len().max(1) as f64
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
