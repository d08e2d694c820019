//! What single measures find, and how the reasons quote it.

use super::*;

/// The eval's reason where the measure is at least `cut`, or is not.
fn reason(measure: &Measure, trace: &Trace) -> String {
    let source = emit(&single(measure.clone(), true, Class::Fail)).0;
    run(&source, trace).result.unwrap().1
}

#[track_caller]
fn assert_reasons(measure: &Measure, cases: &[(&str, f64, &str)], fields: &Value) {
    for (answer, value, expected) in cases {
        let trace = changed(REQUEST, answer, fields.clone());
        let found = measure.value(&Reading::new(&trace));
        assert_eq!(found, Some(*value), "{answer}");
        assert_eq!(reason(measure, &trace), *expected, "{answer}");
    }
}

#[test]
fn quotations_that_no_source_has_are_quoted() {
    let sources = json!({
        "messages": [
            {"role": "user", "content": "She said all is well here.", "tool_calls": [], "name": null},
            {"role": "assistant", "content": "You never said that.", "tool_calls": [], "name": null},
        ],
        "observations": retrieved(&json!(["Rivers carry silt."])),
        "tool_calls": [call("read", "The door is open", None)],
    });
    assert_reasons(
        &Measure::Invented(Passage::Quotation, Source::Any),
        &[
            (
                "“ALL is well!”, “rivers carry silt”, \"the door is\".",
                0.0,
                "0 of its quotations are not in any source",
            ),
            (
                "“you never said that”",
                1.0,
                "it quotes “you never said that”, which is not in any source",
            ),
            (
                "the “new” \"open door\"",
                0.0,
                "0 of its quotations are not in any source",
            ),
            (
                "“a b c”, “a b d” and “a b c”",
                2.0,
                "it quotes “a b c, a b d”, which is not in any source",
            ),
            (
                "\"a\nb c d\"",
                0.0,
                "0 of its quotations are not in any source",
            ),
            ("", 0.0, "0 of its quotations are not in any source"),
        ],
        &sources,
    );
}

#[test]
fn links_that_no_source_has_are_quoted() {
    let given = "(https://b.example/?q=1&r=2). See **https://b.example/?q=1&r=2**";
    assert_reasons(
        &Measure::Invented(Passage::Link, Source::Request),
        &[
            (given, 0.0, "0 of its links are not in the request"),
            (
                "http://x.example/a/, http://x.example/a",
                1.0,
                "it links to http://x.example/a, which is not in the request",
            ),
        ],
        &json!({}),
    );
}

#[test]
fn words_copied_in_a_row_are_quoted() {
    assert_reasons(
        &Measure::Copies(Source::Request, 5),
        &[
            (
                "Well, TELL me what... you know!",
                1.0,
                "it copies “tell me what you know” from the request",
            ),
            (
                "Tell me what you, know",
                1.0,
                "it copies “tell me what you know” from the request",
            ),
            (
                "Tell me what we know",
                0.0,
                "it copies no 5 words in a row from the request",
            ),
            ("", 0.0, "it copies no 5 words in a row from the request"),
        ],
        &json!({}),
    );
}

#[test]
fn a_number_is_the_same_in_words_and_in_digits() {
    let source =
        json!({"tool_calls": [call("read", "Twelve men waited 3 hours in one room", None)]});
    assert_reasons(
        &Measure::Share(Claim::Words, Source::Tools),
        &[
            ("12 men", 1.0, "100% of its words are in the tools' results"),
            (
                "THREE women",
                0.5,
                "50% of its words are in the tools' results",
            ),
            (
                "Eleven women",
                0.0,
                "0% of its words are in the tools' results, not “11, women”",
            ),
        ],
        &source,
    );
    let none = "0 of its numbers are not in the tools' results";
    assert_reasons(
        &Measure::Missing(Claim::Numbers, Source::Tools),
        &[
            ("12 men, twelve of them, for three hours", 0.0, none),
            ("One of them", 0.0, none),
            (
                "Two of 13",
                2.0,
                "its numbers “13, 2” are not in the tools' results",
            ),
        ],
        &source,
    );
}

