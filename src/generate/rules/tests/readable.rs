//! Emitted Python as its owner sees it: short, without a finding of `ruff`, formatted.

use std::fs;
use std::process::Command;

use super::*;
use crate::domain::lenient;
use crate::generate::rules::columns::format_columns;
use crate::generate::rules::constraints::{Asked, Family};
use crate::generate::rules::trajectory::{NAMELESS, Trajectory};
use crate::generate::rules::vocabulary::Pattern;
use crate::ingest::normalise;
use crate::langfuse::TracePayload;

/// Lines of an eval.
const MAX_LINES: usize = 60;

/// Ruff as tests/sdk/requirements.txt has it.
fn ruff() -> Command {
    let ruff = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk-venv/bin/ruff");
    assert!(
        ruff.exists(),
        "{} is missing: `make test-deps` makes it, with what tests/sdk/requirements.txt names",
        ruff.display()
    );
    Command::new(ruff)
}

/// Runs ruff with its defaults over all sources, and looks at how long each is.
#[track_caller]
fn assert_readable(sources: &[EvalSource]) {
    let folder = tempfile::tempdir().unwrap();
    for (index, source) in sources.iter().enumerate() {
        fs::write(
            folder.path().join(format!("eval_{index}.py")),
            source.as_str(),
        )
        .unwrap();
    }
    let longest = sources.iter().map(EvalSource::as_str);
    let longest = longest.max_by_key(|source| source.lines().count()).unwrap();
    let lines = longest.lines().count();
    assert!(lines <= MAX_LINES, "{lines} lines:\n{longest}");
    for arguments in [&["check"][..], &["format", "--diff"]] {
        let output = ruff()
            .args(arguments)
            .args(["--isolated", "--no-cache"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "ruff {arguments:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Both sides of a cut, at the lowest and at a usual one, for either class.
fn evals_of(measure: &Measure) -> Vec<EvalSource> {
    let cuts = match measure.scale() {
        Scale::Flag => [1.0, 1.0],
        Scale::Count => [1.0, 1_000.0],
        Scale::Share => [0.05, 1.0],
    };
    let sides = [true, false]
        .into_iter()
        .flat_map(|at_least| [Class::Pass, Class::Fail].map(|when_met| (at_least, when_met)));
    let list = |(at_least, when_met), cut| RuleList {
        conditions: vec![Condition {
            measure: measure.clone(),
            at_least,
            cut,
        }],
        when_met,
    };
    sides
        .flat_map(|side| cuts.map(|cut| emit(&list(side, cut)).0))
        .collect()
}

#[test]
fn every_measure_reads_well() {
    let mut all = measures();
    for text in [
        "\"",
        "it's \"so\"",
        "\\",
        &"long ".repeat(8),
        "é\u{202e}",
        "你好",
    ] {
        all.push(Measure::Says(text.to_owned()));
        all.push(Measure::Uses(text.to_owned()));
        all.push(Measure::Reference(text.to_owned(), Match::Covered));
        all.push(Measure::Copies(Source::Metadata(text.to_owned()), 5));
        let fields = vec![(text.to_owned(), Some(Kind::Text)), ("b".to_owned(), None)];
        all.push(Measure::Format(Format::ExactFields(fields)));
    }
    let families = Family::ALL.map(Asked::all_of);
    all.extend(families.map(Measure::Constraints));
    all.extend(NAMELESS.iter().cloned().map(Measure::Trajectory));
    for tool in ["look_up", "it's \"so\"", "\\"] {
        let named = [
            Trajectory::CallsOf(tool.to_owned()),
            Trajectory::LastCall(tool.to_owned()),
            Trajectory::Before(tool.to_owned(), "refund".to_owned()),
        ];
        all.extend(named.map(Measure::Trajectory));
    }
    assert_readable(&all.iter().flat_map(evals_of).collect::<Vec<_>>());
}

fn pattern_of_longest_noun() -> &'static Pattern {
    let telling = PATTERNS.iter().filter(|known| known.is_telling);
    telling.max_by_key(|known| known.noun.len()).unwrap()
}

/// One measure of each kind, the longest to write.
fn kinds() -> Vec<Measure> {
    let fields = ["answer", "confidence", "reasoning", "sources"]
        .map(|name| (name.to_owned(), Some(Kind::Text)));
    vec![
        Measure::Share(Claim::Words, Source::Retrieved),
        Measure::Share(Claim::Names, Source::Tools),
        Measure::Missing(Claim::Words, Source::Tools),
        Measure::Missing(Claim::Numbers, Source::Any),
        Measure::Invented(Passage::Quotation, Source::Any),
        Measure::Invented(Passage::Link, Source::Any),
        Measure::Copies(Source::Retrieved, 10),
        Measure::LongestRun(Source::Any),
        Measure::Reference("refs".to_owned(), Match::Best),
        Measure::Reference("refs".to_owned(), Match::Either),
        Measure::Reference("refs".to_owned(), Match::Covered),
        Measure::Format(Format::ExactFields(fields.to_vec())),
        Measure::Fenced,
        Measure::Pattern(&PATTERNS[0]),
        Measure::Pattern(pattern_of_longest_noun()),
        Measure::SaysAny(&PHRASE_LISTS[2]),
        Measure::Says("in other words".to_owned()),
        Measure::Ends(&ENDINGS[1]),
        Measure::Words,
        Measure::Characters,
        Measure::Variety,
        Measure::RepeatedSentences,
        Measure::Repetition,
        Measure::OtherLanguage,
        Measure::Unclosed,
        Measure::ToolCalls,
        Measure::FailedCalls,
        Measure::Uses("search".to_owned()),
        Measure::Trajectory(Trajectory::CallsOf("search".to_owned())),
        Measure::Trajectory(Trajectory::LastCall("search".to_owned())),
        Measure::Trajectory(Trajectory::Before("search".to_owned(), "refund".to_owned())),
        Measure::Trajectory(Trajectory::Repeats),
        Measure::Trajectory(Trajectory::LeftFailed),
        Measure::Trajectory(Trajectory::Changes),
        Measure::Trajectory(Trajectory::LastCallChanges),
        Measure::Trajectory(Trajectory::ChangesAfterFailure),
        Measure::Trajectory(Trajectory::Unanswered),
    ]
}

/// Every three of them that may stand in one eval.
fn threes(kinds: &[Measure]) -> Vec<[&Measure; 3]> {
    let after = |at: usize| kinds.iter().enumerate().skip(at);
    let pairs = after(0).flat_map(|(a, first)| {
        after(a + 1)
            .filter(move |(_, second)| !first.clashes(second))
            .map(move |(b, second)| (b, first, second))
    });
    let longer = pairs.flat_map(|(b, first, second)| {
        after(b + 1)
            .filter(move |(_, third)| !first.clashes(third) && !second.clashes(third))
            .map(move |(_, third)| [first, second, third])
    });
    longer.collect()
}

#[test]
fn three_conditions_of_different_measures_read_well() {
    let kinds = kinds();
    let list = |three: [&Measure; 3], sides: usize| {
        let condition = |at: usize| Condition {
            measure: three[at].clone(),
            at_least: sides >> at & 1 == 1,
            cut: 1.0,
        };
        let conditions = [0, 1, 2].map(condition);
        let rules = RuleList {
            conditions: conditions.to_vec(),
            when_met: Class::Fail,
        };
        emit(&rules).0
    };
    let threes = threes(&kinds);
    assert!(threes.len() > 500, "{} lists", threes.len());
    let sources = threes.into_iter().enumerate().flat_map(|(at, three)| {
        // Both sides of each; all eight ways only as far as lines go.
        let all = (0..8).map(|sides| list(three, sides));
        let longest = all.max_by_key(|source| source.as_str().lines().count());
        [longest.unwrap(), list(three, at % 8)]
    });
    assert_readable(&sources.collect::<Vec<_>>());
}

#[test]
fn what_only_a_reason_that_is_not_said_needs_is_not_written() {
    let condition = |measure, at_least| Condition {
        measure,
        at_least,
        cut: 0.5,
    };
    let rules = RuleList {
        conditions: vec![
            condition(Measure::Repetition, false),
            condition(Measure::Fenced, true),
        ],
        when_met: Class::Pass,
    };
    let (source, _) = emit(&rules);
    for unused in ["repeated", "collections", "again"] {
        assert!(!source.as_str().contains(unused), "{}", source.as_str());
    }
    assert_agrees(&rules, &traces());
    assert_readable(&[source]);
}

#[test]
fn a_format_of_many_fields_fits_on_a_page() {
    let one = |index: usize| {
        let fields = (0..90).map(|at| (format!("field_{at:02}"), json!(index)));
        let mut object: serde_json::Map<String, Value> = fields.collect();
        if !even(index) {
            object.remove("field_00");
        }
        let label = if even(index) { Thumb::Up } else { Thumb::Down };
        labelled(
            index,
            label,
            trace("Now.", &Value::from(object).to_string()),
        )
    };
    let labels: Vec<_> = (0..24).map(one).collect();
    let readings: Vec<_> = labels
        .iter()
        .map(|label| Reading::new(&label.trace))
        .collect();
    let classes = labels.iter().enumerate();
    let training: Vec<_> = classes
        .map(|(at, label)| (at, label.label.class().unwrap(), 1.0))
        .collect();
    let formats = format_columns(&readings, &training);
    assert_eq!(
        formats.len(),
        1,
        "the fields left out are no reason to fail"
    );
    let measures = formats.into_iter().map(|column| column.measure);
    assert_readable(
        &measures
            .flat_map(|measure| evals_of(&measure))
            .collect::<Vec<_>>(),
    );
}

/// The labels of a bundled set.
fn bundled(set: &str) -> Vec<LabelledTrace> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{set}.jsonl"));
    let text = fs::read_to_string(path).unwrap();
    let label = |(index, line): (usize, &str)| {
        let (value, _) = lenient::parse(line.as_bytes()).unwrap();
        let payload: TracePayload = serde_json::from_value(value["trace"].clone()).unwrap();
        let thumb = Thumb::parse(value["label"].as_str().unwrap()).unwrap();
        labelled(index, thumb, normalise(&payload))
    };
    text.lines().enumerate().map(label).collect()
}

#[test]
fn what_is_induced_from_the_bundled_sets_reads_well() {
    let mut sources = Vec::new();
    for set in ["conala_code_grades", "math_json_format", "wow_grounded"] {
        let labels = bundled(set);
        sources.extend(labels.chunks(40).take(2).filter_map(|labels| {
            match generate(labels, &Settings::default()) {
                Generation::Eval(induced) => Some(induced.source),
                Generation::NotYet { .. } => None,
            }
        }));
    }
    assert!(sources.len() >= 2, "{} evals", sources.len());
    assert_readable(&sources);
}
