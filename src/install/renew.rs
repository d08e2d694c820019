use std::time::Duration;

use anyhow::Context;

use super::{Installing, place, sealed, store, sync};
use crate::app::App;
use crate::slack::Error;
use crate::store::now_ms;
use crate::workspace::Workspace;

/// How often rows that another process wrote are taken over, and tokens looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long one process has a renewal for itself; longer than a call may take.
const CLAIM_MS: i64 = 60_000;

/// What no further attempt can change: the refresh token is used, revoked, or its team gone.
const OVER: [&str; 6] = [
    "invalid_refresh_token",
    "invalid_grant",
    "token_revoked",
    "invalid_auth",
    "account_inactive",
    "authorization_not_found",
];

/// Keeps connections as the rows say, and tokens alive, until the process stops.
pub async fn keep(app: App) {
    let Some(installing) = &app.installing else {
        return;
    };
    while !app.is_stopping() {
        if let Err(error) = look(&app, installing).await {
            tracing::warn!(error = ?error, "Slack's installations could not be looked at");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.stopping().cancelled() => {}
        }
    }
}

async fn look(app: &App, installing: &Installing) -> anyhow::Result<()> {
    sync(app).await?;
    for row in store::all(&app.db).await? {
        if installing.is_served(&row) && is_due(app, &row) {
            renew(app, installing, &row).await?;
        }
    }
    Ok(())
}

fn is_due(app: &App, row: &store::Installation) -> bool {
    let Some(renew_at_ms) = row.renew_at_ms.filter(|_| row.refresh_token.is_some()) else {
        return false;
    };
    has_expired(app, row) || renew_at_ms < now_ms()
}

/// Whether Slack has said so to this process.
fn has_expired(app: &App, row: &store::Installation) -> bool {
    let slack = app.workspace(&row.workspace).and_then(Workspace::slack);
    slack.is_some_and(|slack| slack.client.has_expired())
}

/// Exchanges the refresh token, which Slack takes once.
///
/// One process at a time does it. Should this one die between Slack's answer and the row, the token at hand still works
/// to its end, and further attempts are with the refresh token of before. Where Slack takes that no more, the
/// installation ends with the token, with a sentence, and a person installs it anew.
async fn renew(
    app: &App,
    installing: &Installing,
    row: &store::Installation,
) -> anyhow::Result<()> {
    if !store::claim_renewal(&app.db, row, now_ms() + CLAIM_MS).await? {
        return Ok(());
    }
    let refresh = row
        .refresh_token
        .as_deref()
        .context("only such rows are due")?;
    let Ok(refresh) = installing
        .vault
        .open(&place(&row.id, "refresh_token"), refresh)
    else {
        // `sync` has said so already.
        return Ok(());
    };
    match installing.oauth.renew(&refresh).await {
        Ok(grant) => {
            let mut tokens = sealed(installing, &row.id, &grant);
            tokens.refresh = tokens.refresh.or(row.refresh_token.clone());
            store::renewed(&app.db, row, &tokens).await?;
            sync(app).await
        }
        Err(Error::Refused { code, .. })
            if OVER.contains(&code.as_str()) && has_expired(app, row) =>
        {
            let because = format!("Slack does not renew the app's token ({code}).");
            store::end(&app.db, &row.id, &because, i64::MAX).await?;
            sync(app).await
        }
        Err(error) => {
            tracing::warn!(slack.team = row.id, %error, "a token could not be renewed; it is tried again");
            Ok(())
        }
    }
}
