-- How writing a score goes. `revision` counts what it has said, so that an answer to an earlier request does not pass for
-- one to the latest; `failures` are those that are the score's own; before `next_try_at_ms` it is left alone.
alter table scores add column revision bigint not null default 0;
alter table scores add column wanted_at_ms bigint not null default 0;
alter table scores add column failures bigint not null default 0;
alter table scores add column next_try_at_ms bigint not null default 0;

-- Each person's label on a trace, as a score for Langfuse; on the trace's session where `session_id` says so. Value and
-- comment are the label's. Pending until written, or refused by Langfuse for good.
create table human_scores (
    workspace_id text not null,
    trace_id text not null,
    annotator_id text not null,
    annotator_name text,
    session_id text,
    revision bigint not null default 0,
    wanted_at_ms bigint not null,
    written_at_ms bigint,
    refusal text,
    failures bigint not null default 0,
    next_try_at_ms bigint not null default 0,
    primary key (workspace_id, trace_id, annotator_id),
    foreign key (workspace_id, trace_id, annotator_id) references labels (workspace_id, trace_id, annotator_id)
);
create index human_scores_pending on human_scores (workspace_id) where written_at_ms is null and refusal is null;
insert into human_scores (workspace_id, trace_id, annotator_id, wanted_at_ms)
select workspace_id, trace_id, annotator_id, labelled_at_ms from labels;

-- The team's own address, which links to its messages begin with.
alter table workspaces add column slack_url text;
