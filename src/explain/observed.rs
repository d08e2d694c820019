//! What the explainer printed, read with no trust: places are looked up in the source, texts are cut.

use serde::{Deserialize, Serialize};

use super::words::Word;
use crate::domain::{EvalSource, head, one_line};

/// Characters of a piece of source or of a value that are shown.
const SHOWN_CHARS: usize = 160;
/// More steps than the explainer prints are an eval's own doing.
const STEPS_MAX: usize = 20;
/// Values, and words, of one step.
const EACH_MAX: usize = 8;

/// Why there is no explanation: a sentence for the eval's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{0}")]
pub struct Unexplained(pub String);

/// Why a verdict is what it is, as the eval was seen to run. All texts are hostile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Lines that ran inside `evaluate`, from 1, as first and last of each stretch.
    pub lines: Vec<[usize; 2]>,
    /// The line whose `return` gave the verdict; `None` where `evaluate` just ended, or raised.
    pub decided: Option<usize>,
    /// The line that raised.
    pub raised: Option<usize>,
    /// The way back from the verdict: returns, the tests before them, and what those were made from.
    pub steps: Vec<Step>,
    /// Steps that were too many to tell.
    pub left_out: usize,
    /// The words of the trace that it was decided on, those of the deciding test first.
    pub words: Vec<Word>,
    /// What is to be doubted: the eval said something else while it was watched.
    pub differs: Option<String>,
}

/// One step of the way back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// From 1.
    pub line: usize,
    /// The source there, in one line.
    pub code: String,
    /// The function that it is in; `None` outside of all.
    pub function: Option<String>,
    /// How far from the verdict: 0 for `evaluate` itself.
    pub depth: usize,
    /// Whether it is the deciding return, or the test that led there.
    pub decides: bool,
    /// What a test came to; `None` where only the eval's own code could say.
    pub truth: Option<bool>,
    /// Parts of it, and what they were.
    pub values: Vec<(String, String)>,
    /// Of a test that was made many times: what it held for.
    pub held: Vec<String>,
    /// What it did not hold for.
    pub failed: Vec<String>,
    /// Texts that the trace may hold.
    #[serde(skip)]
    pub words: Vec<String>,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// A `return`.
    Return,
    /// A test that led there.
    Test,
    /// A test made for many things in turn.
    Each,
    /// What a name was given.
    Value,
    /// An exception that was caught.
    Except,
}

/// First line and column, last line and column; columns count bytes, from 0.
type At = [usize; 4];

#[derive(Deserialize)]
struct Told {
    lines: Vec<[usize; 2]>,
    decided: Option<At>,
    raised: Option<usize>,
    steps: Vec<ToldStep>,
    left_out: usize,
}

#[derive(Deserialize)]
struct ToldStep {
    kind: StepKind,
    at: At,
    r#in: Option<String>,
    depth: usize,
    truth: Option<bool>,
    #[serde(default)]
    values: Vec<(usize, usize, usize, usize, String)>,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    held: Vec<String>,
    #[serde(default)]
    failed: Vec<String>,
}

/// Reads the last line of what was printed; the words are still to be looked for.
///
/// # Errors
/// It is none of the explainer's: the eval printed past it, or broke it.
pub fn read(printed: &str, source: &EvalSource) -> Result<Explanation, Unexplained> {
    let last = printed.rsplit('\n').next().unwrap_or_default();
    let told: Told = serde_json::from_str(last).map_err(|_| {
        Unexplained("the eval got in the way of what watched it, so nothing is known".to_owned())
    })?;
    let source = Lines::of(source);
    let decided = told.decided;
    let steps = told.steps.into_iter().take(STEPS_MAX);
    let mut steps: Vec<(At, Step)> = steps.map(|step| (step.at, source.step(step))).collect();
    mark_deciding(&mut steps, decided);
    Ok(Explanation {
        lines: source.stretches(told.lines),
        decided: decided.and_then(|at| source.line(at[0])),
        raised: told.raised.and_then(|line| source.line(line)),
        steps: steps.into_iter().map(|(_, step)| step).collect(),
        left_out: told.left_out,
        words: Vec::new(),
        differs: None,
    })
}

/// The return that decided, and the first test after it on the way back.
fn mark_deciding(steps: &mut [(At, Step)], decided: Option<At>) {
    let is_it = |(at, step): &(At, Step)| step.kind == StepKind::Return && Some(*at) == decided;
    let Some(first) = steps.iter().position(is_it) else {
        return;
    };
    let mut rest = steps[first..].iter_mut().map(|(_, step)| step);
    if let Some(returned) = rest.next() {
        returned.decides = true;
    }
    if let Some(test) = rest.find(|step| step.kind != StepKind::Value) {
        test.decides = test.kind != StepKind::Return;
    }
}

