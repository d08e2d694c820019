//! Langfuse's contract of code evaluators: what is dispatched, its limits, what may come back.
//!
//! Source: langfuse/langfuse, `packages/shared/src/server/evals/codeEvalDispatcherTypes.ts` and the runners in
//! `scripts/code-eval-runners`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Bytes of an evaluator's source.
pub const SOURCE_BYTES: usize = 256 * 1024;
/// Bytes of the whole dispatch.
pub const DISPATCH_BYTES: usize = 11 * 1024 * 1024 / 2;
/// Bytes of the answer.
pub const RESULT_BYTES: usize = 256 * 1024;
/// Characters of a TEXT score.
const TEXT_CHARS: usize = 500;

/// Why there are no scores, in the contract's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidResult,
    InvalidSource,
    PayloadTooLarge,
    ResultTooLarge,
    SourceTooLarge,
    Timeout,
    UnsupportedRuntime,
    UserCodeError,
}

impl Code {
    const ALL: [Self; 8] = [
        Self::InvalidResult,
        Self::InvalidSource,
        Self::PayloadTooLarge,
        Self::ResultTooLarge,
        Self::SourceTooLarge,
        Self::Timeout,
        Self::UnsupportedRuntime,
        Self::UserCodeError,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidResult => "INVALID_RESULT",
            Self::InvalidSource => "INVALID_SOURCE",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::ResultTooLarge => "RESULT_TOO_LARGE",
            Self::SourceTooLarge => "SOURCE_TOO_LARGE",
            Self::Timeout => "TIMEOUT",
            Self::UnsupportedRuntime => "UNSUPPORTED_RUNTIME",
            Self::UserCodeError => "USER_CODE_ERROR",
        }
    }
}

/// An evaluation that came to no scores: the evaluator's fault, or its input's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    pub message: String,
}

impl Refused {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    pub fn to_json(&self) -> Value {
        json!({"error": {"code": self.code.as_str(), "message": self.message}})
    }
}

/// What of a dispatch is looked at here; the sandbox is given all of it, as it came.
#[derive(Deserialize)]
struct Dispatched<'a> {
    #[serde(default)]
    scope: Scope<'a>,
    #[serde(default, borrow)]
    runtime: Option<Runtime<'a>>,
    #[serde(borrow)]
    code: Source<'a>,
    #[serde(default, borrow)]
    #[expect(dead_code, reason = "a second payload would be another one to Python")]
    payload: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scope<'a> {
    #[serde(default, borrow)]
    organization_id: Cow<'a, str>,
    #[serde(default, borrow)]
    project_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Runtime<'a> {
    #[serde(borrow)]
    language: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
}

/// A dispatch within the limits.
#[derive(Debug, PartialEq, Eq)]
pub struct Dispatch<'a> {
    /// Whose it is: an organisation and a project of Langfuse's.
    pub tenant: String,
    /// All of it, JSON.
    pub text: &'a str,
}

/// Why a body is no dispatch.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Langfuse sent it, and it can't be run.
    Refused(Refused),
    /// Langfuse would not send this; the text says what it would.
    Malformed(String),
}

/// Reads and checks a body.
///
/// # Errors
/// See [`Unfit`].
pub fn read(body: &[u8]) -> Result<Dispatch<'_>, Unfit> {
    let refused = |code, message: String| Err(Unfit::Refused(Refused::new(code, message)));
    if body.len() > DISPATCH_BYTES {
        let message = format!("The dispatch has more than {DISPATCH_BYTES} bytes");
        return refused(Code::PayloadTooLarge, message);
    }
    let malformed = |why: String| {
        Unfit::Malformed(format!(
            "the body is not a dispatch of Langfuse's ({why}); send \
             {{\"scope\", \"runtime\": {{\"language\": \"PYTHON\"}}, \"code\": {{\"source\"}}, \"payload\"}}"
        ))
    };
    let text = std::str::from_utf8(body).map_err(|error| malformed(error.to_string()))?;
    let dispatched: Dispatched<'_> =
        serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let language = dispatched.runtime.map(|runtime| runtime.language);
    if let Some(other) = language.filter(|language| language != "PYTHON") {
        let message = format!("iofold runs evaluators in PYTHON, and this one is in {other}");
        return refused(Code::UnsupportedRuntime, message);
    }
    if dispatched.code.source.len() > SOURCE_BYTES {
        let message = format!("The source has more than {SOURCE_BYTES} bytes");
        return refused(Code::SourceTooLarge, message);
    }
    let Scope {
        organization_id,
        project_id,
    } = dispatched.scope;
    let tenant = json!(["langfuse", organization_id, project_id]).to_string();
    Ok(Dispatch { tenant, text })
}

