//! Who voted, in a line that only one person sees, after their own vote and never before.
//!
//! It is for who wants it, and not for each of sixty cards in a row: it comes with the first card of a sitting, where
//! somebody else said otherwise, and where a person presses again what they have said already or changes it.

use std::time::Duration;

use serde_json::Value;

use super::interaction::Done;
use super::{acts, store};
use crate::app::App;
use crate::domain::{AnnotatorId, Thumb, TraceId};
use crate::slack::{Message, Whisper, actions, button, context, cut, escape, section};
use crate::workspace::Workspace;

/// A person who did nothing for so long begins a new sitting.
const SITTING_US: i64 = 10 * 60 * 1_000_000;
/// Who toggles fast is told once, at the end.
const PATIENCE: Duration = Duration::from_millis(700);
/// Names in a line.
const NAMES_MAX: usize = 20;
const NAME_MAX: usize = 80;
/// Words by which a card is known again.
const ABOUT_WORDS: usize = 10;

/// The `action_id` of the button that takes one's own label back; its value is the trace.
pub const UNDO_ACTION: &str = "label_undo";
/// That of the one that opens the reason modal.
pub const WHY_ACTION: &str = "label_reason";
/// That of the one that leaves out all traces of the trace's name.
pub const NOT_MINE_ACTION: &str = "label_not_mine";
/// That of the one that has a person asked again about what they left out.
pub const ASK_AGAIN_ACTION: &str = "label_ask_again";

/// Tells a person who voted, beside the answer to Slack, if there is reason to.
pub fn tell_votes(
    app: &App,
    workspace: &Workspace,
    (trace, annotator): (TraceId, AnnotatorId),
    done: Done,
    whisper: Whisper,
) {
    let Some(slack) = workspace.slack() else {
        return;
    };
    let (app_in_task, client, id) = (app.clone(), slack.client.clone(), workspace.id.clone());
    app.tasks.spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        let Some(workspace) = app_in_task.workspace(&id) else {
            return;
        };
        let line = line(&app_in_task, workspace, &trace, &annotator, done).await;
        let told = match line {
            Ok(Some(message)) => whisper.say(&client, &message).await.map_err(Into::into),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::warn!(trace.id = %trace, %error, "a person was not told who voted");
        }
    });
}

/// `None` where there is no reason to say anything.
async fn line(
    app: &App,
    workspace: &Workspace,
    trace: &TraceId,
    annotator: &AnnotatorId,
    done: Done,
) -> anyhow::Result<Option<Message>> {
    let mut connection = app.db.pool().acquire().await?;
    let standing = acts::standing(&mut connection, &workspace.id, trace, annotator).await?;
    drop(connection);
    let Some(own) = standing.label else {
        return Ok(None);
    };
    // Whatever they do next tells them.
    if standing != done.standing {
        return Ok(None);
    }
    let votes = store::votes(&app.db, &workspace.id, trace).await?;
    let is_contested = votes.iter().any(|(_, _, thumb)| *thumb != own.thumb);
    let sitting = (own.acted_at_us - SITTING_US, own.acted_at_us);
    let says_something = is_contested
        || done.before.is_some()
        || !acts::is_busy(app.db.pool(), &workspace.id, trace, annotator, sitting).await?;
    if !says_something {
        return Ok(None);
    }
    let mut message = votes_line(trace, annotator, own.thumb, &votes);
    message.blocks.extend(about(app, workspace, trace).await?);
    Ok(Some(message))
}

/// The first words of what was asked, for the line stands at the channel's end and not beside its card.
async fn about(app: &App, workspace: &Workspace, trace: &TraceId) -> anyhow::Result<Option<Value>> {
    let found = store::card_trace(&app.db, &workspace.id, trace).await?;
    let asked = found
        .map(|found| found.trace.input_text)
        .unwrap_or_default();
    let words: Vec<&str> = asked.split_whitespace().take(ABOUT_WORDS).collect();
    let words = escape(&cut(&words.join(" "), NAME_MAX));
    Ok((!words.is_empty()).then(|| context(&format!("About “{words}”"))))
}

type Vote = (AnnotatorId, Option<String>, Thumb);

