//! A trace taken apart: its texts in order, each under the paths by which an eval finds it.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use super::payload::{self, Said, canonical, is_bookkeeping, telling, telling_metadata};
use super::visible::{name, visible};
use crate::domain::{Message, Observation, ToolCall, Trace};

/// What a part is to the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The final answer.
    Answer,
    /// What is asked.
    Request,
    /// A word about the whole.
    About,
    /// An error.
    Error,
    /// A field of the metadata.
    Metadata,
    /// Anything else.
    Other,
}

/// One text of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where an eval finds it, short.
    pub path: String,
    /// The line above it, without its end.
    pub heading: String,
    /// With every character visible; `None` where the heading says it all.
    pub body: Option<String>,
    /// Characters of the body.
    pub body_chars: usize,
    /// Characters of heading and body as they are written.
    pub whole_chars: usize,
    /// What it is to the answer.
    pub standing: Standing,
}

/// The parts of a trace, and of the traces before it in its session.
pub fn parts_of(trace: &Trace) -> Vec<Part> {
    let mut before = Before {
        messages: &[],
        place: "",
    };
    let earlier = trace.session.split_last().map_or(&[][..], |(_, all)| all);
    if earlier.is_empty() {
        return Taking::new(trace, "").parts(before);
    }
    let count = trace.session.len();
    let about = format!("session has {count} traces, by time; the last is the trace itself");
    let mut parts = vec![Part::new("session", about, None, Standing::About)];
    let places: Vec<String> = (0..count).map(|at| format!("session[{at}] ")).collect();
    for (one, place) in earlier.iter().zip(&places) {
        let mut own = Taking::new(one, place).parts(before);
        // The last trace's are the request and the answer.
        let asked = own
            .iter_mut()
            .filter(|part| part.standing != Standing::Error);
        asked.for_each(|part| part.standing = Standing::Other);
        parts.extend(own);
        let messages = &one.messages;
        before = Before { messages, place };
    }
    parts.extend(Taking::new(trace, "").parts(before));
    parts
}

impl Part {
    fn new(
        path: impl Into<String>,
        heading: String,
        body: Option<&str>,
        standing: Standing,
    ) -> Self {
        let mut part = Self {
            path: path.into(),
            heading,
            body: body.map(visible),
            body_chars: 0,
            whole_chars: 0,
            standing,
        };
        part.body_chars = part.body.as_ref().map_or(0, |body| body.chars().count());
        part.whole_chars = part.whole().chars().count();
        part
    }

    /// Heading and body as they are written.
    pub fn whole(&self) -> String {
        let heading = &self.heading;
        match self.body.as_deref() {
            None => format!("{heading}\n"),
            Some("") => format!("{heading}: (empty)\n"),
            Some(body) => {
                let mut text = format!("{heading}:\n");
                quote(&mut text, body);
                text
            }
        }
    }
}

/// Writes the trace's own lines.
pub fn quote(to: &mut String, body: &str) {
    for line in body.split('\n') {
        to.push_str("| ");
        to.push_str(line);
        to.push('\n');
    }
}

/// Messages that the trace before in the session begins with too, and which trace that is.
#[derive(Clone, Copy)]
struct Before<'t> {
    messages: &'t [Message],
    place: &'t str,
}

/// One trace being taken apart.
struct Taking<'t> {
    trace: &'t Trace,
    /// Before every path: which trace of the session.
    place: &'t str,
    /// The message that is the request, and the one that is the answer.
    request: Option<usize>,
    answer: Option<usize>,
    results: Results,
    /// Calls that no message has asked for yet, by their JSON.
    unasked: HashMap<String, VecDeque<usize>>,
    said: Said,
    parts: Vec<Part>,
}

impl<'t> Taking<'t> {
    fn new(trace: &'t Trace, place: &'t str) -> Self {
        let mut unasked: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (index, call) in trace.tool_calls.iter().enumerate() {
            unasked.entry(key_of(call)).or_default().push_back(index);
        }
        let spoken = |role: &str, text: &str| {
            let is = |message: &Message| message.role == role && message.content == text;
            trace.messages.iter().rposition(is)
        };
        Self {
            trace,
            place,
            request: spoken("user", &trace.input_text),
            answer: spoken("assistant", &trace.output_text),
            results: Results::of(trace),
            unasked,
            said: Said::default(),
            parts: Vec::new(),
        }
    }

