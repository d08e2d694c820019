use super::*;
use crate::generate::rules::predicate::Predicate;

/// A predicate that holds for the labels with 👍, where it is right.
fn written(name: &str, labels: &[LabelledTrace]) -> Predicate {
    let values = labels
        .iter()
        .map(|label| Some(label.label == Thumb::Up))
        .collect();
    Predicate {
        name: name.to_owned(),
        clause: "says where it is from".to_owned(),
        source: format!(
            "from fnmatch import fnmatch\nimport re\n\n\ndef {name}(trace):\n    \
             return fnmatch(trace[\"output_text\"], \"*said*\") and bool(re.search(\"s\", \"s\"))\n"
        ),
        values,
    }
}

/// Answers that only the predicate tells apart.
fn said_and_not(count: usize) -> Vec<LabelledTrace> {
    let one = |index: usize| {
        let (thumb, answer) = match even(index) {
            true => (Thumb::Up, format!("said{index}")),
            false => (Thumb::Down, format!("sadd{index}")),
        };
        labelled(index, thumb, trace("Who?", &answer))
    };
    (0..count).map(one).collect()
}

fn with(labels: &[LabelledTrace], predicates: &[Predicate]) -> Generation {
    generate_with(labels, predicates, &Settings::default())
}

#[test]
fn a_written_predicate_becomes_a_condition_that_runs() {
    let mut labels = said_and_not(24);
    labels[3].label = Thumb::Neutral;
    let predicate = written("says_its_source", &labels);
    let induced = eval_of(with(&labels, std::slice::from_ref(&predicate)));
    assert_eq!(induced.criterion, "A good answer says where it is from.");
    insta::assert_snapshot!(induced.source.as_str());
    for label in labels.iter().filter(|label| label.label.class().is_some()) {
        let class = run(&induced.source, &label.trace).class();
        assert_eq!(class, label.label.class());
    }
}

#[test]
fn a_predicate_that_gave_no_answer_for_many_labels_is_not_used() {
    let labels = said_and_not(24);
    let mut predicate = written("says_its_source", &labels);
    predicate
        .values
        .iter_mut()
        .take(6)
        .for_each(|value| *value = None);
    assert!(matches!(
        with(&labels, &[predicate]),
        Generation::NotYet { .. }
    ));
}

#[test]
fn of_two_predicates_of_one_name_the_first_is_used() {
    let labels = said_and_not(24);
    let right = written("says_its_source", &labels);
    let mut wrong = right.clone();
    wrong
        .values
        .iter_mut()
        .for_each(|value| *value = Some(true));
    assert!(matches!(
        with(&labels, &[right.clone(), wrong.clone()]),
        Generation::Eval(_)
    ));
    assert!(matches!(
        with(&labels, &[wrong, right]),
        Generation::NotYet { .. }
    ));
}

#[test]
fn a_predicate_whose_name_is_taken_is_left_out() {
    let mut labels = said_and_not(24);
    labels[0].trace.output_text = "said two".to_owned();
    labels[1].trace.output_text = "sadd two".to_owned();
    for (name, usable) in [
        ("says_words", true),
        ("words", false),
        ("evaluate", false),
        ("trace", false),
        ("len", false),
    ] {
        let generation = with(&labels, &[written(name, &labels)]);
        assert_eq!(matches!(generation, Generation::Eval(_)), usable, "{name}");
    }
}

#[test]
fn what_is_more_than_one_function_and_its_imports_is_no_predicate() {
    let good = written("says_its_source", &[]);
    assert_eq!(good.fault(), None);
    let named = |name: &str| written(name, &[]);
    let source = |source: &str| Predicate {
        source: source.to_owned(),
        ..good.clone()
    };
    let clause = Predicate {
        clause: " ".to_owned(),
        ..good.clone()
    };
    for (predicate, fault) in [
        (named("SaysSource"), "no name in snake case"),
        (named("says source"), "no name in snake case"),
        (clause, "does not say in words"),
        (
            source("def another(trace):\n    return True"),
            "must be the function `def says_its_source(trace)`",
        ),
        (
            source("def says_its_source(trace):\n    return True\nprint(1)"),
            "has the line `print(1)` too",
        ),
        (
            source("X = 1\n\ndef says_its_source(trace):\n    return True"),
            "must be the function",
        ),
        (source(""), "must be the function"),
    ] {
        let found = predicate.fault().unwrap();
        assert!(found.contains(fault), "{found}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_clause_can_break_out_of_the_eval(clause in "[^\0]{1,40}") {
        let mut predicate = written("says_its_source", &[]);
        predicate.clause = clause;
        let (source, _) = emit(&single(Measure::Written(predicate.into()), true, Class::Pass));
        let said = trace("", "said");
        prop_assert_eq!(run(&source, &said).verdict(), Some(Verdict::Pass), "{}", source.as_str());
    }
}
