//! How good induced evals are:
//! `cargo bench --bench induction -- [FOLDER] [--labels 30] [--draws 20] [--raters 0.2] [--no-votes] [--each] [--null]`.
//!
//! For each `*.jsonl` of labelled traces in FOLDER (`examples`, unless told otherwise): labels are drawn at random, an eval
//! is induced from them, and the emitted Python judges all other rows of other groups in the sandbox. No eval counts as the
//! majority guess, and an abstention as wrong. 😐 is left out.
//!
//! With `--raters 0.2` the drawn labels are what the most of three raters say, each of whom is wrong one time in five; with
//! `--no-votes` only what most say is told.
//!
//! With `--null` the drawn labels are shuffled, so that there is nothing to learn: how often is an eval offered all the same,
//! and what does its cross-validation then report?

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use iofold::domain::{AnnotatorLabel, Class, LabelledTrace, Thumb, consensus, lenient};
use iofold::generate::{CrossValidation, Generation, InducedEval, Settings, generate};
use iofold::ingest::normalise;
use iofold::langfuse::TracePayload;
use iofold::sandbox::Sandbox;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::Value;

/// Simple methods on the same sets: the accuracy of guessing the commoner label, then balanced accuracies.
///
/// In this order: the majority guess; from 30 labels drawn at random, 20 draws, on all rows of other groups: the best single
/// rule on one of 35 counts (lengths, digits, overlaps with the request, sources and references, tool calls, errors), a
/// decision tree of depth 3 on those counts, and a logistic regression on them and on the tf-idf of words and pairs of words;
/// last, a short check written by hand with knowledge of the set.
const BASELINES: &[(&str, [f64; 5])] = &[
    ("math_json_format", [0.54, 1.00, 1.00, 0.95, 1.00]),
    ("ifeval_gpt4", [0.77, 0.52, 0.51, 0.52, 0.71]),
    ("trivia_answers", [0.84, 0.90, 0.76, 0.63, 0.92]),
    ("wow_grounded", [0.63, 0.85, 0.80, 0.77, 0.86]),
    ("tau_airline", [0.58, 0.61, 0.61, 0.67, 0.59]),
    ("conala_code_grades", [0.73, 0.58, 0.58, 0.55, 0.62]),
    ("halueval_general", [0.60, 0.53, 0.53, 0.56, 0.60]),
    ("xstest_refusals", [0.84, 0.52, 0.53, 0.54, 0.50]),
    ("gsm8k_solutions", [0.64, 0.54, 0.52, 0.55, 0.50]),
];

/// What 30 labels must come to: the balanced accuracy, and whether "code can't tell" in nine draws of ten will do as well.
const BARS: &[(&str, f64, bool)] = &[
    ("math_json_format", 1.00, false),
    ("ifeval_gpt4", 0.65, false),
    ("trivia_answers", 0.92, false),
    ("wow_grounded", 0.86, false),
    ("tau_airline", 0.67, true),
    ("conala_code_grades", 0.58, true),
    ("halueval_general", 0.56, true),
    ("xstest_refusals", 0.54, true),
    ("gsm8k_solutions", 0.55, true),
];
/// How the reason begins that says that more labels would not help.
const NEEDS_A_JUDGE: &str = "Code can't tell these labels apart; a judge is needed";

fn main() -> anyhow::Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let sandbox = Sandbox::open(
        Path::new(env!("CARGO_BIN_EXE_iofold")),
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache"),
    )?;
    if options.null {
        return print_null(&options);
    }
    println!(
        "{} labels, {} draws; balanced accuracy on the rest, no eval counts as .5, an abstention as wrong; judge: draws in \
         which “code can't tell” was said\n\
         baselines: simple methods measured on the same sets, learnt from 30 labels, 20 draws: accuracy of the majority guess; \
         balanced\naccuracy of the best single rule of 35 counts, a tree of depth 3, a logistic regression, and a short check \
         written by hand",
        options.labels, options.draws
    );
    println!(
        "set                  balanced   bar     evals  judge accuracy majority ≥ major. abstains cross-v.  fresh \
         ms/attempt  longest   baselines: majority, rule, tree, logistic, by hand"
    );
    for path in sets(&options.folder)? {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let draws = measure(&sandbox, &labelled(&path)?, &options)?;
        print_row(&name, &draws);
    }
    Ok(())
}

