use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::to_string_pretty;

use super::*;
use crate::domain::{EvalSource, VersionId};
use crate::report::figures::tests::{few, many, without_verdicts};
use crate::report::making::tests::by_an_llm;
use crate::slack::{BLOCKS_MAX, HEADER_MAX, SECTION_MAX, TEXT_MAX};

fn version(state: State) -> Version {
    Version {
        id: VersionId::from("version-1"),
        eval: "good_answer".into(),
        source: EvalSource::new(""),
        generator: "rules".to_owned(),
        candidates_tried: 43,
        cross_validation: None,
        making: None,
        created_at_ms: 0,
        state,
        decided_by: Some("U07ANN".to_owned()),
        decided_at_ms: Some(1_777_802_400_000),
    }
}

fn message(report: &Report, state: State) -> Message {
    report_message(&ReportView {
        report,
        version: &version(state),
        picture: Some("F1"),
    })
}

/// The limits that docs.slack.dev states for a message and for each block that reports use.
pub fn assert_within_slacks_limits(message: &Message) {
    let length = |text: &Value| text.as_str().unwrap().chars().count();
    let within = |text: &Value, max: usize| (1..=max).contains(&length(text));
    assert!((1..=TEXT_MAX).contains(&message.text.chars().count()));
    assert!((1..=BLOCKS_MAX).contains(&message.blocks.len()));
    for block in &message.blocks {
        let fits = match block["type"].as_str().unwrap() {
            "header" => within(&block["text"]["text"], HEADER_MAX),
            "section" => within(&block["text"]["text"], SECTION_MAX),
            "context" => within(&block["elements"][0]["text"], SECTION_MAX),
            "image" => within(&block["alt_text"], 2_000),
            "rich_text" => within(&block["elements"][0]["elements"][0]["text"], SECTION_MAX),
            "actions" => block["elements"].as_array().unwrap().iter().all(|button| {
                within(&button["text"]["text"], 75)
                    && within(&button["accessibility_label"], 75)
                    && within(&button["action_id"], 255)
                    && within(&button["value"], 2_000)
            }),
            other => panic!("an unknown block {other}"),
        };
        assert!(fits, "{block}");
    }
}

/// Whether `<` stands only where the message itself put it: escaped text holds none.
pub fn has_only_our_links(message: &Message) -> bool {
    let shown = serde_json::to_string(&message.blocks).unwrap();
    let ours = ["<http", "<@U", "<@W"];
    shown
        .match_indices('<')
        .all(|(at, _)| ours.iter().any(|link| shown[at..].starts_with(link)))
}

