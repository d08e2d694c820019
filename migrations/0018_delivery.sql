-- `gone_at_ms` is when a person was found to have deleted the message: nothing is updated or posted again then.
-- `digested_at_ms` is since when a card stands in a digest instead of in the channel: its trace is asked about all the same.
-- `updated_at_ms` is when the last update of the message began, and `updating` is 1 until it has ended.
alter table posts add column gone_at_ms bigint;
alter table posts add column digested_at_ms bigint;
alter table posts add column updated_at_ms bigint not null default 0;
alter table posts add column updating bigint not null default 0;

-- When cards were last looked for with Slack within reach: since then, either it was away or the service was.
alter table workspaces add column slack_reached_at_ms bigint;
