update human_scores set annotator_name = 'ada', session_id = 's1', revision = 2, written_at_ms = 1700000000000;
update workspaces set slack_url = 'https://team.slack.com/';