struct Options {
    folder: PathBuf,
    labels: usize,
    draws: u64,
    /// How often each of three raters is wrong; without, the labels are the set's own.
    raters: Option<f64>,
    votes: bool,
    null: bool,
    /// Whether each draw is told of.
    each: bool,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
            labels: 30,
            draws: 20,
            raters: None,
            votes: true,
            null: false,
            each: false,
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a number"))
            };
            match argument.as_str() {
                "--labels" => options.labels = value()?.parse()?,
                "--draws" => options.draws = value()?.parse()?,
                "--raters" => options.raters = Some(value()?.parse()?),
                "--no-votes" => options.votes = false,
                "--each" => options.each = true,
                "--null" => options.null = true,
                _ if argument.starts_with('-') => bail!("unknown option {argument}"),
                _ => options.folder = PathBuf::from(argument),
            }
        }
        Ok(options)
    }
}

fn print_null(options: &Options) -> anyhow::Result<()> {
    println!("{} labels, shuffled", options.labels);
    let mut attempts = 0;
    let mut offered = Vec::new();
    for path in sets(&options.folder)? {
        let labels = labelled(&path)?;
        ensure_enough(&labels, options)?;
        let of_set = (0..options.draws).into_par_iter();
        offered.extend(
            of_set
                .filter_map(|seed| offered_by_luck(&labels, options.labels, seed))
                .collect::<Vec<_>>(),
        );
        attempts += options.draws;
    }
    let count = offered.len();
    let mean = |of: fn(&(f64, f64)) -> f64| match count {
        0 => "-".to_owned(),
        _ => format!("{:.3}", offered.iter().map(of).sum::<f64>() / count as f64),
    };
    println!(
        "with shuffled labels: offered {count} of {attempts}; their mean reported agreement {}, mean majority {}",
        mean(|(reported, _)| *reported),
        mean(|(_, majority)| *majority),
    );
    Ok(())
}

/// The reported agreement and the majority among the labels, if an eval is offered for labels that mean nothing.
fn offered_by_luck(labels: &[LabelledTrace], count: usize, seed: u64) -> Option<(f64, f64)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<LabelledTrace> = labels
        .choose_multiple(&mut random, count)
        .cloned()
        .collect();
    let mut thumbs: Vec<Thumb> = drawn.iter().map(|label| label.label).collect();
    thumbs.shuffle(&mut random);
    for (label, thumb) in drawn.iter_mut().zip(&thumbs) {
        label.label = *thumb;
    }
    let fails = thumbs.iter().filter(|thumb| **thumb == Thumb::Down).count();
    let majority = fails.max(count - fails) as f64 / count as f64;
    match attempt(&drawn, seed) {
        Generation::Eval(induced) => Some((agreement(&induced.cross_validation), majority)),
        Generation::NotYet { .. } => None,
    }
}

fn attempt(labels: &[LabelledTrace], seed: u64) -> Generation {
    let settings = Settings {
        seed,
        ..Settings::default()
    };
    generate(labels, &settings)
}

fn ensure_enough(labels: &[LabelledTrace], options: &Options) -> anyhow::Result<()> {
    ensure!(
        labels.len() > options.labels,
        "a set has fewer labels than are drawn"
    );
    Ok(())
}

fn sets(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    });
    paths.sort();
    Ok(paths)
}

/// The lines of a set that are 👍 or 👎.
fn labelled(path: &Path) -> anyhow::Result<Vec<LabelledTrace>> {
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<LabelledTrace> = text
        .lines()
        .map(labelled_line)
        .collect::<anyhow::Result<_>>()?;
    Ok(lines
        .into_iter()
        .filter(|label| label.label.class().is_some())
        .collect())
}

fn labelled_line(line: &str) -> anyhow::Result<LabelledTrace> {
    let (value, _) = lenient::parse(line.as_bytes())?;
    let payload: TracePayload = serde_json::from_value(value["trace"].clone())?;
    let trace = normalise(&payload);
    Ok(LabelledTrace {
        id: value["id"]
            .as_str()
            .context("a line needs an id")?
            .to_owned(),
        group: value["group"]
            .as_str()
            .map_or_else(|| trace.group(), str::to_owned),
        label: value["label"]
            .as_str()
            .and_then(Thumb::parse)
            .context("a line needs a label")?,
        trace,
        votes: votes(&value["labels"])?,
        comments: Vec::new(),
    })
}

/// Each rater's own thumb, where the set has them.
fn votes(labels: &Value) -> anyhow::Result<Vec<AnnotatorLabel>> {
    if labels.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value(labels.clone()).context("a rater's label is odd")
}

