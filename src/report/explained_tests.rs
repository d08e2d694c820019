use proptest::prelude::*;

use super::*;
use crate::explain::{Noticed, OfOperator, Operator, Step};
use crate::report::figures::tests::few;
use crate::report::message::tests::{assert_within_slacks_limits, has_only_our_links};
use crate::slack::Message;

fn explanation(text: &str) -> Explanation {
    let step = |kind, line, code: &str| Step {
        kind,
        line,
        code: code.to_owned(),
        function: Some("evaluate".to_owned()),
        depth: 0,
        decides: true,
        truth: Some(true),
        values: vec![("fee".to_owned(), text.to_owned())],
        held: Vec::new(),
        failed: Vec::new(),
        words: Vec::new(),
    };
    let place = Place {
        path: "input_text".to_owned(),
        before: "the ".to_owned(),
        text: text.to_owned(),
        after: " fee".to_owned(),
    };
    Explanation {
        lines: Vec::new(),
        decided: Some(12),
        raised: None,
        steps: vec![
            step(StepKind::Return, 12, "return False"),
            step(StepKind::Test, 11, &format!("{text} not in `a`")),
        ],
        left_out: 0,
        words: vec![Word {
            text: text.to_owned(),
            answer: None,
            elsewhere: Some(place),
        }],
        differs: None,
    }
}

#[test]
fn a_miss_quotes_the_deciding_test_and_the_words() {
    let block = Quoted::of(&explanation("€40")).unwrap().block();
    let text = block["elements"][0]["text"].as_str().unwrap();
    let expected = "Decided in line 11: `€40 not in 'a'` · `fee` is €40
\
                    “€40”: not in the answer, but in input_text “…the €40 fee…”";
    assert_eq!(text, expected);
    let mut nothing = explanation("");
    nothing.steps.clear();
    assert_eq!(Quoted::of(&nothing), None);
}

fn with_mutations(operators: &[(Operator, u64, u64)], errors: u64) -> Report {
    let noticed = |noticed, missed| Noticed {
        broken: noticed + missed,
        noticed,
        missed,
        ..Noticed::default()
    };
    let of = |(operator, caught, missed): &(Operator, u64, u64)| OfOperator {
        operator: *operator,
        noticed: noticed(*caught, *missed),
        share: Some(*caught as f64 / (caught + missed) as f64),
        interval: None,
    };
    let sum = |part: fn(&(Operator, u64, u64)) -> u64| operators.iter().map(part).sum();
    let (caught, missed): (u64, u64) = (sum(|of| of.1), sum(|of| of.2));
    let mut report = few();
    report.mutation = Some(Mutations {
        traces: 9,
        score: (caught + missed > 0).then(|| caught as f64 / (caught + missed) as f64),
        interval: None,
        total: Noticed {
            errors,
            ..noticed(caught, missed)
        },
        operators: operators.iter().map(of).collect(),
    });
    report
}

#[test]
fn the_score_is_shown_with_its_n_and_what_is_mostly_missed() {
    let report = with_mutations(
        &[
            (Operator::Refuse, 8, 1),
            (Operator::ChangeNumber, 0, 7),
            (Operator::Truncate, 1, 3),
        ],
        2,
    );
    let (score, missed) = (
        mutation_score(&report).unwrap(),
        mostly_missed(&report).unwrap(),
    );
    assert_eq!(
        score,
        "45 % of 20 broken answers noticed, made from 9 good ones (0 abstentions, 2 errors apart)"
    );
    let expected = "a changed number (0 of 7), the answer cut half-way (1 of 4); an eval on one criterion need not notice all";
    assert_eq!(missed, expected);
}

#[test]
fn without_breaks_there_is_no_score_and_without_verdicts_it_is_undefined() {
    assert_eq!(
        (mutation_score(&few()), mostly_missed(&few())),
        (None, None)
    );
    let report = with_mutations(&[], 5);
    assert!(
        mutation_score(&report)
            .unwrap()
            .starts_with("undefined of 0 broken answers")
    );
}

#[test]
fn an_older_reports_row_is_read_without_a_score() {
    let mut stored = serde_json::to_value(few()).unwrap();
    stored.as_object_mut().unwrap().remove("mutation");
    let read: Report = serde_json::from_value(stored).unwrap();
    assert_eq!(read.mutation, None);
}

proptest! {
    #[test]
    fn nothing_that_is_quoted_breaks_slacks_limits_or_gets_a_link_in(
        text in "(?s).{0,300}", hostile in "[<>&|*`!@#\n]{0,300}",
    ) {
        let quoted = Quoted::of(&explanation(&format!("{hostile}{text}"))).unwrap();
        let message = Message { text: "t".to_owned(), blocks: vec![quoted.block(); 10], metadata: None };
        assert_within_slacks_limits(&message);
        prop_assert!(has_only_our_links(&message));
        let shown = quoted.block()["elements"][0]["text"].as_str().unwrap().to_owned();
        prop_assert!(shown.chars().count() < 2_900 && shown.lines().count() <= 2, "{}", shown);
    }
}
