//! Bearer tokens that the environment names.

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// Whether a request carries the token that the variable `name` holds. Compared in constant time, whatever
/// the lengths are.
///
/// # Errors
/// [`ApiError::BadToken`] where it does not, or where no token is set.
pub fn check(
    headers: &HeaderMap,
    token: Option<&SecretString>,
    name: &'static str,
) -> Result<(), ApiError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match (given, token) {
        (Some(given), Some(token)) if is_same(given, token.expose_secret()) => Ok(()),
        _ => Err(ApiError::BadToken { name }),
    }
}

fn is_same(one: &str, other: &str) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(given: Option<&'static str>, token: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(header::AUTHORIZATION, given.parse().expect("it is ASCII"));
        }
        let token = token.map(SecretString::from);
        check(&headers, token.as_ref(), "TOKEN").is_ok()
    }

    #[test]
    fn the_whole_token_lets_in_and_nothing_else_does() {
        assert!(is_let_in(Some("Bearer s3cret"), Some("s3cret")));
        assert!(is_let_in(Some("bearer  s3cret "), Some("s3cret")));
        for given in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer ",
            "Bearer",
            "Basic s3cret",
            "s3cret",
        ] {
            assert!(!is_let_in(Some(given), Some("s3cret")), "{given}");
        }
        assert!(!is_let_in(None, Some("s3cret")));
        assert!(!is_let_in(Some("Bearer "), None));
        assert!(!is_let_in(Some("Bearer s3cret"), None), "none is set");
    }
}
