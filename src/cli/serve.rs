use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::app;
use crate::config::{Config, Environment};

/// Runs the service until SIGTERM or SIGINT.
///
/// What does not end in its time is left behind: the next start takes it up again.
pub fn serve(environment: &Environment) -> Result<(), Failure> {
    let config = Config::read(environment).map_err(|error| Failure::Usage(error.into()))?;
    let runtime = tokio::runtime::Runtime::new().context("no threads can be started")?;
    let done = runtime.block_on(run(config));
    runtime.shutdown_background();
    done
}

async fn run(config: Config) -> Result<(), Failure> {
    let connected = config.has_slack();
    // Before anything is said: who reads the greeting may ask to stop at once.
    let stop = asked_to_stop()?;
    let service = app::build(config).await?;
    println!("{}", greeting(&service, connected));
    service.run(stop).await?;
    Ok(())
}

fn greeting(service: &app::Service, connected: bool) -> String {
    let url = service.url();
    match (&service.playground, connected) {
        (Some(_), _) => format!("iofold is running. Open {url} to try it: nothing else is needed."),
        (None, true) => format!("iofold is running. Open {url} for an overview."),
        (None, false) => format!(
            "iofold is running at {url}, but neither Slack nor Langfuse is configured, and the \
             playground is only there on a loopback address. See the README, \"Connect\"."
        ),
    }
}

fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
