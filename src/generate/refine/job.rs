use std::collections::BTreeSet;

use super::refine;
use super::store::{self, Wanted};
use crate::app::App;
use crate::domain::{VersionId, WorkspaceId};
use crate::generate::job::at_work;
use crate::generate::offer::{Made, Offer};
use crate::generate::store::{NewVersion, inherit_seen, insert_seen, insert_version, lock_eval};
use crate::generate::turn::Turn;
use crate::jobs::Work;
use crate::store::{all_labels, now_ms};
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
        settle(app, workspace, &wanted, labelled).await?;
    }
    Ok(())
}

async fn settle(
    app: &App,
    workspace: &WorkspaceId,
    wanted: &Wanted,
    label_count: i64,
) -> anyhow::Result<()> {
    if !wanted.is_live {
        let reason = "It is not in use any more.";
        store::finish(app.db.pool(), workspace, wanted, Some(reason)).await?;
        return Ok(());
    }
    let Some(turn) = Turn::take(app, workspace, &wanted.eval).await? else {
        return Ok(());
    };
    let attempt = async {
        // Before the labels are read: one that is given meanwhile is fresh.
        let frozen_at_ms = now_ms();
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
    let seen: BTreeSet<String> = store::seen(&app.db, workspace, &wanted.version).await?;
    let from = wanted.source.clone();
    at_work(app, workspace, &wanted.eval, turn, move |order| {
        refine(order, &from, &seen)
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
    let (offer, reason) = match made {
        Made::Offer(offer) => (Some(descendant(*offer, wanted)), None),
        Made::NotYet(not_yet) => (None, Some(not_yet.reason)),
    };
    let mut transaction = app.db.begin().await?;
    lock_eval(&mut *transaction, workspace, &wanted.eval).await?;
    if !store::finish(&mut *transaction, workspace, wanted, reason.as_deref()).await? {
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
