use super::Trace;

/// The traces of one session in time order; there is at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Session(Vec<Trace>);

/// Why traces are no session; each says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is none.
    #[error("\"session\" holds no trace; leave it out where the label is on one trace")]
    Empty,
    /// They are not in time order.
    #[error(
        "trace {0} of \"session\" is older than the one before it; put the traces in time order"
    )]
    OutOfOrder(usize),
    /// They do not belong together.
    #[error(
        "trace {0} of \"session\" is of another session than the one before it; keep them on lines of their own"
    )]
    Mixed(usize),
}

impl Session {
    /// Traces without a time (which reads 1970) or without a session's id are taken as they come.
    ///
    /// # Errors
    /// See [`SessionError`]; traces are counted from 1.
    pub fn of(traces: Vec<Trace>) -> Result<Self, SessionError> {
        if traces.is_empty() {
            return Err(SessionError::Empty);
        }
        for (pair, number) in traces.windows(2).zip(2..) {
            let ids = pair.iter().filter_map(|trace| trace.session_id.as_ref());
            let ids: Vec<_> = ids.collect();
            if ids.len() == 2 && ids[0] != ids[1] {
                return Err(SessionError::Mixed(number));
            }
            let is_timed = !pair[1].timestamp.starts_with("1970-01-01T00:00:00");
            // In RFC 3339 of one zone and one precision, the order of texts is that of times.
            if is_timed && pair[1].timestamp < pair[0].timestamp {
                return Err(SessionError::OutOfOrder(number));
            }
        }
        Ok(Self(traces))
    }

    /// The last trace, with all of them as its session.
    pub fn into_last(mut self) -> Trace {
        let last = self.0.pop().expect("a session has a trace");
        last.after(self.0)
    }
}

impl Trace {
    /// The trace as the last of a session that began with `earlier`, in time order.
    pub fn after(self, earlier: Vec<Trace>) -> Self {
        let lone = |trace| Self {
            session: Vec::new(),
            ..trace
        };
        let last = lone(self);
        let traces = earlier.into_iter().map(lone);
        let session = traces.chain([last.clone()]).collect();
        Self { session, ..last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(session: Option<&str>, timestamp: &str) -> Trace {
        let mut trace: Trace = serde_json::from_str(EMPTY).unwrap();
        trace.session_id = session.map(str::to_owned);
        trace.timestamp = timestamp.to_owned();
        trace
    }

    const EMPTY: &str = r#"{"id": "", "name": null, "session_id": null, "user_id": null, "timestamp": "", "tags": [],
        "metadata": {}, "input": null, "output": null, "input_text": "", "output_text": "", "messages": [],
        "tool_calls": [], "observations": [], "latency_ms": null, "total_cost": null}"#;
    const UNKNOWN: &str = "1970-01-01T00:00:00.000Z";

    #[test]
    fn traces_of_one_session_in_time_order_are_one() {
        let (early, late) = ("2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00.001Z");
        let (a, b) = (Some("a"), Some("b"));
        for (traces, expected) in [
            (vec![], Some(SessionError::Empty)),
            (vec![(a, late)], None),
            (vec![(a, early), (a, late)], None),
            (vec![(a, early), (None, early), (a, UNKNOWN)], None),
            (vec![(a, UNKNOWN), (a, early)], None),
            (
                vec![(a, late), (a, early)],
                Some(SessionError::OutOfOrder(2)),
            ),
            (vec![(a, early), (b, late)], Some(SessionError::Mixed(2))),
        ] {
            let read = traces.iter().map(|(session, time)| trace(*session, time));
            assert_eq!(Session::of(read.collect()).err(), expected, "{traces:?}");
        }
    }

    #[test]
    fn the_last_trace_holds_every_trace_and_those_hold_none() {
        let first = trace(Some("a"), UNKNOWN);
        let second = trace(Some("a"), UNKNOWN).after(vec![first.clone()]);
        let third = second.clone().after(vec![first, second]);
        assert_eq!(third.session.len(), 3);
        assert!(third.session.iter().all(|trace| trace.session.is_empty()));
        let again: Trace = serde_json::from_str(&third.to_json()).unwrap();
        assert_eq!(again, third);
        let lone = trace(None, UNKNOWN);
        assert!(
            !lone.to_json().contains("\"session\""),
            "no key of a lone trace"
        );
    }

    #[test]
    fn a_session_is_grouped_by_its_id_or_by_what_it_begins_with() {
        let named = trace(Some("a"), UNKNOWN);
        let last = trace(None, UNKNOWN).after(vec![named.clone()]);
        assert_eq!(last.group(), named.group());
        let asking = |text: &str| Trace {
            input_text: text.to_owned(),
            ..trace(None, UNKNOWN)
        };
        let nameless = asking("thanks").after(vec![asking("hello")]);
        assert_eq!(nameless.group(), asking("hello").group());
    }
}