/// What three raters make of a label, each wrong as often as `wrong` says.
fn rate(label: &mut LabelledTrace, wrong: f64, random: &mut ChaCha8Rng) {
    let is = label.label;
    let other = if is == Thumb::Up {
        Thumb::Down
    } else {
        Thumb::Up
    };
    let vote = |rater: usize| AnnotatorLabel {
        annotator: format!("rater{rater}").as_str().into(),
        label: if random.random_bool(wrong) { other } else { is },
        comment: None,
    };
    label.votes = (0..3).map(vote).collect();
    let most = consensus(label.votes.iter().map(|vote| vote.label));
    label.label = most.expect("there are three votes");
}

/// What one draw of labels came to.
struct Draw {
    /// `None` where no rows of other groups are left.
    on_rest: Option<Rest>,
    needs_a_judge: bool,
    /// Cross-validated agreement, where there is an eval.
    cross_validated: Option<f64>,
    attempt_ms: f64,
}

/// What the eval, or the majority guess without one, came to on the rows that were not drawn.
#[derive(Clone, Copy)]
struct Rest {
    balanced: f64,
    accuracy: f64,
    majority: f64,
    abstained: f64,
}

fn measure(
    sandbox: &Sandbox,
    labels: &[LabelledTrace],
    options: &Options,
) -> anyhow::Result<Vec<Draw>> {
    ensure_enough(labels, options)?;
    (0..options.draws)
        .map(|seed| draw(sandbox, labels, options, seed))
        .collect()
}

fn draw(
    sandbox: &Sandbox,
    labels: &[LabelledTrace],
    options: &Options,
    seed: u64,
) -> anyhow::Result<Draw> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut shuffled: Vec<&LabelledTrace> = labels.iter().collect();
    shuffled.shuffle(&mut random);
    let (drawn, rest) = shuffled.split_at(options.labels);
    let groups: HashSet<&str> = drawn.iter().map(|label| label.group.as_str()).collect();
    let is_other = |label: &&LabelledTrace| !groups.contains(label.group.as_str());
    let rest: Vec<&LabelledTrace> = rest.iter().copied().filter(is_other).collect();
    let mut drawn: Vec<LabelledTrace> = drawn.iter().copied().cloned().collect();
    if let Some(wrong) = options.raters {
        drawn
            .iter_mut()
            .for_each(|label| rate(label, wrong, &mut random));
    }
    if !options.votes {
        drawn.iter_mut().for_each(|label| label.votes.clear());
    }
    let start = Instant::now();
    let generation = attempt(&drawn, seed);
    let attempt_ms = start.elapsed().as_secs_f64() * 1000.0;
    let draw = judged(sandbox, &generation, &rest, attempt_ms)?;
    if options.each {
        let balanced = shown(draw.on_rest.map(|rest| rest.balanced));
        println!("{seed:>4} {balanced} {}", said(&generation));
    }
    Ok(draw)
}

fn said(generation: &Generation) -> &str {
    match generation {
        Generation::Eval(induced) => &induced.criterion,
        Generation::NotYet { reason, .. } => reason,
    }
}

fn judged(
    sandbox: &Sandbox,
    generation: &Generation,
    rest: &[&LabelledTrace],
    attempt_ms: f64,
) -> anyhow::Result<Draw> {
    let (on_rest, needs_a_judge, cross_validated) = match generation {
        Generation::Eval(induced) => (
            judged_by(sandbox, induced, rest)?,
            false,
            Some(agreement(&induced.cross_validation)),
        ),
        Generation::NotYet { reason, .. } => {
            (guessed(rest), reason.starts_with(NEEDS_A_JUDGE), None)
        }
    };
    Ok(Draw {
        on_rest,
        needs_a_judge,
        cross_validated,
        attempt_ms,
    })
}

/// The shares of passes and fails.
fn classes(rest: &[&LabelledTrace]) -> Option<[f64; 2]> {
    let share = |class| {
        let of_class = rest
            .iter()
            .filter(|label| label.label.class() == Some(class));
        of_class.count() as f64 / rest.len() as f64
    };
    (!rest.is_empty()).then(|| [share(Class::Pass), share(Class::Fail)])
}

fn guessed(rest: &[&LabelledTrace]) -> Option<Rest> {
    let [passes, fails] = classes(rest)?;
    let majority = passes.max(fails);
    Some(Rest {
        balanced: 0.5,
        accuracy: majority,
        majority,
        abstained: 0.0,
    })
}

