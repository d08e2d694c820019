use std::borrow::Cow;

use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::Sha256;

use super::Slack;

const FORM: &str = "application/x-www-form-urlencoded";

/// What Slack sends to an app.
pub enum Parcel<'a> {
    /// A click, or what became of a modal.
    Interaction(&'a Value),
    /// A slash command, as fields of a form.
    Command(&'a [(&'static str, String)]),
    /// Something that happened, with the number and reason of a retry.
    Event(&'a Value, Retry),
}

/// How an app acknowledged.
pub struct Acknowledged {
    /// The answer's body.
    pub body: String,
    /// Whether it says that it is JSON.
    pub is_json: bool,
}

/// Why something was not acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Slack's word for it, as in `X-Slack-Retry-Reason`.
    pub reason: &'static str,
    /// For a person.
    pub problem: String,
    /// Whether the app asks not to be sent it again.
    pub is_final: bool,
}

/// The number and reason of a retry.
pub type Retry = Option<(usize, &'static str)>;

impl Parcel<'_> {
    /// The kind of its envelope and what is in it.
    fn in_envelope(&self) -> (&'static str, Cow<'_, Value>, Retry) {
        match self {
            Self::Interaction(payload) => ("interactive", Cow::Borrowed(*payload), None),
            Self::Event(event, retry) => ("events_api", Cow::Borrowed(*event), *retry),
            Self::Command(fields) => {
                let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
                ("slash_commands", Cow::Owned(fields.collect()), None)
            }
        }
    }
}

fn said(answer: Value) -> Acknowledged {
    let is_json = !answer.is_null();
    let body = if is_json {
        answer.to_string()
    } else {
        String::new()
    };
    Acknowledged { body, is_json }
}

fn broken(problem: &str) -> Undelivered {
    Undelivered {
        reason: "timeout",
        problem: problem.to_owned(),
        is_final: false,
    }
}

impl Slack {
    /// Sends a parcel, signed as Slack signs it or by Socket Mode, and waits until the app has acknowledged it.
    pub(super) async fn deliver(&self, parcel: Parcel<'_>) -> Result<Acknowledged, Undelivered> {
        let (kind, payload, retry) = parcel.in_envelope();
        if let Some(delivered) = self.deliver_by_socket(kind, &payload, retry).await {
            return delivered.map(said).map_err(broken);
        }
        let answer = self.request(parcel).send().await.map_err(undelivered)?;
        let status = answer.status();
        let header = |name| {
            let value = answer.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or("")
        };
        if !status.is_success() {
            return Err(Undelivered {
                reason: "http_error",
                problem: format!("it answered with status {}", status.as_u16()),
                is_final: header("x-slack-no-retry") == "1",
            });
        }
        let is_json = header("content-type").starts_with("application/json");
        let body = answer.text().await.map_err(undelivered)?;
        Ok(Acknowledged { body, is_json })
    }

    fn request(&self, parcel: Parcel<'_>) -> reqwest::RequestBuilder {
        let form = |pairs: &mut dyn Iterator<Item = (&str, String)>| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs);
            form.finish()
        };
        let (path, kind, body) = match &parcel {
            Parcel::Interaction(payload) => {
                let mut fields = [("payload", payload.to_string())].into_iter();
                ("slack/interactions", FORM, form(&mut fields))
            }
            Parcel::Command(fields) => ("slack/commands", FORM, form(&mut fields.iter().cloned())),
            Parcel::Event(event, _) => ("slack/events", "application/json", event.to_string()),
        };
        let request = self.signed(path, body).header("content-type", kind);
        match parcel {
            Parcel::Event(_, Some((number, reason))) => request
                .header("x-slack-retry-num", number)
                .header("x-slack-retry-reason", reason),
            _ => request,
        }
    }

    fn signed(&self, path: &str, body: String) -> reqwest::RequestBuilder {
        let base = &self.0.config.service_url;
        let url = base.join(path).expect("a plain path makes a URL");
        let timestamp = chrono::Utc::now().timestamp().to_string();
        let secret = self.0.config.signing_secret.expose_secret();
        let signature = signature(secret, &timestamp, &body);
        let request = self.0.http.post(url);
        request
            .header("x-slack-request-timestamp", timestamp)
            .header("x-slack-signature", signature)
            .body(body)
    }
}

fn undelivered(error: reqwest::Error) -> Undelivered {
    let reason = match () {
        () if error.is_timeout() => "http_timeout",
        () if error.is_connect() => "connection_failed",
        () => "unknown_error",
    };
    Undelivered {
        reason,
        problem: error.without_url().to_string(),
        is_final: false,
    }
}

/// docs.slack.dev, "Verifying requests from Slack".
fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length fits");
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_slacks_own_example() {
        // docs.slack.dev, "Verifying requests from Slack", step by step.
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        assert_eq!(
            signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body),
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        );
    }
}
