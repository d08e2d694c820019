use std::collections::{BTreeMap, BTreeSet};

use super::differ;
use super::explained;
use super::fall;
use super::figures::{Evidence, Judged, People, Report};
use super::message::{ReportView, not_yet_message, report_message};
use super::picture::{alt_text, picture};
use super::refine::answer_refinements;
use super::store::{self, StoredOutcome, StoredReport, Version};
use super::thread::{Link, MISSES_SHOWN, Miss, code_messages, misses_message};
use crate::app::App;
use crate::domain::{TraceId, Verdict, VersionId};
use crate::generate::Versus;
use crate::jobs::Work;
use crate::outbox::{self, Kind};
use crate::slack::{self, Message, Posted};
use crate::stats::Paired;
use crate::store::{TraceLabels, all_labels, seen_groups, seen_labels};
use crate::workspace::{SlackConnection, Workspace};

/// Reports every version that has run on the labelled traces, tells of attempts that made none, answers requests for a
/// refinement, and notices deployed versions whose figures have fallen.
pub async fn post_reports(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    for not_yet in store::untold(&app.db, &workspace.id).await? {
        let subject = format!("{}:{}", not_yet.eval_id, not_yet.label_count);
        let message = not_yet_message(&not_yet);
        outbox::post_once(app, workspace, slack, Kind::NotYet, &subject, None, message).await?;
    }
    for version in store::unreported(&app.db, &workspace.id).await? {
        if app.is_stopping() {
            return Ok(());
        }
        post_report(app, workspace, slack, &version).await?;
    }
    answer_refinements(app, workspace, slack).await?;
    fall::note_falls(app, workspace).await?;
    fall::tell(app, workspace, slack).await?;
    differ::tell(app, workspace, slack).await
}

/// The report, then its thread in order; whatever stands already is not posted again.
async fn post_report(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    version: &Version,
) -> anyhow::Result<()> {
    let Some((report, stored)) = figures(app, workspace, version).await? else {
        return Ok(());
    };
    let picture = match stored.picture_file_id {
        Some(file) => Some(file),
        None => upload(app, workspace, slack, version, &report).await?,
    };
    let message = report_message(&ReportView {
        report: &report,
        version,
        picture: picture.as_deref(),
    });
    let subject = version.id.as_str();
    let post = outbox::post_once;
    let posted = post(app, workspace, slack, Kind::Report, subject, None, message).await?;
    match posted {
        Some(posted) => post_thread(app, workspace, slack, version, &posted).await,
        None => Ok(()),
    }
}

/// The code first, part by part; the misses close the thread, and with them the report is done.
async fn post_thread(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    version: &Version,
    report: &Posted,
) -> anyhow::Result<()> {
    for (part, message) in code_messages(&version.source).into_iter().enumerate() {
        let subject = match part {
            0 => version.id.to_string(),
            part => format!("{}:{part}", version.id),
        };
        let kind = Kind::ReportCode;
        let thread = Some(report);
        let posted = outbox::post_once(app, workspace, slack, kind, &subject, thread, message);
        let stands = posted.await?.is_some();
        if !stands && !store::is_code_refused(&app.db, &workspace.id, &subject).await? {
            return Ok(());
        }
    }
    let message = misses(app, workspace, slack, version).await?;
    let (kind, subject) = (Kind::ReportMisses, version.id.as_str());
    outbox::post_once(app, workspace, slack, kind, subject, Some(report), message).await?;
    Ok(())
}

