//! Both generators, the LLM's by a script; evals run in the real guest, in this process.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::domain::Thumb;
use crate::generate::written::Kind;
use crate::generate::written::tests::{
    Answer, Asked, CITES, Scripted, asked, cited, labelled, nobody, run_one, runtime, trace,
};
use crate::llm::Prompt;

/// 👍 where the number is even, which no rule can say.
fn even(count: usize) -> Vec<LabelledTrace> {
    let one = |id: usize| {
        let number = 100 + id * 37 % 101;
        let label = match number % 2 {
            0 => Thumb::Up,
            _ => Thumb::Down,
        };
        let output = format!("It takes {number} minutes by train.");
        labelled(id, label, trace(id, "How long does it take?", &output))
    };
    (0..count).map(one).collect()
}

const EVEN: &str = r#""""The number of minutes is even."""

import re


def evaluate(trace):
    number = re.search(r"\d+", trace["output_text"])
    if number is None:
        return None, "no number is given"
    return int(number.group()) % 2 == 0, f"{number.group()} minutes"
"#;

/// Says the opposite of people where a source is named.
const NONSENSE: &str = r#""""A good answer names no source."""


def evaluate(trace):
    return "Source:" not in trace["output_text"], "by its source"
"#;

/// 👎 where five divides the number: always saying 👍 is right on four of five.
fn no_fifths(count: usize) -> Vec<LabelledTrace> {
    let mut labels = even(count);
    for (id, label) in labels.iter_mut().enumerate() {
        label.label = match (100 + id * 37 % 101) % 5 {
            0 => Thumb::Down,
            _ => Thumb::Up,
        };
    }
    labels
}

/// Finds every 👎 of those, and fails half of the others too.
const TOO_STRICT: &str = r#""""The number of minutes is odd, and five does not divide it."""

import re


def evaluate(trace):
    number = int(re.search(r"\d+", trace["output_text"]).group())
    return number % 2 == 1 and number % 5 > 0, f"{number} minutes"
"#;

/// An attempt with its script.
struct Attempt {
    labels: Vec<LabelledTrace>,
    which: Which,
    from: Option<EvalSource>,
}

impl Attempt {
    fn of(labels: Vec<LabelledTrace>) -> Self {
        Self {
            labels,
            which: Which::Auto,
            from: None,
        }
    }

    fn by(self, which: Which) -> Self {
        Self { which, ..self }
    }

    /// What came of it, and the prompts.
    fn play(
        &self,
        script: impl Fn(&Prompt) -> Answer + Send + Sync + 'static,
    ) -> (Made, Vec<Prompt>) {
        let model = Arc::new(Scripted {
            script: Box::new(script),
            asked: Mutex::default(),
        });
        let writer = Writer::new(model.clone(), runtime().handle().clone());
        let calls = || model.asked.lock().unwrap().len() as u64;
        let used = || Usage {
            calls: calls(),
            cost_usd: (calls() > 0).then(|| 0.5 * calls() as f64),
            ..Usage::default()
        };
        let made = self.make(Some(&writer), &used);
        let prompts = model.asked.lock().unwrap().clone();
        (made, prompts)
    }

    /// The LLM writes this, whatever it is asked for.
    fn play_source(&self, source: &'static str) -> Made {
        self.play(move |prompt| Ok(always(source, prompt))).0
    }

    fn make(&self, writer: Option<&Writer>, used: &(dyn Fn() -> Usage + Sync)) -> Made {
        self.try_make(writer, used).unwrap()
    }

    fn try_make(
        &self,
        writer: Option<&Writer>,
        used: &(dyn Fn() -> Usage + Sync),
    ) -> anyhow::Result<Made> {
        let run = |source: &EvalSource, traces: &[String]| {
            let each = traces.iter().map(|trace| run_one(source, trace, nobody));
            Ok(each.collect())
        };
        make(&Order {
            eval: &"good_answer".into(),
            labels: &self.labels,
            unlabelled: &[],
            which: self.which,
            writer,
            used,
            run: &run,
            from: self.from.as_ref(),
            effort: Effort {
                seed: 7,
                rounds: 1,
                material_chars: 20_000,
            },
            progress: &|_| {},
        })
    }
}

