//! What LLMs take, written down for each workspace and eval, and the budget.

use chrono::{Datelike, Months, Utc};
use iofold::domain::{EvalId, WorkspaceId};
use iofold::llm::{LlmError, Model, Task, Usage, usage_of};
use iofold::store::Db;
use iofold::workspace::register;

use super::{MODELS, client, named, prompt};
use crate::llm_standin::{Llm, Reply};
use crate::on_both_databases;
use crate::support::Database;

on_both_databases!(
    what_a_prompt_takes_is_a_row_of_its_workspace_and_eval,
    a_spent_budget_stops_its_workspace_alone_and_says_until_when,
    last_months_spending_is_not_this_months,
    calls_at_the_same_time_are_all_counted,
    without_a_price_tokens_are_counted_and_the_cost_is_not_known,
    a_database_that_is_gone_stops_what_has_a_budget,
);

async fn rows(database: Database) -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open(&database.url(folder.path()).await).await;
    let db = db.expect("it opens");
    for workspace in ["here", "elsewhere"] {
        let registered = register(&db, &workspace.into()).await;
        registered.expect("a workspace");
    }
    (folder, db)
}

fn here() -> WorkspaceId {
    WorkspaceId::from("here")
}

fn eval(id: &str) -> EvalId {
    EvalId::from(id)
}

async fn used(db: &Db, workspace: &str, id: &str, task: Task) -> Usage {
    let used = usage_of(db, &workspace.into(), &eval(id), task).await;
    used.expect("it is read")
}

async fn always_named() -> Llm {
    Llm::answering(|_| Reply::Json(named("it"))).await
}

async fn what_a_prompt_takes_is_a_row_of_its_workspace_and_eval(database: Database) {
    let (_folder, db) = rows(database).await;
    for (_, model) in MODELS {
        // An answer that is of no use is paid for too.
        let useless = Reply::Text("no JSON".to_owned());
        let llm =
            Llm::scripted([useless, Reply::Json(named("it")), Reply::Json(named("it"))]).await;
        let client = client(&llm, &[("IOFOLD_LLM_MODEL", model)]);
        let asker = client.for_workspace(&db, &here(), Some(&eval(model)));
        let written = asker
            .complete(&prompt(Task::Write))
            .await
            .expect("an answer");
        let judged = asker
            .complete(&prompt(Task::Judge))
            .await
            .expect("an answer");
        assert_eq!((written.usage.calls, judged.usage.calls), (2, 1));
        assert!(written.usage.cost_usd > Some(0.0));
        let mut both = written.usage.clone();
        both += judged.usage.clone();
        assert_eq!(asker.used().calls, both.calls);
        for (task, usage) in [(Task::Write, written.usage), (Task::Judge, judged.usage)] {
            let row = used(&db, "here", model, task).await;
            let cost = row
                .cost_usd
                .zip(usage.cost_usd)
                .map(|(a, b)| (a - b).abs() < 1e-12);
            assert_eq!(cost, Some(true));
            assert_eq!(
                Usage {
                    cost_usd: None,
                    ..row
                },
                Usage {
                    cost_usd: None,
                    ..usage
                }
            );
        }
        assert_eq!(used(&db, "elsewhere", model, Task::Write).await.calls, 0);
        assert_eq!(used(&db, "here", model, Task::Propose).await.calls, 0);
        assert_eq!(used(&db, "here", "another", Task::Write).await.calls, 0);
    }
}

