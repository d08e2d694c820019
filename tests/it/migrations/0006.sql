update outcomes set session_hash = 'seh'
where workspace_id = 'default' and version_id = 'v1' and trace_id = 't1';
