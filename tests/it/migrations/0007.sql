insert into workspace_keys (id, workspace_id, name, secret_hash, created_at_ms, revoked_at_ms)
values ('0123456789ab', 'default', 'collector', 'hash', 1, null);
insert into arrived_traces (workspace_id, trace_id, arrived_at_ms, due_at_ms) values ('default', 't1', 1, 2);
update observations set source = 'otlp' where workspace_id = 'default';
update traces set whole = 1 where workspace_id = 'default' and id = 't1';
