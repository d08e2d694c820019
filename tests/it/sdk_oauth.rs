//! Slack's own Python client, `slack_sdk`, installs an app in the stand-in's teams and renews its tokens.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use iofold::playground::slack::{CLIENT_ID, ORG_ID, OTHER_TEAM_ID, TEAM_ID};
use iofold::playground::{Playground, router};
use iofold::slack::OAuth;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::net::TcpListener;

use crate::sdk_slack::config;
use crate::support::sdk_python;

const REDIRECT: &str = "http://127.0.0.1:1/slack/oauth/callback";
const SCOPES: &str = "chat:write,commands";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slacks_own_client_installs_an_app_and_renews_its_tokens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let playground = Playground::open(config(address, 1)).expect("it opens");
    let served = axum::Router::new().nest_service("/playground", router(playground.clone()));
    tokio::spawn(axum::serve(listener, served).into_future());

    let slack = playground.slack();
    slack.rotate_tokens(Duration::from_secs(43_200));
    let api = playground.places().remove(0).slack_api_url;
    let secret = slack.client_secret();
    let ours = OAuth::new(
        api.clone(),
        CLIENT_ID.to_owned(),
        secret.clone(),
        REDIRECT.to_owned(),
    );
    let ours = ours.expect("a client").authorize_url(SCOPES, "the state");
    let place = json!({
        "api": api, "client_id": CLIENT_ID, "client_secret": secret.expose_secret(), "redirect_uri": REDIRECT,
        "scopes": SCOPES.split(',').collect::<Vec<_>>(), "ours": ours,
        "team": TEAM_ID, "other_team": OTHER_TEAM_ID, "org": ORG_ID,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/slack_oauth.py");
    let ended = tokio::task::spawn_blocking(move || {
        let mut check = Command::new(sdk_python())
            .arg(script)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut input = check.stdin.take().expect("it is piped");
        writeln!(input, "{place}").expect("the check reads");
        check.wait_with_output().expect("it ends")
    });
    let output = ended.await.expect("it is waited for");
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problems}");
}