async fn a_spent_budget_stops_its_workspace_alone_and_says_until_when(database: Database) {
    let (_folder, db) = rows(database).await;
    for (_, model) in MODELS {
        let llm = always_named().await;
        let settings = [
            ("IOFOLD_LLM_MODEL", model),
            ("IOFOLD_LLM_MONTHLY_BUDGET_USD", "0.000001"),
        ];
        let client = client(&llm, &settings);
        let workspace = WorkspaceId::from(model);
        register(&db, &workspace).await.expect("a workspace");
        let one = client.for_workspace(&db, &workspace, Some(&eval("e")));
        one.complete(&prompt(Task::Write))
            .await
            .expect("the first is within it");
        let sent = llm.requests().len();
        // Another eval, another value, the same workspace and month.
        let same = client.for_workspace(&db, &workspace, None);
        for task in [Task::Propose, Task::Write, Task::Judge] {
            let stopped = same.complete(&prompt(task)).await;
            let Err(LlmError::Budget(said)) = stopped else {
                panic!("{stopped:?}");
            };
            let first = Utc::now().date_naive().with_day(1).expect("a day");
            let reset = first.checked_add_months(Months::new(1)).expect("a month");
            assert!(said.contains("IOFOLD_LLM_MONTHLY_BUDGET_USD"), "{said}");
            assert!(said.contains(&format!("until {reset} (UTC)")), "{said}");
        }
        assert_eq!(llm.requests().len(), sent, "nothing was sent");
    }
    let llm = always_named().await;
    let client = client(&llm, &[("IOFOLD_LLM_MONTHLY_BUDGET_USD", "0.000001")]);
    let elsewhere = client.for_workspace(&db, &"elsewhere".into(), None);
    elsewhere
        .complete(&prompt(Task::Write))
        .await
        .expect("it has its own");
}

async fn last_months_spending_is_not_this_months(database: Database) {
    let (_folder, db) = rows(database).await;
    let today = Utc::now().date_naive();
    let first = today.with_day(1).expect("a day");
    let spend = async |day: chrono::NaiveDate| {
        sqlx::query(
            "insert into llm_usage values ('here', $1, '', 'write', 'm', 1, 1, 0, 0, 1, 100.0, 0)",
        )
        .bind(i64::from(day.to_epoch_days()))
        .execute(db.pool())
        .await
        .expect("a row");
    };
    spend(first.pred_opt().expect("a day")).await;
    let llm = always_named().await;
    let asker = client(&llm, &[]).for_workspace(&db, &here(), None);
    asker
        .complete(&prompt(Task::Write))
        .await
        .expect("this month is new");
    spend(first).await;
    let stopped = asker.complete(&prompt(Task::Write)).await;
    assert!(matches!(stopped, Err(LlmError::Budget(_))), "{stopped:?}");
}

async fn calls_at_the_same_time_are_all_counted(database: Database) {
    let (_folder, db) = rows(database).await;
    let llm = always_named().await;
    let client = client(&llm, &[]);
    let asked = prompt(Task::Judge);
    let askers: Vec<_> = (0..4)
        .map(|_| client.for_workspace(&db, &here(), Some(&eval("e"))))
        .collect();
    let all = (0..32).map(|at| askers[at % 4].complete(&asked));
    for answer in futures_util::future::join_all(all).await {
        answer.expect("an answer");
    }
    let mut total = Usage::default();
    askers.iter().for_each(|asker| total += asker.used());
    let row = used(&db, "here", "e", Task::Judge).await;
    assert_eq!((row.calls, total.calls), (32, 32));
    assert_eq!(row.output_tokens, total.output_tokens);
}

async fn without_a_price_tokens_are_counted_and_the_cost_is_not_known(database: Database) {
    let (_folder, db) = rows(database).await;
    let llm = always_named().await;
    let settings = [
        ("IOFOLD_LLM_MODEL", "gpt-private"),
        ("IOFOLD_LLM_MONTHLY_BUDGET_USD", "none"),
    ];
    let asker = client(&llm, &settings).for_workspace(&db, &here(), Some(&eval("e")));
    let answer = asker
        .complete(&prompt(Task::Write))
        .await
        .expect("an answer");
    assert_eq!(answer.usage.cost_usd, None);
    let row = used(&db, "here", "e", Task::Write).await;
    assert!(
        row.input_tokens > 0 && row.output_tokens > 0 && row.cost_usd.is_none(),
        "{row:?}"
    );
    // Nothing costs nothing, which is known.
    assert_eq!(
        used(&db, "here", "none", Task::Write).await.cost_usd,
        Some(0.0)
    );
}

async fn a_database_that_is_gone_stops_what_has_a_budget(database: Database) {
    let (_folder, db) = rows(database).await;
    let llm = always_named().await;
    let asker = client(&llm, &[]).for_workspace(&db, &here(), None);
    db.pool().close().await;
    let stopped = asker.complete(&prompt(Task::Write)).await;
    assert!(
        matches!(stopped, Err(LlmError::Unavailable(_))),
        "{stopped:?}"
    );
    assert!(llm.requests().is_empty());
}
