-- What an eval of sessions ran on: SHA-256 of the trace with its session; null where an eval ran on the trace alone.
alter table outcomes add column session_hash text;
-- The traces of a session are of one group.
create index traces_by_group on traces (workspace_id, trace_group, started_at_ms);
create index outcomes_of_sessions on outcomes (eval_hash, session_hash, workspace_id, interpreter)
    where session_hash is not null;
