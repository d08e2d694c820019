//! Replies in the thread of a card: said first, edited, deleted.

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::interaction::microseconds;
use super::owner::card_of_event;
use super::person::{annotator, deadline};
use crate::app::App;
use crate::domain::{AnnotatorId, head};
use crate::label::{self, Annotator, Remark};
use crate::slack::{Client, Posted};

/// Mentions whose names are asked for in one reply.
const NAMES_MAX: usize = 5;
/// A reply is read so far: a comment is shorter.
const READ_MAX: usize = 4_000;

/// What an event of kind `message` says of a reply.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    thread_ts: &'a str,
    /// The reply's own id.
    ts: &'a str,
    user: &'a str,
    /// When it was said as it is now.
    changed_ts: &'a str,
    /// In Slack's `mrkdwn`; `None` once it is deleted.
    text: Option<&'a str>,
}

/// `message` and its subtypes (docs.slack.dev, "message event").
pub(super) async fn handle(app: &App, envelope: &Value) -> anyhow::Result<()> {
    let deadline = deadline();
    let event = &envelope["event"];
    let Some(said) = Said::of(event) else {
        return Ok(());
    };
    let place = Posted {
        channel: event["channel"].as_str().unwrap_or_default().to_owned(),
        ts: said.thread_ts.to_owned(),
    };
    let Some((workspace, trace, team)) = card_of_event(app, envelope, &place).await? else {
        return Ok(());
    };
    let (Some(person), Some(slack)) = (
        annotator(app, workspace, envelope, (said.user, team), deadline).await?,
        workspace.slack(),
    ) else {
        return Ok(());
    };
    let text = match said.text {
        Some(text) => Some(plain(&slack.client, head(text, READ_MAX), deadline).await),
        None => None,
    };
    let id = AnnotatorId::from(said.user);
    let name = Some(person.name.as_str()).filter(|name| !name.is_empty());
    let remark = Remark {
        source: said.ts,
        said_at_us: microseconds(said.ts),
        changed_at_us: microseconds(said.changed_ts),
        text: text.as_deref(),
    };
    label::reply(app, workspace, &trace, &Annotator::of(&id, name), &remark).await
}

impl<'a> Said<'a> {
    /// `None` for whatever is no person's reply.
    fn of(event: &'a Value) -> Option<Self> {
        let changed_ts = event["event_ts"].as_str().or(event["ts"].as_str())?;
        match event["subtype"].as_str() {
            None | Some("thread_broadcast") => {
                let ts = event["ts"].as_str()?;
                Self::of_message(event, ts, event["text"].as_str())
            }
            Some("message_changed") => {
                let message = &event["message"];
                let text = message["text"].as_str();
                let text = text.filter(|_| message["subtype"] != "tombstone");
                Self::of_message(message, changed_ts, text)
            }
            Some("message_deleted") => {
                Self::of_message(&event["previous_message"], changed_ts, None)
            }
            Some(_) => None,
        }
    }

    fn of_message(message: &'a Value, changed_ts: &'a str, text: Option<&'a str>) -> Option<Self> {
        let (thread_ts, ts) = (message["thread_ts"].as_str()?, message["ts"].as_str()?);
        let is_a_persons = message["bot_id"].is_null() && message["app_id"].is_null();
        (is_a_persons && thread_ts != ts).then_some(Self {
            thread_ts,
            ts,
            user: message["user"].as_str()?,
            changed_ts,
            text,
        })
    }
}

/// `mrkdwn` as plain text: mentions by their names, as far as Slack says them until the deadline, links by their texts.
async fn plain(client: &Client, mrkdwn: &str, deadline: Instant) -> String {
    let mut plain = String::new();
    let (mut rest, mut names) = (mrkdwn, 0);
    while let Some((before, after)) = rest.split_once('<') {
        let Some((inside, after)) = after.split_once('>') else {
            break;
        };
        plain.push_str(&unescaped(before));
        match inside.strip_prefix('@') {
            Some(user) if !user.contains('|') => {
                names += 1;
                let name = match names {
                    ..=NAMES_MAX => timeout_at(deadline, name_of(client, user)).await,
                    _ => Ok(None),
                };
                plain.push('@');
                plain.push_str(&name.ok().flatten().unwrap_or_else(|| "someone".to_owned()));
            }
            _ => plain.push_str(&unescaped(&shown(inside))),
        }
        rest = after;
    }
    plain.push_str(&unescaped(rest));
    plain
}