/// A source by its lines, as Python counts them.
struct Lines(Vec<String>);

impl Lines {
    fn of(source: &EvalSource) -> Self {
        let text = source.as_str().replace("\r\n", "\n").replace('\r', "\n");
        Self(text.split('\n').map(str::to_owned).collect())
    }

    fn line(&self, number: usize) -> Option<usize> {
        (1..=self.0.len()).contains(&number).then_some(number)
    }

    fn stretches(&self, told: Vec<[usize; 2]>) -> Vec<[usize; 2]> {
        let are_lines = |[first, last]: &[usize; 2]| {
            first <= last && self.line(*first).is_some() && self.line(*last).is_some()
        };
        told.into_iter().filter(are_lines).collect()
    }

    /// The source from one place to another, in one line; empty where there is no such place.
    fn code(&self, [first, from, last, to]: At) -> String {
        let Some(lines) = first.checked_sub(1).and_then(|at| self.0.get(at..last)) else {
            return String::new();
        };
        let cut = |(at, line): (usize, &String)| {
            let from = if at == 0 { from } else { 0 };
            let to = if at + 1 == lines.len() {
                to
            } else {
                line.len()
            };
            line.get(from..to).unwrap_or_default().to_owned()
        };
        let code: Vec<String> = lines.iter().enumerate().map(cut).collect();
        shown(&code.join(" "))
    }

    fn step(&self, told: ToldStep) -> Step {
        let values = told.values.into_iter().take(EACH_MAX);
        let value = |(a, b, c, d, value): (usize, usize, usize, usize, String)| {
            (self.code([a, b, c, d]), shown(&value))
        };
        let few = |texts: Vec<String>| texts.into_iter().take(EACH_MAX).collect::<Vec<_>>();
        Step {
            kind: told.kind,
            line: told.at[0],
            code: self.code(told.at),
            function: told.r#in.map(|name| shown(&name)),
            depth: told.depth.min(STEPS_MAX),
            decides: false,
            truth: told.truth,
            values: values.map(value).collect(),
            held: few(told.held),
            failed: few(told.failed),
            words: few(told.words),
        }
    }
}

/// In one line, its beginning.
fn shown(text: &str) -> String {
    let text = one_line(text);
    match head(&text, SHOWN_CHARS) {
        whole if whole.len() == text.len() => text,
        beginning => format!("{beginning}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn source() -> EvalSource {
        EvalSource::new(
            "def evaluate(trace):\r\n    if \"é\" in trace:\r\n        return False\r\n",
        )
    }

    #[test]
    fn a_return_and_the_test_before_it_are_found_in_the_source() {
        let printed = json!({
            "lines": [[2, 3]], "decided": [3, 8, 3, 20], "raised": null, "left_out": 0, "steps": [
                {"kind": "return", "at": [3, 8, 3, 20], "in": "evaluate", "depth": 0},
                {"kind": "test", "at": [2, 7, 2, 20], "in": "evaluate", "depth": 0, "truth": true,
                 "values": [[2, 15, 2, 20, "'a  b'"]], "words": ["é"]},
            ],
        });
        let read = read(&format!("noise\n{printed}"), &source()).unwrap();
        assert_eq!((read.decided, read.lines), (Some(3), vec![[2, 3]]));
        let codes: Vec<_> = read
            .steps
            .iter()
            .map(|s| (s.code.as_str(), s.decides))
            .collect();
        assert_eq!(codes, [("return False", true), ("\"é\" in trace", true)]);
        let value = ("trace".to_owned(), "'a b'".to_owned());
        assert_eq!(read.steps[1].values, [value]);
    }

    #[test]
    fn what_is_no_explanation_is_refused() {
        for printed in [
            "",
            "hello",
            "{}",
            "[1]",
            "{\"lines\": 3}",
            "{\"lines\":[],\"steps\":[]…",
        ] {
            assert!(read(printed, &source()).is_err(), "{printed}");
        }
    }

    proptest! {
        #[test]
        fn no_place_that_is_told_goes_beyond_the_source(
            at in prop::array::uniform4(0..usize::MAX), near in prop::array::uniform4(0..30_usize),
        ) {
            for at in [at, near] {
                let step = json!({"kind": "test", "at": at, "in": null, "depth": at[0], "truth": null,
                                  "values": [[at[3], at[2], at[1], at[0], "v"]]});
                let told = json!({"lines": [[at[0], at[1]]], "decided": at, "raised": at[2],
                                  "steps": [step], "left_out": 0});
                let read = read(&told.to_string(), &source()).unwrap();
                prop_assert!(read.decided.is_none_or(|line| line <= 4));
                prop_assert!(read.lines.iter().all(|[first, last]| first <= last && *last <= 4));
            }
        }
    }
}
