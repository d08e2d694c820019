//! How good induced evals are:
//! `cargo bench --bench induction -- [FOLDER] [--labels 30] [--draws 20] [--null | --planted | --timing]`.
//!
//! For each `*.jsonl` of labelled traces in FOLDER (`examples`, unless told otherwise): labels are drawn at random, an eval
//! is induced from them, and the emitted Python judges all other rows of other groups in the sandbox. No eval counts as the
//! majority guess. 😐 is left out.
//!
//! With `--null` the drawn labels are shuffled, so that there is nothing to learn: how often is an eval offered all the same,
//! and what does its cross-validation then report? With `--planted` the rows are labelled by known rules instead: are they
//! found again, and how often is it said, wrongly, that code can't tell? With `--timing`, how long does an attempt take?

mod planted;
mod timing;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use iofold::domain::{Class, LabelledTrace, Thumb, lenient};
use iofold::generate::{CrossValidation, Generation, InducedEval, Settings, generate};
use iofold::ingest::normalise;
use iofold::langfuse::TracePayload;
use iofold::sandbox::Sandbox;
use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

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

/// What is asked of each set at 30 labels: balanced accuracy, or, of those that code can't decide, to say so instead in
/// nine draws of ten.
const BARS: &[(&str, f64, bool)] = &[
    ("math_json_format", 1.00, false),
    ("ifeval_gpt4", 0.65, false),
    ("trivia_answers", 0.92, false),
    ("wow_grounded", 0.86, false),
    ("tau_airline", 0.67, false),
    ("conala_code_grades", 0.58, true),
    ("halueval_general", 0.56, true),
    ("xstest_refusals", 0.54, true),
    ("gsm8k_solutions", 0.55, true),
];
const SAID_OFTEN_ENOUGH: f64 = 0.9;
/// How the reason begins where a judge is needed.
const A_JUDGE_IS_NEEDED: &str = "Code can't tell these labels apart; a judge is needed";
/// Rows that evals of planted rules are tested on; there are many rules, and few rows are enough for each.
const PLANTED_ROWS: usize = 300;

fn main() -> anyhow::Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let sandbox = Sandbox::open(
        Path::new(env!("CARGO_BIN_EXE_iofold")),
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache"),
    )?;
    match options.mode {
        Mode::Sets => print_sets(&sandbox, &options),
        Mode::Null => print_null(&options),
        Mode::Planted => print_planted(&sandbox, &options),
        Mode::Timing => print_timing(&options),
    }
}

fn print_sets(sandbox: &Sandbox, options: &Options) -> anyhow::Result<()> {
    println!(
        "{} labels, {} draws; balanced accuracy on the rest, no eval counts as .5\n\
         baselines: simple methods measured on the same sets, learnt from 30 labels, 20 draws: accuracy of the majority guess; \
         balanced\naccuracy of the best single rule of 35 counts, a tree of depth 3, a logistic regression, and a short check \
         written by hand",
        options.labels, options.draws
    );
    println!(
        "set                  balanced  evals   judge bar           accuracy majority ≥ major. cross-v.     fresh ms/attempt   \
         baselines: majority, rule, tree, logistic, by hand"
    );
    for path in sets(&options.folder)? {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let draws = measure(sandbox, &labelled(&path)?, options)?;
        print_row(&name, &draws);
    }
    Ok(())
}

struct Options {
    folder: PathBuf,
    labels: usize,
    draws: u64,
    mode: Mode,
}

