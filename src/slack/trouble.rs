use std::time::Duration;

use super::socket::OPEN_SOCKET;

/// Why a call to Slack failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Slack said no; nothing happened. `code` is Slack's word for it.
    #[error("Slack refused {method}: {code}. {}", advice(method, code, needed.as_deref()))]
    Refused {
        /// The Web API method.
        method: &'static str,
        /// `channel_not_found`, `invalid_auth`, …
        code: String,
        /// The scopes that Slack misses, where it names them.
        needed: Option<String>,
    },
    /// Too many calls; nothing happened.
    #[error("Slack asks to wait {} s before {method}", retry_after.as_secs())]
    RateLimited {
        /// The Web API method.
        method: &'static str,
        /// How long to wait.
        retry_after: Duration,
    },
    /// No answer, or one that is none: whether it happened is unknown.
    #[error("Slack did not answer {method}: {problem}")]
    Unknown {
        /// The Web API method.
        method: &'static str,
        /// For the log.
        problem: String,
    },
}

impl Error {
    /// What posting in a channel is refused with, which Slack has said beforehand.
    pub fn of_channel(code: &'static str) -> Self {
        Self::refused("chat.postMessage", code)
    }

    /// A refusal that names no scopes.
    pub fn refused(method: &'static str, code: &str) -> Self {
        Self::Refused {
            method,
            code: code.to_owned(),
            needed: None,
        }
    }

    /// Whether the call may have taken effect although it failed.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Refused { code, .. } => PASSING.contains(&code.as_str()),
            Self::RateLimited { .. } => false,
        }
    }

    /// Whether Slack refuses what this message holds, while others may pass.
    pub fn concerns_the_content(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if UNACCEPTABLE.contains(&code.as_str()))
    }

    /// Whether Slack refuses this app, so that no call can pass until a person helps.
    pub fn concerns_the_connection(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if UNCONNECTED.contains(&code.as_str()))
    }

    /// Whether Slack refuses the channel as it is, or this app in it.
    pub fn concerns_the_channel(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if UNUSABLE.contains(&code.as_str()))
    }

    /// Whether nothing can be posted until a person helps.
    pub fn needs_a_person(&self) -> bool {
        self.concerns_the_connection() || self.concerns_the_channel()
    }

    /// Whether the message is not there any more.
    pub fn says_that_it_is_gone(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "message_not_found")
    }

    /// Whether a view was to be changed that has been changed since, or closed.
    pub fn is_about_a_view_that_moved_on(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if MOVED_ON.contains(&code.as_str()))
    }

    /// Slack's word, where it refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether trying again later can help without a person.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unknown { .. } => true,
            Self::Refused { code, .. } => PASSING.contains(&code.as_str()),
        }
    }
}

/// Slack's errors that pass by themselves (docs.slack.dev, "Web API errors").
const PASSING: [&str; 7] = [
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
    "external_channel_migrating",
    "update_failed",
];

/// Slack's errors about the token, the app or the team (docs.slack.dev, "Web API errors").
const UNCONNECTED: [&str; 16] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "org_login_required",
    "enterprise_is_restricted",
    "ekm_access_denied",
    "access_denied",
    "accesslimited",
    "team_access_not_granted",
    "two_factor_setup_required",
    "method_deprecated",
];

/// Slack's errors about the channel (docs.slack.dev, "chat.postMessage").
const UNUSABLE: [&str; 5] = [
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "restricted_action_read_only_channel",
];

/// Slack's errors about a view that is not the one that was seen (docs.slack.dev, "views.update").
const MOVED_ON: [&str; 2] = ["hash_conflict", "not_found"];

/// What a person can do where Socket Mode does not open.
const SOCKET_ADVICE: &str = "On the Slack app's page switch Socket Mode on, and under Basic Information, App-Level \
    Tokens, make a token with the scope connections:write for SLACK_APP_TOKEN";

/// Slack's words for too many calls where it does not answer with status 429.
pub(super) const LIMITED: [&str; 2] = ["ratelimited", "rate_limited"];

/// Slack's errors about a message's content (docs.slack.dev, "chat.postMessage").
const UNACCEPTABLE: [&str; 7] = [
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_metadata_format",
    "metadata_too_large",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
];

/// What a person can do about Slack's `code`; `needed` are the scopes that it names.
pub(super) fn advice(method: &str, code: &str, needed: Option<&str>) -> String {
    if method == OPEN_SOCKET && !PASSING.contains(&code) {
        return SOCKET_ADVICE.to_owned();
    }
    let scopes = needed.map_or_else(
        || "the scopes of slack-manifest.yml".to_owned(),
        |needed| format!("the scope {needed}, as slack-manifest.yml has it"),
    );
    match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "Install the app again where it was installed, or copy the Bot User OAuth Token again into SLACK_BOT_TOKEN"
                .to_owned()
        }
        "not_allowed_token_type" => {
            "SLACK_BOT_TOKEN takes the Bot User OAuth Token (xoxb-…), no other".to_owned()
        }
        "missing_scope" | "no_permission" => format!("Reinstall the app with {scopes}"),
        "channel_not_found" => {
            "Set SLACK_CHANNEL to the id (C…) of a channel that is there; invite the app with /invite where it is private"
                .to_owned()
        }
        "not_in_channel" => "Invite the app to the channel with /invite".to_owned(),
        "is_archived" => "Unarchive the channel, or set SLACK_CHANNEL to another".to_owned(),
        "restricted_action" | "restricted_action_read_only_channel" => {
            "Let the app post in the channel: an admin has restricted who may".to_owned()
        }
        "team_access_not_granted" | "org_login_required" | "enterprise_is_restricted"
        | "ekm_access_denied" | "access_denied" | "accesslimited" => {
            "Ask an admin of the Slack team to let the app in".to_owned()
        }
        _ => "See docs.slack.dev for this error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, needed: Option<&str>) -> Error {
        let needed = needed.map(str::to_owned);
        let code = code.to_owned();
        let method = "chat.postMessage";
        Error::Refused {
            method,
            code,
            needed,
        }
    }

    #[test]
    fn what_needs_a_person_says_what_to_do() {
        for code in UNCONNECTED.iter().chain(&UNUSABLE) {
            let error = refused(code, None);
            assert!(error.needs_a_person() && !error.is_transient(), "{code}");
        }
        let said = refused("missing_scope", Some("chat:write")).to_string();
        assert!(said.ends_with("missing_scope. Reinstall the app with the scope chat:write, as slack-manifest.yml has it"), "{said}");
        for code in [
            "is_archived",
            "not_in_channel",
            "channel_not_found",
            "token_revoked",
        ] {
            let said = refused(code, None).to_string();
            assert!(!said.contains("docs.slack.dev"), "{said}");
        }
        assert!(!refused("msg_too_long", None).needs_a_person());
        assert!(!refused("internal_error", None).needs_a_person());
    }
}
