//! How far people's labels are on the way to an eval.

use super::job::next_attempt_at;
use super::rules::MIN_OF_EACH_CLASS;
use super::store;
use crate::app::App;
use crate::domain::{Class, EvalId, WorkspaceId};
use crate::store::all_labels;

const OF_EACH: i64 = MIN_OF_EACH_CLASS as i64;

/// The labels of a workspace, and what an attempt needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Labelled traces.
    pub labelled: i64,
    /// Those that people say are good, by their consensus.
    pub passes: i64,
    /// Those that they say are bad.
    pub fails: i64,
    /// Labelled traces at the last attempt; `None` before the first.
    pub last: Option<i64>,
    /// Labelled traces at which the next one comes by itself.
    pub next_at: i64,
}

/// Counts the labels.
pub async fn progress(
    app: &App,
    workspace: &WorkspaceId,
    eval: &EvalId,
) -> anyhow::Result<Progress> {
    let labels = all_labels(&app.db, workspace).await?;
    let classes: Vec<_> = labels.iter().filter_map(|labels| labels.class()).collect();
    let of = |class| classes.iter().filter(|one| **one == class).count() as i64;
    let last = store::last_label_count(app.db.pool(), workspace, eval).await?;
    Ok(Progress {
        labelled: labels.len() as i64,
        passes: of(Class::Pass),
        fails: of(Class::Fail),
        last,
        next_at: next_attempt_at(last, app.settings.labels_to_generate),
    })
}

impl Progress {
    /// Whether an attempt is due by itself.
    pub fn is_enough(&self) -> bool {
        self.more() == 0
    }

    /// Whether an attempt can be made for a person who asks: with some of each class, and none of the same labels.
    pub fn allows_one_by_hand(&self) -> bool {
        let is_new = self.last.is_none_or(|last| self.labelled > last);
        is_new && self.more_passes() == 0 && self.more_fails() == 0
    }

    /// Labelled traces that are lacking at least until the next attempt.
    pub fn more(&self) -> i64 {
        let some = (self.next_at - self.labelled).max(0);
        some.max(self.more_passes() + self.more_fails())
    }

    fn more_passes(&self) -> i64 {
        (OF_EACH - self.passes).max(0)
    }

    fn more_fails(&self) -> i64 {
        (OF_EACH - self.fails).max(0)
    }

    /// "5 more until the eval, 2 👎 among them".
    pub fn in_words(&self) -> String {
        let until = match self.last {
            None => "the eval",
            Some(_) => "the next eval",
        };
        match (self.more(), self.of_each()) {
            (0, _) => format!("enough labels for {until}"),
            (more, None) => format!("{more} more until {until}"),
            (more, Some(these)) => format!("{more} more until {until}, {these} among them"),
        }
    }

    /// What is lacking for an attempt by hand: "2 more 👎 needed".
    pub fn lacking_by_hand(&self) -> String {
        match self.of_each() {
            Some(these) => format!("{these} more needed"),
            None => "no new label since the last attempt".to_owned(),
        }
    }

    /// The thumbs of which there are too few, whatever the number of labels.
    fn of_each(&self) -> Option<String> {
        let lacking = [(self.more_passes(), "👍"), (self.more_fails(), "👎")];
        let some = lacking.iter().filter(|(count, _)| *count > 0);
        let some: Vec<_> = some
            .map(|(count, thumb)| format!("{count} {thumb}"))
            .collect();
        (!some.is_empty()).then(|| some.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn progress(labelled: i64, passes: i64, fails: i64, last: Option<i64>) -> Progress {
        Progress {
            labelled,
            passes,
            fails,
            last,
            next_at: next_attempt_at(last, 20),
        }
    }

    #[test]
    fn what_is_lacking_is_said_in_words() {
        for (progress, expected) in [
            (
                progress(0, 0, 0, None),
                "20 more until the eval, 3 👍 and 3 👎 among them",
            ),
            (progress(15, 10, 5, None), "5 more until the eval"),
            (
                progress(19, 18, 1, None),
                "2 more until the eval, 2 👎 among them",
            ),
            (
                progress(40, 40, 0, None),
                "3 more until the eval, 3 👎 among them",
            ),
            (progress(20, 10, 10, None), "enough labels for the eval"),
            (
                progress(20, 10, 10, Some(20)),
                "10 more until the next eval",
            ),
        ] {
            assert_eq!(progress.in_words(), expected);
        }
    }

    #[test]
    fn by_hand_some_of_each_class_and_a_new_label_are_enough() {
        for (progress, expected) in [
            (progress(5, 2, 3, None), Some("1 👍 more needed")),
            (progress(6, 3, 3, None), None),
            (
                progress(6, 3, 3, Some(6)),
                Some("no new label since the last attempt"),
            ),
            (progress(7, 3, 3, Some(6)), None),
        ] {
            let lacking = (!progress.allows_one_by_hand()).then(|| progress.lacking_by_hand());
            assert_eq!(lacking.as_deref(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_enough_by_itself_is_enough_by_hand(
            passes in 0..60_i64, fails in 0..60_i64, neutral in 0..60_i64,
            last in proptest::option::of(1..60_i64),
        ) {
            let progress = progress(passes + fails + neutral, passes, fails, last);
            prop_assert!(!progress.is_enough() || progress.allows_one_by_hand());
        }
    }
}
