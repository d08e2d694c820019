use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// The standard normal's 97.5 % quantile.
const Z: f64 = 1.959_963_984_540_054;
/// Half of what a 95 % interval leaves out.
const TAIL: f64 = 0.025;

/// A 95 % interval; as JSON `[lo, hi]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// The lower end.
    pub lo: f64,
    /// The upper end, not below the lower.
    pub hi: f64,
}

impl From<[f64; 2]> for Interval {
    fn from([lo, hi]: [f64; 2]) -> Self {
        Self { lo, hi }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.lo, interval.hi]
    }
}

/// Wilson's 95 % score interval of a proportion, in `[0, 1]`: the one to show.
///
/// `None` where there are no trials, or where the counts are none. A mean count over repeats may be
/// fractional.
///
/// Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
pub fn wilson(successes: f64, trials: f64) -> Option<Interval> {
    let share = share(successes, trials)?;
    let shrink = 1.0 + Z * Z / trials;
    let centre = (share + Z * Z / (2.0 * trials)) / shrink;
    let spread = share * (1.0 - share) / trials + Z * Z / (4.0 * trials * trials);
    let half = Z * spread.sqrt() / shrink;
    Some(around(share, centre - half, centre + half))
}

/// Clopper and Pearson's exact 95 % interval of a proportion, in `[0, 1]`: never too narrow, so the one
/// to decide by.
///
/// `None` as for [`wilson`]. For a fractional count the beta quantiles are used as they are.
///
/// Source: C. J. Clopper and E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the
/// Case of the Binomial", 1934.
pub fn clopper_pearson(successes: f64, trials: f64) -> Option<Interval> {
    let share = share(successes, trials)?;
    let failures = trials - successes;
    let lo = beta_quantile(TAIL, successes, failures + 1.0).unwrap_or(0.0);
    let hi = beta_quantile(1.0 - TAIL, successes + 1.0, failures).unwrap_or(1.0);
    Some(around(share, lo, hi))
}

/// `None` where a shape is 0: the distribution has shrunk to one end.
fn beta_quantile(at: f64, a: f64, b: f64) -> Option<f64> {
    Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(at))
}

fn share(successes: f64, trials: f64) -> Option<f64> {
    let counts = trials > 0.0 && trials.is_finite() && (0.0..=trials).contains(&successes);
    counts.then(|| successes / trials)
}

/// Rounding may push an end past the point or past its bound by the last digit.
fn around(share: f64, lo: f64, hi: f64) -> Interval {
    Interval {
        lo: if share == 0.0 {
            0.0
        } else {
            lo.clamp(0.0, share)
        },
        hi: if share == 1.0 {
            1.0
        } else {
            hi.clamp(share, 1.0)
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::distribution::{Binomial, Discrete};

    use super::*;

    /// R. G. Newcombe, "Two-sided Confidence Intervals for the Single Proportion: Comparison of Seven
    /// Methods", Statistics in Medicine 17, 1998, table I: methods 3 (score) and 5 (Clopper-Pearson).
    const NEWCOMBE: [(f64, f64, [f64; 2], [f64; 2]); 4] = [
        (81.0, 263.0, [0.2553, 0.3662], [0.2527, 0.3676]),
        (15.0, 148.0, [0.0624, 0.1605], [0.0578, 0.1617]),
        (0.0, 20.0, [0.0000, 0.1611], [0.0000, 0.1684]),
        (1.0, 29.0, [0.0061, 0.1718], [0.0009, 0.1776]),
    ];

    fn to_four_places(interval: Option<Interval>) -> [f64; 2] {
        let ends = <[f64; 2]>::from(interval.unwrap());
        ends.map(|end| (end * 1e4).round() / 1e4)
    }

    #[test]
    fn the_intervals_are_those_of_newcombes_table() {
        for (successes, trials, by_score, exact) in NEWCOMBE {
            assert_eq!(to_four_places(wilson(successes, trials)), by_score);
            assert_eq!(to_four_places(clopper_pearson(successes, trials)), exact);
        }
    }

    /// With no failure the exact lower end is the n-th root of 0.025.
    #[test]
    fn the_exact_interval_has_its_closed_form_at_the_edge() {
        for trials in [1.0, 10.0, 500.0, 100_000.0] {
            let all = clopper_pearson(trials, trials).unwrap();
            assert!(
                (all.lo - 0.025_f64.powf(1.0 / trials)).abs() < 1e-9,
                "{all:?}"
            );
            assert_eq!(all.hi, 1.0);
        }
    }

    #[test]
    fn there_is_no_interval_without_trials_or_of_what_is_no_count() {
        let none = [
            (0.0, 0.0),
            (3.0, 2.0),
            (-1.0, 2.0),
            (f64::NAN, 2.0),
            (1.0, f64::NAN),
        ];
        for (successes, trials) in none {
            assert_eq!(wilson(successes, trials), None);
            assert_eq!(clopper_pearson(successes, trials), None);
        }
    }

    #[test]
    fn an_interval_is_a_pair_in_json() {
        let interval = Interval { lo: 0.25, hi: 0.5 };
        assert_eq!(serde_json::to_string(&interval).unwrap(), "[0.25,0.5]");
        assert_eq!(
            serde_json::from_str::<Interval>("[0.25,0.5]").unwrap(),
            interval
        );
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_point_and_stays_in_bounds(
            trials in 0.1..5_000.0_f64, share in 0.0..=1.0_f64,
        ) {
            let successes = share * trials;
            for interval in [wilson(successes, trials), clopper_pearson(successes, trials)] {
                let Interval { lo, hi } = interval.unwrap();
                let point = successes / trials;
                prop_assert!(0.0 <= lo && lo <= point && point <= hi && hi <= 1.0);
            }
        }

        #[test]
        fn failures_have_the_mirrored_interval(trials in 1..2_000_u32, share in 0.0..=1.0_f64) {
            let trials = f64::from(trials);
            let successes = (share * trials).floor();
            for method in [wilson, clopper_pearson] {
                let one = method(successes, trials).unwrap();
                let other = method(trials - successes, trials).unwrap();
                prop_assert!((one.lo - (1.0 - other.hi)).abs() < 1e-6, "{one:?} {other:?}");
                prop_assert!((one.hi - (1.0 - other.lo)).abs() < 1e-6, "{one:?} {other:?}");
            }
        }

        /// What makes the interval "exact": whatever the true share is, 95 % of samples or more have an
        /// interval that holds it.
        #[test]
        fn the_exact_interval_holds_the_truth_in_95_of_100_samples(
            trials in 1..60_u32, truth in 0.0..=1.0_f64,
        ) {
            let samples = Binomial::new(truth, u64::from(trials)).unwrap();
            let holds = |successes: &u32| {
                let Interval { lo, hi } =
                    clopper_pearson(f64::from(*successes), f64::from(trials)).unwrap();
                (lo..=hi).contains(&truth)
            };
            let covered: f64 = (0..=trials)
                .filter(holds)
                .map(|successes| samples.pmf(u64::from(successes)))
                .sum();
            prop_assert!(covered >= 0.95 - 1e-9, "{covered}");
        }
    }
}
