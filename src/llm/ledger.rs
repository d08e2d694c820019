use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

use super::{LlmError, Task, Usage, store};
use crate::domain::{EvalId, WorkspaceId};
use crate::store::Db;

/// Where usage is written down.
pub(super) enum Ledger {
    /// In a workspace's rows.
    Rows {
        db: Db,
        workspace: WorkspaceId,
        eval: Option<EvalId>,
    },
    /// In this process, for one run of a command.
    InMemory,
}

/// What one asker has used and may use.
pub(super) struct Account {
    ledger: Ledger,
    budget_usd: Option<f64>,
    used: Mutex<Usage>,
}

impl Account {
    pub fn new(ledger: Ledger, budget_usd: Option<f64>) -> Self {
        Self {
            ledger,
            budget_usd,
            used: Mutex::default(),
        }
    }

    pub fn used(&self) -> Usage {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether something may be spent. What is under way meanwhile is not known yet, so the calls of one moment may
    /// exceed the budget together.
    pub async fn check_budget(&self) -> Result<(), LlmError> {
        let Some(budget) = self.budget_usd else {
            return Ok(());
        };
        let now = Utc::now();
        let spent = match &self.ledger {
            Ledger::InMemory => self.used().cost_usd.unwrap_or(0.0),
            Ledger::Rows { db, workspace, .. } => {
                let since = day(month(now));
                let spent = store::spent_since(db, workspace, since).await;
                spent.map_err(|error| {
                    tracing::error!(workspace.id = %workspace, error = ?error, "the LLM's budget can't be looked up");
                    let said = "the LLM was not asked: its budget can't be looked up; the log says why";
                    LlmError::Unavailable(said.to_owned())
                })?
            }
        };
        match spent < budget {
            true => Ok(()),
            false => Err(LlmError::Budget(self.used_up(spent, budget, now))),
        }
    }

    fn used_up(&self, spent: f64, budget: f64, now: DateTime<Utc>) -> String {
        let name = "IOFOLD_LLM_MONTHLY_BUDGET_USD";
        let raise = format!("{name} is {budget:.2}; raise it and start again to go on");
        match &self.ledger {
            Ledger::InMemory => {
                format!("the LLM's budget is spent: ${spent:.2} in this run. {raise}")
            }
            Ledger::Rows { .. } => {
                let reset = next_month(now);
                format!(
                    "the LLM's budget of this month is spent: ${spent:.2}. {raise}, or wait until {reset} (UTC)"
                )
            }
        }
    }

    /// Adds what a call took. Where that can't be written down, the answer is still good: it is paid for.
    pub async fn add(&self, task: Task, model: &str, usage: &Usage) {
        if usage.calls == 0 {
            return;
        }
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) += usage.clone();
        if let Ledger::Rows {
            db,
            workspace,
            eval,
        } = &self.ledger
        {
            let entry = store::Entry {
                eval: eval.as_ref(),
                task,
                model,
                usage,
                day: day(Utc::now().date_naive()),
            };
            if let Err(error) = store::add_usage(db, workspace, &entry).await {
                tracing::error!(workspace.id = %workspace, error = ?error, "what an LLM took can't be written down");
            }
        }
    }
}

/// US dollars that a workspace's calls of this month took (UTC); those without a price are not in it.
pub async fn spent_this_month(db: &Db, workspace: &WorkspaceId) -> sqlx::Result<f64> {
    store::spent_since(db, workspace, day(month(Utc::now()))).await
}

fn month(now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    today.with_day(1).unwrap_or(today)
}

fn next_month(now: DateTime<Utc>) -> NaiveDate {
    let first = month(now);
    first.checked_add_months(Months::new(1)).unwrap_or(first)
}

/// Days since 1970.
fn day(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_month_is_utcs_and_the_next_one_begins_on_its_first_day() {
        for (now, first, next) in [
            ("2026-11-25T12:00:00Z", "2026-11-01", "2026-12-01"),
            ("2026-12-31T23:59:59Z", "2026-12-01", "2027-01-01"),
            ("2024-02-29T00:00:00Z", "2024-02-01", "2024-03-01"),
            ("2026-01-31T23:30:00-01:00", "2026-02-01", "2026-03-01"),
        ] {
            assert_eq!(month(at(now)).to_string(), first);
            assert_eq!(next_month(at(now)).to_string(), next);
        }
        assert_eq!(day(month(at("1970-01-02T00:00:00Z"))), 0);
    }

    #[tokio::test]
    async fn a_run_of_a_command_stops_where_its_budget_ends_and_names_the_variable() {
        let account = Account::new(Ledger::InMemory, Some(0.5));
        let spend = |cost: f64| Usage {
            calls: 1,
            cost_usd: Some(cost),
            ..Usage::default()
        };
        assert_eq!(account.check_budget().await, Ok(()));
        account.add(Task::Write, "m", &spend(0.25)).await;
        assert_eq!(account.check_budget().await, Ok(()));
        account.add(Task::Write, "m", &spend(0.25)).await;
        let stopped = account.check_budget().await.expect_err("it is spent");
        let said = "the LLM's budget is spent: $0.50 in this run. IOFOLD_LLM_MONTHLY_BUDGET_USD is 0.50; raise it \
                    and start again to go on";
        assert_eq!(stopped, LlmError::Budget(said.to_owned()));
        let unbounded = Account::new(Ledger::InMemory, None);
        unbounded.add(Task::Write, "m", &spend(1e6)).await;
        assert_eq!(unbounded.check_budget().await, Ok(()));
    }

    #[tokio::test]
    async fn a_budget_of_nothing_stops_the_first_call() {
        let account = Account::new(Ledger::InMemory, Some(0.0));
        assert!(matches!(
            account.check_budget().await,
            Err(LlmError::Budget(_))
        ));
    }
}
