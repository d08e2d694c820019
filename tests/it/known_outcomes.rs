//! In the service, an outcome is run for once: rows say what the same eval, interpreter and trace came to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use iofold::app::{self, App, Service};
use iofold::domain::{EvalSource, Outcome, Verdict, WorkspaceId};
use iofold::llm::{
    Answer, Answering, Judge, JudgeError, Question, Task, cost_per_thousand, usage_of,
};
use iofold::playground::langfuse::Apis;
use iofold::run::{self, PendingRun, VersionSource};
use iofold::sandbox::interpreter;
use iofold::sandbox::receipt::hash;
use iofold::score;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::cli::{run as fed, stderr};
use crate::llm_standin::{Llm, Reply};
use crate::on_both_databases;
use crate::support::Database;
use crate::support::iofold;
use crate::support::stage::{Stage, eventually, recorded};

on_both_databases!(
    a_version_run_again_costs_only_reads,
    versions_of_the_same_text_share_outcomes_and_other_texts_do_not,
    what_the_run_room_ran_is_scored_without_another_run,
    an_answer_of_judge_is_part_of_the_stored_outcome,
    what_a_version_asks_is_asked_of_the_configured_llm_and_counted_for_its_eval,
    what_the_clock_did_is_no_outcome_for_another_version,
    after_a_change_of_interpreter_labelled_traces_run_again,
    what_the_service_stored_is_replayed_from_its_database,
    outcomes_stay_within_their_workspace,
    outcomes_of_another_engine_or_under_other_limits_are_not_taken_over,
    a_row_that_an_older_release_has_written_over_is_not_believed,
    rows_from_before_receipts_run_again,
    a_host_that_fails_on_one_trace_holds_up_no_other,
    what_an_llm_failed_to_answer_is_scored_once_it_answers,
);

const TRACES: usize = 3;
const EVAL: &str =
    "def evaluate(trace):\n    return len(trace[\"output_text\"]) > 9, trace[\"id\"]\n";

/// A service that is built and does not run, so that nothing else uses its sandbox, with traces as rows.
struct Still {
    service: Service,
    stage: Stage,
}

impl Still {
    async fn with_traces(database: Database) -> Self {
        Self::with_traces_and_judge(database, None).await
    }

    async fn with_traces_and_judge(database: Database, judge: Option<Arc<dyn Judge>>) -> Self {
        Self::with_settings(database, judge, &[]).await
    }

    async fn with_settings(
        database: Database,
        judge: Option<Arc<dyn Judge>>,
        settings: &[(&str, &str)],
    ) -> Self {
        let set = recorded("wow_grounded", TRACES);
        let stage = Stage::set(database, Apis::Both, set, settings).await;
        let running = stage.start().await;
        stage.release(TRACES).await;
        let stored = || async {
            let found = "select count(*) as found from traces where complete = 1";
            (count(&running.app, found).await == TRACES as i64).then_some(())
        };
        eventually("the traces", stored).await;
        running.stop().await;
        let service = app::build_with(stage.config(), judge).await;
        let service = service.expect("the service builds");
        execute(
            &service.app,
            "insert into evals values ('default', 'e', 'e', 0)",
        )
        .await;
        Self { service, stage }
    }

    fn app(&self) -> &App {
        &self.service.app
    }

