//! Deliveries come in and are written down together with others that come meanwhile: one transaction, one wait
//! for the database's writer. Nobody hears that a delivery is recorded before it is committed.

use anyhow::Context;
use sqlx::Error;
use tokio::sync::{mpsc, oneshot};

use super::store;
use crate::domain::WorkspaceId;
use crate::store::Db;

/// The most that are recorded in one transaction: others wait for it, too.
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

/// Records all of them or none; says of each whether it was new.
async fn insert(db: &Db, deliveries: &[&Delivery]) -> Result<Vec<bool>, Error> {
    let mut transaction = db.begin_promptly().await?;
    let mut new = Vec::new();
    for delivery in deliveries {
        new.push(store::insert_delivery(&mut *transaction, delivery).await?);
    }
    transaction.commit().await?;
    Ok(new)
}
