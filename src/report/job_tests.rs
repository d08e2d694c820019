use serde_json::json;

use super::*;
use crate::outbox::tests::app;
use crate::report::{Decision, decide};
use crate::slack::scripted::{Answer, ScriptedSlack};

const EVAL: &str = "\"\"\"The answer says yes.\"\"\"


def evaluate(trace):
    if not trace[\"output_text\"]:
        return None
    return \"yes\" in trace[\"output_text\"], \"looked for <!channel> yes\"
";

fn trace(id: usize, output: &str) -> String {
    json!({
        "id": format!("t{id:02}"), "name": null, "session_id": null, "user_id": null,
        "timestamp": "2026-01-01T00:00:00Z", "tags": [], "metadata": {}, "input": null,
        "output": null, "input_text": format!("Question {id} <@U1>?"), "output_text": output,
        "messages": [], "tool_calls": [], "observations": [], "latency_ms": null, "total_cost": null,
    })
    .to_string()
}

/// 24 labelled traces of which the last is labelled otherwise than the eval says, and 3 without a label.
async fn fill(app: &App) {
    let run = async |sql: &'static str, texts: &[&str]| {
        let mut query = sqlx::query(sql);
        for text in texts {
            query = query.bind((*text).to_owned());
        }
        query.execute(app.db.pool()).await.unwrap();
    };
    let trace_row =
        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete,
        cleaned, started_at_ms, first_seen_at_ms, changed_at_ms, asked)
        values ('default', $1, $2, 'h', '', 1, 0, 0, 0, 0, 0)";
    for (id, output) in (0..24).map(|id| (id, if id % 2 == 0 { "yes" } else { "no" })) {
        run(trace_row, &[&format!("t{id:02}"), &trace(id, output)]).await;
    }
    for (id, output) in [(24, "yes"), (25, ""), (26, "no")] {
        run(trace_row, &[&format!("t{id}"), &trace(id, output)]).await;
    }
    run("insert into annotators values ('default', 'U1', 0)", &[]).await;
    for id in 0..24 {
        let label = if id % 2 == 0 || id == 23 {
            "up"
        } else {
            "down"
        };
        let sql = "insert into labels values ('default', $1, 'U1', $2, null, 0, 1)";
        run(sql, &[&format!("t{id:02}"), label]).await;
    }
    run("insert into evals values ('default', 'e', 'e', 0)", &[]).await;
    let version = "insert into eval_versions (workspace_id, id, eval_id, number, source,
        source_hash, generator, candidates_tried, state, created_at_ms)
        values ('default', 'v1', 'e', 24, $1, '', 'rules', 7, 'proposed', 10)";
    run(version, &[EVAL]).await;
}

#[tokio::test]
async fn a_report_goes_out_once_is_decided_about_and_asks_for_labels() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let workspace = app.workspace(&"default".into()).unwrap();

    post_reports(&app, workspace).await.unwrap();
    assert!(
        slack.posted().is_empty(),
        "it has not run on the labelled traces yet"
    );
    crate::run::run_evals(&app, workspace).await.unwrap();
    for _ in 0..2 {
        post_reports(&app, workspace).await.unwrap();
    }
    let once = [
        "iofold_report",
        "iofold_report_code",
        "iofold_report_misses",
    ];
    assert_eq!(slack.posted(), once);
    assert_eq!(slack.calls_of("files.completeUploadExternal").len(), 1);
    let messages = slack.calls_of("chat.postMessage");
    let shown = messages[0].to_string();
    assert!(
        shown.contains("96 % (95 % interval 80–99 %) on 24 held-out traces"),
        "{shown}"
    );
    assert!(shown.contains("\"slack_file\":{\"id\":\"F1\"}"), "{shown}");
    assert!(
        messages[1..]
            .iter()
            .all(|reply| !reply["thread_ts"].is_null())
    );
    let misses = messages[2].to_string();
    assert!(
        misses.contains("Question 23 &lt;@U1&gt;?") && misses.contains("It gets 1 of 24"),
        "{misses}"
    );
    let why = "Decided in line 7: `\\\"yes\\\" in trace[\\\"output_text\\\"]` · `trace[\\\"output_text\\\"]` is 'no'";
    assert!(misses.contains(why), "{misses}");
    let score = " broken answers noticed, made from 12 good ones";
    assert!(
        shown.contains("mutation score ") && shown.contains(score),
        "{shown}"
    );

    for _ in 0..2 {
        decide(&app, workspace, &"v1".into(), Decision::Refine, "U1")
            .await
            .unwrap();
        post_reports(&app, workspace).await.unwrap();
    }
    assert_eq!(slack.posted()[3..], ["iofold_refine"]);
    let asked: i64 = sqlx::query_scalar("select count(*) from traces where asked = 1")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(asked, 3);

    decide(&app, workspace, &"v1".into(), Decision::Deploy, "U1")
        .await
        .unwrap();
    decide(&app, workspace, &"v1".into(), Decision::Discard, "U2")
        .await
        .unwrap();
    for _ in 0..2 {
        refresh_reports(&app, workspace).await.unwrap();
    }
    let updates = slack.calls_of("chat.update");
    assert_eq!(updates.len(), 1);
    let shown = updates[0].to_string();
    assert!(
        shown.contains("Deployed by <@U1>") && !shown.contains("report_deploy"),
        "{shown}"
    );
}