    async fn version(&self, id: &str, source: &str, state: &str) -> VersionSource {
        let source = EvalSource::new(source);
        sqlx::query(
            "insert into eval_versions (workspace_id, id, eval_id, number, source, source_hash,
                                        generator, candidates_tried, state, created_at_ms)
             select 'default', $1, 'e', count(*), $2, $3, 'rules', 1, $4, 0 from eval_versions",
        )
        .bind(id)
        .bind(source.as_str())
        .bind(source.hash())
        .bind(state)
        .execute(self.app().db.pool())
        .await
        .expect("a version");
        VersionSource {
            id: id.into(),
            source,
            eval: "e".into(),
        }
    }

    async fn traces(&self) -> Vec<PendingRun> {
        let own = "select id, payload, payload_hash from traces where workspace_id = 'default' order by id";
        let rows = sqlx::query(own)
            .fetch_all(self.app().db.pool())
            .await
            .expect("rows");
        let traces = rows.iter().map(PendingRun::of_row);
        traces.collect::<Result<_, _>>().expect("traces")
    }

    /// The outcomes, and the calls of the sandbox that they took.
    async fn run(&self, version: &VersionSource) -> (Vec<Outcome>, u64) {
        self.run_in(here(), version).await
    }

    async fn run_in(&self, workspace: WorkspaceId, version: &VersionSource) -> (Vec<Outcome>, u64) {
        let before = self.app().sandbox.counts().calls;
        let traces = self.traces().await;
        let outcomes = run::run_on(self.app(), &workspace, version, &traces).await;
        let outcomes = outcomes.expect("it runs");
        (outcomes, self.app().sandbox.counts().calls - before)
    }

    async fn label_all(&self) {
        let annotator = "insert into annotators values ('default', 'U1', 0)";
        execute(self.app(), annotator).await;
        let labels =
            "insert into labels select workspace_id, id, 'U1', 'up', null, 0, 0 from traces";
        execute(self.app(), labels).await;
    }

    /// Scores what waits; how many scores there are then.
    async fn score(&self) -> usize {
        let workspace = self.app().workspace(&here()).expect("it is configured");
        let scored = score::score_traces(self.app(), workspace).await;
        scored.expect("it scores");
        self.stage.scores().len()
    }

    /// The same for whatever is pending in the `run` room.
    async fn run_pending(&self) -> u64 {
        let before = self.app().sandbox.counts().calls;
        let workspace = self.app().workspace(&here()).expect("it is configured");
        let ran = run::run_evals(self.app(), workspace).await;
        ran.expect("it runs");
        self.app().sandbox.counts().calls - before
    }
}

fn here() -> WorkspaceId {
    WorkspaceId::from("default")
}

async fn execute(app: &App, sql: &'static str) {
    let done = sqlx::query(sql).execute(app.db.pool()).await;
    done.expect("it is done");
}

async fn count(app: &App, sql: &'static str) -> i64 {
    let row = sqlx::query(sql).fetch_one(app.db.pool()).await;
    row.expect("a row").get("found")
}

const ALL: u64 = TRACES as u64;

async fn a_version_run_again_costs_only_reads(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "retired").await;
    let (first, calls) = still.run(&version).await;
    assert_eq!((first.len(), calls), (TRACES, ALL));
    assert!(first.iter().all(|outcome| outcome.verdict().is_some()));
    execute(still.app(), "update outcomes set ran_at_ms = 1").await;
    assert_eq!(still.run(&version).await, (first, 0));
    let unwritten = "select count(*) as found from outcomes where ran_at_ms = 1";
    assert_eq!(count(still.app(), unwritten).await, TRACES as i64);
    // A trace that changes is another trace.
    let trace = &still.traces().await[0];
    let payload = format!("{} ", trace.payload);
    sqlx::query("update traces set payload = $1, payload_hash = $2 where id = $3")
        .bind(&payload)
        .bind(hash(&payload))
        .bind(trace.trace.as_str())
        .execute(still.app().db.pool())
        .await
        .expect("it changes");
    assert_eq!(still.run(&version).await.1, 1);
}

async fn versions_of_the_same_text_share_outcomes_and_other_texts_do_not(database: Database) {
    let still = Still::with_traces(database).await;
    let first = still.version("v1", EVAL, "retired").await;
    let same = still.version("v2", EVAL, "retired").await;
    let other = still.version("v3", &format!("{EVAL}\n"), "retired").await;
    let (outcomes, _) = still.run(&first).await;
    assert_eq!(still.run(&same).await, (outcomes, 0));
    let recorded = "select count(*) as found from outcomes where version_id = 'v2'";
    assert_eq!(count(still.app(), recorded).await, TRACES as i64);
    assert_eq!(still.run(&other).await.1, ALL);
}