/// The stored figures, made now where there are none; `None` while the version has not run on every
/// trace that was labelled when it was made.
async fn figures(
    app: &App,
    workspace: &Workspace,
    version: &Version,
) -> anyhow::Result<Option<(Report, StoredReport)>> {
    if let Some(stored) = store::report(&app.db, &workspace.id, &version.id).await? {
        return Ok(Some((serde_json::from_str(&stored.figures)?, stored)));
    }
    let Some(made) = make_figures(app, workspace, version).await? else {
        return Ok(None);
    };
    let made = serde_json::to_string(&made)?;
    store::insert_report(&app.db, &workspace.id, &version.id, &made).await?;
    let stored = store::report(&app.db, &workspace.id, &version.id).await?;
    let read = |stored: StoredReport| anyhow::Ok((serde_json::from_str(&stored.figures)?, stored));
    stored.map(read).transpose()
}

async fn make_figures(
    app: &App,
    workspace: &Workspace,
    version: &Version,
) -> anyhow::Result<Option<Report>> {
    let labels = all_labels(&app.db, &workspace.id).await?;
    let outcomes = store::outcomes(&app.db, &workspace.id, &version.id).await?;
    let seen = seen_groups(&app.db, &workspace.id, &version.id).await?;
    let Some(unseen) = unseen(&labels, &seen, &outcomes, version.created_at_ms) else {
        return Ok(None);
    };
    let mut report = Report::new(&Evidence {
        criterion: version.source.criterion(),
        generator: Some(version.generator.clone()),
        candidates_tried: u64::try_from(version.candidates_tried).ok(),
        making: version.making.as_ref(),
        people: People::of(labels.iter().map(|l| (l.consensus(), l.votes.as_slice()))),
        held_out: &unseen.held_out,
        cross_validated: version.cross_validation.as_ref(),
        fresh: &unseen.fresh,
    });
    report.mutation = explained::mutation(app, workspace, version, &labels, &outcomes).await;
    if let Some(descent) = report
        .making
        .as_mut()
        .and_then(|making| making.descent.as_mut())
        && let (None, Some(parent)) = (&descent.versus, &descent.parent)
    {
        let old = store::outcomes(&app.db, &workspace.id, &parent.as_str().into()).await?;
        let both = [&outcomes, &old];
        let (kept_back, fresh) = versus(&labels, &seen, both, version.created_at_ms);
        (descent.versus, descent.versus_fresh) = (kept_back, fresh);
    }
    Ok(Some(report))
}

/// A version that was not compared when it was made, for a person wrote it, and the one before, on labels of which
/// neither has `seen` the group: what the one before has seen, it has. Apart on labels given before the version was
/// made, and since. One that either could not answer is left out; `None` without such labels.
fn versus(
    labels: &[TraceLabels],
    seen: &BTreeSet<String>,
    [new, old]: [&BTreeMap<TraceId, StoredOutcome>; 2],
    made_at_ms: i64,
) -> (Option<Versus>, Option<Versus>) {
    let unseen = labels.iter().filter(|labels| !seen.contains(&labels.group));
    let is_right = |labels: &TraceLabels, said: &BTreeMap<TraceId, StoredOutcome>| {
        let said = said.get(&labels.trace).filter(|said| said.is_repeatable)?;
        Some(said.verdict.and_then(Verdict::class) == Some(labels.class()?))
    };
    let of = |fresh: bool| {
        let those = unseen
            .clone()
            .filter(|labels| (labels.first_labelled_at_ms >= made_at_ms) == fresh);
        let paired: Paired = those
            .filter_map(|labels| Some((is_right(labels, new)?, is_right(labels, old)?)))
            .collect();
        (paired.n() > 0).then(|| Versus {
            fresh,
            ..Versus::new(paired, false, 0)
        })
    };
    (of(false), of(true))
}

/// Labelled traces that a version has not seen, by whether they were labelled before it was made.
#[derive(Debug, Default, PartialEq)]
struct Unseen {
    held_out: Vec<Judged>,
    fresh: Vec<Judged>,
}

