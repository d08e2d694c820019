use sqlx::{Any, Executor, Row};

use super::InducedEval;
use crate::domain::{EvalId, VersionId, WorkspaceId};
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
    pub candidates_tried: i64,
    /// Why there is no eval; `None` where there is one.
    pub reason: Option<&'a str>,
}

/// Records an attempt, so that the next one waits for more labels.
pub async fn insert_generation(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    attempt: &Attempt<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into generations (workspace_id, eval_id, label_count, state, reason,
                                  candidates_tried, finished_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(workspace.as_str())
    .bind(attempt.eval.as_str())
    .bind(attempt.label_count)
    .bind(if attempt.reason.is_some() {
        "not_yet"
    } else {
        "made"
    })
    .bind(attempt.reason)
    .bind(attempt.candidates_tried)
    .bind(now_ms())
    .execute(db)
    .await
    .map(drop)
}

/// Records a new version; its source never changes again.
///
/// `frozen_at_ms` becomes its `created_at_ms`: the time before its labels were read, so that a label given while it was
/// being learnt counts as fresh.
pub async fn insert_version(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    version: &VersionId,
    attempt: &Attempt<'_>,
    induced: &InducedEval,
    frozen_at_ms: i64,
) -> anyhow::Result<()> {
    let cross_validation = serde_json::to_string(&induced.cross_validation)?;
    sqlx::query(
        "insert into eval_versions (workspace_id, id, eval_id, label_count, source, source_hash,
                                    generator, candidates_tried, cross_validation, state, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, 'rules', $7, $8, 'proposed', $9)",
    )
    .bind(workspace.as_str())
    .bind(version.as_str())
    .bind(attempt.eval.as_str())
    .bind(attempt.label_count)
    .bind(induced.source.as_str())
    .bind(induced.source.hash())
    .bind(attempt.candidates_tried)
    .bind(cross_validation)
    .bind(frozen_at_ms)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EvalSource;
    use crate::generate::CrossValidation;

    fn induced() -> InducedEval {
        InducedEval {
            source: EvalSource::new("source"),
            criterion: "Cites a source.".to_owned(),
            candidates_tried: 7,
            cross_validation: CrossValidation {
                folds: 5,
                repeats: 1,
                labels: Vec::new(),
            },
        }
    }

    #[tokio::test]
    async fn a_version_is_frozen_when_its_labels_were_read_not_when_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", folder.path().display());
        let db = Db::open(&url).await.unwrap();
        let (workspace, eval) = (WorkspaceId::from("here"), EvalId::from("e"));
        sqlx::query("insert into workspaces (id, created_at_ms) values ('here', 0)")
            .execute(db.pool())
            .await
            .unwrap();
        ensure_eval(&db, &workspace, &eval, "e").await.unwrap();
        let attempt = Attempt {
            eval: &eval,
            label_count: 20,
            candidates_tried: 7,
            reason: None,
        };
        let version = VersionId::from("v".to_owned());
        insert_version(db.pool(), &workspace, &version, &attempt, &induced(), 1_234)
            .await
            .unwrap();
        let row = sqlx::query("select created_at_ms from eval_versions")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>("created_at_ms"), 1_234);
    }
}
