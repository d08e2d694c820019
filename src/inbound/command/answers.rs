use std::time::Duration;

use chrono::DateTime;
use serde_json::Value;

use super::words::{Ask, HELP, Wrong};
use crate::app::App;
use crate::domain::AnnotatorId;
use crate::generate::{self, Asked};
use crate::jobs::Work;
use crate::label::{self, Pace, Pause};
use crate::report::{self, Summary};
use crate::slack::{self, Message, context, cut, escape, section};
use crate::standing::{Standing, standing};
use crate::workspace::Workspace;

/// Versions in a list.
const EVALS_LISTED: i64 = 20;
/// An eval's own words in a list.
const CRITERION_MAX: usize = 150;
const NAME_MAX: usize = 80;

/// The answer to what a person asked.
pub async fn answer(
    app: &App,
    workspace: &Workspace,
    by: &AnnotatorId,
    ask: Ask,
) -> anyhow::Result<Message> {
    match ask {
        Ask::Status => Ok(status(&standing(app, workspace).await?)),
        Ask::Generate => generate(app, workspace, by).await,
        Ask::Report(name) => report(app, workspace, name.as_deref()).await,
        Ask::Evals => evals(app, workspace).await,
        Ask::Pause(lasts) => pause(app, workspace, by, lasts).await,
        Ask::Resume => resume(app, workspace).await,
        Ask::Budget(cards) => {
            if let Some(cards) = cards {
                label::set_cards_per_hour(&app.db, &workspace.id, cards).await?;
                app.jobs.push(&workspace.id, Work::PostCards).await;
            }
            Ok(budget(&standing(app, workspace).await?, cards))
        }
        Ask::Help | Ask::Here | Ask::Label => Ok(help()),
    }
}

/// A message of one section; the caller has escaped what is not its own.
fn line(mrkdwn: &str) -> Message {
    of_blocks(mrkdwn, vec![section(mrkdwn)])
}

fn of_blocks(text: &str, blocks: Vec<Value>) -> Message {
    Message {
        text: text.to_owned(),
        blocks,
        metadata: None,
    }
}

/// A line for each command.
pub fn help() -> Message {
    let lines = HELP.map(|(_, usage, does)| format!("`/iofold {usage}`: {does}"));
    line(&lines.join("\n"))
}

/// What works instead of what was typed.
pub fn wrong(wrong: &Wrong) -> Message {
    let (typed, nearest) = match wrong {
        Wrong::Argument(advice) => return line(advice),
        Wrong::Unknown { typed, nearest } => (typed, nearest),
    };
    let typed = escape(&cut(typed, NAME_MAX));
    let meant = nearest.map_or_else(String::new, |name| format!(" Did you mean *{name}*?"));
    let works = HELP.map(|(name, ..)| name).join(", ");
    line(&format!(
        "iofold doesn't know “{typed}”.{meant}\nWhat works: {works}. `/iofold help` says what each does."
    ))
}

/// The channel is nobody's.
pub fn elsewhere(channels: &[String]) -> Message {
    let shown: Vec<_> = channels.iter().map(|id| format!("<#{id}>")).collect();
    let there = match shown.as_slice() {
        [] => "in its own channel".to_owned(),
        shown => format!("in {}", shown.join(" or ")),
    };
    line(&format!(
        "This channel isn't connected to iofold. Type the command {there}."
    ))
}

/// A sentence of another room's.
pub fn sentence(said: &str) -> Message {
    line(said)
}

/// The team is nobody's.
pub fn nowhere() -> Message {
    line(
        "iofold isn't connected to this team. Whoever runs it can set `SLACK_BOT_TOKEN` and `SLACK_CHANNEL`; `iofold \
         doctor` checks them.",
    )
}

/// The answer takes longer.
pub fn later() -> Message {
    line("One moment: the answer follows.")
}

/// There will be no answer.
pub fn failed() -> Message {
    line("That did not work. Try again in a moment; iofold's log says what went wrong.")
}

fn status(standing: &Standing) -> Message {
    of_blocks(&funnel(standing), standing_blocks(standing))
}