/// What an evaluator came to, from what its run said: scores as the contract has them, or an error. The run is
/// hostile; what is none of the contract's is refused or left out.
///
/// # Errors
/// The error that it says, or what is wrong with its scores.
pub fn result_of(said: &str) -> Result<Value, Refused> {
    if said.len() > RESULT_BYTES {
        let message = format!("The result has more than {RESULT_BYTES} bytes as JSON");
        return Err(Refused::new(Code::ResultTooLarge, message));
    }
    let invalid = |what: String| {
        Refused::new(
            Code::InvalidResult,
            format!("Invalid code eval result: {what}"),
        )
    };
    let said: Value = serde_json::from_str(said).map_err(|error| invalid(error.to_string()))?;
    let error = &said["error"];
    let code = Code::ALL
        .into_iter()
        .find(|code| error["code"] == code.as_str());
    if let (Some(code), Some(message)) = (code, error["message"].as_str()) {
        return Err(Refused::new(code, message));
    }
    let scores = said["scores"]
        .as_array()
        .filter(|scores| !scores.is_empty());
    let scores = scores
        .ok_or_else(|| invalid("scores must be a list with at least one score".to_owned()))?;
    let checked = scores.iter().enumerate().map(|(at, score)| {
        score_of(score).map_err(|problem| invalid(format!("scores[{at}].{problem}")))
    });
    Ok(json!({"scores": checked.collect::<Result<Vec<_>, _>>()?}))
}

/// A score with the contract's fields alone.
fn score_of(score: &Value) -> Result<Value, &'static str> {
    let name = score["name"].as_str().filter(|name| !name.is_empty());
    let mut kept = Map::new();
    kept.insert(
        "name".to_owned(),
        json!(name.ok_or("name must be a text that is not empty")?),
    );
    kept.insert("value".to_owned(), value_of(score)?.clone());
    for key in ["dataType", "comment", "configId"] {
        match &score[key] {
            Value::Null => {}
            text @ Value::String(_) => {
                kept.insert(key.to_owned(), text.clone());
            }
            _ => return Err("comment and configId must be texts"),
        }
    }
    match &score["metadata"] {
        Value::Null => {}
        fields @ Value::Object(_) => {
            kept.insert("metadata".to_owned(), fields.clone());
        }
        _ => return Err("metadata must be an object"),
    }
    Ok(Value::Object(kept))
}

fn value_of(score: &Value) -> Result<&Value, &'static str> {
    let value = &score["value"];
    let (is_fine, must) = match score["dataType"].as_str() {
        Some("NUMERIC") => (value.is_number(), "value must be a number, for NUMERIC"),
        Some("CATEGORICAL") => (value.is_string(), "value must be a text, for CATEGORICAL"),
        Some("BOOLEAN") => (
            is_boolean(value),
            "value must be true, false, 0 or 1, for BOOLEAN",
        ),
        Some("TEXT") => {
            let length = value.as_str().map_or(0, |text| text.encode_utf16().count());
            (
                (1..=TEXT_CHARS).contains(&length),
                "value must be a text of 1 to 500 characters, for TEXT",
            )
        }
        None if score["dataType"].is_null() => {
            let is_fine = value.is_number() || value.is_string();
            (
                is_fine,
                "value must be a number or a text where no data type is given",
            )
        }
        _ => (
            false,
            "dataType must be NUMERIC, CATEGORICAL, BOOLEAN or TEXT",
        ),
    };
    is_fine.then_some(value).ok_or(must)
}

