use super::columns::{columns, format_columns};
use super::emit::emit;
use super::induce::weight;
use super::reading::Reading;
use super::search::search;
use crate::domain::{Class, EvalSource, LabelledTrace};

/// The best rule list for these labels, whether or not it is more than luck; `None` where nothing sets them apart.
///
/// For comparison on labels that are not among these, which show whether it is luck. Never an offer.
pub fn unproven(labels: &[&LabelledTrace]) -> Option<EvalSource> {
    let decided = labels
        .iter()
        .filter_map(|label| Some((*label, label.label.class()?)));
    let decided: Vec<(&LabelledTrace, Class)> = decided.collect();
    let training: Vec<_> = decided
        .iter()
        .enumerate()
        .map(|(index, (label, class))| (index, *class, weight(label, *class)))
        .collect();
    let readings: Vec<Reading<'_>> = decided
        .iter()
        .map(|(label, _)| Reading::new(&label.trace))
        .collect();
    let columns = columns(&readings);
    let learnt = format_columns(&readings, &training);
    let found = search(columns.iter().chain(&learnt), &training)?;
    Some(emit(&found.rules).0)
}
