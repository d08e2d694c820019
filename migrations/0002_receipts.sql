-- What it takes to know an outcome again, and to repeat it. `interpreter` is null where the outcome is older
-- than this; `verdict_hash` and `engine` also where another run may come to something else (the clock's, the
-- host's and an LLM's failures), and such an outcome is used for no other run. `failures` says how many of those
-- came in a row; the trace runs again, the later the more they are. `limits` are those of the run.
alter table outcomes add column eval_hash text;
alter table outcomes add column interpreter text;
alter table outcomes add column engine text;
alter table outcomes add column verdict_hash text;
alter table outcomes add column answers text not null default '[]';
alter table outcomes add column printed text not null default '';
alter table outcomes add column limits text;
alter table outcomes add column failures bigint not null default 0;
create index outcomes_known on outcomes (eval_hash, payload_hash, workspace_id, interpreter)
    where verdict_hash is not null;

-- What an LLM answered an eval's `judge`; `question_hash` is of the question and the text that it is about.
create table judge_answers (
    workspace_id text not null references workspaces (id),
    question_hash text not null,
    model text not null,
    answer bigint not null check (answer in (0, 1)),
    primary key (workspace_id, question_hash, model)
);
