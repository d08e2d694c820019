//! What is particular to each kind of eval, to refinements and to sessions.

use super::*;

const PREDICATE: &str =
    "def names_its_source(trace):\n    return \"Source:\" in trace[\"output_text\"]\n";

/// Labels that only [`EVEN`] tells apart.
fn shaped() -> Vec<LabelledTrace> {
    let shape = |(id, mut label): (usize, LabelledTrace)| {
        let first = if label.label == Thumb::Up { 2 } else { 3 };
        let text = label.trace.output_text.replace("Source", "Src");
        label.trace.output_text = format!("{text} abc {}", id * 7 + 3);
        label.trace.metadata = json!({"shape": {"inner": [first, id]}});
        label
    };
    cited(48).into_iter().enumerate().map(shape).collect()
}

const EVEN: &str =
    "def has_even_shape(trace):\n    return trace[\"metadata\"][\"shape\"][\"inner\"][0] == 2\n";

fn several_predicates() -> Value {
    let predicate = |name: &str, body: &str| {
        let source = format!("def {name}(trace):\n    {body}\n");
        json!({"name": name, "clause": "has an even shape", "source": source})
    };
    json!({"predicates": [
        {"name": "has_even_shape", "clause": "has an even shape", "source": EVEN},
        predicate("reads_the_id", "return trace[\"id\"] > \"m\""),
        predicate("is_always_true", "return True"),
        predicate("fails_always", "return 1 / 0"),
        predicate("No Name", "return True"),
        predicate("asks_someone", "from iofold import judge\n    return judge(\"?\", \"x\")"),
        {"name": 3},
    ]})
}

#[test]
fn predicates_are_checked_by_themselves_and_combined_by_the_rule_learner() {
    let played = Scene::new(shaped()).play(|prompt| {
        Ok(match asked(prompt) {
            Asked::Predicates => several_predicates(),
            _ => json!({}),
        })
    });
    let written = played.written();
    assert_eq!(written.kind, Kind::Predicates);
    let source = written.source.as_str();
    assert!(source.contains("def has_even_shape(trace)"), "{source}");
    let thrown_out = written.thrown_out.join("\n");
    for said in [
        "trace.id",
        "true of every",
        "fails on every",
        "no name in snake case",
        "asks judge",
    ] {
        assert!(thrown_out.contains(said), "{said}: {thrown_out}");
    }
    assert!(
        written.candidates_tried > 5,
        "the rule learner's conditions count: {}",
        written.candidates_tried
    );
}

#[test]
fn predicates_alone_are_no_eval_where_no_rule_is_found() {
    let played = Scene::new(cited(4)).play(|prompt| {
        let predicate =
            json!({"name": "names_its_source", "clause": "names its source", "source": PREDICATE});
        Ok(match asked(prompt) {
            Asked::Predicates => json!({ "predicates": [predicate] }),
            _ => json!({}),
        })
    });
    assert!(
        played.none().0.contains("No rule over these predicates"),
        "{:?}",
        played.result
    );
    let mend = played
        .prompts
        .iter()
        .find(|prompt| asked(prompt) == Asked::Mend)
        .unwrap();
    assert!(
        mend.request
            .contains("names_its_source holds for 1 of 1 👍 and 0 of 1 👎"),
        "{}",
        mend.request
    );
}

fn by_source(question: &Question) -> Option<bool> {
    Some(question.text.contains("Source:"))
}

#[test]
fn a_question_to_judge_has_a_rubric_and_examples_of_the_labels_it_was_shown() {
    let mut scene = Scene::new(cited(16));
    scene.judge = by_source;
    let played = scene.play(|prompt| {
        Ok(match asked(prompt) {
            Asked::Question => json!({
                "criterion": "A good answer \"names\" its source.\"\"\"", "question": "Does the answer name its source?",
                "rubric": ["It says Source.", "The source\nis named \"so\"."], "parts": ["input", "output", "conversation", "tools", "retrieved", "nonsense"],
                "examples": (1..=16).map(|number| format!("T{number}")).collect::<Vec<_>>(),
            }),
            _ => json!({}),
        })
    });
    let ran: Vec<String> = played
        .runs
        .iter()
        .map(|(source, _)| source.clone())
        .collect();
    let prompts = played.prompts.clone();
    let written = played.written();
    assert_eq!(written.kind, Kind::Judge);
    insta::assert_snapshot!(written.source.as_str());
    // What was written from a part of the labels holds examples of that part only.
    let questions = prompts
        .iter()
        .filter(|prompt| asked(prompt) == Asked::Question);
    let evals: Vec<_> = ran
        .iter()
        .filter(|source| source.contains("QUESTION = ("))
        .collect();
    for prompt in questions.take(choose::PARTS) {
        let unseen = (0..16).filter(|id| !prompt.material.contains(&format!("number {id} most")));
        let unseen: Vec<String> = unseen.map(|id| format!("number {id} most")).collect();
        assert!(
            evals
                .iter()
                .any(|source| !unseen.iter().any(|text| source.contains(text)))
        );
    }
}

