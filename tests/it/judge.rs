//! `judge`: an eval asks, an LLM answers, and what it answered is part of the outcome's receipt.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use iofold::domain::{ErrorKind, EvalSource, Outcome, RunError, Verdict, WorkspaceId};
use iofold::llm::{Answer, Answering, Judge, JudgeError, Question};
use iofold::run::{Jury, KnownAnswers, Ran, Runner, repeat};
use iofold::sandbox::protocol::Reply;
use iofold::sandbox::{Answers, Sandbox};
use iofold::store::Db;
use iofold::workspace::register;
use serde_json::json;
use tokio::runtime::Handle;

use crate::cli::{eval, folder_with_eval, labelled, lines, stderr};
use crate::on_both_databases;
use crate::support::{Database, cache_folder};

on_both_databases!(what_was_answered_in_a_workspace_is_not_asked_there_again);

const POLITE: &str = "
from iofold import judge

def evaluate(trace):
    if judge(\"Is it polite?\", trace[\"output_text\"]):
        return True, \"polite\"
    return judge(\"Is it at least short?\", trace[\"output_text\"]), \"not polite\"
";

/// By a runner.
const ASKED_AT_ONCE: usize = 8;

/// Swallows whatever `judge` raises.
const STUBBORN: &str = "
from iofold import judge

def evaluate(trace):
    try:
        polite = judge(\"Is it polite?\", trace[\"output_text\"])
    except BaseException:
        return False, \"nobody answered\"
    finally:
        print(\"asked\")
    return polite, \"was answered\"
";

/// An LLM that finds what says please polite, and short what has fewer than 20 characters.
#[derive(Default)]
struct StandIn {
    asked: AtomicUsize,
    /// Questions wait here while it is held.
    gate: Mutex<()>,
    fails: AtomicBool,
}

impl StandIn {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Judge for StandIn {
    fn model(&self) -> &str {
        "stand-in"
    }

    fn answer<'a>(&'a self, question: &'a Question) -> Answering<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.fails.load(Ordering::SeqCst) {
                return Err(JudgeError("it is out of order; try again later".to_owned()));
            }
            drop(tokio::task::block_in_place(|| self.gate.lock()));
            let yes = match question.question.as_str() {
                "Is it polite?" => question.text.contains("please"),
                _ => question.text.chars().count() < 20,
            };
            let reason = format!("\"{}\" was looked at", question.text);
            let by = "a fallback".to_owned();
            Ok(Answer { yes, reason, by })
        })
    }
}

fn sandbox() -> Sandbox {
    let worker = Path::new(env!("CARGO_BIN_EXE_iofold"));
    Sandbox::open(worker, &cache_folder()).expect("it opens")
}

fn runner(judge: &Arc<StandIn>) -> Runner {
    let jury = Jury::new(judge.clone(), KnownAnswers::in_memory(), Handle::current());
    Runner::new(sandbox(), Some(jury))
}

fn traces(answers: &[&str]) -> Vec<(usize, String)> {
    let trace = |answer: &&str| json!({"output_text": answer}).to_string();
    answers.iter().map(trace).enumerate().collect()
}

/// What became of each trace, on a thread that may block.
async fn run(runner: Arc<Runner>, source: &str, traces: Vec<(usize, String)>) -> Vec<Ran> {
    let source = EvalSource::new(source);
    let ran = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        runner.evaluate_in_order(&source, traces.into_iter(), |at, ran| {
            assert_eq!(at, all.len(), "they come in order");
            all.push(ran);
            ControlFlow::Continue(())
        });
        all
    });
    ran.await.expect("it ends")
}

fn answers_of(ran: &Ran) -> Answers {
    ran.receipt.as_ref().expect("a receipt").answers()
}

fn said(ran: &Ran) -> (Verdict, &str) {
    let (verdict, reason) = ran.outcome.result.as_ref().expect("a verdict");
    (*verdict, reason)
}

