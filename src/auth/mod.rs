//! Who may send to a workspace: its keys, made on the command line.
//!
//! A key is `iofold_`, its id, `_` and a secret of 256 random bits. It is shown once, when it is made; what
//! stays is the secret's SHA-256, which needs no salt because nobody can guess such a secret.

mod store;

use crate::domain::{WorkspaceId, same_secret, sha256_hex};
use crate::store::Db;

pub use store::{WorkspaceKey, revoke_key, workspace_keys};

const PREFIX: &str = "iofold_";

/// Makes a key for a workspace and gives it, for the only time.
///
/// # Errors
/// The database's, and where there is no such workspace.
pub async fn create_key(db: &Db, workspace: &WorkspaceId, name: &str) -> sqlx::Result<String> {
    let id = hex::encode(rand::random::<[u8; 6]>());
    let secret = hex::encode(rand::random::<[u8; 32]>());
    store::insert_key(db, workspace, &id, name, &sha256_hex(&secret)).await?;
    Ok(format!("{PREFIX}{id}_{secret}"))
}

/// The workspace that a key opens; `None` where it is unknown, wrong or revoked.
pub async fn workspace_of_key(db: &Db, key: &str) -> sqlx::Result<Option<WorkspaceId>> {
    let parts = key
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'));
    let Some((id, secret)) = parts else {
        return Ok(None);
    };
    let Some((workspace, hash)) = store::valid_key(db, id).await? else {
        return Ok(None);
    };
    Ok(same_secret(&sha256_hex(secret), &hash).then_some(workspace))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn world() -> (tempfile::TempDir, Db, WorkspaceId) {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("iofold.db").display());
        let db = Db::open(&url).await.expect("it opens");
        let workspace = WorkspaceId::from("default");
        let registered = crate::workspace::register(&db, &workspace).await;
        registered.expect("it registers");
        (folder, db, workspace)
    }

    #[tokio::test]
    async fn a_key_opens_its_workspace_until_it_is_revoked_and_only_its_hash_is_kept() {
        let (_folder, db, workspace) = world().await;
        let key = create_key(&db, &workspace, "collector")
            .await
            .expect("a key");
        let opened = workspace_of_key(&db, &key).await.expect("rows");
        assert_eq!(opened.as_ref(), Some(&workspace));
        let [listed] = &workspace_keys(&db).await.expect("rows")[..] else {
            panic!("there is one key");
        };
        assert_eq!(
            (listed.name.as_str(), listed.revoked_at_ms),
            ("collector", None)
        );
        let secret = key.rsplit('_').next().expect("its secret part");
        let kept: String = sqlx::query_scalar("select secret_hash from workspace_keys")
            .fetch_one(db.pool())
            .await
            .expect("a row");
        assert!(!kept.contains(secret));
        assert!(revoke_key(&db, &listed.id).await.expect("rows"));
        assert!(
            !revoke_key(&db, &listed.id).await.expect("rows"),
            "only once"
        );
        assert_eq!(workspace_of_key(&db, &key).await.expect("rows"), None);
    }

    #[tokio::test]
    async fn nothing_but_a_whole_key_opens() {
        let (_folder, db, workspace) = world().await;
        let key = create_key(&db, &workspace, "").await.expect("a key");
        let other = create_key(&db, &workspace, "").await.expect("a key");
        let (head, _) = key.rsplit_once('_').expect("three parts");
        let (_, secret) = other.rsplit_once('_').expect("three parts");
        for wrong in [
            String::new(),
            "iofold_".to_owned(),
            head.to_owned(),
            format!("{head}_"),
            format!("{head}_{secret}"),
            format!("{key}0"),
            key.replacen("iofold_", "", 1),
            format!("iofold_{}", "é\0'".repeat(1000)),
        ] {
            let opened = workspace_of_key(&db, &wrong).await.expect("rows");
            assert_eq!(opened, None, "{wrong}");
        }
    }
}
