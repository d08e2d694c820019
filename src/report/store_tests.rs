use super::*;
use crate::outbox::{self, Kind};
use crate::store::{seen_groups, seen_labels};

const HERE: &str = "here";

/// An embedded database with one eval, and two workspaces to tell apart.
async fn database(folder: &tempfile::TempDir) -> Db {
    let url = format!("sqlite://{}/test.db", folder.path().display());
    let db = Db::open(&url).await.unwrap();
    for workspace in [HERE, "elsewhere"] {
        run(
            &db,
            "insert into workspaces (id, created_at_ms) values ($1, 0)",
            &[workspace],
        )
        .await;
        let eval =
            "insert into evals (workspace_id, id, name, created_at_ms) values ($1, 'e', 'e', 0)";
        run(&db, eval, &[workspace]).await;
    }
    db
}

async fn run(db: &Db, sql: &'static str, texts: &[&str]) {
    let mut query = sqlx::query(sql);
    for text in texts {
        query = query.bind((*text).to_owned());
    }
    query.execute(db.pool()).await.unwrap();
}

async fn insert_version(db: &Db, workspace: &str, version: &str) {
    let sql = "insert into eval_versions (workspace_id, id, eval_id, number, source, source_hash,
                   generator, candidates_tried, state, created_at_ms)
               select $1, $2, 'e', count(*), 'source', '', 'rules', 7, 'proposed', 10 from eval_versions";
    run(db, sql, &[workspace, version]).await;
}

async fn insert_trace(db: &Db, trace: &str, started_at: &str) {
    let sql = "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete,
                   cleaned, started_at_ms, first_seen_at_ms, changed_at_ms)
               values ('here', $1, '{}', 'now', '', 1, 0, length($2), 0, 0)";
    run(db, sql, &[trace, started_at]).await;
}

async fn insert_outcome(db: &Db, trace: &str, payload_hash: &str, verdict: &str) {
    let sql =
        "insert into outcomes (workspace_id, version_id, trace_id, payload_hash, verdict, reason,
                   error_kind, duration_us, fuel, ran_at_ms)
               values ('here', 'v1', $1, $2, nullif($3, ''), 'why',
                       case when $3 = '' then 'fuel' end, 0, 0, 0)";
    run(db, sql, &[trace, payload_hash, verdict]).await;
}

async fn state_of(db: &Db, version_id: &str) -> State {
    version(db, &HERE.into(), &version_id.into())
        .await
        .unwrap()
        .unwrap()
        .state
}

#[tokio::test]
async fn the_first_decision_about_a_version_stays_and_only_in_its_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    insert_version(&db, HERE, "v1").await;
    let decided = |workspace: &'static str, state, by| {
        let db = db.clone();
        async move {
            decide(db.pool(), &workspace.into(), &"v1".into(), state, by)
                .await
                .unwrap()
        }
    };
    assert!(!decided("elsewhere", State::Deployed, "U0").await);
    assert!(decided(HERE, State::Discarded, "U1").await);
    assert!(!decided(HERE, State::Deployed, "U2").await);
    let stands = version(&db, &HERE.into(), &"v1".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (stands.state, stands.decided_by.as_deref()),
        (State::Discarded, Some("U1"))
    );
    assert!(stands.decided_at_ms.is_some() && stands.cross_validation.is_none());
}

#[tokio::test]
async fn deploying_a_version_retires_the_deployed_one_of_the_same_eval() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    for version in ["v1", "v2", "v3"] {
        insert_version(&db, HERE, version).await;
    }
    for version in ["v1", "v2"] {
        let mut transaction = db.begin().await.unwrap();
        let (id, version) = (&HERE.into(), &version.into());
        lock_eval(&mut *transaction, id, version).await.unwrap();
        assert!(
            decide(&mut *transaction, id, version, State::Deployed, "U1")
                .await
                .unwrap()
        );
        retire_others(&mut *transaction, id, version).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let states = [
        state_of(&db, "v1").await,
        state_of(&db, "v2").await,
        state_of(&db, "v3").await,
    ];
    assert_eq!(states, [State::Retired, State::Deployed, State::Proposed]);
}

#[tokio::test]
async fn a_version_is_reported_until_the_last_message_of_its_thread_stands() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    insert_version(&db, HERE, "v1").await;
    let post =
        "insert into posts (workspace_id, kind, subject_id, channel_id, ts, first_claimed_at_ms,
                    claimed_at_ms, posted_at_ms) values ('here', $1, $2, 'C1', '1.0', 0, 0, 1)";
    for (kind, subject) in [
        ("report", "v1"),
        ("report_code", "v1"),
        ("report_code", "v1:1"),
        ("report_misses", "v1"),
    ] {
        assert_eq!(
            unreported(&db, &HERE.into()).await.unwrap().len(),
            1,
            "before {kind} {subject}"
        );
        run(&db, post, &[kind, subject]).await;
    }
    assert!(unreported(&db, &HERE.into()).await.unwrap().is_empty());
}

