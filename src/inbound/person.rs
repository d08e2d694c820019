//! Whose reaction or reply an event is: events name a user and say nothing else of them.

use std::sync::Once;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::owner::counts;
use crate::app::App;
use crate::slack::{Error, Person};
use crate::workspace::Workspace;

/// Slack awaits an answer for three seconds, and sends an event again that had none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until when Slack may be asked who people are, for the answer to an event that comes now.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// The user if their labels count: a person, and as with clicks no guest from another team. One of whom Slack says
/// nothing is believed where the channel has no guests; where it may not say anything of anybody, nobody is.
///
/// # Errors
/// Slack is not to be reached just now.
pub(super) async fn annotator(
    app: &App,
    workspace: &Workspace,
    envelope: &Value,
    (user, team): (&str, &str),
    deadline: Instant,
) -> anyhow::Result<Option<Person>> {
    let Some(slack) = workspace.slack() else {
        return Ok(None);
    };
    if is_apps_own(envelope, user) || is_a_programs(&envelope["event"]) {
        return Ok(None);
    }
    let asked = timeout_at(deadline, slack.client.person(user)).await;
    Ok(match asked? {
        Ok(person) => {
            let home = Some(person.team_id.as_str()).filter(|home| !home.is_empty());
            let is_counted = !person.is_bot && counts(app, home, team);
            is_counted.then_some(person)
        }
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(error) if is_about_a_scope(&error) => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                tracing::warn!(workspace.id = %workspace.id, %error, "reactions and replies don't count, for nobody can tell people from programs");
            });
            None
        }
        Err(_) => {
            let may_be_a_guest =
                envelope["is_ext_shared_channel"] == true && !app.settings.slack_guests;
            (!may_be_a_guest).then(Person::default)
        }
    })
}

fn is_about_a_scope(error: &Error) -> bool {
    matches!(error, Error::Refused { code, .. } if code == "missing_scope")
}

/// Of messages Slack says so itself.
fn is_a_programs(event: &Value) -> bool {
    let said = [event, &event["message"], &event["previous_message"]];
    said.iter()
        .any(|said| !said["bot_id"].is_null() || !said["bot_profile"].is_null())
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
    let mut teams = Vec::new();
    for team in installed.chain([&envelope["team_id"]]) {
        teams.extend(team.as_str().filter(|team| !teams.contains(team)));
    }
    teams
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outbox::tests::app;
    use crate::slack::scripted::{Answer, ScriptedSlack};

    #[test]
    fn a_team_is_named_once_wherever_an_event_names_it() {
        let envelope = json!({
            "team_id": "T1",
            "authorizations": [{"team_id": "T1"}, {"team_id": "T2"}, {"team_id": null}, {"team_id": "T1"}],
        });
        assert_eq!(teams(&envelope), ["T1", "T2"]);
        assert!(teams(&json!({})).is_empty());
    }

    /// Whether a user's event counts where Slack refuses to say who they are.
    async fn counts_where(refusal: &'static str, event: Value) -> bool {
        let slack = ScriptedSlack::start_with(move |method, _, _| match method {
            "users.info" => Answer::Refusal(refusal),
            _ => Answer::Usual,
        });
        let (slack, folder) = (slack.await, tempfile::tempdir().unwrap());
        let app = app(&slack, &folder, "C1").await;
        let workspace = app.workspace(&"default".into()).unwrap();
        let envelope = json!({"event": event});
        let found = annotator(&app, workspace, &envelope, ("U1", "T1"), deadline()).await;
        found.unwrap().is_some()
    }

    #[tokio::test]
    async fn nobody_counts_who_may_be_a_program() {
        assert!(counts_where("user_not_found", json!({"user": "U1"})).await);
        assert!(!counts_where("missing_scope", json!({"user": "U1"})).await);
        for event in [
            json!({"bot_id": "B1"}),
            json!({"bot_profile": {"id": "B1"}}),
            json!({"message": {"bot_profile": {"id": "B1"}}}),
            json!({"previous_message": {"bot_id": "B1"}}),
        ] {
            assert!(
                !counts_where("user_not_found", event.clone()).await,
                "{event}"
            );
        }
    }
}