#[tokio::test]
async fn an_eval_of_sessions_is_explained_on_sessions() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let of_sessions = EVAL.replace("trace[", "trace[\"session\"][-1][");
    let sql = "update eval_versions set source = $1";
    let query = sqlx::query(sql).bind(of_sessions);
    query.execute(app.db.pool()).await.unwrap();
    let workspace = app.workspace(&"default".into()).unwrap();
    crate::run::run_evals(&app, workspace).await.unwrap();
    post_reports(&app, workspace).await.unwrap();
    let messages = slack.calls_of("chat.postMessage");
    let misses = messages.last().unwrap().to_string();
    assert!(misses.contains("Decided in line 7"), "{misses}");
    let shown = messages[0].to_string();
    assert!(shown.contains("made from 12 good ones"), "{shown}");
    assert!(shown.contains(", 0 errors apart"), "{shown}");
}

#[tokio::test]
async fn an_eval_that_cannot_be_explained_is_reported_all_the_same() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let too_long_to_watch = format!("{EVAL}# {}\n", "x".repeat(250_000));
    let sql = "update eval_versions set source = $1";
    let query = sqlx::query(sql).bind(too_long_to_watch);
    query.execute(app.db.pool()).await.unwrap();
    let workspace = app.workspace(&"default".into()).unwrap();
    crate::run::run_evals(&app, workspace).await.unwrap();
    post_reports(&app, workspace).await.unwrap();
    let messages = slack.calls_of("chat.postMessage");
    let misses = messages.last().unwrap().to_string();
    assert!(misses.contains("It gets 1 of 24"), "{misses}");
    assert!(!misses.contains("Decided in line"), "{misses}");
}

#[tokio::test]
async fn a_report_whose_picture_slack_still_looks_at_goes_out_and_shows_it_later() {
    let script = |method: &str, arguments: &serde_json::Value, before: usize| {
        let early = method == "chat.postMessage" || (method == "chat.update" && before == 0);
        match early && arguments.to_string().contains("slack_file") {
            true => Answer::Refusal("invalid_blocks"),
            false => Answer::Usual,
        }
    };
    let slack = ScriptedSlack::start_with(script).await;
    let folder = tempfile::tempdir().unwrap();
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let workspace = app.workspace(&"default".into()).unwrap();
    crate::run::run_evals(&app, workspace).await.unwrap();

    post_reports(&app, workspace).await.unwrap();
    let expected = [
        "iofold_report",
        "iofold_report",
        "iofold_report_code",
        "iofold_report_misses",
    ];
    assert_eq!(slack.posted(), expected);
    for _ in 0..3 {
        refresh_reports(&app, workspace).await.unwrap();
    }
    let updates = slack.calls_of("chat.update");
    let shows = |update: &serde_json::Value| update.to_string().contains("slack_file");
    let shows: Vec<bool> = updates.iter().map(shows).collect();
    assert_eq!(shows, [true, false, true]);
}

#[tokio::test]
async fn a_picture_that_cannot_be_uploaded_does_not_hold_the_report_back() {
    for code in ["internal_error", "missing_scope"] {
        let script = move |method: &str, _: &serde_json::Value, _: usize| match method {
            "files.getUploadURLExternal" => Answer::Refusal(code),
            _ => Answer::Usual,
        };
        let slack = ScriptedSlack::start_with(script).await;
        let folder = tempfile::tempdir().unwrap();
        let app = app(&slack, &folder, "C1").await;
        fill(&app).await;
        let workspace = app.workspace(&"default".into()).unwrap();
        crate::run::run_evals(&app, workspace).await.unwrap();
        post_reports(&app, workspace).await.unwrap();
        let posted = slack.posted();
        assert_eq!(posted.len(), 3, "{code}: {posted:?}");
        assert!(
            slack.calls_of("chat.postMessage")[0]
                .to_string()
                .contains("report_deploy")
        );
    }
}
