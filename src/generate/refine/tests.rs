use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::domain::{ErrorKind, EvalSource, LabelledTrace, Outcome, RunError, Thumb, Verdict};
use crate::generate::Making;
use crate::generate::written::Effort;
use crate::generate::written::tests::{Scripted, labelled, nobody, run_one, runtime, trace};
use crate::llm::{LlmError, Usage, Writer};
use crate::stats::Paired;

const PASSES_ALL: &str =
    "\"\"\"All are good.\"\"\"\n\n\ndef evaluate(trace):\n    return True, \"\"\n";

/// 👍 where a source is cited.
fn cited(count: usize) -> Vec<LabelledTrace> {
    let one = |id: usize| match id % 2 {
        0 => labelled(
            id,
            Thumb::Up,
            trace(id, "Who?", "Ada, according to her notes."),
        ),
        _ => labelled(id, Thumb::Down, trace(id, "Who?", "I have no idea, sorry.")),
    };
    (0..count).map(one).collect()
}

/// In the real guest.
fn in_the_guest(source: &EvalSource, traces: &[String]) -> anyhow::Result<Vec<Outcome>> {
    let each = traces.iter().map(|trace| run_one(source, trace, nobody));
    Ok(each.collect())
}

/// Says pass of everything if its source says so, else fail.
fn of_one_mind(source: &EvalSource, traces: &[String]) -> anyhow::Result<Vec<Outcome>> {
    let verdict = match source.as_str() {
        "pass" => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let outcome = || Outcome {
        result: Ok((verdict, String::new())),
        printed: String::new(),
        fuel: 0,
        duration_us: 0,
    };
    Ok(traces.iter().map(|_| outcome()).collect())
}

type Run = fn(&EvalSource, &[String]) -> anyhow::Result<Vec<Outcome>>;

fn with_order<T>(labels: &[LabelledTrace], run: Run, act: impl FnOnce(Order<'_>) -> T) -> T {
    act(Order {
        eval: &"good_answer".into(),
        labels,
        unlabelled: &[],
        which: Which::Auto,
        writer: None,
        used: &Usage::default,
        run: &run,
        from: None,
        effort: Effort::default(),
        progress: &|_| {},
    })
}

fn by_rules(labels: &[LabelledTrace], from: &EvalSource, seen: Option<&BTreeSet<String>>) -> Made {
    with_order(labels, in_the_guest, |order| refine(order, from, seen)).unwrap()
}

fn ids(labels: &[LabelledTrace]) -> BTreeSet<String> {
    labels.iter().map(|label| label.id.clone()).collect()
}

#[track_caller]
fn reason(made: Made) -> String {
    match made {
        Made::NotYet(not_yet) => not_yet.reason,
        Made::Offer(offer) => panic!("{offer:?}"),
    }
}

#[test]
fn better_rules_are_offered_with_what_changed_and_judged_on_what_the_old_ones_had_not_seen() {
    let (labels, from) = (cited(24), EvalSource::new(PASSES_ALL));
    let Made::Offer(offer) = by_rules(&labels, &from, Some(&ids(&labels[..10]))) else {
        panic!("there are better ones");
    };
    let descent = offer.making.descent.expect("it is a next version");
    assert!(descent.changes[0].starts_with("Its criterion was: All are good. It is now: "));
    let versus = descent.versus.expect("they are compared");
    assert_eq!(
        (versus.compared.n, versus.old_right, versus.new_right),
        (14, 7, 14)
    );
    assert!(versus.cross_validated && versus.seen_before == Some(0));
    let same = by_rules(&labels, &offer.source, None);
    assert_eq!(reason(same), "The labels lead to the same eval again.");
}

#[test]
fn labels_that_the_old_one_has_seen_prove_no_rules_better() {
    let (labels, from) = (cited(24), EvalSource::new(PASSES_ALL));
    let kept = reason(by_rules(&labels, &from, Some(&ids(&labels))));
    assert!(kept.contains("Every label took part"), "{kept}");
}

/// An offer of the LLM's, written from the first `shown` labels.
fn written(source: &str, labels: &[LabelledTrace], shown: usize) -> Offer {
    Offer {
        source: EvalSource::new(source),
        criterion: String::new(),
        candidates_tried: 1,
        cross_validation: None,
        changes: Vec::new(),
        seen: ids(&labels[..shown]).into_iter().collect(),
        making: Making {
            generator: Maker::Llm,
            ..Making::by_rules()
        },
    }
}

#[test]
fn labels_kept_back_decide_and_are_seen_from_then_on() {
    let labels = cited(10);
    let from = EvalSource::new("fail");
    let compare = |seen: Option<&BTreeSet<String>>| {
        let mut offer = written("pass", &labels, 6);
        let versus = with_order(&labels, of_one_mind, |order| {
            compare::held_out(&order, &mut offer, &from, seen)
        });
        (versus.unwrap().expect("four are kept back"), offer)
    };
    let (versus, offer) = compare(Some(&ids(&labels[..8])));
    assert_eq!((versus.compared.n, versus.seen_before), (2, Some(0)));
    assert_eq!(offer.seen.len(), 8, "two of four have decided");
    let (versus, offer) = compare(Some(&ids(&labels)));
    assert_eq!(
        (versus.compared.n, versus.seen_before),
        (4, Some(4)),
        "there are no others"
    );
    assert_eq!(offer.seen.len(), 10);
    let (versus, _) = compare(None);
    assert_eq!((versus.compared.n, versus.seen_before), (4, None));
    let said = versus.sentence();
    assert!(said.ends_with("had seen is not known."), "{said}");
}

#[test]
fn what_a_file_has_seen_nobody_knows() {
    let Made::Offer(offer) = by_rules(&cited(24), &EvalSource::new(PASSES_ALL), None) else {
        panic!("there are better ones");
    };
    let versus = offer.making.descent.and_then(|descent| descent.versus);
    let versus = versus.expect("they are compared");
    assert_eq!((versus.compared.n, versus.seen_before), (24, None));
}

#[test]
fn without_a_label_kept_back_nothing_decides() {
    let labels = cited(4);
    let mut offer = written("pass", &labels, 4);
    let versus = with_order(&labels, of_one_mind, |order| {
        compare::held_out(
            &order,
            &mut offer,
            &EvalSource::new("fail"),
            Some(&BTreeSet::new()),
        )
    });
    assert_eq!(versus.unwrap(), None);
}

#[test]
fn how_two_versions_compare_reads_as_a_sentence() {
    let paired = Paired {
        both: 7,
        wins: 3,
        losses: 1,
        neither: 1,
    };
    insta::assert_snapshot!(Versus::new(paired, false, 5).sentence(), @"On 12 labels that it was not made from, the new version is right on 10 and the one before on 8: only the new one on 3, only the one before on 1. The gain is +17 points (95 % interval -18 to 47, p 0.63). The one before had seen 5 of them.");
}

proptest! {
    #[test]
    fn only_more_wins_than_losses_make_it_better(
        both in 0..50_u64, wins in 0..50_u64, losses in 0..50_u64, neither in 0..50_u64,
    ) {
        let paired = Paired { both, wins, losses, neither };
        let versus = Versus::new(paired, true, 0);
        prop_assert_eq!(versus.is_better(), versus.new_right > versus.old_right);
        let json = serde_json::to_string(&versus).unwrap();
        prop_assert_eq!(serde_json::from_str::<Versus>(&json).unwrap(), versus);
    }
}

/// [`of_one_mind`], but nobody answers what "asks".
fn unanswered(source: &EvalSource, traces: &[String]) -> anyhow::Result<Vec<Outcome>> {
    if source.as_str() != "asks" {
        return of_one_mind(source, traces);
    }
    let error = || RunError {
        kind: ErrorKind::JudgeUnavailable,
        message: String::new(),
    };
    Ok(traces.iter().map(|_| Outcome::refused(error())).collect())
}

#[test]
fn an_unanswered_judge_is_no_wrong_verdict() {
    let (labels, asks) = (cited(10), EvalSource::new("asks"));
    let mut offer = written("pass", &labels, 6);
    let versus = with_order(&labels, unanswered, |order| {
        compare::held_out(&order, &mut offer, &asks, Some(&BTreeSet::new()))
    });
    let versus = versus.unwrap().unwrap();
    assert_eq!((versus.compared.n, versus.is_better()), (0, false));
    let kept = reason(better(Box::new(offer), &asks, Some(versus)));
    assert!(kept.starts_with("On none of the labels both"), "{kept}");
}

#[test]
fn an_llms_next_version_is_compared_with_rules_of_the_same_labels() {
    let labels = cited(40);
    let mut offer = written(PASSES_ALL, &labels, 30);
    let fails = EvalSource::new(PASSES_ALL.replace("True", "False"));
    let versus = with_order(&labels, in_the_guest, |order| {
        compare::held_out(&order, &mut offer, &fails, Some(&BTreeSet::new()))
    });
    assert_eq!(versus.unwrap().map(|versus| versus.compared.n), Some(10));
    let gain = offer.making.gain.as_ref().expect("there are rules");
    assert_eq!((gain.over, gain.unseen.n), (Over::Rules, 0));
    let held_out = gain.held_out.as_ref().unwrap();
    assert_eq!((held_out.wins, held_out.losses), (0, 5));
    assert!(is_below_rules(gain));
    let rules = with_order(&labels, in_the_guest, |order| instead(&order, offer));
    let Made::Offer(rules) = rules.unwrap() else {
        panic!("there are rules");
    };
    assert_eq!(rules.making.generator, Maker::Rules);
    assert_eq!(rules.seen.len(), 40, "those that chose are seen");
    assert!(rules.making.notes[0].starts_with("Rules are right on more"));
}

#[test]
fn where_the_llm_does_not_answer_rules_make_the_next_version_and_say_so() {
    let (labels, from) = (cited(24), EvalSource::new(PASSES_ALL));
    let model = Arc::new(Scripted {
        script: Box::new(|_| Err(LlmError::Unavailable("it is overloaded".to_owned()))),
        asked: Mutex::default(),
    });
    let writer = Writer::new(model, runtime().handle().clone());
    let refined = |which| {
        with_order(&labels, in_the_guest, |order| {
            let writer = Some(&writer);
            let order = Order {
                which,
                writer,
                ..order
            };
            refine(order, &from, Some(&BTreeSet::new()))
        })
    };
    let Made::Offer(offer) = refined(Which::Auto).unwrap() else {
        panic!("rules are better");
    };
    assert_eq!(offer.making.generator, Maker::Rules);
    assert!(offer.making.notes[0].contains("it is overloaded"));
    assert!(offer.making.descent.is_some());
    let error = refined(Which::Llm).unwrap_err().to_string();
    assert!(error.contains("it is overloaded"), "{error}");
}
