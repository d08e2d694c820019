//! Whose reaction or reply an event is: events name a user and say nothing else of them.

use std::time::Duration;

use serde_json::Value;

use super::owner::counts;
use crate::app::App;
use crate::slack::Person;
use crate::workspace::Workspace;

/// Slack awaits an answer for three seconds, and sends an event again that had none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The user if their labels count: a person, and as with clicks no guest from another team. One of whom Slack says
/// nothing is believed where the channel has no guests.
///
/// # Errors
/// Slack is not to be reached just now.
pub(super) async fn annotator(
    app: &App,
    workspace: &Workspace,
    envelope: &Value,
    (user, team): (&str, &str),
) -> anyhow::Result<Option<Person>> {
    let Some(slack) = workspace.slack() else {
        return Ok(None);
    };
    if is_apps_own(envelope, user) {
        return Ok(None);
    }
    let asked = tokio::time::timeout(PATIENCE, slack.client.person(user)).await;
    Ok(match asked? {
        Ok(person) => {
            let home = Some(person.team_id.as_str()).filter(|home| !home.is_empty());
            let is_counted = !person.is_bot && counts(app, home, team);
            is_counted.then_some(person)
        }
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(_) => {
            let may_be_a_guest =
                envelope["is_ext_shared_channel"] == true && !app.settings.slack_guests;
            (!may_be_a_guest).then(Person::default)
        }
    })
}

fn is_apps_own(envelope: &Value, user: &str) -> bool {
    let installed = envelope["authorizations"].as_array();
    let mut installed = installed.into_iter().flatten();
    installed.any(|one| one["is_bot"] == true && one["user_id"] == user)
}

/// The teams that an event may concern: those where the app is installed that it was sent for, and its own.
pub(super) fn teams(envelope: &Value) -> Vec<&str> {
    let installed = envelope["authorizations"].as_array();
    let installed = installed.into_iter().flatten().map(|one| &one["team_id"]);
    let mut teams: Vec<&str> = installed
        .chain([&envelope["team_id"]])
        .filter_map(Value::as_str)
        .collect();
    teams.dedup();
    teams
}
