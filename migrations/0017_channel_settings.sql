-- What people have set for their channel by a command: cards an hour at most, null for the service's own number; and that
-- no cards come, since `paused_at_ms`, until `paused_until_ms` or, where that is null, until somebody resumes.
create table channel_settings (
    workspace_id text primary key references workspaces (id),
    cards_per_hour bigint check (cards_per_hour between 1 and 1000),
    paused_at_ms bigint,
    paused_until_ms bigint,
    paused_by text
);
-- That a person wants an eval made from the labels there are, before there are as many as usual.
create table wanted_generations (
    workspace_id text primary key references workspaces (id),
    wanted_by text not null,
    wanted_at_ms bigint not null
);
