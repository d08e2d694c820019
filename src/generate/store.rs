use sqlx::{Any, Executor, Row};

use super::{Made, NotYet, Offer};
use crate::domain::{EvalId, EvalSource, VersionId, WorkspaceId};
use crate::store::{Db, now_ms};

/// Makes the workspace's eval unless it is there.
pub async fn ensure_eval(
    db: &Db,
    workspace: &WorkspaceId,
    eval: &EvalId,
    name: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into evals (workspace_id, id, name, created_at_ms) values ($1, $2, $3, $4)
         on conflict (workspace_id, id) do nothing",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(name)
    .bind(now_ms())
    .execute(db.pool())
    .await
    .map(drop)
}

/// Takes the eval's row, so that two attempts to record a generation follow each other.
pub async fn lock_eval(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    eval: &EvalId,
) -> sqlx::Result<()> {
    sqlx::query("update evals set name = name where workspace_id = $1 and id = $2")
        .bind(workspace.as_str())
        .bind(eval.as_str())
        .execute(db)
        .await
        .map(drop)
}

/// From how many labelled traces the last attempt was made; `None` before the first.
pub async fn last_label_count(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    eval: &EvalId,
) -> sqlx::Result<Option<i64>> {
    sqlx::query(
        "select max(label_count) as labels from generations
         where workspace_id = $1 and eval_id = $2",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .fetch_one(db)
    .await?
    .try_get("labels")
}

/// What an attempt came to.
pub struct Attempt<'a> {
    pub eval: &'a EvalId,
    pub label_count: i64,
    pub candidates_tried: usize,
    /// Why there is no eval, and what an LLM took; `None` where there is one.
    pub not_yet: Option<&'a NotYet>,
}

/// Records an attempt, so that the next one waits for more labels.
pub async fn insert_generation(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    attempt: &Attempt<'_>,
) -> anyhow::Result<()> {
    let not_yet = attempt.not_yet;
    let usage = not_yet.map(|not_yet| serde_json::to_string(&not_yet.usage));
    sqlx::query(
        "insert into generations (workspace_id, eval_id, label_count, state, reason,
                                  candidates_tried, usage, finished_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(workspace.as_str())
    .bind(attempt.eval.as_str())
    .bind(attempt.label_count)
    .bind(not_yet.map_or("made", |_| "not_yet"))
    .bind(not_yet.map(|not_yet| not_yet.reason.as_str()))
    .bind(attempt.candidates_tried as i64)
    .bind(usage.transpose()?)
    .bind(now_ms())
    .execute(db)
    .await?;
    Ok(())
}

/// A version to record.
pub struct NewVersion<'a> {
    pub id: &'a VersionId,
    pub eval: &'a EvalId,
    /// Labelled traces there were.
    pub label_count: i64,
    pub offer: &'a Offer,
    /// The version that it comes from.
    pub parent: Option<&'a VersionId>,
    /// What changed since, and why.
    pub why: Option<&'a str>,
    /// The time before its labels were read: it becomes `created_at_ms`, so that a label given while the version was
    /// being made counts as fresh.
    pub frozen_at_ms: i64,
}

/// Records a new version; its source never changes again. The caller has locked the eval.
pub async fn insert_version(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &NewVersion<'_>,
) -> anyhow::Result<()> {
    let offer = version.offer;
    let cross_validation = offer.cross_validation.as_ref().map(serde_json::to_string);
    sqlx::query(
        "insert into eval_versions (workspace_id, id, eval_id, number, label_count, source, source_hash, generator,
                                    candidates_tried, cross_validation, making, parent_id, why, state, created_at_ms)
         values ($1, $2, $3,
                 (select coalesce(max(number), 0) + 1 from eval_versions where workspace_id = $1 and eval_id = $3),
                 $4, $5, $6, $7, $8, $9, $10, $11, $12, 'proposed', $13)",
    )
    .bind(workspace.as_str())
    .bind(version.id.as_str())
    .bind(version.eval.as_str())
    .bind(version.label_count)
    .bind(offer.source.as_str())
    .bind(offer.source.hash())
    .bind(offer.making.generator.as_str())
    .bind(offer.candidates_tried as i64)
    .bind(cross_validation.transpose()?)
    .bind(serde_json::to_string(&offer.making)?)
    .bind(version.parent.map(VersionId::as_str))
    .bind(version.why)
    .bind(version.frozen_at_ms)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes down that a version has seen the labels of a trace.
