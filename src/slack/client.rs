use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::*;
use url::Url;

use super::Message;
use super::pace::{Pace, Pacer, WAIT_MAX};
use super::people::People;
use super::trouble::{Error, LIMITED};
use crate::clock::Clock;
use crate::http::client_builder;

/// A call that takes longer is given up; whether it took effect is then unknown.
const TIMEOUT: Duration = Duration::from_secs(30);
/// An answer to a click that takes longer is given up.
const RESPOND_TIMEOUT: Duration = Duration::from_secs(10);
/// How many times a call waits and is tried again where Slack asks for a short wait.
const WAITS: usize = 3;
/// The wait where Slack says that there were too many calls, but not how long to wait.
const UNTOLD_WAIT: Duration = Duration::from_secs(30);
/// Messages read back a page; Slack recommends no more.
const HISTORY_PAGE: u32 = 200;

/// One Slack app in one team: the real service, or the playground by another `api_url`.
/// Clones share a token, which may be renewed while calls are under way.
#[derive(Clone)]
pub struct Client {
    inner: Arc<SlackHyperClient>,
    people: Arc<People>,
    pub(super) api_url: Url,
    /// For addresses that Slack gives us.
    pub(super) http: reqwest::Client,
    access: Arc<Access>,
    clock: Clock,
    pacer: Arc<Pacer>,
}

struct Access {
    token: RwLock<SlackApiToken>,
    has_expired: AtomicBool,
}

fn api_token(token: &SecretString) -> SlackApiToken {
    SlackApiToken::new(token.expose_secret().to_owned().into())
}

type Connector = SlackClientHyperConnector<
    hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>,
>;
type SlackHyperClient = SlackClient<Connector>;

/// Who the token belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    /// `T…`.
    pub team_id: String,
    /// The team's name.
    pub team: String,
    /// The bot's own user.
    pub user_id: String,
    /// The team's address, ending in a slash: what links to messages begin with.
    #[serde(default)]
    pub url: String,
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// `C…`, whatever name it was posted by.
    pub channel: String,
    /// The message's id in its channel.
    pub ts: String,
}

impl Posted {
    /// The message's address for people of its team, from the team's own (`https://….slack.com/`); `None` where that
    /// is not known. As `chat.getPermalink` has it, without asking.
    pub fn permalink(&self, team_url: &str) -> Option<String> {
        let team_url = team_url.trim_end_matches('/');
        let ts = self.ts.replace('.', "");
        let known = team_url.starts_with("https://") || team_url.starts_with("http://");
        known.then(|| format!("{team_url}/archives/{}/p{ts}", self.channel))
    }
}

type Result<T> = std::result::Result<T, Error>;

impl Client {
    /// A client for the Web API at `api_url`, which ends in a slash.
    pub fn new(api_url: &Url, token: &SecretString) -> anyhow::Result<Self> {
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        let connector = Connector::with_connector(https)
            .with_slack_api_url(api_url.as_str().trim_end_matches('/'));
        Ok(Self {
            inner: Arc::new(SlackClient::new(connector)),
            people: Arc::default(),
            http: client_builder().timeout(RESPOND_TIMEOUT).build()?,
            api_url: api_url.clone(),
            access: Arc::new(Access {
                token: RwLock::new(api_token(token)),
                has_expired: AtomicBool::new(false),
            }),
            clock: Clock::default(),
            pacer: Arc::new(Pacer::new(Pace::AsTold, Clock::default())),
        })
    }

    /// The same at this pace, by this clock.
    pub fn paced(mut self, pace: Pace, clock: Clock) -> Self {
        self.pacer = Arc::new(Pacer::new(pace, clock.clone()));
        self.clock = clock;
        self
    }

    /// What its waits are measured by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The token that calls take from now on.
    pub fn set_token(&self, token: &SecretString) {
        let mut current = self.access.token.write().expect("no holder panics");
        *current = api_token(token);
        self.access.has_expired.store(false, Ordering::Relaxed);
    }

