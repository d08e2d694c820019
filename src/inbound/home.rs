//! The app's *Home*: how a workspace stands, and what a person can do now.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::command::answers::{generate, pause, resume, standing_blocks};
use super::interaction::{Action, Interaction};
use super::owner::client_of;
use crate::app::App;
use crate::domain::{AnnotatorId, WorkspaceId};
use crate::label;
use crate::outbox;
use crate::slack::{actions, button, context, header, section};
use crate::standing::standing;
use crate::workspace::Workspace;

/// Slack's limit for a Home's blocks (docs.slack.dev, "views.publish").
const BLOCKS_MAX: usize = 100;

/// The Homes that are being published. One that is wanted meanwhile is published once more, however often it is wanted.
#[derive(Default)]
pub struct Homes(Mutex<HashMap<Whose, Wish>>);

/// A team and one of its people.
type Whose = (String, String);

struct Wish {
    /// What a button has come to.
    note: Option<String>,
    is_new: bool,
}

impl Homes {
    /// Notes a wish; says whether nobody is at it yet.
    fn want(&self, whose: &Whose, note: Option<String>) -> bool {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match wishes.entry(whose.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Wish { note, is_new: true });
                true
            }
            Entry::Occupied(mut entry) => {
                let wish = entry.get_mut();
                wish.is_new = true;
                wish.note = note.or(wish.note.take());
                false
            }
        }
    }

    /// The wish that came last, with its note; `None` once there is none, and whoever was at it is done.
    fn next(&self, whose: &Whose) -> Option<Option<String>> {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wish = wishes.get_mut(whose)?;
        if !wish.is_new {
            wishes.remove(whose);
            return None;
        }
        wish.is_new = false;
        Some(wish.note.take())
    }
}

/// Brings the Home up to date that a person looks at.
pub(super) fn opened(app: &App, envelope: &Value) {
    let event = &envelope["event"];
    let ids = [&envelope["team_id"], &event["user"]].map(|id| id.as_str());
    if let (true, [Some(team), Some(user)]) = (event["tab"] == "home", ids) {
        refresh(app, team, user, None);
    }
}

/// Publishes a person's Home beside the answer to Slack, with what a button has come to.
fn refresh(app: &App, team: &str, user: &str, note: Option<String>) {
    let whose = (team.to_owned(), user.to_owned());
    if !app.homes.want(&whose, note) {
        return;
    }
    let app_in_task = app.clone();
    app.tasks.spawn(async move {
        let (app, (team, user)) = (app_in_task, &whose);
        while let Some(note) = app.homes.next(&whose) {
            if let Err(error) = publish(&app, team, user, note).await {
                tracing::warn!(%error, "a person's Home was not published");
            }
        }
    });
}

async fn publish(app: &App, team: &str, user: &str, note: Option<String>) -> anyhow::Result<()> {
    let of_team = of_team(app, team).await?;
    let Some(client) = of_team.iter().find_map(|one| client_of(one)) else {
        return Ok(());
    };
    let mut blocks = vec![header("iofold")];
    blocks.extend(note.map(|note| context(&note)));
    let shown = shown_to(app, &of_team, user).await?;
    for workspace in &shown {
        if of_team.len() > 1 {
            blocks.push(section(&channel(app, workspace).await?));
        }
        blocks.extend(standing_blocks(&standing(app, workspace).await?));
        blocks.push(buttons(app, workspace).await?);
    }
    if shown.is_empty() {
        blocks.push(section(
            "Type `/iofold status` in the channel where iofold asks you.",
        ));
    }
    blocks.truncate(BLOCKS_MAX);
    let view = json!({"type": "home", "blocks": blocks});
    Ok(client.publish_view(user, &view).await?)
}

async fn of_team<'a>(app: &'a App, team: &str) -> anyhow::Result<Vec<&'a Workspace>> {
    let mut of_team = Vec::new();
    for workspace in app.workspaces() {
        if app.is_of_team(workspace, team).await? {
            of_team.push(workspace);
        }
    }
    Ok(of_team)
}

/// The team's one workspace; of several those where the person labels, for the channel of another may be closed to
/// them.
async fn shown_to<'a>(
    app: &App,
    of_team: &[&'a Workspace],
    user: &str,
) -> sqlx::Result<Vec<&'a Workspace>> {
    if let [only] = of_team {
        return Ok(vec![only]);
    }
    let mut shown = Vec::new();
    for workspace in of_team {
        let found = sqlx::query("select 1 from annotators where workspace_id = $1 and id = $2")
            .bind(workspace.id.as_str())
            .bind(user)
            .fetch_optional(app.db.pool())
            .await?;
        shown.extend(found.map(|_| *workspace));
    }
    Ok(shown)
}

