use crate::app::App;
use crate::outbox;
use crate::slack;
use crate::workspace::{SlackConnection, Workspace};

/// Whose command it is, by where it was typed.
pub enum Place<'a> {
    /// The workspace's that is bound to the channel, or the only one that the team has.
    Of(&'a Workspace),
    /// The team has several, and the channel is none of theirs; the ids of these, as far as they are known.
    Elsewhere(Vec<String>),
    /// The team has none.
    Nowhere,
}

/// Finds it; `channel` is Slack's id and name of where the command was typed.
///
/// # Errors
/// The database's, and Slack's while nobody knows yet whose token it is.
pub async fn place<'a>(
    app: &'a App,
    team: &str,
    channel: (&str, &str),
) -> anyhow::Result<Place<'a>> {
    let mut of_team = Vec::new();
    for workspace in app.workspaces() {
        if let Some(slack) = workspace.slack()
            && app.is_of_team(workspace, team).await?
        {
            let known = outbox::channel_of(&app.db, &workspace.id, slack).await?;
            of_team.push((workspace, slack, known));
        }
    }
    if let [(workspace, ..)] = of_team.as_slice() {
        return Ok(Place::Of(workspace));
    }
    let here = of_team
        .iter()
        .find(|(_, slack, known)| is_bound(slack, known.as_deref(), channel));
    Ok(match here {
        Some((workspace, ..)) => Place::Of(workspace),
        None if of_team.is_empty() => Place::Nowhere,
        None => {
            let ids = of_team.into_iter().filter_map(|(.., known)| known);
            Place::Elsewhere(ids.filter(|id| slack::is_channel(id)).collect())
        }
    })
}

/// By the id of the workspace's channel; by its name while only that is known.
fn is_bound(slack: &SlackConnection, known: Option<&str>, (id, name): (&str, &str)) -> bool {
    let bound = slack.channel.trim_start_matches('#');
    known.map_or(!name.is_empty() && bound == name, |known| known == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::owner::tests::two_workspaces;
    use crate::slack::scripted::ScriptedSlack;

    #[tokio::test]
    async fn a_channel_that_was_left_for_another_is_nobodys() {
        let (gone, alive) = (ScriptedSlack::start().await, ScriptedSlack::start().await);
        let folder = tempfile::tempdir().expect("a folder");
        let app = two_workspaces(&gone, &alive, &folder).await;
        for (channel, expected) in [("C1", "default"), ("C2", "second")] {
            let found = place(&app, "T1", (channel, "answers")).await;
            let Ok(Place::Of(workspace)) = found else {
                panic!("{channel} is nobody's");
            };
            assert_eq!(workspace.id.as_str(), expected);
        }
        let found = place(&app, "T1", ("C7", "answers")).await;
        let Ok(Place::Elsewhere(channels)) = found else {
            panic!("C7 is somebody's");
        };
        assert_eq!(channels, ["C1", "C2"]);
    }
}
