-- Events of Slack's that were handled: Slack sends one again where its answer came late or got lost.
create table slack_events (
    event_id text primary key,
    received_at_ms bigint not null
);
create index slack_events_by_time on slack_events (received_at_ms);
