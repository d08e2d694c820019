insert into backfills (workspace_id, since_ms, until_ms, reached_ms, started_at_ms)
    select id, 1, 3, 2, 4 from workspaces;
