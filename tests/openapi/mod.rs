//! Whether what goes between a client and the stand-in for Langfuse is as Langfuse's OpenAPI description says.
//!
//! The description is tests/fixtures/langfuse-openapi.json, made by script/langfuse-openapi. Every exchange of a
//! [`watched`] stand-in is held against it: the method and path, the parameters with their types, the request's body,
//! the answer's status and body.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const API: &str = "/api/public/";
/// What is used and not described, and why.
const BEYOND: [(&str, &str); 3] = [
    (
        "ready",
        "for load balancers, in no version of the description",
    ),
    ("v2/evaluators", "younger than the description"),
    ("v2/evaluators/{id}", "younger than the description"),
];

#[derive(Deserialize)]
struct Description {
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    #[serde(rename = "$defs")]
    schemas: Value,
}

#[derive(Deserialize)]
struct Operation {
    query: BTreeMap<String, Schema>,
    required: Vec<String>,
    body: Option<Schema>,
    answers: BTreeMap<u16, Option<Schema>>,
}

/// A schema, compiled when it is needed first.
#[derive(Deserialize)]
#[serde(from = "Value")]
struct Schema {
    written: Value,
    compiled: OnceLock<Validator>,
}

impl From<Value> for Schema {
    fn from(written: Value) -> Self {
        let compiled = OnceLock::new();
        Self { written, compiled }
    }
}

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let text = include_str!("../fixtures/langfuse-openapi.json");
    serde_json::from_str(text).expect("script/langfuse-openapi made it")
});

/// A request and its answer.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// `GET`, …
    pub method: &'a str,
    /// After `/api/public/`.
    pub path: &'a str,
    /// Without its question mark; empty where there is none.
    pub query: &'a str,
    /// The request's body.
    pub body: &'a [u8],
    /// The answer's.
    pub status: u16,
    /// The answer's body.
    pub answer: &'a [u8],
}

impl Exchange<'_> {
    /// What is not as Langfuse describes it. A request that is refused need not be right, unless `strictly`.
    pub fn problems(&self, strictly: bool) -> Vec<String> {
        let is_refusal = self.status >= 400;
        if BEYOND.iter().any(|(path, _)| is_of(path, self.path)) {
            return Vec::new();
        }
        let Some(operation) = DESCRIPTION.operation(self.method, self.path) else {
            let is_fine = is_refusal && !strictly;
            return Vec::from_iter((!is_fine).then(|| "there is no such operation".to_owned()));
        };
        let mut problems = operation.answer_problems(self.status, self.answer);
        if strictly || !is_refusal {
            problems.extend(operation.query_problems(self.query));
            problems.extend(operation.body_problems(self.body));
        }
        problems
    }
}

impl Description {
    fn operation(&self, method: &str, path: &str) -> Option<&Operation> {
        let described = |route: &str| is_of(route.strip_prefix(API).unwrap_or(route), path);
        let mut found = self.paths.iter().filter(|(route, _)| described(route));
        let operations = found.clone().find(|(route, _)| !route.contains('{'));
        let (_, operations) = operations.or_else(|| found.next())?;
        operations.get(&method.to_lowercase())
    }
}

/// Whether `path` is one of `route`, in which a segment in braces is any.
fn is_of(route: &str, path: &str) -> bool {
    let (routes, paths) = (route.split('/'), path.split('/'));
    routes.clone().count() == paths.clone().count()
        && routes
            .zip(paths)
            .all(|(route, segment)| route.starts_with('{') || route == segment)
}

impl Operation {
    fn answer_problems(&self, status: u16, answer: &[u8]) -> Vec<String> {
        if status >= 400 {
            let said: Option<Value> = serde_json::from_slice(answer).ok();
            let is_fine = said.is_some_and(|said| said["message"].is_string());
            return Vec::from_iter((!is_fine).then(|| "the refusal has no message".to_owned()));
        }
        match self.answers.get(&status) {
            None => vec![format!("the status {status} is not described")],
            Some(None) => Vec::new(),
            Some(Some(schema)) => schema.text_problems("the answer", answer, false),
        }
    }

