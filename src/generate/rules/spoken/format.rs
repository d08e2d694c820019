use super::{Spoken, flag};
use crate::generate::rules::json::Kind;
use crate::generate::rules::measure::Format;
use crate::generate::rules::python::{dict, literal};

pub fn fenced() -> Spoken {
    let value = flag(
        ["fenced", "not fenced"],
        [
            "\"it is wrapped in a code fence\"",
            "\"it is not wrapped in a code fence\"",
        ],
        [
            "is wrapped in a code fence",
            "is not wrapped in a code fence",
        ],
    );
    Spoken {
        imports: vec!["re"],
        constants: vec![FENCE.to_owned()],
        setup: vec!["fenced = re.fullmatch(FENCE, trace[\"output_text\"].strip())".to_owned()],
        ..Spoken::new(value)
    }
}

const UNCLOSED: &str = r#"def unclosed(text):
    """What the text opens and does not close; None if nothing."""
    if text.count("```") % 2:
        return "```"
    for opening, closing in ("()", "[]", "{}"):
        if text.count(opening) > text.count(closing):
            return opening
    return None"#;

pub fn unclosed() -> Spoken {
    let value = flag(
        ["opened", "not opened"],
        [
            "f\"it opens {opened} and does not close it\"",
            "\"it closes what it opens\"",
        ],
        [
            "leaves a bracket or a code fence open",
            "closes its brackets and code fences",
        ],
    );
    Spoken {
        functions: vec![UNCLOSED.to_owned()],
        setup: vec!["opened = unclosed(trace[\"output_text\"])".to_owned()],
        ..Spoken::new(value)
    }
}

const FENCE: &str = r#"FENCE = r"(?s)```[A-Za-z]*\n(.*)```""#;

const JSON_FAULT: &str = r#"def json_fault(text):
    """What is wrong with the JSON; None if nothing is."""
    fenced = re.fullmatch(FENCE, text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError) as error:
        return f"it is not valid JSON: {error}"
"#;

const NOT_NULL: &str = "    return None if value is not None else \"it is null\"";

const OTHER_FIELDS: &str =
    "    return \"it has other fields too\" if len(value) > len(FIELDS) else None";

const FIELD_FAULTS: &str = r#"    if not isinstance(value, dict):
        return "it is no JSON object"
    for name, kind in FIELDS.items():
        if name not in value or not isinstance(value[name], kind):
            return f"the field {name} is missing or of the wrong type"
"#;

pub fn json_format(format: &Format) -> Spoken {
    let (rest, fields, clause) = match format {
        Format::Json => (NOT_NULL.to_owned(), None, "valid JSON".to_owned()),
        Format::Fields(fields) => (
            format!("{FIELD_FAULTS}    return None"),
            Some(fields),
            format!("a JSON object with {}", listed(fields)),
        ),
        Format::ExactFields(fields) => {
            let clause = format!("a JSON object with {} and nothing else", listed(fields));
            (
                format!("{FIELD_FAULTS}{OTHER_FIELDS}"),
                Some(fields),
                clause,
            )
        }
    };
    let value = flag(
        ["not fault", "fault"],
        ["\"it is JSON of the right form\"", "fault"],
        [&format!("is {clause}"), &format!("is not {clause}")],
    );
    let fields = fields.map(|fields| fields_constant(fields));
    Spoken {
        imports: vec!["json", "re"],
        constants: [Some(FENCE.to_owned()), fields]
            .into_iter()
            .flatten()
            .collect(),
        functions: vec![format!("{JSON_FAULT}{rest}")],
        setup: vec!["fault = json_fault(trace[\"output_text\"])".to_owned()],
        ..Spoken::new(value)
    }
}

fn fields_constant(fields: &[(String, Option<Kind>)]) -> String {
    let items: Vec<_> = fields
        .iter()
        .map(|(name, kind)| (literal(name), python_type(*kind)))
        .collect();
    dict("FIELDS", &items)
}

fn python_type(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Text) => "str",
        Some(Kind::Number) => "(int, float)",
        Some(Kind::Flag) => "bool",
        Some(Kind::List) => "list",
        Some(Kind::Object) => "dict",
        Some(Kind::Null) | None => "object",
    }
}

fn listed(fields: &[(String, Option<Kind>)]) -> String {
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    match names.as_slice() {
        [] => "no fields".to_owned(),
        [one] => format!("the field {one}"),
        [first @ .., last] => format!("the fields {} and {last}", first.join(", ")),
    }
}
