use std::cell::{Cell, RefCell};

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
fn asks_about(texts: &[&str]) -> impl Fn(&Answers) -> Step {
    let questions: Vec<Question> = texts.iter().map(|text| question(text)).collect();
    move |answers| {
        let is_new = |question: &&Question| answers.get(&Answers::key(question)).is_none();
        let next = questions.iter().find(is_new);
        next.map_or_else(|| Step::Done(passed()), |next| Step::Asks(next.clone()))
    }
}

#[test]
fn a_run_is_repeated_until_it_asks_nothing_new() {
    let asked = RefCell::new(Vec::new());
    let (outcome, answers) = judged(Answers::default(), asks_about(&["a", "b"]), |question| {
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
    let (outcome, answers) = judged(known.clone(), asks_about(&["a"]), nobody);
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
    let (outcome, _) = judged(Answers::default(), asks_about(&texts[..5]), ask);
    assert_eq!((outcome, asked.get()), (passed(), 5));
    let (outcome, answers) = judged(Answers::default(), asks_about(&texts), ask);
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
    let deaf = |_: &Answers| Step::Asks(question("a"));
    let (outcome, _) = judged(Answers::default(), deaf, ask);
    assert_eq!(outcome.error_kind(), Some(ErrorKind::JudgeBudget));
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_failure_to_answer_is_the_outcome() {
    let failure = || RunError::from(Unanswered::from(JudgeError("busy; try later".to_owned())));
    let (outcome, _) = judged(Answers::default(), asks_about(&["a"]), |_| Err(failure()));
    assert_eq!(outcome, Outcome::refused(failure()));
    assert_eq!(failure().kind, ErrorKind::JudgeUnavailable);
    assert_eq!(failure().message, "busy; try later");
}

#[tokio::test]
async fn of_two_answers_to_the_same_question_the_first_is_kept() {
    let known = KnownAnswers::in_memory();
    assert_eq!(known.find("k", "m").await.unwrap(), None);
    assert!(known.keep("k", "m", true).await.unwrap());
    assert!(known.keep("k", "m", false).await.unwrap());
    assert_eq!(known.find("k", "m").await.unwrap(), Some(true));
}
