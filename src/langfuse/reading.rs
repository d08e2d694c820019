use std::collections::BTreeSet;
use std::sync::Mutex;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::is_last_page;
use super::{Api, Client, Error};
use crate::domain::lenient;

/// The most observations that v4 gives at once.
pub const OBSERVATIONS_MAX: usize = 1_000;
/// The most traces that v3 lists at once.
pub const TRACES_MAX: usize = 100;

/// The field groups of v4 that a trace is made of.
const FIELDS: &str = "core,basic,time,io,metadata,model,usage,trace_context";
/// The same without what may be megabytes.
const SMALL_FIELDS: &str = "core,basic,time,model,usage,trace_context";
/// v4 cuts metadata values at this many characters unless their key is named.
const METADATA_CUT: usize = 200;
/// Metadata keys named at most: they stand in the address, which servers bound.
const EXPANDED_KEYS_MAX: usize = 60;
/// Keys longer than this stay cut.
const EXPANDED_KEY_MAX: usize = 60;

/// A span of time: `from` belongs to it, `to` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after.
    pub to: DateTime<Utc>,
}

impl Window {
    /// The same as conditions on a column.
    fn conditions(self, column: &str) -> Vec<Value> {
        vec![
            compared(column, ">=", self.from),
            compared(column, "<", self.to),
        ]
    }
}

fn compared(column: &str, operator: &str, time: DateTime<Utc>) -> Value {
    json!({"type": "datetime", "column": column, "operator": operator, "value": millis(time)})
}

/// A page of what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Objects as Langfuse gives them; of v4's observations, input and output are JSON where their
    /// text is.
    pub items: Vec<Map<String, Value>>,
    /// v4's cursor, or v3's page number; `None` after the last page.
    pub next: Option<String>,
}

/// The newest observations or traces of a session that are looked at: among these is where its last trace begins.
const SESSION_STEPS: usize = 100;

/// A trace's observations are looked for so near its beginning.
const LONGEST_TRACE: TimeDelta = TimeDelta::hours(24);

/// Metadata keys whose values were seen cut; asked for in full from then on.
pub(super) type Expansion = Mutex<BTreeSet<String>>;

type Query = Vec<(&'static str, String)>;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Value>,
    #[serde(default)]
    meta: Value,
}

impl Client {
    /// v4: observations that started in `window`, `limit` at a time.
    ///
    /// A single observation too large to be read comes without input, output and metadata.
    pub async fn observations(
        &self,
        window: Window,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let query = match self.filter.is_empty() {
            true => vec![
                ("fromStartTime", millis(window.from)),
                ("toStartTime", millis(window.to)),
            ],
            false => {
                let own = window.conditions("startTime");
                vec![("filter", self.filter.with(Api::V4, own))]
            }
        };
        self.observations_by(query, cursor, limit).await
    }

    /// v4: observations that started between `oldest` and `since` and ended since then: what a look
    /// at the start times after `since` would miss.
    pub async fn observations_ended_late(
        &self,
        oldest: DateTime<Utc>,
        since: DateTime<Utc>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let begun = Window {
            from: oldest,
            to: since,
        };
        let mut own = begun.conditions("startTime");
        own.push(compared("endTime", ">=", since));
        let query = vec![("filter", self.filter.with(Api::V4, own))];
        self.observations_by(query, cursor, limit).await
    }

    /// v4: the observations of one trace.
    pub async fn observations_of(
        &self,
        trace_id: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let query = vec![("traceId", trace_id.to_owned())];
        self.observations_by(query, cursor, limit).await
    }

    /// v3: one line for each trace that began in `window`, oldest first; without its observations'
    /// contents. `page` is a former [`Page::next`].
    pub async fn traces(&self, window: Window, page: Option<&str>) -> Result<Page, Error> {
        let number: u64 = page.and_then(|page| page.parse().ok()).unwrap_or(1);
        let mut query = vec![
            ("page", number.to_string()),
            ("limit", TRACES_MAX.to_string()),
            ("orderBy", "timestamp.asc".to_owned()),
            ("fields", "core,observations,metrics".to_owned()),
        ];
        match self.filter.is_empty() {
            true => {
                query.push(("fromTimestamp", millis(window.from)));
                query.push(("toTimestamp", millis(window.to)));
            }
            false => {
                let own = window.conditions("timestamp");
                query.push(("filter", self.filter.with(Api::V3, own)));
            }
        }
        let answer: Answer = self.get("list traces", "traces", &query).await?;
        let is_last = is_last_page(number, answer.data.len(), &answer.meta);
        Ok(Page {
            items: objects(answer.data),
            next: (!is_last).then(|| (number + 1).to_string()),
        })
    }