fn always(source: &str, prompt: &Prompt) -> Value {
    match asked(prompt) {
        Asked::Criteria => json!({"criteria": ["It is even."]}),
        Asked::Functions => json!({"evals": [{"source": source}]}),
        Asked::Mend | Asked::Next | Asked::Hybrid => {
            json!({"source": source, "changes": ["It counts."]})
        }
        Asked::Predicates => json!({"predicates": []}),
        Asked::Question => json!({"question": ""}),
    }
}

#[track_caller]
fn offer(made: Made) -> Offer {
    match made {
        Made::Offer(offer) => *offer,
        Made::NotYet(not_yet) => panic!("{not_yet:?}"),
    }
}

#[track_caller]
fn not_yet(made: Made) -> NotYet {
    match made {
        Made::NotYet(not_yet) => not_yet,
        Made::Offer(offer) => panic!("{offer:?}"),
    }
}

fn development(labels: &[LabelledTrace]) -> Vec<String> {
    ids(&split(labels.to_vec(), &"good_answer".into()).development)
}

#[test]
fn where_the_llms_eval_gains_it_is_the_offer_and_has_seen_development_labels_alone() {
    let attempt = Attempt::of(even(40));
    let offer = offer(attempt.play_source(EVEN));
    let making = &offer.making;
    assert_eq!(
        (making.generator, making.kind),
        (Maker::Llm, Some(Kind::Function))
    );
    assert_eq!(making.criteria, ["It is even."]);
    assert_eq!(offer.seen, development(&attempt.labels));
    assert_eq!(offer.cross_validation, None);
    let gain = making.gain.as_ref().unwrap();
    assert_eq!(gain.over, Over::MajorityGuess, "rules find nothing");
    let decided = offer.seen.len() as u64;
    assert_eq!((gain.unseen.n, gain.unseen.losses), (decided, 0));
    let held_out = gain.held_out.as_ref().unwrap();
    assert_eq!(held_out.n, 40 - decided);
    assert!(held_out.wins > 0 && held_out.losses == 0);
    assert_eq!(making.usage.cost_usd, Some(0.5 * making.usage.calls as f64));
    assert_eq!(making.judge_cost_per_thousand_usd, None, "it asks nothing");
}

#[test]
fn a_tie_is_the_rules_who_may_use_all_labels_while_there_are_few() {
    let attempt = Attempt::of(cited(40));
    let offer = offer(attempt.play_source(CITES));
    assert_eq!(
        (offer.making.generator, offer.making.kind),
        (Maker::Rules, None)
    );
    assert_eq!(offer.seen.len(), 40);
    assert!(offer.cross_validation.is_some() && offer.making.criteria.is_empty());
    let gain = offer.making.gain.as_ref().unwrap();
    assert_eq!(
        (gain.over, gain.unseen.wins),
        (Over::Rules, gain.unseen.losses)
    );
    assert!(
        offer.making.usage.calls > 0,
        "it cost something all the same"
    );
    assert!(
        offer.making.notes[0].contains("no more often"),
        "{:?}",
        offer.making.notes
    );
}

#[test]
fn what_an_llm_writes_that_is_worse_than_the_rules_is_not_offered() {
    let offer = offer(Attempt::of(cited(70)).play_source(NONSENSE));
    assert_eq!(offer.making.generator, Maker::Rules);
    assert_eq!(offer.seen, development(&cited(70)), "there are many");
}

