use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use rand::Rng;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::PlaceConfig;
use super::journal::make_folder;

/// What only the service may know. Random, so that another program on this machine cannot guess it.
pub struct Secrets {
    /// `xoxb-…`.
    pub bot_token: SecretString,
    /// `xapp-…`.
    pub app_token: SecretString,
    /// Signs interactions.
    pub signing_secret: SecretString,
    keys: BTreeMap<String, Keys>,
}

/// A project's API keys.
pub struct Keys {
    /// `pk-lf-…`.
    pub public: String,
    /// `sk-lf-…`.
    pub secret: SecretString,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
struct Kept {
    bot_token: String,
    #[serde(default = "app_token")]
    app_token: String,
    signing_secret: String,
    keys: BTreeMap<String, (String, String)>,
}

impl Secrets {
    /// The folder's secrets; what is missing is made, and kept where there is a folder.
    pub fn open(folder: Option<&Path>, places: &[PlaceConfig]) -> anyhow::Result<Self> {
        let path = folder.map(|folder| folder.join("secrets.json"));
        let mut kept = match &path {
            Some(path) if path.exists() => read(path)?,
            _ => Kept::random(),
        };
        for place in places {
            let keys = kept.keys.entry(place.workspace.clone());
            keys.or_insert_with(|| {
                (
                    format!("pk-lf-{}", random(16)),
                    format!("sk-lf-{}", random(16)),
                )
            });
        }
        if let Some(path) = &path {
            write(path, &kept)?;
        }
        Ok(kept.into())
    }

    /// The keys of a workspace's project.
    pub fn keys_of(&self, workspace: &str) -> &Keys {
        self.keys
            .get(workspace)
            .expect("keys are made for every place")
    }
}

impl Kept {
    fn random() -> Self {
        Self {
            bot_token: format!("xoxb-{}", random(24)),
            app_token: app_token(),
            signing_secret: random(16),
            keys: BTreeMap::new(),
        }
    }
}

impl From<Kept> for Secrets {
    fn from(kept: Kept) -> Self {
        let keys = |(public, secret): (String, String)| Keys {
            public,
            secret: secret.into(),
        };
        Self {
            bot_token: kept.bot_token.into(),
            app_token: kept.app_token.into(),
            signing_secret: kept.signing_secret.into(),
            keys: kept
                .keys
                .into_iter()
                .map(|(name, pair)| (name, keys(pair)))
                .collect(),
        }
    }
}

fn app_token() -> String {
    format!("xapp-1-{}", random(24))
}

fn random(bytes: usize) -> String {
    let mut key = vec![0u8; bytes];
    rand::rng().fill(&mut key[..]);
    hex::encode(key)
}

fn read(path: &Path) -> anyhow::Result<Kept> {
    let advice = || {
        format!(
            "cannot read {}; remove the folder to start anew",
            path.display()
        )
    };
    let text = std::fs::read(path).with_context(advice)?;
    serde_json::from_slice(&text).with_context(advice)
}

/// Written beside, then renamed: a crash leaves the old or the new file. Only its owner reads it.
fn write(path: &Path, kept: &Kept) -> anyhow::Result<()> {
    let advice = || format!("cannot write {}", path.display());
    let folder = path.parent().context("the file has a folder")?;
    make_folder(folder).with_context(advice)?;
    let beside = path.with_extension("new");
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .clone();
    let mut file: File = options.open(&beside).with_context(advice)?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)
        .with_context(advice)?;
    file.sync_all().with_context(advice)?;
    std::fs::rename(&beside, path).with_context(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    fn places() -> Vec<PlaceConfig> {
        vec![PlaceConfig {
            workspace: "default".to_owned(),
            channel: "a".to_owned(),
            topic: String::new(),
            recorded: Vec::new(),
        }]
    }

    #[test]
    fn secrets_are_made_once_and_only_their_owner_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("new");
        let first = Secrets::open(Some(&inside), &places()).unwrap();
        let again = Secrets::open(Some(&inside), &places()).unwrap();
        assert_eq!(
            first.bot_token.expose_secret(),
            again.bot_token.expose_secret()
        );
        assert_eq!(
            first.keys_of("default").public,
            again.keys_of("default").public
        );
        let file = std::fs::metadata(inside.join("secrets.json")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        let made = std::fs::metadata(&inside).unwrap();
        assert_eq!(made.permissions().mode() & 0o777, 0o700);
        let other = Secrets::open(None, &places()).unwrap();
        assert_ne!(
            first.signing_secret.expose_secret(),
            other.signing_secret.expose_secret()
        );
    }
}