/// A trace of a group that the version has `seen` a label of counts as neither: it is too alike to test on.
///
/// `None` while a trace that was labelled before the version was made has no outcome. One that was
/// labelled from then on and has none yet is left out.
fn unseen(
    labels: &[TraceLabels],
    seen: &BTreeSet<String>,
    outcomes: &BTreeMap<TraceId, StoredOutcome>,
    made_at_ms: i64,
) -> Option<Unseen> {
    let mut unseen = Unseen::default();
    for labels in labels {
        let was_there = labels.first_labelled_at_ms < made_at_ms;
        let Some(outcome) = outcomes.get(&labels.trace) else {
            if was_there {
                return None;
            }
            continue;
        };
        let kind = match was_there {
            true => &mut unseen.held_out,
            false => &mut unseen.fresh,
        };
        let class = labels.class().filter(|_| !seen.contains(&labels.group));
        kind.extend(class.map(|class| Judged::new(class, outcome.verdict)));
    }
    Some(unseen)
}

/// Labelled traces that came after a version was made, without those of groups that it has `seen`.
pub fn fresh(
    labels: &[TraceLabels],
    seen: &BTreeSet<String>,
    outcomes: &BTreeMap<TraceId, StoredOutcome>,
    made_at_ms: i64,
) -> Vec<Judged> {
    let unseen = unseen(labels, seen, outcomes, made_at_ms);
    unseen.map(|unseen| unseen.fresh).unwrap_or_default()
}

/// The picture's file id. A picture that cannot be uploaded does not hold the report back, whose words and
/// buttons matter more; only where Slack asks to wait, the report waits too.
async fn upload(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    version: &Version,
    report: &Report,
) -> anyhow::Result<Option<String>> {
    let Some((source, figures)) = report.quoted() else {
        return Ok(None);
    };
    let (png, alt) = (picture(source, figures)?, alt_text(source, figures));
    match slack
        .client
        .upload_picture("agreement.png", &alt, png)
        .await
    {
        Ok(file) => {
            store::set_picture(&app.db, &workspace.id, &version.id, &file).await?;
            Ok(Some(file))
        }
        Err(error @ slack::Error::RateLimited { .. }) => Err(outbox::failed(slack, error)),
        Err(error) => {
            tracing::warn!(eval_version.id = %version.id, %error, "a report goes without its picture");
            Ok(None)
        }
    }
}

/// What the version gets wrong on all labelled traces, unseen ones first.
async fn misses(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    version: &Version,
) -> anyhow::Result<Message> {
    let outcomes = store::outcomes(&app.db, &workspace.id, &version.id).await?;
    let seen = seen_labels(&app.db, &workspace.id, &version.id).await?;
    let labels = all_labels(&app.db, &workspace.id).await?;
    let judged = labels.iter().filter_map(|labels| {
        let outcome = outcomes.get(&labels.trace)?;
        let verdict = outcome.verdict?;
        Some((labels, outcome, verdict, labels.class()?, verdict.class()?))
    });
    let judged: Vec<_> = judged.collect();
    let (count, mut wrong) = (judged.len(), judged);
    wrong.retain(|(_, _, _, label, said)| label != said);
    wrong.sort_by_key(|(labels, ..)| seen.contains(&labels.trace));
    let mut shown = Vec::new();
    for (labels, outcome, verdict, ..) in wrong.iter().take(MISSES_SHOWN) {
        shown.push(Miss {
            link: link_of(app, workspace, slack, &labels.trace).await?,
            label: labels.consensus(),
            verdict: *verdict,
            reason: outcome.reason.clone(),
            comment: labels.votes.iter().find_map(|own| own.comment.clone()),
            seen: seen.contains(&labels.trace),
            explained: explained::quote(app, workspace, version, &labels.trace, outcome).await,
        });
    }
    Ok(misses_message(&shown, wrong.len(), count))
}