    /// Whether Slack said that the current token has expired.
    pub fn has_expired(&self) -> bool {
        self.access.has_expired.load(Ordering::Relaxed)
    }

    pub(super) fn people(&self) -> &People {
        &self.people
    }

    fn token(&self) -> SlackApiToken {
        let token = self.access.token.read().expect("no holder panics");
        token.clone()
    }

    /// `auth.test`: whose token this is.
    pub async fn identity(&self) -> Result<Identity> {
        self.post("auth.test", "", &json!({})).await
    }

    /// `chat.postMessage`, in a thread where `thread_ts` is given.
    pub async fn post_message(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        message: &Message,
    ) -> Result<Posted> {
        let mut request = to_request(message, channel);
        request["unfurl_links"] = json!(false);
        request["unfurl_media"] = json!(false);
        if let Some(thread_ts) = thread_ts {
            request["thread_ts"] = json!(thread_ts);
        }
        self.post("chat.postMessage", channel, &request).await
    }

    /// `chat.update`.
    pub async fn update_message(&self, posted: &Posted, message: &Message) -> Result<()> {
        let mut request = to_request(message, &posted.channel);
        request["ts"] = json!(posted.ts);
        let _: Value = self.post("chat.update", &posted.channel, &request).await?;
        Ok(())
    }

    /// `chat.postEphemeral`: a line that only `user` sees.
    pub async fn post_ephemeral(&self, channel: &str, user: &str, text: &str) -> Result<()> {
        let request = json!({"channel": channel, "user": user, "text": text});
        let _: Value = self.post("chat.postEphemeral", channel, &request).await?;
        Ok(())
    }

    /// `chat.postEphemeral` with blocks.
    pub async fn whisper(&self, channel: &str, user: &str, message: &Message) -> Result<()> {
        let mut request = to_request(message, channel);
        request["user"] = json!(user);
        let _: Value = self.post("chat.postEphemeral", channel, &request).await?;
        Ok(())
    }

    /// `views.open`: a modal, within 3 s of the click that gave `trigger_id`.
    pub async fn open_view(&self, trigger_id: &str, view: &Value) -> Result<()> {
        let request = json!({"trigger_id": trigger_id, "view": view});
        let _: Value = self.post("views.open", "", &request).await?;
        Ok(())
    }

    /// `views.update`: puts another view in the place of one that is open; with `hash`, only if nobody else has meanwhile.
    pub async fn update_view(&self, view_id: &str, hash: Option<&str>, view: &Value) -> Result<()> {
        let mut request = json!({"view_id": view_id, "view": view});
        if let Some(hash) = hash {
            request["hash"] = json!(hash);
        }
        let _: Value = self.post("views.update", "", &request).await?;
        Ok(())
    }

    /// `views.publish`: what a person sees under the app's *Home*.
    pub async fn publish_view(&self, user: &str, view: &Value) -> Result<()> {
        let request = json!({"user_id": user, "view": view});
        let _: Value = self.post("views.publish", "", &request).await?;
        Ok(())
    }

    /// Finds one of our own messages by its metadata, in the channel or in a thread of it.
    ///
    /// `oldest` is a Slack timestamp: nothing before it is looked at.
    pub async fn find_message(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        metadata: &Value,
        oldest: &str,
    ) -> Result<Option<Posted>> {
        let mut cursor = String::new();
        loop {
            let page = self.history(channel, thread_ts, oldest, &cursor).await?;
            let same = |found: &HistoryMessage| {
                ["event_type", "event_payload"].map(|key| &found.metadata[key])
                    == ["event_type", "event_payload"].map(|key| &metadata[key])
            };
            let found = page.messages.iter().find(|message| same(message));
            if let Some(message) = found {
                return Ok(Some(Posted {
                    channel: channel.to_owned(),
                    ts: message.ts.clone(),
                }));
            }
            cursor = page.response_metadata.next_cursor;
            if cursor.is_empty() {
                return Ok(None);
            }
        }
    }

