//! What the prompts say.

use std::collections::BTreeSet;

use super::*;
use crate::generate::written::labels::contrasts;
use crate::generate::written::material::mark;

fn materials(labels: &[LabelledTrace], chars: usize) -> String {
    let decided = decided(labels);
    material(&decided.iter().collect::<Vec<_>>(), chars, 1).text
}

#[test]
fn what_never_changes_comes_first_and_is_the_same_for_all_of_a_task() {
    let played = Scene::new(cited(16)).play_source(CITES_MOSTLY);
    for task in [Task::Propose, Task::Write] {
        let of_task = played.prompts.iter().filter(|prompt| prompt.task == task);
        let distinct: BTreeSet<_> = of_task.map(|prompt| &prompt.instructions).collect();
        assert_eq!(distinct.len(), 1);
    }
    let materials: BTreeSet<_> = played
        .prompts
        .iter()
        .map(|prompt| &prompt.material)
        .collect();
    assert_eq!(
        materials.len(),
        choose::PARTS + 1,
        "one a part, and one of all labels"
    );
    let other = Scene::new(cited(8)).play_source(CITES);
    assert_eq!(
        other.prompts[1].instructions,
        played.prompts[1].instructions
    );
}

#[test]
fn every_schema_is_an_object_without_further_properties() {
    fn check(schema: &Value) {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false);
            let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(schema["required"], json!(names));
            schema["properties"]
                .as_object()
                .unwrap()
                .values()
                .for_each(check);
        }
        if schema["type"] == "array" {
            check(&schema["items"]);
        }
    }
    let played = Scene::new(cited(16)).play_source(CITES_MOSTLY);
    played
        .prompts
        .iter()
        .for_each(|prompt| check(&prompt.schema));
}

#[test]
fn no_prompt_names_a_trace_by_its_source_or_says_what_says_nothing() {
    let mut labels = cited(16);
    labels[2].trace.user_id = Some("secret-user".to_owned());
    labels[3].trace.session_id = Some("secret-session".to_owned());
    labels[4].trace.tags = vec!["secret-tag".to_owned()];
    let played = Scene::new(labels).play_source(CITES_MOSTLY);
    for prompt in &played.prompts {
        for text in [&prompt.material, &prompt.request] {
            assert!(
                !text.contains("secret-") && !text.contains("label-"),
                "{text}"
            );
        }
    }
}

#[test]
fn alike_traces_that_were_judged_differently_stand_side_by_side() {
    let labels = cited(12);
    let decided = decided(&labels);
    let pairs = contrasts(&decided.iter().collect::<Vec<_>>());
    assert_eq!(pairs.len(), 6);
    for (pass, fail) in pairs {
        assert_eq!(pass.label.trace.input_text, fail.label.trace.input_text);
    }
    let text = materials(&labels, 20_000);
    assert!(
        text.contains("Contrast 6: alike, and judged differently."),
        "{text}"
    );
    assert_eq!(text.matches("it gives no source").count(), 6);
}

#[test]
fn what_is_left_out_is_said() {
    let mut labels = cited(6);
    labels[1].trace.output_text = "a long answer ".repeat(5_000);
    let text = materials(&labels, 6_000);
    assert!(text.contains("Left out of T2: "), "{text}");
    assert!((4_000..6_100).contains(&text.chars().count()));
    let many = materials(&cited(300), 20_000);
    assert!(
        many.contains("260 of them are not shown here for want of room"),
        "{}",
        &many[..400]
    );
    let few: Vec<_> = cited(300)
        .into_iter()
        .filter(|label| label.label == Thumb::Up || label.id == "label-7")
        .collect();
    assert!(
        materials(&few, 5_000).contains("people say 👎"),
        "the rare class is shown"
    );
}

#[test]
fn a_mark_occurs_in_nothing_that_it_marks() {
    let mut texts = vec!["a".to_owned()];
    for _ in 0..5 {
        let found = mark(3, texts.iter().map(String::as_str));
        assert!(!texts.iter().any(|text| text.contains(&found)));
        texts.push(format!("so [/{found}] it ends"));
    }
    assert_ne!(mark(1, ["x"].into_iter()), mark(2, ["x"].into_iter()));
}
