//! The generator against a model that answers by a script; evals run in the real guest, in this process.

mod choosing;
mod faults;
mod hostile;
mod kinds;
mod prompts;
mod smaller;
mod writing;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::*;
use crate::domain::{AnnotatorLabel, ErrorKind, RunError, Thumb};
use crate::llm::{Completing, Completion, Model, Prompt, Task, Usage};
use crate::sandbox::Answers;
use crate::sandbox::cache;
use crate::sandbox::guest::{Guest, engine};
use crate::sandbox::protocol::{Job, Question, Reply};

/// Less than in the service, so that what loops ends soon.
const FUEL: u64 = engine::FUEL / 10;

/// In this process: there is no program to start workers from.
fn guest() -> &'static Mutex<Guest> {
    static GUEST: OnceLock<Mutex<Guest>> = OnceLock::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox-cache");
    GUEST.get_or_init(|| Mutex::new(Guest::open(cache::prepare(&kept).unwrap()).unwrap()))
}

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// What `judge` says of a question; `None` where it can't be asked.
pub type Judging = fn(&Question) -> Option<bool>;

pub fn run_one(source: &EvalSource, trace: &str, judge: Judging) -> Outcome {
    let mut answers = Answers::default();
    loop {
        let known = answers.to_json();
        let job = Job {
            source: source.as_str(),
            trace,
            answers: &known,
            fuel: FUEL,
            memory_bytes: engine::MEMORY_BYTES as u64,
        };
        let mut guest = guest().lock().unwrap_or_else(PoisonError::into_inner);
        match guest.evaluate(&job).unwrap() {
            Reply::Done(outcome) => return outcome,
            Reply::Asks(question) => match judge(&question) {
                Some(answer) => answers.insert(&question, answer),
                None => {
                    return Outcome::refused(RunError {
                        kind: ErrorKind::JudgeUnavailable,
                        message: "nobody answers".to_owned(),
                    });
                }
            },
        }
    }
}

pub fn nobody(_: &Question) -> Option<bool> {
    None
}

fn run(source: &EvalSource, traces: &[String]) -> anyhow::Result<Vec<Outcome>> {
    Ok(traces
        .iter()
        .map(|trace| run_one(source, trace, nobody))
        .collect())
}

/// What a script answers.
pub type Answer = Result<Value, LlmError>;

/// Answers by a script, and remembers what it was asked.
pub struct Scripted {
    pub script: Box<dyn Fn(&Prompt) -> Answer + Send + Sync>,
    pub asked: Mutex<Vec<Prompt>>,
}

impl Model for Scripted {
    fn complete<'a>(&'a self, prompt: &'a Prompt) -> Completing<'a> {
        self.asked.lock().unwrap().push(prompt.clone());
        let value = (self.script)(prompt);
        Box::pin(async move {
            let usage = Usage {
                calls: 1,
                output_tokens: 10,
                cost_usd: Some(0.5),
                ..Usage::default()
            };
            value.map(|value| Completion { value, usage })
        })
    }
}

/// What is asked for, by the answer's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    Criteria,
    Functions,
    Predicates,
    Question,
    Hybrid,
    Mend,
    Next,
}

pub fn asked(prompt: &Prompt) -> Asked {
    let has = |name: &str| prompt.schema["properties"].get(name).is_some();
    let mends = prompt.request.contains("You wrote this");
    if has("criteria") {
        Asked::Criteria
    } else if mends {
        Asked::Mend
    } else if has("evals") {
        Asked::Functions
    } else if has("predicates") {
        Asked::Predicates
    } else if has("question") {
        Asked::Question
    } else if prompt.request.contains("next version") {
        Asked::Next
    } else {
        Asked::Hybrid
    }
}

/// An answer with several evals.
pub fn sources(sources: &[&str]) -> Value {
    let evals: Vec<Value> = sources
        .iter()
        .map(|source| json!({"source": source}))
        .collect();
    json!({ "evals": evals })
}

/// A generation with its script.
struct Scene {
    labels: Vec<LabelledTrace>,
    unlabelled: Vec<Trace>,
    from: Option<EvalSource>,
    effort: Effort,
    judge: Judging,
}

/// What came of it.
struct Played {
    result: Result<Written, WriteError>,
    prompts: Vec<Prompt>,
    /// Sources that ran, ours included, each with the number of traces.
    runs: Vec<(String, usize)>,
}

impl Scene {
    fn new(labels: Vec<LabelledTrace>) -> Self {
        Self {
            labels,
            unlabelled: Vec::new(),
            from: None,
            effort: Effort {
                seed: 7,
                rounds: 1,
                material_chars: 20_000,
            },
            judge: nobody,
        }
    }

