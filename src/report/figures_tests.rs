use serde_json::{Value, json};

use super::*;
use crate::domain::AnnotatorId;
use crate::generate::CrossValidated;

fn judged(cells: [usize; 4], abstained: usize, errored: usize) -> Vec<Judged> {
    use Verdict::{Abstain, Fail, Pass};
    let of = |label, verdict, n| vec![Judged::new(label, verdict); n];
    [
        of(Class::Fail, Some(Fail), cells[0]),
        of(Class::Fail, Some(Pass), cells[1]),
        of(Class::Pass, Some(Fail), cells[2]),
        of(Class::Pass, Some(Pass), cells[3]),
        of(Class::Pass, Some(Abstain), abstained),
        of(Class::Fail, None, errored),
    ]
    .concat()
}

fn labels_of(thumbs: &[Thumb]) -> Vec<AnnotatorLabel> {
    let own = |(at, label): (usize, &Thumb)| AnnotatorLabel {
        annotator: AnnotatorId::from(format!("U{at}")),
        label: *label,
        comment: None,
    };
    thumbs.iter().enumerate().map(own).collect()
}

fn people(pass: usize, fail: usize, neutral: usize) -> People {
    let of = |label, n| vec![(label, labels_of(&[label, label])); n];
    let traces = [
        of(Thumb::Up, pass),
        of(Thumb::Down, fail),
        of(Thumb::Neutral, neutral),
        vec![(Thumb::Neutral, labels_of(&[Thumb::Up, Thumb::Down]))],
    ]
    .concat();
    People::of(traces.iter().map(|(label, own)| (*label, own.as_slice())))
}

fn folds(labels: &[(Class, [u32; 3])], repeats: u32) -> CrossValidation {
    let label =
        |(at, (label, [pass, fail, abstained])): (usize, &(Class, [u32; 3]))| CrossValidated {
            id: at.to_string(),
            label: *label,
            pass: *pass,
            fail: *fail,
            abstained: *abstained,
        };
    CrossValidation {
        folds: 5,
        repeats,
        labels: labels.iter().enumerate().map(label).collect(),
    }
}

/// A report on enough labels, some of them held out.
pub fn many() -> Report {
    let labels = [
        vec![(Class::Fail, [1, 3, 0]); 18],
        vec![(Class::Pass, [4, 0, 0]); 40],
    ]
    .concat();
    Report::new(&Evidence {
        criterion: Some("Answers about an order must quote its number.".to_owned()),
        generator: Some("rules".to_owned()),
        candidates_tried: Some(43),
        making: None,
        people: people(64, 33, 2),
        held_out: &judged([11, 2, 1, 24], 1, 1),
        cross_validated: Some(&folds(&labels, 4)),
        fresh: &[],
    })
}

/// A report on few labels, cross-validated.
pub fn few() -> Report {
    let labels = [
        vec![(Class::Fail, [1, 2, 0]); 5],
        vec![(Class::Pass, [2, 0, 1]); 3],
        vec![(Class::Pass, [3, 0, 0]); 12],
    ]
    .concat();
    Report::new(&Evidence {
        criterion: None,
        generator: Some("rules".to_owned()),
        candidates_tried: Some(43),
        making: None,
        people: People::of([(Thumb::Up, [].as_slice()); 20]),
        held_out: &[],
        cross_validated: Some(&folds(&labels, 3)),
        fresh: &judged([1, 0, 0, 1], 0, 0),
    })
}

/// A report on an eval that abstains or errs every time.
pub fn without_verdicts() -> Report {
    on_fresh([0; 4], 2, 1)
}

