//! The stand-in's OAuth 2: the page where a team consents, codes, tokens that may rotate, and their end.
//!
//! The page offers several teams and an org; what they hold is this one team's, and only who they are differs.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Form, Query, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Slack;
use super::api::{Answer, Refusal};
use super::arguments::Arguments;
use super::state::{APP_ID, BOT_USER_ID, TEAM_ID, random_id};
use crate::domain::{escape_markup, same_secret};

/// The app's public id.
pub const CLIENT_ID: &str = "1000000001.1000000002";
/// The team that is not the playground's own.
pub const OTHER_TEAM_ID: &str = "T0OTHERTEAM";
/// The org, which installs for all of its teams.
pub const ORG_ID: &str = "E0ORG";

/// Who may consent: ids and names.
const TENANTS: [(&str, &str); 3] = [
    (TEAM_ID, "Playground"),
    (OTHER_TEAM_ID, "Other team"),
    (ORG_ID, "Org"),
];
/// A code is exchanged within this (docs.slack.dev, "Installing with OAuth").
const CODE_LIVES: Duration = Duration::from_secs(600);

struct Consent {
    tenant: &'static str,
    scope: String,
    redirect_uri: String,
    until: Instant,
}

#[derive(Clone)]
struct Token {
    tenant: &'static str,
    scope: String,
    /// `None`: for good.
    until: Option<Instant>,
    is_revoked: bool,
}

/// What the stand-in knows of installations; gone with a restart.
pub struct Desk {
    client_secret: String,
    lives: Option<Duration>,
    codes: HashMap<String, Consent>,
    tokens: HashMap<String, Token>,
    refresh_tokens: HashMap<String, Token>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            client_secret: random(),
            lives: None,
            codes: HashMap::new(),
            tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
        }
    }
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Desk {
    /// Tokens for a tenant, as `oauth.v2.access` answers with them.
    fn grant(&mut self, tenant: &'static str, scope: &str) -> Value {
        let token = Token {
            tenant,
            scope: scope.to_owned(),
            until: self.lives.map(|lives| Instant::now() + lives),
            is_revoked: false,
        };
        let is_org = tenant == ORG_ID;
        let party = json!({"id": tenant, "name": name_of(tenant)});
        let mut answer = json!({
            "ok": true, "token_type": "bot", "scope": scope, "bot_user_id": BOT_USER_ID, "app_id": APP_ID,
            "team": if is_org { Value::Null } else { party.clone() },
            "enterprise": if is_org { party } else { Value::Null },
            "authed_user": {"id": "U0INSTALLER"}, "is_enterprise_install": is_org,
        });
        let mut text = format!("xoxb-{}", random());
        if let Some(lives) = self.lives {
            text = format!("xoxe.{text}");
            let refresh = format!("xoxe-1-{}", random());
            answer["refresh_token"] = json!(refresh);
            answer["expires_in"] = json!(lives.as_secs());
            self.refresh_tokens.insert(refresh, token.clone());
        }
        answer["access_token"] = json!(text);
        self.tokens.insert(text, token);
        answer
    }
}

fn name_of(tenant: &str) -> &'static str {
    let known = TENANTS.iter().find(|(id, _)| *id == tenant);
    known.map_or("", |(_, name)| name)
}

