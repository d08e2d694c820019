//! A stand-in for LLM providers: Anthropic's Messages API and OpenAI's chat completions, as strict as they are about
//! requests, with their errors and with what networks do to answers.
//!
//! What it answers is scripted, a [`Reply`] a request, or comes from a closure that reads the request. It knows the
//! models whose names begin with `claude-` and `gpt-`, and the two keys of [`Llm::environment`].

mod anthropic;
mod body;
mod openai;
mod schema;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

/// The key that Anthropic's side takes.
pub const ANTHROPIC_KEY: &str = "sk-ant-the-stand-ins-own";
/// The key that OpenAI's side takes.
pub const OPENAI_KEY: &str = "sk-proj-the-stand-ins-own";

/// Which of the two APIs was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Anthropic,
    OpenAi,
}

/// A request that was taken: its key was right, and its form as the API wants it.
#[derive(Clone, Debug)]
pub struct Request {
    pub api: Api,
    pub model: String,
    /// The system prompt.
    pub system: String,
    /// What users say, joined by blank lines: material and request.
    pub prompt: String,
    /// The JSON Schema of the answer, where one is asked for.
    pub schema: Option<Value>,
    pub body: Value,
}

/// What the stand-in answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The model says this JSON.
    Json(Value),
    /// The model says this.
    Text(String),
    /// The same, cut off by the limit of tokens.
    CutByLimit(String),
    /// The model declines.
    Refusal,
    /// The provider's filter stops it; Anthropic's side declines.
    Filtered,
    /// An error of this status as the API words it: 400 to 599.
    Status(u16),
    /// The same with a `Retry-After` header.
    StatusAfter(u16, String),
    /// The account has no credit left, as the API says it.
    NoCredit,
    /// An error of this status with this body.
    Error(u16, Value),
    /// Status 200 and this body, whatever it is.
    Raw(String),
    /// A proper answer whose connection breaks in the middle.
    BreaksOff,
    /// A proper answer, a byte at a time, and never its end.
    Drips,
    /// A body that never ends.
    Endless,
    /// No answer at all.
    Hangs,
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// The stand-in, serving on a port of its own.
#[derive(Clone)]
pub struct Llm {
    address: SocketAddr,
    state: Arc<Shared>,
}

struct Shared {
    answer: Box<Answer>,
    requests: Mutex<Vec<Request>>,
    refused: Mutex<Vec<String>>,
    cache: Mutex<HashSet<u64>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Llm {
    /// Answers what `answer` says to each request.
    pub async fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let state = Arc::new(Shared {
            answer: Box::new(answer),
            requests: Mutex::default(),
            refused: Mutex::default(),
            cache: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/messages", post(anthropic::messages))
            .route("/v1/chat/completions", post(openai::completions))
            .with_state(state.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, state }
    }

    /// Answers these, one a request in order of arrival; after the last, status 500.
    pub async fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: VecDeque<Reply> = replies.into_iter().collect();
        let replies = Mutex::new(replies);
        Self::answering(move |_| locked(&replies).pop_front().unwrap_or(Reply::Status(500))).await
    }

    /// `ANTHROPIC_BASE_URL`.
    pub fn anthropic_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `OPENAI_BASE_URL`.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The variables that connect iofold to both sides.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("ANTHROPIC_API_KEY", ANTHROPIC_KEY.to_owned()),
            ("ANTHROPIC_BASE_URL", self.anthropic_url()),
            ("OPENAI_API_KEY", OPENAI_KEY.to_owned()),
            ("OPENAI_BASE_URL", self.openai_url()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// The requests so far whose key and form were right, those that were answered with an error included.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.state.requests).clone()
    }

    /// Why requests were refused for their key or form, in order.
    pub fn refused(&self) -> Vec<String> {
        locked(&self.state.refused).clone()
    }
}

/// Why a request is not taken.
struct Refusal {
    status: u16,
    /// The API's word for the kind of error.
    kind: &'static str,
    message: String,
    /// OpenAI's `param`.
    param: Option<&'static str>,
    /// OpenAI's `code`.
    code: Option<&'static str>,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            message: message.into(),
            param: None,
            code: None,
        }
    }
}

/// The body of a request as JSON, if it is said to be that.
fn json(headers: &HeaderMap, bytes: &Bytes) -> Result<Value, Refusal> {
    let kind = header(headers, "content-type");
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(Refusal::invalid("content-type must be application/json"));
    }
    serde_json::from_slice(bytes).map_err(|error| Refusal::invalid(format!("not JSON: {error}")))
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Refuses fields that the API does not know.
fn only_known(body: &Value, known: &[&str], say: impl Fn(&str) -> String) -> Result<(), Refusal> {
    let Some(fields) = body.as_object() else {
        return Err(Refusal::invalid("the body must be an object"));
    };
    let unknown = fields.keys().find(|name| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| Err(Refusal::invalid(say(name))))
}

/// Notes the request, and what became of it.
async fn take(
    state: &State<Arc<Shared>>,
    checked: Result<Request, Refusal>,
    refuse: impl Fn(&Refusal) -> Response,
    answer: impl Fn(&Request, &Reply) -> Response,
) -> Response {
    match checked {
        Ok(request) => {
            locked(&state.requests).push(request.clone());
            match (state.answer)(&request) {
                Reply::Hangs => std::future::pending().await,
                reply => answer(&request, &reply),
            }
        }
        Err(refusal) => {
            locked(&state.refused).push(refusal.message.clone());
            refuse(&refusal)
        }
    }
}

/// Tokens of a text, roughly as tokenizers count.
fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

impl Shared {
    /// Whether the model has seen this prefix before; it has from now on.
    fn has_cached(&self, model: &str, prefix: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (model, prefix).hash(&mut hasher);
        !locked(&self.cache).insert(hasher.finish())
    }
}
