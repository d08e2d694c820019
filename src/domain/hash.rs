use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of bytes, or of a text's UTF-8, in lower-case hex.
pub fn sha256_hex(of: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(of))
}

/// Whether two secrets are the same, in a time that tells neither how much of them is nor how long they are.
pub fn same_secret(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(Sha256::digest);
    one.ct_eq(&other).into()
}