async fn what_the_run_room_ran_is_scored_without_another_run(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "deployed").await;
    still.run(&version).await;
    let calls = still.app().sandbox.counts().calls;
    assert_eq!(still.score().await, TRACES);
    assert_eq!(still.app().sandbox.counts().calls, calls);
}

/// Says yes, once or oftener, unless it is out of order.
#[derive(Default)]
struct Yes(AtomicU64, AtomicBool);

impl Judge for Yes {
    fn model(&self) -> &str {
        "yes"
    }

    fn answer<'a>(&'a self, _: &'a Question) -> Answering<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            match self.1.load(Ordering::SeqCst) {
                true => Err(JudgeError("it is out of order".to_owned())),
                false => Ok(Answer {
                    yes: true,
                    reason: String::new(),
                    by: "yes".to_owned(),
                }),
            }
        })
    }
}

const ASKING: &str = "
from iofold import judge

def evaluate(trace):
    return judge(\"Is it kind?\", trace[\"output_text\"])
";

async fn an_answer_of_judge_is_part_of_the_stored_outcome(database: Database) {
    let judge = Arc::new(Yes::default());
    let still = Still::with_traces_and_judge(database, Some(judge.clone())).await;
    let version = still.version("v1", ASKING, "retired").await;
    let (outcomes, calls) = still.run(&version).await;
    assert_eq!(calls, 2 * ALL, "one that asks, and one with the answer");
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.verdict() == Some(Verdict::Pass))
    );
    assert_eq!(judge.0.load(Ordering::SeqCst), ALL);
    assert_eq!(still.run(&version).await, (outcomes, 0));
    // Another model might have answered otherwise, so another version takes over answers and not outcomes.
    let same = still.version("v3", ASKING, "retired").await;
    assert_eq!(still.run(&same).await.1, 2 * ALL);
    // Another text asks the same, of which the answers are there.
    let other = still.version("v2", &format!("{ASKING}\n"), "retired").await;
    assert_eq!(still.run(&other).await.1, 2 * ALL);
    assert_eq!(judge.0.load(Ordering::SeqCst), ALL);
    assert_replayed_from_the_database(&still, 3 * TRACES).await;
}

async fn what_a_version_asks_is_asked_of_the_configured_llm_and_counted_for_its_eval(
    database: Database,
) {
    let yes = json!({"reason": "It is.", "answer": "yes"});
    let llm = Llm::answering(move |_| Reply::Json(yes.clone())).await;
    let variables = llm.environment();
    let settings = variables.iter().map(|(name, value)| (&**name, &**value));
    let settings: Vec<_> = settings.collect();
    let still = Still::with_settings(database, None, &settings).await;
    let version = still.version("v1", ASKING, "retired").await;
    let (outcomes, _) = still.run(&version).await;
    let passed = |outcome: &Outcome| outcome.verdict() == Some(Verdict::Pass);
    assert!(outcomes.iter().all(passed), "{outcomes:?}");
    let used = usage_of(&still.app().db, &here(), &"e".into(), Task::Judge).await;
    let used = used.expect("it is read");
    assert_eq!((used.calls, llm.requests().len() as u64), (ALL, ALL));
    let cost = cost_per_thousand(&used, ALL).expect("it is known");
    assert!(cost > 0.0 && cost < 10.0, "{cost}");
}

async fn what_the_clock_did_is_no_outcome_for_another_version(database: Database) {
    let still = Still::with_traces(database).await;
    let first = still.version("v1", EVAL, "retired").await;
    still.run(&first).await;
    execute(
        still.app(),
        "update outcomes set verdict = null, reason = null, error_kind = 'deadline',
                             error_message = 'slow', verdict_hash = null, engine = null",
    )
    .await;
    let same = still.version("v2", EVAL, "retired").await;
    let (outcomes, calls) = still.run(&same).await;
    assert_eq!(calls, ALL);
    assert!(outcomes.iter().all(|outcome| outcome.verdict().is_some()));
}

