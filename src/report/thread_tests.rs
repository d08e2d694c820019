use proptest::prelude::*;
use serde_json::to_string_pretty;

use super::*;
use crate::report::message::tests::{assert_within_slacks_limits, has_only_our_links};

fn link(question: &str) -> Link {
    Link {
        trace: TraceId::from("trace-1"),
        question: question.to_owned(),
        langfuse: Some("https://langfuse.example/project/p/traces/trace-1".to_owned()),
        slack: Some("https://team.slack.com/archives/C1/p1700000000000100".to_owned()),
    }
}

fn a_miss(reason: &str) -> Miss {
    Miss {
        link: link("Where is my order #48213?"),
        label: Thumb::Down,
        verdict: Verdict::Pass,
        reason: reason.to_owned(),
        comment: Some("it never says where".to_owned()),
        seen: true,
        explained: None,
    }
}

fn code_of(message: &Message) -> String {
    let text = |block: &Value| {
        block["elements"][0]["elements"][0]["text"]
            .as_str()
            .map(str::to_owned)
    };
    message.blocks.iter().filter_map(text).collect()
}

#[test]
fn a_short_source_is_one_message_with_one_block() {
    let messages = code_messages(&EvalSource::new("def evaluate(trace):\n    return True\n"));
    insta::assert_snapshot!(to_string_pretty(&messages).unwrap(), @r#"
    [
      {
        "text": "The eval's Python",
        "blocks": [
          {
            "type": "rich_text",
            "elements": [
              {
                "type": "rich_text_preformatted",
                "elements": [
                  {
                    "type": "text",
                    "text": "def evaluate(trace):\n    return True\n"
                  }
                ]
              }
            ]
          }
        ]
      }
    ]
    "#);
}

#[test]
fn a_long_source_goes_whole_into_several_messages_cut_between_lines() {
    let line = format!("# {}\n", "x".repeat(97));
    let source = line.repeat(200);
    let messages = code_messages(&EvalSource::new(source.as_str()));
    assert_eq!(messages.len(), 2);
    assert_eq!(messages.iter().map(code_of).collect::<String>(), source);
    let blocks = messages.iter().flat_map(|message| &message.blocks);
    for block in blocks {
        let text = block["elements"][0]["elements"][0]["text"]
            .as_str()
            .unwrap();
        assert!(text.starts_with("# x") && text.ends_with("x\n"));
    }
}

#[test]
fn a_source_too_long_for_slack_ends_with_a_note() {
    let messages = code_messages(&EvalSource::new("y".repeat(60_000)));
    assert_eq!(messages.len(), CODE_MESSAGES_MAX);
    let note = messages.last().unwrap().blocks.last().unwrap();
    let note = note["elements"][0]["text"].as_str().unwrap();
    assert_eq!(note, "… and 12000 characters more, too long for Slack");
}

#[test]
fn an_empty_source_still_makes_a_message() {
    for source in ["", "\n\n", " \t"] {
        let messages = code_messages(&EvalSource::new(source));
        assert_eq!(messages.len(), 1);
        assert_within_slacks_limits(&messages[0]);
    }
}

#[test]
fn a_miss_shows_both_sides_their_reasons_and_where_to_look() {
    let message = misses_message(&[a_miss("quotes #48213")], 12, 40);
    insta::assert_snapshot!(to_string_pretty(&message).unwrap(), @r#"
    {
      "text": "It gets 12 of 40 labelled traces wrong, those used to make it included.",
      "blocks": [
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "*It gets 12 of 40 labelled traces wrong*, those used to make it included.",
            "verbatim": true
          }
        },
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "Where is my order #48213? · <https://langfuse.example/project/p/traces/trace-1|Langfuse> · <https://team.slack.com/archives/C1/p1700000000000100|card>\nPeople 👎, the eval *pass*: quotes #48213\nA person's reason: it never says where\n_used to make this version_",
            "verbatim": true
          }
        },
        {
          "type": "context",
          "elements": [
            {
              "type": "mrkdwn",
              "text": "… and 11 more",
              "verbatim": true
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn an_eval_without_misses_says_so() {
    let message = misses_message(&[], 0, 24);
    insta::assert_snapshot!(message.text, @"It agrees with people on all of 24 labelled traces, those used to make it included.");
}

#[test]
fn a_refinement_says_which_traces_and_why_those() {
    let reasons = [
        (1, "on which it abstains"),
        (0, "on which it errs"),
        (2, "of the newest"),
    ];
    let mut unknown = link(" \n");
    (unknown.langfuse, unknown.slack) = (None, None);
    let message = refine_message(&[link("a < b?"), unknown, link("c")], &reasons, 3);
    insta::assert_snapshot!(to_string_pretty(&message).unwrap(), @r#"
    {
      "text": "🙋 Labels on 3 traces would help most.",
      "blocks": [
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "🙋 *Labels on 3 traces would help most.*",
            "verbatim": true
          }
        },
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "• a &lt; b? · <https://langfuse.example/project/p/traces/trace-1|Langfuse> · <https://team.slack.com/archives/C1/p1700000000000100|card>\n• trace trace-1",
            "verbatim": true
          }
        },
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "• c · <https://langfuse.example/project/p/traces/trace-1|Langfuse> · <https://team.slack.com/archives/C1/p1700000000000100|card>",
            "verbatim": true
          }
        },
        {
          "type": "context",
          "elements": [
            {
              "type": "mrkdwn",
              "text": "1 on which it abstains · 2 of the newest · cards that are not in the channel yet are posted next",
              "verbatim": true
            }
          ]
        },
        {
          "type": "context",
          "elements": [
            {
              "type": "mrkdwn",
              "text": "The next version is made once so many more traces are labelled.",
              "verbatim": true
            }
          ]
        }
      ]
    }
    "#);
    insta::assert_snapshot!(refine_message(&[], &[], 0).text, @"🙋 Every trace is labelled already. New traces bring new cards.");
}

