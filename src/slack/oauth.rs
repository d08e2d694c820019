use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::Error;
use crate::http;

const METHOD: &str = "oauth.v2.access";
/// A call that takes longer is given up; whether it took effect is then unknown.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The wait where Slack does not say how long.
const UNTOLD_WAIT: Duration = Duration::from_secs(30);

/// An app that many teams install: Slack's OAuth 2 (docs.slack.dev, "Installing with OAuth").
pub struct OAuth {
    http: reqwest::Client,
    api_url: Url,
    client_id: String,
    client_secret: SecretString,
    redirect_uri: String,
}

/// What a team's or an org's consent gives.
#[derive(Deserialize)]
pub struct Grant {
    /// `xoxb-…`, or `xoxe.xoxb-…` where tokens rotate.
    #[serde(rename = "access_token")]
    pub token: SecretString,
    /// Renews the token once; with `expires_in` alone.
    pub refresh_token: Option<SecretString>,
    /// The seconds that the token lives; `None` is for good.
    pub expires_in: Option<i64>,
    /// Comma-separated.
    #[serde(default)]
    pub scope: String,
    /// The app's own user.
    #[serde(default)]
    pub bot_user_id: String,
    /// Whether every team of the org is meant.
    #[serde(default)]
    pub is_enterprise_install: bool,
    team: Option<Party>,
    enterprise: Option<Party>,
    authed_user: Option<Party>,
}

/// A team, an org or a person.
#[derive(Deserialize)]
struct Party {
    id: String,
    #[serde(default)]
    name: String,
}

impl Grant {
    /// Who installed the app, by id and name: an org as a whole, or a team.
    pub fn tenant(&self) -> Option<(&str, &str)> {
        let party = match self.is_enterprise_install {
            true => &self.enterprise,
            false => &self.team,
        };
        party
            .as_ref()
            .map(|one| (one.id.as_str(), one.name.as_str()))
    }

    /// `U…`: the person that consented; empty where Slack doesn't say.
    pub fn installed_by(&self) -> &str {
        self.authed_user.as_ref().map_or("", |user| &user.id)
    }
}

impl OAuth {
    /// An app by its id and secret. `api_url` ends in a slash; `redirect_uri` is where Slack sends people back.
    ///
    /// # Errors
    /// The TLS set-up of this machine cannot be read.
    pub fn new(
        api_url: Url,
        client_id: String,
        client_secret: SecretString,
        redirect_uri: String,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: http::client_builder().timeout(TIMEOUT).build()?,
            api_url,
            client_id,
            client_secret,
            redirect_uri,
        })
    }

    /// Slack's page where people consent to these bot scopes.
    pub fn authorize_url(&self, scopes: &str, state: &str) -> Url {
        let page = self.api_url.join("../oauth/v2/authorize");
        let mut page = page.expect("a plain path can be joined to a base");
        page.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", scopes)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("state", state);
        page
    }

    /// The token for the code that a consent gave.
    pub async fn exchange(&self, code: &str) -> Result<Grant, Error> {
        let form = [("code", code), ("redirect_uri", &self.redirect_uri)];
        self.access(&form).await
    }

    /// The next token. `refresh_token` is used up by it.
    pub async fn renew(&self, refresh_token: &SecretString) -> Result<Grant, Error> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ];
        self.access(&form).await
    }

    async fn access(&self, form: &[(&str, &str)]) -> Result<Grant, Error> {
        let url = self
            .api_url
            .join(METHOD)
            .expect("a plain path can be joined");
        let secret = self.client_secret.expose_secret();
        let request = self
            .http
            .post(url)
            .basic_auth(&self.client_id, Some(secret));
        // Neither addresses nor answers are quoted: both may hold secrets.
        let sent = request.form(form).send().await;
        let answer = sent.map_err(|error| unknown(failure(&error)))?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait = answer.headers().get(RETRY_AFTER);
            let seconds = wait.and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(Error::RateLimited {
                method: METHOD,
                retry_after: seconds.map_or(UNTOLD_WAIT, Duration::from_secs),
            });
        }
        let status = answer.status();
        let body = answer.json().await;
        granted(body.map_err(|_| unknown(format!("status {status} without JSON")))?)
    }
}

fn granted(answer: Value) -> Result<Grant, Error> {
    if answer["ok"] != true {
        return Err(match answer["error"].as_str() {
            Some(code) => Error::refused(METHOD, code),
            None => unknown("an answer that is not Slack's".to_owned()),
        });
    }
    serde_json::from_value(answer).map_err(|_| unknown("an answer without a token".to_owned()))
}

fn unknown(problem: String) -> Error {
    Error::Unknown {
        method: METHOD,
        problem,
    }
}

fn failure(error: &reqwest::Error) -> String {
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time",
        (_, true) => "no connection",
        _ => "the connection broke off",
    };
    format!("{what}; check the network, and SLACK_API_URL where it is set")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_is_a_teams_or_a_whole_orgs() {
        let mut answer = json!({
            "ok": true, "access_token": "xoxb-1", "token_type": "bot", "scope": "commands,chat:write",
            "bot_user_id": "U0", "app_id": "A1", "team": {"id": "T1", "name": "Team"},
            "enterprise": {"id": "E1", "name": "Org"}, "authed_user": {"id": "U1"},
            "is_enterprise_install": false,
        });
        let grant = granted(answer.clone()).unwrap();
        assert_eq!(grant.tenant(), Some(("T1", "Team")));
        assert_eq!((grant.installed_by(), grant.expires_in), ("U1", None));
        answer["is_enterprise_install"] = json!(true);
        answer["team"] = Value::Null;
        answer["expires_in"] = json!(43_200);
        answer["refresh_token"] = json!("xoxe-1");
        let grant = granted(answer).unwrap();
        assert_eq!(grant.tenant(), Some(("E1", "Org")));
        assert_eq!(grant.expires_in, Some(43_200));
    }

    #[test]
    fn a_refusal_keeps_slacks_word_and_no_answer_is_quoted() {
        let refused = granted(json!({"ok": false, "error": "invalid_code"}))
            .err()
            .unwrap();
        assert!(matches!(&refused, Error::Refused { code, .. } if code == "invalid_code"));
        for answer in [
            json!({"ok": true, "access_token": 7}),
            json!("xoxb-1"),
            json!(null),
        ] {
            let error = granted(answer).err().unwrap();
            assert!(
                error.may_have_happened() && !error.to_string().contains("xoxb"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_page_to_consent_on_stands_beside_the_api() {
        let api = "https://slack.com/api/".parse().unwrap();
        let secret = SecretString::from("s3cret");
        let oauth = OAuth::new(
            api,
            "1.2".to_owned(),
            secret,
            "https://i.example/cb".to_owned(),
        );
        let url = oauth
            .unwrap()
            .authorize_url("commands,chat:write", "st&te")
            .to_string();
        assert_eq!(
            url,
            "https://slack.com/oauth/v2/authorize?client_id=1.2&scope=commands%2Cchat%3Awrite\
             &redirect_uri=https%3A%2F%2Fi.example%2Fcb&state=st%26te"
        );
    }
}