pub async fn insert_seen(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    trace_id: &str,
) -> sqlx::Result<()> {
    sqlx::query("insert into seen_labels (workspace_id, version_id, trace_id) values ($1, $2, $3)")
        .bind(workspace.as_str())
        .bind(version.as_str())
        .bind(trace_id)
        .execute(db)
        .await
        .map(drop)
}

/// Writes down that a version has seen what the one that it descends from has.
pub async fn inherit_seen(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    parent: &VersionId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into seen_labels (workspace_id, version_id, trace_id)
         select workspace_id, $1, trace_id from seen_labels where workspace_id = $2 and version_id = $3
         on conflict (workspace_id, version_id, trace_id) do nothing",
    )
    .bind(version.as_str())
    .bind(workspace.as_str())
    .bind(parent.as_str())
    .execute(db)
    .await
    .map(drop)
}

/// Writes down that a version has seen what any version of its eval has.
pub async fn inherit_all_seen(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    eval: &EvalId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into seen_labels (workspace_id, version_id, trace_id)
         select distinct seen.workspace_id, cast($1 as text), trace_id
         from seen_labels seen join eval_versions
           on eval_versions.workspace_id = seen.workspace_id and eval_versions.id = version_id
         where seen.workspace_id = $2 and eval_id = $3 and version_id <> $1",
    )
    .bind(version.as_str())
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .execute(db)
    .await
    .map(drop)
}

/// Takes the right to make an attempt with an LLM until `until_ms`; gives the number of attempts so far, this one
/// included. `None` while another process is at it.
pub async fn begin(
    db: &Db,
    workspace: &WorkspaceId,
    eval: &EvalId,
    process: &str,
    until_ms: i64,
) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query(
        "insert into generations_begun (workspace_id, eval_id, begun_by, expires_at_ms, attempts)
         values ($1, $2, $3, $4, 1)
         on conflict (workspace_id, eval_id) do update
           set begun_by = excluded.begun_by, expires_at_ms = excluded.expires_at_ms,
               attempts = generations_begun.attempts + 1
           where generations_begun.expires_at_ms <= $5
         returning attempts",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(process)
    .bind(until_ms)
    .bind(now_ms())
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| row.try_get("attempts")).transpose()
}

/// Keeps that right until `until_ms`; `false` where another process has taken it over.
pub async fn renew(
    db: &Db,
    workspace: &WorkspaceId,
    eval: &EvalId,
    process: &str,
    until_ms: i64,
) -> sqlx::Result<bool> {
    let renewed = sqlx::query(
        "update generations_begun set expires_at_ms = $1
         where workspace_id = $2 and eval_id = $3 and begun_by = $4",
    )
    .bind(until_ms)
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(process)
    .execute(db.pool())
    .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Gives it back: the attempt is over, or was never made.
pub async fn give_back(
    db: &Db,
    workspace: &WorkspaceId,
    eval: &EvalId,
    process: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from generations_begun where workspace_id = $1 and eval_id = $2 and begun_by = $3",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(process)
    .execute(db.pool())
    .await
    .map(drop)
}

/// The newest version of an eval and its source; `None` before the first.
pub async fn newest_version(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    eval: &EvalId,
) -> sqlx::Result<Option<(VersionId, EvalSource)>> {
    let row = sqlx::query(
        "select id, source from eval_versions where workspace_id = $1 and eval_id = $2
         order by number desc limit 1",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        let id: String = row.try_get("id")?;
        let source: String = row.try_get("source")?;
        Ok((id.into(), EvalSource::new(source)))
    })
    .transpose()
}