    fn parts(mut self, before: Before<'t>) -> Vec<Part> {
        let trace = self.trace;
        if self.request.is_none() {
            self.push("input_text", "", &trace.input_text, Standing::Request);
        }
        self.conversation(before);
        self.calls_without_a_message();
        self.steps();
        if self.answer.is_none() {
            self.push("output_text", "", &trace.output_text, Standing::Answer);
        }
        self.payload("input", "", &trace.input);
        self.payload("output", "", &trace.output);
        self.metadata();
        self.parts
    }

    fn push(&mut self, path: &str, title: &str, body: &str, standing: Standing) {
        self.said.add(body);
        let path = format!("{}{path}", self.place);
        let heading = format!("{path}{title}");
        self.parts
            .push(Part::new(path, heading, Some(body), standing));
    }

    fn conversation(&mut self, before: Before<'t>) {
        let messages = &self.trace.messages;
        let pairs = before.messages.iter().zip(messages);
        let alike = pairs.take_while(|(one, other)| one == other).count();
        let own = [self.request, self.answer].into_iter().flatten();
        let repeated = own.fold(alike, usize::min);
        if repeated > 0 {
            self.repeated(repeated, before.place);
        }
        for (index, message) in messages.iter().enumerate() {
            let is_new = index >= repeated;
            if is_new {
                self.message(index, message);
            }
            for (place, call) in message.tool_calls.iter().enumerate() {
                let asked = self.unasked.get_mut(&key_of(call));
                let flat = asked.and_then(VecDeque::pop_front);
                if is_new {
                    self.call_of_message(index, place, call, flat);
                }
            }
        }
    }

    /// Says of messages that the trace before begins with them too.
    fn repeated(&mut self, count: usize, place_before: &str) {
        for message in &self.trace.messages[..count] {
            self.said.add(&message.content);
        }
        let path = format!("{}messages[0] to messages[{}]", self.place, count - 1);
        let heading = format!("{path}: as in {}", place_before.trim_end());
        let part = Part::new(path, heading, None, Standing::Other);
        self.parts.push(part);
    }

    fn message(&mut self, index: usize, message: &Message) {
        let (mut also, mut standing) = match Some(index) {
            at if at == self.request => (", input_text".to_owned(), Standing::Request),
            at if at == self.answer => (", output_text".to_owned(), Standing::Answer),
            _ if message.content.is_empty() && !message.tool_calls.is_empty() => return,
            _ => (String::new(), Standing::Other),
        };
        if let Some(call) = self.results.by_message.get(&index) {
            let is_error = error_is_the_result(&self.trace.tool_calls[*call]);
            also.push_str(&format!(", tool_calls[{call}] {}", result_title(is_error)));
            if is_error {
                standing = Standing::Error;
            }
        }
        let role = match message.role.as_str() {
            role @ ("system" | "developer" | "user" | "assistant" | "tool") => role.to_owned(),
            other => name(other),
        };
        let speaker = message.name.as_deref().map(|own| format!(" {}", name(own)));
        let title = format!(" {role}{}{also}", speaker.unwrap_or_default());
        let path = format!("messages[{index}]");
        self.push(&path, &title, &message.content, standing);
    }

    fn call_of_message(
        &mut self,
        message: usize,
        place: usize,
        call: &ToolCall,
        flat: Option<usize>,
    ) {
        let path = match flat {
            Some(flat) => format!("tool_calls[{flat}]"),
            None => format!("messages[{message}] tool_calls[{place}]"),
        };
        let is_shown = flat.is_some_and(|flat| self.results.shown.contains(&flat));
        let from = format!(", in messages[{message}]");
        self.call(&path, &from, call, !is_shown);
    }

    fn calls_without_a_message(&mut self) {
        let mut left: Vec<usize> = self
            .unasked
            .drain()
            .flat_map(|(_, indexes)| indexes)
            .collect();
        left.sort_unstable();
        let trace = self.trace;
        for index in left {
            let has_message = self.results.shown.contains(&index);
            self.call(
                &format!("tool_calls[{index}]"),
                "",
                &trace.tool_calls[index],
                !has_message,
            );
        }
    }