const THREE: [&str; 3] = ["please wait", "no", "go away, the shop is closed"];

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_into_verdicts_and_receipts() {
    let judge = Arc::new(StandIn::default());
    let given = traces(&THREE);
    let first = run(runner(&judge).into(), POLITE, given.clone()).await;
    let verdicts: Vec<_> = first.iter().map(said).collect();
    let expected = [
        (Verdict::Pass, "polite"),
        (Verdict::Pass, "not polite"),
        (Verdict::Fail, "not polite"),
    ];
    assert_eq!((verdicts, judge.asked()), (expected.to_vec(), 5));
    let answers = answers_of(&first[0]);
    let polite = Question {
        question: "Is it polite?".to_owned(),
        text: "please wait".to_owned(),
    };
    assert_eq!(
        answers.iter().collect::<Vec<_>>(),
        [(Answers::key(&polite).as_str(), true)]
    );

    let again = run(runner(&judge).into(), POLITE, given).await;
    assert_eq!(judge.asked(), 10, "another memory asks again");
    let receipts = |all: Vec<Ran>| all.into_iter().map(|ran| ran.receipt);
    assert!(receipts(again).eq(receipts(first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipts_answers_repeat_the_outcome_with_nobody_asked() {
    let judge = Arc::new(StandIn::default());
    let given = traces(&THREE);
    let first = run(runner(&judge).into(), POLITE, given.clone()).await;
    let (asked, sandbox, source) = (judge.asked(), sandbox(), EvalSource::new(POLITE));
    for ((_, trace), ran) in given.iter().zip(first) {
        let repeated = repeat(&sandbox, &source, trace, answers_of(&ran));
        assert_eq!(repeated.receipt, ran.receipt);
    }
    assert_eq!(judge.asked(), asked);
    let without = repeat(&sandbox, &source, &given[0].1, Answers::default());
    assert_eq!(
        without.outcome.error_kind(),
        Some(ErrorKind::JudgeUnavailable)
    );
    assert_eq!(without.receipt, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_asked_once_and_many_traces_keep_their_order() {
    let judge = Arc::new(StandIn::default());
    let runner = Arc::new(runner(&judge));
    let answers: Vec<String> = (0..200)
        .map(|i| match i % 3 {
            0 => format!("please, number {i}"),
            _ => "short".to_owned(),
        })
        .collect();
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let ran = run(runner, POLITE, traces(&answers)).await;
    for (ran, answer) in ran.iter().zip(&answers) {
        let polite = answer.contains("please");
        assert_eq!(
            said(ran),
            (Verdict::Pass, if polite { "polite" } else { "not polite" })
        );
    }
    assert_eq!(judge.asked(), 2 + 67);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_that_swallows_exceptions_waits_for_its_answer_too() {
    let judge = Arc::new(StandIn::default());
    let ran = run(runner(&judge).into(), STUBBORN, traces(&["please wait"])).await;
    assert_eq!(said(&ran[0]), (Verdict::Pass, "was answered"));
    assert_eq!(ran[0].outcome.printed, "asked\n", "of the last run alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_question_ends_the_run() {
    let judge = Arc::new(StandIn::default());
    let asks = |times: usize| {
        format!(
            "from iofold import judge\n\ndef evaluate(trace):\n    \
             return all(judge(\"Is it short?\", str(i)) for i in range({times}))\n"
        )
    };
    let five = run(runner(&judge).into(), &asks(5), traces(&[""])).await;
    assert_eq!(said(&five[0]), (Verdict::Pass, ""));
    let six = run(runner(&judge).into(), &asks(6), traces(&[""])).await;
    assert_eq!(six[0].outcome.error_kind(), Some(ErrorKind::JudgeBudget));
    assert_eq!(judge.asked(), 10);
    let receipt = six[0]
        .receipt
        .clone()
        .expect("the eval's doing has a receipt");
    let repeated = repeat(
        &sandbox(),
        &EvalSource::new(asks(6)),
        &traces(&[""])[0].1,
        receipt.answers(),
    );
    assert_eq!(repeated.receipt, Some(receipt));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_llm_that_fails_is_no_fault_of_the_eval_and_has_no_receipt() {
    let judge = Arc::new(StandIn::default());
    judge.fails.store(true, Ordering::SeqCst);
    let ran = run(runner(&judge).into(), POLITE, traces(&["please wait"])).await;
    let error = ran[0].outcome.result.as_ref().expect_err("no verdict");
    assert_eq!(error.kind, ErrorKind::JudgeUnavailable);
    assert_eq!(error.message, "it is out of order; try again later");
    assert_eq!(ran[0].receipt, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_llm_thinks_the_only_worker_is_free() {
    let judge = Arc::new(StandIn::default());
    let worker = Path::new(env!("CARGO_BIN_EXE_iofold"));
    let sandbox = Sandbox::open_with_workers(worker, &cache_folder(), 1).expect("it opens");
    let jury = Jury::new(judge.clone(), KnownAnswers::in_memory(), Handle::current());
    let runner = Runner::new(sandbox.clone(), Some(jury));
    let (asked, done) = (judge.clone(), mpsc::channel());
    let thinking = judge.gate.lock().expect("not poisoned");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let source = EvalSource::new(POLITE);
            let answers: Vec<String> = (0..ASKED_AT_ONCE)
                .map(|at| format!("please wait {at}"))
                .collect();
            let traces = traces(&answers.iter().map(String::as_str).collect::<Vec<_>>());
            let mut passed = 0;
            runner.evaluate_in_order(&source, traces.into_iter(), |_, ran| {
                passed += usize::from(ran.outcome.verdict() == Some(Verdict::Pass));
                ControlFlow::Continue(())
            });
            passed
        });
        while asked.asked() < ASKED_AT_ONCE {
            std::thread::yield_now();
        }
        let other = "def evaluate(trace):\n    return True\n";
        scope.spawn(|| {
            let outcomes = (0..8).map(|_| sandbox.evaluate(other, "{}").verdict());
            done.0
                .send(outcomes.collect::<Vec<_>>())
                .expect("someone waits");
        });
        let outcomes = done.1.recv().expect("they go through");
        assert_eq!(outcomes, [Some(Verdict::Pass); 8]);
        drop(thinking);
        assert_eq!(waiting.join().expect("it ends"), ASKED_AT_ONCE);
    });
}

async fn what_was_answered_in_a_workspace_is_not_asked_there_again(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url(folder.path()).await;
    let db = Db::open(&url).await.expect("it opens");
    for workspace in ["here", "elsewhere"] {
        let registered = register(&db, &workspace.into()).await;
        registered.expect("a workspace");
    }
    let judge = Arc::new(StandIn::default());
    for (workspace, asked) in [("here", 2), ("here", 2), ("elsewhere", 4)] {
        let known = KnownAnswers::Rows {
            db: db.clone(),
            workspace: WorkspaceId::from(workspace),
        };
        let jury = Jury::new(judge.clone(), known, Handle::current());
        let runner = Runner::new(sandbox(), Some(jury));
        let ran = run(runner.into(), POLITE, traces(&["no"])).await;
        assert_eq!(said(&ran[0]), (Verdict::Pass, "not polite"));
        assert_eq!(judge.asked(), asked, "{workspace}");
    }
}

#[test]
fn a_worker_may_not_say_that_nobody_answered() {
    let says = |kind| {
        let message = String::new();
        let done = Outcome {
            result: Err(RunError { kind, message }),
            printed: String::new(),
            fuel: 0,
            duration_us: 0,
        };
        Reply::Done(done).check(0, Duration::ZERO).is_ok()
    };
    assert!(says(ErrorKind::Exception));
    assert!(!says(ErrorKind::JudgeUnavailable));
}

#[test]
fn without_an_llm_the_command_says_what_is_missing() {
    let folder = folder_with_eval(POLITE);
    let input = labelled("a", "please wait", "up") + &labelled("b", "", "up");
    let output = eval(folder.path(), &["run", "blue.py", "-"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let outcome = &lines(&output)[0];
    assert_eq!(outcome["error"]["kind"], "judge_unavailable");
    let message = outcome["error"]["message"].as_str().expect("a message");
    assert!(message.contains("no LLM is configured"), "{message}");
    assert_eq!(outcome["receipt"], serde_json::Value::Null);
}
