//! AWS Signature Version 4 of a request with a body, as AWS's SDKs sign one.
//!
//! Source: AWS, "Signature Version 4 for API requests". Only the header form, and only with the body's hash: a
//! signature that leaves the body out is refused.

use axum::http::{HeaderMap, Method, Uri};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Clocks may differ so much, in seconds; as much as AWS allows would be longer.
const SKEW_SECONDS: i64 = 300;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A key that the sender signs with.
#[derive(Clone, Debug)]
pub struct Key {
    /// Not secret.
    pub id: String,
    /// The secret half.
    pub secret: SecretString,
}

/// What was signed.
pub struct Signed<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// Whether `key` signed the request within five minutes of `now` (seconds since 1970).
pub fn is_signed(request: &Signed<'_>, key: &Key, now: i64) -> bool {
    signed(request, key, now).unwrap_or(false)
}

fn signed(request: &Signed<'_>, key: &Key, now: i64) -> Option<bool> {
    let authorization = request.headers.get("authorization")?.to_str().ok()?;
    let fields = authorization.strip_prefix(ALGORITHM)?;
    let field = |name: &str| {
        let mut fields = fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let scope = field("Credential")?
        .strip_prefix(&key.id)?
        .strip_prefix('/')?;
    let parts: Vec<&str> = scope.split('/').collect();
    let [date, _, _, "aws4_request"] = parts[..] else {
        return None;
    };
    let time = request.headers.get("x-amz-date")?.to_str().ok()?;
    let at = chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").ok()?;
    if (at.and_utc().timestamp() - now).abs() > SKEW_SECONDS || !time.starts_with(date) {
        return None;
    }
    let names = field("SignedHeaders")?;
    // Or the request could be sent on to another host, and at another time.
    if !["host", "x-amz-date"]
        .iter()
        .all(|needed| names.split(';').any(|name| name == *needed))
    {
        return None;
    }
    let canonical = hex::encode(Sha256::digest(canonical(request, names)?));
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{canonical}");
    let secret = format!("AWS4{}", key.secret.expose_secret()).into_bytes();
    let signing = parts.iter().fold(secret, |key, part| hmac(&key, part));
    let expected = hex::encode(hmac(&signing, &to_sign));
    Some(
        expected
            .as_bytes()
            .ct_eq(field("Signature")?.as_bytes())
            .into(),
    )
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length is fine");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn canonical(request: &Signed<'_>, names: &str) -> Option<String> {
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        encoded(request.uri.path()),
        canonical_query(request.uri.query().unwrap_or_default())
    );
    for name in names.split(';') {
        let values = request.headers.get_all(name).iter();
        let values: Vec<String> = values
            .map(|value| {
                Some(
                    value
                        .to_str()
                        .ok()?
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "),
                )
            })
            .collect::<Option<_>>()?;
        if values.is_empty() {
            return None;
        }
        text.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let body = hex::encode(Sha256::digest(request.body));
    text.push_str(&format!("\n{names}\n{body}"));
    Some(text)
}

/// The path as it came, encoded once more: so every service but S3 has it.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// The parameters in order; they came encoded.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> = pairs
        .map(|pair| match pair.contains('=') {
            true => pair.to_owned(),
            false => format!("{pair}="),
        })
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's published test suite: "get-vanilla".
    fn vanilla(authorization: &str, time: &str, now: i64) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "example.amazonaws.com"),
            ("x-amz-date", time),
            ("authorization", authorization),
        ] {
            headers.insert(name, value.parse().expect("it is ASCII"));
        }
        let key = Key {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        };
        let request = Signed {
            method: &Method::GET,
            uri: &Uri::from_static("/"),
            headers: &headers,
            body: b"",
        };
        is_signed(&request, &key, now)
    }

    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    const TIME: &str = "20150830T123600Z";
    const AT: i64 = 1_440_938_160;

    #[test]
    fn the_published_example_is_signed_and_nothing_else_is() {
        assert!(vanilla(GOOD, TIME, AT) && vanilla(GOOD, TIME, AT + 300));
        assert!(
            !vanilla(GOOD, TIME, AT + 301) && !vanilla(GOOD, TIME, AT - 301),
            "too old, too new"
        );
        assert!(!vanilla(GOOD, "20150830T123601Z", AT), "another time");
        for (from, to) in [
            ("AKIDEXAMPLE", "AKIDOTHER"),
            ("us-east-1", "us-east-2"),
            ("host;x-amz-date", "x-amz-date"),
            ("host;x-amz-date", "host"),
            ("host;x-amz-date", "host;x-amz-date;x-none"),
            ("5fa0", "5fa1"),
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            (", Signature", ", Other"),
        ] {
            assert!(!vanilla(&GOOD.replace(from, to), TIME, AT), "{to}");
        }
        assert!(!vanilla("", TIME, AT) && !vanilla(GOOD, "now", AT));
    }

    #[test]
    fn paths_are_encoded_once_more_and_queries_stand_in_order() {
        assert_eq!(
            encoded("/functions/a%3Ab/invocations"),
            "/functions/a%253Ab/invocations"
        );
        assert_eq!(canonical_query("b=2&a&c="), "a=&b=2&c=");
    }
}
