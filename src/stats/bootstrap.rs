use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Confusion, Interval};
use crate::domain::Class;

/// Enough for the second digit of a 95 % interval (Efron and Tibshirani, "An Introduction to the
/// Bootstrap", 1993, chapter 13: at least 1,000).
const RESAMPLES: usize = 2_000;
/// Any number: fixed, so that the same labels and verdicts give the same interval everywhere.
const SEED: u64 = 0x10f01d;

/// The percentile bootstrap's 95 % interval of Cohen's kappa. `traces` holds each trace's own matrix:
/// one count, or as many as the trace was judged. Traces are drawn again with replacement, and of each
/// one of its verdicts, so that judging a trace more often does not look like more traces.
///
/// Resamples whose kappa is undefined are left out. `None` where the kappa of all traces is undefined,
/// and where every resample has the same one (as where all agree): the bootstrap then sees no
/// uncertainty, which does not mean that there is none.
pub fn kappa_interval(traces: &[Confusion]) -> Option<Interval> {
    traces.iter().copied().sum::<Confusion>().kappa()?;
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut kappas: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| resampled(traces, &mut random).kappa())
        .collect();
    kappas.sort_by(f64::total_cmp);
    let interval = Interval {
        lo: quantile(&kappas, 0.025)?,
        hi: quantile(&kappas, 0.975)?,
    };
    (interval.lo < interval.hi).then_some(interval)
}

fn resampled(traces: &[Confusion], random: &mut ChaCha8Rng) -> Confusion {
    (0..traces.len())
        .map(|_| one_verdict(&traces[random.random_range(0..traces.len())], random))
        .sum()
}

/// One of a trace's verdicts, each as likely as it is frequent.
fn one_verdict(trace: &Confusion, random: &mut ChaCha8Rng) -> Confusion {
    let label = if trace.fails() > 0.0 {
        Class::Fail
    } else {
        Class::Pass
    };
    let said_fail = trace.caught + trace.false_alarms;
    let fails = random.random::<f64>() * trace.total() < said_fail;
    Confusion::of(label, if fails { Class::Fail } else { Class::Pass })
}

/// The quantile of sorted values, between neighbours in proportion; `None` without values.
fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = at * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Class::{Fail, Pass};

    fn traces(cells: [usize; 4]) -> Vec<Confusion> {
        let words: [(Class, Class); 4] = [(Fail, Fail), (Fail, Pass), (Pass, Fail), (Pass, Pass)];
        let repeated = words.iter().zip(cells);
        repeated
            .flat_map(|((label, verdict), n)| vec![Confusion::of(*label, *verdict); n])
            .collect()
    }

    /// The table of Viera and Garrett 2005. Its large-sample standard error (J. L. Fleiss, J. Cohen and
    /// B. S. Everitt 1969) is 0.0980, so kappa ± 1.96 of it is 0.379 to 0.763.
    #[test]
    fn the_interval_is_near_the_large_sample_one() {
        let Interval { lo, hi } = kappa_interval(&traces([15, 5, 10, 70])).unwrap();
        assert!(
            (lo - 0.379).abs() < 0.04 && (hi - 0.763).abs() < 0.04,
            "{lo} {hi}"
        );
    }

    #[test]
    fn the_same_traces_give_the_same_interval() {
        let traces = traces([8, 3, 2, 11]);
        assert_eq!(kappa_interval(&traces), kappa_interval(&traces));
    }

    #[test]
    fn judging_each_trace_more_often_does_not_narrow_the_interval() {
        let once = traces([8, 3, 2, 11]);
        let often: Vec<Confusion> = once.iter().map(|trace| trace.scaled(50.0)).collect();
        assert_eq!(kappa_interval(&once), kappa_interval(&often));
    }

    #[test]
    fn there_is_no_interval_of_an_undefined_or_a_never_varying_kappa() {
        assert_eq!(kappa_interval(&[]), None);
        assert_eq!(kappa_interval(&traces([0, 0, 0, 9])), None);
        assert_eq!(kappa_interval(&traces([5, 0, 0, 9])), None);
    }

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.975), Some(3.0));
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0, 4.0], 0.375), Some(1.5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_interval_is_ordered_and_in_bounds(cells in prop::array::uniform4(0_usize..25)) {
            if let Some(Interval { lo, hi }) = kappa_interval(&traces(cells)) {
                prop_assert!(-1.0 <= lo && lo < hi && hi <= 1.0);
            }
        }
    }
}