#[derive(Clone, Copy)]
enum Mode {
    Sets,
    Null,
    Planted,
    Timing,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
            labels: 30,
            draws: 20,
            mode: Mode::Sets,
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
                "--null" => options.mode = Mode::Null,
                "--planted" => options.mode = Mode::Planted,
                "--timing" => options.mode = Mode::Timing,
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

fn print_planted(sandbox: &Sandbox, options: &Options) -> anyhow::Result<()> {
    println!(
        "{} labels by a known rule, 5 % of them wrong, {} draws a set; balanced accuracy against such labels, no eval \
         counts as .5",
        options.labels, options.draws
    );
    println!("a good answer has       sets  draws balanced  offered  falsely: a judge is needed");
    let sets: Vec<Vec<LabelledTrace>> = sets(&options.folder)?
        .iter()
        .map(|path| labelled(path))
        .collect::<anyhow::Result<_>>()?;
    let mut all = Vec::new();
    for number in 0..planted::rules(&[]).len() {
        let mut name = "";
        let mut draws = Vec::new();
        let mut planted_in = 0;
        for labels in &sets {
            let rule = planted::rules(labels).swap_remove(number);
            name = rule.0;
            let Some(planted) = planted::planted(labels, &rule, number as u64) else {
                continue;
            };
            planted_in += 1;
            draws.extend(measure(sandbox, &planted, options)?);
        }
        if planted_in > 0 {
            print_planted_row(name, planted_in, &draws);
        }
        all.extend(draws);
    }
    print_planted_row("all", sets.len(), &all);
    Ok(())
}

fn print_planted_row(name: &str, sets: usize, draws: &[Draw]) {
    let count = |holds: fn(&Draw) -> bool| draws.iter().filter(|draw| holds(draw)).count();
    let balanced: f64 = draws.iter().map(|draw| draw.balanced).sum();
    println!(
        "{name:<23} {sets:>4} {:>6} {:>8.3} {:>8} {:>8}",
        draws.len(),
        balanced / draws.len() as f64,
        count(|draw| draw.calibration.is_some()),
        count(|draw| draw.asks_for_a_judge),
    );
}

fn print_timing(options: &Options) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for path in sets(&options.folder)? {
        all.extend(labelled(&path)?);
    }
    timing::print(&all, |labels| {
        attempt(labels, 0);
    })
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
    generate(labels, &Settings { seed })
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
        votes: serde_json::from_value(value["labels"].clone()).unwrap_or_default(),
        comments: Vec::new(),
    })
}

/// What one draw of labels came to.
struct Draw {
    balanced: f64,
    accuracy: f64,
    majority: f64,
    /// Cross-validated agreement and agreement on the rest, where there is an eval.
    calibration: Option<(f64, f64)>,
    /// Whether it was said that code can't tell.
    asks_for_a_judge: bool,
    attempt_ms: f64,
}

fn measure(
    sandbox: &Sandbox,
    labels: &[LabelledTrace],
    options: &Options,
) -> anyhow::Result<Vec<Draw>> {
    ensure_enough(labels, options)?;
    let rows = match options.mode {
        Mode::Planted => PLANTED_ROWS,
        _ => usize::MAX,
    };
    (0..options.draws)
        .map(|seed| draw(sandbox, labels, (options.labels, rows), seed))
        .collect()
}

fn draw(
    sandbox: &Sandbox,
    labels: &[LabelledTrace],
    (count, rows): (usize, usize),
    seed: u64,
) -> anyhow::Result<Draw> {
    let mut shuffled: Vec<&LabelledTrace> = labels.iter().collect();
    shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let (drawn, rest) = shuffled.split_at(count);
    let groups: HashSet<&str> = drawn.iter().map(|label| label.group.as_str()).collect();
    let rest: Vec<&LabelledTrace> = rest
        .iter()
        .copied()
        .filter(|label| !groups.contains(label.group.as_str()))
        .collect();
    let rest = &rest[..rest.len().min(rows)];
    let drawn: Vec<LabelledTrace> = drawn.iter().copied().cloned().collect();
    let start = Instant::now();
    let generation = attempt(&drawn, seed);
    let attempt_ms = start.elapsed().as_secs_f64() * 1000.0;
    judged(sandbox, &generation, rest, attempt_ms)
}

