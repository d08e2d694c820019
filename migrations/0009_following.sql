-- Stretches of time that are read from Langfuse backwards, in windows: from `until_ms` back to `reached_ms` is done.
-- One process holds a stretch at a time, until `lease_until_ms`.
create table backfills (
    workspace_id text not null references workspaces (id),
    since_ms bigint not null,
    until_ms bigint not null,
    reached_ms bigint not null,
    traces bigint not null default 0,
    owner text not null default '',
    lease_until_ms bigint not null default 0,
    started_at_ms bigint not null,
    finished_at_ms bigint,
    primary key (workspace_id, since_ms, until_ms)
);

-- `shown` is 1 once Langfuse itself has shown the trace, so that its absence there means that it was deleted; then its
-- text is dropped here, too (`deleted_at_ms`), and its labels stay.
alter table traces add column shown bigint not null default 0;
alter table traces add column deleted_at_ms bigint;
