-- Teams and orgs that the app was installed in by OAuth. Tokens are sealed (src/vault.rs) for the row's id and column, and
-- null once the installation ended; renew_at_ms is null where they are for good; channel is empty until one is chosen; revision counts what others must take over.
create table slack_installations (
    id text primary key,
    workspace_id text not null unique references workspaces (id),
    is_org bigint not null check (is_org in (0, 1)),
    name text not null,
    bot_user_id text not null,
    scopes text not null,
    installed_by text not null,
    channel text not null,
    bot_token text,
    refresh_token text,
    renew_at_ms bigint,
    revision bigint not null,
    renewing_until_ms bigint not null,
    installed_at_ms bigint not null,
    updated_at_ms bigint not null,
    ended_at_ms bigint,
    ended_because text,
    check ((bot_token is null) = (ended_at_ms is not null))
);

-- Installations under way: hashes of what went to Slack and of what the browser keeps. Each is taken once.
create table slack_install_states (
    state_hash text primary key,
    browser_hash text not null,
    expires_at_ms bigint not null
);
