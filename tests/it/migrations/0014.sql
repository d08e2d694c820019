insert into slack_events (event_id, received_at_ms) values ('Ev1', 1);
