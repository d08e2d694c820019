//! Deliveries come in and are written down together with others that come meanwhile: one statement, one wait
//! for the database's writer. Nobody hears that a delivery is recorded before it is committed.

use anyhow::Context;
use sqlx::Error;
use tokio::sync::{mpsc, oneshot};

use super::store;
use crate::domain::WorkspaceId;
use crate::store::{Db, promptly};

/// The most that are recorded at once: other writers wait for it.
const TOGETHER_MAX: usize = 64;

/// A verified delivery.
#[derive(Debug)]
pub struct Delivery {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Langfuse's id of it.
    pub id: String,
    /// A JSON object.
    pub body: String,
}

struct Waiting {
    delivery: Delivery,
    recorded: oneshot::Sender<Result<bool, Error>>,
}

/// Records deliveries as long as it lives, on a connection of its own.
pub struct Recorder(mpsc::Sender<Waiting>);

impl Recorder {
    /// `db` is a connection by [`Db::connect_promptly`].
    pub fn start(db: Db) -> Self {
        let (sender, mut waiting) = mpsc::channel(TOGETHER_MAX);
        tokio::spawn(async move {
            let mut together = Vec::new();
            while waiting.recv_many(&mut together, TOGETHER_MAX).await > 0 {
                record(&db, std::mem::take(&mut together)).await;
            }
        });
        Self(sender)
    }

    /// Records a delivery; says whether it was new.
    ///
    /// # Errors
    /// The database's: the delivery is not recorded, or nobody knows.
    pub async fn record(&self, delivery: Delivery) -> anyhow::Result<bool> {
        let (recorded, answer) = oneshot::channel();
        let waiting = Waiting { delivery, recorded };
        let sent = self.0.send(waiting).await;
        sent.ok().context("deliveries are not recorded any more")?;
        let answer = answer.await.context("a delivery was not recorded")?;
        answer.context("a delivery could not be recorded")
    }
}

async fn record(db: &Db, together: Vec<Waiting>) {
    let deliveries: Vec<&Delivery> = together.iter().map(|waiting| &waiting.delivery).collect();
    match insert(db, &deliveries).await {
        Ok(new) => {
            for (waiting, is_new) in together.into_iter().zip(new) {
                waiting.answer(Ok(is_new));
            }
        }
        // One that the database does not take is no reason to refuse the others.
        Err(_) if together.len() > 1 => {
            for waiting in together {
                let alone = insert(db, &[&waiting.delivery]).await;
                waiting.answer(alone.map(|new| new[0]));
            }
        }
        Err(error) => {
            if let Some(waiting) = together.into_iter().next() {
                waiting.answer(Err(error));
            }
        }
    }
}

impl Waiting {
    /// A sender that has hung up will deliver again.
    fn answer(self, recorded: Result<bool, Error>) {
        let _ = self.recorded.send(recorded);
    }
}

/// Records all of them or none; says of each whether it was new. One that comes twice is new once.
async fn insert(db: &Db, deliveries: &[&Delivery]) -> Result<Vec<bool>, Error> {
    let mut new = promptly(|| store::insert_deliveries(db, deliveries)).await?;
    let key = |delivery: &&Delivery| (delivery.workspace.to_string(), delivery.id.clone());
    let is_new = deliveries.iter().map(|delivery| new.remove(&key(delivery)));
    Ok(is_new.collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::Row;

    use super::*;

    /// A recorder, and the same database by other connections.
    async fn recorder(folder: &tempfile::TempDir) -> (Recorder, Db) {
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        let db = Db::open(&url).await.expect("it opens");
        sqlx::query("insert into workspaces (id, created_at_ms) values ('w', 0)")
            .execute(db.pool())
            .await
            .expect("it is made");
        let own = Db::connect_promptly(&url).await.expect("it opens");
        (Recorder::start(own), db)
    }

    fn delivery(workspace: &str, id: usize) -> Delivery {
        Delivery {
            workspace: workspace.into(),
            id: format!("d{id}"),
            body: "{}".to_owned(),
        }
    }

    async fn count(db: &Db) -> i64 {
        let row = sqlx::query("select count(*) as found from deliveries").fetch_one(db.pool());
        row.await.expect("it is counted").get("found")
    }

    #[tokio::test]
    async fn what_comes_while_another_writes_is_recorded_once_each_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let (recorder, db) = recorder(&folder).await;
        let writer = db.begin().await.expect("it begins");
        // Each comes twice; more than are recorded at once.
        let ids = (0..2 * TOGETHER_MAX).flat_map(|id| [id, id]);
        let all = ids.map(|id| recorder.record(delivery("w", id)));
        let all = futures_util::future::join_all(all);
        tokio::pin!(all);
        tokio::select! {
            _ = &mut all => panic!("nothing can be written yet"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        writer.commit().await.expect("it ends");
        let new = all.await.into_iter().map(|new| new.expect("recorded"));
        assert_eq!(new.filter(|new| *new).count(), 2 * TOGETHER_MAX);
        assert_eq!(count(&db).await, 2 * TOGETHER_MAX as i64);
    }

    #[tokio::test]
    async fn one_that_the_database_refuses_takes_no_other_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (recorder, db) = recorder(&folder).await;
        let workspaces = ["w", "nobody's", "w", "w"];
        let all = (0..)
            .zip(workspaces)
            .map(|(id, workspace)| recorder.record(delivery(workspace, id)));
        let recorded = futures_util::future::join_all(all).await;
        let taken: Vec<bool> = recorded
            .into_iter()
            .map(|recorded| recorded.is_ok())
            .collect();
        assert_eq!(taken, [true, false, true, true]);
        assert_eq!(count(&db).await, 3);
    }
}
