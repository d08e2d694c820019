//! `/`: a plain overview of each workspace, until the admin page exists.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::DateTime;

use crate::app::App;
use crate::domain::escape_markup;
use crate::error::ApiError;
use crate::ingest::backfill::{self, Progress};
use crate::report::Summary;
use crate::score::{self, Backlog};
use crate::standing::standing;
use crate::workspace::Workspace;

/// The overview; where nothing is configured, the playground instead.
pub async fn page(State(app): State<App>) -> Result<Response, ApiError> {
    if app.has_playground {
        return Ok(Redirect::temporary("/playground/").into_response());
    }
    let mut body = String::new();
    for workspace in app.workspaces() {
        body += &section(&app, workspace).await?;
    }
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ];
    Ok((headers, html(&body)).into_response())
}

async fn section(app: &App, workspace: &Workspace) -> Result<String, ApiError> {
    let mut text = format!(
        "<h2>Workspace {}</h2>",
        escape_markup(workspace.id.as_str())
    );
    text += &connection("Langfuse", workspace.langfuse.as_ref().map(|c| &c.health));
    let langsmith = workspace.langsmith.as_ref().map(|source| &source.health);
    let openai = workspace.openai.as_ref().map(|source| &source.health);
    for (name, health) in [
        ("LangSmith", langsmith),
        ("OpenAI's stored completions", openai),
    ] {
        if health.is_some() {
            text += &connection(name, health);
        }
    }
    if let Some(langfuse) = &workspace.langfuse {
        let backlog = score::backlog(&app.db, &workspace.id).await?;
        text += &writing(langfuse.writing.trouble(), &backlog);
        let limit = langfuse.client.budget().in_words();
        for (name, said) in [
            ("Limit", limit),
            ("Old traces", langfuse.backfilling.trouble()),
        ] {
            if let Some(said) = said {
                text += &format!("<p><b>{name}</b>: {}</p>", escape_markup(&said));
            }
        }
    }
    text += &connection("Slack", workspace.slack().map(|c| &c.health));
    if let Some(socket_mode) = &app.socket_mode {
        text += &connection("Slack's clicks, by Socket Mode", Some(&socket_mode.health));
    }
    text += "<table>";
    let standing = standing(app, workspace).await?;
    for (name, count) in &standing.funnel {
        let _ = write!(text, "<tr><th>{name}</th><td>{count}</td></tr>");
    }
    text += "</table>";
    text += &list("What needs a person", standing.needs());
    text += &list("Evals", standing.evals.iter().map(eval));
    for stretch in backfill::stretches(&app.db, &workspace.id).await? {
        text += &format!("<p>{}</p>", backfilled(&stretch));
    }
    Ok(text)
}

/// A heading and its lines; nothing where there are none.
fn list(heading: &str, lines: impl IntoIterator<Item = String>) -> String {
    let item = |line: String| format!("<li>{}</li>", escape_markup(&line));
    let items: String = lines.into_iter().map(item).collect();
    match items.is_empty() {
        true => items,
        false => format!("<h3>{heading}</h3><ul>{items}</ul>"),
    }
}

fn eval(eval: &Summary) -> String {
    let agreement = eval.agreement.as_deref().unwrap_or("no figures yet");
    format!("{} ({}): {agreement}", eval.name(), eval.state())
}

/// How far the reading of old traces is.
fn backfilled(stretch: &Progress) -> String {
    let day = |ms| {
        let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
        time.format("%Y-%m-%d %H:%M").to_string()
    };
    let (since, until) = (day(stretch.since_ms), day(stretch.until_ms));
    let (share, traces) = (stretch.share() * 100.0, stretch.traces);
    match stretch.finished_at_ms {
        Some(_) => format!("<b>Backfill</b> {since} to {until}: done, {traces} traces"),
        None => format!(
            "<b>Backfill</b> {since} to {until}: {share:.0} %, back to {}, {traces} traces",
            day(stretch.reached_ms)
        ),
    }
}

/// How the scores on their way to Langfuse do.
fn writing(trouble: Option<String>, backlog: &Backlog) -> String {
    let mut state = match (backlog.waiting, trouble) {
        (0, _) => "all are written".to_owned(),
        (waiting, None) => format!("{waiting} on their way"),
        (waiting, Some(trouble)) => format!("{waiting} wait, and none is lost. {trouble}"),
    };
    if let (1.., Some(why)) = (backlog.refused, &backlog.refusal) {
        state += &format!("; {} given up, for example: {why}", backlog.refused);
    }
    format!("<p><b>Scores</b>: {}</p>", escape_markup(&state))
}

fn connection(name: &str, health: Option<&crate::workspace::Health>) -> String {
    let state = match health {
        None => "not configured; see .env.example".to_owned(),
        Some(health) => health.trouble().unwrap_or_else(|| "connected".to_owned()),
    };
    format!("<p><b>{name}</b>: {}</p>", escape_markup(&state))
}

fn html(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>iofold</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}\
         th{{text-align:left;padding-right:2rem;font-weight:400}}td{{text-align:right}}\
         @media(prefers-color-scheme:dark){{body{{background:#16181d;color:#e6e6e6}}}}</style>\
         <h1>iofold</h1>{body}</html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scores_wait_for_and_what_became_of_others_is_said() {
        let said = |waiting, trouble: Option<&str>, refused| {
            let backlog = Backlog {
                waiting,
                refused,
                refusal: (refused > 0).then(|| "<404>".to_owned()),
                last_written_at_ms: 0,
            };
            writing(trouble.map(str::to_owned), &backlog)
        };
        for (found, expected) in [
            (said(0, Some("old"), 0), "all are written"),
            (said(3, None, 0), "3 on their way"),
            (
                said(3, Some("401. Copy it"), 0),
                "3 wait, and none is lost. 401. Copy it",
            ),
            (
                said(0, None, 2),
                "all are written; 2 given up, for example: &lt;404&gt;",
            ),
        ] {
            assert_eq!(found, format!("<p><b>Scores</b>: {expected}</p>"));
        }
    }
}
