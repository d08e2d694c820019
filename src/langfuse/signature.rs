//! Langfuse's webhook signatures: `x-langfuse-signature: t=<unix seconds>,v1=<hex>`.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How far a delivery's time may be off, before or after. Langfuse names no tolerance.
const TOLERANCE_S: u64 = 300;

/// Why a delivery is not believed. Nobody is told which, so that nothing can be tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistrust {
    /// The header is not `t=…,v1=…`.
    #[error("the signature header cannot be read")]
    Unreadable,
    /// More than five minutes off.
    #[error("the signature's time is more than five minutes off")]
    OutOfTime,
    /// None of the signatures is this secret's over these bytes.
    #[error("the signature is wrong")]
    Wrong,
}

/// Checks that `secret` signed `body` within five minutes of `now_unix`.
///
/// `v1` is the HMAC-SHA256 of `<t>.<body>` with the secret as text, prefix included, in hex. Several
/// `v1` may be given, as while a secret is being replaced; one has to be right. Signatures are compared
/// in constant time.
pub fn verify(secret: &str, header: &str, body: &[u8], now_unix: i64) -> Result<(), Mistrust> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) => time = Some(text),
            Some(("v1", text)) => signatures.push(text),
            _ => {}
        }
    }
    let time = time.ok_or(Mistrust::Unreadable)?;
    let seconds: i64 = time.parse().map_err(|_| Mistrust::Unreadable)?;
    if signatures.is_empty() {
        return Err(Mistrust::Unreadable);
    }
    if seconds.abs_diff(now_unix) > TOLERANCE_S {
        return Err(Mistrust::OutOfTime);
    }
    let mac = keyed(secret, time, body);
    let is_right = |signature: &&str| {
        let bytes = hex::decode(signature);
        bytes.is_ok_and(|bytes| mac.clone().verify_slice(&bytes).is_ok())
    };
    signatures
        .iter()
        .any(is_right)
        .then_some(())
        .ok_or(Mistrust::Wrong)
}

/// The header that Langfuse would send with `body` at `now_unix`.
pub fn sign(secret: &str, body: &[u8], now_unix: i64) -> String {
    let mac = keyed(secret, &now_unix.to_string(), body);
    format!(
        "t={now_unix},v1={}",
        hex::encode(mac.finalize().into_bytes())
    )
}

fn keyed(secret: &str, time: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "lf-whsec_0011";
    const NOW: i64 = 1_760_000_000;

    #[test]
    fn the_signature_is_the_hmac_of_time_dot_body() {
        // Computed with: printf '1760000000.{}' | openssl dgst -sha256 -hmac lf-whsec_0011
        let expected = "074fd83a60d38e3b15e2ada432cee542412963ce13116003e0d7af6c1263b56a";
        assert_eq!(sign(SECRET, b"{}", NOW), format!("t={NOW},v1={expected}"));
    }

    #[test]
    fn five_minutes_off_is_believed_and_a_second_more_is_not() {
        let header = sign(SECRET, b"{}", NOW);
        for (now, expected) in [
            (NOW, Ok(())),
            (NOW + 300, Ok(())),
            (NOW - 300, Ok(())),
            (NOW + 301, Err(Mistrust::OutOfTime)),
            (NOW - 301, Err(Mistrust::OutOfTime)),
            (i64::MIN, Err(Mistrust::OutOfTime)),
        ] {
            assert_eq!(verify(SECRET, &header, b"{}", now), expected, "{now}");
        }
    }

    #[test]
    fn anything_but_the_right_signature_over_these_bytes_is_refused() {
        let header = sign(SECRET, b"{}", NOW);
        let moved = header.replacen(&NOW.to_string(), &(NOW + 1).to_string(), 1);
        assert_eq!(
            verify("lf-whsec_0012", &header, b"{}", NOW),
            Err(Mistrust::Wrong)
        );
        assert_eq!(verify(SECRET, &header, b"{ }", NOW), Err(Mistrust::Wrong));
        assert_eq!(verify(SECRET, &moved, b"{}", NOW), Err(Mistrust::Wrong));
        let (time, signature) = header.split_once(',').expect("it has two parts");
        for unreadable in ["", time, signature, "t=soon,v1=00", "t=,v1=", ",,,"] {
            assert_eq!(
                verify(SECRET, unreadable, b"{}", NOW),
                Err(Mistrust::Unreadable)
            );
        }
        for wrong in ["", "zz", "00", &"00".repeat(32)] {
            let header = format!("{time},v1={wrong}");
            assert_eq!(verify(SECRET, &header, b"{}", NOW), Err(Mistrust::Wrong));
        }
    }

    #[test]
    fn one_right_signature_among_several_is_enough() {
        let header = sign(SECRET, b"{}", NOW).replacen("v1=", "v1=00,v1=", 1);
        assert_eq!(verify(SECRET, &header, b"{}", NOW), Ok(()));
    }

    proptest! {
        #[test]
        fn what_was_signed_is_believed(secret: String, body: Vec<u8>) {
            let header = sign(&secret, &body, NOW);
            prop_assert_eq!(verify(&secret, &header, &body, NOW), Ok(()));
        }

        #[test]
        fn no_header_makes_it_panic(header: String) {
            prop_assert!(verify(SECRET, &header, b"", NOW).is_err());
        }
    }
}