    /// v3: a trace with all it has; `None` where Langfuse does not have it, or not yet.
    pub async fn trace(&self, trace_id: &str) -> Result<Option<Map<String, Value>>, Error> {
        // These name no segment of an address.
        if ["", ".", ".."].contains(&trace_id) {
            return Ok(None);
        }
        let path = ["traces", trace_id];
        match self.get_by_id::<Map<_, _>>("read a trace", &path).await {
            // What reads an escaped slash as a slash answers for another route.
            Ok(trace) => Ok(Some(trace).filter(|trace| trace.get("id") == Some(&trace_id.into()))),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether Langfuse has a trace that began about then. Asks for as little of it as it can.
    ///
    /// # Errors
    /// A route that is not there says nothing of a trace.
    pub async fn has_trace(
        &self,
        api: Api,
        trace_id: &str,
        began: DateTime<Utc>,
    ) -> Result<bool, Error> {
        if api == Api::V4 {
            let query = [
                ("traceId", trace_id.to_owned()),
                ("fields", "core".to_owned()),
                ("limit", "1".to_owned()),
                ("fromStartTime", millis(began - LONGEST_TRACE)),
                ("toStartTime", millis(began + LONGEST_TRACE)),
            ];
            let what = "look for a trace";
            let answer: Answer = self.get(what, "v2/observations", &query).await?;
            return Ok(!answer.data.is_empty());
        }
        match self.trace(trace_id).await {
            Ok(None) if is_nameable(trace_id) => self.list_one_trace().await.map(|()| false),
            Ok(_) | Err(Error::TooLarge { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// v3: asks for the list, which proves that the routes are there.
    pub(super) async fn list_one_trace(&self) -> Result<(), Error> {
        // Bounded in time, for a search through everything is slow on a big server.
        let since = self.budget().clock().now() - TimeDelta::hours(1);
        let query = [
            ("limit", "1".to_owned()),
            ("fields", "core".to_owned()),
            ("fromTimestamp", millis(since)),
        ];
        self.get::<Value>("list traces", "traces", &query)
            .await
            .map(drop)
    }

    /// The id of the trace that began last in a session; `None` where Langfuse shows none. Traces that
    /// Langfuse makes of its own evaluators are none.
    pub async fn last_trace_of(&self, session_id: &str) -> Result<Option<String>, Error> {
        let session = ("sessionId", session_id.to_owned());
        let answer: Answer = match self.api().await? {
            Api::V4 => {
                let query = [
                    session,
                    ("fields", "core,basic".to_owned()),
                    ("limit", SESSION_STEPS.to_string()),
                ];
                self.get("list observations", "v2/observations", &query)
                    .await?
            }
            Api::V3 => {
                let query = [
                    session,
                    ("fields", "core".to_owned()),
                    ("limit", SESSION_STEPS.to_string()),
                    ("orderBy", "timestamp.desc".to_owned()),
                ];
                self.get("list traces", "traces", &query).await?
            }
        };
        Ok(last_trace(&answer.data))
    }

    async fn observations_by(
        &self,
        query: Query,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut limit = limit.clamp(1, OBSERVATIONS_MAX);
        loop {
            match self.observations_page(&query, cursor, limit, FIELDS).await {
                Err(Error::TooLarge { .. }) if limit > 1 => limit = limit.div_ceil(8),
                Err(Error::TooLarge { .. }) => {
                    return self
                        .observations_page(&query, cursor, 1, SMALL_FIELDS)
                        .await;
                }
                answer => return answer,
            }
        }
    }

    /// A page with whole metadata: asked for once more where a value came cut and its key is new.
    async fn observations_page(
        &self,
        query: &Query,
        cursor: Option<&str>,
        limit: usize,
        fields: &str,
    ) -> Result<Page, Error> {
        let mut answer = self.observations_once(query, cursor, limit, fields).await?;
        if self.learn_cut_keys(&answer.data) {
            answer = self.observations_once(query, cursor, limit, fields).await?;
        }
        let next = answer.meta["cursor"].as_str();
        // A cursor that leads back to itself would never end.
        let next = next.filter(|next| !next.is_empty() && Some(*next) != cursor);
        let next = next.map(str::to_owned);
        let mut items = objects(answer.data);
        items.iter_mut().for_each(parse_texts);
        Ok(Page { items, next })
    }

    async fn observations_once(
        &self,
        query: &Query,
        cursor: Option<&str>,
        limit: usize,
        fields: &str,
    ) -> Result<Answer, Error> {
        let mut query = query.clone();
        query.push(("limit", limit.to_string()));
        query.push(("fields", fields.to_owned()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let keys = self.expanded_keys();
        if !keys.is_empty() {
            query.push(("expandMetadata", keys));
        }
        self.get("list observations", "v2/observations", &query)
            .await
    }

    fn expanded_keys(&self) -> String {
        let keys = self.expansion.lock().expect("no holder of the lock panics");
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        keys.join(",")
    }

    /// Notes the keys of cut values; says whether there is a new one.
    fn learn_cut_keys(&self, observations: &[Value]) -> bool {
        let mut known = self.expansion.lock().expect("no holder of the lock panics");
        let before = known.len();
        for key in observations
            .iter()
            .filter_map(|o| o["metadata"].as_object())
            .flat_map(cut_keys)
        {
            if known.len() < EXPANDED_KEYS_MAX {
                known.insert(key.clone());
            }
        }
        known.len() > before
    }
}

/// The keys of values that look cut, as far as they can be named in the address.
fn cut_keys(metadata: &Map<String, Value>) -> impl Iterator<Item = &String> {
    metadata.iter().filter_map(|(key, value)| {
        let is_cut = value
            .as_str()
            .is_some_and(|text| text.chars().count() >= METADATA_CUT);
        let is_nameable = key.len() <= EXPANDED_KEY_MAX && !key.contains(',');
        (is_cut && is_nameable).then_some(key)
    })
}

/// v4 gives inputs, outputs and metadata values as text. Objects and lists in it become JSON; any
/// other text stays, for a lone number or a quoted word is more often a text than JSON.
fn parse_texts(observation: &mut Map<String, Value>) {
    for key in ["input", "output"] {
        if let Some(value) = observation.get_mut(key) {
            parse_container(value);
        }
    }
    if let Some(Value::Object(metadata)) = observation.get_mut("metadata") {
        metadata.values_mut().for_each(parse_container);
    }
}

fn parse_container(value: &mut Value) {
    let Value::String(text) = &*value else {
        return;
    };
    if !text.trim_start().starts_with(['{', '[']) {
        return;
    }
    if let Ok((parsed, _)) = lenient::parse(text.as_bytes()) {
        *value = parsed;
    }
}

/// The trace of the newest root, else of the newest item: of observations, or of traces. They come newest first.
fn last_trace(items: &[Value]) -> Option<String> {
    let is_own = |item: &&Value| {
        let environment = item["environment"].as_str();
        !environment.is_some_and(|name| name.starts_with("langfuse"))
    };
    let mut products = items.iter().filter(is_own);
    let root = products
        .clone()
        .find(|item| item["isRootObservation"] == true);
    let last = root.or_else(|| products.next())?;
    let id = last["traceId"].as_str().or(last["id"].as_str())?;
    Some(id.to_owned())
}

/// A slash or a dot in an id names another route to some servers, so that its absence proves nothing.
fn is_nameable(trace_id: &str) -> bool {
    !(trace_id.is_empty() || trace_id.contains('/') || trace_id.starts_with('.'))
}

fn objects(items: Vec<Value>) -> Vec<Map<String, Value>> {
    let object = |item| match item {
        Value::Object(fields) => Some(fields),
        _ => None,
    };
    items.into_iter().filter_map(object).collect()
}

/// As Langfuse takes times.
pub(super) fn millis(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_lists_in_texts_become_json_and_other_text_stays() {
        for (text, expected) in [
            (json!("[1]"), json!([1])),
            (json!(" {\"a\": \"x\\u0000\"}"), json!({"a": "x\u{fffd}"})),
            (json!("{not json"), json!("{not json")),
            (json!("42"), json!("42")),
            (json!("\"quoted\""), json!("\"quoted\"")),
            (json!(null), json!(null)),
        ] {
            let mut value = text.clone();
            parse_container(&mut value);
            assert_eq!(value, expected, "{text}");
        }
    }

    #[test]
    fn the_last_trace_of_a_session_is_the_one_that_began_last() {
        let late_step = json!({"traceId": "a", "id": "o3", "isRootObservation": false});
        let own =
            json!({"traceId": "e", "environment": "langfuse-code-eval", "isRootObservation": true});
        let root = json!({"traceId": "b", "id": "o2", "isRootObservation": true});
        let steps = [own.clone(), late_step.clone(), root];
        assert_eq!(last_trace(&steps).as_deref(), Some("b"));
        assert_eq!(last_trace(&[own, late_step]).as_deref(), Some("a"));
        assert_eq!(last_trace(&[json!({"id": "t"})]).as_deref(), Some("t"));
        assert_eq!(last_trace(&[json!(7)]), None);
    }

    #[test]
    fn only_long_metadata_values_with_nameable_keys_are_asked_for_again() {
        let long = "x".repeat(METADATA_CUT);
        let Value::Object(metadata) = json!({
            "long": long, "short": "x", "with,comma": long, "number": 1, "k".repeat(61): long
        }) else {
            panic!("it is an object")
        };
        let keys: Vec<&String> = cut_keys(&metadata).collect();
        assert_eq!(keys, ["long"]);
    }
}
