use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::page::Page;
use super::{Installing, store, take};
use crate::app::App;
use crate::domain::sha256_hex;
use crate::error::ApiError;
use crate::slack::{Error, scopes};
use crate::store::now_ms;

/// How long a person may take on Slack's page.
const STATE_LIVES_S: i64 = 600;
/// Binds an installation to the browser that began it.
const COOKIE_NAME: &str = "iofold_install";
/// Hex digits of a state and of the cookie: 256 random bits each.
const SECRET_LEN: usize = 64;

/// `GET /slack/install`: sends a person to Slack's consent.
///
/// # Errors
/// Installing is not set up, and the database's.
pub async fn begin(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let installing = app.installing.as_ref().ok_or(ApiError::NotFound)?;
    let state = random();
    // A person with two tabs open keeps one cookie, so that both can be gone on with.
    let browser = cookie(&headers).map_or_else(random, str::to_owned);
    let expires_at_ms = now_ms() + STATE_LIVES_S * 1_000;
    let hashes = [&state, &browser].map(sha256_hex);
    store::insert_state(&app.db, &hashes[0], &hashes[1], expires_at_ms).await?;
    let scopes = scopes::wanted().join(",");
    let page = installing.oauth.authorize_url(&scopes, &state);
    let headers = [
        (SET_COOKIE, set_cookie(installing, &browser)),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Redirect::to(page.as_str())).into_response())
}

fn random() -> String {
    hex::encode(rand::random::<[u8; SECRET_LEN / 2]>())
}

fn set_cookie(installing: &Installing, browser: &str) -> String {
    let secure = match installing.public_url.scheme() {
        "https" => "; Secure",
        _ => "",
    };
    let path = installing.public_url.path();
    format!(
        "{COOKIE_NAME}={browser}; Path={path}slack; Max-Age={STATE_LIVES_S}; HttpOnly; SameSite=Lax{secure}"
    )
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let headers = headers.get_all(COOKIE).iter();
    let pairs = headers
        .filter_map(|header| header.to_str().ok())
        .flat_map(|text| text.split(';'));
    let mut values =
        pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
    values.find(|value| value.len() == SECRET_LEN && value.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What Slack sends people back with.
#[derive(Deserialize)]
pub struct Returned {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
}

/// `GET /slack/oauth/callback`: takes what the person decided on Slack's page.
///
/// # Errors
/// Installing is not set up, and the database's.
pub async fn complete(
    State(app): State<App>,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Result<Response, ApiError> {
    let installing = app.installing.as_ref().ok_or(ApiError::NotFound)?;
    let hashes = [
        returned.state.as_str(),
        cookie(&headers).unwrap_or_default(),
    ]
    .map(sha256_hex);
    let is_ours = store::take_state(&app.db, &hashes[0], &hashes[1]).await?;
    let code = match (&returned.error, &returned.code) {
        (Some(error), _) => return Ok(refused(error).into_response()),
        _ if !is_ours => return Ok(FOREIGN.into_response()),
        (None, Some(code)) => code,
        (None, None) => return Ok(FOREIGN.into_response()),
    };
    let grant = match installing.oauth.exchange(code).await {
        Ok(grant) => grant,
        Err(error) => return Ok(failed(&error).into_response()),
    };
    let row = take(&app, installing, &grant).await?;
    tracing::info!(slack.team = row.id, workspace.id = %row.workspace, "the Slack app was installed");
    Ok(installed(&row))
}

const FOREIGN: Page<'static> = Page {
    status: StatusCode::BAD_REQUEST,
    heading: "This page has expired",
    said: &[
        "An installation has to be finished in the browser that began it, within ten minutes, and once. \
         Nothing was installed.",
    ],
    again: true,
};

fn refused(error: &str) -> Page<'static> {
    let said: &[&str] = match error {
        "access_denied" => &["You cancelled on Slack's page, so nothing was installed."],
        _ => &[
            "Slack did not go through with it, so nothing was installed. Your team may want an admin's approval first.",
        ],
    };
    Page {
        status: StatusCode::OK,
        heading: "iofold is not installed",
        said,
        again: true,
    }
}

/// Why a consent led to no token. What only the operator can mend is in the log, with Slack's word for it.
fn failed(error: &Error) -> Page<'static> {
    tracing::warn!(%error, "an installation could not be completed");
    let (status, said): (_, &[&str]) = match error {
        Error::Refused { code, .. } if CODES.contains(&code.as_str()) => (
            StatusCode::BAD_REQUEST,
            &[
                "Slack's answer was used already, or is too old. If you have reloaded this page, iofold may be installed all the same.",
            ],
        ),
        Error::Refused { .. } => (
            StatusCode::BAD_GATEWAY,
            &[
                "Slack does not accept how iofold is set up, so nothing was installed. Whoever runs it finds the reason in its log: \
               the client's id and secret, or the redirect URL.",
            ],
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            &["Slack did not answer, so nothing was installed. Try again in a moment."],
        ),
    };
    Page {
        status,
        heading: "iofold is not installed",
        said,
        again: true,
    }
}

/// Slack's words for a code that gives nothing (docs.slack.dev, "oauth.v2.access").
const CODES: [&str; 3] = ["invalid_code", "code_already_used", "code_expired"];

fn installed(row: &store::Installation) -> Response {
    let name = match row.name.as_str() {
        "" => row.id.as_str(),
        name => name,
    };
    let heading = format!("iofold is installed in {name}");
    let next = match row.channel.as_str() {
        "" => {
            "In Slack, open the channel where people are to be asked, type /invite @iofold there, and then /iofold here."
        }
        _ => {
            "People are asked in the channel that is set already. Type /iofold here in another one to change it."
        }
    };
    let workspace = format!("Its workspace is {}.", row.workspace);
    Page {
        status: StatusCode::OK,
        heading: &heading,
        said: &[next, &workspace],
        again: false,
    }
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_cookie_of_ours_is_read() {
        let good = "a1".repeat(32);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, text.parse().unwrap());
            cookie(&headers).map(str::to_owned)
        };
        for text in [
            format!("iofold_install={good}"),
            format!("other=1; iofold_install={good}; x=y"),
            format!("iofold_install=short; iofold_install={good}"),
        ] {
            assert_eq!(read(&text).as_ref(), Some(&good), "{text}");
        }
        for text in [
            String::new(),
            "iofold_install=".to_owned(),
            format!("iofold_install={good}0"),
            format!("iofold_installed={good}"),
            format!("iofold_install={}", "zz".repeat(32)),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[test]
    fn every_failure_has_a_way_on_and_says_what_happened() {
        let refused_by = |code: &str| Error::refused("oauth.v2.access", code);
        let unknown = Error::Unknown {
            method: "oauth.v2.access",
            problem: "no answer in time".to_owned(),
        };
        let pages = [
            refused("access_denied"),
            refused("<b>"),
            failed(&refused_by("invalid_code")),
            failed(&refused_by("invalid_client_id")),
            failed(&unknown),
            FOREIGN,
        ];
        let said: std::collections::BTreeSet<_> = pages.iter().map(|page| page.said[0]).collect();
        assert_eq!(said.len(), pages.len());
        assert!(pages.iter().all(|page| page.again));
    }
}