#[tokio::test]
async fn figures_once_stored_stay() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    insert_version(&db, HERE, "v1").await;
    let (id, version) = (&HERE.into(), &"v1".into());
    assert!(report(&db, id, version).await.unwrap().is_none());
    for figures in ["first", "second"] {
        insert_report(&db, id, version, figures).await.unwrap();
    }
    set_picture(&db, id, version, "F1").await.unwrap();
    let stored = report(&db, id, version).await.unwrap().unwrap();
    assert_eq!(
        (stored.figures.as_str(), stored.picture_file_id.as_deref()),
        ("first", Some("F1"))
    );
    assert!(
        report(&db, &"elsewhere".into(), version)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn only_outcomes_on_traces_as_they_now_are_count_and_an_error_is_no_abstention() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    insert_version(&db, HERE, "v1").await;
    for trace in ["abstained", "errored", "failed", "changed"] {
        insert_trace(&db, trace, "").await;
    }
    insert_outcome(&db, "abstained", "now", "abstain").await;
    insert_outcome(&db, "errored", "now", "").await;
    insert_outcome(&db, "failed", "now", "fail").await;
    insert_outcome(&db, "changed", "before", "fail").await;
    let outcomes = outcomes(&db, &HERE.into(), &"v1".into()).await.unwrap();
    let verdicts: Vec<_> = outcomes
        .iter()
        .map(|(id, o)| (id.as_str(), o.verdict))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("abstained", Some(Verdict::Abstain)),
            ("errored", None),
            ("failed", Some(Verdict::Fail))
        ]
    );
    assert_eq!(outcomes[&"failed".into()].reason, "why");
}

#[tokio::test]
async fn an_attempt_without_an_eval_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    let attempt = "insert into generations (workspace_id, eval_id, label_count, state, reason,
                       candidates_tried, finished_at_ms) values ($1, 'e', 20, 'not_yet', 'no', 3, 0)";
    run(&db, attempt, &[HERE]).await;
    let untold_now = untold(&db, &HERE.into()).await.unwrap();
    assert_eq!((untold_now.len(), untold_now[0].label_count), (1, 20));
    let post =
        "insert into posts (workspace_id, kind, subject_id, first_claimed_at_ms, claimed_at_ms,
                    posted_at_ms) values ($1, 'not_yet', 'e:20', 0, 0, 1)";
    run(&db, post, &[HERE]).await;
    assert!(untold(&db, &HERE.into()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refinement_is_wanted_once_until_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    let want = async |db: &Db| {
        let id = HERE.into();
        let wanted = outbox::want(db.pool(), &id, Kind::Refine, "v1:20");
        wanted.await.unwrap();
    };
    for _ in 0..2 {
        want(&db).await;
    }
    assert_eq!(
        wanted_refinements(&db, &HERE.into()).await.unwrap(),
        ["v1:20"]
    );
    assert_eq!(
        outbox::find(&db, &HERE.into(), Kind::Refine, "v1:20")
            .await
            .unwrap(),
        None
    );
    run(
        &db,
        "update posts set posted_at_ms = 1 where workspace_id = $1",
        &[HERE],
    )
    .await;
    want(&db).await;
    assert!(
        wanted_refinements(&db, &HERE.into())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn labels_are_asked_for_on_unlabelled_traces_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    for (trace, age) in [
        ("old", "."),
        ("new", "..."),
        ("labelled", "...."),
        ("middle", ".."),
    ] {
        insert_trace(&db, trace, age).await;
    }
    run(
        &db,
        "insert into annotators (workspace_id, id, first_seen_at_ms) values ($1, 'U1', 0)",
        &[HERE],
    )
    .await;
    let label = "insert into labels (workspace_id, trace_id, annotator_id, label, acted_at_us,
                     labelled_at_ms) values ($1, 'labelled', 'U1', 'up', 0, 0)";
    run(&db, label, &[HERE]).await;
    let found = unlabelled(&db, &HERE.into(), 2).await.unwrap();
    let traces: Vec<&str> = found
        .iter()
        .map(|unlabelled| unlabelled.trace.as_str())
        .collect();
    assert_eq!(traces, ["new", "middle"]);
}

#[tokio::test]
async fn seen_labels_and_questions_are_read_from_their_own_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    insert_version(&db, HERE, "v1").await;
    insert_trace(&db, "t1", "").await;
    let insert =
        "insert into seen_labels (workspace_id, version_id, trace_id) values ($1, 'v1', 't1')";
    run(&db, insert, &[HERE]).await;
    assert_eq!(
        seen_labels(&db, &HERE.into(), &"v1".into()).await.unwrap(),
        ["t1".into()].into()
    );
    let group = "update traces set trace_group = 'alike' where id = $1";
    run(&db, group, &["t1"]).await;
    let groups = seen_groups(&db, &HERE.into(), &"v1".into()).await.unwrap();
    assert_eq!(
        groups,
        ["alike".to_owned()].into(),
        "whether labelled or not"
    );
    assert!(
        seen_labels(&db, &"elsewhere".into(), &"v1".into())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        question(&db, &"elsewhere".into(), &"t1".into())
            .await
            .unwrap(),
        ""
    );
}

#[tokio::test]
async fn a_failure_that_another_run_may_mend_is_no_outcome_until_its_version_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    insert_version(&db, HERE, "v1").await;
    insert_trace(&db, "lasting", "").await;
    insert_trace(&db, "passing", "").await;
    insert_outcome(&db, "lasting", "now", "").await;
    insert_outcome(&db, "passing", "now", "").await;
    run(
        &db,
        "update outcomes set failures = 1 where trace_id = $1",
        &["passing"],
    )
    .await;
    let known = async || {
        outcomes(&db, &HERE.into(), &"v1".into())
            .await
            .unwrap()
            .len()
    };
    assert_eq!(known().await, 2);
    let young = format!("{}", now_ms());
    let sql = "update eval_versions set created_at_ms = cast($1 as bigint)";
    run(&db, sql, &[&young]).await;
    assert_eq!(known().await, 1);
}
