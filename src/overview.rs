//! `/`: a plain overview of each workspace, until the admin page exists.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::DateTime;
use sqlx::Row;

use crate::app::App;
use crate::domain::{WorkspaceId, escape_markup};
use crate::error::ApiError;
use crate::ingest::backfill::{self, Progress};
use crate::workspace::Workspace;

/// The funnel of a workspace, in rows.
const COUNTS: &str = "
    select (select count(*) from traces where workspace_id = $1) as traces,
           (select count(*) from posts where workspace_id = $1 and kind = 'card'
                                         and posted_at_ms is not null) as cards,
           (select count(distinct trace_id) from labels where workspace_id = $1) as labelled,
           (select count(*) from eval_versions where workspace_id = $1) as versions,
           (select count(*) from scores where workspace_id = $1) as scored";

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
    text += &connection("Slack", workspace.slack.as_ref().map(|c| &c.health));
    text += "<table>";
    for (name, count) in counts(app, &workspace.id).await? {
        let _ = write!(text, "<tr><th>{name}</th><td>{count}</td></tr>");
    }
    text += "</table>";
    for stretch in backfill::stretches(&app.db, &workspace.id).await? {
        text += &format!("<p>{}</p>", backfilled(&stretch));
    }
    Ok(text)
}

async fn counts(app: &App, workspace: &WorkspaceId) -> sqlx::Result<Vec<(&'static str, i64)>> {
    let row = sqlx::query(COUNTS)
        .bind(workspace.as_str())
        .fetch_one(app.db.pool())
        .await?;
    [
        ("Traces", "traces"),
        ("Asked about", "cards"),
        ("Labelled", "labelled"),
        ("Eval versions", "versions"),
        ("Scored", "scored"),
    ]
    .into_iter()
    .map(|(name, column)| Ok((name, row.try_get(column)?)))
    .collect()
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