fn on_fresh(cells: [usize; 4], abstained: usize, errored: usize) -> Report {
    Report::new(&Evidence {
        criterion: None,
        generator: None,
        candidates_tried: None,
        making: None,
        people: People::default(),
        held_out: &[],
        cross_validated: None,
        fresh: &judged(cells, abstained, errored),
    })
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// `docs/design.md`, section 3.3.
#[test]
fn the_json_has_the_contracts_keys() {
    let report = serde_json::to_value(many()).unwrap();
    for key in [
        "criterion",
        "labels",
        "candidates_tried",
        "provisional",
        "low_confidence",
        "held_out",
        "cross_validated",
        "fresh",
        "headline",
    ] {
        assert!(keys(&report).contains(&key), "{key}");
    }
    assert_eq!(
        report["labels"],
        json!({"pass": 64, "fail": 33, "neutral": 3})
    );
    assert_eq!(
        (&report["headline"], &report["fresh"]),
        (&json!("held_out"), &Value::Null)
    );
    for key in [
        "n",
        "agreement",
        "agreement_interval",
        "tpr",
        "tpr_interval",
        "tnr",
        "tnr_interval",
        "kappa",
        "kappa_interval",
        "majority",
        "abstained",
        "errors",
    ] {
        assert!(keys(&report["held_out"]).contains(&key), "{key}");
    }
    assert_eq!(
        report["held_out"]["agreement_interval"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(report["held_out"]["abstained"].to_string(), "1");
}

#[test]
fn a_stored_report_reads_back_as_it_was() {
    for report in [many(), few(), on_fresh([0; 4], 0, 3)] {
        let stored = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&stored).unwrap(), report);
    }
}

#[test]
fn abstentions_and_errors_are_counted_beside_the_verdicts_and_not_among_them() {
    let report = many();
    let figures = report.held_out.unwrap();
    assert_eq!((figures.n, figures.abstained, figures.errors), (38, 1.0, 1));
    assert_eq!(figures.agreement, Some(35.0 / 38.0));
    assert_eq!(figures.tpr, Some(11.0 / 13.0));
    assert_eq!(figures.tnr, Some(24.0 / 25.0));
    assert_eq!(figures.majority, Some(25.0 / 38.0));
    assert_eq!(figures.coverage, Some(38.0 / 40.0));
    assert_eq!(figures.agreement_interval, wilson(35.0, 38.0));
}

#[test]
fn undefined_figures_are_null() {
    let report = serde_json::to_value(without_verdicts()).unwrap();
    let figures = &report["fresh"];
    for key in [
        "agreement",
        "agreement_interval",
        "tpr",
        "tpr_interval",
        "tnr",
        "tnr_interval",
        "kappa",
        "kappa_interval",
        "majority",
    ] {
        assert_eq!(figures[key], Value::Null, "{key}");
    }
    assert_eq!(
        (&figures["n"], &figures["abstained"], &figures["errors"]),
        (&json!(0), &json!(2), &json!(1))
    );
    assert_eq!(
        (&report["headline"], &report["low_confidence"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(
        (&report["held_out"], &report["candidates_tried"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn repeating_a_cross_validation_adds_no_label() {
    let once = folds(&[(Class::Fail, [0, 1, 0]), (Class::Pass, [1, 0, 0])], 1);
    let often = folds(&[(Class::Fail, [0, 50, 0]), (Class::Pass, [50, 0, 0])], 50);
    assert_eq!(Figures::of_folds(&once), Figures::of_folds(&often));
}

#[test]
fn cross_validated_rates_are_means_over_the_repeats() {
    let report = few();
    let figures = report.cross_validated.unwrap();
    assert_eq!(figures.n, 20);
    let near = |is: f64, expected: f64| assert!((is - expected).abs() < 1e-9, "{is} {expected}");
    near(figures.confusion.caught, 10.0 / 3.0);
    near(figures.confusion.missed, 5.0 / 3.0);
    near(figures.confusion.passed, 14.0);
    near(figures.abstained, 1.0);
    near(figures.agreement.unwrap(), (10.0 / 3.0 + 14.0) / 19.0);
    near(figures.coverage.unwrap(), 19.0 / 20.0);
}

#[test]
fn the_larger_unseen_set_is_quoted_and_cross_validation_before_a_handful() {
    assert_eq!(many().headline, Some(Source::HeldOut));
    assert_eq!(few().headline, Some(Source::CrossValidated));
    assert_eq!(on_fresh([1, 0, 0, 1], 0, 0).headline, Some(Source::Fresh));
    let fresher = Report::new(&Evidence {
        criterion: None,
        generator: None,
        candidates_tried: None,
        making: None,
        people: People::default(),
        held_out: &judged([5, 0, 0, 5], 0, 0),
        cross_validated: None,
        fresh: &judged([5, 0, 0, 6], 0, 0),
    });
    assert_eq!(fresher.headline, Some(Source::Fresh));
}

/// 29 of 30 against a majority guess of 20 in 30: the exact lower end is 0.828. 24 of 30: 0.614.
#[test]
fn confidence_is_low_unless_the_exact_interval_clears_the_majority_guess() {
    assert!(!on_fresh([10, 0, 1, 19], 0, 0).low_confidence);
    assert!(on_fresh([6, 4, 2, 18], 0, 0).low_confidence);
}

/// Two of two passes: Wilson's lower end is 0.34 and the exact one 0.16, against a majority of 1.
#[test]
fn agreeing_on_one_class_alone_is_never_confident() {
    assert!(on_fresh([0, 0, 0, 400], 0, 0).low_confidence);
}

#[test]
fn below_thirty_labels_a_report_is_provisional_and_neutral_is_no_label() {
    let of = |decided: usize, neutral: usize| {
        let thumbs = [vec![Thumb::Up; decided], vec![Thumb::Neutral; neutral]].concat();
        let people = People::of(thumbs.into_iter().map(|thumb| (thumb, [].as_slice())));
        let (held_out, cross_validated, fresh) = (&[], None, &[]);
        Report::new(&Evidence {
            criterion: None,
            generator: None,
            candidates_tried: None,
            making: None,
            people,
            held_out,
            cross_validated,
            fresh,
        })
    };
    assert!(of(29, 9).provisional && !of(30, 0).provisional);
}

#[test]
fn peoples_own_agreement_needs_two_of_them_on_one_trace() {
    let alone = labels_of(&[Thumb::Up]);
    let people = People::of([(Thumb::Up, alone.as_slice())]);
    assert_eq!((people.annotators, people.alpha), (Some(1), None));
    let with_neutral = labels_of(&[Thumb::Down, Thumb::Neutral]);
    assert_eq!(
        People::of([(Thumb::Down, with_neutral.as_slice())]).alpha,
        None
    );
    let split = labels_of(&[Thumb::Up, Thumb::Down]);
    let same = labels_of(&[Thumb::Up, Thumb::Up]);
    let people = People::of([
        (Thumb::Neutral, split.as_slice()),
        (Thumb::Up, same.as_slice()),
    ]);
    assert_eq!((people.annotators, people.alpha), (Some(2), Some(0.0)));
    assert_eq!(people.compared, 2);
    assert_eq!(People::default().annotators, None);
}
