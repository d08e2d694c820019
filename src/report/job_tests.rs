use std::time::Duration;

use serde_json::json;

use super::*;
use crate::generate::is_development;
use crate::outbox::tests::{app, app_with};
use crate::report::refine::has_explained_misses;
use crate::report::refinements::{self, Fallen};
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

async fn set_source(app: &App, source: String) {
    let sql = "update eval_versions set source = $1";
    let query = sqlx::query(sql).bind(source);
    query.execute(app.db.pool()).await.unwrap();
}

#[tokio::test]
async fn an_eval_of_sessions_is_explained_on_sessions() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let of_sessions = EVAL.replace("trace[", "trace[\"session\"][-1][");
    set_source(&app, of_sessions).await;
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
    set_source(&app, too_long_to_watch).await;
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
    let shows = |update: &serde_json::Value| update.to_string().contains("slack_file");
    let mut updates = Vec::new();
    // One message is updated once a second.
    for _ in 0..300 {
        refresh_reports(&app, workspace).await.unwrap();
        updates = slack.calls_of("chat.update");
        if updates.last().is_some_and(shows) && updates.len() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let shown: Vec<bool> = updates.iter().map(shows).collect();
    assert_eq!(shown, [true, false, true]);
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

/// A service with a version that has run, and an LLM that answers nothing if it is to have one.
async fn run_with(has_llm: bool, slack: &ScriptedSlack, folder: &tempfile::TempDir) -> App {
    let url = has_llm.then_some("http://127.0.0.1:9");
    let app = app_with(slack, folder, "C1", url).await;
    fill(&app).await;
    let workspace = app.workspace(&"default".into()).unwrap();
    crate::run::run_evals(&app, workspace).await.unwrap();
    app
}

#[tokio::test]
async fn there_is_something_to_learn_at_once_only_for_an_llm_from_new_words_that_it_may_read() {
    let slack = ScriptedSlack::start().await;
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let without = run_with(false, &slack, &folders[0]).await;
    let with = run_with(true, &slack, &folders[1]).await;
    let group = |is_read: bool| {
        let names = (0..).map(|at: u32| at.to_string());
        let mut names = names.filter(|name| is_development(name, &"e".into()) == is_read);
        names.next().unwrap()
    };
    let version_made_at_us = 10_000_i64;
    let after = version_made_at_us;
    for (has_llm, trace, acted_at_us, is_read, learns) in [
        (true, "t23", after, true, true),
        (false, "t23", after, true, false),
        (true, "t23", after - 1, true, false),
        (true, "t23", after, false, false),
        (true, "t21", after, true, false),
    ] {
        let app = if has_llm { &with } else { &without };
        let workspace = app.workspace(&"default".into()).unwrap();
        for sql in [
            "update labels set comment = null where trace_id <> $1 or $2 < 0 or $3 = ''",
            "update labels set comment = 'why', acted_at_us = $2 where trace_id = $1 and $3 <> ''",
            "update traces set trace_group = $3 where id = $1 or $2 < 0",
        ] {
            let query = sqlx::query(sql).bind(trace).bind(acted_at_us);
            query
                .bind(group(is_read))
                .execute(app.db.pool())
                .await
                .unwrap();
        }
        let says = has_explained_misses(app, workspace, &"v1".into()).await;
        assert_eq!(
            says.unwrap(),
            learns,
            "{has_llm} {trace} {acted_at_us} {is_read}"
        );
    }
}

#[tokio::test]
async fn one_refinement_of_a_version_waits_at_a_time_and_a_fall_makes_it_due() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let (db, here, version) = (&app.db, "default".into(), VersionId::from("v1"));
    let fallen = Fallen {
        agreed: 3,
        judged: 12,
        promised: 0.7,
    };
    let want = async |count, fallen| {
        let wanted = refinements::want(db.pool(), &here, &version, count, fallen);
        wanted.await.unwrap()
    };
    let hasten = async || {
        refinements::hasten(db, &here, &version, &fallen)
            .await
            .unwrap()
    };
    assert!(!hasten().await, "nothing waits");
    assert!(want(30, None).await);
    assert!(!want(30, None).await && !want(32, None).await && !want(32, Some(&fallen)).await);
    assert!(hasten().await);
    assert!(!hasten().await, "it is no news any more");
    let last = refinements::last_fall(db, &here, &version).await.unwrap();
    assert_eq!(last, Some((30, true)));
    assert_eq!(refinements::untold_falls(db, &here).await.unwrap().len(), 1);
    let finish = "update refinements set state = 'kept', finished_at_ms = 1, usage = $1";
    let usage = serde_json::to_string(&crate::llm::Usage::default()).unwrap();
    sqlx::query(finish)
        .bind(usage)
        .execute(db.pool())
        .await
        .unwrap();
    let kept = refinements::untold_kept(db, &here).await.unwrap();
    assert!(kept[0].usage.is_some());
    assert!(!want(30, Some(&fallen)).await, "so many labels have told");
    assert!(want(32, None).await);
}

#[tokio::test]
async fn a_wish_is_due_also_where_the_report_is_deleted_before_the_answer() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let workspace = app.workspace(&"default".into()).unwrap();
    let (db, here) = (&app.db, &workspace.id);
    crate::run::run_evals(&app, workspace).await.unwrap();
    post_reports(&app, workspace).await.unwrap();
    decide(&app, workspace, &"v1".into(), Decision::Refine, "U1")
        .await
        .unwrap();
    let report = outbox::find(db, here, Kind::Report, "v1").await.unwrap();
    assert!(
        outbox::note_deleted(db, here, &report.unwrap())
            .await
            .unwrap()
    );
    for _ in 0..2 {
        post_reports(&app, workspace).await.unwrap();
    }
    let due = sqlx::query_scalar::<_, i64>("select due_label_count from refinements");
    assert_eq!(due.fetch_all(db.pool()).await.unwrap(), [27]);
    assert!(
        store::wanted_refinements(db, here)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(slack.posted().len(), 3, "there is no thread to answer in");
}

#[tokio::test]
async fn a_wish_from_before_there_were_refinements_becomes_one() {
    let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
    let app = app(&slack, &folder, "C1").await;
    fill(&app).await;
    let workspace = app.workspace(&"default".into()).unwrap();
    crate::run::run_evals(&app, workspace).await.unwrap();
    post_reports(&app, workspace).await.unwrap();
    let wanted = outbox::want(app.db.pool(), &workspace.id, Kind::Refine, "v1:24");
    wanted.await.unwrap();
    post_reports(&app, workspace).await.unwrap();
    let due = sqlx::query_scalar::<_, i64>("select due_label_count from refinements");
    assert_eq!(due.fetch_all(app.db.pool()).await.unwrap(), [27]);
}