fn judged_by(
    sandbox: &Sandbox,
    induced: &InducedEval,
    rest: &[&LabelledTrace],
) -> anyhow::Result<Option<Rest>> {
    let Some([passes, fails]) = classes(rest) else {
        return Ok(None);
    };
    let ([passed, caught], abstained) = right(sandbox, induced, rest)?;
    Ok(Some(Rest {
        balanced: (passed / passes + caught / fails) / 2.0,
        accuracy: passed + caught,
        majority: passes.max(fails),
        abstained,
    }))
}

/// The shares of all rows that are passes and judged so, and fails and judged so; and the share of abstentions.
fn right(
    sandbox: &Sandbox,
    induced: &InducedEval,
    rest: &[&LabelledTrace],
) -> anyhow::Result<([f64; 2], f64)> {
    let outcomes: Vec<_> = rest
        .par_iter()
        .map(|label| sandbox.evaluate(induced.source.as_str(), &label.trace.to_json()))
        .collect();
    if let Some(error) = outcomes
        .iter()
        .find_map(|outcome| outcome.result.as_ref().err())
    {
        bail!(
            "an eval errored: {}\n{}",
            error.message,
            induced.source.as_str()
        );
    }
    let count = |class| {
        let pairs = rest.iter().zip(&outcomes);
        pairs
            .filter(|(label, outcome)| {
                label.label.class() == Some(class) && outcome.class() == Some(class)
            })
            .count()
    };
    let right = [Class::Pass, Class::Fail].map(|class| count(class) as f64 / rest.len() as f64);
    let abstained = outcomes
        .iter()
        .filter(|outcome| outcome.class().is_none())
        .count();
    Ok((right, abstained as f64 / rest.len() as f64))
}

fn agreement(validation: &CrossValidation) -> f64 {
    let right: u32 = validation
        .labels
        .iter()
        .map(|label| match label.label {
            Class::Pass => label.pass,
            Class::Fail => label.fail,
        })
        .sum();
    f64::from(right) / (validation.labels.len() as f64 * f64::from(validation.repeats))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"))
}

fn print_row(name: &str, draws: &[Draw]) {
    let on_rest = |of: fn(Rest) -> f64| mean(draws.iter().filter_map(|draw| draw.on_rest).map(of));
    let offered = || draws.iter().filter(|draw| draw.cross_validated.is_some());
    let made = offered().count();
    let fresh = || offered().filter_map(|draw| draw.on_rest);
    let above = fresh()
        .filter(|rest| rest.accuracy >= rest.majority)
        .count();
    let judge = draws.iter().filter(|draw| draw.needs_a_judge).count();
    let baselines = BASELINES.iter().find(|(known, _)| *known == name);
    let baselines =
        baselines.map(|(_, figures)| figures.map(|figure| format!("{figure:.2}")).join("  "));
    let balanced = on_rest(|rest| rest.balanced);
    let longest = draws.iter().map(|draw| draw.attempt_ms).fold(0.0, f64::max);
    println!(
        "{name:<20} {:>8} {:<8} {:>6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>10.0} {longest:>8.0}   {}",
        shown(balanced),
        bar(name, balanced, judge as f64 / draws.len() as f64),
        format!("{made}/{}", draws.len()),
        format!("{judge}/{}", draws.len()),
        shown(on_rest(|rest| rest.accuracy)),
        shown(on_rest(|rest| rest.majority)),
        format!("{above}/{}", fresh().count()),
        shown(mean(fresh().map(|rest| rest.abstained))),
        shown(mean(offered().filter_map(|draw| draw.cross_validated))),
        shown(mean(fresh().map(|rest| rest.accuracy))),
        mean(draws.iter().map(|draw| draw.attempt_ms)).unwrap_or_default(),
        baselines.unwrap_or_default(),
    );
}

/// The set's bar, and whether it is met; to the digits that bars have.
fn bar(name: &str, balanced: Option<f64>, judge: f64) -> String {
    let Some((_, least, judge_will_do)) = BARS.iter().find(|(known, ..)| *known == name) else {
        return String::new();
    };
    let reached = balanced.is_some_and(|balanced| balanced >= *least);
    let met = reached || (*judge_will_do && judge >= 0.9);
    format!("{} {least:.2}", if met { "≥" } else { "<" })
}