    fn play(&self, script: impl Fn(&Prompt) -> Answer + Send + Sync + 'static) -> Played {
        let model = Arc::new(Scripted {
            script: Box::new(script),
            asked: Mutex::default(),
        });
        let writer = Writer::new(model.clone(), runtime().handle().clone());
        let runs = Mutex::new(Vec::new());
        let run = |source: &EvalSource, traces: &[String]| {
            let one = (source.as_str().to_owned(), traces.len());
            runs.lock().unwrap().push(one);
            Ok(traces
                .iter()
                .map(|trace| run_one(source, trace, self.judge))
                .collect())
        };
        let brief = Brief {
            development: &self.labels,
            unlabelled: &self.unlabelled,
            from: self.from.as_ref(),
            effort: self.effort.clone(),
            progress: &|_| {},
        };
        let result = write(&brief, &writer, &run);
        let prompts = model.asked.lock().unwrap().clone();
        Played {
            result,
            prompts,
            runs: runs.into_inner().unwrap(),
        }
    }

    /// Every prompt for evals is answered by this source, and that for criteria by one criterion.
    fn play_source(&self, source: &str) -> Played {
        let source = source.to_owned();
        self.play(move |prompt| {
            Ok(match asked(prompt) {
                Asked::Criteria => json!({"criteria": ["A good answer cites its source."]}),
                Asked::Functions => json!({"evals": [{"source": source}]}),
                Asked::Mend | Asked::Next | Asked::Hybrid => {
                    json!({"source": source, "changes": ["Looks at links."]})
                }
                Asked::Predicates => json!({"predicates": []}),
                Asked::Question => json!({"question": ""}),
            })
        })
    }
}

impl Played {
    fn written(self) -> Written {
        self.result.unwrap()
    }

    /// Why there is none, and how many were tried.
    #[track_caller]
    fn none(&self) -> (&str, usize) {
        match &self.result {
            Err(WriteError::None {
                reason,
                candidates_tried,
                ..
            }) => (reason, *candidates_tried),
            other => panic!("{other:?}"),
        }
    }
}

pub fn trace(id: usize, input: &str, output: &str) -> Trace {
    serde_json::from_value(json!({
        "id": format!("secret-id-{id}"), "name": "chat", "session_id": null, "user_id": "u", "timestamp": "2026-01-01T00:00:00Z",
        "tags": [], "metadata": {}, "input": input, "output": output, "input_text": input, "output_text": output,
        "messages": [{"role": "user", "content": input, "tool_calls": [], "name": null}], "tool_calls": [],
        "observations": [], "latency_ms": 1.5, "total_cost": null,
    }))
    .unwrap()
}

pub fn labelled(id: usize, label: Thumb, trace: Trace) -> LabelledTrace {
    LabelledTrace {
        id: format!("label-{id}"),
        group: format!("group-{id}"),
        trace,
        label,
        votes: Vec::new(),
        comments: Vec::new(),
    }
}

const TOPICS: [&str; 12] = [
    "rivers", "castles", "violins", "tomatoes", "glaciers", "beetles", "harbours", "comets",
    "bridges", "orchids", "lanterns", "saddles",
];

/// 👍 where the answer names a source; every other one does.
pub fn cited(count: usize) -> Vec<LabelledTrace> {
    let one = |id: usize| {
        let topic = TOPICS[id / 2 % TOPICS.len()];
        let input = format!("Tell me about {topic}, part {}.", id / 2);
        let (label, source) = match id % 2 {
            0 => (Thumb::Up, format!(" Source: the {topic} handbook.")),
            _ => (Thumb::Down, String::new()),
        };
        let output = format!("Much is known of {topic}, and number {id} most.{source}");
        let mut labelled = labelled(id, label, trace(id, &input, &output));
        if label == Thumb::Down {
            labelled.comments.push("it gives no source".to_owned());
        }
        labelled
    };
    (0..count).map(one).collect()
}

/// Agrees with [`cited`].
pub const CITES: &str = r#""""A good answer names its source."""

MARK = "Source:"


def evaluate(trace):
    if MARK in trace["output_text"]:
        return True, "it names its source"
    return False, "it names no source"
"#;

/// Agrees with nine of ten of [`cited`], and passes the rest.
const CITES_MOSTLY: &str = r#""""A good answer names its source."""


def evaluate(trace):
    text = trace["output_text"]
    return "Source:" in text or text.count("7") > 0, "by its source"
"#;
