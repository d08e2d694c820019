use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One request to the LLM product, in schema version 1: what an eval's `evaluate(trace)` is given.
///
/// The same for every source. Scores and labels are never in it. The keys and their order are a
/// contract (`docs/design.md`, section 3.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// As in the source.
    pub id: String,
    /// As in the source.
    pub name: Option<String>,
    /// As in the source.
    pub session_id: Option<String>,
    /// As in the source.
    pub user_id: Option<String>,
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// As in the source.
    pub tags: Vec<String>,
    /// As in the source: an object, or an empty one where the source has none.
    pub metadata: Value,
    /// Any JSON, as in the source, untouched.
    pub input: Value,
    /// Any JSON, as in the source, untouched.
    pub output: Value,
    /// The last user turn as plain text.
    pub input_text: String,
    /// The final answer as plain text.
    pub output_text: String,
    /// The conversation, normalised.
    pub messages: Vec<Message>,
    /// Every tool call of the trace, in order.
    pub tool_calls: Vec<ToolCall>,
    /// The steps inside the trace, in start order.
    pub observations: Vec<Observation>,
    /// Milliseconds from the first start to the last end; `None` where the source has no end.
    pub latency_ms: Option<f64>,
    /// In US dollars, as in the source.
    pub total_cost: Option<f64>,
    /// For evals of whole sessions: the session's traces in time order, of which this one is the last. Empty, and no
    /// key of the JSON, wherever a trace is by itself; so are those of the traces in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session: Vec<Trace>,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what the source says.
    pub role: String,
    /// The turn's text; empty where the turn holds tool calls only.
    pub content: String,
    /// The calls that this turn asked for.
    pub tool_calls: Vec<ToolCall>,
    /// The tool's or speaker's name, where there is one.
    pub name: Option<String>,
}

/// One tool call with what came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// Parsed where it is JSON, else the source's text.
    pub arguments: Value,
    /// What the tool returned; null where nothing is recorded.
    pub result: Value,
    /// The tool's error text; `None` where it succeeded or nothing is recorded.
    pub error: Option<String>,
}

/// A step inside a trace, as in Langfuse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// As in the source.
    pub id: String,
    /// The enclosing step.
    pub parent_id: Option<String>,
    /// `GENERATION`, `TOOL`, `RETRIEVER`, `SPAN`, …; expect more.
    #[serde(rename = "type")]
    pub kind: String,
    /// As in the source.
    pub name: Option<String>,
    /// The model that answered, for generations.
    pub model: Option<String>,
    /// Any JSON, as in the source.
    pub input: Value,
    /// Any JSON, as in the source.
    pub output: Value,
    /// `DEBUG`, `DEFAULT`, `WARNING` or `ERROR`.
    pub level: String,
    /// The source's words about the level.
    pub status_message: Option<String>,
    /// RFC 3339, UTC.
    pub start_time: Option<String>,
    /// RFC 3339, UTC; `None` while it runs.
    pub end_time: Option<String>,
    /// Token counts as in the source, or null.
    pub usage: Value,
    /// In US dollars, as in the source.
    pub cost: Option<f64>,
}

impl Trace {
    /// Traces of one session, or else with the same input, belong together: never split between
    /// development and held-out labels. A session without an id goes by what it begins with.
    pub fn group(&self) -> String {
        let named = self
            .session
            .iter()
            .find_map(|trace| trace.session_id.as_deref());
        match self.session_id.as_deref().or(named) {
            Some(session) => session_group(session),
            None => digest_of("input", &self.session.first().unwrap_or(self).input_text),
        }
    }

    /// The JSON text an eval's trace argument is parsed from; equal traces give equal bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a trace holds only JSON values")
    }
}

/// The [`Trace::group`] of a session's traces.
pub fn session_group(session_id: &str) -> String {
    digest_of("session", session_id)
}

fn digest_of(kind: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{kind}\n{key}"));
    hex::encode(&digest[..12])
}