#[test]
fn where_nobody_answers_judge_its_candidates_are_thrown_out_and_not_mended() {
    let played = Scene::new(cited(12)).play(|prompt| {
        Ok(match asked(prompt) {
            Asked::Functions => sources(&[CITES]),
            Asked::Question => json!({"question": "Is it good?"}),
            _ => json!({}),
        })
    });
    assert!(
        !played
            .prompts
            .iter()
            .any(|prompt| asked(prompt) == Asked::Mend)
    );
    let written = played.written();
    assert_eq!(written.kind, Kind::Function);
    assert!(
        written
            .thrown_out
            .join(" ")
            .contains("judge can't be asked"),
        "{:?}",
        written.thrown_out
    );
}

#[test]
fn a_refinement_starts_from_the_version_its_misses_and_the_comments() {
    let mut scene = Scene::new(cited(16));
    scene.from = Some(EvalSource::new(CITES_MOSTLY));
    let played = scene.play_source(CITES);
    let next = played
        .prompts
        .iter()
        .find(|prompt| asked(prompt) == Asked::Next)
        .unwrap();
    for part in [
        "count(\"7\")",
        "T8: people say 👎; it says pass: by its source",
    ] {
        assert!(next.request.contains(part), "{part}: {}", next.request);
    }
    assert!(next.material.contains("it gives no source"));
    let written = played.written();
    assert_eq!(written.changes, ["Looks at links."]);
    assert!(!written.source.as_str().contains("count"));
    assert_eq!(written.candidates_tried, 2, "the version counts");
}

#[test]
fn a_function_that_asks_judge_is_thrown_out_before_it_asks() {
    let asks = "\"\"\"Good.\"\"\"\n\nfrom iofold import judge\n\n\ndef evaluate(trace):\n    return judge(\"Is it good?\", trace[\"output_text\"]), \"as judged\"\n";
    let mut scene = Scene::new(cited(12));
    scene.judge = |_| panic!("nobody is to be asked");
    let played = scene.play(move |prompt| {
        Ok(match asked(prompt) {
            Asked::Functions => sources(&[asks]),
            Asked::Mend => json!({"source": CITES}),
            _ => json!({}),
        })
    });
    let written = played.written();
    assert!(
        written.thrown_out[0].contains("was to decide by code alone"),
        "{:?}",
        written.thrown_out
    );
}

#[test]
fn evals_that_ask_are_mended_on_few_labels_and_judged_on_all_that_they_have_not_seen() {
    let mut scene = Scene::new(cited(60));
    scene.judge = by_source;
    let played = scene.play(|prompt| {
        Ok(match asked(prompt) {
            Asked::Question => json!({"question": "Does it name its source?"}),
            _ => json!({}),
        })
    });
    let asking = played
        .runs
        .iter()
        .filter(|(source, _)| source.contains("QUESTION = ("));
    let traces: Vec<usize> = asking.map(|(_, traces)| *traces).collect();
    // Each part: three to begin with, the other thirteen, and those unseen; then all labels, and the smaller eval.
    assert_eq!(traces[..8], [3, 13, 30, 3, 13, 30, 3, 13]);
    assert!(traces[8..].iter().all(|traces| *traces <= 16), "{traces:?}");
    assert_eq!(played.written().kind, Kind::Judge);
}

#[test]
fn a_refinement_that_changes_nothing_is_none() {
    let mut scene = Scene::new(cited(16));
    scene.from = Some(EvalSource::new(CITES));
    assert!(matches!(
        scene.play_source(CITES).result,
        Err(WriteError::None { .. })
    ));
}

#[test]
fn labels_on_sessions_are_written_from_whole_sessions() {
    let mut labels = cited(12);
    for label in &mut labels {
        let first = trace(50, "An earlier request", "An earlier answer");
        let last = label.trace.clone();
        label.trace.session = vec![first, last];
    }
    let source = "\"\"\"A good answer names its source.\"\"\"\n\n\ndef evaluate(trace):\n    said = [turn[\"output_text\"] for turn in trace[\"session\"]]\n    return \"Source:\" in said[-1], \"by its end\"\n";
    let played = Scene::new(labels).play_source(source);
    let of_evals = played
        .prompts
        .iter()
        .filter(|prompt| prompt.task == Task::Write);
    assert!(
        of_evals
            .clone()
            .all(|prompt| prompt.instructions.contains("trace[\"session\"]"))
    );
    played.written();
    let alone = Scene::new(cited(4)).play_source(CITES);
    assert!(
        !alone
            .prompts
            .iter()
            .any(|prompt| prompt.instructions.contains("trace[\"session\"]"))
    );
}