impl Slack {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().expect("no holder of the lock panics")
    }

    /// The app's secret, beside [`CLIENT_ID`].
    pub fn client_secret(&self) -> SecretString {
        self.desk().client_secret.clone().into()
    }

    /// Where people are sent back to.
    fn redirect_url(&self) -> Url {
        let url = self.0.config.service_url.join("slack/oauth/callback");
        url.expect("a plain path can be joined")
    }

    /// Has tokens that are granted from now on live this long and be renewed; Slack's live 12 hours.
    pub fn rotate_tokens(&self, lives: Duration) {
        self.desk().lives = Some(lives);
    }

    /// Has every token that was granted so far reach its end.
    pub fn expire_tokens(&self) {
        let now = Instant::now();
        self.desk()
            .tokens
            .values_mut()
            .for_each(|token| token.until = Some(now));
    }

    /// Ends a tenant's installation: its tokens are good for nothing any more.
    pub fn end_installation(&self, tenant: &str) {
        let mut desk = self.desk();
        desk.refresh_tokens
            .retain(|_, token| token.tenant != tenant);
        let its = desk
            .tokens
            .values_mut()
            .filter(|token| token.tenant == tenant);
        its.for_each(|token| token.is_revoked = true);
    }

    /// How many renewals a tenant has left: one for each refresh token that is not used yet.
    pub fn refresh_tokens(&self, tenant: &str) -> usize {
        let desk = self.desk();
        desk.refresh_tokens
            .values()
            .filter(|token| token.tenant == tenant)
            .count()
    }

    /// Whether a granted token is good; `None` where it was not granted by a consent.
    pub(super) fn granted(&self, token: &str) -> Option<Result<(), Refusal>> {
        let desk = self.desk();
        let token = desk.tokens.get(token)?;
        let has_ended = token.until.is_some_and(|until| Instant::now() >= until);
        Some(match (token.is_revoked, has_ended) {
            (true, _) => Err(Refusal::Error("token_revoked")),
            (_, true) => Err(Refusal::Error("token_expired")),
            _ => Ok(()),
        })
    }

    /// `auth.test` for a granted token: the answer is its tenant's.
    pub(super) fn identity_of(&self, token: Option<&str>, mut identity: Value) -> Value {
        let desk = self.desk();
        if let Some(token) = token.and_then(|token| desk.tokens.get(token)) {
            identity["team_id"] = json!(token.tenant);
            identity["team"] = json!(name_of(token.tenant));
            identity["is_enterprise_install"] = json!(token.tenant == ORG_ID);
        }
        identity
    }
}

/// The page of consent, and the two methods that no bot token opens.
pub fn routes() -> Router<Slack> {
    Router::new()
        .route("/oauth/v2/authorize", get(page).post(decide))
        .route("/api/oauth.v2.access", any(access))
        .route("/api/auth.revoke", any(revoke))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    redirect_uri: Option<String>,
}

impl Asked {
    /// Where to send the person back.
    fn checked(&self, slack: &Slack) -> Result<Url, &'static str> {
        if self.client_id != CLIENT_ID {
            return Err("invalid_client_id");
        }
        if self.scope.is_empty() {
            return Err("no_scopes");
        }
        let registered = slack.redirect_url();
        match &self.redirect_uri {
            None => Ok(registered),
            Some(uri) if uri.starts_with(registered.as_str()) => {
                uri.parse().map_err(|_| "bad_redirect_uri")
            }
            Some(_) => Err("bad_redirect_uri"),
        }
    }
}

fn refused(error: &str) -> Response {
    let page =
        format!("<!doctype html><title>Slack</title><h1>Something went wrong</h1><p>{error}</p>");
    (StatusCode::BAD_REQUEST, Html(page)).into_response()
}

async fn page(Shared(slack): Shared<Slack>, Query(asked): Query<Asked>) -> Response {
    if let Err(error) = asked.checked(&slack) {
        return refused(error);
    }
    let scopes = asked
        .scope
        .split(',')
        .map(|scope| format!("<li>{}</li>", escape_markup(scope)));
    let option = |(id, name): &(&str, &str)| format!("<option value=\"{id}\">{name}</option>");
    let (scopes, teams) = (
        scopes.collect::<String>(),
        TENANTS.iter().map(option).collect::<String>(),
    );
    Html(format!(
        "<!doctype html><html lang=\"en\"><title>Slack</title><h1>iofold asks to join</h1><form method=\"post\">\
         <label>Team <select name=\"team\">{teams}</select></label><p>It may:</p><ul>{scopes}</ul>\
         <button name=\"decision\" value=\"allow\">Allow</button> \
         <button name=\"decision\" value=\"cancel\">Cancel</button></form></html>"
    ))
    .into_response()
}

