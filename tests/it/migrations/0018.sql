update posts set gone_at_ms = 1, digested_at_ms = 1, updated_at_ms = 1;
update workspaces set slack_reached_at_ms = 1;
