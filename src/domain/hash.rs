use sha2::{Digest, Sha256};

/// SHA-256 of bytes, or of a text's UTF-8, in lower-case hex.
pub fn sha256_hex(of: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(of))
}
