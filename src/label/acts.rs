//! What a person did about a trace, and the label that it adds up to.
//!
//! Clicks, reactions and their removal arrive late, twice and in any order. Each is written down by Slack's time, and
//! a label is read off all of them, so the order of arrival does not matter.

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Executor, Row};

use crate::domain::{AnnotatorId, Thumb, TraceId, WorkspaceId};

/// One thing that a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A thumb, by a button.
    Gave(Thumb),
    /// A thumb, as a reaction to the card.
    Reacted(Thumb),
    /// That reaction was removed.
    Unreacted(Thumb),
    /// Whatever stood was taken back.
    Undid,
}

impl Act {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Gave(Thumb::Up), "up"),
        (Self::Gave(Thumb::Neutral), "neutral"),
        (Self::Gave(Thumb::Down), "down"),
        (Self::Reacted(Thumb::Up), "reacted_up"),
        (Self::Reacted(Thumb::Neutral), "reacted_neutral"),
        (Self::Reacted(Thumb::Down), "reacted_down"),
        (Self::Unreacted(Thumb::Up), "unreacted_up"),
        (Self::Unreacted(Thumb::Neutral), "unreacted_neutral"),
        (Self::Unreacted(Thumb::Down), "unreacted_down"),
        (Self::Undid, "undo"),
    ];

    fn as_str(self) -> &'static str {
        let mut all = Self::ALL.iter();
        let found = all.find(|(act, _)| *act == self);
        found.expect("the list has every act").1
    }

    fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, text)| *text == word).map(|(act, _)| *act)
    }
}

/// A thumb that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which.
    pub thumb: Thumb,
    /// When, in Slack's microseconds.
    pub acted_at_us: i64,
    is_reaction: bool,
}

/// What a person's acts on a trace add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Their label; `None` where there is none, or it was taken back.
    pub label: Option<Given>,
    /// Since when they have been of this mind: what they said before speaks for another thumb.
    pub of_this_mind_since_us: i64,
}

impl Standing {
    /// Reads the acts, which are in order of time.
    pub fn of(acts: impl IntoIterator<Item = (i64, Act)>) -> Self {
        let mut standing = Self::default();
        let mut mind = None;
        for (acted_at_us, act) in acts {
            match act {
                Act::Gave(thumb) | Act::Reacted(thumb) => {
                    if mind.is_some_and(|mind| mind != thumb) {
                        standing.of_this_mind_since_us = acted_at_us;
                    }
                    mind = Some(thumb);
                    standing.label = Some(Given {
                        thumb,
                        acted_at_us,
                        is_reaction: matches!(act, Act::Reacted(_)),
                    });
                }
                Act::Unreacted(thumb) => {
                    let is_its = |given: &Given| given.is_reaction && given.thumb == thumb;
                    standing.label = standing.label.filter(|given| !is_its(given));
                }
                Act::Undid => standing.label = None,
            }
        }
        standing
    }

    /// Whether the act of this time is the one that made the label.
    pub fn is_made_at(&self, acted_at_us: i64) -> bool {
        self.label
            .is_some_and(|given| given.acted_at_us == acted_at_us)
    }
}

/// Writes an act down; of two at the same microsecond the later to arrive stays.
pub async fn insert(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    (acted_at_us, act): (i64, Act),
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into label_acts (workspace_id, trace_id, annotator_id, acted_at_us, act)
         values ($1, $2, $3, $4, $5)
         on conflict (workspace_id, trace_id, annotator_id, acted_at_us) do update set act = excluded.act",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .bind(acted_at_us)
    .bind(act.as_str())
    .execute(db)
    .await
    .map(drop)
}

/// What a person's acts on a trace add up to. A label that an older version of iofold wrote without its act counts as
/// one.
pub async fn standing(
    db: &mut AnyConnection,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
) -> sqlx::Result<Standing> {
    let rows = sqlx::query(
        "select acted_at_us, act from label_acts
         where workspace_id = $1 and trace_id = $2 and annotator_id = $3
         union all
         select acted_at_us, label from labels
         where workspace_id = $1 and trace_id = $2 and annotator_id = $3
           and not exists (select 1 from label_acts
                           where label_acts.workspace_id = labels.workspace_id
                             and label_acts.trace_id = labels.trace_id
                             and label_acts.annotator_id = labels.annotator_id
                             and label_acts.acted_at_us = labels.acted_at_us)
         order by 1",
    )
    .bind(workspace.as_str())
    .bind(trace.as_str())
    .bind(annotator.as_str())
    .fetch_all(db)
    .await?;
    let read = |row: &AnyRow| {
        let act = Act::parse(row.try_get("act")?).expect("the schema knows no other act");
        Ok((row.try_get("acted_at_us")?, act))
    };
    let acts = rows.iter().map(read).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(Standing::of(acts))
}

/// Whether a person did something about another trace in a stretch of time, in Slack's microseconds.
pub async fn is_busy(
    db: impl Executor<'_, Database = Any>,
    workspace: &WorkspaceId,
    trace: &TraceId,
    annotator: &AnnotatorId,
    (from_us, to_us): (i64, i64),
) -> sqlx::Result<bool> {
    let found = sqlx::query(
        "select 1 from label_acts
         where workspace_id = $1 and annotator_id = $2 and acted_at_us between $3 and $4 and trace_id <> $5
         limit 1",
    )
    .bind(workspace.as_str())
    .bind(annotator.as_str())
    .bind(from_us)
    .bind(to_us)
    .bind(trace.as_str())
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(acts: &[Act]) -> (Option<Thumb>, i64) {
        let standing = Standing::of((1..).zip(acts.iter().copied()));
        let thumb = standing.label.map(|given| given.thumb);
        (thumb, standing.of_this_mind_since_us)
    }

    #[test]
    fn a_label_is_the_last_thumb_unless_it_was_taken_back() {
        use Act::{Gave, Reacted, Undid, Unreacted};
        use Thumb::{Down, Up};
        for (acts, label) in [
            (&[][..], None),
            (&[Gave(Up), Gave(Down)], Some(Down)),
            (&[Gave(Up), Undid], None),
            (&[Undid, Gave(Up)], Some(Up)),
            (&[Gave(Up), Undid, Undid, Gave(Up)], Some(Up)),
            (&[Reacted(Up), Unreacted(Up)], None),
            (&[Unreacted(Up), Reacted(Up)], Some(Up)),
            // Only the reaction that made the label takes it away with it.
            (&[Reacted(Up), Gave(Down), Unreacted(Up)], Some(Down)),
            (&[Reacted(Up), Gave(Up), Unreacted(Up)], Some(Up)),
            (&[Reacted(Up), Reacted(Down), Unreacted(Up)], Some(Down)),
        ] {
            assert_eq!(stands(acts).0, label, "{acts:?}");
        }
    }

    #[test]
    fn a_person_is_of_a_mind_until_they_give_another_thumb() {
        use Act::{Gave, Undid};
        use Thumb::{Down, Up};
        assert_eq!(stands(&[Gave(Up), Gave(Up)]).1, 0);
        assert_eq!(stands(&[Gave(Up), Undid, Gave(Up)]).1, 0);
        assert_eq!(stands(&[Gave(Up), Undid, Gave(Down)]).1, 3);
        assert_eq!(stands(&[Gave(Up), Gave(Down), Gave(Up), Gave(Up)]).1, 3);
    }

    #[test]
    fn every_act_is_read_back_from_its_word() {
        for (act, word) in Act::ALL {
            assert_eq!((Act::parse(word), act.as_str()), (Some(act), word));
        }
        assert_eq!(Act::parse("sideways"), None);
    }
}