fn votes_line(trace: &TraceId, annotator: &AnnotatorId, own: Thumb, votes: &[Vote]) -> Message {
    let others: Vec<&Vote> = votes.iter().filter(|(id, ..)| id != annotator).collect();
    let named = others.iter().take(NAMES_MAX);
    let mut said: Vec<String> = named
        .map(|(id, name, thumb)| format!("{} {}", shown(id, name.as_deref()), thumb.emoji()))
        .collect();
    if others.len() > NAMES_MAX {
        said.push(format!("{} more", others.len() - NAMES_MAX));
    }
    let others = match said.is_empty() {
        true => "nobody else yet".to_owned(),
        false => said.join(", "),
    };
    let text = format!("You: {} · {others}", own.emoji());
    let buttons = [
        button(UNDO_ACTION, "Undo", "Take your label back", trace.as_str()),
        button(WHY_ACTION, "Say why", "Give a reason", trace.as_str()),
    ];
    whispered(&text, &buttons)
}

/// A name; of somebody whose name is not known, Slack shows it. Nobody hears of a mention that only another sees.
fn shown(id: &AnnotatorId, name: Option<&str>) -> String {
    let is_slacks = id.as_str().chars().all(|c| c.is_ascii_alphanumeric());
    match name {
        Some(name) => escape(&cut(name, NAME_MAX)),
        None if is_slacks => format!("<@{id}>"),
        None => escape(id.as_str()),
    }
}

/// What is said after *Undo*.
pub fn taken_back(before: Option<Thumb>) -> Message {
    let text = match before {
        Some(thumb) => format!(
            "Your {} is taken back. Press a thumb to label again.",
            thumb.emoji()
        ),
        None => "You have no label on this answer, so there is nothing to take back.".to_owned(),
    };
    whispered(&text, &[])
}

/// What is said to somebody who wants to say why and has not voted.
pub fn nothing_to_explain() -> Message {
    whispered(
        "You have no label on this answer. Press a thumb first, then say why.",
        &[],
    )
}

/// What is said after *Skip*, with a way on and a way back.
pub fn skipped(trace: &TraceId) -> Message {
    let label = "Leave out all traces of this name";
    let not_mine = button(NOT_MINE_ACTION, "Not my area", label, trace.as_str());
    whispered(
        "Skipped: you won't be shown this one again.",
        &[not_mine, ask_again(trace)],
    )
}

/// What is said after *Not my area*: of the name of the traces, where they have one.
pub fn left_out(trace: &TraceId, area: Option<&str>) -> Message {
    let Some(area) = area else {
        let text = "This trace has no name to tell its kind by, so it alone is skipped.";
        return whispered(text, &[ask_again(trace)]);
    };
    let area = escape(&cut(area, NAME_MAX));
    let text = format!("Not your area: you won't be shown traces named \"{area}\".");
    whispered(&text, &[ask_again(trace)])
}

/// What is said to who wants to be asked after all.
pub fn asked_again() -> Message {
    whispered("You will be asked about these again.", &[])
}

fn ask_again(trace: &TraceId) -> Value {
    let label = "Ask me about these again";
    button(ASK_AGAIN_ACTION, "Ask me again", label, trace.as_str())
}

fn whispered(text: &str, buttons: &[Value]) -> Message {
    let row = (!buttons.is_empty()).then(|| actions("own_label", buttons));
    Message {
        text: text.to_owned(),
        blocks: [section(text)].into_iter().chain(row).collect(),
        metadata: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(votes: &[(&str, Option<&str>, Thumb)]) -> String {
        let votes: Vec<Vote> = votes
            .iter()
            .map(|(id, name, thumb)| ((*id).into(), name.map(str::to_owned), *thumb))
            .collect();
        votes_line(&"t".into(), &"U1".into(), Thumb::Down, &votes).text
    }

    #[test]
    fn a_line_names_the_others_and_a_name_is_only_a_name() {
        let own = ("U1", Some("you"), Thumb::Down);
        assert_eq!(said(&[own]), "You: 👎 · nobody else yet");
        let all = [
            ("U2", Some("Ada"), Thumb::Up),
            own,
            ("U3", None, Thumb::Neutral),
            ("U4", Some("<!channel>"), Thumb::Up),
            ("b ob>", None, Thumb::Up),
        ];
        let expected = "You: 👎 · Ada 👍, <@U3> 😐, &lt;!channel&gt; 👍, b ob&gt; 👍";
        assert_eq!(said(&all), expected);
    }

    #[test]
    fn a_crowd_is_counted() {
        let ids: Vec<String> = (100..130).map(|number| format!("U{number}")).collect();
        let votes: Vec<_> = ids
            .iter()
            .map(|id| (id.as_str(), None, Thumb::Up))
            .collect();
        assert!(said(&votes).ends_with(", 10 more"), "{}", said(&votes));
    }
}
