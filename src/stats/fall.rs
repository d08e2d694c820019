use statrs::function::beta::{beta_reg, ln_beta};

/// Evidence at which a fall is called one: nowhere in the whole sequence is it reached by chance more than once in 20
/// evals that have not fallen.
const EVIDENCE: f64 = 20.0;

/// Whether agreement has fallen below `promised`, by what fresh labels say: `agreed` of `judged`, in `[0, judged]`.
///
/// May be asked after every label: of evals that agree with people at least as often as promised, at most one in 20 is
/// ever called fallen, however often it is looked at. What is promised is the lower end of a reported interval, in
/// `(0, 1)`; of anything else nothing has fallen. Labels must be given as they come, not picked for what the eval says.
///
/// The evidence is the wealth of a bettor who starts with 1 and bets on each label that agreement is `q`, averaged over
/// all `q` below what was promised: `∫ qᵃ(1−q)ᵇ dq / (p · pᵃ(1−p)ᵇ)`, for a agreements and b disagreements. Where
/// agreement is p or more, the wealth is a supermartingale, so it ever reaches 20 with a probability of 1 in 20 or less.
///
/// Source: J. Ville, "Étude critique de la notion de collectif", 1939 (the inequality); H. Robbins, "Statistical Methods
/// Related to the Law of the Iterated Logarithm", 1970 (the mixture); I. Waudby-Smith and A. Ramdas, "Estimating Means of
/// Bounded Random Variables by Betting", 2024.
pub fn has_fallen(agreed: u64, judged: u64, promised: f64) -> bool {
    ln_wealth(agreed, judged, promised).is_some_and(|wealth| wealth >= EVIDENCE.ln())
}

/// The logarithm of the wealth; `None` where the counts or the promise are none.
fn ln_wealth(agreed: u64, judged: u64, promised: f64) -> Option<f64> {
    let is_promise = promised > 0.0 && promised < 1.0;
    if !is_promise || agreed > judged {
        return None;
    }
    let (a, b) = (agreed as f64, (judged - agreed) as f64);
    let below = beta_reg(a + 1.0, b + 1.0, promised).ln() + ln_beta(a + 1.0, b + 1.0);
    Some(below - promised.ln() - a * promised.ln() - b * (-promised).ln_1p())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const LOOKS: u64 = 500;

    /// After how many labels a fall is called, looking after each; `None` where it never is.
    fn called_at(agreement: f64, promised: f64, random: &mut ChaCha8Rng) -> Option<u64> {
        let mut agreed = 0;
        (1..=LOOKS).find(|judged| {
            agreed += u64::from(random.random_bool(agreement));
            has_fallen(agreed, *judged, promised)
        })
    }

    fn called(agreement: f64, promised: f64) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let evals = (0..1_000).filter_map(|_| called_at(agreement, promised, &mut random));
        evals.collect()
    }

    #[test]
    fn of_evals_that_keep_their_promise_one_in_20_is_called_fallen_in_500_looks_at_most() {
        for promised in [0.3, 0.6, 0.8, 0.95] {
            let alarms = called(promised, promised).len();
            assert!(alarms <= 50, "{alarms} of 1000 at {promised}");
        }
    }

    #[test]
    fn an_eval_that_has_become_a_coin_flip_is_noticed_within_weeks_not_years() {
        let mut called = called(0.5, 0.8);
        assert_eq!(called.len(), 1_000);
        called.sort_unstable();
        assert!(called[500] < 30, "half are noticed at {}", called[500]);
    }

    #[test]
    fn nothing_has_fallen_before_the_first_label_nor_from_no_promise() {
        assert!(!has_fallen(0, 0, 0.8));
        assert!(!has_fallen(0, 100, 0.0));
        assert!(!has_fallen(3, 2, 0.8));
        assert!(!has_fallen(0, 100, f64::NAN));
        assert!(!has_fallen(0, 100, 1.0));
        assert!(
            has_fallen(0, 3, 0.8),
            "three of three wrong, a wealth of 39"
        );
    }

    proptest! {
        /// The wealth is a supermartingale where the promise is kept: whatever came so far, the next label is not
        /// expected to make it grow.
        #[test]
        fn where_the_promise_is_kept_no_label_is_expected_to_add_evidence(
            agreed in 0..400_u64, missed in 0..400_u64, promised in 0.05..0.95_f64, more in 0.0..=1.0_f64,
        ) {
            let agreement = promised + more * (1.0 - promised);
            let now = ln_wealth(agreed, agreed + missed, promised).unwrap();
            let then = |agreed, missed| {
                (ln_wealth(agreed, agreed + missed, promised).unwrap() - now).exp()
            };
            prop_assume!(now.is_finite());
            let expected = agreement * then(agreed + 1, missed)
                + (1.0 - agreement) * then(agreed, missed + 1);
            prop_assert!(expected <= 1.0 + 1e-6, "{expected}");
        }

        #[test]
        fn a_disagreement_more_never_unsays_a_fall(
            agreed in 0..2_000_u64, missed in 0..2_000_u64, promised in 0.05..0.95_f64,
        ) {
            let judged = agreed + missed;
            prop_assert!(
                !has_fallen(agreed, judged, promised) || has_fallen(agreed, judged + 1, promised)
            );
        }
    }
}
