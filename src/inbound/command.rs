//! `/iofold …`.

pub(super) mod answers;
mod place;
mod words;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::app::App;
use crate::domain::{AnnotatorId, WorkspaceId};
use crate::install;
use crate::label;
use crate::slack::Message;
use crate::workspace::Workspace;
use place::{Place, place};
use words::Ask;

/// Slack shows an error after three seconds; what takes longer than this is answered later.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);

/// A slash command as Slack sends it (docs.slack.dev, "Slash commands"), as far as it is of use here.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// What was typed after `/iofold`.
    #[serde(default)]
    pub text: String,
    /// `T…`.
    #[serde(default)]
    pub team_id: String,
    /// `E…`: the org that the team is of; empty outside an Enterprise Grid.
    #[serde(default)]
    pub enterprise_id: String,
    /// `C…`: where it was typed.
    #[serde(default)]
    pub channel_id: String,
    /// Its name, `directmessage` or `privategroup`.
    #[serde(default)]
    pub channel_name: String,
    /// `U…`.
    pub user_id: String,
    /// Their handle.
    #[serde(default)]
    pub user_name: String,
    /// Opens a modal within three seconds.
    #[serde(default)]
    pub trigger_id: String,
    /// Takes late answers.
    #[serde(default)]
    pub response_url: String,
}

impl Command {
    /// Where it was typed, in a payload's words.
    pub(super) fn place(&self) -> Value {
        json!({"team_id": self.team_id, "enterprise_id": self.enterprise_id})
    }
}

/// The answer, for whoever typed it alone; `None` where a modal opens instead.
pub(super) async fn handle(app: &App, command: &Command) -> anyhow::Result<Answer> {
    let ask = match words::read(&command.text) {
        Ok(Ask::Help) => return Ok(Some(ephemeral(&answers::help()))),
        Ok(Ask::Here) => {
            let said = install::here(app, command).await?;
            return Ok(Some(ephemeral(&answers::sentence(&said))));
        }
        Err(wrong) => return Ok(Some(ephemeral(&answers::wrong(&wrong)))),
        Ok(ask) => ask,
    };
    let channel = (command.channel_id.as_str(), command.channel_name.as_str());
    let workspace = match place(app, &command.team_id, channel).await? {
        Place::Of(workspace) => workspace,
        Place::Elsewhere(ids) => return Ok(Some(ephemeral(&answers::elsewhere(&ids)))),
        Place::Nowhere => return Ok(Some(ephemeral(&answers::nowhere()))),
    };
    if ask == Ask::Label {
        open_swipe(app, &workspace.id, command);
        return Ok(None);
    }
    in_time(app, workspace, command, ask).await.map(Some)
}

/// Only for whoever typed the command.
fn ephemeral(message: &Message) -> Value {
    json!({"response_type": "ephemeral", "text": message.text, "blocks": message.blocks})
}

/// Answers at once, or says so and answers later.
async fn in_time(
    app: &App,
    workspace: &Workspace,
    command: &Command,
    ask: Ask,
) -> anyhow::Result<Value> {
    let (app_in_task, id) = (app.clone(), workspace.id.clone());
    let by = AnnotatorId::from(command.user_id.as_str());
    let mut answering = app.tasks.spawn(async move {
        let workspace = app_in_task.workspace(&id);
        let workspace = workspace.ok_or_else(|| anyhow::anyhow!("the workspace is gone"))?;
        answers::answer(&app_in_task, workspace, &by, ask).await
    });
    if let Ok(answer) = tokio::time::timeout(ANSWER_WITHIN, &mut answering).await {
        return Ok(ephemeral(&answer??));
    }
    let (app_in_task, id) = (app.clone(), workspace.id.clone());
    let response_url = command.response_url.clone();
    app.tasks.spawn(async move {
        let answer = answering.await.map_err(anyhow::Error::from).flatten();
        let answer = answer.unwrap_or_else(|error| {
            tracing::error!(workspace.id = %id, error = ?error, "a command was not answered");
            answers::failed()
        });
        respond(&app_in_task, &id, &response_url, &answer).await;
    });
    Ok(ephemeral(&answers::later()))
}

/// Answers late, in the place of what was said at once.
async fn respond(app: &App, workspace: &WorkspaceId, response_url: &str, answer: &Message) {
    let slack = app.workspace(workspace).and_then(|one| one.slack());
    let Some(slack) = slack else {
        return;
    };
    let mut body = ephemeral(answer);
    body["replace_original"] = json!(true);
    if let Err(error) = slack.client.respond(response_url, &body).await {
        tracing::warn!(workspace.id = %workspace, %error, "a late answer did not arrive");
    }
}

/// Opens the modal beside the answer to Slack, and says so where it does not.
fn open_swipe(app: &App, workspace: &WorkspaceId, command: &Command) {
    let (app_in_task, id, command) = (app.clone(), workspace.clone(), command.clone());
    app.tasks.spawn(async move {
        let Some(workspace) = app_in_task.workspace(&id) else {
            return;
        };
        let by = AnnotatorId::from(command.user_id.as_str());
        let opened = label::open_swipe(&app_in_task, workspace, &by, &command.trigger_id).await;
        if let Err(error) = opened {
            tracing::warn!(workspace.id = %id, %error, "the modal for labelling did not open");
            respond(&app_in_task, &id, &command.response_url, &answers::failed()).await;
        }
    });
}
