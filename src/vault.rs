//! Secrets at rest: sealed with one key, and bound to the place where they are kept.
//!
//! What comes in is a secret and its place, such as a row's id and column; what comes out is text for a column. A sealed
//! text opens with the same key at the same place only, so one that is copied into another row is refused there.
//! The form is base64 of a version byte, the nonce and the ciphertext with its tag (XChaCha20-Poly1305); the version names
//! cipher and key, so that a later key can stand beside this one.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::store;

const VERSION: u8 = 1;
/// Long enough to be drawn at random for every secret (draft-irtf-cfrg-xchacha, section 2).
const NONCE_LEN: usize = 24;

/// The key: 32 bytes, never shown.
pub struct Key(SecretBox<[u8; 32]>);

impl Clone for Key {
    fn clone(&self) -> Self {
        Self::of(*self.0.expose_secret())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The text is not 32 bytes in base64 or hex.
#[derive(Debug)]
pub struct NotAKey;

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let bytes = hex::decode(text).or_else(|_| BASE64_STANDARD.decode(text));
        let bytes = Zeroizing::new(bytes.map_err(|_| NotAKey)?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| NotAKey)?;
        Ok(Self::of(bytes))
    }
}

impl Key {
    fn of(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The key beside an embedded database, which is made where there is none yet.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds no key; and a database on a server, which has no place beside it.
    pub fn beside(database_url: &str) -> anyhow::Result<Self> {
        let Some(database) = store::embedded_path(database_url) else {
            bail!("IOFOLD_SECRET_KEY is not set. Make one with `openssl rand -base64 32`");
        };
        let path = PathBuf::from(format!("{database}.key"));
        let file = path.display();
        make(&path).with_context(|| format!("the key {file} cannot be made"))?;
        let text = std::fs::read_to_string(&path);
        let text = Zeroizing::new(text.with_context(|| format!("the key {file} cannot be read"))?);
        text.parse().map_err(|NotAKey| {
            anyhow::anyhow!("{file} holds no key; put the right one back, or remove it and install again in Slack")
        })
    }
}

/// Writes a new key, whole or not at all; one that is there already stays.
fn make(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    // Such a file is for its owner alone from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    writeln!(file, "{}", BASE64_STANDARD.encode(*bytes))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        // Another process that starts just now was quicker.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done.map(drop).map_err(|error| error.error),
    }
}

/// Why a sealed text does not open.
#[derive(Debug, thiserror::Error)]
#[error("the secret was sealed with another key or for another place, or is damaged")]
pub struct Unopenable;

/// Seals and opens.
pub struct Vault(XChaCha20Poly1305);

impl Vault {
    /// A vault of this key.
    pub fn new(key: &Key) -> Self {
        Self(XChaCha20Poly1305::new(key.0.expose_secret().into()))
    }

    /// `secret`, to be kept at `place`.
    pub fn seal(&self, place: &str, secret: &SecretString) -> String {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a token is shorter than the cipher's limit");
        BASE64_STANDARD.encode([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// The secret that was sealed for `place`.
    pub fn open(&self, place: &str, sealed: &str) -> Result<SecretString, Unopenable> {
        let bytes = BASE64_STANDARD.decode(sealed).map_err(|_| Unopenable)?;
        let (version, rest) = bytes.split_first().ok_or(Unopenable)?;
        let (nonce, msg) = rest.split_at_checked(NONCE_LEN).ok_or(Unopenable)?;
        if *version != VERSION {
            return Err(Unopenable);
        }
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| Unopenable)?;
        let aad = place.as_bytes();
        let opened = self.0.decrypt(&XNonce::from(nonce), Payload { msg, aad });
        let text = String::from_utf8(opened.map_err(|_| Unopenable)?);
        Ok(SecretString::from(text.map_err(|_| Unopenable)?))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&Key::of([byte; 32]))
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_at_its_place_with_its_key_alone(secret in ".*", place in ".*", other in ".*") {
            let sealed = vault(1).seal(&place, &SecretString::from(secret.as_str()));
            let opened = vault(1).open(&place, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), &secret);
            prop_assert_eq!(vault(1).open(&other, &sealed).is_ok(), other == place);
            prop_assert!(vault(2).open(&place, &sealed).is_err());
        }

        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..200, flip in 1u8..=255) {
            let sealed = vault(1).seal("row", &SecretString::from("xoxb-1"));
            let mut bytes = BASE64_STANDARD.decode(sealed).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(vault(1).open("row", &BASE64_STANDARD.encode(bytes)).is_err());
        }

        #[test]
        fn what_was_never_sealed_does_not_open(text in ".*") {
            prop_assert!(vault(1).open("row", &text).is_err());
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let secret = SecretString::from("xoxb-1");
        let sealed = [0, 1].map(|_| vault(1).seal("row", &secret));
        assert_ne!(sealed[0], sealed[1]);
    }

    #[test]
    fn a_key_is_read_from_hex_and_base64_and_nothing_else_and_never_shown() {
        let hexed = hex::encode([7; 32]);
        for text in [
            hexed.clone(),
            BASE64_STANDARD.encode([7; 32]),
            format!(" {hexed}\n"),
        ] {
            let key: Key = text.parse().ok().unwrap();
            assert_eq!(key.0.expose_secret(), &[7; 32]);
            assert!(!format!("{key:?}").contains("07"));
        }
        for text in [
            "",
            "secret",
            &hex::encode([7; 31]),
            &BASE64_STANDARD.encode([7; 33]),
        ] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_made_once_beside_an_embedded_database_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("iofold.db");
        let url = format!("sqlite://{}", database.display());
        let keys = [0, 1].map(|_| *Key::beside(&url).unwrap().0.expose_secret());
        assert_eq!(keys[0], keys[1]);
        let path = folder.path().join("iofold.db.key");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "nonsense").unwrap();
        let error = Key::beside(&url).unwrap_err().to_string();
        assert!(error.contains("iofold.db.key"), "{error}");
        assert!(Key::beside("postgres://host/db").is_err());
    }
}
