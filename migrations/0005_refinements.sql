-- Another version is to be made from this one: because a person asked for it, or because its figures fell (`fallen`, the
-- figures then, as JSON). Once for a version and the number of labelled traces then, and one at a time. It waits until there
-- are `due_label_count` of them, null until that is decided; `kept` means that the old one stays, `reason` says why, and
-- `usage` what an LLM took for nothing, as JSON.
create table refinements (
    workspace_id text not null,
    version_id text not null,
    label_count bigint not null,
    cause text not null check (cause in ('asked', 'fallen')),
    fallen text,
    due_label_count bigint,
    state text not null check (state in ('waiting', 'made', 'kept')),
    reason text,
    usage text,
    wanted_at_ms bigint not null,
    finished_at_ms bigint,
    primary key (workspace_id, version_id, label_count),
    foreign key (workspace_id, version_id) references eval_versions (workspace_id, id)
);
create unique index refinements_waiting on refinements (workspace_id, version_id) where state = 'waiting';
