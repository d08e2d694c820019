//! An eval that a person wrote or edited becomes a version like any other.

use super::EVAL_NAME;
use super::offer::{Descent, Maker, Making, Offer};
use super::refine::change;
use super::store::{self, NewVersion};
use crate::domain::{ErrorKind, EvalId, EvalSource, Outcome, RunError, VersionId, WorkspaceId};
use crate::store::{Db, all_labels, now_ms};
use crate::workspace::others_than;

/// What a submission came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A new version, and the one that it descends from.
    New {
        /// The version.
        version: VersionId,
        /// The newest version of the eval until then; `None` where it is the first.
        parent: Option<VersionId>,
    },
    /// The eval has a version with this very source.
    Known(VersionId),
    /// The workspace has no eval of this name; these are there.
    NoSuchEval(Vec<String>),
    /// There is no such workspace; these are there.
    NoSuchWorkspace(Vec<String>),
}

/// Records a source as the next version of an eval: a descendant of its newest version, and nobody knows which one the
/// person started from, so it has seen the labels that any version of the eval has. Labels kept back from all of them and
/// fresh ones judge it. The service runs and reports it as any other.
///
/// The same source again changes nothing. Whether it is an eval at all is for [`fault`] to say first.
pub async fn submit(
    db: &Db,
    workspace: &WorkspaceId,
    name: &str,
    source: &EvalSource,
) -> anyhow::Result<Submitted> {
    if let Some(others) = others_than(db, workspace).await? {
        return Ok(Submitted::NoSuchWorkspace(others));
    }
    if name == EVAL_NAME {
        store::ensure_eval(db, workspace, &EvalId::from(EVAL_NAME), EVAL_NAME).await?;
    }
    let evals = store::evals(db, workspace).await?;
    let Some((eval, _)) = evals.iter().find(|(_, its)| its == name) else {
        let names = evals.into_iter().map(|(_, name)| name);
        return Ok(Submitted::NoSuchEval(names.collect()));
    };
    record(db, workspace, eval, source).await
}

async fn record(
    db: &Db,
    workspace: &WorkspaceId,
    eval: &EvalId,
    source: &EvalSource,
) -> anyhow::Result<Submitted> {
    let frozen_at_ms = now_ms();
    let label_count = all_labels(db, workspace).await?.len() as i64;
    let mut transaction = db.begin().await?;
    store::lock_eval(&mut *transaction, workspace, eval).await?;
    let hash = source.hash();
    let known = store::version_of_source(&mut *transaction, workspace, eval, &hash);
    if let Some(known) = known.await? {
        return Ok(Submitted::Known(known));
    }
    let before = store::newest_version(&mut *transaction, workspace, eval).await?;
    let version = VersionId::from(uuid::Uuid::now_v7().to_string());
    let offer = by_hand(source, before.as_ref());
    let new = NewVersion {
        id: &version,
        eval,
        label_count,
        offer: &offer,
        parent: before.as_ref().map(|(id, _)| id),
        why: offer.changes.first().map(String::as_str),
        frozen_at_ms,
    };
    store::insert_version(&mut *transaction, workspace, &new).await?;
    store::inherit_all_seen(&mut *transaction, workspace, &version, eval).await?;
    transaction.commit().await?;
    let parent = before.map(|(id, _)| id);
    Ok(Submitted::New { version, parent })
}

/// One candidate, made by nobody but a person.
fn by_hand(source: &EvalSource, before: Option<&(VersionId, EvalSource)>) -> Offer {
    let changes: Vec<String> = before.iter().map(|(_, old)| change(old, source)).collect();
    let descent = before.map(|(parent, _)| Descent {
        parent: Some(parent.to_string()),
        why: None,
        changes: changes.clone(),
        versus: None,
        versus_fresh: None,
    });
    Offer {
        source: source.clone(),
        criterion: source.criterion().unwrap_or_default(),
        candidates_tried: 1,
        cross_validation: None,
        changes,
        seen: Vec::new(),
        making: Making {
            generator: Maker::Person,
            descent,
            ..Making::by_rules()
        },
    }
}

