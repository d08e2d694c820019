update eval_versions set parent_id = 'v0', why = 'It looks at links, too: 👍',
    making = '{"generator":"rules","kind":null,"criteria":[],"usage":{"calls":0,"input_tokens":0,"cached_tokens":0,
"cache_written_tokens":0,"output_tokens":0,"cost_usd":null},"gain":null,"judge_cost_per_thousand_usd":null,"notes":[]}'
where workspace_id = 'default' and id = 'v1' and number = 30 and label_count = 30;
insert into eval_versions (workspace_id, id, eval_id, number, label_count, source, source_hash, generator,
                           candidates_tried, state, created_at_ms)
values ('default', 'v1b', 'e1', 31, 30, 'def evaluate(trace): return False', 'sh2', 'llm', 9, 'proposed', 1700000000001);
insert into generations_begun (workspace_id, eval_id, begun_by, expires_at_ms, attempts)
values ('default', 'e1', 'a process', 1700000000000, 1);