    fn call(&mut self, path: &str, from: &str, call: &ToolCall, with_result: bool) {
        let arguments = payload::text(&call.arguments);
        self.said.add(&call.name);
        let title = format!(" {} arguments{from}", name(&call.name));
        self.push(path, &title, &arguments, Standing::Other);
        let is_error = error_is_the_result(call);
        if with_result && !call.result.is_null() {
            let standing = if is_error {
                Standing::Error
            } else {
                Standing::Other
            };
            let title = format!(" {}", result_title(is_error));
            self.push(path, &title, &payload::text(&call.result), standing);
        }
        if let Some(error) = call.error.as_deref().filter(|_| !is_error) {
            self.push(path, " error", error, Standing::Error);
        }
    }

    /// What was retrieved, other steps where they say anything new, and every step's complaint.
    fn steps(&mut self) {
        for (index, step) in self.trace.observations.iter().enumerate() {
            // An evaluator's step is a score.
            if step.kind == "EVALUATOR" {
                continue;
            }
            let path = format!("observations[{index}]");
            let title = title_of(step);
            if !matches!(step.kind.as_str(), "GENERATION" | "TOOL" | "EMBEDDING") {
                self.payload(&path, &format!("{title} input"), &step.input);
                self.payload(&path, &format!("{title} output"), &step.output);
            }
            self.complaint(&path, &title, step);
        }
    }

    fn complaint(&mut self, path: &str, title: &str, step: &Observation) {
        let said = step.status_message.as_deref().unwrap_or_default();
        let is_calm = matches!(step.level.as_str(), "DEFAULT" | "DEBUG");
        let is_known = !said.is_empty() && self.said.has(said);
        if (is_calm && said.is_empty()) || is_known {
            return;
        }
        let title = format!("{title} level {}, status_message", name(&step.level));
        self.push(path, &title, said, Standing::Error);
    }

    /// An input or output, where it says anything new.
    fn payload(&mut self, path: &str, title: &str, value: &Value) {
        if let Some(value) = telling(value).filter(|value| !self.said.has_all_of(value)) {
            self.push(path, title, &payload::text(&value), Standing::Other);
        }
    }

    fn metadata(&mut self) {
        let fields = self.trace.metadata.as_object().into_iter().flatten();
        for (field, value) in fields.filter(|(field, _)| !is_bookkeeping(field)) {
            let Some(value) = telling_metadata(value) else {
                continue;
            };
            let text = payload::text(&value);
            let models = self
                .trace
                .observations
                .iter()
                .filter_map(|step| step.model.as_deref());
            if !models.into_iter().any(|model| model == text) {
                self.push(
                    &format!("metadata[{}]", name(field)),
                    "",
                    &text,
                    Standing::Metadata,
                );
            }
        }
    }
}

/// Which tool messages bring which call's result.
struct Results {
    by_message: HashMap<usize, usize>,
    /// The calls whose result a message brings.
    shown: HashSet<usize>,
}

impl Results {
    fn of(trace: &Trace) -> Self {
        let mut waiting: HashMap<String, VecDeque<usize>> = HashMap::new();
        let calls = trace.tool_calls.iter().enumerate();
        for (index, call) in calls.filter(|(_, call)| !call.result.is_null()) {
            let result = canonical(&payload::text(&call.result));
            waiting.entry(result).or_default().push_back(index);
        }
        let messages = trace.messages.iter().enumerate();
        let tools = messages.filter(|(_, message)| message.role == "tool");
        let brings = tools.filter_map(|(index, message)| {
            let result = canonical(&message.content);
            Some((index, waiting.get_mut(&result)?.pop_front()?))
        });
        let by_message: HashMap<usize, usize> = brings.collect();
        let shown = by_message.values().copied().collect();
        Self { by_message, shown }
    }
}

fn key_of(call: &ToolCall) -> String {
    serde_json::to_string(call).expect("a call holds only JSON values")
}

fn error_is_the_result(call: &ToolCall) -> bool {
    let result = payload::text(&call.result);
    call.error
        .as_deref()
        .is_some_and(|error| error.trim() == result.trim())
}

fn result_title(is_error: bool) -> &'static str {
    if is_error {
        "result and error"
    } else {
        "result"
    }
}

/// The step's type and name; a name that is the model's is none.
fn title_of(step: &Observation) -> String {
    let own = step
        .name
        .as_ref()
        .filter(|own| step.model.as_ref() != Some(own));
    let own = own.map(|own| format!(" {}", name(own))).unwrap_or_default();
    match step.kind.as_str() {
        kind if kind.len() <= 20 && kind.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            format!(" {kind}{own}")
        }
        other => format!(" {}{own}", name(other)),
    }
}
