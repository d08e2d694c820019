//! Runs Langfuse's own code evaluators, in Python, for a self-hosted Langfuse that has nothing to run them on.
//!
//! In: what Langfuse dispatches, a source with `evaluate(ctx)` and one observation, through either of two doors:
//! AWS Lambda's invoke protocol, signed, or plain HTTP with a bearer token. Out: the scores, or one of the contract's
//! error codes. The source is hostile and runs in the sandbox alone; one Langfuse project's evaluators share no
//! worker with another's. Nothing is stored, and nothing that they see or say goes into a log.
//!
//! The other way round, [`export`] makes an evaluator of that contract out of an eval of ours.

mod contract;
mod export;
mod http;
mod run;
mod sigv4;

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::Semaphore;

pub use export::{ExportError, Exported, export};
pub use http::{dispatch, invoke};
pub use sigv4::Key;

/// Evaluations that run or wait at once; one more is told to come back.
const AT_ONCE: usize = 64;

/// Who is let in, and how many at once. A door without its secret is shut.
pub struct Doors {
    token: Option<SecretString>,
    lambda_key: Option<Key>,
    places: Arc<Semaphore>,
}

impl Doors {
    /// With the HTTP door's bearer token and the key that Lambda's calls are signed by.
    pub fn new(token: Option<SecretString>, lambda_key: Option<Key>) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self {
            token,
            lambda_key,
            places,
        }
    }
}
