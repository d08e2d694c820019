insert into slack_installations (id, workspace_id, is_org, name, bot_user_id, scopes, installed_by, channel, bot_token,
    refresh_token, renew_at_ms, revision, renewing_until_ms, installed_at_ms, updated_at_ms, ended_at_ms, ended_because)
values ('T1', 'default', 0, 'Team', 'U0', 'chat:write', 'U1', '', null, null, null, 2, 0, 1, 2, 2, 'uninstalled');
insert into slack_install_states (state_hash, browser_hash, expires_at_ms) values ('s', 'b', 1);
