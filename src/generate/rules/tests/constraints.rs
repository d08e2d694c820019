use super::*;
use crate::generate::rules::constraints::{Asked, Family, check};

/// All kinds of a family, whatever the requests state.
fn all_of(family: Family) -> Measure {
    Measure::Constraints(Asked::all_of(family))
}

/// Whether the answer follows what the request asks for, in Rust, once Python has said the same.
#[track_caller]
fn follows(request: &str, answer: &str) -> bool {
    let trace = trace(request, answer);
    let checked = Reading::new(&trace).constraints;
    let Some(asked) = Asked::of(&[checked]).first().copied() else {
        return true;
    };
    let measure = Measure::Constraints(asked);
    assert_agrees(&single(measure, true, Class::Pass), &[trace]);
    asked.is_followed(checked)
}

/// Requests in several phrasings, an answer that keeps to them all, and one that breaks each.
const STATED: &[(&[&str], &str, &str)] = &[
    (
        &[
            "Do not use any commas.",
            "Avoid commas, please.",
            "No commas in your reply!",
            "Commas are not allowed.",
            "Refrain from using commas.",
            "Write it without commas.",
        ],
        "One and two",
        "One, two",
    ),
    (
        &[
            "Answer in all lowercase letters.",
            "Use only lower case.",
            "No capital letters are allowed.",
            "Write without capital letters.",
            "Don't use capital letters.",
        ],
        "quiet, ünïcode",
        "Loud",
    ),
    (
        &[
            "Your entire response should be in English, and in all capital letters.",
            "Answer in all caps.",
            "Use only capital letters.",
            "No lowercase letters are allowed.",
        ],
        "LOUD! 123 É",
        "LOUd",
    ),
    (
        &[
            "Use words with all capital letters at least 2 times.",
            "Have at least two words in all caps.",
        ],
        "BIG and BAD",
        "BIG bad",
    ),
    (&["Contain 2 or more exclamation marks."], "Oh! Ah!", "Oh!"),
    (
        &["Use no punctuation.", "Write without any punctuation."],
        "so it is",
        "So it is.",
    ),
    (
        &[
            "Write at least 4 words.",
            "Use at least four words.",
            "4+ words please.",
            "Use 4 or more words.",
            "No fewer than 4 words.",
            "Use more than three words.",
            "A minimum of 4 words.",
        ],
        "a b c d",
        "a b c",
    ),
    (
        &[
            "Use less than 4 words.",
            "Use fewer than four words.",
            "At most 3 words.",
            "No more than 3 words.",
            "3 words or less: that is 3 or less words.",
            "Use up to three words.",
            "A maximum of 3 words.",
        ],
        "a b c",
        "a b c d",
    ),
    (&["Use exactly two words."], "a b", "a"),
    (
        &["Write 3 minor sentences.", "Write 3 sentences."],
        "One. Two. Three.",
        "One. Two. Three. Four.",
    ),
    (
        &["Write 2 to 3 words.", "Between 2 and 3 words."],
        "a b",
        "a b c d",
    ),
    (
        &[
            "Write at least three sentences.",
            "Have 3 or more sentences.",
        ],
        "One. Two! Three?",
        "One. Two v1.5 is.",
    ),
    (
        &["Use exactly one sentence.", "At most 1 sentence."],
        "It is 3.5 m.",
        "It is. It was.",
    ),
    (
        &[
            "Write 2 paragraphs. Separate them with the markdown divider: ***",
            "Give exactly 2 parts separated by ***.",
        ],
        "one *a*\n***\ntwo",
        "one\n\ntwo",
    ),
    (
        &[
            "There should be 2 paragraphs separated by two new lines.",
            "Write exactly two paragraphs with blank lines between.",
        ],
        "one\nmore\n\ntwo",
        "one\n\n\ntwo\n\nthree",
    ),
    (&["Use at most 5 characters."], "äöüß…", "äöüß…!"),
    (&["Write at least 2 lines."], "a\n\nb", "a"),
    (
        &[
            "Exactly 2 bullet points.",
            "Include exactly two bullet points in markdown.",
            "List 2 bullets.",
        ],
        "- a\n  * b",
        "- a\n- b\n* c",
    ),
    (
        &[
            "Write 2 sections. Mark the beginning of each section with SECTION X.",
            "It must have 2 sections marked with Section X",
        ],
        "Section 1\na\nSECTION 2\nb",
        "Part 1\na\nPart 2\nb",
    ),
    (
        &["Include at least 2 placeholders in square brackets, such as [address]."],
        "[a] or [b c]",
        "[a]",
    ),
    (
        &[
            "Highlight at least 2 sections with markdown.",
            "Italicize at least two phrases.",
            "At least 2 text sections should be highlighted.",
        ],
        "*a* and **b**",
        "*a* and b",
    ),
    (
        &[
            "Separate the responses with 6 asterisk symbols.",
            "Give two answers separated by ******.",
        ],
        "a ****** b",
        "a *** b",
    ),
    (
        &[
            "Add a title in double angular brackets.",
            "Have a title, i.e. <<title>>.",
        ],
        "<<A b>> c",
        "<A b> c",
    ),
    (
        &[
            "Wrap the output in JSON format.",
            "Answer as JSON.",
            "Give it as a JSON object.",
            "Reply with valid JSON only.",
        ],
        " ```json\n{\"a\": 1}\n``` ",
        "Here: {\"a\": 1}",
    ),
    (&["Include at least 2 hashtags."], "#a #b", "#a"),
    (
        &[
            "The letter q should appear at least 2 times.",
            "Make sure the word 'Q' appears at least twice.",
            "Use the letter q no less than 2 times.",
        ],
        "Q, q",
        "q",
    ),
    (
        &[
            "The word egg should appear exactly once.",
            "Use the word egg only one time.",
        ],
        "An egg",
        "Egg, egg",
    ),
    (&["Use the word \"once\"."], "Once more", "One time more"),
    (
        &["Include the keywords foo\u{a0}bar."],
        "foo\u{a0}bar",
        "foo, bar",
    ),
    (
        &["The word egg must appear less than 2 times."],
        "Egg",
        "egg eggs",
    ),
    (
        &[
            "Do not use the letter e.",
            "Write it without using the letter 'e'.",
        ],
        "Hi, you",
        "Hello",
    ),
    (
        &[
            "Do not use the word egg.",
            "Avoid the keywords: 'ham', 'bread', and 'egg'.",
            "Don't include \"egg\" and \"ham\".",
            "Write without the words egg, ham or spam.",
            "Do not mention the keywords “ham” and “egg”.",
        ],
        "Eggs",
        "An EGG.",
    ),
    (
        &[
            "Include the keywords 'egg' and 'ham'.",
            "Use the words egg, ham and bread.",
            "You must include the words ham and egg.",
            "Mention “ham” and “egg”.",
        ],
        "Eggs, ham, bread",
        "Ham, bread",
    ),
    (
        &[
            "Answer in German, no other language is allowed.",
            "Write in Hindi language, no other language is allowed.",
        ],
        "Das ist gut.",
        "This is good.",
    ),
    (
        &[
            "Finish your response with this exact phrase: \"That is all, folks.\"",
            "End with “That is all, folks.”",
        ],
        "Well. That is all, folks.\n",
        "That is all, folks. Bye.",
    ),
    (
        &["Your response must start with \"Well now\"."],
        "Well now, yes",
        "Oh. Well now",
    ),
    (
        &[
            "Wrap your entire response with double quotation marks.",
            "Your answer should be wrapped in double quotes.",
            "Put double quotes around it all.",
        ],
        "\n\"Yes.\"",
        "\"Yes\", he said.",
    ),
    (
        &[
            "Add a postscript starting with P.S.",
            "At the end add a P.P.S note.",
        ],
        "Bye.\nP.P.S. P.S. Hi",
        "Bye.",
    ),
    (
        &["Answer with 'My answer is yes.', 'My answer is no.' or 'My answer is maybe.'"],
        "Hm. My answer is no.",
        "No.",
    ),
    (
        &[
            "Write a tale of mice.\nFirst repeat the request word for word.",
            "Write a tale of mice.\n\nBefore that, repeat the sentence above.",
        ],
        "Write a tale of mice.\nOnce there was",
        "Once upon a time there was a mouse that lived in an old and very grand hotel.",
    ),
];

