//! Whether a rule list that was found is more than luck, and what people are told where it is not.
//!
//! In goes how the search did on labels that it had not seen, and how often shuffled labels give as good a rule; out comes
//! yes, or a sentence.

use super::validate::Table;
use crate::stats::wilson;

/// Measures that cost less are relations, formats, constraints and written predicates: what people name as reasons
/// themselves.
const PLAIN_PRICE: f64 = 0.5;
/// How often shuffled labels may give as good a rule.
pub const CHANCE: f64 = 0.04;
/// Youden's J on labels not seen; with both classes equally common, .3 is 65 % agreement.
///
/// With [`CHANCE`], chosen so that about one attempt in fifty is offered where labels mean nothing: 8 of 450
/// (`cargo bench --bench induction -- --null --draws 50`).
const LEAST_INFORMEDNESS: f64 = 0.3;
/// Standard errors by which a rule with other measures must clear the majority guess.
const CLEARLY: f64 = 1.5;
/// From so many labels on, a rule that tells them apart would show.
const LABELS_TO_TELL: usize = 30;
/// The share of the labels that the best condition keeps, with classes weighted and its prices paid, where it is near to
/// people's labels, even on those it was chosen on.
///
/// A rule that people label by, with 5 % slips, nearly always gets there: at 30 labels it was said to be out of reach in 48 of
/// 644 draws of planted rules (`--planted --draws 15`), and in 15 to 20 of 20 on the sets that code can't decide. At .65 it
/// is 13 of 644, and 4 to 20 of 20.
const NEAR: f64 = 0.7;

/// What speaks for a rule list.
pub struct Evidence {
    /// Out of fold.
    pub table: Table,
    /// How often shuffled labels give as good a rule.
    pub chance: f64,
    /// The price of the dearest measure, in labels.
    pub dearest: f64,
    /// The best condition's score by all that the labels weigh; see [`NEAR`].
    pub share: f64,
    /// Measures that were tried.
    pub measures: usize,
}

impl Evidence {
    /// Whether the rules are more than luck, and no worse than guessing on labels that they had not seen.
    ///
    /// Luck is measured by shuffling the labels: that corrects for all candidates tried. With relations and formats alone,
    /// agreement may be within its standard error of the majority guess: where few labels fail, the eval is wanted for
    /// those. A rule that uses any other measure must clear the guess.
    pub fn is_enough(&self) -> bool {
        let table = &self.table;
        let is_plain = self.dearest < PLAIN_PRICE;
        let margin = if is_plain { -1.0 } else { CLEARLY };
        table.agreement() >= table.majority() + margin * table.majority_error()
            && table.informedness() >= LEAST_INFORMEDNESS
            && self.chance <= CHANCE
    }

    /// Whether no measure is near to what people said, so that more labels won't help.
    fn is_hopeless(&self) -> bool {
        self.table.fails + self.table.passes >= LABELS_TO_TELL && self.share < NEAR
    }

    /// Why there is no eval yet, though the rules that `criterion` describes were the best.
    pub fn reason(&self, criterion: &str) -> String {
        let best = self.best(criterion);
        if self.is_hopeless() {
            let measures = self.measures;
            return format!(
                "Code can't tell these labels apart; a judge is needed: none of {measures} measures comes near them. {best}."
            );
        }
        format!(
            "No rule tells these labels apart reliably. {best}, so that it may be luck. More labels may help; where people \
             judge by what the trace does not show, code cannot."
        )
    }

    /// How the best rules did, beside guessing.
    fn best(&self, criterion: &str) -> String {
        let table = &self.table;
        let thumb = if table.fails > table.passes {
            "👎"
        } else {
            "👍"
        };
        let n = (table.fails + table.passes) as f64;
        let interval = wilson(table.agreement() * n, n).map_or_else(String::new, |interval| {
            format!(
                " (95 % interval {:.0}–{:.0} %)",
                interval.lo * 100.0,
                interval.hi * 100.0
            )
        });
        format!(
            "The best one found (“{}”) is right for {:.0} % of {n} labels while it had not seen them{interval}; always \
             guessing {thumb} is right for {:.0} %",
            criterion.trim_end_matches('.'),
            table.agreement() * 100.0,
            table.majority() * 100.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `n` labels, a fifth of them fails; none of the fails is caught, all others pass.
    fn guess(n: usize, share: f64) -> Evidence {
        let table = Table {
            fails: n / 5,
            passes: n - n / 5,
            caught: 0.0,
            passed: (n - n / 5) as f64,
        };
        Evidence {
            table,
            chance: 0.5,
            dearest: 0.0,
            share,
            measures: 12,
        }
    }

    #[test]
    fn a_judge_is_asked_for_only_with_labels_enough_and_no_measure_near_them() {
        for (n, share, judge) in [
            (29, 0.1, false),
            (30, 0.69, true),
            (30, 0.7, false),
            (3_000, 0.5, true),
        ] {
            let reason = guess(n, share).reason("A good answer is short.");
            let start = if judge {
                "Code can't tell these labels apart; a judge is needed: none of 12 measures"
            } else {
                "No rule tells these labels apart reliably. The best one found (“A good answer is short”)"
            };
            assert!(reason.starts_with(start), "{n} {share}: {reason}");
        }
    }

    #[test]
    fn a_rule_that_guesses_is_never_enough() {
        let mut evidence = guess(100, 1.0);
        evidence.chance = 0.0;
        assert!(!evidence.is_enough());
        evidence.table.caught = 18.0;
        assert!(evidence.is_enough());
        evidence.chance = CHANCE * 1.01;
        assert!(!evidence.is_enough());
    }

    #[test]
    fn a_dear_rule_must_clear_the_majority_guess() {
        let mut evidence = guess(30, 1.0);
        (evidence.chance, evidence.table.caught) = (0.0, 2.5);
        assert!(evidence.is_enough());
        evidence.dearest = 4.0;
        assert!(!evidence.is_enough());
    }
}
