insert into workspaces (id, slack_team_id, created_at_ms) values ('default', 'T1', 1700000000000);
insert into deliveries (workspace_id, id, body, received_at_ms, attempts)
values ('default', 'd1', '{"type": "trace"}', 1700000000000, 1);
insert into poll_marks (workspace_id, polled_through_ms) values ('default', 1700000000000);
insert into observations (workspace_id, trace_id, id, payload) values ('default', 't1', 'o1', '{}');
insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                    started_at_ms, first_seen_at_ms, changed_at_ms, ask_probability, asked)
values ('default', 't1', '{"id": "t1"}', 'h1', 'g1', 1, 0, 1700000000000, 1700000000000, 1700000000000, 0.25, 1);
insert into annotators (workspace_id, id, first_seen_at_ms) values ('default', 'U1', 1700000000000);
insert into labels (workspace_id, trace_id, annotator_id, label, comment, acted_at_us, labelled_at_ms)
values ('default', 't1', 'U1', 'down', 'too long: 👎', 1700000000000000, 1700000000000);
insert into evals (workspace_id, id, name, created_at_ms)
values ('default', 'e1', 'good_answer', 1700000000000);
insert into generations (workspace_id, eval_id, label_count, state, reason, candidates_tried, finished_at_ms)
values ('default', 'e1', 20, 'not_yet', 'nothing beats the majority guess', 40, 1700000000000);
insert into eval_versions (workspace_id, id, eval_id, label_count, source, source_hash, generator,
                           candidates_tried, cross_validation, state, decided_by, decided_at_ms, created_at_ms)
values ('default', 'v1', 'e1', 30, 'def evaluate(trace): return True', 'sh', 'rules',
        40, null, 'deployed', 'U1', 1700000000000, 1700000000000);
insert into seen_labels (workspace_id, version_id, trace_id) values ('default', 'v1', 't1');
insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason, duration_us, fuel, ran_at_ms)
values ('default', 'v1', 't1', 'h1', 'pass', 'it is fine', 300, 1000000, 1700000000000);
insert into reports (workspace_id, version_id, figures, picture_file_id, created_at_ms)
values ('default', 'v1', '{}', 'F1', 1700000000000);
insert into scores (workspace_id, version_id, trace_id, score_id, payload_hash, written_at_ms)
values ('default', 'v1', 't1', 's1', 'h1', 1700000000000);
insert into posts (workspace_id, kind, subject_id, channel_id, ts, wanted, shown, attempts,
                   first_claimed_at_ms, claimed_at_ms, posted_at_ms)
values ('default', 'card', 't1', 'C1', '1700000000.000100', 2, 1, 1, 1700000000000, 1700000000000, 1700000000000);
