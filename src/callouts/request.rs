//! The body of a call, as Langfuse sends it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::{head, one_line};
use crate::error::ApiError;

/// A person marks some traces in a list; nobody marks so many.
const ITEMS_MAX: usize = 1_000;
/// Characters of an id; Langfuse's own are shorter.
const ID_MAX: usize = 500;
/// Characters of a person's name.
const PERSON_MAX: usize = 80;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A trace, also where the person looked at one of its observations.
    Trace(String),
    /// A session: its last trace.
    Session(String),
}

impl Subject {
    /// The words in rows.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Trace(id) => ("trace", id),
            Self::Session(id) => ("session", id),
        }
    }

    /// Reads [`Subject::parts`] back.
    pub fn of(kind: &str, id: String) -> Self {
        match kind {
            "session" => Self::Session(id),
            _ => Self::Trace(id),
        }
    }
}

/// One thing that is asked about, once however often the call names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// What.
    pub subject: Subject,
    /// The project in Langfuse; `None` where the call does not say.
    pub project: Option<String>,
}

/// The items of a body `{"version": 1, "items": [{"projectId", "traceId", "observationId", "sessionId"}]}`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn items(body: &Value) -> Result<BTreeSet<Item>, ApiError> {
    if !matches!(body["version"].as_u64(), Some(1)) {
        return Err(malformed("the body must have \"version\": 1"));
    }
    let items = body["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(malformed("\"items\" must list 1 to 1,000 objects"));
    }
    items.iter().map(item).collect()
}

fn item(value: &Value) -> Result<Item, ApiError> {
    let id = |key: &str| {
        let id = value[key].as_str().filter(|id| !id.is_empty());
        match id.filter(|id| id.chars().count() > ID_MAX) {
            Some(_) => Err(malformed(
                "an id in \"items\" is longer than 500 characters",
            )),
            None => Ok(id.map(str::to_owned)),
        }
    };
    let subject = match (id("traceId")?, id("sessionId")?) {
        (Some(trace), _) => Subject::Trace(trace),
        (None, Some(session)) => Subject::Session(session),
        (None, None) => {
            return Err(malformed(
                "each of \"items\" must have a traceId or a sessionId",
            ));
        }
    };
    Ok(Item {
        subject,
        project: id("projectId")?,
    })
}

fn malformed(text: &str) -> ApiError {
    ApiError::Malformed(text.to_owned())
}

/// Who asked, as far as the call says: its header, else its `user`, a name or an object with one.
pub fn person(header: Option<&str>, body: &Value) -> Option<String> {
    let user = &body["user"];
    let named = ["name", "email", "id"]
        .iter()
        .map(|key| user[*key].as_str());
    let said = [header, user.as_str()].into_iter().chain(named).flatten();
    said.map(one_line)
        .find(|name| !name.is_empty())
        .map(|name| head(&name, PERSON_MAX).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn subjects(body: Value) -> Vec<Subject> {
        let items = items(&body).expect("it is fine");
        items.into_iter().map(|item| item.subject).collect()
    }

    #[test]
    fn an_item_is_about_its_trace_and_about_the_session_where_it_names_no_trace() {
        let all = json!({"projectId": "p", "traceId": "t", "observationId": "o", "sessionId": "s"});
        let session =
            json!({"projectId": "p", "traceId": null, "observationId": null, "sessionId": "s"});
        let body =
            json!({"version": 1, "items": [all, session, {"traceId": "t", "projectId": "p"}]});
        let expected = [Subject::Trace("t".into()), Subject::Session("s".into())];
        assert_eq!(subjects(body), expected, "each once");
    }

    #[test]
    fn what_is_not_such_a_body_is_refused_with_a_sentence() {
        let long = "x".repeat(501);
        for body in [
            json!({}),
            json!([]),
            json!({"version": 2, "items": [{"traceId": "t"}]}),
            json!({"version": 1}),
            json!({"version": 1, "items": []}),
            json!({"version": 1, "items": "t"}),
            json!({"version": 1, "items": ["t"]}),
            json!({"version": 1, "items": [{"observationId": "o"}]}),
            json!({"version": 1, "items": [{"traceId": ""}]}),
            json!({"version": 1, "items": [{"traceId": long}]}),
            json!({"version": 1, "items": vec![json!({"traceId": "t"}); 1_001]}),
        ] {
            let refused = items(&body).expect_err("it is wrong").to_string();
            assert!(
                refused.contains("must") || refused.contains("longer"),
                "{refused}"
            );
        }
    }

    #[test]
    fn who_asked_is_the_header_or_the_body_in_one_short_line() {
        let named =
            json!({"user": {"id": "u1", "name": " Ada\nLovelace ", "email": "ada@example"}});
        assert_eq!(person(Some("Grace"), &named).as_deref(), Some("Grace"));
        assert_eq!(person(Some(" "), &named).as_deref(), Some("Ada Lovelace"));
        assert_eq!(
            person(None, &json!({"user": "Ada"})).as_deref(),
            Some("Ada")
        );
        assert_eq!(person(None, &json!({"user": {"id": 7}})), None);
        let endless = json!({"user": "é".repeat(10_000)});
        assert_eq!(person(None, &endless).expect("a name").chars().count(), 80);
    }
}
