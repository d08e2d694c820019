use std::collections::BTreeMap;

/// Krippendorff's alpha for nominal data: how far annotators agree beyond chance, at most 1.
///
/// `units` holds, for each trace, the classes that its annotators gave; any number of annotators, who
/// need not be the same for each trace. Traces with fewer than two say nothing on agreement and are left
/// out. `None` where no trace has two, and where all values are of one class: nothing then varied that
/// annotators could have agreed on.
///
/// Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C.
pub fn krippendorff_alpha<C: Ord>(units: &[Vec<C>]) -> Option<f64> {
    let mut values: BTreeMap<&C, f64> = BTreeMap::new();
    let mut disagreed = 0.0;
    for unit in units.iter().filter(|unit| unit.len() >= 2) {
        let mut counts: BTreeMap<&C, f64> = BTreeMap::new();
        for class in unit {
            *counts.entry(class).or_default() += 1.0;
            *values.entry(class).or_default() += 1.0;
        }
        disagreed += unlike_pairs(&counts) / (unit.len() - 1) as f64;
    }
    let paired: f64 = values.values().sum();
    let by_chance = unlike_pairs(&values);
    (by_chance > 0.0).then(|| 1.0 - (paired - 1.0) * disagreed / by_chance)
}

/// Ordered pairs of values of which the two differ.
fn unlike_pairs<C>(counts: &BTreeMap<&C, f64>) -> f64 {
    let total: f64 = counts.values().sum();
    counts.values().map(|count| count * (total - count)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows are annotators, as published; `.` is a missing value.
    fn units(rows: &[&str]) -> Vec<Vec<char>> {
        let column = |at: usize| rows.iter().filter_map(move |row| row.chars().nth(at));
        (0..rows[0].len())
            .map(|at| column(at).filter(|value| *value != '.').collect())
            .collect()
    }

    fn near(alpha: Option<f64>, expected: f64) {
        let alpha = alpha.unwrap();
        assert!(
            (alpha - expected).abs() < 0.0006,
            "{alpha} is not {expected}"
        );
    }

    /// Krippendorff 2011, sections A (binary, alpha 0.095), B (nominal, 0.692) and C (nominal, four
    /// annotators, missing data, 0.743).
    #[test]
    fn alpha_is_that_of_krippendorffs_examples() {
        near(
            krippendorff_alpha(&units(&["0100000010", "1110010000"])),
            0.095,
        );
        near(
            krippendorff_alpha(&units(&["aabbdcccedda", "babbbccceddd"])),
            0.692,
        );
        let four = [
            "12332141 2...",
            "12332241 25.3",
            ".3332342 251.",
            "12332441 251.",
        ];
        let four = four.map(|row| row.replace(' ', ""));
        near(
            krippendorff_alpha(&units(&four.each_ref().map(String::as_str))),
            0.743,
        );
    }

    #[test]
    fn alpha_is_undefined_without_two_annotators_or_two_classes() {
        assert_eq!(krippendorff_alpha::<char>(&[]), None);
        assert_eq!(krippendorff_alpha(&units(&["0101", "...."])), None);
        assert_eq!(krippendorff_alpha(&units(&["0000", "0000"])), None);
    }

    #[test]
    fn a_trace_with_one_annotator_changes_nothing() {
        let with = krippendorff_alpha(&units(&["01001", "0100."]));
        assert_eq!(with, krippendorff_alpha(&units(&["0100", "0100"])));
        assert_eq!(with, Some(1.0));
    }

    proptest! {
        #[test]
        fn alpha_is_at_most_one_and_blind_to_order(
            mut units in prop::collection::vec(prop::collection::vec(0_u8..3, 0..5), 0..30),
        ) {
            let alpha = krippendorff_alpha(&units);
            prop_assert!(alpha.is_none_or(|alpha| alpha.is_finite() && alpha <= 1.0));
            for unit in &mut units {
                unit.reverse();
            }
            units.reverse();
            let turned = krippendorff_alpha(&units);
            let close = match (alpha, turned) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            prop_assert!(close);
        }
    }
}
