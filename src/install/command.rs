use crate::app::App;
use crate::inbound::Command;
use crate::workspace::Workspace;

use super::{store, sync};

/// Has people of a workspace asked in this channel; `false` where the environment says which.
///
/// # Errors
/// The database's.
pub async fn set_channel(
    app: &App,
    workspace: &Workspace,
    channel_id: &str,
) -> anyhow::Result<bool> {
    let tenant = workspace.slack().and_then(|slack| slack.tenant.as_ref());
    if tenant.is_none() || !store::choose_channel(&app.db, &workspace.id, channel_id).await? {
        return Ok(false);
    }
    sync(app).await?;
    Ok(true)
}

/// `/iofold here`: the answer, for whoever typed it.
///
/// # Errors
/// The database's.
pub async fn here(app: &App, command: &Command) -> anyhow::Result<String> {
    // Conversations of two people have ids of their own.
    if !command.channel_id.starts_with(['C', 'G']) {
        return Ok("Type `/iofold here` in the channel where people are to be asked.".to_owned());
    }
    let Some(workspace) = workspace_of(app, &command.team_id).await? else {
        return Ok("iofold isn't installed in this team any more.".to_owned());
    };
    if !set_channel(app, workspace, &command.channel_id).await? {
        return Ok("The channel is set by `SLACK_CHANNEL`, where iofold runs.".to_owned());
    }
    let channel = &command.channel_id;
    Ok(format!(
        "From now on I ask in <#{channel}>. Type `/invite @iofold` there unless I am in it, so that I can read \
         replies and upload pictures."
    ))
}

/// The team's own installation rather than its org's.
async fn workspace_of<'a>(app: &'a App, team: &str) -> anyhow::Result<Option<&'a Workspace>> {
    let mut found = None;
    for workspace in app.workspaces() {
        let tenant = workspace.slack().and_then(|slack| slack.tenant.as_deref());
        if tenant == Some(team) {
            return Ok(Some(workspace));
        }
        if found.is_none() && app.is_of_team(workspace, team).await? {
            found = Some(workspace);
        }
    }
    Ok(found)
}
