insert into refinements (workspace_id, version_id, label_count, cause, fallen, due_label_count, state, reason, wanted_at_ms,
                         finished_at_ms)
values ('default', 'v1', 30, 'fallen', '{"agreed":3,"judged":12,"promised":0.7}', 30, 'kept', 'It is no better.', 5, 6);
