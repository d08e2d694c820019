insert into llm_usage (workspace_id, day, eval_id, task, model, calls, input_tokens, cached_tokens,
                       cache_written_tokens, output_tokens, cost_usd, unpriced_calls)
values ('default', 20000, 'e1', 'judge', 'a-model', 2, 1000, 200, 0, 60, 0.0026, 0);
update judge_answers set reason = 'It says "please": 👍', answered_by = 'another-model'
where workspace_id = 'default' and question_hash = 'q1';