#[test]
fn a_fall_says_its_n_and_interval_and_what_was_promised() {
    let fallen = Fallen {
        agreed: 4,
        judged: 12,
        promised: 0.79,
    };
    let message = fallen_message(&fallen);
    insta::assert_snapshot!(message.blocks[0]["text"]["text"].as_str().unwrap(), @"
    ⚠️ *The deployed eval's figures fell.* It agrees with people on 33 % (95 % interval 14–61 %) of 12 freshly labelled traces; its report said at least 79 %.
    A refinement is being made; it will be offered if it does better on the same labels.
    ");
    assert_within_slacks_limits(&message);
}

#[test]
fn why_the_old_one_stays_is_text_whatever_it_says() {
    let message = kept_message(&format!("<!channel> & {}", "x".repeat(5_000)), None);
    assert_eq!(message.blocks.len(), 1);
    let shown = message.blocks[0]["text"]["text"].as_str().unwrap();
    assert!(
        shown.starts_with("📌 *The eval stays as it is.* &lt;!channel&gt; &amp; x"),
        "{shown}"
    );
    assert_within_slacks_limits(&message);
}

#[test]
fn what_an_llm_took_for_nothing_is_said() {
    let took = |calls| Usage {
        calls,
        cost_usd: Some(0.5),
        ..Usage::default()
    };
    let blocks = |calls| kept_message("It is no better.", Some(&took(calls))).blocks;
    assert!(blocks(3)[1].to_string().contains("$0.50 for 3 calls"));
    assert_eq!(blocks(0).len(), 1);
}

/// All that is told in words, side by side: one look.
#[test]
fn what_is_told_looks_like_one_family() {
    let fallen = Fallen {
        agreed: 4,
        judged: 12,
        promised: 0.79,
    };
    let messages = [
        fallen_message(&fallen),
        kept_message("It is no better.", None),
        refine_message(&[], &[], 0),
        contradiction_message(
            "cites_source",
            (Thumb::Down, Verdict::Pass),
            "a link <is> there",
        ),
        contradiction_message("<!here>", (Thumb::Up, Verdict::Fail), ""),
        conflict_message(1, 1),
        conflict_message(3, 2),
    ];
    let heads = messages.iter().map(|message| {
        let head = message.blocks[0]["text"]["text"].as_str().expect("a text");
        assert_within_slacks_limits(message);
        assert!(has_only_our_links(message), "{head}");
        head.to_owned()
    });
    insta::assert_snapshot!(heads.collect::<Vec<_>>().join("\n---\n"), @r"
    ⚠️ *The deployed eval's figures fell.* It agrees with people on 33 % (95 % interval 14–61 %) of 12 freshly labelled traces; its report said at least 79 %.
    A refinement is being made; it will be offered if it does better on the same labels.
    ---
    📌 *The eval stays as it is.* It is no better.
    ---
    🙋 *Every trace is labelled already.* New traces bring new cards.
    ---
    ↔️ *👎 by people, but cites_source says pass.* Its reason: a link &lt;is&gt; there
    A reply of whoever labelled it becomes their label's reason, and the next version learns from it.
    ---
    ↔️ *👍 by people, but &lt;!here&gt; says fail.* It gives no reason.
    A reply of whoever labelled it becomes their label's reason, and the next version learns from it.
    ---
    ↔️ *Two see it differently.* What decides? A reply here becomes part of your label.
    ---
    ↔️ *People see it differently: 👍 3 · 👎 2.* What decides? A reply here becomes part of your label.
    ");
}

proptest! {
    #[test]
    fn no_source_breaks_slacks_limits(line in "(?s).{0,300}", repeat in 0..600_usize) {
        for message in code_messages(&EvalSource::new(line.repeat(repeat))) {
            assert_within_slacks_limits(&message);
        }
    }

    #[test]
    fn pieces_are_short_and_lose_no_visible_character(text in "(?s)[a\u{1f44d} \n]{0,200}", max in 1..20_usize) {
        let pieces = pieces(&text, max);
        prop_assert!(pieces.iter().all(|piece| (1..=max.max(9)).contains(&piece.chars().count())));
        let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        if !visible(&text).is_empty() {
            prop_assert_eq!(visible(&pieces.concat()), visible(&text));
        }
    }

    #[test]
    fn no_trace_breaks_slacks_limits_or_gets_a_link_in(
        text in "(?s).{0,400}", hostile in "[<>&|*`!@#\n]{0,400}", url in "https?://[ -~]{0,600}",
    ) {
        let text = format!("{hostile}{text}");
        let link = || Link {
            trace: TraceId::from(text.as_str()),
            question: text.clone(),
            langfuse: Some(url.clone()),
            slack: Some(url.clone()),
        };
        let miss = || Miss { link: link(), comment: Some(text.clone()), ..a_miss(&text) };
        let misses: Vec<Miss> = (0..MISSES_SHOWN).map(|_| miss()).collect();
        let links: Vec<Link> = (0..MISSES_SHOWN).map(|_| link()).collect();
        for message in [
            misses_message(&misses, usize::MAX, usize::MAX),
            refine_message(&links, &[(10, "of the newest")], 10),
        ] {
            assert_within_slacks_limits(&message);
            prop_assert!(has_only_our_links(&message));
        }
    }
}

#[test]
fn hostile_texts_are_only_texts_in_a_thread() {
    let corpus = include_str!("../../tests/fixtures/hostile.json");
    let corpus: Vec<String> = serde_json::from_str(corpus).unwrap();
    for text in &corpus {
        let one = Miss {
            link: link(text),
            comment: Some(text.clone()),
            ..a_miss(text)
        };
        for message in [
            misses_message(&[one], 2, 9),
            refine_message(&[link(text)], &[(1, "is unlabelled")], 1),
            kept_message(text, None),
        ] {
            let problems = crate::slack::judged::message_problems(&serde_json::json!(message));
            assert_eq!(problems, Vec::<String>::new());
        }
    }
}
