use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, stdin};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use super::Failure;
use super::terminal::complain;
use crate::domain::{
    AnnotatorLabel, EvalSource, LabelledTrace, Session, Thumb, Trace, lenient, sha256_hex,
};
use crate::ingest::normalise;
use crate::langfuse::TracePayload;
use crate::sandbox::Limits;

/// Some editors begin UTF-8 with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A trace with the id that its outcome carries.
pub struct Line {
    pub id: String,
    pub trace: Trace,
}

/// A line that is not empty, and its place.
pub struct RawLine {
    /// From 1.
    pub number: usize,
    /// The offset of its first byte.
    pub start: u64,
    pub bytes: Vec<u8>,
}

impl RawLine {
    /// The offset of the next line.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64 + 1
    }
}

/// A file, or standard input for `-`.
pub fn reader(path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    if path.is_dir() {
        let folder = anyhow!("cannot read {}: it is a folder", path.display());
        return Err(Failure::Usage(folder));
    }
    let file = File::open(path).map_err(|error| unreadable(path, error));
    Ok(Box::new(BufReader::new(file?)))
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let path = path.display();
    Failure::Usage(match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow!("cannot read {path}: there is no such file; check its name and the folder")
        }
        _ => anyhow!(error).context(format!("cannot read {path}")),
    })
}

/// The non-empty lines of a JSONL file, or of standard input for `-`.
pub fn lines(
    path: &Path,
) -> Result<impl Iterator<Item = Result<RawLine, Failure>> + Send + use<>, Failure> {
    let mut start = 0;
    let numbered = reader(path)?.split(b'\n').zip(1..);
    let raw = numbered.map(move |(bytes, number)| {
        let mut bytes = bytes.map_err(|error| Failure::Data(error.into()))?;
        if number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            // Blank, so that offsets stay as they are in the file.
            bytes[..BYTE_ORDER_MARK.len()].fill(b' ');
        }
        let line = RawLine {
            number,
            start,
            bytes,
        };
        start = line.end();
        Ok(line)
    });
    Ok(raw.filter(|line| !matches!(line, Ok(line) if line.bytes.trim_ascii().is_empty())))
}

/// A trace line: bare, inside `{"id", "trace", …}`, or the last of `{"id", "session", …}`.
pub fn trace_line(line: &RawLine) -> Result<Line, Failure> {
    let value = json(&line.bytes).and_then(|value| line_of(&value));
    value.map_err(|error| at_line(line.number, error))
}

/// A labelled line: `{"id", "trace", "label", "labels"?, "comment"?, "group"?}`; for a label on a session, with
/// `"session"`, its traces in time order, instead of `trace` or beside it.
pub fn labelled_line(line: &RawLine) -> Result<LabelledTrace, Failure> {
    let labelled = json(&line.bytes).and_then(|value| labelled_of(&value));
    labelled.map_err(|error| at_line(line.number, error))
}

/// All labelled lines of a file, a line that is there twice once. Where some labels are on sessions, a lone trace is a session by itself.
pub fn labelled_file(path: &Path) -> Result<Vec<LabelledTrace>, Failure> {
    let (mut labelled, mut known, mut repeated) = (Vec::new(), HashSet::new(), 0);
    for line in lines(path)? {
        let line = line?;
        match known.insert(sha256_hex(&line.bytes)) {
            true => labelled.push(labelled_line(&line)?),
            false => repeated += 1,
        }
    }
    if repeated > 0 {
        complain(&format!("Repeated lines, which count once: {repeated}"));
    }
    if labelled.is_empty() {
        return Err(Failure::Data(anyhow!(
            "{} holds no labelled traces; it takes one JSON object a line: {LABELLED}",
            path.display()
        )));
    }
    let is_lone = |label: &&mut LabelledTrace| label.trace.session.is_empty();
    if labelled.iter().any(|label| !label.trace.session.is_empty()) {
        for label in labelled.iter_mut().filter(is_lone) {
            label.trace = label.trace.clone().after(Vec::new());
        }
    }
    Ok(labelled)
}

/// An eval's source file.
pub fn eval_file(path: &Path) -> Result<EvalSource, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, error));
    let text = String::from_utf8(bytes?);
    let text = text.map_err(|_| Failure::Data(anyhow!("{} is not UTF-8", path.display())))?;
    Ok(EvalSource::new(text))
}

/// Refuses to write over what the command reads, each with its name; any other file at `out` is replaced.
pub fn check_out(out: &Path, read: &[(&Path, &str)]) -> Result<(), Failure> {
    let Ok(place) = out.canonicalize() else {
        return Ok(());
    };
    let is_place = |(path, _): &&(&Path, &str)| path.canonicalize().is_ok_and(|path| path == place);
    match read.iter().find(is_place) {
        Some((_, what)) => Err(Failure::Usage(anyhow!(
            "{} is {what}; name another file with --out",
            out.display()
        ))),
        None => Ok(()),
    }
}