/// Where people can look at a trace.
pub async fn link_of(
    app: &App,
    workspace: &Workspace,
    slack: &SlackConnection,
    trace: &TraceId,
) -> anyhow::Result<Link> {
    let card = outbox::find(&app.db, &workspace.id, Kind::Card, trace.as_str()).await?;
    let team_url = match slack.identity().await {
        Ok(identity) => identity.url.as_str(),
        Err(_) => "",
    };
    Ok(Link {
        trace: trace.clone(),
        question: store::question(&app.db, &workspace.id, trace).await?,
        langfuse: workspace.langfuse_url(&app.db, trace).await?,
        slack: card.and_then(|card| card.permalink(team_url)),
    })
}

/// Has a report that a person deleted posted again, with its thread; says whether it was deleted.
pub async fn post_again(
    app: &App,
    workspace: &Workspace,
    version: &VersionId,
) -> anyhow::Result<bool> {
    let (id, subject) = (&workspace.id, version.as_str());
    let mut transaction = app.db.begin().await?;
    let was_deleted = outbox::want_again(&mut *transaction, id, Kind::Report, subject).await?;
    if was_deleted {
        store::forget_thread(&mut *transaction, id, version).await?;
    }
    transaction.commit().await?;
    if was_deleted {
        app.hint(id, &[Work::PostReports]);
    }
    Ok(was_deleted)
}

