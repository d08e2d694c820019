//! Late answers, to the address that came with a command or a click.

use serde_json::Value;
use url::Url;

use super::{Client, Error};

/// Where Slack takes answers (docs.slack.dev, "Handling user interaction").
const HOOKS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];
const METHOD: &str = "response_url";

impl Client {
    /// Answers at a `response_url`, which is good for five answers within 30 minutes.
    ///
    /// # Errors
    /// Slack's, and an address that is not Slack's: nothing is sent there.
    pub async fn respond(&self, response_url: &str, body: &Value) -> Result<(), Error> {
        let unknown = |problem: String| Error::Unknown {
            method: METHOD,
            problem,
        };
        let url = response_url.parse::<Url>().ok();
        let Some(url) = url.filter(|url| is_slacks(url, &self.api_url)) else {
            return Err(Error::refused(METHOD, "not_slacks_address"));
        };
        let request = self.http.post(url).json(body);
        // The address lets whoever knows it answer, so it stays out of the error.
        let answer = request.send().await;
        let answer = answer.map_err(|error| unknown(error.without_url().to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(unknown(format!("status {}", status.as_u16()))),
        }
    }
}

/// Whether it is where the API is, or where Slack takes answers.
fn is_slacks(url: &Url, api_url: &Url) -> bool {
    let is_there = url.origin() == api_url.origin();
    let is_hook = url.scheme() == "https"
        && url.port().is_none()
        && url.host_str().is_some_and(|host| HOOKS.contains(&host));
    is_there || is_hook
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::slack::scripted::ScriptedSlack;

    #[test]
    fn only_slacks_own_addresses_are_answered() {
        let api: Url = "https://slack.com/api/".parse().unwrap();
        for (url, expected) in [
            ("https://hooks.slack.com/commands/T1/2/abc", true),
            ("https://slack.com/x", true),
            ("http://hooks.slack.com/commands/T1/2/abc", false),
            ("https://hooks.slack.com:8443/x", false),
            ("https://hooks.slack.com.evil.example/x", false),
            ("https://hooks.slack.com@evil.example/x", false),
            ("https://evil.example/hooks.slack.com", false),
            ("http://127.0.0.1/x", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_slacks(&url.parse().unwrap(), &api), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn an_answer_to_a_forged_address_is_not_sent() {
        let [ours, other] = [ScriptedSlack::start().await, ScriptedSlack::start().await];
        let api: Url = format!("{}/api/", ours.url).parse().unwrap();
        let client = Client::new(&api, &"xoxb-1".to_owned().into()).unwrap();
        let at = |slack: &ScriptedSlack| format!("{}/api/late", slack.url);
        let said = json!({"text": "late"});
        assert!(client.respond(&at(&ours), &said).await.is_ok());
        assert!(client.respond(&at(&other), &said).await.is_err());
        assert!(client.respond("nonsense", &said).await.is_err());
        assert_eq!(ours.calls_of("late"), [said]);
        assert!(other.calls_of("late").is_empty());
    }
}
