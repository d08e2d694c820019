//! Query parameters, read as strictly as Langfuse reads them.

use std::collections::HashSet;

use axum::Json;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::api::Refusal;
use super::recorded::time;

/// A page of a list, by its number from 1.
pub struct Pages {
    limit: usize,
    page: usize,
}

impl Pages {
    /// The answer with this page of `all`.
    pub fn of<T>(&self, all: &[T], show: impl FnMut(&T) -> Value) -> Json<Value> {
        let Self { limit, page } = *self;
        let shown = all.iter().skip((page - 1).saturating_mul(limit));
        let data: Vec<Value> = shown.take(limit).map(show).collect();
        let (total, pages) = (all.len(), all.len().div_ceil(limit));
        let meta = json!({"page": page, "limit": limit, "totalItems": total, "totalPages": pages});
        Json(json!({"data": data, "meta": meta}))
    }
}

/// The parameters of a request, in order; a key may come several times.
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a key, unless it is empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        let mut found = self
            .0
            .iter()
            .filter(|(name, value)| name == key && !value.is_empty());
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// A whole number within bounds.
    pub fn number(
        &self,
        key: &str,
        default: usize,
        least: usize,
        most: usize,
    ) -> Result<usize, Refusal> {
        let Some(text) = self.text(key) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| {
            Refusal::invalid(format!("{key} must be a number from {least} to {most}"))
        })
    }

    /// Which page is asked for, by number.
    pub fn pages(&self, most: usize) -> Result<Pages, Refusal> {
        Ok(Pages {
            limit: self.number("limit", 50, 1, most)?,
            page: self.number("page", 1, 1, usize::MAX)?,
        })
    }

    pub fn time(&self, key: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let read = |text: &str| {
            let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
            time.map_err(|_| Refusal::invalid(format!("{key} must be an ISO 8601 time")))
        };
        self.text(key).map(read).transpose()
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        let read = |text: &str| {
            let flag = text.parse();
            flag.map_err(|_| Refusal::invalid(format!("{key} must be true or false")))
        };
        self.text(key).map(read).transpose()
    }

    /// A list with commas, checked against the known words; the default where there is none.
    pub fn words(
        &self,
        key: &str,
        known: &[&str],
        default: &[&str],
    ) -> Result<HashSet<String>, Refusal> {
        let Some(text) = self.text(key) else {
            return Ok(default.iter().map(|word| word.to_string()).collect());
        };
        let words: HashSet<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        match words.iter().find(|word| !known.contains(&word.as_str())) {
            Some(word) => Err(Refusal::invalid(format!("{key} has no group {word}"))),
            None => Ok(words),
        }
    }

    /// A list with commas, whatever is in it.
    pub fn names(&self, key: &str) -> HashSet<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(|name| name.trim().to_owned()).collect()
    }
}

/// One condition of a `filter` parameter.
#[derive(Clone, Debug)]
pub struct Condition {
    kind: String,
    column: String,
    operator: String,
    value: Value,
}

/// The conditions of a `filter` parameter: a JSON array of `{type, column, operator, value}`.
pub fn conditions(filter: &str) -> Result<Vec<Condition>, Refusal> {
    let parsed: Option<Vec<Value>> = serde_json::from_str(filter).ok();
    let parsed =
        parsed.ok_or_else(|| Refusal::invalid("filter must be a JSON array".to_owned()))?;
    parsed.iter().map(condition).collect()
}

fn condition(value: &Value) -> Result<Condition, Refusal> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let (Some(kind), Some(column), Some(operator)) =
        (text("type"), text("column"), text("operator"))
    else {
        return Err(Refusal::invalid(
            "a condition has type, column and operator".to_owned(),
        ));
    };
    let operators: &[&str] = match kind.as_str() {
        "datetime" => &[">", "<", ">=", "<="],
        "string" => &[
            "=",
            "contains",
            "does not contain",
            "starts with",
            "ends with",
        ],
        "boolean" => &["=", "<>"],
        "stringOptions" => &["any of", "none of"],
        "arrayOptions" => &["any of", "none of", "all of"],
        "null" => &["is null", "is not null"],
        _ => &[],
    };
    if !operators.contains(&operator.as_str()) {
        let problem = format!("this stand-in knows no {kind} filter with {operator}");
        return Err(Refusal::invalid(problem));
    }
    if kind == "datetime" && time(&value["value"]).is_none() {
        return Err(Refusal::invalid(format!(
            "{column} must be compared with a time"
        )));
    }
    Ok(Condition {
        kind,
        column,
        operator,
        value: value["value"].clone(),
    })
}

impl Condition {
    /// Whether a row's column is as the condition wants; a missing value is only like nothing.
    pub fn holds(&self, row: &Value) -> bool {
        let column = match self.column.as_str() {
            "traceTags" => "tags",
            column => column,
        };
        let found = &row[column];
        match self.kind.as_str() {
            "null" => return found.is_null() == (self.operator == "is null"),
            "stringOptions" | "arrayOptions" => return self.is_among(found),
            _ => {}
        }
        if let (Some(found), Some(wanted)) = (time(found), time(&self.value)) {
            return self.compares(found.cmp(&wanted));
        }
        match (found.as_str(), self.value.as_str()) {
            (Some(found), Some(wanted)) => self.matches(found, wanted),
            (None, Some(_)) => self.operator == "does not contain",
            _ => (*found == self.value) == (self.operator == "="),
        }
    }

    /// A lone value counts as a list of one.
    fn is_among(&self, found: &Value) -> bool {
        let list = |value: &Value| match value {
            Value::Array(items) => items.clone(),
            Value::Null => Vec::new(),
            other => vec![other.clone()],
        };
        let (found, wanted) = (list(found), list(&self.value));
        match self.operator.as_str() {
            "all of" => wanted.iter().all(|one| found.contains(one)),
            "none of" => !wanted.iter().any(|one| found.contains(one)),
            _ => wanted.iter().any(|one| found.contains(one)),
        }
    }

    fn compares(&self, ordering: std::cmp::Ordering) -> bool {
        match self.operator.as_str() {
            ">" => ordering.is_gt(),
            "<" => ordering.is_lt(),
            ">=" => ordering.is_ge(),
            "<=" => ordering.is_le(),
            _ => ordering.is_eq(),
        }
    }

    fn matches(&self, found: &str, wanted: &str) -> bool {
        match self.operator.as_str() {
            "contains" => found.contains(wanted),
            "does not contain" => !found.contains(wanted),
            "starts with" => found.starts_with(wanted),
            "ends with" => found.ends_with(wanted),
            _ => found == wanted,
        }
    }
}
