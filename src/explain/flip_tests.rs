use proptest::prelude::*;

use super::*;
use crate::explain::edit::tests::{trace, trace_with_tools};

fn outcome(verdict: Verdict) -> Outcome {
    Outcome {
        result: Ok((verdict, String::new())),
        printed: String::new(),
        fuel: 1,
        duration_us: 1,
    }
}

fn passes_if(
    is_good: impl Fn(&Trace) -> bool,
) -> impl Fn(&[Trace]) -> anyhow::Result<Vec<Outcome>> {
    let verdict = move |trace: &Trace| {
        if is_good(trace) {
            Verdict::Pass
        } else {
            Verdict::Fail
        }
    };
    move |traces| Ok(traces.iter().map(|trace| outcome(verdict(trace))).collect())
}

fn flipped(
    trace: &Trace,
    literals: &[&str],
    is_good: impl Fn(&Trace) -> bool,
) -> Result<Flip, NoFlip> {
    let said = if is_good(trace) {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    let literals: Vec<String> = literals.iter().map(|text| (*text).to_owned()).collect();
    flip(trace, said, &[], &literals, &passes_if(is_good)).unwrap()
}

#[test]
fn a_word_that_decides_is_taken_out_or_put_in() {
    let says_sorry = |trace: &Trace| !trace.output_text.contains("sorry");
    let sorry = trace("We are sorry about that. The parcel left today.");
    let flip = flipped(&sorry, &["sorry"], says_sorry).unwrap();
    assert_eq!(
        (flip.change.as_str(), flip.is_minimal),
        ("remove “sorry” from the answer", true)
    );
    let flip = flipped(&trace("It left today."), &["sorry"], says_sorry).unwrap();
    assert_eq!(flip.change, "add “sorry” to the answer");
    assert_eq!(
        (flip.verdict, flip.after.as_str()),
        (Verdict::Fail, "It left today.[ sorry]")
    );
}

#[test]
fn a_long_answer_loses_no_more_words_than_it_must() {
    let is_short = |trace: &Trace| trace.output_text.split_whitespace().count() <= 90;
    let long = trace(&(0..100).map(|at| format!("word{at} ")).collect::<String>());
    let flip = flipped(&long, &[], is_short).unwrap();
    assert_eq!(flip.trace.output_text.split_whitespace().count(), 90);
    assert!(flip.tries <= TRIES_MAX);
}

#[test]
fn what_the_answer_rests_on_is_changed_too() {
    let has_two = |trace: &Trace| trace.tool_calls.len() == 2;
    let flip = flipped(&trace_with_tools(), &[], has_two).unwrap();
    assert_eq!(flip.change, "leave out the call of “look_up” (1 of 2)");
    let is_grounded = |trace: &Trace| trace.to_json().contains("Norway");
    let flip = flipped(&trace_with_tools(), &[], is_grounded).unwrap();
    assert_eq!(flip.change, "retrieve nothing");
}

#[test]
fn an_eval_that_never_changes_its_mind_has_no_flip_and_costs_so_many_tries() {
    let NoFlip { tries } = flipped(&trace("It is €40."), &["a", "b"], |_| true).unwrap_err();
    assert!((20..=TRIES_MAX).contains(&tries), "{tries}");
    let long = trace(&"One more sentence with 12 numbers. ".repeat(3000));
    let NoFlip { tries } = flipped(&long, &[], |_| false).unwrap_err();
    assert!(tries <= TRIES_MAX, "{tries}");
}

#[test]
fn an_abstention_flips_to_any_verdict() {
    let evaluate = |traces: &[Trace]| {
        let verdict = |trace: &Trace| match trace.output_text.is_empty() {
            true => Verdict::Abstain,
            false => Verdict::Fail,
        };
        Ok(traces.iter().map(|trace| outcome(verdict(trace))).collect())
    };
    let flip = flip(&trace(""), Verdict::Abstain, &[], &[], &evaluate)
        .unwrap()
        .unwrap();
    assert_eq!(flip.verdict, Verdict::Fail);
}

proptest! {
    #[test]
    fn a_flip_flips_says_so_and_leaves_the_trace_as_it_was(
        answer in "[a-d .0-9]{0,60}", letter in "[a-e]", least in 0..4_usize,
    ) {
        let trace = trace(&answer);
        let before = trace.clone();
        let is_good = |trace: &Trace| trace.output_text.matches(&letter).count() > least;
        let found = flipped(&trace, &[&letter], is_good);
        prop_assert_eq!(&trace, &before);
        prop_assert_eq!(&flipped(&trace, &[&letter], is_good), &found);
        if let Ok(flip) = found {
            prop_assert_ne!(is_good(&flip.trace), is_good(&trace));
            prop_assert!(flip.tries <= TRIES_MAX);
        }
    }
}