fn at_line(number: usize, error: anyhow::Error) -> Failure {
    Failure::Data(error.context(format!("line {number}")))
}

fn json(line: &[u8]) -> anyhow::Result<Value> {
    let parsed = lenient::parse(line);
    if line.trim_ascii_start().starts_with(b"[") {
        bail!(
            "it takes one JSON object a line, and this is a JSON array; \
             `jq -c '.[]' FILE > LINES.jsonl` writes its objects as lines"
        );
    }
    if let Err(error) = &parsed
        && error.is_eof()
    {
        bail!(
            "it takes one JSON object a line, and this one is not closed in its line ({error}); \
             `jq -c . FILE > LINES.jsonl` writes each object in one line"
        );
    }
    let (value, _) = parsed.context("not JSON")?;
    if !value.is_object() {
        bail!("it takes one JSON object a line, and this is none");
    }
    Ok(value)
}

/// A labelled line, as errors show it.
const LABELLED: &str = r#"{"id", "trace", "label": "up"|"down"|"neutral"}"#;

fn line_of(value: &Value) -> anyhow::Result<Line> {
    let inner = value.get("trace").filter(|trace| trace.is_object());
    let bare = inner.unwrap_or(value);
    let session = [value, bare].map(|place| &place["session"]);
    let trace = match session.into_iter().find(|session| !session.is_null()) {
        Some(session) => session_of(session, given(inner, value))?,
        None => trace_of(bare)?,
    };
    let id = value["id"].as_str().unwrap_or(&trace.id).to_owned();
    Ok(Line { id, trace })
}

fn labelled_of(value: &Value) -> anyhow::Result<LabelledTrace> {
    if !value["trace"].is_object() && value["session"].is_null() {
        bail!(
            "there is no \"trace\" object; a line is {{\"id\", \"trace\", \"label\"}}, \
             or {{\"id\", \"session\", \"label\"}}"
        );
    }
    let label = value["label"].as_str().and_then(Thumb::parse);
    let label = label.context("\"label\" must be \"up\", \"down\" or \"neutral\"")?;
    let Line { id, trace } = line_of(value)?;
    check_size(&trace)?;
    let votes = match value.get("labels") {
        None | Some(Value::Null) => Vec::new(),
        Some(votes) => serde_json::from_value::<Vec<AnnotatorLabel>>(votes.clone()).map_err(|_| {
            anyhow!("\"labels\" must be a list of {{\"annotator\", \"label\": \"up\"|\"down\"|\"neutral\", \"comment\"?}}")
        })?,
    };
    let mut comments: Vec<String> = votes
        .iter()
        .filter_map(|vote| vote.comment.clone())
        .collect();
    comments.extend(value["comment"].as_str().map(str::to_owned));
    let group = value["group"].as_str().map(str::to_owned);
    Ok(LabelledTrace {
        id,
        group: group.unwrap_or_else(|| trace.group()),
        trace,
        label,
        votes,
        comments,
    })
}

/// The trace that a line holds beside its session; a bare one is known by what was asked or answered.
fn given<'v>(inner: Option<&'v Value>, line: &'v Value) -> Option<&'v Value> {
    let is_trace = ["input", "output", "observations"]
        .iter()
        .any(|key| !line[key].is_null());
    inner.or_else(|| is_trace.then_some(line))
}

/// The last trace of a session, with the session.
fn session_of(session: &Value, given: Option<&Value>) -> anyhow::Result<Trace> {
    let traces = session.as_array();
    let traces = traces.context("\"session\" must be a list of traces in time order")?;
    let read = traces.iter().zip(1..).map(|(trace, number)| {
        trace_of(trace).with_context(|| format!("trace {number} of \"session\""))
    });
    let last = Session::of(read.collect::<anyhow::Result<_>>()?)?.into_last();
    if let Some(given) = given {
        let session = last.session.clone();
        if (Trace {
            session,
            ..trace_of(given)?
        }) != last
        {
            bail!("\"trace\" is not the last of \"session\"; leave it out, or make it the last");
        }
    }
    Ok(last)
}

/// A session over the sandbox's limit gets no verdict from any eval.
fn check_size(trace: &Trace) -> anyhow::Result<()> {
    let limit = Limits::default().trace_bytes;
    if !trace.session.is_empty() && trace.to_json().len() > limit {
        bail!(
            "the session is larger than the {} MiB that an eval can read; leave out its oldest traces",
            limit >> 20
        );
    }
    Ok(())
}

fn trace_of(value: &Value) -> anyhow::Result<Trace> {
    let payload: TracePayload =
        serde_json::from_value(value.clone()).context("not a Langfuse trace")?;
    if payload.is_blank() {
        bail!(
            "this is no trace: it has none of a trace's fields, such as \"input\" and \"output\"; a line is a \
             Langfuse trace, or {{\"id\", \"trace\"}} around one"
        );
    }
    Ok(normalise(&payload))
}