/// Why a source is no eval, by what it did on a few traces: it is no Python module with `evaluate(trace)`, reaches for
/// what an eval can't have, or fails on every one, unless they were blank. `None` where it may become a version.
pub fn fault(outcomes: &[Outcome], were_blank: bool) -> Option<&RunError> {
    let errors: Vec<&RunError> = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err())
        .collect();
    let is_grave =
        |error: &&&RunError| matches!(error.kind, ErrorKind::Syntax | ErrorKind::Forbidden);
    let is_the_evals = |error: &&RunError| error.kind.is_repeatable();
    let always = !were_blank && errors.len() == outcomes.len() && errors.iter().all(is_the_evals);
    let grave = errors.iter().find(is_grave).copied();
    grave.or_else(|| errors.first().copied().filter(|_| always))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verdict;
    use crate::generate::store::tests::{insert_version_of, rows};

    #[tokio::test]
    async fn a_persons_version_has_seen_what_any_earlier_one_has() {
        let (_folder, db, workspace, eval) = rows().await;
        let trace =
            "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete,
            cleaned, started_at_ms, first_seen_at_ms, changed_at_ms, asked)
            values ('here', $1, '{}', 'h', '', 1, 0, 0, 0, 0, 0)";
        for id in ["t1", "t2", "t3"] {
            sqlx::query(trace)
                .bind(id)
                .execute(db.pool())
                .await
                .unwrap();
        }
        for (id, seen) in [("old", ["t1", "t2"]), ("new", ["t2", "t3"])] {
            insert_version_of(&db, &workspace, &eval, id).await;
            for trace in seen {
                let version = VersionId::from(id);
                let seen = store::insert_seen(db.pool(), &workspace, &version, trace);
                seen.await.unwrap();
            }
        }
        let edited = EvalSource::new("edited from either");
        let submitted = submit(&db, &workspace, "e", &edited).await.unwrap();
        let Submitted::New { version, parent } = submitted else {
            panic!("{submitted:?}");
        };
        assert_eq!(parent, Some("new".into()));
        let query = "select trace_id from seen_labels where version_id = $1 order by trace_id";
        let seen = sqlx::query_scalar::<_, String>(query).bind(version.as_str());
        let seen = seen.fetch_all(db.pool()).await.unwrap();
        assert_eq!(seen, ["t1", "t2", "t3"]);
        let again = submit(&db, &workspace, "e", &edited).await.unwrap();
        assert_eq!(again, Submitted::Known(version));
    }

    fn failed(kind: ErrorKind) -> Outcome {
        Outcome::refused(RunError {
            kind,
            message: "why".to_owned(),
        })
    }

    fn said() -> Outcome {
        Outcome {
            result: Ok((Verdict::Abstain, String::new())),
            ..failed(ErrorKind::Host)
        }
    }

    #[test]
    fn what_is_no_eval_is_at_fault_and_what_fails_now_and_then_is_tested_like_any_other() {
        use ErrorKind::{Exception, Forbidden, JudgeUnavailable, Syntax};
        let kind = |outcomes: &[Outcome]| fault(outcomes, false).map(|error| error.kind);
        assert_eq!(kind(&[]), None);
        assert_eq!(fault(&[failed(Exception)], true), None);
        assert_eq!(kind(&[said(), failed(Exception)]), None);
        assert_eq!(kind(&[failed(JudgeUnavailable)]), None);
        assert_eq!(kind(&[said(), failed(Forbidden)]), Some(Forbidden));
        assert_eq!(kind(&[failed(Syntax), failed(Syntax)]), Some(Syntax));
        assert_eq!(
            kind(&[failed(Exception), failed(Exception)]),
            Some(Exception)
        );
    }
}