async fn after_a_change_of_interpreter_labelled_traces_run_again(database: Database) {
    let still = Still::with_traces(database).await;
    still.version("v1", EVAL, "proposed").await;
    still.label_all().await;
    assert_eq!(still.run_pending().await, ALL);
    assert_eq!(still.run_pending().await, 0);

    let older = "update outcomes set interpreter = 'another', ran_at_ms = 0";
    execute(still.app(), older).await;
    assert_eq!(still.run_pending().await, ALL);
    let row = sqlx::query("select distinct interpreter from outcomes");
    let row = row.fetch_one(still.app().db.pool()).await.expect("one row");
    assert_eq!(row.get::<String, _>("interpreter"), interpreter());

    // By a replica that is newer than this one, while it takes over.
    execute(still.app(), "update outcomes set interpreter = 'another'").await;
    assert_eq!(still.run_pending().await, 0);
}

async fn what_the_service_stored_is_replayed_from_its_database(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "retired").await;
    still.run(&version).await;
    let receipts = stored_receipts(still.app()).await;
    for trace in still.traces().await {
        let hash = hash(&trace.payload);
        let is_of_it = |receipt: &Value| receipt["trace"] == hash.as_str();
        assert!(
            receipts.iter().any(is_of_it),
            "what the guest got is what is stored"
        );
    }
    assert_replayed_from_the_database(&still, TRACES).await;
}

async fn outcomes_stay_within_their_workspace(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "retired").await;
    still.run(&version).await;
    for copied in [
        "insert into workspaces (id, created_at_ms) values ('other', 0)",
        "insert into evals values ('other', 'e', 'e', 0)",
        "insert into eval_versions (workspace_id, id, eval_id, number, source, source_hash, generator,
                                    candidates_tried, state, created_at_ms)
         select 'other', id, eval_id, number, source, source_hash, generator, candidates_tried, state, 0
         from eval_versions",
        "insert into traces (workspace_id, id, payload, payload_hash, trace_group, complete, cleaned,
                             started_at_ms, first_seen_at_ms, changed_at_ms)
         select 'other', id, payload, payload_hash, trace_group, complete, cleaned, 0, 0, 0 from traces",
    ] {
        execute(still.app(), copied).await;
    }
    assert_eq!(still.run_in("other".into(), &version).await.1, ALL);
    assert_eq!(still.run_in("other".into(), &version).await.1, 0);
    let own = "select count(*) as found from outcomes where workspace_id = 'other'";
    assert_eq!(count(still.app(), own).await, TRACES as i64);
}

async fn outcomes_of_another_engine_or_under_other_limits_are_not_taken_over(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "retired").await;
    still.run(&version).await;
    for other in [
        "update outcomes set engine = 'another'",
        "update outcomes set limits = 'fuel 1'",
    ] {
        execute(still.app(), other).await;
        assert_eq!(still.run(&version).await.1, ALL, "{other}");
        assert_eq!(still.run(&version).await.1, 0, "{other}");
    }
}

async fn a_row_that_an_older_release_has_written_over_is_not_believed(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "retired").await;
    let (outcomes, _) = still.run(&version).await;
    let overwritten = "update outcomes set verdict = 'abstain', reason = 'by an older release'";
    execute(still.app(), overwritten).await;
    let (again, calls) = still.run(&version).await;
    assert_eq!(calls, ALL);
    let said = |outcomes: Vec<Outcome>| outcomes.into_iter().map(|outcome| outcome.result);
    assert!(said(again).eq(said(outcomes)));
    assert_replayed_from_the_database(&still, TRACES).await;
}

async fn rows_from_before_receipts_run_again(database: Database) {
    let still = Still::with_traces(database).await;
    let version = still.version("v1", EVAL, "proposed").await;
    still.label_all().await;
    let older = "update outcomes set eval_hash = null, interpreter = null, engine = null, verdict_hash = null,
                                     limits = null, ran_at_ms = 0";
    still.run(&version).await;
    execute(still.app(), older).await;
    assert_eq!(still.run(&version).await.1, ALL);
    execute(still.app(), older).await;
    assert_eq!(still.run_pending().await, ALL);
    assert_replayed_from_the_database(&still, TRACES).await;
}