/// How a workspace stands, in blocks.
pub fn standing_blocks(standing: &Standing) -> Vec<Value> {
    let mut blocks = vec![section(&funnel(standing))];
    let needs: Vec<_> = standing
        .needs()
        .iter()
        .map(|need| format!("• {}", escape(need)))
        .collect();
    blocks.push(match needs.is_empty() {
        true => section("*Nothing needs a person now.*"),
        false => section(&format!("*What needs a person*\n{}", needs.join("\n"))),
    });
    // A section each, for one that is cut would end within a link.
    blocks.extend(standing.evals.iter().map(|one| section(&eval(one))));
    let mut footer = vec![standing.progress.in_words(), cards(standing)];
    footer.extend(
        standing
            .llm
            .as_ref()
            .map(|llm| format!("LLM: {}", llm.in_words())),
    );
    blocks.push(context(&footer.join(" · ")));
    blocks
}

/// "*120* traces → *60* asked about → …".
fn funnel(standing: &Standing) -> String {
    let steps = standing.funnel.iter();
    let steps = steps.map(|(name, count)| format!("*{count}* {}", name.to_lowercase()));
    steps.collect::<Vec<_>>().join(" → ")
}

/// "12 of 60 cards this hour", and whether they are paused.
fn cards(standing: &Standing) -> String {
    let Pace {
        cards_per_hour,
        pause,
    } = &standing.pace;
    let posted = standing.cards_this_hour;
    let cards = format!("{posted} of {cards_per_hour} cards this hour");
    match pause {
        Some(pause) => format!("{cards} · {}", paused(pause)),
        None => cards,
    }
}

/// "⏸️ paused by @Ada until 14:30".
fn paused(pause: &Pause) -> String {
    let until = match pause.until_ms {
        Some(ms) => format!("until {}", until(ms)),
        None => "until somebody resumes".to_owned(),
    };
    format!(
        "⏸️ cards are paused by {} {until}",
        mention(pause.by.as_str())
    )
}

/// A time, which Slack shows in the reader's own zone.
fn until(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let fallback = at.format("%Y-%m-%d %H:%M UTC");
    format!(
        "<!date^{}^{{date_short_pretty}} at {{time}}|{fallback}>",
        ms / 1_000
    )
}

/// Names a person where the id is Slack's; anything else stays text.
fn mention(user: &str) -> String {
    match slack::is_user(user) {
        true => format!("<@{user}>"),
        false => escape(&cut(user, NAME_MAX)),
    }
}

/// Pauses cards, and says so.
pub async fn pause(
    app: &App,
    workspace: &Workspace,
    by: &AnnotatorId,
    lasts: Option<Duration>,
) -> anyhow::Result<Message> {
    label::pause(&app.db, &workspace.id, by, lasts).await?;
    paced(app, workspace).await
}

/// Has cards come again, and says so.
pub async fn resume(app: &App, workspace: &Workspace) -> anyhow::Result<Message> {
    label::resume(&app.db, &workspace.id).await?;
    app.jobs.push(&workspace.id, Work::PostCards).await;
    paced(app, workspace).await
}

/// What a pause or its end has changed.
async fn paced(app: &App, workspace: &Workspace) -> anyhow::Result<Message> {
    let pace = label::pace(app, &workspace.id).await?;
    Ok(line(&match &pace.pause {
        Some(pause) => format!(
            "{}. Traces still come in, deployed evals still score, and `/iofold label` still works.",
            paused(pause)
        ),
        None => format!(
            "▶️ Cards come again, up to {} an hour.",
            pace.cards_per_hour
        ),
    }))
}

fn budget(standing: &Standing, set: Option<i64>) -> Message {
    let llm = match &standing.llm {
        Some(llm) => llm.in_words(),
        None => "none is configured".to_owned(),
    };
    let how = match set {
        Some(set) => format!("✅ From now on up to {set} cards an hour."),
        None => "`/iofold budget 30` sets the cards an hour.".to_owned(),
    };
    line(&format!(
        "*Cards*: {}\n*LLM*: {llm}\n{how}",
        cards(standing)
    ))
}

