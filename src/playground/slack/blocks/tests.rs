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

fn option(text: usize, value: usize) -> Value {
    json!({"text": {"type": "plain_text", "text": "t".repeat(text)}, "value": "v".repeat(value)})
}

fn menu(kind: &str, options: usize, text: usize, value: usize) -> Value {
    json!({"type": kind, "action_id": "a", "options": vec![option(text, value); options]})
}

#[test]
fn menus_take_as_many_options_as_slack_does() {
    for (kind, most) in [
        ("overflow", 5),
        ("static_select", 100),
        ("radio_buttons", 10),
        ("checkboxes", 10),
    ] {
        let in_row =
            |n, text, value| json!([{"type": "actions", "elements": [menu(kind, n, text, value)]}]);
        assert!(problems(in_row(1, 1, 1)).is_empty(), "{kind}");
        assert!(problems(in_row(most, 75, 150)).is_empty(), "{kind}");
        for over in [
            in_row(most + 1, 1, 1),
            in_row(0, 1, 1),
            in_row(1, 76, 1),
            in_row(1, 1, 151),
            in_row(1, 0, 1),
            in_row(1, 1, 0),
        ] {
            assert_eq!(problems(over.clone()).len(), 1, "{kind} {over}");
        }
        let beside = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "x"},
            "accessory": menu(kind, 1, 1, 1)}]);
        assert!(problems(beside).is_empty(), "{kind}");
    }
    let mut chosen = menu("radio_buttons", 2, 1, 1);
    chosen["initial_option"] = option(1, 2);
    let row = json!([{"type": "actions", "elements": [chosen]}]);
    assert_eq!(problems(row).len(), 1, "it is none of the options");
}

#[test]
fn formatted_text_is_of_the_kinds_that_slack_knows() {
    let rich = |element: Value| json!([{"type": "rich_text", "elements": [element]}]);
    let text = json!({"type": "text", "text": "a", "style": {"bold": true, "code": true}});
    let section = |spans: Value| json!({"type": "rich_text_section", "elements": spans});
    let list = |style: &str, indent: u64, item: Value| json!({"type": "rich_text_list", "style": style, "indent": indent, "elements": [item]});
    for fits in [
        section(json!([
            text,
            {"type": "link", "url": "https://example.com/a", "text": "b"},
            {"type": "emoji", "name": "+1"},
            {"type": "user", "user_id": "U1"},
            {"type": "channel", "channel_id": "C1"},
            {"type": "date", "timestamp": 1_700_000_000, "format": "{date_short}", "fallback": "x"},
            {"type": "broadcast", "range": "here"},
        ])),
        list("ordered", 8, section(json!([text]))),
        json!({"type": "rich_text_quote", "elements": [text], "border": 1}),
        json!({"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x"}], "border": 0}),
    ] {
        assert_eq!(problems(rich(fits)), Vec::<String>::new());
    }
    for wrong in [
        section(json!([])),
        json!({"type": "rich_text_quote", "elements": []}),
        section(json!([{"type": "text", "text": ""}])),
        section(json!([{"type": "text", "text": "a", "style": {"blink": true}}])),
        section(json!([{"type": "text", "text": "a", "style": {"bold": "yes"}}])),
        section(json!([{"type": "link", "url": "/relative"}])),
        section(json!([{"type": "date", "timestamp": "1", "format": "{date}"}])),
        section(json!([{"type": "broadcast", "range": "all"}])),
        section(json!([{"type": "marquee"}])),
        list("roman", 0, section(json!([text]))),
        list("bullet", 9, section(json!([text]))),
        list(
            "bullet",
            0,
            json!({"type": "rich_text_quote", "elements": [text]}),
        ),
        json!({"type": "rich_text_preformatted", "elements": [{"type": "emoji", "name": "a"}]}),
    ] {
        assert_eq!(problems(rich(wrong.clone())).len(), 1, "{wrong}");
    }
}

#[test]
fn a_message_has_one_table_of_limited_size() {
    let cell = |length: usize| json!({"type": "raw_text", "text": "x".repeat(length)});
    let table = |rows: usize, cells: usize, length: usize| json!({"type": "table", "rows": vec![vec![cell(length); cells]; rows]});
    assert!(problems(json!([table(100, 20, 5)])).is_empty());
    let rich = json!({"type": "rich_text", "elements": [{"type": "rich_text_section",
        "elements": [{"type": "text", "text": "x".repeat(10_000)}]}]});
    let settings = json!([{"align": "right", "is_wrapped": true}]);
    let one = json!({"type": "table", "rows": [[rich]], "column_settings": settings});
    assert!(problems(json!([one])).is_empty());
    for over in [
        json!([table(101, 1, 1)]),
        json!([table(1, 21, 1)]),
        json!([table(100, 1, 101)]),
        json!([table(1, 1, 0)]),
        json!([table(1, 1, 1), table(1, 1, 1)]),
        json!([{"type": "table", "rows": [[section(1)]]}]),
        json!([{"type": "table", "rows": [[cell(1)]], "column_settings": [{"align": "top"}]}]),
    ] {
        assert_eq!(problems(over).len(), 1);
    }
}

#[test]
fn what_only_messages_show_is_refused_elsewhere() {
    let feedback = json!({"type": "feedback_buttons", "action_id": "f",
        "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "1"},
        "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "0"}});
    let own = [
        json!({"type": "markdown", "text": "x".repeat(12_000)}),
        json!({"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}),
        json!({"type": "context_actions", "elements": [feedback]}),
    ];
    assert!(problems(json!(own)).is_empty());
    let view = |kind: &str, blocks: &Value| {
        let view =
            json!({"type": kind, "title": {"type": "plain_text", "text": "t"}, "blocks": blocks});
        check_view(&view, kind, &|_| false).len()
    };
    for block in own {
        let alone = json!([block]);
        assert_eq!((view("modal", &alone), view("home", &alone)), (1, 1));
    }
    let twice = json!([{"type": "markdown", "text": "x".repeat(6_001)}, {"type": "markdown", "text": "x".repeat(6_000)}]);
    assert_eq!(problems(twice).len(), 1, "they are counted together");
    assert_eq!(view("home", &json!(vec![section(1); 100])), 0);
    assert_eq!(view("home", &json!(vec![section(1); 101])), 1);
    let modal = json!({"type": "modal", "blocks": [section(1)]});
    assert_eq!(check_view(&modal, "home", &|_| false).len(), 1);
}

#[test]
fn a_menu_in_a_row_does_not_stand_for_a_field_and_a_field_not_in_a_row() {
    let field = |element: Value| json!([{"type": "input", "label": {"type": "plain_text", "text": "l"}, "element": element}]);
    for kind in ["static_select", "radio_buttons", "checkboxes"] {
        assert!(problems(field(menu(kind, 1, 1, 1))).is_empty(), "{kind}");
    }
    assert_eq!(problems(field(menu("overflow", 1, 1, 1))).len(), 1);
    assert_eq!(problems(field(button("b", "a", "v"))).len(), 1);
    let text = json!({"type": "plain_text_input", "action_id": "a"});
    assert_eq!(
        problems(json!([{"type": "actions", "elements": [text]}])).len(),
        1
    );
}
