use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Interval, wilson};

/// Two evals on the same labels: how often each is right where the other is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paired {
    /// Labels on which both are right.
    pub both: u64,
    /// Labels on which only the first is right.
    pub wins: u64,
    /// Labels on which only the second is right.
    pub losses: u64,
    /// Labels on which both are wrong.
    pub neither: u64,
}

impl FromIterator<(bool, bool)> for Paired {
    /// Whether the first and the second are right, a pair for each label.
    fn from_iter<I: IntoIterator<Item = (bool, bool)>>(pairs: I) -> Self {
        let mut paired = Self::default();
        for pair in pairs {
            *match pair {
                (true, true) => &mut paired.both,
                (true, false) => &mut paired.wins,
                (false, true) => &mut paired.losses,
                (false, false) => &mut paired.neither,
            } += 1;
        }
        paired
    }
}

impl Paired {
    /// Labels.
    pub fn n(&self) -> u64 {
        self.both + self.wins + self.losses + self.neither
    }

    /// The agreement of the first; `None` without labels.
    pub fn first(&self) -> Option<f64> {
        self.share(self.both + self.wins)
    }

    /// The agreement of the second; `None` without labels.
    pub fn second(&self) -> Option<f64> {
        self.share(self.both + self.losses)
    }

    /// By how much the first agrees more, in `[-1, 1]`; `None` without labels.
    pub fn gain(&self) -> Option<f64> {
        (self.n() > 0).then(|| (self.wins as f64 - self.losses as f64) / self.n() as f64)
    }

    /// The 95 % interval of [`Self::gain`], in `[-1, 1]`; `None` without labels.
    ///
    /// Source: R. G. Newcombe, "Improved Confidence Intervals for the Difference between Binomial Proportions Based on
    /// Paired Data", Statistics in Medicine 17, 1998, method 10: Wilson's intervals of both shares, squared and added,
    /// with their correlation taken from both.
    pub fn gain_interval(&self) -> Option<Interval> {
        let n = self.n() as f64;
        let (gain, first, second) = (self.gain()?, self.first()?, self.second()?);
        let one = wilson((self.both + self.wins) as f64, n)?;
        let two = wilson((self.both + self.losses) as f64, n)?;
        let correlation = self.correlation();
        let apart = |here: f64, there: f64| {
            let squared = here * here - 2.0 * correlation * here * there + there * there;
            squared.max(0.0).sqrt()
        };
        Some(Interval {
            lo: (gain - apart(first - one.lo, two.hi - second)).clamp(-1.0, gain),
            hi: (gain + apart(one.hi - first, second - two.lo)).clamp(gain, 1.0),
        })
    }

    /// McNemar's exact test, two-sided: how often two evals that are as good as each other would be as far apart, in
    /// `(0, 1]`. `None` where they are right on the same labels: nothing tells them apart.
    ///
    /// Source: Q. McNemar, "Note on the Sampling Error of the Difference between Correlated Proportions or
    /// Percentages", 1947, with the binomial distribution itself.
    pub fn p(&self) -> Option<f64> {
        let apart = self.wins + self.losses;
        if apart == 0 {
            return None;
        }
        let coin = Binomial::new(0.5, apart).ok()?;
        Some((2.0 * coin.cdf(self.wins.min(self.losses))).min(1.0))
    }

    fn share(&self, right: u64) -> Option<f64> {
        (self.n() > 0).then(|| right as f64 / self.n() as f64)
    }

    /// The correlation of being right, as Newcombe corrects it: 0 where one is always right or always wrong, and a
    /// positive one brought down by half a label.
    fn correlation(&self) -> f64 {
        let [both, wins, losses, neither] =
            [self.both, self.wins, self.losses, self.neither].map(|count| count as f64);
        let margins = (both + wins) * (losses + neither) * (both + losses) * (wins + neither);
        if margins == 0.0 {
            return 0.0;
        }
        let together = both * neither - wins * losses;
        let corrected = match together > 0.0 {
            true => (together - (both + wins + losses + neither) / 2.0).max(0.0),
            false => together,
        };
        corrected / margins.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paired([both, wins, losses, neither]: [u64; 4]) -> Paired {
        Paired {
            both,
            wins,
            losses,
            neither,
        }
    }

    #[test]
    fn each_pair_has_its_own_count() {
        let pairs = [
            (true, true),
            (true, false),
            (true, false),
            (false, true),
            (false, false),
        ];
        let counted: Paired = pairs.into_iter().collect();
        assert_eq!(counted, paired([1, 2, 1, 1]));
        assert_eq!((counted.n(), counted.gain()), (5, Some(0.2)));
        assert_eq!((counted.first(), counted.second()), (Some(0.6), Some(0.4)));
    }

    #[test]
    fn without_labels_or_a_difference_there_is_nothing_to_tell() {
        let none = Paired::default();
        assert_eq!(
            (none.gain(), none.gain_interval(), none.p()),
            (None, None, None)
        );
        let same = paired([7, 0, 0, 3]);
        assert_eq!((same.gain(), same.p()), (Some(0.0), None));
    }

    #[test]
    fn the_test_is_the_binomials() {
        for ([wins, losses], p) in [
            ([1, 0], 1.0),
            ([5, 0], 0.0625),
            ([6, 0], 0.03125),
            ([9, 1], 0.021_484_375),
            ([4, 4], 1.0),
        ] {
            let exact = paired([3, wins, losses, 2]).p().unwrap();
            assert!((exact - p).abs() < 1e-12, "{wins} {losses}: {exact}");
        }
    }

    /// M. W. Fagerland, S. Lydersen and P. Laake, "Statistical Analysis of Contingency Tables", 2017, chapter 8: airway
    /// hyper-responsiveness before and after a transplantation (E. Bentur et al., 2009).
    #[test]
    fn the_interval_is_that_of_a_published_example() {
        let Interval { lo, hi } = paired([1, 1, 7, 12]).gain_interval().unwrap();
        assert_eq!(
            [lo, hi].map(|end| (end * 1e3).round() / 1e3),
            [-0.507, -0.026]
        );
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_gain_and_turns_with_the_order(counts in prop::array::uniform4(0_u64..400)) {
            let here = paired(counts);
            prop_assume!(here.n() > 0);
            let (gain, Interval { lo, hi }) = (here.gain().unwrap(), here.gain_interval().unwrap());
            prop_assert!(-1.0 <= lo && lo <= gain && gain <= hi && hi <= 1.0);
            let [both, wins, losses, neither] = counts;
            let reversed = paired([both, losses, wins, neither]);
            let there = reversed.gain_interval().unwrap();
            prop_assert!((there.lo + hi).abs() < 1e-9 && (there.hi + lo).abs() < 1e-9);
            prop_assert_eq!(here.p(), reversed.p());
            prop_assert!(here.p().is_none_or(|p| 0.0 < p && p <= 1.0));
        }
    }
}
