use std::collections::BTreeSet;

use super::refine;
use super::store::{self, Wanted};
use crate::app::App;
use crate::domain::{TraceId, VersionId, WorkspaceId};
use crate::generate::job::at_work;
use crate::generate::offer::{Made, NotYet, Offer};
use crate::generate::store::{
    NewVersion, inherit_seen, insert_seen, insert_version, lock_eval, unless_discarded,
};
use crate::generate::turn::Turn;
use crate::jobs::Work;
use crate::llm::Usage;
use crate::store::{all_labels, now_ms, seen_labels};
use crate::workspace::Workspace;

/// Makes the next version, or says why the old one stays, wherever one is wanted and due, and no other process is at it.
pub async fn refine_evals(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let workspace = &workspace.id;
    if !store::any_waits(&app.db, workspace).await? {
        return Ok(());
    }
    let labelled = all_labels(&app.db, workspace).await?.len() as i64;
    for wanted in store::due(&app.db, workspace, labelled).await? {
        if app.is_stopping() {
            break;
        }
        settle(app, workspace, &wanted).await?;
    }
    Ok(())
}

async fn settle(app: &App, workspace: &WorkspaceId, wanted: &Wanted) -> anyhow::Result<()> {
    if !wanted.is_live {
        let kept = NotYet {
            reason: "It is not in use any more.".to_owned(),
            candidates_tried: 0,
            usage: Usage::default(),
        };
        store::finish(app.db.pool(), workspace, wanted, Some(&kept)).await?;
        return Ok(());
    }
    let Some(turn) = Turn::take(app, workspace, &wanted.eval).await? else {
        return Ok(());
    };
    let attempt = async {
        // The process that was at it may have ended it.
        if !store::waits(&app.db, workspace, wanted).await? {
            return Ok(());
        }
        // Before the labels are read: one that is given meanwhile is fresh.
        let frozen_at_ms = now_ms();
        let label_count = all_labels(&app.db, workspace).await?.len() as i64;
        let made = next(app, workspace, wanted, &turn).await?;
        record(app, workspace, wanted, made, label_count, frozen_at_ms).await
    };
    turn.during(app, workspace, &wanted.eval, attempt).await?;
    app.jobs.push(workspace, Work::RunEvals).await;
    app.jobs.push(workspace, Work::PostReports).await;
    Ok(())
}

async fn next(
    app: &App,
    workspace: &WorkspaceId,
    wanted: &Wanted,
    turn: &Turn,
) -> anyhow::Result<Made> {
    let seen = seen_labels(&app.db, workspace, &wanted.version).await?;
    let seen: BTreeSet<String> = seen.iter().map(TraceId::to_string).collect();
    let from = wanted.source.clone();
    at_work(app, workspace, &wanted.eval, turn, move |order| {
        refine(order, &from, Some(&seen))
    })
    .await
}

/// In one transaction; where another attempt was recorded meanwhile, this one is dropped.
async fn record(
    app: &App,
    workspace: &WorkspaceId,
    wanted: &Wanted,
    made: Made,
    label_count: i64,
    frozen_at_ms: i64,
) -> anyhow::Result<()> {
    let mut transaction = app.db.begin().await?;
    lock_eval(&mut *transaction, workspace, &wanted.eval).await?;
    let made = unless_discarded(&mut *transaction, workspace, &wanted.eval, made).await?;
    let (offer, kept) = match made {
        Made::Offer(offer) => (Some(descendant(*offer, wanted)), None),
        Made::NotYet(not_yet) => (None, Some(not_yet)),
    };
    if !store::finish(&mut *transaction, workspace, wanted, kept.as_ref()).await? {
        return Ok(());
    }
    if let Some(offer) = &offer {
        let version = NewVersion {
            id: &VersionId::from(uuid::Uuid::now_v7().to_string()),
            eval: &wanted.eval,
            label_count,
            offer,
            parent: Some(&wanted.version),
            why: Some(&offer.changes.join("\n")),
            frozen_at_ms,
        };
        insert_version(&mut *transaction, workspace, &version).await?;
        for trace_id in &offer.seen {
            insert_seen(&mut *transaction, workspace, version.id, trace_id).await?;
        }
        inherit_seen(&mut *transaction, workspace, version.id, &wanted.version).await?;
    }
    Ok(transaction.commit().await?)
}

