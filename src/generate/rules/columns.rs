//! What could be said of the labelled traces: every candidate measure with its values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::constraints::{Asked, Checked};
use super::json::{Kind, Shape};
use super::measure::{Claim, Format, Match, Measure, Passage, Scale};
use super::predicate::Predicate;
use super::reading::{COPIED_RUNS, Reading, Source};
use super::search::Training;
use super::text::pattern;
use super::trajectory::{NAMELESS, Trajectory, known_tools};
use super::vocabulary::{ENDINGS, PATTERNS, PHRASE_LISTS};
use crate::domain::Class;

/// A measure must be defined on nearly all traces, or its eval would mostly abstain.
const DEFINED_SHARE: f64 = 0.9;
/// A phrase in fewer answers is chance, and with many labels a narrow one is not worth a condition.
const MIN_PHRASE_TRACES: usize = 3;
const MIN_PHRASE_SHARE: f64 = 0.03;
const MAX_PHRASE_WORDS: usize = 3;
const MAX_PHRASE_CHARS: usize = 40;

/// Fields of a format, each a line of an eval.
const MAX_FIELDS: usize = 24;

/// Cuts tried for a count.
const MAX_CUTS: usize = 24;
const ROUND_UNITS: [u64; 7] = [1000, 500, 100, 50, 10, 5, 1];

/// A candidate measure.
pub struct Column {
    pub measure: Measure,
    /// What it must gain before it is believed, in labels: the more of its kind are tried, the more.
    pub price: f64,
    /// Which class low values speak for, where that is plain; the other way round costs more.
    pub low_is: Option<Class>,
    /// A value a trace; `None` where it is undefined.
    pub values: Vec<Option<f64>>,
    /// Where it may be cut, ascending.
    pub cuts: Vec<f64>,
    /// Where the values lie between the cuts.
    pub places: Places,
}

/// Where each trace's value lies: how many cuts it reaches. Most traces of a phrase or a flag lie in the same place, which
/// is said once.
pub struct Places {
    /// The commonest.
    pub usual: usize,
    /// The traces in another place, and those in none.
    pub others: Vec<(usize, Option<usize>)>,
}

impl Places {
    fn of(values: &[Option<f64>], cuts: &[f64]) -> Self {
        let place = |value: &f64| cuts.partition_point(|cut| cut <= value);
        let places: Vec<Option<usize>> = values
            .iter()
            .map(|value| value.as_ref().map(place))
            .collect();
        let mut counts = vec![0; cuts.len() + 1];
        places
            .iter()
            .flatten()
            .for_each(|place| counts[*place] += 1);
        let usual = (0..counts.len()).max_by_key(|place| counts[*place]);
        let usual = usual.expect("there is a place below the first cut");
        let others = places.into_iter().enumerate();
        Self {
            usual,
            others: others.filter(|(_, place)| *place != Some(usual)).collect(),
        }
    }
}

impl Column {
    fn new(
        measure: Measure,
        price: f64,
        low_is: Option<Class>,
        values: Vec<Option<f64>>,
        cuts: Vec<f64>,
    ) -> Self {
        let places = Places::of(&values, &cuts);
        Self {
            measure,
            price,
            low_is,
            values,
            cuts,
            places,
        }
    }
}

// Prices, in labels: a relation is preferred to anything else that separates three labels more, and then a kind of
// answer to a phrase. That large a step keeps the many other measures from hiding the few relations in shuffled labels.
const RELATION: f64 = 0.0;
const FAMILY: f64 = 0.3;
const KIND: f64 = 3.7;
const SIZE: f64 = 4.2;
const PHRASE: f64 = 5.2;

