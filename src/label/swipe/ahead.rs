use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::domain::{AnnotatorId, TraceId, WorkspaceId};

/// People for whom a trace is kept ready; with more, all begin anew.
const PEOPLE_MAX: usize = 200;

type Person = (WorkspaceId, AnnotatorId);

/// Traces that are ready to be shown next, one for each person. A guess: what is shown is decided by rows.
#[derive(Default)]
pub struct Ahead(Mutex<HashMap<Person, (TraceId, Vec<Value>)>>);

impl Ahead {
    /// Keeps a trace's blocks for a person.
    pub(super) fn keep(
        &self,
        workspace: &WorkspaceId,
        annotator: &AnnotatorId,
        trace: &TraceId,
        blocks: Vec<Value>,
    ) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let person = (workspace.clone(), annotator.clone());
        if kept.len() >= PEOPLE_MAX && !kept.contains_key(&person) {
            kept.clear();
        }
        kept.insert(person, (trace.clone(), blocks));
    }

    /// The trace's blocks, if it is the one that was kept for the person.
    pub(super) fn take(
        &self,
        workspace: &WorkspaceId,
        annotator: &AnnotatorId,
        trace: &TraceId,
    ) -> Option<Vec<Value>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ready, blocks) = kept.remove(&(workspace.clone(), annotator.clone()))?;
        (ready == *trace).then_some(blocks)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_ready_is_one_persons_and_used_once() {
        let ahead = Ahead::default();
        let [workspace, other] = ["w", "v"].map(WorkspaceId::from);
        let (ada, trace) = (AnnotatorId::from("ADA"), TraceId::from("t"));
        let take = |workspace, trace| ahead.take(workspace, &ada, trace);
        ahead.keep(&workspace, &ada, &trace, vec![json!(1)]);
        assert_eq!(take(&other, &trace), None);
        assert_eq!(take(&workspace, &trace), Some(vec![json!(1)]));
        assert_eq!(take(&workspace, &trace), None);
        ahead.keep(&workspace, &ada, &trace, vec![json!(1)]);
        assert_eq!(take(&workspace, &"another".into()), None);
    }

    #[test]
    fn what_is_ready_stays_bounded() {
        let ahead = Ahead::default();
        let (workspace, trace) = ("w".into(), "t".into());
        for person in 0..=PEOPLE_MAX {
            ahead.keep(&workspace, &format!("U{person}").into(), &trace, Vec::new());
        }
        assert_eq!(ahead.0.lock().unwrap().len(), 1);
    }
}
