insert into skips (workspace_id, annotator_id, kind, subject, skipped, acted_at_us)
values ('default', 'U1', 'area', 'chat 💬', 1, 1700000000000000);