/// The version of an eval that has this very source.
pub async fn version_of_source(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    eval: &EvalId,
    source_hash: &str,
) -> sqlx::Result<Option<VersionId>> {
    let row = sqlx::query(
        "select id from eval_versions where workspace_id = $1 and eval_id = $2 and source_hash = $3
         order by number desc limit 1",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(source_hash)
    .fetch_optional(db)
    .await?;
    row.map(|row| row.try_get::<String, _>("id").map(VersionId::from))
        .transpose()
}

/// What was made, unless people have discarded a version of the eval with its very source.
pub async fn unless_discarded(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    eval: &EvalId,
    made: Made,
) -> sqlx::Result<Made> {
    let Made::Offer(offer) = made else {
        return Ok(made);
    };
    let row = sqlx::query(
        "select id from eval_versions
         where workspace_id = $1 and eval_id = $2 and source_hash = $3 and state = 'discarded'",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(offer.source.hash())
    .fetch_optional(db)
    .await?;
    Ok(match row {
        Some(_) => Made::NotYet(NotYet {
            reason: "The labels lead to an eval again that was discarded.".to_owned(),
            candidates_tried: offer.candidates_tried,
            usage: offer.making.usage,
        }),
        None => Made::Offer(offer),
    })
}

/// The evals of a workspace, each with its name.
pub async fn evals(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<(EvalId, String)>> {
    let rows = sqlx::query("select id, name from evals where workspace_id = $1 order by name")
        .bind(workspace.as_str())
        .fetch_all(db.pool())
        .await?;
    let read = |row: &sqlx::any::AnyRow| {
        let id: String = row.try_get("id")?;
        Ok((EvalId::from(id), row.try_get("name")?))
    };
    rows.iter().map(read).collect()
}

/// The newest complete traces that nobody has labelled, as JSON.
pub async fn unlabelled(db: &Db, workspace: &WorkspaceId, limit: i64) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select payload from traces
         where workspace_id = $1 and deleted_at_ms is null and complete = 1
           and not exists (select 1 from labels where labels.workspace_id = traces.workspace_id
                           and labels.trace_id = traces.id)
         order by started_at_ms desc, id limit $2",
    )
    .bind(workspace.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| row.try_get("payload")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::EvalSource;
    use crate::generate::Making;
    use crate::llm::Usage;

    const HOUR_MS: i64 = 3_600_000;

    fn offer() -> Offer {
        Offer {
            source: EvalSource::new("source"),
            criterion: "Cites a source.".to_owned(),
            candidates_tried: 7,
            cross_validation: None,
            changes: Vec::new(),
            seen: Vec::new(),
            making: Making::by_rules(),
        }
    }

    /// A version of the eval's with a source of its own.
    pub async fn insert_version_of(db: &Db, workspace: &WorkspaceId, eval: &EvalId, id: &str) {
        let offer = Offer {
            source: EvalSource::new(format!("source of {id}")),
            ..offer()
        };
        let version = NewVersion {
            id: &id.into(),
            eval,
            label_count: 20,
            offer: &offer,
            parent: None,
            why: None,
            frozen_at_ms: 1,
        };
        let inserted = insert_version(db.pool(), workspace, &version).await;
        inserted.unwrap();
    }

    /// A workspace `here` with an eval `e`.
    pub async fn rows() -> (tempfile::TempDir, Db, WorkspaceId, EvalId) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", folder.path().display());
        let db = Db::open(&url).await.unwrap();
        let (workspace, eval) = (WorkspaceId::from("here"), EvalId::from("e"));
        sqlx::query("insert into workspaces (id, created_at_ms) values ('here', 0)")
            .execute(db.pool())
            .await
            .unwrap();
        ensure_eval(&db, &workspace, &eval, "e").await.unwrap();
        (folder, db, workspace, eval)
    }

    #[tokio::test]
    async fn a_version_is_frozen_when_its_labels_were_read_and_several_may_be_of_as_many_labels() {
        let (_folder, db, workspace, eval) = rows().await;
        let (first, offer) = (VersionId::from("v"), offer());
        let version = NewVersion {
            id: &first,
            eval: &eval,
            label_count: 20,
            offer: &offer,
            parent: None,
            why: None,
            frozen_at_ms: 1_234,
        };
        insert_version(db.pool(), &workspace, &version)
            .await
            .unwrap();
        let next = NewVersion {
            id: &VersionId::from("w"),
            parent: Some(&first),
            why: Some("it looks at links, too"),
            ..version
        };
        insert_version(db.pool(), &workspace, &next).await.unwrap();
        let query = "select number, label_count, created_at_ms, parent_id from eval_versions order by number";
        let rows = sqlx::query(query).fetch_all(db.pool()).await.unwrap();
        let number = |at: usize, name: &str| rows[at].get::<i64, _>(name);
        assert_eq!([number(0, "number"), number(1, "number")], [1, 2]);
        assert_eq!(
            [number(0, "label_count"), number(1, "label_count")],
            [20, 20]
        );
        assert_eq!(number(0, "created_at_ms"), 1_234);
        assert_eq!(
            rows[1].get::<Option<String>, _>("parent_id").as_deref(),
            Some("v")
        );
    }

    #[tokio::test]
    async fn a_source_that_was_discarded_is_not_offered_again_and_what_it_took_is_kept() {
        let (_folder, db, workspace, eval) = rows().await;
        insert_version_of(&db, &workspace, &eval, "v").await;
        let made = async |source: &str| {
            let mut offer = offer();
            offer.source = EvalSource::new(source);
            offer.making.usage.calls = 3;
            let made = Made::Offer(Box::new(offer));
            let made = unless_discarded(db.pool(), &workspace, &eval, made);
            made.await.unwrap()
        };
        assert!(matches!(made("source of v").await, Made::Offer(_)));
        let discard = sqlx::query("update eval_versions set state = 'discarded'");
        discard.execute(db.pool()).await.unwrap();
        let Made::NotYet(known) = made("source of v").await else {
            panic!("it is known");
        };
        let reason = "The labels lead to an eval again that was discarded.";
        assert_eq!(known.reason, reason);
        assert_eq!((known.candidates_tried, known.usage.calls), (7, 3));
        assert!(matches!(made("source of w").await, Made::Offer(_)));
    }

    #[tokio::test]
    async fn an_attempt_is_one_processs_until_it_ends_or_expires() {
        let (_folder, db, workspace, eval) = rows().await;
        let later = now_ms() + HOUR_MS;
        let begin = async |process: &str, until| {
            begin(&db, &workspace, &eval, process, until).await.unwrap()
        };
        assert_eq!(begin("a", later).await, Some(1));
        assert_eq!(begin("b", later).await, None, "a is at it");
        let is_bs = renew(&db, &workspace, &eval, "b", 0).await.unwrap();
        assert!(!is_bs);
        assert_eq!(begin("b", later).await, None, "it is not b's to end");
        let is_as = renew(&db, &workspace, &eval, "a", now_ms()).await.unwrap();
        assert!(is_as);
        assert_eq!(begin("b", later).await, Some(2), "it has expired");
        give_back(&db, &workspace, &eval, "a").await.unwrap();
        assert_eq!(begin("c", later).await, None, "it was no longer a's");
        give_back(&db, &workspace, &eval, "b").await.unwrap();
        assert_eq!(begin("c", later).await, Some(1));
    }

    #[tokio::test]
    async fn what_an_attempt_without_an_eval_took_is_written_down() {
        let (_folder, db, workspace, eval) = rows().await;
        let not_yet = NotYet {
            reason: "more labels".to_owned(),
            candidates_tried: 7,
            usage: Usage {
                calls: 3,
                ..Usage::default()
            },
        };
        let attempt = Attempt {
            eval: &eval,
            label_count: 20,
            candidates_tried: 7,
            not_yet: Some(&not_yet),
        };
        insert_generation(db.pool(), &workspace, &attempt)
            .await
            .unwrap();
        let row = sqlx::query("select state, usage from generations")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>("state"), "not_yet");
        let usage: Usage = serde_json::from_str(row.get("usage")).unwrap();
        assert_eq!(usage, not_yet.usage);
    }
}