#[derive(Deserialize)]
struct Decision {
    team: String,
    decision: String,
}

async fn decide(
    Shared(slack): Shared<Slack>,
    Query(asked): Query<Asked>,
    Form(made): Form<Decision>,
) -> Response {
    let mut back = match asked.checked(&slack) {
        Ok(back) => back,
        Err(error) => return refused(error),
    };
    let registered = back.to_string();
    let tenant = TENANTS.iter().find(|(id, _)| *id == made.team);
    let (name, value) = match (made.decision.as_str(), tenant) {
        ("allow", Some((tenant, _))) => {
            let code = format!("{}.{}", random_id(), random());
            let consent = Consent {
                tenant,
                scope: asked.scope.clone(),
                redirect_uri: asked.redirect_uri.clone().unwrap_or(registered),
                until: Instant::now() + CODE_LIVES,
            };
            slack.desk().codes.insert(code.clone(), consent);
            ("code", code)
        }
        _ => ("error", "access_denied".to_owned()),
    };
    back.query_pairs_mut()
        .append_pair(name, &value)
        .append_pair("state", &asked.state);
    Redirect::to(back.as_str()).into_response()
}

/// Client id and secret, from the header or from fields.
fn client(headers: &HeaderMap, arguments: &Arguments) -> (String, String) {
    let basic = || {
        let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let decoded = BASE64_STANDARD
            .decode(header.strip_prefix("Basic ")?)
            .ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    };
    let fields = || (arguments.text("client_id"), arguments.text("client_secret"));
    basic().unwrap_or_else(fields)
}

async fn access(
    Shared(slack): Shared<Slack>,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    let arguments = Arguments::read(&headers, &query, &body).map_err(Refusal::from);
    answered(arguments.and_then(|arguments| {
        let (id, secret) = client(&headers, &arguments);
        let mut desk = slack.desk();
        if id != CLIENT_ID {
            return Err("invalid_client_id".into());
        }
        if !same_secret(&secret, &desk.client_secret) {
            return Err("bad_client_secret".into());
        }
        match arguments.text("grant_type").as_str() {
            "" | "authorization_code" => exchange(&mut desk, &arguments),
            "refresh_token" => renew(&mut desk, &arguments.text("refresh_token")),
            _ => Err("invalid_grant_type".into()),
        }
    }))
}

fn exchange(desk: &mut Desk, arguments: &Arguments) -> Answer {
    let code = arguments.text("code");
    let consent = desk.codes.get(&code).ok_or("invalid_code")?;
    let redirect = arguments.optional("redirect_uri");
    if redirect.is_some_and(|uri| uri != consent.redirect_uri) {
        return Err("bad_redirect_uri".into());
    }
    let consent = desk.codes.remove(&code).ok_or("invalid_code")?;
    if Instant::now() >= consent.until {
        return Err("invalid_code".into());
    }
    Ok(desk.grant(consent.tenant, &consent.scope))
}

fn renew(desk: &mut Desk, refresh_token: &str) -> Answer {
    let used = desk.refresh_tokens.remove(refresh_token);
    let used = used.ok_or("invalid_refresh_token")?;
    Ok(desk.grant(used.tenant, &used.scope))
}

async fn revoke(
    Shared(slack): Shared<Slack>,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    let arguments = Arguments::read(&headers, &query, &body).map_err(Refusal::from);
    answered(arguments.and_then(|arguments| {
        let token = arguments.token.as_deref().ok_or("not_authed")?;
        slack.granted(token).unwrap_or(Err("invalid_auth".into()))?;
        let is_test = arguments.is_set("test");
        if let Some(token) = slack.desk().tokens.get_mut(token) {
            token.is_revoked = !is_test;
        }
        Ok(json!({"revoked": !is_test}))
    }))
}

fn answered(answer: Answer) -> Response {
    match answer {
        Ok(mut fields) => {
            fields["ok"] = json!(true);
            Json(fields).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
