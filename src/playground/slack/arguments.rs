use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

/// A call's token and arguments, however they were sent: JSON, a form, or the query.
pub struct Arguments {
    /// From the header, or from the field `token` of a form or query.
    pub token: Option<String>,
    fields: Map<String, Value>,
}

impl Arguments {
    /// Reads a call.
    ///
    /// # Errors
    /// Slack's word for a body that cannot be read.
    pub fn read(
        headers: &HeaderMap,
        RawQuery(query): &RawQuery,
        body: &Bytes,
    ) -> Result<Self, &'static str> {
        let mut fields = form(query.as_deref().unwrap_or_default().as_bytes());
        let kind = text_of(headers, header::CONTENT_TYPE).unwrap_or_default();
        let is_json = kind.starts_with("application/json");
        if is_json {
            fields.append(&mut json(body)?);
        } else {
            fields.append(&mut form(body));
        }
        let bearer = text_of(headers, header::AUTHORIZATION)
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::to_owned);
        // Slack reads the token of a JSON body from the header alone.
        let field = fields.remove("token").filter(|_| !is_json);
        let field = field.and_then(|token| token.as_str().map(str::to_owned));
        let token = bearer.or(field);
        Ok(Self { token, fields })
    }

    /// Arguments that came without a token.
    pub fn of(fields: Map<String, Value>) -> Self {
        let token = None;
        Self { token, fields }
    }

    /// A text or number as text; empty where it is missing.
    pub fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// A text; `None` where it is missing or empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A structure: forms hold it as JSON text. `None` where it is missing, null in the `Err` of what
    /// cannot be read.
    pub fn structure(&self, name: &str) -> Option<Value> {
        match self.fields.get(name)? {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(serde_json::from_str(text).unwrap_or(Value::Null)),
            value => Some(value.clone()),
        }
    }

    /// A switch: `true`, `"true"` or `1`.
    pub fn is_set(&self, name: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::Bool(set)) => *set,
            _ => matches!(self.text(name).as_str(), "1" | "true" | "True"),
        }
    }
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn form(bytes: &[u8]) -> Map<String, Value> {
    let pairs = url::form_urlencoded::parse(bytes);
    pairs
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

fn json(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("json_not_object"),
        Err(_) => Err("invalid_json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        kind: &str,
        bearer: Option<&str>,
        query: &str,
        body: &str,
    ) -> Result<Arguments, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        if let Some(token) = bearer {
            headers.insert(
                header::AUTHORIZATION,
                format!("Bearer {token}").parse().unwrap(),
            );
        }
        let query = RawQuery(Some(query.to_owned()));
        Arguments::read(&headers, &query, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn json_forms_and_queries_say_the_same() {
        let form = "application/x-www-form-urlencoded";
        for read in [
            read(
                "application/json; charset=utf-8",
                Some("t"),
                "",
                r#"{"channel": "C1", "limit": 5, "blocks": [1], "inclusive": true}"#,
            ),
            read(
                form,
                None,
                "",
                "token=t&channel=C1&limit=5&blocks=%5B1%5D&inclusive=true",
            ),
            read(
                form,
                None,
                "token=t&channel=C1&limit=5&blocks=%5B1%5D&inclusive=1",
                "",
            ),
        ] {
            let arguments = read.expect("it can be read");
            assert_eq!(arguments.token.as_deref(), Some("t"));
            assert_eq!(arguments.text("channel"), "C1");
            assert_eq!(arguments.text("limit"), "5");
            assert_eq!(arguments.structure("blocks"), Some(serde_json::json!([1])));
            assert!(arguments.is_set("inclusive") && !arguments.is_set("other"));
        }
    }

    #[test]
    fn a_token_in_a_json_body_is_none() {
        let arguments = read("application/json", None, "", r#"{"token": "t"}"#).unwrap();
        assert_eq!(arguments.token, None);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let kind = "application/json";
        assert_eq!(read(kind, None, "", "{").err(), Some("invalid_json"));
        assert_eq!(read(kind, None, "", "[]").err(), Some("json_not_object"));
        let broken = read("x", None, "", "blocks=%7B").unwrap();
        assert_eq!(broken.structure("blocks"), Some(Value::Null));
    }
}
