use super::{Spoken, Value, flag, number};
use crate::generate::rules::helpers::Helper;
use crate::generate::rules::measure::{Claim, Match, Passage};
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
        Source::Any => known(
            "source_texts(trace)",
            "ANY_SOURCE",
            "any source",
            Some(Helper::SourceTexts),
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
            "content_words",
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
    let subject = format!("{}_{}", place.subject, plural.to_uppercase());
    let clause = move |amount: &str| format!("takes {amount} of its {plural} from {}", place.name);
    let value = number("share", &subject, "reason", clause);
    Spoken {
        helpers,
        constants: place.constant.into_iter().collect(),
        setup: vec![
            format!("claims = {claims}(trace[\"output_text\"])"),
            format!("known = set({known}({}))", place.expression),
            "share = sum(claim in known for claim in claims) / max(1, len(claims))".to_owned(),
            format!(
                "reason = f\"{{share:.0%}} of its {plural} are in {}\"",
                place.name
            ),
            "lacking = \", \".join(sorted(set(claims) - known))".to_owned(),
        ],
        undefined: Some(("not claims or not known", "\"there is nothing to compare\"")),
        ..Spoken::new(value.saying(1, "f\"{reason}, not “{lacking:.60}”\""))
    }
}

pub fn missing(claim: Claim, source: &Source) -> Spoken {
    let (claims, known, plural, helpers) = looked_up(claim);
    let lookup = format!("set({claims}(answer)) - set(known)");
    let quoting = format!("its {plural} “{{listed:.60}}” are not in");
    not_there((plural, known, &lookup, &quoting), source, helpers)
}

pub fn invented(passage: Passage, source: &Source) -> Spoken {
    match passage {
        Passage::Quotation => {
            let lookup = "{quote for quote in quotations(answer) if plain(quote) not in known}";
            let helpers = vec![Helper::Quotations, Helper::Plain];
            let quoting = "it quotes “{listed:.60}”, which is not in";
            not_there(("quotations", "plain", lookup, quoting), source, helpers)
        }
        Passage::Link => {
            let quoting = "it links to {listed:.60}, which is not in";
            let lookup = "set(links(answer)) - set(known)";
            not_there(
                ("links", "links", lookup, quoting),
                source,
                vec![Helper::Links],
            )
        }
    }
}

/// What an answer has and a source lacks: its plural, what is known of a source, the set of it, and how a reason quotes it.
fn not_there(
    (plural, known, lookup, quoting): (&'static str, &str, &str, &str),
    source: &Source,
    mut helpers: Vec<Helper>,
) -> Spoken {
    let place = place(source);
    helpers.extend(place.helper);
    let subject = format!("{plural}_NOT_{}", place.subject).to_uppercase();
    let name = place.name;
    let clause = move |amount: &str| format!("has {amount} {plural} that are not in {name}");
    let reason = format!("f\"{{len(unknown)}} of its {plural} are not in {name}\"");
    let value = number("len(unknown)", &subject, &reason, clause);
    Spoken {
        helpers,
        constants: place.constant.into_iter().collect(),
        setup: vec![
            "answer = trace[\"output_text\"]".to_owned(),
            format!("known = {known}({})", place.expression),
            format!("unknown = {lookup}"),
            "listed = \", \".join(sorted(unknown))".to_owned(),
        ],
        ..Spoken::new(value.saying(0, &format!("f\"{quoting} {name}\"")))
    }
}

pub fn copies(source: &Source, length: usize) -> Spoken {
    let place = place(source);
    let mut helpers = vec![Helper::Words, Helper::Runs];
    helpers.extend(place.helper);
    let no = format!("copies no {length} words in a row from {}", place.name);
    let value = flag(
        ["copied", "not copied"],
        [
            &format!("f\"it copies “{{copied[0]:.80}}” from {}\"", place.name),
            &literal(&format!("it {no}")),
        ],
        [
            &format!("copies {length} words in a row from {}", place.name),
            &no,
        ],
    );
    let mut constants = vec![format!("COPIED_WORDS = {length}")];
    constants.extend(place.constant);
    Spoken {
        helpers,
        constants,
        setup: vec![
            format!(
                "known = set(runs(words({}), COPIED_WORDS))",
                place.expression
            ),
            "said = runs(words(trace[\"output_text\"]), COPIED_WORDS)".to_owned(),
            "copied = [run for run in said if run in known]".to_owned(),
        ],
        ..Spoken::new(value)
    }
}

pub fn longest_run(source: &Source) -> Spoken {
    let place = place(source);
    let mut helpers = vec![Helper::KeyWords, Helper::LongestRun];
    helpers.extend(place.helper);
    let name = place.name;
    let clause = move |amount: &str| format!("takes {amount} of its words in a row from {name}");
    let subject = format!("{}_RUN", place.subject);
    let reason = format!("f\"{{share:.0%}} of it is a run from {name}: “{{run:.60}}”\"");
    Spoken {
        helpers,
        constants: place.constant.into_iter().collect(),
        setup: vec![
            "answer = key_words(trace[\"output_text\"])".to_owned(),
            format!("known = key_words({})", place.expression),
            "run = longest_run(answer, known)".to_owned(),
            "share = len(run.split()) / max(1, len(answer))".to_owned(),
        ],
        undefined: Some(("not answer or not known", "\"there is nothing to compare\"")),
        ..Spoken::new(number("share", &subject, &reason, clause))
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
        Match::Best => {
            let lines = vec![BEST_REFERENCE, "share = share_said(best, answer)"];
            (Some(Helper::ShareSaid), lines, best_reference())
        }
        Match::Either => (Some(Helper::HasRun), vec![GIVEN], either_way()),
        Match::Equal => (None, vec![], equal()),
        Match::Covered => {
            let lines = vec![LACKING, SHARE_GIVEN];
            (Some(Helper::HasRun), lines, covered())
        }
    }
}

const BEST_REFERENCE: &str =
    "best = max(known, key=lambda text: share_said(text, answer), default=[])";
const GIVEN: &str =
    "given = [text for text in known if has_run(text, answer) or has_run(answer, text)]";
const LACKING: &str = "lacking = [text for text in known if not has_run(answer, text)]";
const SHARE_GIVEN: &str = "share = (len(known) - len(lacking)) / max(1, len(known))";

fn best_reference() -> Value {
    let clause = |amount: &str| format!("has {amount} of the words of a reference");
    let reason = "f\"it has {share:.0%} of the words of “{' '.join(best):.60}”\"";
    number("share", "REFERENCE_WORDS", reason, clause)
}

fn either_way() -> Value {
    flag(
        ["given", "not given"],
        [
            "f\"it gives the reference “{' '.join(given[0]):.60}”\"",
            "f\"it gives no reference, such as “{' '.join(known[0]):.60}”\"",
        ],
        [
            "gives a reference, or lies within one",
            "gives none of the references",
        ],
    )
}

fn equal() -> Value {
    flag(
        ["answer in known", "answer not in known"],
        [
            "f\"it is the reference “{' '.join(answer):.60}”\"",
            "f\"it is no reference, such as “{' '.join(known[0]):.60}”\"",
        ],
        ["is one of the references", "is none of the references"],
    )
}

fn covered() -> Value {
    let clause = |amount: &str| format!("gives {amount} of the references");
    let reason = "f\"it gives {share:.0%} of the references\"";
    let lacking = "f\"it does not give the reference “{' '.join(lacking[0]):.60}”\"";
    number("share", "REFERENCES_GIVEN", reason, clause).saying(1, lacking)
}