/// The offer with what it descends from, and why another one was wanted.
fn descendant(mut offer: Offer, wanted: &Wanted) -> Offer {
    if let Some(descent) = &mut offer.making.descent {
        descent.parent = Some(wanted.version.to_string());
        descent.why = Some(match wanted.fallen {
            true => "The figures of the one before fell.".to_owned(),
            false => "A person asked for a better one.".to_owned(),
        });
    }
    offer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::domain::EvalSource;
    use crate::generate::written::tests::trace;
    use crate::outbox::tests::app_with;
    use crate::slack::scripted::ScriptedSlack;

    const VERSION: &str =
        "\"\"\"All are good.\"\"\"\n\n\ndef evaluate(trace):\n    return True, \"\"\n";

    /// Where an LLM hangs up, and how often it was asked.
    async fn hangs_up() -> (String, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((_, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
            }
        });
        (url, asked)
    }

    /// 24 labelled traces and a version that waits for a refinement.
    async fn fill(app: &App) {
        let run = async |sql: &'static str, texts: &[&str]| {
            let mut query = sqlx::query(sql);
            for text in texts {
                query = query.bind((*text).to_owned());
            }
            query.execute(app.db.pool()).await.unwrap();
        };
        run("insert into annotators values ('default', 'U1', 0)", &[]).await;
        for id in 0..24 {
            let (said, label) = match id % 2 {
                0 => ("Ada, according to her notes.", "up"),
                _ => ("I have no idea, sorry.", "down"),
            };
            let name = format!("t{id}");
            let payload = serde_json::to_string(&trace(id, "Who?", said)).unwrap();
            let row =
                "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete,
                cleaned, started_at_ms, first_seen_at_ms, changed_at_ms, asked)
                values ('default', $1, $2, 'h', $1, 1, 0, 0, 0, 0, 0)";
            run(row, &[&name, &payload]).await;
            let row = "insert into labels values ('default', $1, 'U1', $2, 'why', 0, 1)";
            run(row, &[&name, label]).await;
        }
        run("insert into evals values ('default', 'e', 'e', 0)", &[]).await;
        let version = "insert into eval_versions (workspace_id, id, eval_id, number, source,
            source_hash, generator, candidates_tried, state, created_at_ms)
            values ('default', 'v1', 'e', 1, $1, '', 'rules', 7, 'proposed', 10)";
        run(version, &[VERSION]).await;
        let wanted = "insert into refinements (workspace_id, version_id, label_count, cause, due_label_count, state, wanted_at_ms)
            values ('default', 'v1', 24, 'asked', 24, 'waiting', 0)";
        run(wanted, &[]).await;
    }

    #[tokio::test]
    async fn nothing_is_asked_for_a_refinement_that_another_process_has_ended_meanwhile() {
        let (slack, folder) = (ScriptedSlack::start().await, tempfile::tempdir().unwrap());
        let (url, asked) = hangs_up().await;
        let app = app_with(&slack, &folder, "C1", Some(&url)).await;
        fill(&app).await;
        let here = WorkspaceId::from("default");
        let wanted = store::due(&app.db, &here, 24).await.unwrap().remove(0);
        assert_eq!(wanted.source, EvalSource::new(VERSION));
        let none: Option<&NotYet> = None;
        let finished = store::finish(app.db.pool(), &here, &wanted, none).await;
        assert!(finished.unwrap());
        settle(&app, &here, &wanted).await.unwrap();
        assert_eq!(asked.load(Relaxed), 0);
        let again = "update refinements set state = 'waiting'";
        sqlx::query(again).execute(app.db.pool()).await.unwrap();
        settle(&app, &here, &wanted).await.unwrap();
        assert!(asked.load(Relaxed) > 0, "while it waits, the LLM is asked");
    }
}
