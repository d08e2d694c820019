use crate::app::App;
use crate::outbox;
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
        if let Some(slack) = &workspace.slack
            && app.is_of_team(workspace, team).await?
        {
            let known = outbox::last_channel(&app.db, &workspace.id).await?;
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
            let ids = of_team.into_iter().filter_map(|(_, slack, known)| {
                known.or_else(|| is_id(&slack.channel).then(|| slack.channel.clone()))
            });
            Place::Elsewhere(ids.filter(|id| is_id(id)).collect())
        }
    })
}

fn is_bound(slack: &SlackConnection, known: Option<&str>, (id, name): (&str, &str)) -> bool {
    let bound = slack.channel.trim_start_matches('#');
    bound == id || known == Some(id) || (!name.is_empty() && bound == name && known.is_none())
}

/// Whether it is a channel's id, and not its name.
fn is_id(channel: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    channel.starts_with(['C', 'G']) && channel.len() > 2 && channel.chars().all(is_sign)
}
