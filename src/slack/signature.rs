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

#[cfg(test)]
mod tests {
    use hmac::{Hmac, Mac};
    use sha2::Sha256;
    use slack_morphism::signature_verifier::SlackEventSignatureVerifierError as Error;

    use super::*;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

    fn headers(at: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-slack-request-timestamp", at),
            ("x-slack-signature", signature),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn slacks_own_example_is_signed_but_too_old() {
        // docs.slack.dev, "Verifying requests from Slack", step by step.
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let at = "1531420618";
        let hash = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let verifier = SlackEventSignatureVerifier::new(&SECRET.to_owned().into());
        // The signature is looked at first: only a right one is told that it is too old.
        let too_old = verifier.verify(hash, body, at);
        assert!(matches!(
            too_old,
            Err(Error::IncorrectOrExpiredTimestampError(_))
        ));
        let altered = verifier.verify(hash, &format!("{body} "), at);
        assert!(matches!(altered, Err(Error::WrongSignatureError(_))));
        assert!(!is_signed(
            &SECRET.into(),
            &headers(at, hash),
            body.as_bytes()
        ));
    }

    #[test]
    fn five_minutes_are_given_and_no_altered_byte_is() {
        let sign = |at: i64, body: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
            mac.update(format!("v0:{at}:").as_bytes());
            mac.update(body);
            let hash = hex::encode(mac.finalize().into_bytes());
            headers(&at.to_string(), &format!("v0={hash}"))
        };
        let (secret, body) = (SecretString::from(SECRET), "payload=%7B%7D👍".as_bytes());
        let now = chrono::Utc::now().timestamp();
        let is_fine = |headers: &HeaderMap, body: &[u8]| is_signed(&secret, headers, body);
        assert!(is_fine(&sign(now, body), body));
        assert!(is_fine(&sign(now - 240, body), body));
        assert!(!is_fine(&sign(now - 302, body), body));
        assert!(!is_fine(&sign(now + 360, body), body));
        assert!(!is_fine(&sign(now, body), &body[1..]));
        assert!(!is_fine(&sign(now, b"\xff"), b"\xff"), "it is no text");
        assert!(!is_fine(&HeaderMap::new(), body));
    }
}