#[test]
fn the_longest_run_is_quoted_whatever_its_articles_and_numbers() {
    let steps =
        json!({"observations": retrieved(&json!(["The play has twelve angry men in a room."]))});
    let longest = Measure::LongestRun(Source::Retrieved);
    let whole = "100% of it is a run from the retrieved text: “12 angry men in room”";
    assert_reasons(
        &longest,
        &[
            ("12 angry men in the room", 1.0, whole),
            (
                "Twelve men, 12 angry",
                0.5,
                "50% of it is a run from the retrieved text: “12 angry”",
            ),
            (
                "nobody",
                0.0,
                "0% of it is a run from the retrieved text: “”",
            ),
        ],
        &steps,
    );
    for answer in ["", "the"] {
        let trace = changed("", answer, steps.clone());
        assert_eq!(longest.value(&Reading::new(&trace)), None);
        assert_agrees(&single(longest.clone(), true, Class::Pass), &[trace]);
    }
}

#[test]
fn what_is_said_twice_is_quoted() {
    assert_reasons(
        &Measure::RepeatedSentences,
        &[
            (
                "I am here. So. So. You are there!\n- i AM here",
                1.0,
                "it repeats “i am here”",
            ),
            ("I am here. You are there.", 0.0, "it repeats 0 sentences"),
            ("", 0.0, "it repeats 0 sentences"),
        ],
        &json!({}),
    );
    assert_reasons(
        &Measure::Repetition,
        &[
            ("a b c d a b c", 0.2, "20% of it repeats earlier words"),
            (
                "a a a a a a",
                0.75,
                "75% of it repeats earlier words: “a a a”",
            ),
            ("a b", 0.0, "0% of it repeats earlier words"),
        ],
        &json!({}),
    );
}

#[test]
fn another_language_than_the_requests_is_named() {
    let same = "it is not in another language than the request";
    assert_reasons(
        &Measure::OtherLanguage,
        &[
            ("That is what you know of the city.", 0.0, same),
            (
                "Das weiß ich nicht, und die Stadt ist mir neu.",
                1.0,
                "it is in German, the request in English",
            ),
            (
                "Je ne sais pas, mais c’est une ville et la capitale.",
                1.0,
                "it is in French, the request in English",
            ),
            (
                "No lo sé, pero es una de las ciudades.",
                1.0,
                "it is in Spanish, the request in English",
            ),
            (
                "Это очень большой город",
                1.0,
                "it is in Cyrillic, the request in English",
            ),
            (
                "我不知道",
                1.0,
                "it is in Chinese or Japanese, the request in English",
            ),
            ("Paris", 0.0, same),
            ("", 0.0, same),
        ],
        &json!({}),
    );
}

#[test]
fn what_is_opened_and_not_closed_is_named() {
    assert_reasons(
        &Measure::Unclosed,
        &[
            (
                "```\nx\n```\n```",
                1.0,
                "it opens ``` and does not close it",
            ),
            ("(a [b]", 1.0, "it opens ( and does not close it"),
            ("{\"a\": [1, 2", 1.0, "it opens [ and does not close it"),
            ("a) (b)", 0.0, "it closes what it opens"),
            ("", 0.0, "it closes what it opens"),
        ],
        &json!({}),
    );
}

#[test]
fn reasons_quote_what_they_decided_on_and_no_more_than_is_sensible() {
    let numbers = "1 2 3 4 5";
    let fields = json!({"tool_calls": [call("look_up", "Error: none", None)]});
    for (measure, answer, expected) in [
        (
            Measure::Missing(Claim::Numbers, Source::Request),
            numbers,
            "its numbers “3, 4, 5” are not in the request",
        ),
        (
            Measure::Share(Claim::Numbers, Source::Request),
            numbers,
            "40% of its numbers are in the request, not “3, 4, 5”",
        ),
        (
            Measure::Pattern(&PATTERNS[0]),
            numbers,
            "it has 5 numbers: 1, 2, 3, 4, 5",
        ),
        (
            Measure::SaysAny(&PHRASE_LISTS[1]),
            "Sorry, sorry! I regret it.",
            "it says “sorry, regret”",
        ),
        (
            Measure::Ends(&ENDINGS[1]),
            "It broke off \n and",
            "it does not end with a closing mark: “It broke off and”",
        ),
        (Measure::FailedCalls, "", "1 tool calls failed: look_up"),
        (
            Measure::Format(Format::Json),
            "{",
            "it is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
    ] {
        assert_eq!(
            reason(&measure, &changed(REQUEST, answer, fields.clone())),
            expected
        );
    }
    let long = format!("`{}`", "c".repeat(500));
    let code = PATTERNS
        .iter()
        .find(|known| known.constant == "INLINE_CODE");
    let said = reason(&Measure::Pattern(code.unwrap()), &trace("", &long));
    assert_eq!(
        said,
        format!("it has 1 inline code spans: `{}", "c".repeat(59))
    );
}
