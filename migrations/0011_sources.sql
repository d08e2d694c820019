-- Where a trace comes from that Langfuse does not have; null: Langfuse has it, as far as is known. Scores of the others
-- are not written there.
alter table traces add column origin text check (origin in ('langsmith', 'openai', 'agents', 'file'));

-- Up to when everything of a source is read, in milliseconds since 1970.
create table source_marks (
    workspace_id text not null references workspaces (id),
    source text not null,
    read_through_ms bigint not null,
    primary key (workspace_id, source)
);