fn column(readings: &[Reading<'_>], measure: Measure, price: f64, low_is: Option<Class>) -> Column {
    let values: Vec<_> = readings
        .iter()
        .map(|reading| measure.value(reading))
        .collect();
    let cuts = cuts(measure.scale(), &values);
    Column::new(measure, price, low_is, values, cuts)
}

fn cuts(scale: Scale, values: &[Option<f64>]) -> Vec<f64> {
    match scale {
        Scale::Flag => vec![1.0],
        Scale::Share => (1..=20).map(|step| f64::from(step) / 20.0).collect(),
        Scale::Count => count_cuts(values),
    }
}

/// The roundest number in each gap between neighbouring values; of many, evenly chosen ones.
fn count_cuts(values: &[Option<f64>]) -> Vec<f64> {
    let mut values: Vec<u64> = values.iter().flatten().map(|value| *value as u64).collect();
    values.sort_unstable();
    values.dedup();
    let all: Vec<f64> = values
        .windows(2)
        .map(|gap| roundest(gap[0], gap[1]) as f64)
        .collect();
    let step = all.len().div_ceil(MAX_CUTS).max(1);
    all.into_iter().step_by(step).collect()
}

/// The multiple of the largest round unit in `(low, high]` that lies nearest to the middle.
fn roundest(low: u64, high: u64) -> u64 {
    let middle = (low + high).div_ceil(2);
    let near = |unit: u64| {
        let below = middle / unit * unit;
        let inside = [below, below + unit]
            .into_iter()
            .filter(|number| (low + 1..=high).contains(number));
        inside.min_by_key(|number| number.abs_diff(middle))
    };
    ROUND_UNITS.into_iter().find_map(near).unwrap_or(high)
}

/// The candidates that need no label to be thought of.
pub fn columns(readings: &[Reading<'_>]) -> Vec<Column> {
    let mut all = relations(readings);
    all.extend(wording(readings));
    all.extend(faults(readings));
    all.extend(sizes(readings));
    all.extend(steps(readings));
    all.extend(phrases(readings));
    all.retain(|column| worth_trying(&column.values));
    all
}

/// What an answer looks like and says, by the lists of [`super::vocabulary`].
fn wording(readings: &[Reading<'_>]) -> Vec<Column> {
    let patterns = PATTERNS
        .iter()
        .map(|known| (Measure::Pattern(known), SIZE, None));
    let lists = PHRASE_LISTS
        .iter()
        .map(|list| (Measure::SaysAny(list), KIND, Some(Class::Pass)));
    let endings = ENDINGS
        .iter()
        .map(|ending| (Measure::Ends(ending), KIND, None));
    std::iter::once((Measure::Fenced, KIND, None))
        .chain(patterns)
        .chain(lists)
        .chain(endings)
        .map(|(measure, price, low_is)| column(readings, measure, price, low_is))
        .collect()
}

/// What is wrong with an answer whatever it is about.
fn faults(readings: &[Reading<'_>]) -> Vec<Column> {
    [
        Measure::RepeatedSentences,
        Measure::Repetition,
        Measure::OtherLanguage,
        Measure::Unclosed,
    ]
    .map(|measure| column(readings, measure, KIND, Some(Class::Pass)))
    .into()
}

fn sizes(readings: &[Reading<'_>]) -> Vec<Column> {
    [
        (Measure::Words, SIZE, None),
        (Measure::Characters, SIZE, None),
        (Measure::Variety, SIZE, None),
        (Measure::ToolCalls, SIZE, None),
        (Measure::FailedCalls, KIND, Some(Class::Pass)),
    ]
    .map(|(measure, price, low_is)| column(readings, measure, price, low_is))
    .into()
}

/// Defined nearly everywhere, and not everywhere the same.
fn worth_trying(values: &[Option<f64>]) -> bool {
    let defined: Vec<f64> = values.iter().copied().flatten().collect();
    let varies = defined.iter().any(|value| *value != defined[0]);
    varies && defined.len() as f64 >= DEFINED_SHARE * values.len() as f64
}

/// The answer against its sources and references, and against what is asked of its form.
fn relations(readings: &[Reading<'_>]) -> Vec<Column> {
    let sources: BTreeSet<&Source> = readings
        .iter()
        .flat_map(|reading| reading.sources.keys())
        .collect();
    let fields: BTreeSet<&String> = readings
        .iter()
        .flat_map(|reading| reading.references.keys())
        .collect();
    let grounded = sources
        .into_iter()
        .flat_map(|source| to_source(readings, source));
    let matching = fields
        .into_iter()
        .flat_map(|field| to_references(readings, field));
    let json = Measure::Format(Format::Json);
    let form = column(readings, json, RELATION, Some(Class::Fail));
    grounded.chain(matching).chain([form]).collect()
}

/// What a source has of the answer, and what it lacks.
fn to_source(readings: &[Reading<'_>], source: &Source) -> Vec<Column> {
    let near = match source {
        Source::Request | Source::Any => KIND,
        _ => RELATION,
    };
    let mut all: Vec<_> = [Passage::Quotation, Passage::Link]
        .map(|passage| {
            let invented = Measure::Invented(passage, source.clone());
            column(readings, invented, near + 1.3, Some(Class::Pass))
        })
        .into();
    // All sources together have nearly every word: of them only quotations and links are asked.
    if *source != Source::Any {
        all.extend(claimed(readings, source, near));
        let longest = Measure::LongestRun(source.clone());
        all.push(column(readings, longest, near + 0.3, Some(Class::Fail)));
        all.extend(COPIED_RUNS.map(|length| {
            let copies = Measure::Copies(source.clone(), length);
            column(readings, copies, SIZE, None)
        }));
    }
    all
}

/// The claims that a source has, and those that it lacks.
fn claimed(readings: &[Reading<'_>], source: &Source, near: f64) -> Vec<Column> {
    let claims = [
        (Claim::Words, near),
        (Claim::Numbers, near + 0.3),
        (Claim::Names, near + 0.3),
    ];
    let both = |(claim, price)| {
        let share = Measure::Share(claim, source.clone());
        let missing = Measure::Missing(claim, source.clone());
        [
            column(readings, share, price, Some(Class::Fail)),
            column(readings, missing, price + 1.0, Some(Class::Pass)),
        ]
    };
    claims.into_iter().flat_map(both).collect()
}

/// The answer against the references in a field of the metadata.
fn to_references(readings: &[Reading<'_>], field: &str) -> Vec<Column> {
    [
        (Match::Best, RELATION),
        (Match::Either, RELATION),
        (Match::Equal, RELATION + 0.1),
        (Match::Covered, RELATION + 0.1),
    ]
    .map(|(how, price)| {
        let measure = Measure::Reference(field.to_owned(), how);
        column(readings, measure, price, Some(Class::Fail))
    })
    .into()
}

/// The steps taken; of measures that are the same on all traces, the first.
fn steps(readings: &[Reading<'_>]) -> Vec<Column> {
    let tools = known_tools(readings.iter().map(|reading| reading.trace));
    let mut all: Vec<Column> = NAMELESS
        .map(|step| column(readings, Measure::Trajectory(step), KIND, None))
        .into();
    for tool in &tools {
        all.push(column(readings, Measure::Uses(tool.clone()), SIZE, None));
        let last = Measure::Trajectory(Trajectory::LastCall(tool.clone()));
        all.push(column(readings, last, SIZE, None));
    }
    for tool in &tools {
        let calls = Measure::Trajectory(Trajectory::CallsOf(tool.clone()));
        let Column {
            measure,
            values,
            mut cuts,
            ..
        } = column(readings, calls, PHRASE, None);
        // From one on, it is whether the tool was called.
        cuts.retain(|cut| *cut > 1.0);
        all.push(Column::new(measure, PHRASE, None, values, cuts));
        let others = tools.iter().filter(|other| *other != tool);
        all.extend(others.map(|other| {
            let order = Trajectory::Before(tool.clone(), other.clone());
            column(readings, Measure::Trajectory(order), PHRASE, None)
        }));
    }
    let mut known = BTreeSet::new();
    all.retain(|column| !column.cuts.is_empty() && known.insert(sides(column)));
    all
}

/// On which side of each cut the traces lie.
fn sides(column: &Column) -> Vec<Vec<bool>> {
    let side = |cut: &f64| {
        let values = column.values.iter().flatten();
        values.map(|value| value >= cut).collect()
    };
    column.cuts.iter().map(side).collect()
}

/// What written predicates said. People know what they ask for, so that they cost as little as a relation.
pub fn written(readings: &[Reading<'_>], predicates: &[&Predicate]) -> Vec<Column> {
    let all = predicates.iter().map(|predicate| {
        let measure = Measure::Written(Arc::new((*predicate).clone()));
        column(readings, measure, RELATION, Some(Class::Fail))
    });
    all.filter(|column| worth_trying(&column.values)).collect()
}

/// Phrases of the answers; of those in the same answers, the longest.
fn phrases(readings: &[Reading<'_>]) -> Vec<Column> {
    let mut traces_with: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, reading) in readings.iter().enumerate() {
        for phrase in phrases_of(&reading.words) {
            traces_with.entry(phrase).or_default().push(index);
        }
    }
    let least = MIN_PHRASE_TRACES.max((MIN_PHRASE_SHARE * readings.len() as f64) as usize);
    let common = |traces: &Vec<usize>| (least..readings.len()).contains(&traces.len());
    let mut longest: BTreeMap<Vec<usize>, String> = BTreeMap::new();
    for (phrase, traces) in traces_with.into_iter().filter(|(_, traces)| common(traces)) {
        let known = longest.entry(traces).or_default();
        if (phrase.len(), &phrase) > (known.len(), known) {
            *known = phrase;
        }
    }
    longest
        .into_iter()
        .map(|(traces, phrase)| phrase_column(phrase, &traces, readings.len()))
        .collect()
}

fn phrases_of(words: &[String]) -> BTreeSet<String> {
    let runs = (1..=MAX_PHRASE_WORDS).flat_map(|length| words.windows(length));
    runs.map(|run| run.join(" "))
        .filter(|phrase| phrase.chars().count() <= MAX_PHRASE_CHARS)
        .collect()
}

fn phrase_column(phrase: String, traces: &[usize], count: usize) -> Column {
    let mut values = vec![Some(0.0); count];
    for trace in traces {
        values[*trace] = Some(1.0);
    }
    Column::new(Measure::Says(phrase), PHRASE, None, values, vec![1.0])
}

/// The fields that a request shows: `"answer": …`.
static SHOWN_FIELD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#""([A-Za-z_][A-Za-z0-9_ -]{0,39})" *:"#));

/// What `training` asks of the form of an answer: learnt from it, so anew for each fold.
pub fn format_columns(readings: &[Reading<'_>], training: Training<'_>) -> Vec<Column> {
    let mut all = constraint_columns(readings, training);
    all.extend(json_columns(readings, training));
    all.retain(|column| worth_trying(&column.values));
    all
}

/// The constraints that the requests among `training` state.
fn constraint_columns(readings: &[Reading<'_>], training: Training<'_>) -> Vec<Column> {
    let checked: Vec<Checked> = training
        .iter()
        .map(|(index, ..)| readings[*index].constraints)
        .collect();
    let asked = Asked::of(&checked).into_iter();
    asked
        .map(|asked| {
            let price = asked.family.map_or(RELATION, |_| FAMILY);
            let measure = Measure::Constraints(asked);
            column(readings, measure, price, Some(Class::Fail))
        })
        .collect()
}

/// JSON with the fields that the passing answers among `training` share.
fn json_columns(readings: &[Reading<'_>], training: Training<'_>) -> Vec<Column> {
    let passing = training
        .iter()
        .filter(|(_, class, _)| *class == Class::Pass);
    let objects: Vec<_> = passing
        .filter_map(|(index, ..)| fields_of(&readings[*index]))
        .collect();
    let Some(shared) = shared_fields(&objects).filter(|fields| !fields.is_empty()) else {
        return Vec::new();
    };
    let stated = training
        .iter()
        .all(|(index, ..)| shows(&readings[*index], &shared));
    let price = if stated {
        RELATION - 0.1
    } else {
        RELATION + 0.1
    };
    let mut formats = vec![(Format::Fields(shared.clone()), price)];
    if objects.iter().all(|fields| fields.len() == shared.len()) {
        formats.push((Format::ExactFields(shared), price - 0.05));
    }
    formats
        .into_iter()
        .map(|(format, price)| column(readings, Measure::Format(format), price, Some(Class::Fail)))
        .collect()
}

fn fields_of<'r>(reading: &'r Reading<'_>) -> Option<&'r BTreeMap<String, Kind>> {
    match reading.shape.as_ref()? {
        Shape::Object(fields) => Some(fields),
        Shape::Other(_) => None,
    }
}

/// The first [`MAX_FIELDS`] fields that all objects have, with their kind where it is always the same; `None` of fewer
/// than three objects.
fn shared_fields(objects: &[&BTreeMap<String, Kind>]) -> Option<Vec<(String, Option<Kind>)>> {
    let (first, rest) = objects.split_first().filter(|(_, rest)| rest.len() >= 2)?;
    let shared = first
        .iter()
        .filter(|(name, _)| rest.iter().all(|fields| fields.contains_key(*name)))
        .take(MAX_FIELDS);
    let kind = |name: &String, kind: &Kind| {
        rest.iter()
            .all(|fields| fields[name] == *kind)
            .then_some(*kind)
    };
    Some(
        shared
            .map(|(name, found)| {
                (
                    name.clone(),
                    kind(name, found).filter(|kind| *kind != Kind::Null),
                )
            })
            .collect(),
    )
}

fn shows(reading: &Reading<'_>, fields: &[(String, Option<Kind>)]) -> bool {
    let text = &reading.trace.input_text;
    let shown: BTreeSet<&str> = SHOWN_FIELD
        .captures_iter(text)
        .filter_map(|found| found.get(1))
        .map(|name| name.as_str())
        .collect();
    fields.iter().all(|(name, _)| shown.contains(name.as_str()))
}
