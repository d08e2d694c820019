-- Keys of a workspace's senders. Only the SHA-256 of a key's secret part is kept; a revoked key stays listed.
create table workspace_keys (
    id text primary key,
    workspace_id text not null references workspaces (id),
    name text not null,
    secret_hash text not null,
    created_at_ms bigint not null,
    revoked_at_ms bigint
);

-- Traces of which spans came by OTLP and that are not put together since. `due_at_ms` is when to look next.
create table arrived_traces (
    workspace_id text not null references workspaces (id),
    trace_id text not null,
    arrived_at_ms bigint not null,
    due_at_ms bigint not null,
    primary key (workspace_id, trace_id)
);
create index arrived_traces_by_due on arrived_traces (workspace_id, due_at_ms);

-- What Langfuse says of an observation replaces what a sender's span said of it, and never the other way round.
alter table observations add column source text not null default 'langfuse' check (source in ('langfuse', 'otlp'));
-- 1 where every span of the trace has come and ended: such a trace is settled without the quiet period.
alter table traces add column whole bigint not null default 0 check (whole in (0, 1));
