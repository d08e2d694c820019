use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::{TraceId, WorkspaceId};
use crate::slack::judged::{message_problems, view_problems, visible_text};

/// Every kind of trace of the nine sets, and what they don't have.
const KINDS: [&str; 20] = [
    "broken",
    "cjk",
    "conala_code_grades",
    "conala_code_grades_fenced",
    "conversation",
    "empty",
    "failed",
    "gsm8k_solutions",
    "halueval_general",
    "halueval_general_table",
    "ifeval_gpt4",
    "markdown",
    "math_json_format",
    "pictures",
    "rtl",
    "sources",
    "tau_airline",
    "trivia_answers",
    "wow_grounded",
    "xstest_refusals",
];

fn normalised(trace: &Value) -> Trace {
    crate::ingest::normalise(&serde_json::from_value(trace.clone()).unwrap())
}

fn fixture(kind: &str) -> Trace {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/tests/fixtures/cards/{kind}.json")).unwrap();
    normalised(&serde_json::from_str(&text).unwrap())
}

fn view(trace: &Trace) -> CardView<'_> {
    CardView {
        trace,
        url: Some("https://langfuse.example/project/p/traces/t".to_owned()),
        cleaned: false,
        deleted: false,
        tally: Tally::default(),
        asked_by: None,
        on_session: false,
    }
}

fn pages(trace: &Trace) -> Vec<Value> {
    let pages = Pages::of(trace, false);
    let (workspace, id) = (
        WorkspaceId::from("default"),
        TraceId::from(trace.id.as_str()),
    );
    (0..pages.count())
        .map(|n| pages.view(n, &workspace, &id))
        .collect()
}

/// The card and its pages, which Slack takes.
fn judged(trace: &Trace) -> (Message, Vec<Value>) {
    let card = card(&view(trace));
    assert_eq!(message_problems(&json!(card)), Vec::<String>::new());
    let pages = pages(trace);
    for page in &pages {
        assert_eq!(view_problems(page), Vec::<String>::new());
    }
    (card, pages)
}

/// A trace that says `text` wherever a trace can.
fn saying(text: &str) -> Trace {
    normalised(&json!({
        "id": "t", "name": text, "timestamp": "2025-03-01T00:00:00.000Z", "sessionId": text, "userId": text, "tags": [text],
        "input": [{"role": "system", "content": text}, {"role": "user", "content": text}, {"role": "assistant", "content": text},
            {"role": text, "content": text, "name": text}, {"role": "user", "content": format!("{text} ?")}],
        "output": text,
        "observations": [
            {"id": "r", "type": "RETRIEVER", "name": text, "output": [text, {"page_content": text}], "level": "DEFAULT"},
            {"id": "o", "type": "TOOL", "name": text, "input": {text: text}, "output": text, "level": "DEFAULT"},
            {"id": "e", "type": "TOOL", "name": text, "input": text, "output": text, "statusMessage": text, "level": "ERROR"},
            {"id": "g", "type": "GENERATION", "name": text, "model": text, "statusMessage": text, "level": "ERROR"},
        ],
    }))
}

#[test]
fn every_kind_of_trace_reads_well() {
    for kind in KINDS {
        let (card, pages) = judged(&fixture(kind));
        let blocks = card.blocks.iter().map(Value::to_string).collect::<Vec<_>>();
        let shown = format!("{}\n\n{}", card.text, blocks.join("\n"));
        insta::assert_snapshot!(format!("card_{kind}"), shown);
        assert!(!pages.is_empty());
    }
}

#[test]
fn the_whole_of_a_trace_is_in_its_pages() {
    for kind in ["tau_airline", "sources", "conversation", "failed"] {
        let pages = judged(&fixture(kind)).1;
        let blocks = pages
            .iter()
            .flat_map(|page| page["blocks"].as_array().unwrap());
        let blocks = blocks.map(Value::to_string).collect::<Vec<_>>();
        insta::assert_snapshot!(format!("pages_{kind}"), blocks.join("\n"));
    }
}

#[test]
fn a_page_leads_to_the_next_and_back() {
    let pages = judged(&saying(&"One sentence. ".repeat(500))).1;
    let buttons = |page: &Value| {
        let last = page["blocks"].as_array().unwrap().last().unwrap().clone();
        let elements = last["elements"].as_array().unwrap().clone();
        let led = |button: &Value| {
            (
                button["action_id"].as_str().unwrap().to_owned(),
                button["value"].as_str().unwrap().to_owned(),
            )
        };
        elements.iter().map(led).collect::<Vec<_>>()
    };
    let of = |action: &str, to: &str| (action.to_owned(), to.to_owned());
    assert!(pages.len() > 2);
    assert_eq!(buttons(&pages[0]), [of(PAGES_NEXT, "1")]);
    assert_eq!(
        buttons(&pages[1]),
        [of(PAGES_BACK, "0"), of(PAGES_NEXT, "2")]
    );
    assert_eq!(
        buttons(pages.last().unwrap()),
        [of(PAGES_BACK, &(pages.len() - 2).to_string())]
    );
    let shown: Shown =
        serde_json::from_str(pages[0]["private_metadata"].as_str().unwrap()).unwrap();
    assert_eq!(
        (shown.workspace.as_str(), shown.trace.as_str()),
        ("default", "t")
    );
    let beyond = Pages::of(&saying("a"), false).view(99, &shown.workspace, &shown.trace);
    assert_eq!(view_problems(&beyond), Vec::<String>::new());
}

