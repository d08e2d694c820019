//! How the conventions of LLM tracing say what an observation is: a table each.
//!
//! A span may follow several at once. What it says in Langfuse's own words comes first, then OpenInference,
//! OpenTelemetry's GenAI conventions, OpenLLMetry and Vercel's AI SDK; within a table, the earlier line.

mod genai;
mod langfuse;
mod openinference;
mod openllmetry;
mod vercel;

use serde_json::{Map, Value};

use super::span::{Span, is_empty};
use super::values::{as_number, as_text, parsed};

/// What one attribute can say of an observation or its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The step's name, instead of the span's.
    Name,
    Model,
    Input,
    Output,
    Level,
    StatusMessage,
    SessionId,
    UserId,
    Tags,
    Environment,
    TraceName,
    TraceInput,
    TraceOutput,
    /// Whether this is the trace's root, whatever its parent.
    IsRoot,
    /// An object of token counts, or one of the counts.
    UsageDetails,
    Usage(&'static str),
    /// An object of costs in US dollars, or one of the costs.
    CostDetails,
    Cost(&'static str),
}

/// Whose metadata attributes under a prefix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Observation,
    Trace,
}

/// One convention.
pub struct Convention {
    /// What an attribute says.
    pub fields: &'static [(&'static str, Field)],
    /// An attribute, and the observation types that its values name. A value that ends with `*` stands for all
    /// that begin so; `*` alone for any.
    pub types: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    /// Prefixes of attributes that are metadata.
    pub metadata: &'static [(&'static str, Of)],
    /// Prefixes of attributes that input and output are read from.
    pub pieces: &'static [&'static str],
    /// The input, where it takes more than one attribute.
    pub input: fn(&Span) -> Option<Value>,
    /// The output, where it takes more than one attribute.
    pub output: fn(&Span) -> Option<Value>,
}

const ALL: [&Convention; 5] = [
    &langfuse::LANGFUSE,
    &openinference::OPENINFERENCE,
    &genai::GENAI,
    &openllmetry::OPENLLMETRY,
    &vercel::VERCEL,
];

/// Says nothing.
fn none(_: &Span) -> Option<Value> {
    None
}

/// What a span's attributes say of a field, the first that says anything.
pub fn said(span: &Span, field: Field) -> Option<&Value> {
    let mut lines = ALL.iter().flat_map(|convention| convention.fields);
    lines.find_map(|(key, means)| span.said(key).filter(|_| *means == field))
}

/// The same, of the span or else of what it runs in.
pub fn said_here_or_around(span: &Span, field: Field) -> Option<&Value> {
    let around = || {
        let mut lines = ALL.iter().flat_map(|convention| convention.fields);
        lines.find_map(|(key, means)| span.origin.resource.get(*key).filter(|_| *means == field))
    };
    said(span, field).or_else(around)
}

/// The observation's type, in Langfuse's words; a span that asks a model is a generation.
pub fn observation_type(span: &Span) -> &'static str {
    let named = ALL.iter().flat_map(|convention| convention.types);
    let named = named.filter_map(|(key, values)| {
        let said = span.text(key)?;
        let line = values.iter().find(|(value, _)| matches(said, value));
        line.map(|(_, named)| *named)
    });
    let asks_a_model = || said(span, Field::Model).map(|_| "GENERATION");
    named
        .into_iter()
        .next()
        .or_else(asks_a_model)
        .unwrap_or("SPAN")
}

fn matches(said: &str, value: &str) -> bool {
    match value.strip_suffix('*') {
        Some(head) => said.starts_with(head),
        None => said.eq_ignore_ascii_case(value),
    }
}

/// What went in; a text that holds an object or a list is parsed.
pub fn input(span: &Span) -> Value {
    let of = |convention: &&Convention| {
        (convention.input)(span).or_else(|| one(span, convention, Field::Input))
    };
    ALL.iter().find_map(of).unwrap_or_default()
}

/// What came out, in the same way.
pub fn output(span: &Span) -> Value {
    let of = |convention: &&Convention| {
        (convention.output)(span).or_else(|| one(span, convention, Field::Output))
    };
    ALL.iter().find_map(of).unwrap_or_default()
}

fn one(span: &Span, convention: &Convention, field: Field) -> Option<Value> {
    let mut lines = convention
        .fields
        .iter()
        .filter(|(_, means)| *means == field);
    lines.find_map(|(key, _)| span.said(key)).map(parsed)
}

/// Token counts (`usageDetails`): an object that says them all, else each by itself; null where none is said.
pub fn usage(span: &Span) -> Value {
    let single = |field| match field {
        Field::Usage(name) => Some(name),
        _ => None,
    };
    figures(span, Field::UsageDetails, single)
}

/// Costs in US dollars (`costDetails`), in the same way.
pub fn costs(span: &Span) -> Value {
    let single = |field| match field {
        Field::Cost(name) => Some(name),
        _ => None,
    };
    figures(span, Field::CostDetails, single)
}

fn figures(span: &Span, all: Field, single: fn(Field) -> Option<&'static str>) -> Value {
    if let Some(Value::Object(figures)) = said(span, all).map(parsed) {
        return Value::Object(figures);
    }
    let mut figures = Map::new();
    for (key, field) in ALL.iter().flat_map(|convention| convention.fields) {
        let Some(name) = single(*field) else {
            continue;
        };
        if let Some(value) = span.said(key).filter(|value| as_number(value).is_some()) {
            figures.entry(name).or_insert_with(|| value.clone());
        }
    }
    match figures.is_empty() {
        true => Value::Null,
        false => Value::Object(figures),
    }
}

/// A list of texts, also where it stands in a text: as JSON, or as one tag.
pub fn tags(span: &Span) -> Vec<String> {
    match said(span, Field::Tags).map(parsed) {
        Some(Value::Array(items)) => items.iter().filter_map(as_text).collect(),
        Some(other) => as_text(&other).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The metadata that is named as such: under a prefix and a key each, or as one object under the prefix.
pub fn metadata(span: &Span, of: Of) -> Map<String, Value> {
    let mut found = Map::new();
    let prefixes = ALL.iter().flat_map(|convention| convention.metadata);
    for (prefix, _) in prefixes.filter(|(_, whose)| *whose == of) {
        match span.said(prefix).map(parsed) {
            Some(Value::Object(fields)) => found.extend(fields),
            Some(other) => drop(found.insert("metadata".to_owned(), other)),
            None => {}
        }
        for (key, value) in &span.attributes {
            if let Some(key) = below(key, prefix)
                && !is_a_field(&format!("{prefix}.{key}"))
                && !is_empty(value)
            {
                found.insert(key.to_owned(), parsed(value));
            }
        }
    }
    found
}

fn is_a_field(key: &str) -> bool {
    let mut fields = ALL.iter().flat_map(|convention| convention.fields);
    fields.any(|(field, _)| *field == key)
}

/// Whether an attribute has been read for something: it is not repeated among what is left.
pub fn is_read(key: &str) -> bool {
    let is_under = |prefix: &str| key == prefix || below(key, prefix).is_some();
    let of = |convention: &&Convention| {
        convention.pieces.iter().any(|prefix| is_under(prefix))
            || convention
                .metadata
                .iter()
                .any(|(prefix, _)| is_under(prefix))
            || convention.types.iter().any(|(typed, _)| *typed == key)
    };
    is_a_field(key) || ALL.iter().any(of)
}

fn below<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix)?.strip_prefix('.')
}
