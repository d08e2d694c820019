use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::Verdict;

fn question(text: &str) -> Question {
    Question {
        question: "Is it kind?".to_owned(),
        text: text.to_owned(),
    }
}

fn passed() -> Outcome {
    Outcome {
        result: Ok((Verdict::Pass, String::new())),
        printed: String::new(),
        duration_us: 1,
        fuel: 1,
    }
}

/// An eval that asks about each of `texts` and passes.
fn asks_about(texts: &[&str]) -> impl Fn(&Answers) -> Reply {
    let questions: Vec<Question> = texts.iter().map(|text| question(text)).collect();
    move |answers| {
        let is_new = |question: &&Question| answers.get(&Answers::key(question)).is_none();
        let next = questions.iter().find(is_new);
        next.map_or_else(|| Reply::Done(passed()), |next| Reply::Asks(next.clone()))
    }
}

fn judged_from_the_start(
    step: impl Fn(&Answers) -> Reply,
    ask: impl Fn(&Question) -> Result<bool, RunError>,
) -> (Outcome, Answers) {
    let none = Answers::default();
    judged(none.clone(), step(&none), step, ask)
}

#[test]
fn a_run_is_repeated_until_it_asks_nothing_new() {
    let asked = RefCell::new(Vec::new());
    let (outcome, answers) = judged_from_the_start(asks_about(&["a", "b"]), |question| {
        asked.borrow_mut().push(question.text.clone());
        Ok(question.text == "a")
    });
    assert_eq!((outcome, answers.len()), (passed(), 2));
    assert_eq!(*asked.borrow(), ["a", "b"]);
    let answer = |text| answers.get(&Answers::key(&question(text)));
    assert_eq!((answer("a"), answer("b")), (Some(true), Some(false)));
}

#[test]
fn a_run_whose_answers_are_known_asks_nobody() {
    let mut known = Answers::default();
    known.insert(&question("a"), true);
    let nobody = |_: &Question| panic!("nobody is asked");
    let again = asks_about(&["a"]);
    let (outcome, answers) = judged(known.clone(), again(&known), again, nobody);
    assert_eq!((outcome, answers), (passed(), known));
}

#[test]
fn five_questions_are_answered_and_the_sixth_ends_the_run() {
    let texts = ["a", "b", "c", "d", "e", "f"];
    let asked = Cell::new(0);
    let ask = |_: &Question| {
        asked.set(asked.get() + 1);
        Ok(true)
    };
    let (outcome, _) = judged_from_the_start(asks_about(&texts[..5]), ask);
    assert_eq!((outcome, asked.get()), (passed(), 5));
    let (outcome, answers) = judged_from_the_start(asks_about(&texts), ask);
    assert_eq!(outcome.error_kind(), Some(ErrorKind::JudgeBudget));
    assert_eq!(
        (answers.len(), asked.get()),
        (5, 10),
        "the sixth is not asked"
    );
}

#[test]
fn an_eval_that_asks_the_same_for_ever_is_ended() {
    let asked = Cell::new(0);
    let ask = |_: &Question| {
        asked.set(asked.get() + 1);
        Ok(true)
    };
    let deaf = |_: &Answers| Reply::Asks(question("a"));
    let (outcome, _) = judged_from_the_start(deaf, ask);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::JudgeBudget);
    assert!(error.message.contains("again"), "{}", error.message);
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_first_run_that_asks_counts_as_one() {
    let runs = Cell::new(0);
    let asks = asks_about(&["a", "b"]);
    let counted = |answers: &Answers| {
        runs.set(runs.get() + 1);
        asks(answers)
    };
    judged_from_the_start(counted, |_| Ok(true));
    assert_eq!(runs.get(), 3, "two questions");
}

#[test]
fn a_failure_to_answer_is_the_outcome() {
    let failure = || RunError::from(Unanswered::from(JudgeError("busy; try later".to_owned())));
    let (outcome, _) = judged_from_the_start(asks_about(&["a"]), |_| Err(failure()));
    assert_eq!(outcome, Outcome::refused(failure()));
    assert_eq!(failure().kind, ErrorKind::JudgeUnavailable);
    assert_eq!(failure().message, "busy; try later");
}

