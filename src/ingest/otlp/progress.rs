//! How far a trace has come, as far as its observations tell.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::ingest::arrive::id_in;

/// A span whose parent is missing may have a parent that still runs, an agent that waits for a tool, say. After
/// this long without any news of the trace, the parent is taken for one that is never sent.
const PARENT_AWAITED: Duration = Duration::from_secs(600);

/// What is known of a trace's end.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its root and all its steps have come and ended: nothing is known to be missing.
    Whole,
    /// There is a root, and something is missing or runs.
    Partial,
    /// There is no root; one is assumed once the trace has been quiet for this long.
    Rootless { assumed_after: Duration },
}

/// `quiet` is the usual quiet period, which does where the parent of a topmost span is known to be in another
/// process: that one need not be traced to us at all.
pub fn progress_of(observations: &[Map<String, Value>], quiet: Duration) -> Progress {
    let ids: HashSet<&str> = observations.iter().filter_map(|o| id_in(o, "id")).collect();
    if !observations.iter().any(is_root) {
        let is_remote = |o: &&Map<String, Value>| o.contains_key("hasRemoteParent");
        let topmost = observations.iter().filter(|o| is_orphan(o, &ids));
        let assumed_after = match topmost.into_iter().any(|o| is_remote(&o)) {
            true => quiet,
            false => quiet.max(PARENT_AWAITED),
        };
        return Progress::Rootless { assumed_after };
    }
    let is_finished = |o: &Map<String, Value>| {
        id_in(o, "endTime").is_some() && (is_root(o) || !is_orphan(o, &ids))
    };
    match observations.iter().all(is_finished) {
        true => Progress::Whole,
        false => Progress::Partial,
    }
}

/// Marks the topmost spans of a trace without a root as its roots.
pub fn assume_roots(observations: &mut [Map<String, Value>]) {
    let ids = observations.iter().filter_map(|o| id_in(o, "id"));
    let ids: HashSet<String> = ids.map(str::to_owned).collect();
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    for observation in observations {
        if is_orphan(observation, &ids) {
            observation.insert("isRootObservation".to_owned(), Value::Bool(true));
        }
    }
}

fn is_root(observation: &Map<String, Value>) -> bool {
    match observation.get("isRootObservation") {
        Some(Value::Bool(said)) => *said,
        _ => id_in(observation, "parentObservationId").is_none(),
    }
}

fn is_orphan(observation: &Map<String, Value>, ids: &HashSet<&str>) -> bool {
    let parent = id_in(observation, "parentObservationId");
    parent.is_some_and(|parent| !ids.contains(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const QUIET: Duration = Duration::from_secs(30);

    fn rows(rows: Value) -> Vec<Map<String, Value>> {
        serde_json::from_value(rows).expect("they are objects")
    }

    #[test]
    fn a_trace_is_whole_once_its_root_and_all_that_is_known_of_it_have_ended() {
        let root = json!({"id": "r", "endTime": "t"});
        let child = json!({"id": "c", "parentObservationId": "r", "endTime": "t"});
        let grandchild = json!({"id": "g", "parentObservationId": "c", "endTime": "t"});
        let running = json!({"id": "c", "parentObservationId": "r"});
        let marked = json!({"id": "m", "parentObservationId": "x", "endTime": "t", "isRootObservation": true});
        for (observations, expected) in [
            (json!([root]), Progress::Whole),
            (json!([grandchild, child, root]), Progress::Whole),
            (json!([marked]), Progress::Whole),
            (json!([grandchild, root]), Progress::Partial),
            (json!([running, root]), Progress::Partial),
            (json!([{"id": "r"}]), Progress::Partial),
        ] {
            let progress = progress_of(&rows(observations.clone()), QUIET);
            assert_eq!(progress, expected, "{observations}");
        }
    }

    #[test]
    fn without_a_root_the_topmost_spans_become_it_sooner_where_their_parent_is_elsewhere() {
        let local = json!({"id": "a", "parentObservationId": "x", "endTime": "t"});
        let remote =
            json!({"id": "b", "parentObservationId": "x", "endTime": "t", "hasRemoteParent": true});
        let inner = json!({"id": "c", "parentObservationId": "b", "endTime": "t"});
        let assumed = |observations| match progress_of(&rows(observations), QUIET) {
            Progress::Rootless { assumed_after } => assumed_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(assumed(json!([local])), PARENT_AWAITED);
        assert_eq!(assumed(json!([remote, inner])), QUIET);
        let mut trace = rows(json!([inner, remote]));
        assume_roots(&mut trace);
        assert_eq!(progress_of(&trace, QUIET), Progress::Whole);
        assert!(!trace[0].contains_key("isRootObservation"));
    }
}
