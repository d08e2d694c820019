use super::*;
use serde_json::json;

fn problems(blocks: Value) -> Vec<String> {
    check_message(&blocks, &|id| id == "F1")
}

fn section(length: usize) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": "é".repeat(length)}})
}

fn button(text: &str, action_id: &str, value: &str) -> Value {
    json!({"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": action_id, "value": value})
}

#[test]
fn what_is_at_a_limit_passes_and_what_is_over_it_is_refused() {
    let header =
        |n: usize| json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(n)}});
    let context = |n: usize| json!({"type": "context", "elements": vec![json!({"type": "mrkdwn", "text": "x"}); n]});
    let actions = |e: Value| json!({"type": "actions", "elements": [e]});
    for (fits, over) in [
        (json!([section(3_000)]), json!([section(3_001)])),
        (json!(vec![section(1); 50]), json!(vec![section(1); 51])),
        (json!([header(150)]), json!([header(151)])),
        (json!([context(10)]), json!([context(11)])),
        (json!([section(1)]), json!([section(0)])),
        (
            json!([actions(button(&"b".repeat(75), "a", "v"))]),
            json!([actions(button(&"b".repeat(76), "a", "v"))]),
        ),
        (
            json!([actions(button("b", &"a".repeat(255), "v"))]),
            json!([actions(button("b", &"a".repeat(256), "v"))]),
        ),
        (
            json!([actions(button("b", "a", &"v".repeat(2_000)))]),
            json!([actions(button("b", "a", &"v".repeat(2_001)))]),
        ),
    ] {
        assert_eq!(problems(fits), Vec::<String>::new());
        assert_eq!(problems(over.clone()).len(), 1, "{over}");
    }
}

#[test]
fn action_ids_are_unique_in_their_block() {
    let twice =
        json!([{"type": "actions", "elements": [button("a", "x", "1"), button("b", "x", "2")]}]);
    assert_eq!(
        problems(twice),
        ["must be unique in its block [json-pointer:/blocks/0/elements/1/action_id]"]
    );
}

#[test]
fn a_picture_must_be_an_uploaded_file_that_can_be_shown() {
    let image = |id: &str| json!([{"type": "image", "alt_text": "a", "slack_file": {"id": id}}]);
    assert!(problems(image("F1")).is_empty());
    assert_eq!(
        problems(image("F2")),
        ["invalid slack file [json-pointer:/blocks/0/slack_file]"]
    );
}

#[test]
fn our_own_card_shapes_pass_and_unknown_types_do_not() {
    let rich = json!([{"type": "rich_text", "elements": [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": "a", "style": {"bold": true}}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "b"}]},
        {"type": "rich_text_list", "style": "bullet", "elements": [
            {"type": "rich_text_section", "elements": [{"type": "text", "text": "c"}]}]},
    ]}, {"type": "divider"}]);
    assert!(problems(rich).is_empty());
    for wrong in [
        json!([{"type": "carousel"}]),
        json!({}),
        json!([]),
        json!([7]),
        Value::Null,
    ] {
        assert!(!problems(wrong.clone()).is_empty(), "{wrong}");
    }
}

#[test]
fn a_modal_has_limits_of_its_own() {
    let view = |title: usize, metadata: usize, most: u64| {
        json!({
            "type": "modal", "private_metadata": "m".repeat(metadata),
            "title": {"type": "plain_text", "text": "t".repeat(title)},
            "submit": {"type": "plain_text", "text": "Save"},
            "blocks": [{"type": "input", "label": {"type": "plain_text", "text": "Why?"},
                "element": {"type": "plain_text_input", "action_id": "a", "max_length": most}}],
        })
    };
    let count = |view: Value| check_view(&view, "modal", &|_| false).len();
    assert_eq!(count(view(24, 3_000, 3_000)), 0);
    assert_eq!(count(view(25, 3_000, 3_000)), 1);
    assert_eq!(count(view(24, 3_001, 3_000)), 1);
    assert_eq!(count(view(24, 3_000, 3_001)), 1);
    let mut no_submit = view(24, 0, 100);
    no_submit["submit"] = Value::Null;
    assert_eq!(count(no_submit), 1);
}
