-- The first schema. One text for SQLite and Postgres: text, bigint and double precision only; times are
-- milliseconds since 1970 UTC; JSON is text. Every row belongs to a workspace.

create table workspaces (
    id text primary key,
    slack_team_id text,
    created_at_ms bigint not null
);

-- Verified webhooks, once each; handled later.
create table deliveries (
    workspace_id text not null references workspaces (id),
    id text not null,
    body text not null,
    received_at_ms bigint not null,
    handled_at_ms bigint,
    attempts bigint not null default 0,
    primary key (workspace_id, id)
);
create index deliveries_waiting on deliveries (workspace_id, received_at_ms) where handled_at_ms is null;

-- Up to when the poller has read everything; what is newer is read again.
create table poll_marks (
    workspace_id text primary key references workspaces (id),
    polled_through_ms bigint not null
);

-- v4 of Langfuse's API brings observations in any order; a trace is assembled from its rows.
create table observations (
    workspace_id text not null references workspaces (id),
    trace_id text not null,
    id text not null,
    payload text not null,
    primary key (workspace_id, trace_id, id)
);

-- `asked` is null until it is decided whether people are asked; `to_score` is 1 until the deployed versions
-- have run on the trace as it is. The payload comes last, for SQLite reads a row up to the column it needs.
create table traces (
    workspace_id text not null references workspaces (id),
    id text not null,
    payload_hash text not null,
    trace_group text not null,
    complete bigint not null check (complete in (0, 1)),
    cleaned bigint not null check (cleaned in (0, 1)),
    started_at_ms bigint not null,
    first_seen_at_ms bigint not null,
    changed_at_ms bigint not null,
    ask_probability double precision,
    asked bigint check (asked in (0, 1)),
    to_score bigint not null default 1 check (to_score in (0, 1)),
    payload text not null,
    primary key (workspace_id, id)
);
create index traces_by_age on traces (workspace_id, started_at_ms);
create index traces_undecided on traces (workspace_id, started_at_ms) where asked is null;
create index traces_to_score on traces (workspace_id, started_at_ms) where to_score = 1;

create table annotators (
    workspace_id text not null references workspaces (id),
    id text not null,
    first_seen_at_ms bigint not null,
    primary key (workspace_id, id)
);

create table labels (
    workspace_id text not null,
    trace_id text not null,
    annotator_id text not null,
    label text not null check (label in ('up', 'neutral', 'down')),
    comment text,
    acted_at_us bigint not null,
    labelled_at_ms bigint not null,
    primary key (workspace_id, trace_id, annotator_id),
    foreign key (workspace_id, trace_id) references traces (workspace_id, id),
    foreign key (workspace_id, annotator_id) references annotators (workspace_id, id)
);

create table evals (
    workspace_id text not null references workspaces (id),
    id text not null,
    name text not null,
    created_at_ms bigint not null,
    primary key (workspace_id, id),
    unique (workspace_id, name)
);

-- One attempt to make an eval version from the labels there were.
create table generations (
    workspace_id text not null,
    eval_id text not null,
    label_count bigint not null,
    state text not null check (state in ('made', 'not_yet')),
    reason text,
    candidates_tried bigint not null,
    finished_at_ms bigint not null,
    primary key (workspace_id, eval_id, label_count),
    foreign key (workspace_id, eval_id) references evals (workspace_id, id)
);

create table eval_versions (
    workspace_id text not null,
    id text not null,
    eval_id text not null,
    label_count bigint not null,
    source text not null,
    source_hash text not null,
    generator text not null,
    candidates_tried bigint not null,
    cross_validation text,
    state text not null check (state in ('proposed', 'deployed', 'discarded', 'retired')),
    decided_by text,
    decided_at_ms bigint,
    created_at_ms bigint not null,
    primary key (workspace_id, id),
    unique (workspace_id, eval_id, label_count),
    foreign key (workspace_id, eval_id) references evals (workspace_id, id)
);

-- Which labels a version, or one it descends from, has seen. Never deleted.
create table seen_labels (
    workspace_id text not null,
    version_id text not null,
    trace_id text not null,
    primary key (workspace_id, version_id, trace_id),
    foreign key (workspace_id, version_id) references eval_versions (workspace_id, id),
    foreign key (workspace_id, trace_id) references traces (workspace_id, id)
);

-- What a version did on a trace as it was then (payload_hash).
create table outcomes (
    workspace_id text not null,
    version_id text not null,
    trace_id text not null,
    payload_hash text not null,
    verdict text check (verdict in ('pass', 'fail', 'abstain')),
    reason text,
    error_kind text,
    error_message text,
    duration_us bigint not null,
    fuel bigint not null,
    ran_at_ms bigint not null,
    primary key (workspace_id, version_id, trace_id),
    check ((verdict is null) <> (error_kind is null)),
    foreign key (workspace_id, version_id) references eval_versions (workspace_id, id),
    foreign key (workspace_id, trace_id) references traces (workspace_id, id)
);

create table reports (
    workspace_id text not null,
    version_id text not null,
    figures text not null,
    picture_file_id text,
    created_at_ms bigint not null,
    primary key (workspace_id, version_id),
    foreign key (workspace_id, version_id) references eval_versions (workspace_id, id)
);

-- Scores for Langfuse, once for a version and a trace as it was (payload_hash): made with the verdict, and
-- pending until written, or refused by Langfuse for good.
create table scores (
    workspace_id text not null,
    version_id text not null,
    trace_id text not null,
    score_id text not null,
    payload_hash text not null,
    written_at_ms bigint,
    refusal text,
    primary key (workspace_id, version_id, trace_id),
    foreign key (workspace_id, version_id) references eval_versions (workspace_id, id),
    foreign key (workspace_id, trace_id) references traces (workspace_id, id)
);
create index scores_pending on scores (workspace_id) where written_at_ms is null and refusal is null;

-- Every message of ours in Slack, once for its kind and subject. Wanted first (attempts = 0), or claimed at
-- once; claimed before it is posted, so that a crash between the two is repaired by looking for it in the channel. A message whose content has changed
-- since (wanted > shown) is updated. One that Slack will never take as it is (refusal) is not tried again.
create table posts (
    workspace_id text not null references workspaces (id),
    kind text not null,
    subject_id text not null,
    channel_id text,
    ts text,
    wanted bigint not null default 0,
    shown bigint not null default 0,
    attempts bigint not null default 1,
    first_claimed_at_ms bigint not null,
    claimed_at_ms bigint not null,
    posted_at_ms bigint,
    refusal text,
    primary key (workspace_id, kind, subject_id)
);
create index posts_by_time on posts (workspace_id, kind, posted_at_ms);
create index posts_waiting on posts (workspace_id, kind) where posted_at_ms is null and refusal is null;
create index posts_stale on posts (workspace_id, kind) where wanted > shown;
