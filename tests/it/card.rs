//! Cards and the pages behind them: as Slack's own block classes have them, and opened by a click.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use iofold::domain::{Trace, TraceId, WorkspaceId};
use iofold::ingest;
use iofold::label::card::{CardView, Pages, Tally, card};
use iofold::playground::langfuse::{Apis, Recorded};
use iofold::playground::slack::TEAM_ID;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::judged::{message_problems, view_problems, visible_text};
use crate::support::signed::{form, interaction_body, now};
use crate::support::stage::{Running, Stage, button, eventually, recorded, trace_of};
use crate::support::{Database, sdk_node, sdk_python};

on_both_databases!(
    show_all_opens_the_whole_trace_and_its_pages_turn,
    a_page_is_turned_for_the_traces_own_team_only,
);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn normalised(trace: &Value) -> Trace {
    ingest::normalise(&serde_json::from_value(trace.clone()).expect("a trace"))
}

/// The traces of tests/fixtures/cards, and one for each hostile text.
fn traces() -> Vec<Trace> {
    let folder = root().join("tests/fixtures/cards");
    let files = fs::read_dir(folder).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let files = files.filter(|file| file.extension().is_some_and(|end| end == "json"));
    let read = |file| serde_json::from_str(&fs::read_to_string(file).expect("text")).expect("JSON");
    let mut traces: Vec<Value> = files.map(read).collect();
    let hostile = fs::read_to_string(root().join("tests/fixtures/hostile.json")).expect("text");
    let hostile: Vec<String> = serde_json::from_str(&hostile).expect("texts");
    traces.extend(hostile.iter().map(|text| {
        json!({"id": "t", "name": text, "timestamp": "2025-03-01T00:00:00.000Z", "input": text, "output": text,
            "observations": [{"id": "o", "type": "TOOL", "name": text, "input": {"a": text}, "output": text}]})
    }));
    traces.iter().map(normalised).collect()
}

fn message_of(trace: &Trace) -> Value {
    let view = CardView {
        trace,
        url: Some("https://langfuse.example/project/p/traces/t".to_owned()),
        cleaned: true,
        deleted: false,
        tally: Tally {
            up: 1,
            neutral: 1,
            down: 1,
        },
        asked_by: Some("Ada"),
        on_session: true,
    };
    json!(card(&view))
}

fn views_of(trace: &Trace) -> Vec<Value> {
    let pages = Pages::of(trace, false);
    let (workspace, id) = (
        WorkspaceId::from("default"),
        TraceId::from(trace.id.as_str()),
    );
    (0..pages.count())
        .map(|page| pages.view(page, &workspace, &id))
        .collect()
}

/// `{messages, views}` of every trace.
fn shown() -> Value {
    let traces = traces();
    let messages: Vec<Value> = traces
        .iter()
        .map(|trace| message_of(trace)["blocks"].take())
        .collect();
    let views: Vec<Value> = traces.iter().flat_map(views_of).collect();
    json!({"messages": messages, "views": views})
}

fn run(mut command: Command, input: &str) -> String {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().expect("it starts");
    let mut stdin = process.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn slacks_python_models_take_every_card_and_page() {
    let shown = shown();
    let mut command = Command::new(sdk_python());
    command.arg(root().join("tests/sdk/slack_cards.py"));
    let count: Value = serde_json::from_str(&run(command, &shown.to_string())).expect("JSON");
    assert_eq!(
        count["messages"],
        shown["messages"].as_array().map_or(0, Vec::len)
    );
}

/// A list's `offset`, which docs.slack.dev and `slack_sdk` know, is missing in `@slack/types`.
fn without_offsets(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_offsets),
        Value::Object(fields) => {
            fields.remove("offset");
            fields.values_mut().for_each(without_offsets);
        }
        _ => {}
    }
}

#[test]
fn slacks_types_describe_every_card_and_page() {
    let mut shown = shown();
    without_offsets(&mut shown);
    let modules = root().join("tests/sdk/node_modules");
    let folder = tempfile::tempdir().expect("a folder");
    let source = format!(
        "import type {{ KnownBlock, ModalView }} from \"@slack/types\";\n\
         export const messages: KnownBlock[][] = {};\nexport const views: ModalView[] = {};\n",
        shown["messages"], shown["views"],
    );
    let settings = json!({
        "compilerOptions": {
            "strict": true, "noEmit": true, "skipLibCheck": true, "types": [],
            "module": "esnext", "moduleResolution": "bundler", "target": "es2022",
            "paths": {"@slack/types": [modules.join("@slack/types/dist/index.d.ts")]},
        },
        "files": ["cards.ts"],
    });
    fs::write(folder.path().join("cards.ts"), source).expect("it is written");
    fs::write(folder.path().join("tsconfig.json"), settings.to_string()).expect("it is written");
    let mut command = sdk_node();
    command
        .arg(modules.join("typescript/bin/tsc"))
        .arg("--project")
        .arg(folder.path());
    run(command, "");
}

