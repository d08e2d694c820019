use std::collections::{HashMap, VecDeque};

use super::Slack;
use super::api::Refusal;
use super::arguments::Arguments;

/// The refusals that were ordered and have not been given yet.
#[derive(Default)]
pub struct Ordered {
    next: HashMap<String, VecDeque<Refusal>>,
    updates: HashMap<String, &'static str>,
}

impl Ordered {
    /// What a call is refused with; `None` where nothing was ordered for it.
    fn take(&mut self, method: &str, ts: &str) -> Option<Refusal> {
        if method == "chat.update"
            && let Some(error) = self.updates.get(ts)
        {
            return Some(Refusal::Error(error));
        }
        self.next.get_mut(method)?.pop_front()
    }
}

impl Slack {
    /// Has the next call of `method` refused, once; several refusals are given in their order.
    ///
    /// So a test meets what Slack seldom says, as a long `Retry-After`.
    pub fn refuse_next(&self, method: &str, refusal: Refusal) {
        let ordered = self.0.ordered.lock();
        let mut ordered = ordered.expect("no holder of the lock panics");
        let of_method = ordered.next.entry(method.to_owned()).or_default();
        of_method.push_back(refusal);
    }

    /// Has every update of the message at `ts` refused with Slack's word `error`.
    pub fn refuse_updates_of(&self, ts: &str, error: &'static str) {
        let ordered = self.0.ordered.lock();
        let mut ordered = ordered.expect("no holder of the lock panics");
        ordered.updates.insert(ts.to_owned(), error);
    }

    /// `Err` where a refusal was ordered for this call.
    pub(super) fn ordered_refusal(
        &self,
        method: &str,
        arguments: &Arguments,
    ) -> Result<(), Refusal> {
        let ordered = self.0.ordered.lock();
        let mut ordered = ordered.expect("no holder of the lock panics");
        match ordered.take(method, &arguments.text("ts")) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}
