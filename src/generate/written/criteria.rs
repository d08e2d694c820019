//! What people seem to look at: from their comments, and from traces that are alike and were judged differently.

use std::collections::BTreeSet;

use super::WriteError;
use super::desk::Desk;
use super::material::Material;
use super::prompt;
use crate::domain::{Criterion, head, one_line};

/// Criteria that are kept, and shown to people.
pub const MOST_CRITERIA: usize = 8;
/// Characters of one.
const CRITERION_CHARS: usize = 240;

/// The criteria, a sentence each; none where the LLM gives none.
///
/// # Errors
/// The process ends.
pub fn criteria(desk: &mut Desk<'_>, material: &Material) -> Result<Vec<Criterion>, WriteError> {
    let answer = desk.ask(&prompt::for_criteria(material))?;
    let stated = answer
        .as_ref()
        .and_then(|answer| answer["criteria"].as_array());
    let stated = stated
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str());
    Ok(distinct(stated))
}

/// Each on one line and once, whatever its case and its full stop.
fn distinct<'t>(stated: impl Iterator<Item = &'t str>) -> Vec<Criterion> {
    let mut seen = BTreeSet::new();
    stated
        .map(one_line)
        .map(|text| head(&text, CRITERION_CHARS).to_owned())
        .filter(|text| {
            let bare = text.trim_end_matches('.').to_lowercase();
            !bare.is_empty() && seen.insert(bare)
        })
        .take(MOST_CRITERIA)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_single_lines_said_once_and_few() {
        let long = "x".repeat(1_000);
        let stated = [
            "Names  its\nsource.",
            "",
            " . ",
            "names its source",
            long.as_str(),
            "É.",
            "é",
        ];
        let kept = distinct(stated.into_iter());
        assert_eq!(kept[0], "Names its source.");
        assert_eq!(kept[1].chars().count(), CRITERION_CHARS);
        assert_eq!(kept[2..], ["É."]);
        let many: Vec<String> = (0..100)
            .map(|number| format!("Criterion {number}."))
            .collect();
        assert_eq!(
            distinct(many.iter().map(String::as_str)).len(),
            MOST_CRITERIA
        );
    }
}