async fn channel(app: &App, workspace: &Workspace) -> sqlx::Result<String> {
    let channel = match workspace.slack() {
        Some(slack) => outbox::channel_of(&app.db, &workspace.id, slack).await?,
        None => None,
    };
    Ok(channel.map_or_else(|| "*A channel*".to_owned(), |id| format!("*<#{id}>*")))
}

async fn buttons(app: &App, workspace: &Workspace) -> sqlx::Result<Value> {
    let id = workspace.id.as_str();
    let label = "Label: one trace after another";
    let mut shown = button("home_label", "Label", label, id);
    shown["style"] = json!("primary");
    let paused = label::pace(app, &workspace.id).await?.pause.is_some();
    let pacing = match paused {
        true => button(
            "home_resume",
            "Resume cards",
            "Resume cards: have them come again",
            id,
        ),
        false => button(
            "home_pause",
            "Pause cards",
            "Pause cards: none until somebody resumes",
            id,
        ),
    };
    let generate = button(
        "home_generate",
        "Generate",
        "Generate: make an eval from the labels there are",
        id,
    );
    Ok(actions(&format!("home {id}"), &[shown, generate, pacing]))
}

/// Does what one of the buttons says; says whether it was one.
pub(super) async fn act(
    app: &App,
    interaction: &Interaction,
    action: &Action,
) -> anyhow::Result<bool> {
    if !action.action_id.starts_with("home_") {
        return Ok(false);
    }
    if !interaction.is_a_guests(app) {
        press(app, interaction, action).await?;
    }
    Ok(true)
}

/// The Home says what came of it.
async fn press(app: &App, interaction: &Interaction, action: &Action) -> anyhow::Result<()> {
    let (team, user) = (interaction.team(), interaction.user.id.as_str());
    let of_team = of_team(app, team).await?;
    let shown = shown_to(app, &of_team, user).await?;
    let wanted = WorkspaceId::from(action.value.as_str());
    let Some(workspace) = shown.into_iter().find(|one| one.id == wanted) else {
        return Ok(());
    };
    let by = AnnotatorId::from(user);
    let said = match action.action_id.as_str() {
        "home_generate" => Some(generate(app, workspace, &by).await?),
        "home_pause" => Some(pause(app, workspace, &by, None).await?),
        "home_resume" => Some(resume(app, workspace).await?),
        "home_label" => {
            open_swipe(app, &workspace.id, interaction);
            return Ok(());
        }
        _ => return Ok(()),
    };
    refresh(app, team, user, said.map(|message| message.text));
    Ok(())
}

/// Opens the modal for labelling, beside the answer to Slack.
pub(super) fn open_swipe(app: &App, workspace: &WorkspaceId, interaction: &Interaction) {
    let (app_in_task, id) = (app.clone(), workspace.clone());
    let by = AnnotatorId::from(interaction.user.id.as_str());
    let trigger_id = interaction.trigger_id.clone().unwrap_or_default();
    app.tasks.spawn(async move {
        let Some(workspace) = app_in_task.workspace(&id) else {
            return;
        };
        if let Err(error) = label::open_swipe(&app_in_task, workspace, &by, &trigger_id).await {
            tracing::warn!(workspace.id = %id, %error, "the modal for labelling did not open");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::two_workspaces;
    use super::*;
    use crate::slack::scripted::ScriptedSlack;

    #[tokio::test]
    async fn a_home_comes_by_a_connection_that_is_not_at_its_end_and_names_where_people_are_asked()
    {
        let (gone, alive) = (ScriptedSlack::start().await, ScriptedSlack::start().await);
        let folder = tempfile::tempdir().expect("a folder");
        let app = two_workspaces(&gone, &alive, &folder).await;
        let labels = "insert into annotators values ('default', 'U7', 0), ('second', 'U7', 0)";
        let labels = sqlx::query(labels).execute(app.db.pool()).await;
        labels.expect("rows");
        publish(&app, "T1", "U7", None).await.expect("a Home");
        assert!(gone.calls_of("views.publish").is_empty());
        let homes = alive.calls_of("views.publish");
        assert_eq!(homes.len(), 1);
        let shown = homes[0].to_string();
        assert!(
            shown.contains("<#C2>") && !shown.contains("<#C7>"),
            "{shown}"
        );
    }

    #[test]
    fn a_home_that_is_wanted_often_is_published_once_more() {
        let homes = Homes::default();
        let ada = ("T1".to_owned(), "ADA".to_owned());
        assert!(homes.want(&ada, None));
        assert_eq!(homes.next(&ada), Some(None));
        for note in [None, Some("paused".to_owned()), None] {
            assert!(!homes.want(&ada, note), "somebody is at it");
        }
        assert_eq!(homes.next(&ada), Some(Some("paused".to_owned())));
        assert_eq!(homes.next(&ada), None);
        assert!(homes.want(&ada, None), "it is over");
    }
}
