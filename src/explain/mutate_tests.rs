use super::*;
use crate::domain::{ErrorKind, Outcome, RunError};
use crate::explain::edit::tests::trace;

fn outcome(result: Result<Verdict, ErrorKind>) -> Outcome {
    let message = String::new();
    Outcome {
        result: result
            .map(|verdict| (verdict, String::new()))
            .map_err(|kind| RunError { kind, message }),
        printed: String::new(),
        fuel: 1,
        duration_us: 1,
    }
}

/// As an eval that says this of an answer.
fn says(
    judge: impl Fn(&str) -> Result<Verdict, ErrorKind>,
) -> impl Fn(&[Trace]) -> anyhow::Result<Vec<Outcome>> {
    move |traces| {
        Ok(traces
            .iter()
            .map(|trace| outcome(judge(&trace.output_text)))
            .collect())
    }
}

fn passing() -> Vec<Trace> {
    ["It costs €40. Thank you.", "It takes 3 days."]
        .map(trace)
        .to_vec()
}

fn of(mutations: &Mutations, operator: Operator) -> Noticed {
    let mut operators = mutations.operators.iter();
    operators
        .find(|of| of.operator == operator)
        .unwrap()
        .noticed
}

#[test]
fn an_eval_that_always_passes_notices_nothing() {
    let always = says(|_| Ok(Verdict::Pass));
    let score = mutation_score(&passing(), &always).unwrap().unwrap();
    assert_eq!((score.traces, score.score), (2, Some(0.0)));
    assert!(score.total.missed > 10 && score.interval.is_some_and(|interval| interval.hi > 0.6));
    assert!(
        score
            .operators
            .iter()
            .all(|of| of.operator != Operator::BreakJson),
        "nothing is JSON"
    );
}

#[test]
fn abstentions_and_errors_are_neither_noticed_nor_missed() {
    let judge = |answer: &str| match answer {
        "" => Ok(Verdict::Abstain),
        answer if answer.contains("sorry") => Err(ErrorKind::Exception),
        answer if answer.contains("respuesta") => Ok(Verdict::Fail),
        _ => Ok(Verdict::Pass),
    };
    let score = mutation_score(&passing(), &says(judge)).unwrap().unwrap();
    let counts = |operator| {
        let Noticed {
            broken,
            noticed,
            missed,
            abstained,
            errors,
        } = of(&score, operator);
        (broken, noticed, missed, abstained, errors)
    };
    assert_eq!(counts(Operator::EmptyAnswer), (2, 0, 0, 2, 0));
    assert_eq!(counts(Operator::Refuse), (2, 0, 0, 0, 2));
    assert_eq!(counts(Operator::SwapLanguage), (2, 2, 0, 0, 0));
    assert_eq!(counts(Operator::DropSentence), (1, 0, 1, 0, 0));
    let judged = score.total.noticed + score.total.missed;
    assert_eq!(score.total.broken, judged + 2 + 2);
    assert_eq!(score.score, Some(2.0 / judged as f64));
}

#[test]
fn without_a_passing_trace_or_a_verdict_there_is_no_score() {
    let always = says(|_| Ok(Verdict::Abstain));
    assert_eq!(mutation_score(&[], &always).unwrap(), None);
    let score = mutation_score(&passing(), &always).unwrap().unwrap();
    assert_eq!((score.score, score.interval), (None, None));
}

#[test]
fn the_draw_goes_by_ids_alone() {
    let ids: Vec<String> = (0..200).map(|id| format!("t{id}")).collect();
    let drawn = draw(ids.clone(), |id| id);
    assert_eq!(drawn.len(), TRACES_MAX);
    let mut turned = ids;
    turned.reverse();
    assert_eq!(draw(turned, |id| id), drawn);
}

#[test]
fn a_host_failure_is_no_score() {
    let fails = |_: &[Trace]| Err(anyhow::anyhow!("no worker"));
    assert!(mutation_score(&passing(), &fails).is_err());
}
