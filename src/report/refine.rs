use super::job::link_of;
use super::refinements;
use super::store;
use super::thread::{Link, refine_message};
use crate::app::App;
use crate::domain::{Class, Outcome, TraceId, Verdict, VersionId};
use crate::generate::is_development;
use crate::jobs::Work;
use crate::label;
use crate::outbox::{self, Kind};
use crate::run::{self, PendingRun, VersionSource};
use crate::store::all_labels;
use crate::workspace::{SlackConnection, Workspace};

/// Traces looked at for a request; the newest tell most about what comes.
const LOOKED_AT: i64 = 60;
/// Traces asked about a request: what a person labels in a few minutes.
const ASKED: usize = 10;

/// Answers the refinements that people asked for: chooses traces, has them asked about, says which in the report's
/// thread, and when the next version is made: once these are labelled, or at once where people have said of a miss why.
pub async fn answer_refinements(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
) -> anyhow::Result<()> {
    for subject in store::wanted_refinements(&app.db, &workspace.id).await? {
        if app.is_stopping() {
            break;
        }
        answer(app, workspace, slack, &subject).await?;
    }
    Ok(())
}

async fn answer(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    subject: &str,
) -> anyhow::Result<()> {
    let (version, labelled) = subject.rsplit_once(':').unwrap_or((subject, ""));
    let (db, id) = (&app.db, &workspace.id);
    let stood = outbox::find_even_gone(db, id, Kind::Report, version).await?;
    if stood.is_none() {
        return Ok(());
    }
    let report = outbox::find(db, id, Kind::Report, version).await?;
    let version = VersionId::from(version);
    let chosen = choose(app, workspace, &version).await?;
    let waits = match has_explained_misses(app, workspace, &version).await? {
        true => 0,
        false => chosen.len(),
    };
    // Before the answer, which is the last that is looked at again after a crash.
    if let Ok(labelled) = labelled.parse::<i64>() {
        let due = labelled + waits as i64;
        // Of a wish from before there were refinements there is only the message to come.
        refinements::want(app.db.pool(), &workspace.id, &version, labelled, None).await?;
        refinements::decide_due(&app.db, &workspace.id, &version, labelled, due).await?;
    }
    let mut links: Vec<Link> = Vec::new();
    for (trace, _) in &chosen {
        label::ask_for(&app.db, &workspace.id, trace).await?;
        links.push(link_of(app, workspace, slack, trace).await?);
    }
    match &report {
        Some(report) => {
            let message = refine_message(&links, &reasons(&chosen), waits);
            let (kind, thread) = (Kind::Refine, Some(report));
            outbox::post_once(app, workspace, slack, kind, subject, thread, message).await?;
        }
        // It is made all the same, and there is no thread to say so in.
        None => store::give_up_answer(db, id, subject).await?,
    }
    app.jobs.push(&workspace.id, Work::PostCards).await;
    app.jobs.push(&workspace.id, Work::RefineEvals).await;
    Ok(())
}

/// Whether there is something to learn from now: an LLM, which reads comments, and one that the version can't know, on a
/// trace that it gets wrong and that may shape the next one.
pub async fn has_explained_misses(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
) -> anyhow::Result<bool> {
    let (db, id) = (&app.db, &workspace.id);
    let version = store::version(db, id, version).await?;
    let Some(version) = version.filter(|_| app.llm.is_some()) else {
        return Ok(false);
    };
    let explained = store::explained_since(db, id, version.created_at_ms).await?;
    let outcomes = store::outcomes(db, id, &version.id).await?;
    let labels = all_labels(db, id).await?;
    let mut explained = labels.iter().filter(|labels| {
        explained.contains(&labels.trace) && is_development(&labels.group, &version.eval)
    });
    Ok(explained.any(|labels| {
        let said = outcomes.get(&labels.trace);
        let said = said.and_then(|outcome| outcome.verdict?.class());
        said.zip(labels.class())
            .is_some_and(|(said, label)| said != label)
    }))
}

/// Why a label on a trace helps, the most helpful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    RarerClass,
    Abstains,
    Errs,
    Newest,
}

