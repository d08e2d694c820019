//! The database: one pool, the migrations, the clock of rows. The rooms hold their own SQL.

mod labels;
mod sessions;

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyPool, Transaction};

use crate::clock::Clock;

pub use labels::{
    TraceLabels, all_labels, labelled_traces, newest_payloads, seen_groups, seen_labels,
};
pub use sessions::{labelled_sessions, with_session};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Connections to keep: SQLite has one writer whatever their number, and readers beside it.
const CONNECTIONS: u32 = 8;
/// Pages of 4 KiB in an embedded database's log before they are moved into its file. That, and beginning the log anew,
/// wait for the disk, and others for them: with SQLite's own 1,000 it would be every second where much comes in.
pub const LOG_PAGES: &str = "10000";
/// For each connection to an embedded database: a commit outlives the process, and a busy writer is waited for.
const SHARED: &str =
    "pragma synchronous = normal; pragma busy_timeout = 20000; pragma wal_autocheckpoint = 10000";
/// For one that does not wait by itself (see [`promptly`]), and leaves the moving to the others.
const PROMPT: &str =
    "pragma synchronous = normal; pragma busy_timeout = 0; pragma wal_autocheckpoint = 0";
/// How often such a connection looks whether the writer is free. SQLite's own wait looks after growing pauses, of
/// 100 ms at last.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// A writer that is busy for longer is an error, for either kind.
const BUSY_MAX: Duration = Duration::from_secs(20);

/// The pool and what differs between the two databases.
#[derive(Clone, Debug)]
pub struct Db {
    pool: AnyPool,
    embedded: bool,
    clock: Clock,
}

impl Db {
    /// Connects, makes an embedded database where there is none, and applies the migrations.
    ///
    /// # Errors
    /// The database cannot be reached, or holds migrations that this version does not know.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let db = Self::connect(url).await?;
        migrator()
            .run(&db.pool)
            .await
            .context("the database's migrations could not be applied")?;
        Ok(db)
    }

    /// Connects without applying migrations.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let db = Self::connect_with(url, CONNECTIONS, SHARED).await?;
        if db.embedded {
            sqlx::query("pragma journal_mode = wal")
                .execute(&db.pool)
                .await?;
        }
        Ok(db)
    }

    /// A connection of its own for short writes that a sender waits for, by [`promptly`].
    pub async fn connect_promptly(url: &str) -> anyhow::Result<Self> {
        Self::connect_with(url, 1, PROMPT).await
    }

    async fn connect_with(
        url: &str,
        connections: u32,
        pragmas: &'static str,
    ) -> anyhow::Result<Self> {
        install_drivers();
        let embedded = url.starts_with("sqlite");
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if embedded {
                        sqlx::raw_sql(pragmas).execute(connection).await?;
                    }
                    Ok(())
                })
            })
            .connect(&prepared(url)?)
            .await
            .with_context(|| format!("cannot open the database {}", without_password(url)))?;
        let clock = Clock::default();
        Ok(Self {
            pool,
            embedded,
            clock,
        })
    }

    /// Connects to look only: makes no database, applies no migration, and opens an embedded one read-only.
    ///
    /// # Errors
    /// There is no database, or none that answers within `patience`.
    pub async fn read_only(url: &str, patience: Duration) -> anyhow::Result<Self> {
        install_drivers();
        let path = embedded_path(url);
        let target = path.map_or_else(|| url.to_owned(), |path| format!("sqlite://{path}?mode=ro"));
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(patience)
            .connect(&target)
            .await
            .with_context(|| format!("cannot open the database {}", without_password(url)))?;
        let embedded = path.is_some();
        let clock = Clock::default();
        Ok(Self {
            pool,
            embedded,
            clock,
        })
    }

    /// The same by this clock.
    pub fn by(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The time for rows that are compared with it later: milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// For single statements.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Whether this process is the database's only user.
    pub fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// A transaction that may write. On SQLite it takes the write lock at once, for a reader that
    /// turns writer half-way is refused when another wrote in between.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Any>> {
        if self.embedded {
            self.pool.begin_with("begin immediate").await
        } else {
            self.pool.begin().await
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop)
    }
}

/// Our migrations, kept in a table of their own because the job queue has its own beside it.
pub fn migrator() -> Migrator {
    Migrator {
        table_name: "iofold_migrations".into(),
        migrations: MIGRATIONS.migrations.clone(),
        ..Migrator::DEFAULT
    }
}

/// A write on a connection by [`Db::connect_promptly`]: tried again as soon as SQLite's writer is free.
///
/// # Errors
/// The write's, and that the writer was busy for 20 seconds.
pub async fn promptly<T, F>(write: impl Fn() -> F) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let since = Instant::now();
    loop {
        match write().await {
            Err(error) if is_busy(&error) && since.elapsed() < BUSY_MAX => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Whether another connection writes to SQLite just now; its extended codes have this one in the lowest byte.
fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: i32 = 5;
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

fn install_drivers() {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
}

/// Milliseconds since 1970 UTC.
pub fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// The URL to connect to; an embedded database's folder is made, and its file on connecting.
pub fn prepared(url: &str) -> anyhow::Result<String> {
    let Some(path) = embedded_path(url) else {
        return Ok(url.to_owned());
    };
    if let Some(folder) = Path::new(path).parent() {
        // Traces are nobody else's business: others on this machine may not look in.
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(format!("sqlite://{path}?mode=rwc"))
}

/// The file of an embedded database; `None` for a server.
pub fn embedded_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(path.split('?').next().unwrap_or(path))
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let hidden = parsed.set_password(Some("…"));
            hidden.map_or_else(|()| "(unreadable)".to_owned(), |()| parsed.to_string())
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_databases_path_is_read_from_every_form_of_its_url() {
        for (url, path) in [
            ("sqlite://data/iofold.db", Some("data/iofold.db")),
            ("sqlite:data/iofold.db", Some("data/iofold.db")),
            ("sqlite:///var/iofold.db?mode=rwc", Some("/var/iofold.db")),
            ("postgres://host/db", None),
        ] {
            assert_eq!(embedded_path(url), path, "{url}");
        }
    }

    #[test]
    fn a_password_never_shows() {
        let shown = without_password("postgres://me:hunter2@host/db");
        assert!(
            !shown.contains("hunter2") && shown.contains("host"),
            "{shown}"
        );
    }
}
