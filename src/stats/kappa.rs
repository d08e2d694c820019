/// Cohen's kappa of two raters: agreement beyond chance, in `[-1, 1]`.
///
/// `table[i][j]` counts what the first put into class i and the second into class j; counts may be
/// fractional, but not negative. `None` for an empty table, and where both put everything into one same
/// class: chance agreement is then 1, and kappa has no value.
///
/// Source: J. Cohen, "A Coefficient of Agreement for Nominal Scales", 1960.
pub fn cohen_kappa<const CLASSES: usize>(table: &[[f64; CLASSES]; CLASSES]) -> Option<f64> {
    let total: f64 = table.iter().flatten().sum();
    let in_one_class = (0..CLASSES).any(|class| table[class][class] == total);
    if in_one_class || !total.is_finite() {
        return None;
    }
    let agreed: f64 = (0..CLASSES).map(|class| table[class][class]).sum();
    let by_chance: f64 = (0..CLASSES)
        .map(|class| {
            let by_first: f64 = table[class].iter().sum();
            let by_second: f64 = table.iter().map(|row| row[class]).sum();
            by_first * by_second
        })
        .sum();
    let kappa = (agreed * total - by_chance) / (total * total - by_chance);
    kappa.is_finite().then(|| kappa.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(kappa: Option<f64>, expected: f64) {
        let kappa = kappa.unwrap();
        assert!(
            (kappa - expected).abs() < 0.0005,
            "{kappa} is not {expected}"
        );
    }

    /// Cohen 1960, table 2: 200 subjects, agreement .70, by chance .41, kappa .492.
    #[test]
    fn kappa_is_that_of_cohens_own_example() {
        let table = [[88.0, 14.0, 18.0], [10.0, 40.0, 10.0], [2.0, 6.0, 12.0]];
        near(cohen_kappa(&table), 0.492);
    }

    /// A. R. Feinstein and D. V. Cicchetti, "High Agreement but Low Kappa: I. The Problems of Two
    /// Paradoxes", Journal of Clinical Epidemiology 43, 1990: the same agreement, .85, in both.
    #[test]
    fn the_same_agreement_has_another_kappa_in_skewed_classes() {
        near(cohen_kappa(&[[40.0, 9.0], [6.0, 45.0]]), 0.6995);
        near(cohen_kappa(&[[80.0, 10.0], [5.0, 5.0]]), 0.3182);
    }

    #[test]
    fn kappa_is_undefined_when_both_raters_say_one_class_every_time() {
        assert_eq!(cohen_kappa(&[[0.0; 2]; 2]), None);
        assert_eq!(cohen_kappa(&[[0.1 + 0.2, 0.0], [0.0, 0.0]]), None);
        assert_eq!(cohen_kappa(&[[0.0, 0.0], [0.0, 7.0]]), None);
    }

    #[test]
    fn a_rater_who_never_varies_agrees_by_chance_alone() {
        assert_eq!(cohen_kappa(&[[3.0, 5.0], [0.0, 0.0]]), Some(0.0));
    }

    proptest! {
        #[test]
        fn kappa_is_bounded_and_does_not_care_who_is_first(
            cells in prop::array::uniform4(0.0..1_000.0_f64),
        ) {
            let [a, b, c, d] = cells;
            if let Some(kappa) = cohen_kappa(&[[a, b], [c, d]]) {
                prop_assert!((-1.0..=1.0).contains(&kappa));
                let swapped = cohen_kappa(&[[a, c], [b, d]]).unwrap();
                prop_assert!((kappa - swapped).abs() < 1e-9);
            }
        }
    }
}
