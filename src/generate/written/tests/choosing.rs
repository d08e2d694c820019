//! Which candidate is taken.

use super::*;
use crate::generate::written::labels::folds;
use crate::generate::written::score::{Score, Weight, best};

fn score(labels: &[Decided<'_>], right: &[bool]) -> Score {
    let outcomes: Vec<Outcome> = labels
        .iter()
        .zip(right)
        .map(|(label, right)| outcome(label.class, *right))
        .collect();
    Score::new(&labels.iter().collect::<Vec<_>>(), &outcomes)
}

fn outcome(class: Class, right: bool) -> Outcome {
    use crate::domain::Verdict;
    let verdict = if (class == Class::Pass) == right {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    Outcome {
        result: Ok((verdict, String::new())),
        printed: String::new(),
        fuel: 1,
        duration_us: 1,
    }
}

fn weight(asks: bool, lines: usize) -> Weight {
    Weight {
        asks,
        lines,
        imports: 0,
    }
}

#[test]
fn both_classes_weigh_the_same_and_errors_and_abstentions_count_against() {
    let labels = cited(8);
    let mut labels = labels[..5].to_vec();
    labels[4].label = Thumb::Down;
    let decided = decided(&labels);
    let all: Vec<_> = decided.iter().collect();
    assert_eq!((count(&all, Class::Pass), count(&all, Class::Fail)), (2, 3));
    let half = score(&decided, &[true, true, false, false, false]);
    assert_eq!(
        (half.agreed(), half.balanced()),
        (2, Some((0.5 + 1.0 / 3.0) / 2.0))
    );
    let error = Outcome::refused(RunError {
        kind: ErrorKind::Fuel,
        message: String::new(),
    });
    let mut outcomes: Vec<_> = decided
        .iter()
        .map(|label| outcome(label.class, true))
        .collect();
    outcomes[0] = error;
    assert_eq!(Score::new(&all, &outcomes).balanced(), Some(0.75));
    assert_eq!(Score::new(&all, &[]).balanced(), Some(0.0));
    assert_eq!(Score::default().balanced(), None);
}

#[test]
fn the_simpler_one_wins_a_tie_within_a_standard_error_and_no_more() {
    let labels = cited(20);
    let decided = decided(&labels);
    let wrong = |wrong: &[usize]| {
        let right: Vec<bool> = (0..20).map(|at| !wrong.contains(&at)).collect();
        score(&decided, &right)
    };
    let (perfect, near, far) = (wrong(&[]), wrong(&[0]), wrong(&[0, 1, 2, 3, 4]));
    let (one, two_others) = (wrong(&[0]), wrong(&[2, 4]));
    let (heavy, light) = (weight(false, 40), weight(false, 10));
    assert_eq!(best(&[(&perfect, heavy), (&perfect, light)]), Some(1));
    assert_eq!(
        best(&[(&one, heavy), (&two_others, light)]),
        Some(1),
        "two gained, one lost"
    );
    assert_eq!(
        best(&[(&perfect, heavy), (&near, light)]),
        Some(0),
        "never worse, once better"
    );
    assert_eq!(best(&[(&perfect, heavy), (&far, light)]), Some(0));
    let (asking, plain) = (weight(true, 5), weight(false, 50));
    assert_eq!(
        best(&[(&one, asking), (&two_others, plain)]),
        Some(1),
        "judge is never simpler"
    );
    assert_eq!(
        best(&[(&near, heavy), (&near, heavy)]),
        Some(0),
        "of equals the first"
    );
    assert_eq!(best(&[]), None);
}

#[test]
fn parts_keep_groups_whole_and_have_both_classes_or_are_none() {
    let mut labels = cited(21);
    for (at, label) in labels.iter_mut().enumerate() {
        label.group = format!("group-{}", at / 3);
    }
    let decided_labels = decided(&labels);
    let parts = folds(&decided_labels, 2, 3).unwrap();
    assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 21);
    for group in 0..7 {
        let with = parts.iter().filter(|part| {
            part.iter()
                .any(|label| label.label.group == format!("group-{group}"))
        });
        assert_eq!(with.count(), 1);
    }
    for part in &parts {
        assert!(count(part, Class::Pass) > 2 && count(part, Class::Fail) > 2);
    }
    let same = decided(&labels);
    assert!(
        folds(&same, 2, 3)
            .unwrap()
            .iter()
            .zip(&parts)
            .all(|(a, b)| a.len() == b.len())
    );
    labels
        .iter_mut()
        .for_each(|label| label.group = "one".to_owned());
    assert!(folds(&decided(&labels), 2, 3).is_none());
    let two = cited(2);
    assert!(folds(&decided(&two), 2, 3).is_none());
}

#[test]
fn candidates_are_judged_on_labels_that_no_prompt_of_theirs_has_shown() {
    let labels = cited(16);
    let played = Scene::new(labels.clone()).play_source(CITES);
    let first_of = |kind: Asked| {
        played
            .prompts
            .iter()
            .filter(move |prompt| asked(prompt) == kind)
    };
    let shown_in = |prompt: &Prompt| {
        let shown = labels
            .iter()
            .filter(|label| prompt.material.contains(&label.trace.output_text));
        shown.map(|label| label.id.clone()).collect::<Vec<_>>()
    };
    let by_part: Vec<Vec<String>> = first_of(Asked::Criteria).map(shown_in).collect();
    assert_eq!((by_part.len(), by_part[2].len()), (3, 16));
    assert!(by_part[0].iter().all(|id| !by_part[1].contains(id)));
    assert_eq!(by_part[0].len() + by_part[1].len(), 16);
    for kind in [
        Asked::Functions,
        Asked::Hybrid,
        Asked::Predicates,
        Asked::Question,
    ] {
        let of_kind: Vec<_> = first_of(kind).map(shown_in).collect();
        assert_eq!(of_kind[..2], by_part[..2], "{kind:?}");
    }
}

#[test]
fn an_eval_that_fits_what_it_was_shown_loses_to_one_that_holds_for_others() {
    // Knows how each labelled trace it was shown ends; hybrids hold for all.
    let played = Scene::new(cited(20)).play(|prompt| {
        let shown = (0..20).step_by(2).filter(|id| prompt.material.contains(&format!("number {id} most")));
        let ends: Vec<String> = shown.map(|id| format!("{id} ")).collect();
        let fits = format!(
            "\"\"\"Good.\"\"\"\n\n\ndef evaluate(trace):\n    said = trace[\"output_text\"].split(\"number \")[1].split(\"most\")[0]\n    return said in {ends:?}, \"by its number\"\n"
        );
        Ok(match asked(prompt) {
            Asked::Functions => json!({"evals": [{"source": fits}]}),
            Asked::Hybrid => json!({"source": CITES}),
            _ => json!({}),
        })
    });
    let written = played.written();
    assert_eq!(written.kind, Kind::Hybrid, "{}", written.source.as_str());
}
