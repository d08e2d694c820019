update outcomes set eval_hash = 'sh', interpreter = 'i1', engine = 'wasmtime 48.0.8', verdict_hash = 'vh',
                    answers = '[{"question": "q1", "answer": true}]', printed = 'it ran', limits = 'fuel 10'
where workspace_id = 'default' and version_id = 'v1' and trace_id = 't1';
insert into judge_answers (workspace_id, question_hash, model, answer)
values ('default', 'q1', 'a-model', 1);
