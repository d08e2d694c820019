use super::*;

const MINUTE_MS: i64 = 60_000;

/// An embedded database with one labelled trace, on which version `v` of `here` ran with another interpreter.
async fn database(folder: &tempfile::TempDir, ran_at_ms: i64) -> Db {
    let url = format!("sqlite://{}/test.db", folder.path().display());
    let db = Db::open(&url).await.unwrap();
    let rows = "
        insert into workspaces (id, created_at_ms) values ('here', 0);
        insert into evals values ('here', 'e', 'e', 0);
        insert into eval_versions (workspace_id, id, eval_id, number, source, source_hash, generator,
                                   candidates_tried, state, created_at_ms)
        values ('here', 'v', 'e', 1, '', '', 'rules', 1, 'proposed', 0);
        insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                            started_at_ms, first_seen_at_ms, changed_at_ms)
        values ('here', 't', '{}', 'now', '', 1, 0, 0, 0, 0);
        insert into annotators values ('here', 'U1', 0);
        insert into labels values ('here', 't', 'U1', 'up', null, 0, 0);
        insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason, duration_us,
                              fuel, ran_at_ms, interpreter)
        values ('here', 'v', 't', 'now', 'pass', '', 0, 0, 0, 'another');";
    sqlx::raw_sql(rows).execute(db.pool()).await.unwrap();
    sqlx::query("update outcomes set ran_at_ms = $1")
        .bind(ran_at_ms)
        .execute(db.pool())
        .await
        .unwrap();
    db
}

async fn is_pending(ran_at_ms: i64, started_at_ms: i64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder, ran_at_ms).await;
    let here = "here".into();
    let version = VersionSource {
        id: "v".into(),
        source: EvalSource::new(""),
        eval: "e".into(),
    };
    let pending = labelled_without_outcome(&db, &here, &version, started_at_ms, 9).await;
    !pending.unwrap().is_empty()
}

#[tokio::test]
async fn what_another_interpreter_ran_is_left_to_it_for_minutes_and_not_for_ever() {
    let now = now_ms();
    let ago = |minutes| now - minutes * MINUTE_MS;
    assert!(!is_pending(ago(5), ago(60)).await);
    assert!(is_pending(ago(20), ago(60)).await);
    assert!(is_pending(ago(5), ago(1)).await, "before this one started");
}
