//! Recorded traces happen now: their times are moved, their lengths stay.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use super::Recorded;

/// The fields that hold times, on traces and observations.
const TIMES: [&str; 6] = [
    "timestamp",
    "startTime",
    "endTime",
    "completionStartTime",
    "createdAt",
    "updatedAt",
];

pub fn recorded_id(recorded: &Recorded) -> &str {
    recorded.trace["id"].as_str().unwrap_or_default()
}

/// The trace with all its times moved, so that the last of them is `end`.
pub fn ending_at(trace: &Value, end: DateTime<Utc>) -> Value {
    let mut moved = trace.clone();
    let last = times_in(trace).max();
    if let Some(last) = last {
        move_times(&mut moved, end - last);
    }
    moved
}

/// The times of a trace and of its observations.
fn times_in(trace: &Value) -> impl Iterator<Item = DateTime<Utc>> {
    let steps = trace["observations"].as_array();
    let objects = std::iter::once(trace).chain(steps.into_iter().flatten());
    objects.flat_map(|object| TIMES.iter().filter_map(|key| time(&object[*key])))
}

fn move_times(object: &mut Value, by: TimeDelta) {
    for key in TIMES {
        if let Some(moved) = time(&object[key]).and_then(|time| time.checked_add_signed(by)) {
            object[key] = millis(moved).into();
        }
    }
    if let Some(Value::Array(steps)) = object.get_mut("observations") {
        steps
            .iter_mut()
            .filter(|step| step.is_object())
            .for_each(|step| move_times(step, by));
    }
}

/// A time in RFC 3339.
pub fn time(value: &Value) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.to_utc())
}

/// As Langfuse writes times.
pub fn millis(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
