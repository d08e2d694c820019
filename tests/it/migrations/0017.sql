insert into channel_settings (workspace_id, cards_per_hour, paused_at_ms, paused_by) values ('default', 30, 5, 'U1');
insert into wanted_generations (workspace_id, wanted_by, wanted_at_ms) values ('default', 'U1', 5);
