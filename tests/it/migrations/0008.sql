insert into callouts (workspace_id, kind, subject_id, project_id, asked_by, received_at_ms, attempts)
values ('default', 'trace', 't1', 'p1', 'Ada 👋', 1700000000000, 1);
update traces set asked_by = 'Ada 👋' where workspace_id = 'default' and id = 't1';
