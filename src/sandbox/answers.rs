//! What `judge` answered.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::protocol::Question;

/// Answers to questions, by [`Answers::key`]. An eval that asks one of them again gets the same answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<String, bool>);

impl Answers {
    /// Names a question by its content: hex SHA-256 of the question, a zero byte, and the text.
    pub fn key(question: &Question) -> String {
        let mut hash = Sha256::new();
        hash.update(&question.question);
        hash.update([0]);
        hash.update(&question.text);
        hex::encode(hash.finalize())
    }

    /// Knows the answer to `question` from here on.
    pub fn insert(&mut self, question: &Question, answer: bool) {
        self.0.insert(Self::key(question), answer);
    }

    /// The answer to the question of that key, if it is known.
    pub fn get(&self, key: &str) -> Option<bool> {
        self.0.get(key).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and answers, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(key, answer)| (key.as_str(), *answer))
    }

    /// A JSON object, as the guest takes it; always the same for the same answers.
    pub fn to_json(&self) -> String {
        let known = self
            .iter()
            .map(|(key, answer)| format!("\"{key}\":{answer}"));
        format!("{{{}}}", known.collect::<Vec<_>>().join(","))
    }
}

/// By key, as receipts hold them.
impl FromIterator<(String, bool)> for Answers {
    fn from_iter<I: IntoIterator<Item = (String, bool)>>(answers: I) -> Self {
        Self(answers.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(question: &str, text: &str) -> Question {
        let (question, text) = (question.to_owned(), text.to_owned());
        Question { question, text }
    }

    #[test]
    fn a_question_is_named_by_its_content() {
        // printf 'is it kind?\0thanks' | sha256sum
        let expected = "26558a8130ea0debd953fff2e8346d76f953d83293ff023814e2ef7f00e84cd2";
        assert_eq!(Answers::key(&question("is it kind?", "thanks")), expected);
        let moved = Answers::key(&question("is it kind?t", "hanks"));
        assert_ne!(moved, expected, "question and text are kept apart");
    }

    #[test]
    fn the_guest_gets_them_as_json_in_the_order_of_their_names() {
        let (first, second) = (question("a?", ""), question("b?", "text"));
        let mut answers = Answers::default();
        assert_eq!(
            (answers.to_json().as_str(), answers.is_empty()),
            ("{}", true)
        );
        answers.insert(&second, false);
        answers.insert(&first, true);
        let read: BTreeMap<String, bool> = serde_json::from_str(&answers.to_json()).unwrap();
        assert_eq!(read.into_iter().collect::<Answers>(), answers);
        assert_eq!(answers.get(&Answers::key(&first)), Some(true));
        assert_eq!((answers.get("other"), answers.len()), (None, 2));
    }
}
