//! The service as a process of its own, which tests kill and stop.

use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::time::Duration;

use super::stage::{Stage, eventually};

/// A process that ends by itself so often does not end because its port was taken for a moment.
const ENDS_MAX: usize = 10;
/// How long a port that another test has is left to it.
const PAUSE: Duration = Duration::from_millis(500);

/// A service that is started again whenever it ends; killed when it is dropped.
pub struct Process<'a> {
    stage: &'a Stage,
    now: Mutex<Now>,
}

struct Now {
    child: Child,
    kills: usize,
    /// How often it ended by itself.
    ends: usize,
}

impl<'a> Process<'a> {
    /// Starts the stage's service.
    pub fn start(stage: &'a Stage) -> Self {
        let now = Mutex::new(Now {
            child: stage.spawn(),
            kills: 0,
            ends: 0,
        });
        Self { stage, now }
    }

    /// Looks again and again until `look` finds something; meanwhile the service runs.
    pub async fn eventually<T, F>(&self, what: &str, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        eventually(what, || async {
            self.keep_running().await;
            look().await
        })
        .await
    }

    /// Starts it again where it ended by itself: while nobody listened, another test may have been
    /// given its port.
    async fn keep_running(&self) {
        if !self.has_ended() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        self.now.lock().expect("not poisoned").child = self.stage.spawn();
    }

    fn has_ended(&self) -> bool {
        let mut now = self.now.lock().expect("not poisoned");
        let Some(status) = now.child.try_wait().expect("it is ours") else {
            return false;
        };
        now.ends += 1;
        assert!(now.ends < ENDS_MAX, "the service keeps ending: {status}");
        true
    }

    /// SIGKILL, then a new start at once.
    pub fn kill(&self) {
        let mut now = self.now.lock().expect("not poisoned");
        now.child.kill().expect("it is ours");
        now.child.wait().expect("it is gone");
        now.child = self.stage.spawn();
        now.kills += 1;
    }

    /// How often it was killed.
    pub fn kills(&self) -> usize {
        self.now.lock().expect("not poisoned").kills
    }

    /// SIGTERM; gives how it ended.
    pub async fn terminate(self) -> ExitStatus {
        let id = self.now.lock().expect("not poisoned").child.id();
        let sent = Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
        eventually("its end", || async {
            let mut now = self.now.lock().expect("not poisoned");
            now.child.try_wait().expect("it is ours")
        })
        .await
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let mut now = match self.now.lock() {
            Ok(now) => now,
            Err(poisoned) => poisoned.into_inner(),
        };
        // It may have ended already.
        let _ = now.child.kill();
        let _ = now.child.wait();
    }
}