#[test]
fn hostile_texts_are_only_texts_from_outside_too() {
    for trace in traces() {
        assert_eq!(message_problems(&message_of(&trace)), Vec::<String>::new());
        for view in views_of(&trace) {
            assert_eq!(view_problems(&view), Vec::<String>::new());
        }
    }
}

/// A service that has asked about one long trace.
async fn stage_with_a_long_trace(database: Database) -> (Stage, Running, Value) {
    let mut recorded: Vec<Recorded> = recorded("wow_grounded", 1);
    let answer: String = (0..1_500)
        .map(|n| format!("Sentence number {n}. "))
        .collect();
    recorded[0].trace["output"] = json!(answer);
    let steps = recorded[0].trace["observations"]
        .as_array_mut()
        .expect("steps");
    let generations = steps.iter_mut().filter(|step| step["type"] == "GENERATION");
    generations.for_each(|step| step["output"] = json!(answer));
    let stage = Stage::set(database, Apis::Both, recorded, &[]).await;
    let running = stage.start().await;
    stage.release(1).await;
    let card = eventually("the card", || async { stage.cards().await.pop() }).await;
    (stage, running, card)
}

async fn open_view(stage: &Stage, holds: &str) -> Value {
    eventually("the modal", || async {
        let views = stage.http.get(stage.page_url("views")).send().await.ok()?;
        let views: Value = views.json().await.ok()?;
        let view = views["views"].get(0)?.clone();
        visible_text(&view["blocks"])
            .contains(holds)
            .then_some(view)
    })
    .await
}

async fn turn(stage: &Stage, team: &str, view: &Value, action: &str, to: &str) {
    let payload = json!({
        "type": "block_actions", "user": {"id": "UADA", "team_id": team}, "team": {"id": team},
        "trigger_id": "1.2.3", "view": view,
        "actions": [{"action_id": action, "block_id": "pages", "value": to, "action_ts": "1.000001"}],
    });
    let url = stage.url("/slack/interactions");
    let (status, _) = interaction_body(stage, &url, now(), &form(&payload)).await;
    assert_eq!(status, 200);
}

async fn show_all_opens_the_whole_trace_and_its_pages_turn(database: Database) {
    let (stage, running, card) = stage_with_a_long_trace(database).await;
    assert!(card.to_string().contains("Open in Langfuse"));
    assert!(button(&card, "Show all").is_some_and(|button| button["value"] == trace_of(&card)));
    assert!(stage.click(&card, "you", "Show all").await);
    let first = open_view(&stage, "Sentence number 0.").await;
    assert!(visible_text(&first["blocks"]).contains("Page 1 of "));
    turn(&stage, TEAM_ID, &first, "pages_next", "1").await;
    let second = open_view(&stage, "Page 2 of ").await;
    assert_eq!(second["id"], first["id"]);
    turn(&stage, TEAM_ID, &second, "pages_next", "9999").await;
    let last = open_view(&stage, "Sentence number 1499.").await;
    turn(&stage, TEAM_ID, &last, "pages_back", "0").await;
    open_view(&stage, "Page 1 of ").await;
    running.stop().await;
}

async fn a_page_is_turned_for_the_traces_own_team_only(database: Database) {
    let (stage, running, card) = stage_with_a_long_trace(database).await;
    assert!(stage.click(&card, "you", "Show all").await);
    let first = open_view(&stage, "Page 1 of ").await;
    turn(&stage, "T0THER", &first, "pages_next", "1").await;
    for metadata in [
        json!({"workspace": "another", "trace": trace_of(&card)}).to_string(),
        json!({"workspace": "default", "trace": "another"}).to_string(),
        "{".to_owned(),
    ] {
        let mut forged = first.clone();
        forged["private_metadata"] = json!(metadata);
        turn(&stage, TEAM_ID, &forged, "pages_next", "1").await;
    }
    for to in ["", "-1", "one"] {
        turn(&stage, TEAM_ID, &first, "pages_next", to).await;
    }
    // A stopped service has done whatever it had begun.
    running.stop().await;
    open_view(&stage, "Page 1 of ").await;
}