/// Where answers can't be kept, the host fails on what asks.
async fn a_host_that_fails_on_one_trace_holds_up_no_other(database: Database) {
    let judge: Arc<dyn Judge> = Arc::new(Yes::default());
    let still = Still::with_traces_and_judge(database, Some(judge)).await;
    let poison = &still.traces().await[0].trace;
    let source = format!(
        "{ASKING}\nasks = evaluate\n\ndef evaluate(trace):\n    \
         return asks(trace) if trace[\"id\"] == \"{poison}\" else True\n"
    );
    still.version("v1", &source, "proposed").await;
    still.label_all().await;
    let lose = "alter table judge_answers rename to lost_answers";
    execute(still.app(), lose).await;
    assert_eq!(still.run_pending().await, ALL);
    let passed = "select count(*) as found from outcomes where verdict = 'pass'";
    assert_eq!(count(still.app(), passed).await, TRACES as i64 - 1);
    let failures = "select failures as found from outcomes where error_kind = 'host'";
    assert_eq!(count(still.app(), failures).await, 1);
    assert_eq!(still.run_pending().await, 0, "it waits");

    let later = "update outcomes set ran_at_ms = ran_at_ms - 600001";
    execute(still.app(), later).await;
    assert_eq!(still.run_pending().await, 1, "alone");
    assert_eq!(count(still.app(), failures).await, 2);
    execute(still.app(), later).await;
    assert_eq!(still.run_pending().await, 0, "it waits longer");

    let find = "alter table lost_answers rename to judge_answers";
    execute(still.app(), find).await;
    execute(still.app(), "update outcomes set ran_at_ms = 0").await;
    assert_eq!(still.run_pending().await, 2);
    assert_eq!(count(still.app(), passed).await, TRACES as i64);
    let failures = "select max(failures) as found from outcomes";
    assert_eq!(count(still.app(), failures).await, 0);
}

async fn what_an_llm_failed_to_answer_is_scored_once_it_answers(database: Database) {
    let judge = Arc::new(Yes::default());
    let still = Still::with_traces_and_judge(database, Some(judge.clone())).await;
    still.version("v1", EVAL, "deployed").await;
    still.version("v2", ASKING, "deployed").await;
    judge.1.store(true, Ordering::SeqCst);
    assert_eq!(
        still.score().await,
        TRACES,
        "by the version that asks nobody"
    );
    assert_eq!(still.score().await, TRACES);
    assert_eq!(judge.0.load(Ordering::SeqCst), ALL, "it is left alone");

    judge.1.store(false, Ordering::SeqCst);
    execute(still.app(), "update outcomes set ran_at_ms = 0").await;
    assert_eq!(still.score().await, 2 * TRACES);
    let waiting = "select count(*) as found from traces where to_score = 1";
    assert_eq!(count(still.app(), waiting).await, 0);
}

/// A receipt for each outcome, by the statement of `docs/design.md`, section 5.1.
pub async fn stored_receipts(app: &App) -> Vec<Value> {
    let page = include_str!("../../docs/design.md");
    let (_, section) = page.split_once("### 5.1 ").expect("the section");
    let (_, rest) = section.split_once("```sql\n").expect("the statement");
    let (sql, _) = rest.split_once("```").expect("its end");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(app.db.pool())
        .await;
    let rows = rows.expect("rows");
    rows.iter()
        .map(|row| serde_json::from_str(row.get("receipt")).expect("JSON"))
        .collect()
}

async fn assert_replayed_from_the_database(still: &Still, outcomes: usize) {
    let receipts = stored_receipts(still.app()).await;
    let receipts: Vec<String> = receipts.iter().map(Value::to_string).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = iofold();
    let command = command.current_dir(folder.path()).args(["replay", "-"]);
    let command = command.env("DATABASE_URL", &still.stage.database_url);
    let output = tokio::task::block_in_place(|| fed(command, &receipts.join("\n")));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = format!("{outcomes} the same, 0 differ");
    assert!(said.contains(&summary), "{said}");
}
