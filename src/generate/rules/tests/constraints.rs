//! Constraints that requests state: which are understood, and that Python understands the same.

use super::super::constraints::Chosen;
use super::super::measure::Measure;
use super::super::reading::Reading;
use super::{assert_agrees, single, trace};
use crate::domain::{Class, Trace};

/// A request, an answer, and whether it follows it.
const CASES: &[(&str, &str, bool)] = &[
    ("Do not use commas.", "One, two", false),
    ("Do not use any commas.", "One two", true),
    ("Commas are not allowed.", "One, two", false),
    ("In all lowercase letters, please.", "quiet", true),
    ("In all lowercase letters, please.", "Loud", false),
    ("Without capital letters, please.", "Loud", false),
    (
        "Your entire response should be in English and in all capital letters.",
        "LOUD",
        true,
    ),
    (
        "Your entire response should be in English and in all capital letters.",
        "Loud",
        false,
    ),
    ("Write at least three sentences.", "One. Two.", false),
    ("Write at least three sentences.", "One. Two! Three?", false),
    (
        "Write at least three sentences.",
        "One. Two! Three? \n Four.",
        true,
    ),
    ("Write 2-3 sentences.", "One. ", false),
    ("Write two or three sentences.", "One. Two.\n3", true),
    ("Use at least 5 words.", "a b c d", false),
    ("Use at least many words.", "a", true),
    ("Answer in less than 3 words.", "a b c", false),
    ("Answer in fewer than 4 words.", "a b c", true),
    ("Answer in 3 or less words.", "a b c d", false),
    ("Answer in no more than five words.", "a b c d e f", false),
    ("Answer in no more than five words.", "a b c d e", true),
    ("Answer with more than 3 words.", "a b c", false),
    ("Write a 4+ words poem.", "a b c", false),
    ("Exactly 2 bullet points.", "- a\n- b", true),
    ("Exactly two bullet points.", "- a\n- b\n- c", false),
    (
        "Wrap the title in double angular brackets.",
        "<<Title>> text",
        true,
    ),
    ("Wrap the title in double angular brackets.", "Title", false),
    (
        "Do not use the words \"sad\" and \"bad\".",
        "A Bad day",
        false,
    ),
    (
        "Do not use the words \"sad\" and \"bad\".",
        "A badger",
        true,
    ),
    ("Don’t include the keywords ‘can’, ‘ride’.", "I ride", false),
    (
        "Please include the keywords \"İstanbul\" and \"is\".",
        "istanbul is",
        false,
    ),
    (
        "Please include the keywords \"ISTANBUL\" and \"is\".",
        "İstanbul ıs",
        true,
    ),
    ("Please include the phrase \"a.c\".", "abc", false),
    (
        "The word fake should appear at least 2 times.",
        "Fake fake",
        true,
    ),
    (
        "The word fake should appear at least 2 times.",
        "fake",
        false,
    ),
    (
        "The letter q should appear less than 2 times.",
        "q q",
        false,
    ),
    ("Don't use the letter \"e\" at all.", "tree", false),
    ("Don't use the letter \"e\" at all.", "oak", true),
    (
        "Wrap your entire response with double quotation marks.",
        "“Yes.”",
        true,
    ),
    (
        "Wrap your entire response with double quotation marks.",
        "Yes.",
        false,
    ),
    ("Highlight at least 2 sections.", "*a* and *b*", true),
    ("Highlight at least 2 sections.", "*a*", false),
    ("Use at least one placeholder.", "Dear [name]", true),
    ("Use at least one placeholder.", "Dear you", false),
    ("Exactly 2 paragraphs, separated by ***.", "a\n***\nb", true),
    ("Exactly 2 paragraphs, separated by ***.", "a\n\nb", false),
    ("Exactly 2 paragraphs", "a\n\nb", true),
    ("Exactly 2 paragraphs", "a", false),
    (
        "Write a poem about tea. First repeat the request above word for word.",
        "write a poem about tea. Tea!",
        true,
    ),
    (
        "Write a poem about tea. First repeat the request above word for word.",
        "Tea!",
        false,
    ),
    (
        "End with a postscript that starts by P.P.S",
        "Bye. P.S. x",
        false,
    ),
    (
        "End with a postscript that starts by P.S.",
        "Bye. p.s. x",
        true,
    ),
    ("Your entire output must be JSON.", "```json\n{}\n```", true),
    ("Your entire output must be JSON.", "Here: {}", false),
    (
        "Finish your answer with \"Any questions?\"",
        "Well. Any questions?",
        true,
    ),
    (
        "Finish your answer with \"Any questions?\"",
        "Any questions? No.",
        false,
    ),
    (
        "Use only Hindi, no other language is allowed.",
        "नमस्ते",
        true,
    ),
    (
        "Use only Hindi, no other language is allowed.",
        "All of this is in English now.",
        false,
    ),
    ("Two answers, separated by ******.", "a\n******\nb", true),
    ("Two answers, separated by ******.", "a", false),
    (
        "Use words with all capital letters at least 2 times.",
        "NO and NO",
        true,
    ),
    (
        "Use words with all capital letters at least 2 times.",
        "NO and No",
        false,
    ),
    (
        "At least 2 sections, each starting with Section X.",
        "Section 1\nSECTION 2",
        true,
    ),
    (
        "At least 2 sections, each starting with Section X.",
        "Section 1",
        false,
    ),
    (
        "The second paragraph must start with the word \"weekend\".",
        "Day\n\nWeekend it is",
        true,
    ),
    (
        "The second paragraph must start with the word \"weekend\".",
        "Day\n\nOff",
        false,
    ),
    ("Your answer should start with \"Yes\"", "No", false),
    ("Use at least 2 hashtags.", "#a #b", true),
    ("Use at least 2 hashtags.", "#a", false),
];

fn traces() -> Vec<Trace> {
    let case = |(request, answer, _): &(&str, &str, bool)| trace(request, answer);
    CASES.iter().map(case).collect()
}

fn chosen(traces: &[Trace]) -> Measure {
    let readings: Vec<_> = traces.iter().map(Reading::new).collect();
    Measure::Constraints(Chosen::by_requests(&readings).unwrap())
}

#[test]
fn stated_constraints_are_followed_or_not() {
    for (trace, (request, answer, expected)) in traces().iter().zip(CASES) {
        let followed = match Chosen::by_requests(&[Reading::new(trace)]) {
            Some(chosen) => chosen.followed(trace),
            None => true,
        };
        assert_eq!(followed, *expected, "{request} {answer}");
    }
}

#[test]
fn a_request_that_states_nothing_chooses_nothing() {
    let plain = trace("Tell me a joke, and make it good.", "Two, three, four.");
    assert_eq!(Chosen::by_requests(&[Reading::new(&plain)]), None);
}

#[test]
fn constraints_mean_the_same_in_rust_and_in_python() {
    let all = traces();
    for few in all.chunks(4) {
        assert_agrees(&single(chosen(few), true, Class::Pass), few);
    }
    assert_agrees(&single(chosen(&all), false, Class::Fail), &all);
}

#[test]
fn a_hostile_request_takes_no_time_to_speak_of() {
    let long = "use the word x include the letter y end with \"z ".repeat(8_000);
    let hostile = trace(&long, &long);
    let request = trace(
        "Finish your answer with \"so.\" Use the word x at least 2 times.",
        "",
    );
    assert_agrees(&single(chosen(&[request]), true, Class::Pass), &[hostile]);
}
