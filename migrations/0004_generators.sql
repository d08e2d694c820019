-- A version's place among its eval's: 1, 2, 3 …; versions older than this have the number of labels that they were made
-- from. It held that number, of which there may be several versions now.
alter table eval_versions rename column label_count to number;
alter table eval_versions add column label_count bigint not null default 0;
update eval_versions set label_count = number;

-- How it was made, as JSON: generator, kind, criteria, usage, gain; null where it is older than this.
alter table eval_versions add column making text;
-- The version that it comes from, whose seen labels are its own too; and what changed and why.
alter table eval_versions add column parent_id text;
alter table eval_versions add column why text;

-- What an LLM took for an attempt that made no eval, as JSON.
alter table generations add column usage text;

-- An attempt with an LLM that a process is at, which renews it. From `expires_at_ms` on, for that process crashed or the
-- attempt failed, another one may take it over; `attempts` says how many began.
create table generations_begun (
    workspace_id text not null,
    eval_id text not null,
    begun_by text not null,
    expires_at_ms bigint not null,
    attempts bigint not null,
    primary key (workspace_id, eval_id),
    foreign key (workspace_id, eval_id) references evals (workspace_id, id)
);