async fn name_of(client: &Client, user: &str) -> Option<String> {
    let person = client.person(user).await.ok()?;
    Some(person.name).filter(|name| !name.is_empty())
}

/// What Slack shows for what stands between `<` and `>`.
fn shown(inside: &str) -> String {
    let (target, label) = match inside.split_once('|') {
        Some((target, label)) => (target, Some(label).filter(|label| !label.is_empty())),
        None => (inside, None),
    };
    let sign = match target.chars().next() {
        Some('#') => "#",
        Some('@') => "@",
        Some('!') => "@",
        _ => "",
    };
    match (label, sign) {
        (Some(label), sign) => format!("{sign}{}", label.trim_start_matches(['@', '#'])),
        (None, "") => target.to_owned(),
        (None, "#") => "#a-channel".to_owned(),
        (None, sign) => {
            let word = target[1..].split('^').next().unwrap_or_default();
            format!("{sign}{word}")
        }
    }
}

/// In this order, so that nothing is unescaped twice.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_is_read_as_it_was_said_edited_and_deleted() {
        let reply = json!({"ts": "2.0", "thread_ts": "1.0", "user": "U1", "text": "why"});
        let said = |event: Value| {
            Said::of(&event).map(|said| {
                (
                    said.ts.to_owned(),
                    said.changed_ts.to_owned(),
                    said.text.map(str::to_owned),
                )
            })
        };
        let of = |changed: &str, text: Option<&str>| {
            Some((
                "2.0".to_owned(),
                changed.to_owned(),
                text.map(str::to_owned),
            ))
        };
        assert_eq!(said(reply.clone()), of("2.0", Some("why")));
        let mut broadcast = reply.clone();
        broadcast["subtype"] = json!("thread_broadcast");
        assert_eq!(said(broadcast), of("2.0", Some("why")));
        let edited = json!({"subtype": "message_changed", "message": reply, "event_ts": "3.0"});
        assert_eq!(said(edited), of("3.0", Some("why")));
        let deleted =
            json!({"subtype": "message_deleted", "previous_message": reply, "event_ts": "4.0"});
        assert_eq!(said(deleted), of("4.0", None));
    }

    #[test]
    fn what_is_no_persons_reply_is_left_alone() {
        for (key, value) in [
            ("thread_ts", json!(null)),
            ("thread_ts", json!("2.0")),
            ("bot_id", json!("B1")),
            ("subtype", json!("channel_join")),
            ("user", json!(null)),
        ] {
            let mut reply = json!({"ts": "2.0", "thread_ts": "1.0", "user": "U1", "text": "why"});
            reply[key] = value;
            assert_eq!(Said::of(&reply), None, "{reply}");
        }
        assert_eq!(Said::of(&Value::Null), None);
    }

    #[tokio::test]
    async fn whose_name_does_not_come_in_time_is_someone() {
        // It takes calls and answers none.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", silent.local_addr().unwrap());
        let client = Client::new(&url.parse().unwrap(), &"xoxb-1".into()).unwrap();
        let said = plain(&client, "<@U1> and <@U2> say &lt;b&gt;", Instant::now()).await;
        assert_eq!(said, "@someone and @someone say <b>");
    }

    #[test]
    fn marks_of_slack_become_what_people_see() {
        for (inside, expected) in [
            ("https://a.example/x", "https://a.example/x"),
            ("https://a.example|the page", "the page"),
            ("#C1|general", "#general"),
            ("#C1", "#a-channel"),
            ("@U1|ada", "@ada"),
            ("!here", "@here"),
            ("!subteam^S1|@ops", "@ops"),
            ("!subteam^S1", "@subteam"),
            ("", ""),
            ("é|", "é"),
        ] {
            assert_eq!(shown(inside), expected, "{inside}");
        }
        assert_eq!(unescaped("&amp;lt; &lt;b&gt; &amp;"), "&lt; <b> &");
    }
}
