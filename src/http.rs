//! What all our HTTP clients have in common.

use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

/// Nobody answers at an address that takes longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a client that says who it is, and goes where it is sent and nowhere else: a redirect would take keys and texts
/// to an address that nobody configured.
pub fn client_builder() -> ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
        .user_agent(concat!("iofold/", env!("CARGO_PKG_VERSION")))
}