/// As people write a boolean.
fn is_boolean(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Number(number) => matches!(number.as_f64(), Some(0.0 | 1.0)),
        Value::String(text) => {
            ["true", "false", "0", "1"].contains(&text.trim().to_lowercase().as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score(value: Value, data_type: Value) -> Result<Value, Refused> {
        result_of(
            &json!({"scores": [{"name": "n", "value": value, "dataType": data_type}]}).to_string(),
        )
    }

    #[test]
    fn a_value_must_fit_its_data_type() {
        let long = "é".repeat(500);
        for (value, data_type, is_fine) in [
            (json!(0.5), json!("NUMERIC"), true),
            (json!(true), json!("NUMERIC"), false),
            (json!("1"), json!("NUMERIC"), false),
            (json!("good"), json!("CATEGORICAL"), true),
            (json!(""), json!("CATEGORICAL"), true),
            (json!(1), json!("CATEGORICAL"), false),
            (json!(true), json!("BOOLEAN"), true),
            (json!(1.0), json!("BOOLEAN"), true),
            (json!(" TRUE "), json!("BOOLEAN"), true),
            (json!(2), json!("BOOLEAN"), false),
            (json!("yes"), json!("BOOLEAN"), false),
            (json!(long), json!("TEXT"), true),
            (json!(format!("{long}x")), json!("TEXT"), false),
            (json!(""), json!("TEXT"), false),
            (json!(1), Value::Null, true),
            (json!("a"), Value::Null, true),
            (json!(true), Value::Null, false),
            (Value::Null, Value::Null, false),
            (json!(1), json!("CORRECTION"), false),
            (json!(1), json!(7), false),
        ] {
            let got = score(value.clone(), data_type.clone());
            assert_eq!(got.is_ok(), is_fine, "{value} as {data_type}: {got:?}");
            if let Err(refused) = got {
                assert_eq!(refused.code, Code::InvalidResult);
                assert!(
                    refused.message.contains("scores[0]."),
                    "{}",
                    refused.message
                );
            }
        }
    }

    #[test]
    fn only_the_contracts_fields_come_through_and_scores_stand_over_an_error_beside_them() {
        let said = r#"{"scores":[{"name":"n","value":1,"comment":null,"metadata":{"a_b":1},"source":"EVAL"}]}"#;
        let kept = json!({"scores": [{"name": "n", "value": 1, "metadata": {"a_b": 1}}]});
        assert_eq!(result_of(said), Ok(kept));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"scores":[]}"#,
            r#"{"scores":[7]}"#,
            r#"{"error":{"code":"TIMEOUT"}}"#,
        ] {
            let refused = result_of(wrong).expect_err("it is wrong");
            assert_eq!(refused.code, Code::InvalidResult, "{wrong}");
        }
        let made_up = r#"{"error":{"code":"LAMBDA_INVOCATION_ERROR","message":"again"}}"#;
        let refused = result_of(made_up).expect_err("it is wrong");
        assert_eq!(
            refused.code,
            Code::InvalidResult,
            "a code that no evaluator may say"
        );
    }

    #[test]
    fn a_dispatch_is_read_within_its_limits_and_a_key_stands_once() {
        let with = |source: &str, language: &str| {
            json!({"scope": {"organizationId": "o", "projectId": "p"}, "runtime": {"language": language},
                "code": {"source": source}, "payload": {"observation": {"input": "\u{0}"}}})
            .to_string()
        };
        let good = with("x\n", "PYTHON");
        let read_good = read(good.as_bytes()).expect("it is one");
        assert_eq!(
            (read_good.tenant.as_str(), read_good.text),
            (r#"["langfuse","o","p"]"#, good.as_str())
        );
        let (long, huge) = ("x".repeat(SOURCE_BYTES + 1), " ".repeat(DISPATCH_BYTES + 1));
        for (body, code) in [
            (with("x", "TYPESCRIPT"), Code::UnsupportedRuntime),
            (with(&long, "PYTHON"), Code::SourceTooLarge),
            (huge, Code::PayloadTooLarge),
        ] {
            let Err(Unfit::Refused(refused)) = read(body.as_bytes()) else {
                panic!("{code:?}");
            };
            assert_eq!(refused.code, code);
        }
        for body in [
            "",
            "{}",
            "[]",
            r#"{"code": {"source": 1}}"#,
            r#"{"code": {"source": "a", "source": "b"}}"#,
            r#"{"code": {"source": "a"}, "code": {"source": "b"}}"#,
        ] {
            assert!(
                matches!(read(body.as_bytes()), Err(Unfit::Malformed(_))),
                "{body}"
            );
        }
        assert!(matches!(read(b"\xff"), Err(Unfit::Malformed(_))));
    }

    proptest! {
        #[test]
        fn whatever_is_said_comes_to_scores_or_to_an_error(said in "(?s).{0,60}") {
            prop_assert!(result_of(&said).is_err() || said.contains("scores"));
        }
    }
}