impl Why {
    const ALL: [(Self, &'static str); 4] = [
        (
            Self::RarerClass,
            "that it puts into the class with fewer labels",
        ),
        (Self::Abstains, "on which it abstains"),
        (Self::Errs, "on which it errs"),
        (Self::Newest, "of the newest"),
    ];

    fn of(outcome: &Outcome, rarer: Class) -> Self {
        match outcome.verdict() {
            // No error of the eval's.
            None if !outcome.is_repeatable() => Self::Newest,
            None => Self::Errs,
            Some(Verdict::Abstain) => Self::Abstains,
            Some(verdict) if verdict.class() == Some(rarer) => Self::RarerClass,
            Some(_) => Self::Newest,
        }
    }
}

fn reasons(chosen: &[(TraceId, Why)]) -> Vec<(usize, &'static str)> {
    let count = |why| chosen.iter().filter(|(_, its)| *its == why).count();
    Why::ALL
        .into_iter()
        .map(|(why, words)| (count(why), words))
        .collect()
}

async fn choose(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
) -> anyhow::Result<Vec<(TraceId, Why)>> {
    let Some(version) = store::version(&app.db, &workspace.id, version).await? else {
        return Ok(Vec::new());
    };
    let version = VersionSource {
        id: version.id,
        source: version.source,
        eval: version.eval,
    };
    let unlabelled = store::unlabelled(&app.db, &workspace.id, LOOKED_AT).await?;
    let outcomes = run::run_on(app, &workspace.id, &version, &unlabelled).await?;
    let rarer = rarer_class(app, workspace).await?;
    Ok(ranked(unlabelled, &outcomes, rarer))
}

async fn rarer_class(app: &App, workspace: &Workspace) -> anyhow::Result<Class> {
    let labels = all_labels(&app.db, &workspace.id).await?;
    let count = |class| labels.iter().filter(|l| l.class() == Some(class)).count();
    let passes_are_fewer = count(Class::Pass) < count(Class::Fail);
    Ok(if passes_are_fewer {
        Class::Pass
    } else {
        Class::Fail
    })
}

/// The most helpful first, and of equals the newest.
fn ranked(unlabelled: Vec<PendingRun>, outcomes: &[Outcome], rarer: Class) -> Vec<(TraceId, Why)> {
    let with_why = unlabelled.into_iter().zip(outcomes);
    let mut ranked: Vec<(TraceId, Why)> = with_why
        .map(|(unlabelled, outcome)| (unlabelled.trace, Why::of(outcome, rarer)))
        .collect();
    ranked.sort_by_key(|(_, why)| *why);
    ranked.truncate(ASKED);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ErrorKind, RunError};

    fn error(kind: ErrorKind) -> RunError {
        let message = "why".to_owned();
        RunError { kind, message }
    }

    fn outcome(verdict: Option<Verdict>) -> Outcome {
        let error = || error(ErrorKind::Exception);
        Outcome {
            result: verdict.map(|v| (v, String::new())).ok_or_else(error),
            printed: String::new(),
            duration_us: 0,
            fuel: 0,
        }
    }

    fn chosen(verdicts: &[Option<Verdict>], rarer: Class) -> Vec<(String, Why)> {
        let unlabelled = (0..verdicts.len()).map(|at| PendingRun {
            session_hash: None,
            trace: TraceId::from(at.to_string()),
            payload: String::new(),
            payload_hash: String::new(),
        });
        let outcomes: Vec<Outcome> = verdicts.iter().map(|v| outcome(*v)).collect();
        let ranked = ranked(unlabelled.collect(), &outcomes, rarer);
        ranked
            .into_iter()
            .map(|(trace, why)| (trace.to_string(), why))
            .collect()
    }

    #[test]
    fn the_rarer_class_comes_first_then_what_the_eval_cannot_tell_then_the_newest() {
        use Verdict::{Abstain, Fail, Pass};
        let verdicts = [
            Some(Pass),
            None,
            Some(Abstain),
            Some(Fail),
            Some(Pass),
            Some(Fail),
        ];
        let order = |rarer| -> Vec<String> {
            chosen(&verdicts, rarer)
                .into_iter()
                .map(|(trace, _)| trace)
                .collect()
        };
        assert_eq!(order(Class::Fail), ["3", "5", "2", "1", "0", "4"]);
        assert_eq!(order(Class::Pass), ["0", "4", "2", "1", "3", "5"]);
    }

    #[test]
    fn the_clocks_and_the_hosts_failures_are_not_called_the_evals() {
        let why = |kind| Why::of(&Outcome::refused(error(kind)), Class::Fail);
        assert_eq!(why(ErrorKind::Host), Why::Newest);
        assert_eq!(why(ErrorKind::Deadline), Why::Newest);
        assert_eq!(why(ErrorKind::Fuel), Why::Errs);
    }

    #[test]
    fn a_request_asks_for_no_more_than_people_label_in_minutes() {
        assert_eq!(chosen(&[Some(Verdict::Pass); 60], Class::Fail).len(), ASKED);
        assert!(chosen(&[], Class::Fail).is_empty());
    }
}