#[test]
fn a_report_says_how_far_to_trust_it_and_asks_for_a_decision() {
    insta::assert_snapshot!(to_string_pretty(&message(&many(), State::Proposed)).unwrap(), @r#"
    {
      "text": "A new eval to decide about: Answers about an order must quote its number.",
      "blocks": [
        {
          "type": "header",
          "text": {
            "type": "plain_text",
            "text": "Answers about an order must quote its number.",
            "emoji": false
          }
        },
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "*Agreement with people*: 92 % (95 % interval 79–97 %) on 38 held-out traces\n*Majority guess*: 66 %\n*People's own agreement*: Krippendorff's alpha 0.98 on 98 traces (2 annotators)",
            "verbatim": true
          }
        },
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "*Failures caught*: 85 % (58–96 %) of 13 bad answers\n*False alarms*: 4 % (1–20 %) of 25 good answers\n*Coverage*: 95 % (1 abstention, 1 error)\n*Cohen's kappa*: 0.82 (0.58 to 1.00)",
            "verbatim": true
          }
        },
        {
          "type": "image",
          "slack_file": {
            "id": "F1"
          },
          "alt_text": "Confusion table from 38 held-out traces. Of 13 that people call bad, the eval caught 11 and missed 2. Of 25 that they call good, it let 24 pass and raised 1 false alarm."
        },
        {
          "type": "context",
          "elements": [
            {
              "type": "mrkdwn",
              "text": "64 👍 · 33 👎 · 3 😐 · the best of 43 candidates · made by rules · also 92 % (95 % interval 82–97 %) on 58 labelled traces, cross-validated (mean of several rounds) · positive is fail",
              "verbatim": true
            }
          ]
        },
        {
          "type": "actions",
          "block_id": "report",
          "elements": [
            {
              "type": "button",
              "action_id": "report_deploy",
              "value": "version-1",
              "accessibility_label": "Deploy: score every new trace with this eval",
              "text": {
                "type": "plain_text",
                "text": "Deploy",
                "emoji": true
              },
              "style": "primary"
            },
            {
              "type": "button",
              "action_id": "report_refine",
              "value": "version-1",
              "accessibility_label": "Refine: make a better one from labels where they help most",
              "text": {
                "type": "plain_text",
                "text": "Refine",
                "emoji": true
              }
            },
            {
              "type": "button",
              "action_id": "report_discard",
              "value": "version-1",
              "accessibility_label": "Discard this eval",
              "text": {
                "type": "plain_text",
                "text": "Discard",
                "emoji": true
              }
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn few_labels_are_called_provisional_and_no_rate_of_few_failures_is_quoted() {
    let shown = message(&few(), State::Proposed);
    let texts: Vec<&str> = shown
        .blocks
        .iter()
        .filter_map(|b| b["text"]["text"].as_str())
        .collect();
    insta::assert_snapshot!(texts.join("\n---\n"), @"
    An eval without a criterion
    ---
    *Agreement with people*: 91 % (95 % interval 71–98 %) on 20 labelled traces, cross-validated (mean of several rounds)
    *Majority guess*: 74 %
    *People's own agreement*: undefined: no trace has two people's thumbs, or all thumbs are the same (annotators unknown)
    ---
    *Failures caught*: 5 more 👎 needed (5 so far)
    *False alarms*: 0 % (0–22 %) of 14 good answers
    *Coverage*: 95 % (1 abstention, 0 errors)
    *Cohen's kappa*: 0.75 (0.00 to 1.00)
    ---
    *Provisional*: there are only 20 labels, so every figure may still move a lot.
    *Low confidence*: it may agree with people no better than always guessing the larger class, which would be right on 74 %.
    *Cross-validated*: each label is judged by evals made without it, because there are too few labels to keep some back.
    ");
}

#[test]
fn after_a_decision_the_buttons_give_way_to_who_decided() {
    let last = |state| message(&many(), state).blocks.pop().unwrap()["elements"][0]["text"].clone();
    insta::assert_snapshot!(last(State::Deployed).as_str().unwrap(), @"✅ Deployed by <@U07ANN>, 3 May 2026 at 10:00 UTC. Every new trace is scored.");
    insta::assert_snapshot!(last(State::Discarded).as_str().unwrap(), @"🗑️ Discarded by <@U07ANN>, 3 May 2026 at 10:00 UTC.");
    insta::assert_snapshot!(last(State::Retired).as_str().unwrap(), @"Deployed by <@U07ANN>, 3 May 2026 at 10:00 UTC, and retired since: another version took its place.");
}

#[test]
fn the_buttons_read_deploy_refine_and_discard_and_carry_the_version() {
    let actions = message(&many(), State::Proposed).blocks.pop().unwrap();
    let buttons = actions["elements"].as_array().unwrap();
    let texts: Vec<_> = buttons
        .iter()
        .map(|b| b["text"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["Deploy", "Refine", "Discard"]);
    assert!(buttons.iter().all(|button| button["value"] == "version-1"));
}

#[test]
fn a_report_without_a_single_verdict_has_no_picture_and_no_figure() {
    let shown = message(&without_verdicts(), State::Proposed);
    assert!(shown.blocks.iter().all(|block| block["type"] != "image"));
    assert!(!serde_json::to_string(&shown).unwrap().contains("NaN"));
}

#[test]
fn only_slacks_own_ids_become_mentions() {
    assert_eq!(mention("U07ANN"), "<@U07ANN>");
    assert_eq!(mention("!channel"), "!channel");
    assert_eq!(mention("U1> <!channel"), "U1&gt; &lt;!channel");
}

#[test]
fn an_attempt_without_an_eval_says_why_and_what_comes_next() {
    let message = not_yet_message(&NotYet {
        eval_id: "good_answer".to_owned(),
        label_count: 20,
        reason: "No rule beats always guessing 👍 <!here>.".to_owned(),
        candidates_tried: 31,
        usage: None,
    });
    insta::assert_snapshot!(to_string_pretty(&message).unwrap(), @r#"
    {
      "text": "⏳ No eval yet. No rule beats always guessing 👍 &lt;!here&gt;.",
      "blocks": [
        {
          "type": "section",
          "text": {
            "type": "mrkdwn",
            "text": "⏳ *No eval yet.* No rule beats always guessing 👍 &lt;!here&gt;.\nThe next attempt comes by itself at 30 labelled traces.",
            "verbatim": true
          }
        },
        {
          "type": "context",
          "elements": [
            {
              "type": "mrkdwn",
              "text": "20 labelled traces · 31 candidates tried",
              "verbatim": true
            }
          ]
        }
      ]
    }
    "#);
}

proptest! {
    #[test]
    fn no_criterion_breaks_slacks_limits_or_gets_a_link_in(
        criterion in "(?s).{0,400}", generator in "(?s).{0,200}", repeat in 1..40_usize,
        picture in any::<bool>(), by in "(?s).{0,100}",
    ) {
        static REPORT: LazyLock<Report> = LazyLock::new(many);
        let mut report = REPORT.clone();
        report.criterion = Some(criterion.repeat(repeat));
        report.generator = Some(generator.repeat(repeat));
        for state in [State::Proposed, State::Deployed, State::Discarded, State::Retired] {
            let mut version = version(state);
            version.decided_by = Some(by.clone());
            let picture = picture.then_some("F1");
            let shown = report_message(&ReportView { report: &report, version: &version, picture });
            assert_within_slacks_limits(&shown);
            // The header is plain text, in which nothing has a meaning.
            let rest = Message { blocks: shown.blocks[1..].to_vec(), ..shown };
            prop_assert!(has_only_our_links(&rest));
        }
    }

    #[test]
    fn no_reason_breaks_the_message_that_there_is_no_eval(reason in "(?s).{0,3000}") {
        let message = not_yet_message(&NotYet {
            eval_id: String::new(), label_count: 20, reason, candidates_tried: 0, usage: None,
        });
        assert_within_slacks_limits(&message);
        prop_assert!(has_only_our_links(&message));
    }
}

#[test]
fn figures_and_costs_come_before_what_may_be_cut() {
    let mut report = many();
    let mut making = by_an_llm();
    making.criteria = vec!["c".repeat(200); 40];
    report.making = Some(making);
    let message = message(&report, State::Proposed);
    assert_within_slacks_limits(&message);
    let sections = message.blocks.iter().map(Value::to_string);
    let sections: Vec<String> = sections.filter(|block| block.contains("section")).collect();
    let place = |words: &str| sections.iter().position(|section| section.contains(words));
    assert!(place("LLM over rules").is_some() && place("Cost of judge").is_some());
    assert!(place("Cost of judge") < place("People judge by"));
}

#[test]
fn only_the_projects_own_words_make_a_note_bold() {
    let said = [
        "Low confidence: it may <guess>.",
        "<!channel>: *x*",
        "It asks: why?",
    ];
    let said = notes(&said.map(str::to_owned));
    let expected = [
        "*Low confidence*: it may &lt;guess&gt;.",
        "&lt;!channel&gt;: *x*",
        "It asks: why?",
    ];
    assert_eq!(said, expected.join("\n"));
}
