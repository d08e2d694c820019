use super::{Spoken, Value, flag, number};
use crate::generate::rules::helpers::Helper;
use crate::generate::rules::measure::{Claim, Match};
use crate::generate::rules::python::{assignment, literal};
use crate::generate::rules::reading::Source;

/// A source in Python and in words.
struct Place {
    expression: &'static str,
    /// A part of a constant's name.
    subject: &'static str,
    name: &'static str,
    helper: Option<Helper>,
    constant: Option<String>,
}

fn place(source: &Source) -> Place {
    let known = |expression, subject, name, helper| Place {
        expression,
        subject,
        name,
        helper,
        constant: None,
    };
    match source {
        Source::Request => known("trace[\"input_text\"]", "REQUEST", "the request", None),
        Source::Retrieved => known(
            "retrieved_text(trace)",
            "RETRIEVED",
            "the retrieved text",
            Some(Helper::RetrievedText),
        ),
        Source::Instructions => known(
            "instructions(trace)",
            "INSTRUCTED",
            "the instructions",
            Some(Helper::Instructions),
        ),
        Source::Tools => known(
            "tool_results(trace)",
            "TOOL",
            "the tools' results",
            Some(Helper::ToolResults),
        ),
        Source::Metadata(field) => Place {
            constant: Some(assignment("FIELD", &literal(field))),
            ..known(
                "text_of(trace[\"metadata\"].get(FIELD))",
                "KNOWN",
                "the metadata",
                Some(Helper::TextOf),
            )
        },
    }
}

/// The functions that take claims, and what is known, from a text; and the claims' plural.
fn looked_up(claim: Claim) -> (&'static str, &'static str, &'static str, Vec<Helper>) {
    match claim {
        Claim::Words => (
            "content_words",
            "words",
            "words",
            vec![Helper::ContentWords],
        ),
        Claim::Numbers => ("numbers", "numbers", "numbers", vec![Helper::Numbers]),
        Claim::Names => (
            "names",
            "words",
            "names",
            vec![Helper::Names, Helper::Words],
        ),
    }
}

pub fn share(claim: Claim, source: &Source) -> Spoken {
    let (claims, known, plural, mut helpers) = looked_up(claim);
    let place = place(source);
    helpers.extend(place.helper);
    helpers.push(Helper::ShareFound);
    let reason = format!("f\"{{share:.0%}} of its {plural} are in {}\"", place.name);
    let subject = format!("{}_{}", place.subject, plural.to_uppercase());
    let clause = move |amount: &str| format!("takes {amount} of its {plural} from {}", place.name);
    Spoken {
        helpers,
        constants: place.constant.into_iter().collect(),
        setup: vec![
            format!("claims = {claims}(trace[\"output_text\"])"),
            format!(
                "share = share_found(claims, set({known}({})))",
                place.expression
            ),
        ],
        undefined: Some(("share is None", "\"there is nothing to compare\"")),
        ..Spoken::new(number("share", &subject, &reason, clause))
    }
}

pub fn missing(claim: Claim, source: &Source) -> Spoken {
    let (claims, known, plural, mut helpers) = looked_up(claim);
    let place = place(source);
    helpers.extend(place.helper);
    let reason = format!(
        "f\"{{len(unknown)}} of its {plural} are not in {}\"",
        place.name
    );
    let subject = format!("{plural}_NOT_{}", place.subject).to_uppercase();
    let clause =
        move |amount: &str| format!("has {amount} {plural} that are not in {}", place.name);
    Spoken {
        helpers,
        constants: place.constant.into_iter().collect(),
        setup: vec![
            format!("unknown = set({claims}(trace[\"output_text\"]))"),
            format!("unknown -= set({known}({}))", place.expression),
        ],
        ..Spoken::new(number("len(unknown)", &subject, &reason, clause))
    }
}

pub fn reference(field: &str, how: Match) -> Spoken {
    let (helper, lines, value) = compared(how);
    let mut setup = vec![
        "answer = key_words(trace[\"output_text\"])",
        "known = references(trace)",
    ];
    setup.extend(lines);
    let mut helpers = vec![Helper::KeyWords, Helper::References];
    helpers.extend(helper);
    Spoken {
        helpers,
        constants: vec![assignment("FIELD", &literal(field))],
        setup: setup.into_iter().map(str::to_owned).collect(),
        undefined: Some(("not known", "\"there are no references\"")),
        ..Spoken::new(value)
    }
}

/// The helper, the lines and the value that compare an answer with references.
fn compared(how: Match) -> (Option<Helper>, Vec<&'static str>, Value) {
    match how {
        Match::Best => (
            Some(Helper::ShareSaid),
            vec![BEST_REFERENCE],
            best_reference(),
        ),
        Match::Either => {
            let lines = vec![WITHIN_A_REFERENCE, GIVES_A_REFERENCE];
            (Some(Helper::HasRun), lines, either_way())
        }
        Match::Equal => {
            let tests = ["answer in known", "answer not in known"];
            let reasons = [
                "\"it is one of the references\"",
                "\"it is none of the references\"",
            ];
            (
                None,
                vec![],
                flag(
                    tests,
                    reasons,
                    ["is one of the references", "is none of the references"],
                ),
            )
        }
        Match::Covered => (
            Some(Helper::HasRun),
            vec![REFERENCES_GIVEN, SHARE_GIVEN],
            covered(),
        ),
    }
}

const BEST_REFERENCE: &str = "share = max((share_said(text, answer) for text in known), default=0)";
const WITHIN_A_REFERENCE: &str = "within = any(has_run(text, answer) for text in known)";
const GIVES_A_REFERENCE: &str = "gives = any(has_run(answer, text) for text in known)";
const REFERENCES_GIVEN: &str = "given = sum(has_run(answer, text) for text in known)";
const SHARE_GIVEN: &str = "share = given / max(1, len(known))";

fn best_reference() -> Value {
    let clause = |amount: &str| format!("has {amount} of the words of a reference");
    number(
        "share",
        "REFERENCE_WORDS",
        "f\"it has {share:.0%} of a reference's words\"",
        clause,
    )
}

fn either_way() -> Value {
    flag(
        ["within or gives", "not within and not gives"],
        [
            "\"it gives a reference\"",
            "\"it gives none of the references\"",
        ],
        [
            "gives a reference, or lies within one",
            "gives none of the references",
        ],
    )
}

fn covered() -> Value {
    let clause = |amount: &str| format!("gives {amount} of the references");
    number(
        "share",
        "REFERENCES_GIVEN",
        "f\"it gives {given} of {len(known)} references\"",
        clause,
    )
}