#[test]
fn each_kind_is_understood_in_several_phrasings() {
    for (requests, kept, broken) in STATED {
        for request in *requests {
            let stated = check(request, "", "").stated;
            assert_ne!(stated, Default::default(), "not understood: {request}");
            assert!(follows(request, kept), "{request} is kept by {kept:?}");
            assert!(
                !follows(request, broken),
                "{request} is broken by {broken:?}"
            );
        }
    }
}

#[test]
fn a_request_that_states_nothing_is_followed() {
    for request in [
        "",
        "Tell me a joke.",
        "Use at least many words.",
        "Who wrote the sentence in the book?",
        "ÀÉ ½ ٣ words",
        "I don't know the capital of Peru.",
        "I don’t know all the capital letters.",
        "Do not forget to use commas.",
        "You can't understand it without the rules, so don't hesitate to use punctuation.",
        "Explain what a JSON parser does.",
        "I do not know what \"serendipity\" means.",
        "Escape the double quotes in this csv.",
        "Answer in English and no other language.",
        "Use only English, no other languages.",
    ] {
        assert!(follows(request, "Two, three, FOUR."), "{request}");
        assert_eq!(
            check(request, "", "").stated,
            Default::default(),
            "{request}"
        );
    }
}

#[test]
fn an_eval_checks_what_the_requests_state_that_it_was_learnt_from() {
    let commas = check("No commas.", "a", "a");
    let words = check("At least 3 words.", "a", "a");
    let asked = Asked::of(&[commas, words]);
    let families: Vec<_> = asked.iter().map(|asked| asked.family).collect();
    assert_eq!(
        families,
        [None, Some(Family::Length), Some(Family::Letters)]
    );
    assert!(!asked[0].is_followed(words) && asked[2].is_followed(words));
    assert!(Asked::of(&[]).is_empty());
    assert_eq!(
        Asked::of(&[commas]).len(),
        1,
        "a family that is all there is stands once"
    );
}