    /// `conversations.info`, by a channel's id.
    pub async fn channel(&self, channel: &str) -> Result<Channel> {
        let found: ChannelInfo = self
            .get("conversations.info", channel, &[("channel", channel)])
            .await?;
        Ok(found.channel)
    }

    /// The scopes that the token was granted, from a header that the library does not show; `None` where the server
    /// sends none.
    pub async fn scopes(&self) -> anyhow::Result<Option<Vec<String>>> {
        let url = self.api_url.join("auth.test")?;
        let client = crate::http::client_builder().timeout(TIMEOUT).build()?;
        let request = client.post(url).bearer_auth(&self.token().token_value.0);
        let answer = request.send().await?;
        let granted = answer.headers().get("x-oauth-scopes");
        let granted = granted.and_then(|granted| granted.to_str().ok());
        let named = |granted: &str| {
            granted
                .split(',')
                .map(|one| one.trim().to_owned())
                .collect()
        };
        Ok(granted.map(named))
    }

    /// Checks that the channel is there and that the app may read its own messages in it.
    pub async fn can_read(&self, channel: &str) -> Result<()> {
        let now = format!("{}.000000", chrono::Utc::now().timestamp());
        self.history(channel, None, &now, "").await.map(drop)
    }

    async fn history(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        oldest: &str,
        cursor: &str,
    ) -> Result<HistoryPage> {
        let limit = HISTORY_PAGE.to_string();
        let mut parameters = vec![
            ("channel", channel),
            ("oldest", oldest),
            ("limit", limit.as_str()),
            ("include_all_metadata", "true"),
        ];
        if !cursor.is_empty() {
            parameters.push(("cursor", cursor));
        }
        let method = match thread_ts {
            None => "conversations.history",
            Some(ts) => {
                parameters.push(("ts", ts));
                "conversations.replies"
            }
        };
        self.get(method, channel, &parameters).await
    }

    /// Uploads a picture that stays private until a message shows it; gives its file id.
    pub async fn upload_picture(&self, name: &str, alt: &str, png: Vec<u8>) -> Result<String> {
        let token = self.token();
        let session = self.inner.open_session(&token);
        let request = SlackApiFilesGetUploadUrlExternalRequest::new(name.to_owned(), png.len())
            .with_alt_txt(alt.to_owned());
        let place = || session.get_upload_url_external(&request);
        let place = self.answered("files.getUploadURLExternal", "", place);
        let place = place.await?;
        let bytes = SlackApiFilesUploadViaUrlRequest::new(
            place.upload_url,
            png,
            "application/octet-stream".to_owned(),
        );
        let upload = || session.files_upload_via_url(&bytes);
        self.answered("files.upload", "", upload).await?;
        let file = SlackApiFilesComplete::new(place.file_id.clone()).with_title(alt.to_owned());
        let request = SlackApiFilesCompleteUploadExternalRequest::new(vec![file]);
        let complete = || session.files_complete_upload_external(&request);
        self.answered("files.completeUploadExternal", "", complete)
            .await?;
        Ok(place.file_id.to_string())
    }