#[test]
fn where_rules_are_good_and_the_llm_is_better_its_gain_is_over_the_rules() {
    // Every seventh answer is judged the other way round: no rule says which.
    let mut labels = cited(70);
    let source = r#""""A good answer names its source, unless seven divides its number."""

import re


def evaluate(trace):
    text = trace["output_text"]
    number = int(re.search(r"number (\d+)", text).group(1))
    return ("Source:" in text) != (number % 7 == 0), "by source and number"
"#;
    for (id, label) in labels.iter_mut().enumerate().step_by(7) {
        label.label = match id % 2 {
            0 => Thumb::Down,
            _ => Thumb::Up,
        };
    }
    let offer = offer(Attempt::of(labels).play_source(source));
    assert_eq!(offer.making.generator, Maker::Llm);
    let gain = offer.making.gain.unwrap();
    assert_eq!(gain.over, Over::Rules);
    assert!(gain.unseen.wins > 0 && gain.unseen.losses == 0, "{gain:?}");
}

#[test]
fn an_llm_that_does_not_answer_leaves_the_rules_with_a_note() {
    for error in [
        LlmError::Unavailable("no LLM answered. m: it is overloaded".to_owned()),
        LlmError::Budget("the LLM's budget is spent: $1.00".to_owned()),
    ] {
        let said = error.to_string();
        let (made, _) = Attempt::of(cited(40)).play(move |_| Err(error.clone()));
        let offer = offer(made);
        assert_eq!(offer.making.generator, Maker::Rules);
        assert_eq!(
            offer.making.notes,
            [format!("The LLM had no part: {said}.")]
        );
        assert_eq!(offer.making.gain, None);
    }
}

#[test]
fn where_the_llms_alone_is_wanted_its_silence_is_an_error() {
    for error in [
        LlmError::Unavailable("the key is not accepted".to_owned()),
        LlmError::Budget("the LLM's budget is spent".to_owned()),
    ] {
        let said = error.to_string();
        let model = Arc::new(Scripted {
            script: Box::new(move |_| Err(error.clone())),
            asked: Mutex::default(),
        });
        let writer = Writer::new(model, runtime().handle().clone());
        let attempt = Attempt::of(cited(40)).by(Which::Llm);
        let made = attempt.try_make(Some(&writer), &Usage::default);
        assert_eq!(made.unwrap_err().to_string(), said);
    }
}

#[test]
fn rules_that_hinge_on_held_out_labels_choose_nothing() {
    let hinges = |labels: &Vec<LabelledTrace>| {
        let split = split(labels.clone(), &"good_answer".into());
        let of = |labels: &[LabelledTrace]| generate(labels, &Settings::default());
        let (all, development) = (of(labels), of(&split.development));
        let [all_have, development_has] =
            [&all, &development].map(|rules| matches!(rules, Generation::Eval(_)));
        assert_eq!(has_rules(labels, &split, &all), development_has);
        all_have && !development_has
    };
    assert!((6..30).map(cited).any(|labels| hinges(&labels)));
}

#[test]
fn a_budget_that_ends_half_way_leaves_what_was_written_by_then() {
    let calls = Mutex::new(0);
    let (made, _) = Attempt::of(even(40)).play(move |prompt| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        match *calls > 5 {
            true => Err(LlmError::Budget("the LLM's budget is spent".to_owned())),
            false => Ok(always(EVEN, prompt)),
        }
    });
    let offer = offer(made);
    assert_eq!(offer.making.generator, Maker::Llm);
    let unseen = offer.making.gain.unwrap().unseen;
    assert!(
        unseen.n < offer.seen.len() as u64,
        "one part was judged: {unseen:?}"
    );
}

#[test]
fn where_neither_is_worth_an_offer_both_say_why() {
    let attempt = Attempt::of(no_fifths(40));
    let Generation::NotYet {
        reason: of_rules, ..
    } = generate(&attempt.labels, &Settings::default())
    else {
        panic!("rules find something");
    };
    let reason = not_yet(attempt.play_source(TOO_STRICT)).reason;
    assert!(reason.starts_with(&of_rules), "{reason}");
    let of_llm = "labels that it had not seen; always guessing the larger class, on";
    assert!(reason.contains(of_llm), "{reason}");
    let (made, _) = attempt.play(|_| Ok(json!({"what": "is this"})));
    let made = not_yet(made);
    assert!(
        made.reason.contains("The LLM wrote no eval"),
        "{}",
        made.reason
    );
    assert!(made.usage.calls > 0);
}

