//! Where people contradict a deployed eval, or each other: a reply in the thread of the trace's card, once.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::thread::{conflict_message, contradiction_message};
use crate::app::App;
use crate::domain::{Thumb, Verdict, WorkspaceId, consensus};
use crate::outbox::{self, Kind};
use crate::slack::Posted;
use crate::store::Db;
use crate::workspace::{SlackConnection, Workspace};

/// Whoever toggles has made up their mind by then.
const SETTLED_MS: i64 = 60_000;
/// What was said earlier than this is no news.
const NEWS_MS: i64 = 24 * 3_600_000;
/// Replies in one job.
const AT_ONCE: i64 = 20;

/// Tells of what was said in the last day.
pub async fn tell(app: &App, workspace: &Workspace, slack: &SlackConnection) -> anyhow::Result<()> {
    for found in contradictions(&app.db, &workspace.id).await? {
        let Some(label) = found.label.filter(|label| found.is_contradicted_by(*label)) else {
            continue;
        };
        let said = (label, found.verdict);
        let message = contradiction_message(&found.eval, said, &found.reason);
        let (kind, thread) = (Kind::Contradiction, Some(&found.card));
        outbox::post_once(app, workspace, slack, kind, &found.subject, thread, message).await?;
    }
    for found in conflicts(&app.db, &workspace.id).await? {
        let message = conflict_message(found.up, found.down);
        let (kind, thread) = (Kind::Conflict, Some(&found.card));
        outbox::post_once(app, workspace, slack, kind, &found.trace, thread, message).await?;
    }
    Ok(())
}

/// A trace with a fresh label and a deployed version's verdict.
struct Contradiction {
    /// The trace and the version.
    subject: String,
    card: Posted,
    eval: String,
    verdict: Verdict,
    reason: String,
    label: Option<Thumb>,
}

impl Contradiction {
    fn is_contradicted_by(&self, label: Thumb) -> bool {
        let classes = label.class().zip(self.verdict.class());
        classes.is_some_and(|(people, eval)| people != eval)
    }
}

async fn contradictions(db: &Db, workspace: &WorkspaceId) -> anyhow::Result<Vec<Contradiction>> {
    let now = db.now_ms();
    let rows = sqlx::query(
        "select outcomes.trace_id || ':' || outcomes.version_id as subject, evals.name, outcomes.verdict,
                outcomes.reason, card.channel_id, card.ts,
                count(case when label = 'up' then 1 end) as up,
                count(case when label = 'neutral' then 1 end) as neutral,
                count(case when label = 'down' then 1 end) as down
         from eval_versions
         join evals on evals.workspace_id = eval_versions.workspace_id and evals.id = eval_versions.eval_id
         join outcomes on outcomes.workspace_id = eval_versions.workspace_id
          and outcomes.version_id = eval_versions.id and verdict in ('pass', 'fail')
         join labels on labels.workspace_id = outcomes.workspace_id and labels.trace_id = outcomes.trace_id
         join traces on traces.workspace_id = outcomes.workspace_id and traces.id = outcomes.trace_id
          and deleted_at_ms is null
         join posts card on card.workspace_id = outcomes.workspace_id and card.kind = 'card'
          and card.subject_id = outcomes.trace_id and card.posted_at_ms is not null
          and card.gone_at_ms is null
         left join posts told on told.workspace_id = outcomes.workspace_id and told.kind = 'contradiction'
          and told.subject_id = outcomes.trace_id || ':' || outcomes.version_id
          and (told.posted_at_ms is not null or told.refusal is not null)
         where eval_versions.workspace_id = $1 and eval_versions.state = 'deployed'
           and told.subject_id is null
         group by outcomes.trace_id, outcomes.version_id, evals.name, outcomes.verdict, outcomes.reason,
                  card.channel_id, card.ts, eval_versions.created_at_ms
         having min(labelled_at_ms) >= eval_versions.created_at_ms
            and max(acted_at_us) between $2 and $3
         order by max(acted_at_us) desc limit $4",
    )
    .bind(workspace.as_str())
    .bind((now - NEWS_MS) * 1_000)
    .bind((now - SETTLED_MS) * 1_000)
    .bind(AT_ONCE)
    .fetch_all(db.pool())
    .await?;
    let found: Vec<Option<Contradiction>> = rows
        .iter()
        .map(contradiction)
        .collect::<sqlx::Result<_>>()?;
    Ok(found.into_iter().flatten().collect())
}

fn contradiction(row: &AnyRow) -> sqlx::Result<Option<Contradiction>> {
    let Some(verdict) = Verdict::parse(row.try_get("verdict")?) else {
        return Ok(None);
    };
    let mut votes = Vec::new();
    for (thumb, column) in [
        (Thumb::Up, "up"),
        (Thumb::Neutral, "neutral"),
        (Thumb::Down, "down"),
    ] {
        let count: i64 = row.try_get(column)?;
        votes.extend((0..count).map(|_| thumb));
    }
    Ok(Some(Contradiction {
        subject: row.try_get("subject")?,
        card: place(row)?,
        eval: row.try_get("name")?,
        verdict,
        reason: row
            .try_get::<Option<String>, _>("reason")?
            .unwrap_or_default(),
        label: consensus(votes),
    }))
}

/// A trace that people differ on.
struct Conflict {
    trace: String,
    card: Posted,
    up: i64,
    down: i64,
}

async fn conflicts(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<Conflict>> {
    let now = db.now_ms();
    let rows = sqlx::query(
        "select labels.trace_id, card.channel_id, card.ts,
                count(case when label = 'up' then 1 end) as up,
                count(case when label = 'down' then 1 end) as down
         from labels
         join traces on traces.workspace_id = labels.workspace_id and traces.id = labels.trace_id
          and deleted_at_ms is null
         join posts card on card.workspace_id = labels.workspace_id and card.kind = 'card'
          and card.subject_id = labels.trace_id and card.posted_at_ms is not null
          and card.gone_at_ms is null
         left join posts told on told.workspace_id = labels.workspace_id and told.kind = 'conflict'
          and told.subject_id = labels.trace_id
          and (told.posted_at_ms is not null or told.refusal is not null)
         where labels.workspace_id = $1 and told.subject_id is null
         group by labels.trace_id, card.channel_id, card.ts
         having count(case when label = 'up' then 1 end) > 0
            and count(case when label = 'down' then 1 end) > 0
            and max(acted_at_us) between $2 and $3
         order by max(acted_at_us) desc limit $4",
    )
    .bind(workspace.as_str())
    .bind((now - NEWS_MS) * 1_000)
    .bind((now - SETTLED_MS) * 1_000)
    .bind(AT_ONCE)
    .fetch_all(db.pool())
    .await?;
    let read = |row: &AnyRow| {
        Ok(Conflict {
            trace: row.try_get("trace_id")?,
            card: place(row)?,
            up: row.try_get("up")?,
            down: row.try_get("down")?,
        })
    };
    rows.iter().map(read).collect()
}

fn place(row: &AnyRow) -> sqlx::Result<Posted> {
    Ok(Posted {
        channel: row.try_get("channel_id")?,
        ts: row.try_get("ts")?,
    })
}
