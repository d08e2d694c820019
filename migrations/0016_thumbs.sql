-- What a person did about a trace, by Slack's time: a label is what these add up to, in whatever order they arrive.
-- `undo` and `un…` (a reaction that was removed) leave no label behind them.
create table label_acts (
    workspace_id text not null,
    trace_id text not null,
    annotator_id text not null,
    acted_at_us bigint not null,
    act text not null check (act in ('up', 'neutral', 'down', 'undo', 'reacted_up', 'reacted_neutral', 'reacted_down',
                                     'unreacted_up', 'unreacted_neutral', 'unreacted_down')),
    primary key (workspace_id, trace_id, annotator_id, acted_at_us),
    foreign key (workspace_id, trace_id) references traces (workspace_id, id),
    foreign key (workspace_id, annotator_id) references annotators (workspace_id, id)
);
create index label_acts_by_time on label_acts (workspace_id, annotator_id, acted_at_us);
insert into label_acts (workspace_id, trace_id, annotator_id, acted_at_us, act)
select workspace_id, trace_id, annotator_id, acted_at_us, label from labels;

-- What a person said of a trace: `source` is empty for what the modal asked for, else the `ts` of a reply in the card's
-- thread. A deleted reply has no text; of two versions of one the later stays.
create table remarks (
    workspace_id text not null,
    trace_id text not null,
    annotator_id text not null,
    source text not null,
    said_at_us bigint not null,
    changed_at_us bigint not null,
    text text,
    primary key (workspace_id, trace_id, annotator_id, source),
    foreign key (workspace_id, trace_id) references traces (workspace_id, id),
    foreign key (workspace_id, annotator_id) references annotators (workspace_id, id)
);
insert into remarks (workspace_id, trace_id, annotator_id, source, said_at_us, changed_at_us, text)
select workspace_id, trace_id, annotator_id, '', acted_at_us, acted_at_us, comment from labels
where comment is not null;

-- What a person is not asked about: one trace, or the traces of a name. With `skipped` 0 they are again.
create table skips (
    workspace_id text not null,
    annotator_id text not null,
    kind text not null check (kind in ('trace', 'area')),
    subject text not null,
    skipped bigint not null check (skipped in (0, 1)),
    acted_at_us bigint not null,
    primary key (workspace_id, annotator_id, kind, subject),
    foreign key (workspace_id, annotator_id) references annotators (workspace_id, id)
);

-- The score of a label that was taken back is pending until it is deleted, so a row here outlives its label: the same
-- table without its reference to labels.
drop index human_scores_pending;
alter table human_scores rename to scores_of_labels;
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
    foreign key (workspace_id, trace_id) references traces (workspace_id, id),
    foreign key (workspace_id, annotator_id) references annotators (workspace_id, id)
);
insert into human_scores (workspace_id, trace_id, annotator_id, annotator_name, session_id, revision, wanted_at_ms,
                          written_at_ms, refusal, failures, next_try_at_ms)
select workspace_id, trace_id, annotator_id, annotator_name, session_id, revision, wanted_at_ms,
       written_at_ms, refusal, failures, next_try_at_ms from scores_of_labels;
drop table scores_of_labels;
create index human_scores_pending on human_scores (workspace_id) where written_at_ms is null and refusal is null;
