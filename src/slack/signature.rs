use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use slack_morphism::prelude::SlackSigningSecret;
use slack_morphism::signature_verifier::SlackEventSignatureVerifier;

/// Whether Slack signed these bytes within the last five minutes (docs.slack.dev, "Verifying requests").
pub fn is_signed(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(hash), Some(timestamp), Ok(body)) = (
        header(SlackEventSignatureVerifier::SLACK_SIGNED_HASH_HEADER),
        header(SlackEventSignatureVerifier::SLACK_SIGNED_TIMESTAMP),
        std::str::from_utf8(body),
    ) else {
        return false;
    };
    let secret = SlackSigningSecret::new(secret.expose_secret().to_owned());
    SlackEventSignatureVerifier::new(&secret)
        .verify(hash, body, timestamp)
        .is_ok()
}
