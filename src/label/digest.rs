//! After Slack, or the service, was away: a digest instead of a flood of cards.
//!
//! Which traces are asked about is drawn as ever, each of those that waited with the same, known probability, within the
//! channel's budget; nothing of the sample design depends on how they are shown. Of those drawn the newest get their cards,
//! as many as a channel takes well at once, and the others stay asked about without one: they can be labelled by
//! `/iofold label`, and one message says so.

use chrono::DateTime;

use super::store;
use crate::app::App;
use crate::domain::{TraceId, WorkspaceId};
use crate::outbox::{self, Kind};
use crate::slack::{Message, actions, button, family};
use crate::workspace::{SlackConnection, Workspace};

/// Shorter absences leave few cards.
const AWAY_MS: i64 = 15 * 60_000;
/// Slack counts as reached for so long, which saves writing it down at every look.
const REACHED_FOR_MS: i64 = 60_000;
/// After a standstill what happened meanwhile is read for so long: until then the absence counts.
const CATCHING_UP_MS: i64 = 3 * 60_000;
/// Of an hour's budget of cards, what comes at once after an absence.
const AT_ONCE: i64 = 3;

/// The button below a digest; its value is the digest's subject.
pub const DIGEST_ACTION: &str = "digest_label";

/// What became of the traces that waited; its words are a message's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// When Slack was last reached, in milliseconds since 1970.
    pub since_ms: i64,
    /// When it was again.
    pub until_ms: i64,
    /// Traces that waited.
    pub came: i64,
    /// Those that are asked about by cards.
    pub here: i64,
    /// Those that are asked about without.
    pub more: i64,
}

impl Digest {
    fn subject(&self) -> String {
        let Self {
            since_ms,
            until_ms,
            came,
            here,
            more,
        } = self;
        format!("{since_ms}:{until_ms}:{came}:{here}:{more}")
    }

    fn of_subject(subject: &str) -> Option<Self> {
        let numbers: Vec<i64> = subject.split(':').map_while(|n| n.parse().ok()).collect();
        let &[since_ms, until_ms, came, here, more] = numbers.as_slice() else {
            return None;
        };
        Some(Self {
            since_ms,
            until_ms,
            came,
            here,
            more,
        })
    }
}

/// Puts cards that wait into a digest, where Slack was away for long and more wait than come well at once: `undrawn` traces
/// waited before the draw, and there is room for `left` cards of those that may come `an_hour`.
pub async fn digest(
    app: &App,
    workspace: &WorkspaceId,
    reached_ms: Option<i64>,
    (undrawn, left, an_hour): (i64, i64, i64),
) -> anyhow::Result<()> {
    let now = app.db.now_ms();
    let Some(since_ms) = reached_ms.filter(|at| now - at >= AWAY_MS) else {
        return Ok(());
    };
    let here = (an_hour / AT_ONCE).max(1).min(left);
    let waiting = store::without_card(&app.db, workspace, false, i64::MAX).await?;
    let rest = waiting.get(here as usize..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(());
    }
    let came = undrawn.max(waiting.len() as i64);
    set_aside(app, workspace, (since_ms, now), rest, |more| Digest {
        since_ms,
        until_ms: now,
        came,
        here,
        more,
    })
    .await
}

/// All in one, and once for an absence.
async fn set_aside(
    app: &App,
    workspace: &WorkspaceId,
    (since_ms, now): (i64, i64),
    rest: &[TraceId],
    told: impl Fn(i64) -> Digest,
) -> anyhow::Result<()> {
    let mut transaction = app.db.begin().await?;
    if !store::set_reached(&mut *transaction, workspace, Some(since_ms), now).await? {
        return Ok(());
    }
    let mut more = 0;
    for trace in rest {
        more += i64::from(store::put_aside(&mut *transaction, workspace, trace, now).await?);
    }
    if more > 0 {
        let subject = told(more).subject();
        outbox::want(&mut *transaction, workspace, Kind::Digest, &subject).await?;
    }
    Ok(transaction.commit().await?)
}

/// Posts the digests that are not told yet.
pub async fn tell(app: &App, workspace: &Workspace, slack: &SlackConnection) -> anyhow::Result<()> {
    for subject in store::untold_digests(&app.db, &workspace.id).await? {
        if let Some(digest) = Digest::of_subject(&subject) {
            let message = message(&digest);
            outbox::post_once(app, workspace, slack, Kind::Digest, &subject, None, message).await?;
        }
    }
    Ok(())
}

/// Writes down that Slack is within reach, as it says itself: posting may have had nothing to do.
pub async fn reached(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
) -> anyhow::Result<()> {
    let (db, id, now) = (&app.db, &workspace.id, app.db.now_ms());
    let reached_ms = store::reached(db, id).await?;
    let since = |at: i64| now - at;
    let is_catching_up = since(app.started_at_ms) < CATCHING_UP_MS
        && reached_ms.is_some_and(|at| since(at) >= AWAY_MS);
    if is_catching_up || reached_ms.is_some_and(|at| since(at) < REACHED_FOR_MS) {
        return Ok(());
    }
    let answered = slack.client.identity().await;
    answered.map_err(|error| outbox::failed(slack, error))?;
    store::set_reached(db.pool(), id, reached_ms, now).await?;
    Ok(())
}

fn message(digest: &Digest) -> Message {
    let at = |ms| {
        let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
        time.format("%H:%M").to_string()
    };
    let traces = match digest.came {
        1 => "1 trace".to_owned(),
        many => format!("{many} traces"),
    };
    let head = format!("While Slack was away, {traces} came that nobody was asked about");
    let here = match digest.here {
        0 => String::new(),
        here => format!("The newest {here} of those drawn are here. "),
    };
    let said = format!(
        "{here}{} more can be labelled by `/iofold label`.",
        digest.more
    );
    let footer = format!(
        "from {} to {} UTC",
        at(digest.since_ms),
        at(digest.until_ms)
    );
    let mut message = family::message(family::Mark::Asked, &head, &[&said], &[footer]);
    let label = button(
        DIGEST_ACTION,
        "Label",
        "Label the traces that wait",
        &digest.subject(),
    );
    message.blocks.push(actions("digest", &[label]));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: Digest = Digest {
        since_ms: 1_780_308_000_000,
        until_ms: 1_780_312_800_000,
        came: 143,
        here: 20,
        more: 40,
    };

    #[test]
    fn a_digest_says_what_came_what_is_here_and_how_to_label_the_rest() {
        let message = message(&DIGEST);
        assert_eq!(
            message.blocks[0]["text"]["text"],
            "🙋 *While Slack was away, 143 traces came that nobody was asked about.* The newest 20 of those drawn are here. \
             40 more can be labelled by `/iofold label`."
        );
        assert_eq!(
            message.blocks[1]["elements"][0]["text"],
            "from 10:00 to 11:20 UTC"
        );
        let button = &message.blocks[2]["elements"][0];
        assert_eq!(button["action_id"], "digest_label");
        assert_eq!(button["value"], DIGEST.subject());
    }

    #[test]
    fn a_digest_is_read_back_from_its_subject_and_from_nothing_else() {
        assert_eq!(Digest::of_subject(&DIGEST.subject()), Some(DIGEST));
        for other in ["", "1:2:3:4", "1:2:3:4:5:6", "1:2:x:4:5"] {
            assert_eq!(Digest::of_subject(other), None, "{other}");
        }
    }
}
