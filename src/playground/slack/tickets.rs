//! What an app is given to answer with: a trigger opens one modal, a `response_url` takes a few late
//! answers; neither for long.

use std::time::{Duration, Instant};

use super::State;

/// An app may answer a click by its `response_url` this long, and five times.
const RESPONSE_URL_LIVES: Duration = Duration::from_secs(30 * 60);
const RESPONSE_URL_USES: u8 = 5;

/// A `trigger_id`.
pub struct Trigger {
    user: String,
    until: Instant,
    is_used: bool,
}

/// Where a `response_url` leads.
#[derive(Clone)]
pub struct ResponseTo {
    pub channel: String,
    pub ts: String,
    pub user: String,
    until: Instant,
    uses_left: u8,
}

impl State {
    /// A trigger for a click of `user`, which opens a modal while it `lives`.
    pub fn new_trigger(&mut self, user: &str, lives: Duration) -> String {
        let now = Instant::now();
        self.triggers
            .retain(|_, trigger| now < trigger.until + lives);
        let now_us = chrono::Utc::now().timestamp_micros();
        let id = format!("{}.{now_us}.{:032x}", self.change, rand::random::<u128>());
        let trigger = Trigger {
            user: user.to_owned(),
            until: now + lives,
            is_used: false,
        };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    /// Whose trigger this is; it can't be used again. The error is Slack's word.
    pub fn take_trigger(&mut self, id: &str, now: Instant) -> Result<String, &'static str> {
        let trigger = self.triggers.get_mut(id).ok_or("invalid_trigger_id")?;
        if trigger.is_used {
            return Err("exchanged_trigger_id");
        }
        if now >= trigger.until {
            return Err("expired_trigger_id");
        }
        trigger.is_used = true;
        Ok(trigger.user.clone())
    }

    /// A key for a `response_url` that answers a click.
    pub fn new_response_key(&mut self, channel: &str, ts: &str, user: &str) -> String {
        let now = Instant::now();
        self.response_urls.retain(|_, to| now < to.until);
        let key = format!("{:032x}", rand::random::<u128>());
        let to = ResponseTo {
            channel: channel.to_owned(),
            ts: ts.to_owned(),
            user: user.to_owned(),
            until: now + RESPONSE_URL_LIVES,
            uses_left: RESPONSE_URL_USES,
        };
        self.response_urls.insert(key.clone(), to);
        key
    }

    /// Where a `response_url` leads; `None` where it is unknown, too old or used up.
    pub fn take_response(&mut self, key: &str) -> Option<ResponseTo> {
        let to = self.response_urls.get_mut(key)?;
        if Instant::now() >= to.until || to.uses_left == 0 {
            return None;
        }
        to.uses_left -= 1;
        Some(to.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Timing;
    use super::*;

    #[test]
    fn a_trigger_opens_one_modal_for_the_one_who_clicked_within_three_seconds() {
        let mut state = State::default();
        let lives = Timing::default().trigger_lives;
        let before = Instant::now();
        let trigger = state.new_trigger("U1", lives);
        let late = state.new_trigger("U1", lives);
        let after = Instant::now();
        let just_in_time = before + Duration::from_millis(2_999);
        assert_eq!(
            state.take_trigger(&trigger, just_in_time).as_deref(),
            Ok("U1")
        );
        assert_eq!(
            state.take_trigger(&trigger, just_in_time),
            Err("exchanged_trigger_id")
        );
        assert_eq!(
            state.take_trigger("1.2.x", just_in_time),
            Err("invalid_trigger_id")
        );
        let too_late = after + Duration::from_secs(3);
        assert_eq!(
            state.take_trigger(&late, too_late),
            Err("expired_trigger_id")
        );
    }

    #[test]
    fn a_response_url_works_five_times() {
        let mut state = State::default();
        let key = state.new_response_key("C1", "1.0", "U1");
        let used = (0..9)
            .filter(|_| state.take_response(&key).is_some())
            .count();
        assert_eq!(used, 5);
    }
}
