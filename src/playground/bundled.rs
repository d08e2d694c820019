use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::PlaceConfig;
use super::langfuse::Recorded;
use crate::domain::{AnnotatorId, AnnotatorLabel, Thumb};
use crate::store::embedded_path;

/// Who gave a label of which the source names no rater.
const UNNAMED: &str = "annotator";
/// Who gave a label that no person gave: a comparison with the answer that was asked for.
const EXACT_CHECK: &str = "exact-check";

const GROUNDED: &str = include_str!("../../examples/wow_grounded.jsonl");
const JSON_ANSWERS: &str = include_str!("../../examples/math_json_format.jsonl");
const SNIPPETS: &str = include_str!("../../examples/conala_code_grades.jsonl");

/// A line of `examples/`.
#[derive(Deserialize)]
struct Line {
    trace: Value,
    label: Thumb,
    #[serde(default)]
    labels: Vec<AnnotatorLabel>,
    comment: Option<String>,
}

/// The three channels with the traces of `examples/`.
pub fn places() -> Vec<PlaceConfig> {
    let place = |workspace: &str, channel: &str, topic: &str, recorded| PlaceConfig {
        workspace: workspace.to_owned(),
        channel: channel.to_owned(),
        topic: topic.to_owned(),
        recorded,
    };
    vec![
        place(
            "default",
            "grounded-replies",
            "Chat replies. Good: all it says is in the retrieved sentence.",
            recorded(GROUNDED, UNNAMED),
        ),
        place(
            "json-answers",
            "json-answers",
            "Maths answers. Good: exactly the JSON that was asked for. Labels here come from an exact check.",
            recorded(JSON_ANSWERS, EXACT_CHECK),
        ),
        place(
            "code-snippets",
            "code-snippets",
            "One-line Python, graded by several developers. Hard: code alone can't decide it.",
            recorded(SNIPPETS, UNNAMED),
        ),
    ]
}

/// The traces of a set; a label without a rater is by the user `unnamed`.
fn recorded(lines: &str, unnamed: &str) -> Vec<Recorded> {
    lines.lines().map(|line| read(line, unnamed)).collect()
}

fn read(line: &str, unnamed: &str) -> Recorded {
    let line: Line = serde_json::from_str(line).expect("the bundled lines are valid");
    let labels = match line.labels.is_empty() {
        false => line.labels,
        true => vec![AnnotatorLabel {
            annotator: AnnotatorId::from(unnamed),
            label: line.label,
            comment: line.comment,
        }],
    };
    Recorded {
        trace: line.trace,
        label: line.label,
        labels,
    }
}

/// Where the playground keeps its state: beside the embedded database, or else below `data/`.
pub fn folder(database_url: &str) -> PathBuf {
    match embedded_path(database_url) {
        Some(path) => PathBuf::from(format!("{path}.playground")),
        None => PathBuf::from("data/playground"),
    }
}

/// Refuses an embedded database that the playground has filled: recorded labels are nobody's opinion of real answers.
///
/// # Errors
/// A sentence that says what to do.
pub fn refuse_its_database(database_url: &str) -> anyhow::Result<()> {
    let Some(path) = embedded_path(database_url) else {
        return Ok(());
    };
    let folder = folder(database_url);
    anyhow::ensure!(
        !folder.exists(),
        "{path} holds the playground's recorded traces, labels and evals, which would count as yours. Move it and {} away, \
         or set DATABASE_URL to another file, such as sqlite://data/team.db",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_real_service_is_told_to_leave_the_playgrounds_database() {
        let home = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/iofold.db", home.path().display());
        assert!(refuse_its_database(&url).is_ok());
        std::fs::create_dir(folder(&url)).unwrap();
        let refusal = refuse_its_database(&url).unwrap_err().to_string();
        assert!(refusal.contains("set DATABASE_URL"), "{refusal}");
        assert!(refuse_its_database("postgres://host/db").is_ok());
    }

    #[test]
    fn the_bundled_traces_have_both_classes_and_a_label_each() {
        let sizes: Vec<usize> = places().iter().map(|place| place.recorded.len()).collect();
        assert_eq!(sizes, [200, 200, 120]);
        for place in places() {
            let labels: BTreeSet<Thumb> = place.recorded.iter().map(|r| r.label).collect();
            assert!(labels.contains(&Thumb::Up) && labels.contains(&Thumb::Down));
            assert!(
                place
                    .recorded
                    .iter()
                    .all(|recorded| !recorded.labels.is_empty())
            );
            let ids: BTreeSet<&str> = place
                .recorded
                .iter()
                .filter_map(|r| r.trace["id"].as_str())
                .collect();
            assert_eq!(ids.len(), place.recorded.len(), "{}", place.channel);
        }
    }

    #[test]
    fn a_label_that_an_exact_check_gave_is_no_persons() {
        let annotators = |place: &PlaceConfig| -> BTreeSet<String> {
            let labels = place.recorded.iter().flat_map(|recorded| &recorded.labels);
            labels.map(|label| label.annotator.to_string()).collect()
        };
        let places = places();
        let lone = |name: &str| BTreeSet::from([name.to_owned()]);
        assert_eq!(annotators(&places[0]), lone("annotator"));
        assert_eq!(annotators(&places[1]), lone("exact-check"));
        assert!(places[1].topic.contains("exact check"));
        let graders = annotators(&places[2]);
        assert!(graders.len() > 1 && !graders.contains("exact-check"));
    }

    #[test]
    fn the_state_is_beside_an_embedded_database() {
        assert_eq!(
            folder("sqlite://data/x.db"),
            PathBuf::from("data/x.db.playground")
        );
        assert_eq!(folder("postgres://h/d"), PathBuf::from("data/playground"));
    }
}
