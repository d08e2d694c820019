//! The LLM, as the rooms know it: it answers what evals ask through `judge`.
//!
//! In: a question and the text that it is about, both hostile. Out: true or false, or a sentence that says
//! why there is no answer. What was answered before is not asked again: `run` remembers.

use std::pin::Pin;
use std::sync::Arc;

pub use crate::sandbox::protocol::Question;

/// Why a question was not answered: a sentence for the eval's owner, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JudgeError(pub String);

/// An answer to come.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<bool, JudgeError>> + Send + 'a>>;

/// An LLM that answers yes or no.
pub trait Judge: Send + Sync {
    /// The model that answers. Another one may answer otherwise, so answers are remembered by it.
    fn model(&self) -> &str;

    /// Whether what is asked is true of the text.
    ///
    /// # Errors
    /// It can't be reached, or said neither yes nor no.
    fn answer<'a>(&'a self, question: &'a Question) -> Answering<'a>;
}

/// The LLM that this process is configured to ask; none can be configured yet.
pub fn configured() -> Option<Arc<dyn Judge>> {
    None
}
