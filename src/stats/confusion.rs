use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::cohen_kappa;
use crate::domain::Class;

/// Labelled traces by what people and the eval say of them; positive is **fail**.
///
/// Only traces with a verdict are in it. Counts are means, and may be fractional, where each trace was
/// judged several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Both say fail: failures caught.
    #[serde(rename = "tp")]
    pub caught: f64,
    /// People say fail, the eval says pass.
    #[serde(rename = "fn")]
    pub missed: f64,
    /// People say pass, the eval says fail.
    #[serde(rename = "fp")]
    pub false_alarms: f64,
    /// Both say pass.
    #[serde(rename = "tn")]
    pub passed: f64,
}

impl Confusion {
    /// One trace, labelled so by people and judged so by the eval.
    pub fn of(label: Class, verdict: Class) -> Self {
        let mut one = Self::default();
        *match (label, verdict) {
            (Class::Fail, Class::Fail) => &mut one.caught,
            (Class::Fail, Class::Pass) => &mut one.missed,
            (Class::Pass, Class::Fail) => &mut one.false_alarms,
            (Class::Pass, Class::Pass) => &mut one.passed,
        } = 1.0;
        one
    }

    /// Every count times `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            caught: self.caught * factor,
            missed: self.missed * factor,
            false_alarms: self.false_alarms * factor,
            passed: self.passed * factor,
        }
    }

    /// Traces that people call a fail.
    pub fn fails(&self) -> f64 {
        self.caught + self.missed
    }

    /// Traces that people call a pass.
    pub fn passes(&self) -> f64 {
        self.false_alarms + self.passed
    }

    /// All traces.
    pub fn total(&self) -> f64 {
        self.fails() + self.passes()
    }

    /// Traces of which people and the eval say the same.
    pub fn agreed(&self) -> f64 {
        self.caught + self.passed
    }

    /// The share of traces of which people and the eval say the same; `None` without traces.
    pub fn agreement(&self) -> Option<f64> {
        ratio(self.agreed(), self.total())
    }

    /// The share of people's fails that the eval catches; `None` without any.
    pub fn true_positive_rate(&self) -> Option<f64> {
        ratio(self.caught, self.fails())
    }

    /// The share of people's passes that the eval lets pass; `None` without any.
    pub fn true_negative_rate(&self) -> Option<f64> {
        ratio(self.passed, self.passes())
    }

    /// What always guessing the larger class would agree; `None` without traces.
    pub fn majority(&self) -> Option<f64> {
        ratio(self.fails().max(self.passes()), self.total())
    }

    /// [`cohen_kappa`] of people and the eval.
    pub fn kappa(&self) -> Option<f64> {
        cohen_kappa(&[[self.caught, self.missed], [self.false_alarms, self.passed]])
    }
}

impl AddAssign for Confusion {
    fn add_assign(&mut self, other: Self) {
        self.caught += other.caught;
        self.missed += other.missed;
        self.false_alarms += other.false_alarms;
        self.passed += other.passed;
    }
}

impl std::iter::Sum for Confusion {
    fn sum<I: Iterator<Item = Self>>(matrices: I) -> Self {
        matrices.fold(Self::default(), |mut sum, matrix| {
            sum += matrix;
            sum
        })
    }
}

/// Rounding of sums may push a share past 1 by the last digit.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A. J. Viera and J. M. Garrett, "Understanding Interobserver Agreement: The Kappa Statistic",
    /// Family Medicine 37, 2005: agreement .85, kappa .57. The rates are counted by hand.
    #[test]
    fn the_figures_are_those_of_a_published_table() {
        let matrix = Confusion {
            caught: 15.0,
            missed: 5.0,
            false_alarms: 10.0,
            passed: 70.0,
        };
        assert_eq!(matrix.total(), 100.0);
        assert_eq!(matrix.agreement(), Some(0.85));
        assert_eq!(matrix.true_positive_rate(), Some(0.75));
        assert_eq!(matrix.true_negative_rate(), Some(0.875));
        assert_eq!(matrix.majority(), Some(0.8));
        assert!((matrix.kappa().unwrap() - 0.5714).abs() < 0.0001);
    }

    #[test]
    fn each_pair_of_words_has_its_own_cell_and_fail_is_positive() {
        let cell = |label, verdict| {
            let one = Confusion::of(label, verdict);
            [one.caught, one.missed, one.false_alarms, one.passed]
        };
        assert_eq!(cell(Class::Fail, Class::Fail), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(cell(Class::Fail, Class::Pass), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(cell(Class::Pass, Class::Fail), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(cell(Class::Pass, Class::Pass), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_figure_without_its_class_is_undefined() {
        let nothing = Confusion::default();
        assert_eq!(
            (nothing.agreement(), nothing.majority(), nothing.kappa()),
            (None, None, None)
        );
        let passes = Confusion::of(Class::Pass, Class::Fail);
        assert_eq!(passes.true_positive_rate(), None);
        assert_eq!(passes.true_negative_rate(), Some(0.0));
    }

    proptest! {
        #[test]
        fn agreement_is_the_mean_of_the_rates_weighted_by_class(
            cells in prop::array::uniform4(0_u32..500),
        ) {
            let [caught, missed, false_alarms, passed] = cells.map(f64::from);
            let matrix = Confusion { caught, missed, false_alarms, passed };
            prop_assume!(matrix.total() > 0.0);
            let rate = |rate: Option<f64>, n: f64| rate.unwrap_or(0.0) * n;
            let weighted = rate(matrix.true_positive_rate(), matrix.fails())
                + rate(matrix.true_negative_rate(), matrix.passes());
            prop_assert!((matrix.agreement().unwrap() - weighted / matrix.total()).abs() < 1e-9);
            prop_assert!(matrix.majority().unwrap() >= 0.5);
        }
    }
}