#[test]
fn show_all_is_offered_where_something_is_cut_and_the_menu_everywhere() {
    let shown = |kind: &str| json!(card(&view(&fixture(kind))).blocks).to_string();
    assert!(
        shown("tau_airline").contains("\"show_all\"") && shown("sources").contains("\"show_all\"")
    );
    assert!(!shown("gsm8k_solutions").contains("\"show_all\""));
    let menu = shown("empty");
    assert!(menu.contains("card_menu") && menu.contains("(empty)"));
}

#[test]
fn hostile_texts_are_only_texts_on_cards_and_pages() {
    let corpus: Vec<String> =
        serde_json::from_str(include_str!("../../../tests/fixtures/hostile.json")).unwrap();
    let huge = [
        "a".repeat(30_000),
        "e\u{301}".repeat(15_000),
        "\u{301}".repeat(15_000),
        "字".repeat(10_000),
        "> - ".repeat(6_000),
        "*a* ".repeat(6_000),
        "\"\\\u{7}".repeat(6_000),
        "🏳️\u{200d}🌈".repeat(2_000),
    ];
    let short = saying("a");
    let many = |text: &str| {
        let step = json!({"id": "e", "type": "TOOL", "name": text, "input": text, "output": text, "level": "ERROR"});
        let failed = json!({"id": "g", "type": "SPAN", "name": text, "statusMessage": text, "level": "ERROR"});
        let steps = [vec![step; 20], vec![failed; 20]].concat();
        let turns = vec![json!({"role": "user", "content": text}); 9];
        normalised(
            &json!({"id": "t", "timestamp": "2025-03-01T00:00:00.000Z", "input": turns, "output": text,
            "observations": steps}),
        )
    };
    let flood = format!("{} ", "e".to_owned() + &"\u{301}".repeat(30)).repeat(1_000);
    judged(&many(&"字 ".repeat(900)));
    judged(&many(&flood));
    for text in corpus.iter().chain(&huge) {
        judged(&saying(text));
        let asked_by = CardView {
            asked_by: Some(text),
            cleaned: true,
            on_session: true,
            ..view(&short)
        };
        assert_eq!(
            message_problems(&json!(card(&asked_by))),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_card_of_a_megabyte_is_cut_before_it_is_read() {
    let text = "- **a** `b` [c](https://d.example)\n".repeat(30_000);
    let trace = saying(&text);
    let began = std::time::Instant::now();
    let shown = card(&view(&trace));
    let took = began.elapsed();
    assert_eq!(message_problems(&json!(shown)), Vec::<String>::new());
    // A minute would mean that all of it is read again and again, on any machine.
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn a_picture_is_a_link_that_names_its_host_and_no_other_address_is() {
    let card = card(&view(&fixture("pictures")));
    let shown = json!(card.blocks).to_string();
    assert_eq!(shown.matches("\"link\"").count(), 1, "{shown}");
    assert!(shown.contains("🖼 Picture at cdn.example") && !shown.contains("javascript"));
}

#[test]
fn a_card_says_when_its_thumb_is_about_the_session() {
    let trace = saying("a");
    let on_session = |on_session| {
        json!(
            card(&CardView {
                on_session,
                ..view(&trace)
            })
            .blocks
        )
        .to_string()
    };
    assert!(on_session(true).contains("Judge the whole session"));
    assert!(!on_session(false).contains("session"));
}

#[test]
fn a_card_that_a_person_asked_for_says_so_and_a_name_is_only_a_name() {
    let trace = saying("a");
    let asked_by = |asked_by| {
        json!(
            card(&CardView {
                asked_by,
                ..view(&trace)
            })
            .blocks
        )
        .to_string()
    };
    assert!(!asked_by(None).contains("Asked for"));
    assert!(asked_by(Some("")).contains("🙋 Asked for in Langfuse\""));
    let named = asked_by(Some("<!channel>"));
    assert!(named.contains("by &lt;!channel&gt;"), "{named}");
}

#[test]
fn a_card_links_to_langfuse_only_where_langfuse_has_the_trace() {
    let trace = saying("a");
    let with = |url: Option<&str>| {
        let url = url.map(str::to_owned);
        json!(
            card(&CardView {
                url,
                ..view(&trace)
            })
            .blocks
        )
        .to_string()
    };
    assert!(
        with(Some("https://a.example/x|y>z"))
            .contains("<https://a.example/x%7Cy&gt;z|Open in Langfuse>")
    );
    assert!(!with(None).contains("Langfuse"));
}

#[test]
fn a_deleted_traces_card_shows_nothing_of_it_and_no_buttons() {
    let trace = saying("Blue");
    let view = CardView {
        deleted: true,
        asked_by: Some("Ada"),
        ..view(&trace)
    };
    let shown = json!(card(&view).blocks).to_string();
    assert!(shown.contains("deleted in Langfuse") && shown.contains("No labels yet"));
    assert!(!shown.contains("Blue") && !shown.contains("button") && !shown.contains("Ada"));
    let page = Pages::of(&trace, true).view(0, &WorkspaceId::from("w"), &TraceId::from("t"));
    assert!(!page.to_string().contains("Blue"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_trace_is_a_card_that_slack_takes_and_every_word_is_on_a_page(
        words in prop::collection::vec("[a-z]{1,9}|\\PC{1,6}|[*_`#>|\\n-]{1,3}", 1..200), times in 1_usize..12,
    ) {
        let text = words.join(" ").repeat(times);
        let (_, pages) = judged(&saying(&text));
        let shown: String = pages.iter().map(|page| visible_text(&page["blocks"])).collect();
        for word in words.iter().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())) {
            prop_assert!(shown.contains(word.as_str()), "{word}");
        }
    }
}