#[test]
fn the_reason_quotes_what_is_asked_and_says_what_there_is() {
    let trace = trace(
        "Write at least three words and include the keyword \"egg\".",
        "a b",
    );
    for (family, expected) in [
        (Family::Length, "asks for \"at least three words\", has 2"),
        (
            Family::Wording,
            "asks for \"and include the keyword \"egg\"\", has 0 \"egg\"",
        ),
    ] {
        let (source, _) = emit(&single(all_of(family), true, Class::Pass));
        assert_eq!(run(&source, &trace).result.unwrap().1, expected);
    }
}

#[test]
fn an_eval_of_constraints_has_those_that_requests_state() {
    let requests = [
        "Use no commas and at least 3 words.",
        "End with \"Bye\". Do not use the word egg.",
    ];
    let asked = Asked::of(&requests.map(|request| check(request, "", "")));
    let rules = single(Measure::Constraints(asked[0]), true, Class::Pass);
    insta::assert_snapshot!(emit(&rules).0.as_str());
}

#[test]
fn the_constraints_of_many_requests_fit_on_a_page_in_lines_of_88() {
    let traces: Vec<_> = STATED
        .iter()
        .flat_map(|(requests, _, broken)| {
            requests
                .iter()
                .map(|request| check(request, broken, &broken.to_lowercase()))
        })
        .collect();
    let families = Family::ALL.map(Asked::all_of);
    for asked in Asked::of(&traces).into_iter().chain(families) {
        let (source, _) = emit(&single(Measure::Constraints(asked), true, Class::Pass));
        let lines: Vec<&str> = source.as_str().lines().collect();
        assert!(
            lines.len() <= 60,
            "{} lines\n{}",
            lines.len(),
            source.as_str()
        );
        for line in lines {
            assert!(
                line.chars().count() <= 88,
                "{} {line}",
                line.chars().count()
            );
        }
    }
}

/// Pieces of requests and answers on which Python and Rust could differ.
const PIECES: &[&str] = &[
    "at least ",
    "less than ",
    "no more than ",
    "exactly ",
    "3",
    "two",
    "000012",
    "9999999",
    "٣",
    "²",
    " words",
    " sentences",
    " or more",
    "+ words",
    " to ",
    " bullet points",
    " paragraphs",
    " separated by ***.",
    "\n\n",
    "\n",
    " \n",
    "* a",
    "- b",
    "without ",
    "the words ",
    "don't use ",
    "include ",
    "\"",
    "'",
    "“egg”",
    "‘ham’",
    "egg",
    " and ",
    ", ",
    "(",
    "[a]",
    "<<t>>",
    "letter ",
    "i",
    "İ",
    "ς",
    "Σ",
    "ß",
    "ẞ",
    "ſ",
    "K",
    "é",
    "e\u{301}",
    "\u{1c}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "你好",
    ".",
    "!",
    "?",
    "P.S",
    "ALL CAPS ",
    "in all lowercase ",
    "end with ",
    "repeat ",
    "twice",
    "once",
    "fewer",
    "{",
    "}",
    "\\",
    "KEY",
    "NUM",
    "*x*",
    "***",
    "******",
    "section x",
    "Section 1",
    "json ",
    "```",
    "commas",
    "times ",
    "no other language",
    "the ",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A request that states something, with anything in it.
fn request() -> impl Strategy<Value = String> {
    let stated: Vec<&str> = STATED
        .iter()
        .flat_map(|(requests, ..)| requests.iter().copied())
        .collect();
    (
        text(),
        proptest::sample::select(stated),
        text(),
        0..80_usize,
    )
        .prop_map(|(before, stated, after, cut)| {
            let kept: String = stated
                .chars()
                .take(stated.chars().count().max(80) - cut)
                .collect();
            format!("{before}{kept}{after}")
        })
}

#[test]
fn no_text_takes_longer_to_check_than_an_eval_may() {
    let mut requests: Vec<&str> = STATED.iter().map(|(requests, ..)| requests[0]).collect();
    requests.extend(["End with \" \".", "Your response must start with \" \"."]);
    for text in hostile_texts() {
        for request in &requests {
            follows(request, &text);
        }
        for family in Family::ALL {
            let rules = single(all_of(family), true, Class::Pass);
            assert_agrees(&rules, &[trace(&text, &text)]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_request_and_answer_mean_the_same_in_rust_and_in_python(request in request(), answer in text()) {
        follows(&request.replace('\0', ""), &answer.replace('\0', ""));
    }
}
