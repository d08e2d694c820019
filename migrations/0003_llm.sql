-- What LLMs took: a row a day (since 1970, UTC), eval, task and model. `eval_id` is '' where it was for none.
-- `cost_usd` is that of the calls whose price was known; `unpriced_calls` are the others.
create table llm_usage (
    workspace_id text not null references workspaces (id),
    day bigint not null,
    eval_id text not null,
    task text not null check (task in ('propose', 'write', 'judge')),
    model text not null,
    calls bigint not null,
    input_tokens bigint not null,
    cached_tokens bigint not null,
    cache_written_tokens bigint not null,
    output_tokens bigint not null,
    cost_usd double precision not null,
    unpriced_calls bigint not null,
    primary key (workspace_id, day, eval_id, task, model)
);

-- Why an LLM answered so, and which one it was: a fallback's answer stands under the model that was asked first.
alter table judge_answers add column reason text not null default '';
alter table judge_answers add column answered_by text;