fn said(yes: bool) -> Answer {
    Answer {
        yes,
        reason: "it reads so".to_owned(),
        by: "m".to_owned(),
    }
}

#[tokio::test]
async fn of_two_answers_to_the_same_question_the_first_is_kept() {
    let known = KnownAnswers::in_memory();
    assert_eq!(known.find("k", "m").await.unwrap(), None);
    assert!(known.keep("k", "m", &said(true)).await.unwrap());
    assert!(known.keep("k", "m", &said(false)).await.unwrap());
    assert_eq!(known.find("k", "m").await.unwrap(), Some(true));
}

#[tokio::test]
async fn another_models_answers_are_not_taken_from_memory_which_has_a_bound() {
    let known = KnownAnswers::in_memory();
    known.keep("k", "m", &said(true)).await.unwrap();
    assert_eq!(known.find("k", "another").await.unwrap(), None);
    for at in 0..KEPT_MAX {
        known.keep(&at.to_string(), "m", &said(true)).await.unwrap();
    }
    let KnownAnswers::InMemory(kept) = &known else {
        panic!("it is in memory");
    };
    assert!(kept.lock().unwrap().len() <= KEPT_MAX);
    assert_eq!(known.find("k", "m").await.unwrap(), None);
}

struct Hangs;

impl Judge for Hangs {
    fn model(&self) -> &str {
        "hangs"
    }

    fn answer<'a>(&'a self, _: &'a Question) -> crate::llm::Answering<'a> {
        Box::pin(std::future::pending())
    }
}

fn hanging() -> Jury {
    let known = KnownAnswers::in_memory();
    Jury::new(Arc::new(Hangs), known, Handle::current())
}

#[tokio::test]
async fn an_llm_that_hangs_has_failed() {
    let jury = Jury {
        answer_within: Duration::from_millis(1),
        ..hanging()
    };
    let error = jury.find_or_ask(&question("a")).await.unwrap_err();
    let error = RunError::from(error);
    assert_eq!(error.kind, ErrorKind::JudgeUnavailable);
    assert!(error.message.contains("within 1ms"), "{}", error.message);
}

#[tokio::test]
async fn a_service_that_stops_waits_for_no_answer() {
    let stopping = CancellationToken::new();
    let jury = hanging().until(stopping.clone());
    let (question, stop) = (question("a"), async { stopping.cancel() });
    let (answer, ()) = tokio::join!(jury.find_or_ask(&question), stop);
    assert!(answer.unwrap_err().to_string().contains("service ends"));
}

/// Answers when it is told to, and counts.
struct Waits {
    asked: AtomicUsize,
    gate: Semaphore,
    fails: bool,
}

impl Judge for Waits {
    fn model(&self) -> &str {
        "waits"
    }

    fn answer<'a>(&'a self, _: &'a Question) -> crate::llm::Answering<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let _pass = self.gate.acquire().await;
            match self.fails {
                true => Err(JudgeError("busy".to_owned())),
                false => Ok(said(true)),
            }
        })
    }
}

#[tokio::test]
async fn the_same_question_at_the_same_time_is_asked_once_and_all_get_what_became_of_it() {
    for fails in [false, true] {
        let judge = Arc::new(Waits {
            asked: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            fails,
        });
        let underway = Underway::default();
        let jury = || {
            let known = KnownAnswers::in_memory();
            Jury::new(judge.clone(), known, Handle::current()).beside(&underway)
        };
        let (here, there, same) = (jury(), jury(), question("a"));
        let open = async {
            while judge.asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            judge.gate.add_permits(100);
        };
        let (one, two, three, ()) = tokio::join!(
            here.answer_once(&same),
            here.answer_once(&same),
            there.answer_once(&same),
            open
        );
        assert_eq!(one.is_err(), fails);
        assert_eq!((&one, &one), (&two, &three));
        assert_eq!(judge.asked.load(Ordering::SeqCst), 1);
        assert!(
            underway.0.lock().unwrap().is_empty(),
            "nothing is left behind"
        );
        here.answer_once(&question("b")).await.ok();
        assert_eq!(
            judge.asked.load(Ordering::SeqCst),
            2,
            "another one is asked"
        );
    }
}