/// Has an eval made, if labels allow; says what comes of it.
pub async fn generate(
    app: &App,
    workspace: &Workspace,
    by: &AnnotatorId,
) -> anyhow::Result<Message> {
    let asked = generate::ask_for_eval(app, &workspace.id, by.as_str()).await?;
    Ok(line(&match asked {
        Asked::Begun => "⚙️ An eval is being made. The report comes to the channel.".to_owned(),
        Asked::Lacking(progress) => format!(
            "Not yet: {}. `/iofold label` is the quickest way there.",
            progress.lacking_by_hand()
        ),
    }))
}

async fn report(app: &App, workspace: &Workspace, name: Option<&str>) -> anyhow::Result<Message> {
    if let Some((version, mut message, link)) = report::newest(&app.db, &workspace.id, name).await?
    {
        let where_it_is = match report::post_again(app, workspace, &version).await? {
            true => Some("It was deleted from the channel, and is posted there again.".to_owned()),
            false => link.map(|link| linked(&link, "Open the report, with its code and buttons")),
        };
        message
            .blocks
            .extend(where_it_is.map(|text| context(&text)));
        return Ok(message);
    }
    let evals = report::summaries(&app.db, &workspace.id, EVALS_LISTED).await?;
    let mut names: Vec<_> = evals
        .iter()
        .map(|eval| escape(&cut(&eval.eval, NAME_MAX)))
        .collect();
    names.sort();
    names.dedup();
    Ok(line(&match (name, names.as_slice()) {
        (Some(name), [_, ..]) => format!(
            "There is no report on an eval “{}”. There are: {}.",
            escape(&cut(name, NAME_MAX)),
            names.join(", ")
        ),
        _ => "There is no report yet. `/iofold status` says what is lacking.".to_owned(),
    }))
}

async fn evals(app: &App, workspace: &Workspace) -> anyhow::Result<Message> {
    let evals = report::summaries(&app.db, &workspace.id, EVALS_LISTED).await?;
    if evals.is_empty() {
        return Ok(line(
            "There is no eval yet. `/iofold status` says what is lacking.",
        ));
    }
    let text = format!("{} eval versions", evals.len());
    Ok(of_blocks(
        &text,
        evals.iter().map(|one| section(&eval(one))).collect(),
    ))
}

/// One version in two lines.
fn eval(summary: &Summary) -> String {
    let name = escape(&cut(&summary.name(), NAME_MAX));
    let name = match &summary.link {
        Some(link) => linked(link, &name),
        None => name,
    };
    let agreement = summary.agreement.as_deref().unwrap_or("no figures yet");
    let criterion = summary.criterion.as_deref();
    let criterion = criterion.map_or_else(String::new, |text| {
        format!(
            "\n_{}_",
            escape(&cut(text, CRITERION_MAX)).replace('_', " ")
        )
    });
    format!("• {name} · {} · {agreement}{criterion}", summary.state())
}

/// A link; its address is ours.
fn linked(url: &str, escaped_text: &str) -> String {
    format!("<{}|{escaped_text}>", url.replace('|', "%7C"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_quoted_without_a_meaning() {
        let said = wrong(&Wrong::Unknown {
            typed: "<!channel> & `x`".to_owned(),
            nearest: Some("status"),
        });
        let shown = said.blocks[0]["text"]["text"].as_str().unwrap();
        assert!(
            shown.contains("“&lt;!channel&gt; &amp; `x`”")
                && shown.contains("Did you mean *status*?")
        );
        assert_eq!(said.text, shown);
    }

    #[test]
    fn only_channels_that_have_an_id_are_named() {
        let said = |ids: &[&str]| {
            let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
            elsewhere(&ids).text
        };
        assert!(said(&["C1A", "G2"]).ends_with("in <#C1A> or <#G2>."));
        assert!(said(&[]).ends_with("in its own channel."));
    }

    #[test]
    fn a_hostile_criterion_and_name_are_only_text() {
        let said = eval(&Summary {
            version: "v".into(),
            eval: "<!here|x>".to_owned(),
            number: 2,
            state: report::State::Proposed,
            criterion: Some("_<https://evil.example|click>_".to_owned()),
            agreement: None,
            link: Some("https://t.slack.com/archives/C1/p1".to_owned()),
        });
        assert_eq!(
            said,
            "• <https://t.slack.com/archives/C1/p1|&lt;!here|x&gt;, version 2> · offered · no figures yet\n\
             _ &lt;https://evil.example|click&gt; _"
        );
    }
}