    fn query_problems(&self, query: &str) -> Vec<String> {
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            given.entry(name).or_default().push(value);
        }
        let missing = self
            .required
            .iter()
            .filter(|name| !given.contains_key(*name));
        let missing = missing.map(|name| format!("the parameter {name} is missing"));
        let wrong = given
            .iter()
            .filter_map(|(name, values)| match self.query.get(name) {
                None => Some(format!("there is no parameter {name}")),
                Some(schema) if schema.takes(values) => None,
                Some(schema) => Some(format!("{name} is no {}: {values:?}", schema.written)),
            });
        missing.chain(wrong).collect()
    }

    fn body_problems(&self, body: &[u8]) -> Vec<String> {
        match &self.body {
            Some(schema) => schema.text_problems("the request", body, true),
            None if body.is_empty() => Vec::new(),
            None => vec!["the request has a body".to_owned()],
        }
    }
}

impl Schema {
    /// Of a request, each field has to be one that is described: others would be passed over.
    fn validator(&self, closed: bool) -> &Validator {
        self.compiled.get_or_init(|| {
            let mut whole = Map::from_iter([("$defs".to_owned(), DESCRIPTION.schemas.clone())]);
            whole.extend(self.written.as_object().cloned().unwrap_or_default());
            if closed {
                whole.insert("unevaluatedProperties".to_owned(), json!(false));
            }
            let options = jsonschema::options().should_validate_formats(true);
            let made = options.build(&Value::Object(whole));
            made.expect("script/langfuse-openapi writes schemas")
        })
    }

    fn text_problems(&self, what: &str, text: &[u8], closed: bool) -> Vec<String> {
        let Ok(value) = serde_json::from_slice(text) else {
            return vec![format!("{what} is not JSON")];
        };
        let errors = self.validator(closed).iter_errors(&value);
        let said =
            errors.map(|error| format!("{what}, at {:?}: {error}", error.instance_path().as_str()));
        said.collect()
    }

    /// Whether a parameter's values, which are texts in an address, can be read as the schema wants.
    fn takes(&self, values: &[String]) -> bool {
        let validator = self.validator(false);
        let as_json = |text: &String| {
            let parsed = serde_json::from_str::<Value>(text).ok();
            parsed.is_some_and(|value| !value.is_string() && validator.is_valid(&value))
        };
        let as_text = |text: &String| validator.is_valid(&json!(text));
        match values {
            [lone] => as_text(lone) || as_json(lone) || validator.is_valid(&json!([lone])),
            several => validator.is_valid(&json!(several)),
        }
    }
}

/// Fails the test, when it is dropped, if an exchange was not as described.
pub struct Watch(Arc<Mutex<Vec<String>>>);

impl Drop for Watch {
    fn drop(&mut self) {
        let wrong = self
            .0
            .lock()
            .map(|wrong| wrong.join("\n"))
            .unwrap_or_default();
        if !std::thread::panicking() {
            assert!(wrong.is_empty(), "not as Langfuse describes it:\n{wrong}");
        }
    }
}

/// The stand-in's routes, each of whose exchanges is held against the description. `strictly`: requests have to be
/// right even where they are refused, as those of a client have to be.
///
/// One that is wrong is said at once, and answered with what no client takes for Langfuse's.
pub fn watched(router: Router, strictly: bool) -> (Router, Watch) {
    let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
    let watch = Watch(wrong.clone());
    let layer = middleware::from_fn_with_state((wrong, strictly), look_at);
    (router.layer(layer), watch)
}

type Watching = (Arc<Mutex<Vec<String>>>, bool);

async fn look_at(
    State((wrong, strictly)): State<Watching>,
    request: Request,
    next: Next,
) -> Response {
    let uri = request.uri().clone();
    let Some((_, path)) = uri.path().split_once(API) else {
        return next.run(request).await;
    };
    let method = request.method().to_string();
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let response = next
        .run(Request::from_parts(parts, body.clone().into()))
        .await;
    let (parts, answer) = response.into_parts();
    let answer = read(answer).await;
    let exchange = Exchange {
        method: &method,
        path,
        query: uri.query().unwrap_or_default(),
        body: &body,
        status: parts.status.as_u16(),
        answer: &answer,
    };
    let problems = exchange.problems(strictly).join("; ");
    if problems.is_empty() {
        return Response::from_parts(parts, answer.into());
    }
    let said = format!("{method} {uri} ({}): {problems}", exchange.status);
    eprintln!("not as Langfuse describes it: {said}");
    wrong
        .lock()
        .expect("no holder of the lock panics")
        .push(said.clone());
    (StatusCode::NOT_ACCEPTABLE, said).into_response()
}

async fn read(body: Body) -> Bytes {
    to_bytes(body, usize::MAX).await.unwrap_or_default()
}