/// Brings posted reports up to date with what was decided.
pub async fn refresh_reports(app: &App, workspace: &Workspace) -> anyhow::Result<()> {
    let Some(slack) = workspace.awake_slack() else {
        return Ok(());
    };
    while let Some(stale) = outbox::next_stale(app, &workspace.id, Kind::Report).await? {
        let version = VersionId::from(stale.subject.as_str());
        let version = store::version(&app.db, &workspace.id, &version).await?;
        let stored = store::report(&app.db, &workspace.id, &stale.subject.as_str().into()).await?;
        if let Some((version, stored)) = version.zip(stored) {
            let message = report_message(&ReportView {
                report: &serde_json::from_str(&stored.figures)?,
                version: &version,
                picture: stored.picture_file_id.as_deref(),
            });
            outbox::refresh(app, workspace, slack, Kind::Report, &stale, message).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AnnotatorLabel, Class, Thumb};

    const MADE_AT: i64 = 100;

    fn labels(trace: &str, label: Thumb, first_labelled_at_ms: i64) -> TraceLabels {
        let own = AnnotatorLabel {
            annotator: "U1".into(),
            label,
            comment: None,
        };
        TraceLabels {
            trace: trace.into(),
            group: format!("group of {}", trace.split('/').next().unwrap()),
            votes: vec![own],
            first_labelled_at_ms,
        }
    }

    fn groups(names: &[&str]) -> BTreeSet<String> {
        names
            .iter()
            .map(|name| format!("group of {name}"))
            .collect()
    }

    fn outcomes(traces: &[&str]) -> BTreeMap<TraceId, StoredOutcome> {
        let outcome = |trace: &&str| {
            let (verdict, reason) = (Some(Verdict::Pass), String::new());
            let outcome = StoredOutcome {
                verdict,
                reason,
                is_repeatable: true,
            };
            (TraceId::from(*trace), outcome)
        };
        traces.iter().map(outcome).collect()
    }

    #[test]
    fn a_label_is_held_out_or_fresh_by_when_it_came_and_neither_once_seen_or_neutral() {
        let labels = [
            labels("seen", Thumb::Up, 1),
            labels("held out", Thumb::Up, MADE_AT - 1),
            labels("neutral", Thumb::Neutral, 1),
            labels("fresh", Thumb::Down, MADE_AT),
            labels("seen at once", Thumb::Down, MADE_AT),
        ];
        let outcomes = outcomes(&["seen", "held out", "neutral", "fresh", "seen at once"]);
        let seen = groups(&["seen", "seen at once"]);
        let judged = |class| vec![Judged::new(class, Some(Verdict::Pass))];
        let expected = Unseen {
            held_out: judged(Class::Pass),
            fresh: judged(Class::Fail),
        };
        assert_eq!(unseen(&labels, &seen, &outcomes, MADE_AT), Some(expected));
    }

    #[test]
    fn a_group_stays_seen_after_the_label_that_was_learnt_from_is_gone() {
        let alike = [
            labels("seen/before", Thumb::Up, MADE_AT - 1),
            labels("seen/since", Thumb::Up, MADE_AT),
        ];
        let outcomes = outcomes(&["seen/before", "seen/since"]);
        let seen = groups(&["seen"]);
        let nothing = Some(Unseen::default());
        assert_eq!(unseen(&alike, &seen, &outcomes, MADE_AT), nothing);
        assert_eq!(fresh(&alike, &seen, &outcomes, MADE_AT), []);
        let none = versus(&alike, &seen, [&outcomes, &outcomes], MADE_AT);
        assert_eq!(none, (None, None));
    }

    #[test]
    fn an_edit_is_compared_with_the_version_before_on_what_neither_has_seen() {
        let labels = [
            labels("seen", Thumb::Down, 1),
            labels("seen/too", Thumb::Down, 1),
            labels("here", Thumb::Up, 1),
            labels("there", Thumb::Up, 1),
        ];
        let passes = outcomes(&["seen", "seen/too", "here", "there"]);
        let mut fails = outcomes(&["seen", "seen/too", "here"]);
        fails
            .values_mut()
            .for_each(|said| said.verdict = Some(Verdict::Fail));
        let seen = groups(&["seen"]);
        let (kept_back, fresh) = versus(&labels, &seen, [&passes, &fails], MADE_AT);
        let kept_back = kept_back.unwrap();
        assert_eq!((kept_back.compared.n, kept_back.compared.wins), (1, 1));
        assert_eq!(fresh, None);
        let all = groups(&["seen", "here", "there"]);
        let none = versus(&labels, &all, [&passes, &fails], MADE_AT);
        assert_eq!(none, (None, None));
        let here = fails.get_mut(&TraceId::from("here")).unwrap();
        (here.verdict, here.is_repeatable) = (None, false);
        let unanswered = versus(&labels, &seen, [&passes, &fails], MADE_AT);
        assert_eq!(unanswered, (None, None), "nobody answered the one before");
    }

    #[test]
    fn an_edit_is_compared_on_fresh_labels_apart_from_those_kept_back() {
        let labels = [
            labels("kept back", Thumb::Up, MADE_AT - 1),
            labels("since", Thumb::Down, MADE_AT),
            labels("since then", Thumb::Down, MADE_AT + 1),
        ];
        let [passes, mut fails] = [(); 2].map(|()| outcomes(&["kept back", "since", "since then"]));
        fails
            .values_mut()
            .for_each(|said| said.verdict = Some(Verdict::Fail));
        let (kept_back, fresh) = versus(&labels, &BTreeSet::new(), [&passes, &fails], MADE_AT);
        let (kept_back, fresh) = (kept_back.unwrap(), fresh.unwrap());
        let figures = |versus: &Versus| (versus.compared.n, versus.new_right, versus.old_right);
        assert_eq!(figures(&kept_back), (1, 1, 0));
        assert_eq!(figures(&fresh), (2, 0, 2));
        assert!(
            fresh
                .sentence()
                .starts_with("On 2 labels given since it was made")
        );
        assert!(
            kept_back
                .sentence()
                .starts_with("On 1 labels that it was not made from")
        );
    }

    #[test]
    fn figures_wait_for_every_label_that_was_there_and_for_none_that_came_since() {
        let there = labels("there", Thumb::Up, 1);
        let since = labels("since", Thumb::Up, MADE_AT);
        let (nothing_seen, nothing_run) = (BTreeSet::new(), outcomes(&[]));
        assert_eq!(unseen(&[there], &nothing_seen, &nothing_run, MADE_AT), None);
        let figures = unseen(&[since], &nothing_seen, &nothing_run, MADE_AT);
        assert_eq!(figures, Some(Unseen::default()));
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod flow_tests;
