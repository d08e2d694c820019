-- What people asked for by hand, in Langfuse's own menu: a card for a trace, or for the last trace of a session.
-- The project is Langfuse's, checked again where it could not be when the call came. Asked again, a row starts anew.
create table callouts (
    workspace_id text not null references workspaces (id),
    kind text not null check (kind in ('trace', 'session')),
    subject_id text not null,
    project_id text,
    asked_by text,
    received_at_ms bigint not null,
    handled_at_ms bigint,
    attempts bigint not null default 0,
    primary key (workspace_id, kind, subject_id)
);
create index callouts_waiting on callouts (workspace_id, received_at_ms) where handled_at_ms is null;

-- Who asked for the trace's card by hand: empty where that is not known, null where nobody did.
alter table traces add column asked_by text;
