-- A trace's absence says something only to whoever has shown it: `shown_by` names the API, the project and the server
-- that did last, and `shown_through` the filter that it passed; both are empty where nobody has, or there is none.
-- `missed_at_ms` is since when it is missing there, and `checked_at_ms` when it was last asked for because of that.
alter table traces drop column shown;
alter table traces add column shown_by text not null default '';
alter table traces add column shown_through text not null default '';
alter table traces add column missed_at_ms bigint;
alter table traces add column checked_at_ms bigint not null default 0;
create index traces_missed on traces (workspace_id, checked_at_ms) where missed_at_ms is not null;

-- A trace that was deleted needs no decision, refused card or refused score any more: nobody looks for them.
update traces set asked = null where deleted_at_ms is not null and asked = 0 and ask_probability is null;
update posts set refusal = null where kind = 'card' and refusal = 'the trace was deleted in Langfuse';
delete from scores where refusal = 'the trace was deleted in Langfuse';

-- SHA-256 of the payload, in an index that knows all that is asked for of what is read again; empty for older rows.
alter table observations add column payload_hash text not null default '';
create index observations_by_hash on observations (workspace_id, trace_id, id, source, payload_hash);
