//! `/healthz`: the process is alive. `/readyz`: it can work.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

/// Alive, whatever else is broken.
pub async fn alive() -> &'static str {
    "ok"
}

/// Ready once the database answers; migrations and sandbox are ready before the port is bound.
pub async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.db.ping().await {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer",
            )
        }
    }
}
