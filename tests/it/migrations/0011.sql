insert into source_marks (workspace_id, source, read_through_ms) select id, 'langsmith', 1 from workspaces;
