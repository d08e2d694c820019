use sqlx::Row;

use super::{Task, Usage};
use crate::domain::{EvalId, WorkspaceId};
use crate::store::Db;

/// What one call took, and what for.
pub(super) struct Entry<'e> {
    pub eval: Option<&'e EvalId>,
    pub task: Task,
    pub model: &'e str,
    pub usage: &'e Usage,
    /// Days since 1970, UTC.
    pub day: i64,
}

/// Adds to the row of the day, the eval, the task and the model.
pub(super) async fn add_usage(
    db: &Db,
    workspace: &WorkspaceId,
    entry: &Entry<'_>,
) -> sqlx::Result<()> {
    let usage = entry.usage;
    let unpriced = if usage.cost_usd.is_none() {
        usage.calls
    } else {
        0
    };
    sqlx::query(
        "insert into llm_usage (workspace_id, day, eval_id, task, model, calls, input_tokens, cached_tokens,
             cache_written_tokens, output_tokens, cost_usd, unpriced_calls)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (workspace_id, day, eval_id, task, model) do update set
             calls = llm_usage.calls + excluded.calls,
             input_tokens = llm_usage.input_tokens + excluded.input_tokens,
             cached_tokens = llm_usage.cached_tokens + excluded.cached_tokens,
             cache_written_tokens = llm_usage.cache_written_tokens + excluded.cache_written_tokens,
             output_tokens = llm_usage.output_tokens + excluded.output_tokens,
             cost_usd = llm_usage.cost_usd + excluded.cost_usd,
             unpriced_calls = llm_usage.unpriced_calls + excluded.unpriced_calls",
    )
    .bind(workspace.as_str())
    .bind(entry.day)
    .bind(entry.eval.map_or("", EvalId::as_str))
    .bind(entry.task.as_str())
    .bind(entry.model)
    .bind(usage.calls as i64)
    .bind(usage.input_tokens as i64)
    .bind(usage.cached_tokens as i64)
    .bind(usage.cache_written_tokens as i64)
    .bind(usage.output_tokens as i64)
    .bind(usage.cost_usd.unwrap_or(0.0))
    .bind(unpriced as i64)
    .execute(db.pool())
    .await?;
    Ok(())
}

/// US dollars of the workspace since a day; calls without a price are not in it.
pub(super) async fn spent_since(db: &Db, workspace: &WorkspaceId, day: i64) -> sqlx::Result<f64> {
    let row = sqlx::query(
        "select coalesce(sum(cost_usd), 0.0) as spent from llm_usage
         where workspace_id = $1 and day >= $2",
    )
    .bind(workspace.as_str())
    .bind(day)
    .fetch_one(db.pool())
    .await?;
    row.try_get("spent")
}

/// What an eval has taken of one task in all: generating it, or answering its `judge`.
pub async fn usage_of(
    db: &Db,
    workspace: &WorkspaceId,
    eval: &EvalId,
    task: Task,
) -> sqlx::Result<Usage> {
    let row = sqlx::query(
        "select cast(coalesce(sum(calls), 0) as bigint) as calls,
             cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
             cast(coalesce(sum(cached_tokens), 0) as bigint) as cached_tokens,
             cast(coalesce(sum(cache_written_tokens), 0) as bigint) as cache_written_tokens,
             cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
             coalesce(sum(cost_usd), 0.0) as cost_usd,
             cast(coalesce(sum(unpriced_calls), 0) as bigint) as unpriced_calls
         from llm_usage
         where workspace_id = $1 and eval_id = $2 and task = $3",
    )
    .bind(workspace.as_str())
    .bind(eval.as_str())
    .bind(task.as_str())
    .fetch_one(db.pool())
    .await?;
    let count = |name| row.try_get::<i64, _>(name).map(|count| count as u64);
    let has_price = count("unpriced_calls")? == 0;
    let cost: f64 = row.try_get("cost_usd")?;
    Ok(Usage {
        calls: count("calls")?,
        input_tokens: count("input_tokens")?,
        cached_tokens: count("cached_tokens")?,
        cache_written_tokens: count("cache_written_tokens")?,
        output_tokens: count("output_tokens")?,
        cost_usd: has_price.then_some(cost),
    })
}
