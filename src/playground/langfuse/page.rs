//! A trace's page, so that the link in a card opens something; and the overviews for the playground.

use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::api::Refusal;
use super::state::{Project, Stored};
use super::{Langfuse, ScoreOverview, TraceOverview, traces};
use crate::domain::escape_markup;
use crate::langfuse::TracePayload;

/// Characters of an input or output in a list.
const SNIPPET_MAX: usize = 200;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;\
padding:0 1rem;color:#1d1c1d}h1{font-size:1.3rem}h2{font-size:1rem;margin:1.5rem 0 .3rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f4;padding:.7rem;border-radius:6px;\
margin:.3rem 0}table{border-collapse:collapse}td,th{text-align:left;padding:.2rem .9rem .2rem 0;\
vertical-align:top}small{color:#616061}";

/// Nothing is loaded, run or framed; the one style is known by its hash.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// `GET /project/{id}/traces/{trace}`: what a trace holds and how it was scored.
pub async fn trace(
    State(langfuse): State<Langfuse>,
    Path((project_id, trace_id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let state = langfuse.locked();
    let project = state.project(&project_id);
    let found = project.and_then(|project| Some((project, project.trace(&trace_id)?)));
    let (project, trace) =
        found.ok_or_else(|| Refusal::not_found("There is no such trace".to_owned()))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, Html(html(project, trace))).into_response())
}

fn html(project: &Project, trace: &Stored) -> String {
    let detail = payload(trace);
    let name = escape_markup(detail.name.as_deref().unwrap_or("Trace"));
    let steps: String = detail
        .observations
        .iter()
        .map(|step| {
            let title = format!("{} {}", step.kind, step.name.as_deref().unwrap_or_default());
            let time = step.start_time.as_deref().unwrap_or_default();
            format!(
                "<details><summary>{} <small>{}</small></summary>{}{}</details>",
                escape_markup(&title),
                escape_markup(time),
                block(&step.input),
                block(&step.output)
            )
        })
        .collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}</title>\
         <style>{STYLE}</style><h1>{name}</h1><small>{} · {} · {}</small>\
         <h2>Scores</h2>{}<h2>Input</h2>{}<h2>Output</h2>{}<h2>Metadata</h2>{}<h2>Steps</h2>{steps}</html>",
        escape_markup(&project.name),
        escape_markup(&trace.id),
        escape_markup(detail.timestamp.as_deref().unwrap_or_default()),
        score_table(&scores(project, &trace.id)),
        block(&detail.input),
        block(&detail.output),
        block(&detail.metadata),
    )
}

fn score_table(scores: &[ScoreOverview]) -> String {
    if scores.is_empty() {
        return "<p>None yet.</p>".to_owned();
    }
    let row = |score: &ScoreOverview| {
        let cells = [
            &score.name,
            &score.value,
            score.comment.as_ref().unwrap_or(&String::new()),
        ]
        .map(|text| format!("<td>{}</td>", escape_markup(text)));
        format!("<tr>{}</tr>", cells.concat())
    };
    let rows: String = scores.iter().map(row).collect();
    format!("<table><tr><th>Name<th>Value<th>Comment</tr>{rows}</table>")
}

/// Strings as they are, chat turn by turn, the rest as indented JSON.
fn block(value: &Value) -> String {
    format!("<pre>{}</pre>", escape_markup(&text_of(value)))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).expect("a value is JSON"),
    }
}

/// The project's traces, newest first; of those that began together, the later to come.
pub fn overviews(project: &Project) -> Vec<TraceOverview> {
    let mut overviews: Vec<TraceOverview> = project
        .traces
        .iter()
        .rev()
        .map(|trace| overview(project, trace))
        .collect();
    overviews.sort_by(|one, other| other.timestamp.cmp(&one.timestamp));
    overviews
}

fn overview(project: &Project, trace: &Stored) -> TraceOverview {
    let normal = crate::ingest::normalise(&payload(trace));
    TraceOverview {
        id: trace.id.clone(),
        name: normal.name.unwrap_or_default(),
        input: snippet(&normal.input_text),
        output: snippet(&normal.output_text),
        timestamp: normal.timestamp,
        scores: scores(project, &trace.id),
    }
}

fn payload(trace: &Stored) -> TracePayload {
    serde_json::from_value(trace.detail.clone()).unwrap_or_default()
}

fn snippet(text: &str) -> String {
    match text.char_indices().nth(SNIPPET_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn scores(project: &Project, trace_id: &str) -> Vec<ScoreOverview> {
    let overview = |score: &Value| ScoreOverview {
        name: score["name"].as_str().unwrap_or_default().to_owned(),
        value: score["stringValue"]
            .as_str()
            .map_or_else(|| score["value"].to_string(), str::to_owned),
        comment: score["comment"].as_str().map(str::to_owned),
    };
    traces::scores(project, trace_id).map(overview).collect()
}