fn judged(
    sandbox: &Sandbox,
    generation: &Generation,
    rest: &[&LabelledTrace],
    attempt_ms: f64,
) -> anyhow::Result<Draw> {
    let share = |class| {
        rest.iter()
            .filter(|label| label.label.class() == Some(class))
            .count() as f64
            / rest.len() as f64
    };
    let (passes, fails) = (share(Class::Pass), share(Class::Fail));
    let majority = passes.max(fails);
    let Generation::Eval(induced) = generation else {
        return Ok(Draw {
            balanced: 0.5,
            accuracy: majority,
            majority,
            calibration: None,
            asks_for_a_judge: asks_for_a_judge(generation),
            attempt_ms,
        });
    };
    let right = right(sandbox, induced, rest)?;
    let accuracy = right[0] + right[1];
    let balanced = (right[0] / passes + right[1] / fails) / 2.0;
    let calibration = Some((agreement(&induced.cross_validation), accuracy));
    Ok(Draw {
        balanced,
        accuracy,
        majority,
        calibration,
        asks_for_a_judge: false,
        attempt_ms,
    })
}

fn asks_for_a_judge(generation: &Generation) -> bool {
    matches!(generation, Generation::NotYet { reason, .. } if reason.starts_with(A_JUDGE_IS_NEEDED))
}

/// The shares of all rows that are passes and judged so, and fails and judged so.
fn right(
    sandbox: &Sandbox,
    induced: &InducedEval,
    rest: &[&LabelledTrace],
) -> anyhow::Result<[f64; 2]> {
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
    Ok([Class::Pass, Class::Fail].map(|class| count(class) as f64 / rest.len() as f64))
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

fn print_row(name: &str, draws: &[Draw]) {
    let mean = |of: &dyn Fn(&Draw) -> f64| draws.iter().map(of).sum::<f64>() / draws.len() as f64;
    let made: Vec<&Draw> = draws
        .iter()
        .filter(|draw| draw.calibration.is_some())
        .collect();
    let above = made
        .iter()
        .filter(|draw| draw.accuracy >= draw.majority)
        .count();
    let calibrated = |of: fn((f64, f64)) -> f64| {
        let sum: f64 = made
            .iter()
            .filter_map(|draw| draw.calibration)
            .map(of)
            .sum();
        if made.is_empty() {
            "-".to_owned()
        } else {
            format!("{:.3}", sum / made.len() as f64)
        }
    };
    let baselines = BASELINES.iter().find(|(known, _)| *known == name);
    let baselines =
        baselines.map(|(_, figures)| figures.map(|figure| format!("{figure:.2}")).join("  "));
    let judge = draws.iter().filter(|draw| draw.asks_for_a_judge).count();
    println!(
        "{name:<20} {:>8.3} {:>6} {:>7} {:<13} {:>8.3} {:>8.3} {:>8} {:>8} {:>9} {:>10.0}   {}",
        mean(&|draw| draw.balanced),
        format!("{}/{}", made.len(), draws.len()),
        format!("{judge}/{}", draws.len()),
        bar(
            name,
            mean(&|draw| draw.balanced),
            judge as f64 / draws.len() as f64
        ),
        mean(&|draw| draw.accuracy),
        mean(&|draw| draw.majority),
        format!("{above}/{}", made.len()),
        calibrated(|(cross_validated, _)| cross_validated),
        calibrated(|(_, fresh)| fresh),
        mean(&|draw| draw.attempt_ms),
        baselines.unwrap_or_default(),
    );
}

/// The set's bar, and whether it is met.
fn bar(name: &str, balanced: f64, judge: f64) -> String {
    let Some((_, least, code_cannot)) = BARS.iter().find(|(known, ..)| *known == name) else {
        return "-".to_owned();
    };
    let is_met = balanced + 1e-9 >= *least || (*code_cannot && judge >= SAID_OFTEN_ENOUGH);
    format!("{least:.2} {}", if is_met { "met" } else { "not met" })
}
