//! An eval version in few words, for lists and for whoever asks again.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::figures::Report;
use super::message::{ReportView, report_message};
use super::store::{self, State};
use super::words;
use crate::domain::{VersionId, WorkspaceId, one_line};
use crate::outbox::{self, Kind};
use crate::slack::Message;
use crate::store::Db;
use crate::workspace;

/// One version of an eval.
pub struct Summary {
    /// Which.
    pub version: VersionId,
    /// The eval's name.
    pub eval: String,
    /// 1, 2, 3 … among the eval's.
    pub number: i64,
    /// What people decided.
    pub state: State,
    /// The question that it answers; an eval's own words. `None` where it does not say.
    pub criterion: Option<String>,
    /// "84 % (95 % interval 70–93 %) on 38 held-out traces"; `None` before it is reported.
    pub agreement: Option<String>,
    /// The report's address in Slack; `None` before it stands there.
    pub link: Option<String>,
}

impl Summary {
    /// "good_answer, version 2".
    pub fn name(&self) -> String {
        format!("{}, version {}", self.eval, self.number)
    }

    /// "deployed", "offered", "discarded", "retired".
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Proposed => "offered",
            other => other.as_str(),
        }
    }

    /// Whether a person has to decide about it.
    pub fn awaits_a_decision(&self) -> bool {
        self.state == State::Proposed && self.agreement.is_some()
    }
}

/// The versions of a workspace: what is deployed, then what is offered, then the rest; the newest of each first.
pub async fn summaries(
    db: &Db,
    workspace: &WorkspaceId,
    limit: i64,
) -> anyhow::Result<Vec<Summary>> {
    let rows = sqlx::query(
        "select eval_versions.id, evals.name, number, state, figures from eval_versions
         join evals on evals.workspace_id = eval_versions.workspace_id and evals.id = eval_id
         left join reports on reports.workspace_id = eval_versions.workspace_id
                          and reports.version_id = eval_versions.id
         where eval_versions.workspace_id = $1
         order by case state when 'deployed' then 0 when 'proposed' then 1 else 2 end,
                  eval_versions.created_at_ms desc
         limit $2",
    )
    .bind(workspace.as_str())
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    let mut summaries = rows.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    for summary in &mut summaries {
        summary.link = link(db, workspace, &summary.version).await?;
    }
    Ok(summaries)
}

fn of_row(row: &AnyRow) -> anyhow::Result<Summary> {
    let figures: Option<String> = row.try_get("figures")?;
    let report: Option<Report> = figures.as_deref().map(serde_json::from_str).transpose()?;
    let state: String = row.try_get("state")?;
    let agreement = |report: &Report| match report.quoted() {
        Some((source, figures)) => words::agreement(source, figures),
        None => "undefined".to_owned(),
    };
    Ok(Summary {
        version: row.try_get::<String, _>("id")?.into(),
        eval: row.try_get("name")?,
        number: row.try_get("number")?,
        state: State::parse(&state).ok_or_else(|| anyhow::anyhow!("an unknown state {state}"))?,
        agreement: report.as_ref().map(agreement),
        criterion: report
            .and_then(|report| report.criterion)
            .map(|text| one_line(&text)),
        link: None,
    })
}

async fn link(
    db: &Db,
    workspace: &WorkspaceId,
    version: &VersionId,
) -> sqlx::Result<Option<String>> {
    let Some(posted) = outbox::find(db, workspace, Kind::Report, version.as_str()).await? else {
        return Ok(None);
    };
    let team = workspace::slack_url_of(db, workspace).await?;
    Ok(team.and_then(|team| posted.permalink(&team)))
}

/// The figures of the newest report, or of the newest of one eval by its name in any case; without buttons, for these
/// stand where the report does. `None` where there is none.
pub async fn newest(
    db: &Db,
    workspace: &WorkspaceId,
    eval: Option<&str>,
) -> anyhow::Result<Option<(VersionId, Message, Option<String>)>> {
    let row = sqlx::query(
        "select reports.version_id from reports
         join eval_versions on eval_versions.workspace_id = reports.workspace_id
                           and eval_versions.id = reports.version_id
         join evals on evals.workspace_id = reports.workspace_id and evals.id = eval_id
         where reports.workspace_id = $1 and ($2 = '' or lower(evals.name) = $2)
         order by reports.created_at_ms desc, number desc limit 1",
    )
    .bind(workspace.as_str())
    .bind(eval.unwrap_or_default().to_lowercase())
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let id = VersionId::from(row.try_get::<String, _>("version_id")?);
    let version = store::version(db, workspace, &id).await?;
    let stored = store::report(db, workspace, &id).await?;
    let Some((version, stored)) = version.zip(stored) else {
        return Ok(None);
    };
    let mut message = report_message(&ReportView {
        report: &serde_json::from_str(&stored.figures)?,
        version: &version,
        picture: None,
    });
    message.blocks.retain(|block| block["type"] != "actions");
    let link = link(db, workspace, &id).await?;
    Ok(Some((id, message, link)))
}