#[test]
fn the_llm_alone_is_offered_on_a_tie_with_the_rules_and_not_below_the_guess() {
    let tie = offer(Attempt::of(cited(40)).by(Which::Llm).play_source(CITES));
    assert_eq!(tie.making.generator, Maker::Llm);
    assert_eq!(tie.making.gain.unwrap().over, Over::Rules);
    let none = not_yet(Attempt::of(cited(40)).by(Which::Llm).play_source(NONSENSE));
    assert!(
        none.reason.contains("LLM") && none.reason.ends_with("The rules alone have one to offer."),
        "{}",
        none.reason
    );
}

#[test]
fn rules_alone_ask_nobody() {
    let (made, prompts) = Attempt::of(cited(40))
        .by(Which::Rules)
        .play(|_| panic!("nobody asks"));
    assert_eq!(offer(made).making, Making::by_rules());
    assert!(prompts.is_empty());
    let without = Attempt::of(cited(40)).make(None, &Usage::default);
    assert_eq!(offer(without).making, Making::by_rules());
}

#[test]
fn held_out_labels_are_in_no_prompt_and_choose_nothing() {
    let attempt = Attempt::of(even(40));
    let (made, prompts) = attempt.play(|prompt| Ok(always(EVEN, prompt)));
    let held_out = split(attempt.labels.clone(), &"good_answer".into()).held_out;
    for label in &held_out {
        let text = &label.trace.output_text;
        assert!(
            !prompts
                .iter()
                .any(|prompt| { prompt.material.contains(text) || prompt.request.contains(text) })
        );
    }
    let mut turned = attempt.labels.clone();
    let is_held_out = |label: &LabelledTrace| held_out.iter().any(|other| other.id == label.id);
    for label in turned.iter_mut().filter(|label| is_held_out(label)) {
        label.label = match label.label {
            Thumb::Up => Thumb::Down,
            _ => Thumb::Up,
        };
    }
    let (one, other) = (offer(made), offer(Attempt::of(turned).play_source(EVEN)));
    assert_eq!((one.source, one.seen), (other.source, other.seen));
    let (one, other) = (one.making.gain.unwrap(), other.making.gain.unwrap());
    assert_eq!(one.unseen, other.unseen);
    assert_ne!(one.held_out, other.held_out, "they are judged by them");
}

#[test]
fn a_refinement_is_the_next_version_and_is_compared_by_whoever_asked() {
    let mut attempt = Attempt::of(even(40));
    attempt.from = Some(EvalSource::new(NONSENSE));
    let offer = offer(attempt.play_source(EVEN));
    assert_eq!(
        (offer.making.generator, offer.making.gain),
        (Maker::Llm, None)
    );
    assert_eq!(offer.changes, ["It counts."]);
}

#[test]
fn too_few_labels_to_test_an_llms_eval_on_are_said() {
    let reason = not_yet(Attempt::of(even(8)).by(Which::Llm).play_source(EVEN)).reason;
    assert!(
        reason.contains("too few labels") || reason.contains("may shape an LLM's eval"),
        "{reason}"
    );
}

#[test]
fn with_fewer_than_three_of_a_class_nobody_is_asked() {
    let mut one_class = even(40);
    one_class
        .iter_mut()
        .for_each(|label| label.label = Thumb::Up);
    for which in [Which::Auto, Which::Llm, Which::Rules] {
        for (labels, says) in [
            (Vec::new(), "No trace has a 👍 or a 👎 yet."),
            (
                even(5),
                "Only 2 traces have a 👎 so far; it takes at least 3",
            ),
            (
                one_class.clone(),
                "No trace has a 👎 so far; it takes at least 3",
            ),
        ] {
            let (made, prompts) = Attempt::of(labels)
                .by(which)
                .play(|_| panic!("nobody asks"));
            let reason = not_yet(made).reason;
            assert!(reason.starts_with(says), "{reason}");
            assert!(prompts.is_empty());
        }
    }
}
