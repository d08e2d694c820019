//! How a workspace stands: the same for the page at `/`, `/iofold status` and the app's Home.
//!
//! In: rows, and how the connections are doing. Out: counts and sentences, as plain text; whoever shows them escapes them.

use sqlx::Row;

use crate::app::App;
use crate::domain::{EvalId, WorkspaceId};
use crate::generate::{self, EVAL_NAME, Progress};
use crate::label::{self, Pace};
use crate::llm;
use crate::report::{self, Summary};
use crate::score;
use crate::store::Db;
use crate::workspace::Workspace;

/// Eval versions that are named; the report of any other is still in the channel.
const EVALS_SHOWN: i64 = 10;

/// The funnel of a workspace, in rows.
const COUNTS: &str = "
    select (select count(*) from traces where workspace_id = $1) as traces,
           (select count(*) from posts where workspace_id = $1 and kind = 'card'
                                         and posted_at_ms is not null) as cards,
           (select count(distinct trace_id) from labels where workspace_id = $1) as labelled,
           (select count(*) from eval_versions where workspace_id = $1) as versions,
           (select count(*) from scores where workspace_id = $1) as scored";

/// How far a workspace's loop is.
pub struct Standing {
    /// Steps of the loop and how many came through them, in order.
    pub funnel: Vec<(&'static str, i64)>,
    /// Labels on the way to the next eval.
    pub progress: Progress,
    /// What is wrong with connections, in sentences.
    pub troubles: Vec<String>,
    /// Cards an hour, and whether they are paused.
    pub pace: Pace,
    /// Cards of the last hour that count against the budget.
    pub cards_this_hour: i64,
    /// What the LLM took; `None` where none is configured.
    pub llm: Option<Spending>,
    /// The newest versions, the deployed one first.
    pub evals: Vec<Summary>,
}

/// US dollars of this month.
pub struct Spending {
    /// What calls with a known price took.
    pub spent_usd: f64,
    /// What may be taken; `None` without a bound.
    pub budget_usd: Option<f64>,
}

/// Gathers it.
pub async fn standing(app: &App, workspace: &Workspace) -> anyhow::Result<Standing> {
    let id = &workspace.id;
    Ok(Standing {
        funnel: funnel(&app.db, id).await?,
        progress: generate::progress(app, id, &EvalId::from(EVAL_NAME)).await?,
        troubles: troubles(app, workspace).await?,
        pace: label::pace(app, id).await?,
        cards_this_hour: label::cards_this_hour(&app.db, id).await?,
        llm: spending(app, id).await?,
        evals: report::summaries(&app.db, id, EVALS_SHOWN).await?,
    })
}

async fn funnel(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<Vec<(&'static str, i64)>> {
    let row = sqlx::query(COUNTS)
        .bind(workspace.as_str())
        .fetch_one(db.pool())
        .await?;
    [
        ("Traces", "traces"),
        ("Asked about", "cards"),
        ("Labelled", "labelled"),
        ("Eval versions", "versions"),
        ("Scored", "scored"),
    ]
    .into_iter()
    .map(|(name, column)| Ok((name, row.try_get(column)?)))
    .collect()
}

async fn troubles(app: &App, workspace: &Workspace) -> sqlx::Result<Vec<String>> {
    let langfuse = workspace.langfuse.as_ref();
    let connections = [
        ("Langfuse", langfuse.map(|one| &one.health)),
        (
            "LangSmith",
            workspace.langsmith.as_ref().map(|one| &one.health),
        ),
        ("OpenAI", workspace.openai.as_ref().map(|one| &one.health)),
        ("Slack", workspace.slack().map(|one| &one.health)),
    ];
    let trouble = |(name, health): (&str, Option<&crate::workspace::Health>)| {
        Some(format!("{name}: {}", health?.trouble()?))
    };
    let mut troubles: Vec<_> = connections.into_iter().filter_map(trouble).collect();
    if let Some(why) = langfuse.and_then(|langfuse| langfuse.writing.trouble()) {
        let waiting = score::backlog(&app.db, &workspace.id).await?.waiting;
        let scores = format!("Scores: {waiting} wait, and none is lost. {why}");
        troubles.extend((waiting > 0).then_some(scores));
    }
    Ok(troubles)
}

async fn spending(app: &App, workspace: &WorkspaceId) -> sqlx::Result<Option<Spending>> {
    let Some(client) = &app.llm else {
        return Ok(None);
    };
    Ok(Some(Spending {
        spent_usd: llm::spent_this_month(&app.db, workspace).await?,
        budget_usd: client.monthly_budget_usd(),
    }))
}

impl Standing {
    /// What waits for a person now, in sentences; empty where nothing does.
    pub fn needs(&self) -> Vec<String> {
        let decisions = self.evals.iter().filter(|eval| eval.awaits_a_decision());
        let mut needs: Vec<_> = decisions
            .map(|eval| format!("Decide about {}: deploy, refine or discard it", eval.name()))
            .collect();
        if self.progress.more() > 0 {
            needs.push(format!("Label traces: {}", self.progress.in_words()));
        }
        needs.extend(self.troubles.iter().cloned());
        needs
    }
}

impl Spending {
    /// "$1.20 of $50.00 this month".
    pub fn in_words(&self) -> String {
        let of = self.budget_usd;
        let of = of.map_or_else(String::new, |budget| format!(" of ${budget:.2}"));
        format!("${:.2}{of} this month", self.spent_usd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_llm_took_is_said_with_and_without_a_bound() {
        let said = |budget_usd| {
            let spending = Spending {
                spent_usd: 1.2,
                budget_usd,
            };
            spending.in_words()
        };
        assert_eq!(said(Some(50.0)), "$1.20 of $50.00 this month");
        assert_eq!(said(None), "$1.20 this month");
    }
}