    pub(super) async fn get<T: DeserializeOwned + Send>(
        &self,
        method: &'static str,
        channel: &str,
        parameters: &[(&'static str, &str)],
    ) -> Result<T> {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(key, value)| (*key, Some(*value)))
            .collect();
        let token = self.token();
        let session = self.inner.open_session(&token);
        let api = &session.http_session_api;
        let call = || api.http_get(method, &parameters, None);
        self.answered(method, channel, call).await
    }

    pub(super) async fn post<T: DeserializeOwned + Send>(
        &self,
        method: &'static str,
        channel: &str,
        request: &Value,
    ) -> Result<T> {
        let token = self.token();
        let session = self.inner.open_session(&token);
        let api = &session.http_session_api;
        let call = || api.http_post(method, request, None);
        self.answered(method, channel, call).await
    }

    /// Calls when it is the call's turn, and again where Slack asks for a short wait.
    async fn answered<T, F>(
        &self,
        method: &'static str,
        channel: &str,
        call: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, SlackClientError>>,
    {
        let mut tries = 0;
        loop {
            let turn = self.pacer.turn(method, channel).await;
            turn.map_err(|retry_after| Error::RateLimited {
                method,
                retry_after,
            })?;
            let result = in_time(method, call()).await;
            if result
                .as_ref()
                .is_err_and(|error| error.code() == Some("token_expired"))
            {
                self.access.has_expired.store(true, Ordering::Relaxed);
            }
            if let Err(Error::RateLimited { retry_after, .. }) = &result {
                self.pacer.told(method, channel, *retry_after);
                tries += 1;
                if tries <= WAITS && *retry_after <= WAIT_MAX {
                    continue;
                }
            }
            return result;
        }
    }
}

/// A channel as `conversations.info` has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Channel {
    /// Without `#`.
    #[serde(default)]
    pub name: String,
    /// Whether nothing can be posted any more.
    #[serde(default)]
    pub is_archived: bool,
    /// Whether only its members see it.
    #[serde(default)]
    pub is_private: bool,
    /// Whether the app is in it.
    #[serde(default)]
    pub is_member: bool,
}

#[derive(Deserialize)]
struct ChannelInfo {
    channel: Channel,
}

#[derive(Deserialize)]
struct HistoryPage {
    #[serde(default)]
    messages: Vec<HistoryMessage>,
    #[serde(default)]
    response_metadata: ResponseMetadata,
}

#[derive(Deserialize)]
struct HistoryMessage {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

#[derive(Default, Deserialize)]
struct ResponseMetadata {
    #[serde(default)]
    next_cursor: String,
}

fn to_request(message: &Message, channel: &str) -> Value {
    let mut request = serde_json::to_value(message).expect("a message is JSON");
    request["channel"] = json!(channel);
    request
}

async fn in_time<T>(
    method: &'static str,
    call: impl Future<Output = std::result::Result<T, SlackClientError>>,
) -> Result<T> {
    let answer = tokio::time::timeout(TIMEOUT, call).await;
    let unknown = |problem: String| Error::Unknown { method, problem };
    let result = answer.map_err(|_| unknown(format!("no answer in {} s", TIMEOUT.as_secs())))?;
    let limited = |wait: Option<Duration>| Error::RateLimited {
        method,
        retry_after: wait.unwrap_or(UNTOLD_WAIT),
    };
    result.map_err(|error| match error {
        SlackClientError::ApiError(error) if LIMITED.contains(&error.code.as_str()) => {
            limited(None)
        }
        SlackClientError::ApiError(error) => Error::Refused {
            method,
            needed: needed(error.http_response_body.as_deref()),
            code: error.code,
        },
        SlackClientError::RateLimitError(error) => limited(error.retry_after),
        // The library's own texts quote answers, which may hold what people wrote.
        SlackClientError::HttpError(error) => unknown(format!("status {}", error.status_code)),
        SlackClientError::HttpProtocolError(error) => {
            let cause = error
                .cause
                .map_or_else(String::new, |cause| cause.to_string());
            unknown(format!(
                "{cause}; check the network, and SLACK_API_URL where it is set"
            ))
        }
        _ => unknown("an answer that is not Slack's".to_owned()),
    })
}

/// The scopes that a refusal names, where they are nothing but names of scopes.
fn needed(body: Option<&str>) -> Option<String> {
    let body: Value = serde_json::from_str(body?).ok()?;
    let named = body["needed"].as_str()?;
    let is_name = |c: char| c.is_ascii_lowercase() || ".:_,".contains(c);
    (!named.is_empty() && named.len() < 200 && named.chars().all(is_name)).then(|| named.to_owned())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
