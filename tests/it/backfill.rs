//! `iofold backfill`: beside a service, without one, and killed half-way.

use std::ops::RangeInclusive;
use std::process::{Command, Output, Stdio};

use chrono::{TimeDelta, Utc};
use iofold::playground::langfuse::Apis;
use iofold::store::Db;
use serde_json::Value;
use sqlx::Row;

use crate::on_both_databases;
use crate::support::stage::{Stage, answered, eventually};
use crate::support::{Database, iofold};

on_both_databases!(
    a_command_alone_reads_months_and_goes_on_after_a_kill,
    a_service_does_the_work_and_the_command_shows_it,
);

const DAYS: i64 = 60;

fn trace(day: i64) -> Value {
    let began = Utc::now() - TimeDelta::days(day) - TimeDelta::hours(3);
    answered(&format!("t{day}"), began)
}

/// A project of two months, a trace a day.
async fn stage(database: Database) -> Stage {
    let stage = Stage::set(database, Apis::V4, Vec::new(), &[]).await;
    let langfuse = stage.playground.langfuse();
    (0..DAYS).for_each(|day| langfuse.put_trace("project-default", trace(day)));
    stage
}

fn command(stage: &Stage) -> Command {
    let since = Utc::now() - TimeDelta::days(DAYS + 1);
    let mut command = iofold();
    command
        .args(["backfill", "--since", &since.format("%Y-%m-%d").to_string()])
        .envs(stage.environment())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn ended(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    output.expect("it does not panic").expect("it runs")
}

async fn count(stage: &Stage, what: &'static str) -> i64 {
    let db = Db::connect(&stage.database_url).await.expect("it opens");
    let row = sqlx::query(what).fetch_one(db.pool()).await;
    row.expect("it is counted").get("found")
}

const TRACES: &str = "select count(*) as found from traces";

/// `counted` is how many traces it may say that it has stored.
fn assert_said(output: &Output, counted: RangeInclusive<i64>) {
    let said = String::from_utf8_lossy(&output.stdout);
    let lines = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{lines}");
    let says = |count: i64| said.contains(&format!("is read: {count} traces"));
    assert!(counted.into_iter().any(says), "{said}");
    assert!(lines.contains("% back to "), "lines in a pipe: {lines}");
}

async fn a_command_alone_reads_months_and_goes_on_after_a_kill(database: Database) {
    let stage = stage(database).await;
    let mut victim = command(&stage).spawn().expect("it starts");
    eventually("some of it to be read", || async {
        let db = Db::connect(&stage.database_url).await.ok()?;
        let half_way = "select count(*) as found from backfills
                        where reached_ms < until_ms and finished_at_ms is null";
        let row = sqlx::query(half_way).fetch_one(db.pool()).await;
        (row.ok()?.get::<i64, _>("found") == 1).then_some(())
    })
    .await;
    victim.kill().expect("it is ours");
    victim.wait().expect("it is gone");
    // What was stored right before the kill is stored once, and may not have been counted.
    assert_said(&ended(command(&stage)).await, DAYS - 1..=DAYS);
    assert_eq!(count(&stage, TRACES).await, DAYS);
    let stretches = "select count(*) as found from backfills where finished_at_ms is not null";
    assert_eq!(
        count(&stage, stretches).await,
        2,
        "the same one went on, and up to now"
    );
}

async fn a_service_does_the_work_and_the_command_shows_it(database: Database) {
    let stage = stage(database).await;
    let running = stage.start().await;
    assert_said(&ended(command(&stage)).await, DAYS..=DAYS);
    assert_eq!(count(&stage, TRACES).await, DAYS);
    let by_service = "select count(*) as found from backfills where owner like 'service:%'";
    assert_eq!(count(&stage, by_service).await, 1);
    let page = stage
        .http
        .get(stage.url("/"))
        .send()
        .await
        .expect("it answers");
    let page = page.text().await.expect("it is text");
    assert!(
        page.contains("Backfill") && page.contains("done, 60 traces"),
        "{page}"
    );
    let decided = eventually("the draw", || async {
        let undecided = "select count(*) as found from traces where asked is null";
        let drawn =
            "select count(*) as found from traces where asked = 1 and ask_probability <= 0.25";
        (count(&stage, undecided).await == 0).then_some(())?;
        Some(count(&stage, drawn).await)
    });
    let drawn = decided.await;
    assert!(
        (1..=30).contains(&drawn),
        "a sample of the old ones: {drawn}"
    );
    running.stop().await;
}
