-- A reaction, a reply and a deleted message name the place where one of our messages stands.
create index posts_by_place on posts (workspace_id, channel_id, ts);
