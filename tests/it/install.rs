//! Teams install the app by themselves: consent, tokens at rest, renewal, another team, an org, the end.

use std::net::SocketAddr;

use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use iofold::config::{Config, Environment};
use iofold::domain::WorkspaceId;
use iofold::playground::langfuse::Apis;
use iofold::playground::slack::{CLIENT_ID, ORG_ID, OTHER_TEAM_ID, TEAM_ID};
use iofold::workspace::{SlackConnection, Workspace};
use iofold::{app, auth};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::on_both_databases;
use crate::support::signed::{click, form, interaction_body, now};
use crate::support::stage::{Running, Stage, button, count, eventually, recorded};
use crate::support::{Database, free_address};

on_both_databases!(
    a_team_installs_chooses_a_channel_and_is_asked_there,
    every_team_has_a_workspace_of_its_own_that_a_restart_brings_back,
    what_is_not_this_browsers_own_consent_installs_nothing,
    a_team_that_leaves_is_forgotten_until_it_installs_again,
    tokens_are_renewed_before_their_end_by_one_of_several_processes,
    a_token_that_has_expired_is_renewed_and_the_cards_come,
    an_orgs_installation_serves_each_of_its_teams,
    guests_count_only_where_the_operator_says_so,
);

async fn stage(database: Database) -> Stage {
    Stage::set(database, Apis::Both, recorded("wow_grounded", 4), &[]).await
}

/// The stage's service as an app for many teams.
fn config(stage: &Stage, listen: SocketAddr, more: &[(&str, &str)]) -> Config {
    let mut pairs = stage.environment();
    pairs.retain(|(name, _)| {
        !["SLACK_BOT_TOKEN", "SLACK_CHANNEL", "IOFOLD_LISTEN"].contains(&name.as_str())
    });
    let secret = stage.playground.slack().client_secret();
    let own = [
        ("IOFOLD_LISTEN", listen.to_string()),
        ("IOFOLD_PUBLIC_URL", format!("http://{}", stage.service)),
        ("IOFOLD_SECRET_KEY", hex::encode([7; 32])),
        ("SLACK_CLIENT_ID", CLIENT_ID.to_owned()),
        ("SLACK_CLIENT_SECRET", secret.expose_secret().to_owned()),
    ];
    pairs.extend(own.map(|(name, value)| (name.to_owned(), value)));
    pairs.extend(
        more.iter()
            .map(|(name, value)| (name.to_string(), value.to_string())),
    );
    let mut config = Config::read(&Environment::from_pairs(pairs)).expect("it is complete");
    config.worker = env!("CARGO_BIN_EXE_iofold").into();
    config
}

async fn start(stage: &Stage, more: &[(&str, &str)]) -> Running {
    let service = app::build(config(stage, stage.service, more)).await;
    Running::of(service.expect("the service builds"))
}

/// A person's browser, which follows no redirect by itself.
struct Browser {
    http: reqwest::Client,
    cookie: Option<String>,
}

impl Browser {
    fn new() -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            http: http.build().expect("a client"),
            cookie: None,
        }
    }

    /// To Slack's page; keeps the cookie.
    async fn begin(&mut self, stage: &Stage) -> Url {
        let mut request = self.http.get(stage.url("/slack/install"));
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let answer = request.send().await.expect("an answer");
        let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        self.cookie = cookie.split(';').next().map(str::to_owned);
        location(&answer)
    }

    /// What a person chooses there; gives where Slack sends them.
    async fn decide(&self, page: &Url, team: &str, decision: &str) -> Url {
        let shown = self.http.get(page.clone()).send().await.expect("an answer");
        assert_eq!(shown.status(), 200, "Slack shows its page");
        let form = [("team", team), ("decision", decision)];
        let answer = self.http.post(page.clone()).form(&form).send().await;
        location(&answer.expect("an answer"))
    }

    async fn follow(&self, url: &Url) -> (u16, String) {
        let mut request = self.http.get(url.clone());
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a page"))
    }
}

fn location(answer: &reqwest::Response) -> Url {
    assert!(answer.status().is_redirection(), "{}", answer.status());
    let location = answer.headers()[LOCATION].to_str().expect("text");
    location.parse().expect("an address")
}

async fn install(stage: &Stage, team: &str) -> String {
    let mut browser = Browser::new();
    let page = browser.begin(stage).await;
    let callback = browser.decide(&page, team, "allow").await;
    let (status, said) = browser.follow(&callback).await;
    assert_eq!(status, 200, "{said}");
    said
}

/// `/iofold here`, typed by somebody of this team.
async fn here(stage: &Stage, team: &str, channel: &str) -> String {
    let body =
        format!("command=%2Fiofold&text=here&team_id={team}&channel_id={channel}&user_id=U1");
    let url = stage.url("/slack/commands");
    let (status, answer) = interaction_body(stage, &url, now(), body.as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
    answer["text"].as_str().expect("a text").to_owned()
}

async fn event(stage: &Stage, team: &str, event_time: i64, event: Value) {
    let envelope = json!({
        "type": "event_callback", "team_id": team, "event_id": uuid::Uuid::new_v4().to_string(), "event_time": event_time, "event": event,
    });
    let url = stage.url("/slack/events");
    let (status, answer) =
        interaction_body(stage, &url, now(), envelope.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
}

fn channel(stage: &Stage) -> String {
    stage.playground.places().remove(0).channel
}

fn slack<'a>(running: &'a Running, workspace: &str) -> &'a SlackConnection {
    let workspace = running.app.workspace(&WorkspaceId::from(workspace));
    workspace
        .and_then(Workspace::slack)
        .expect("it is connected")
}

async fn lasting(running: &Running) -> i64 {
    let query = "select count(*) as found from slack_installations where ended_at_ms is null and bot_token is not null";
    count(running, query).await
}

async fn a_team_installs_chooses_a_channel_and_is_asked_there(database: Database) {
    let stage = stage(database).await;
    let running = start(&stage, &[]).await;
    let default = running
        .app
        .workspace(&"default".into())
        .expect("it is there");
    assert!(default.slack().is_none());
    let said = install(&stage, TEAM_ID).await;
    assert!(
        said.contains("installed in Playground") && said.contains("/iofold here"),
        "{said}"
    );
    assert!(
        default.slack().is_some() && default.awake_slack().is_none(),
        "no channel is chosen yet"
    );
    let direct = here(&stage, TEAM_ID, "D1").await;
    assert!(direct.contains("in the channel"), "{direct}");
    let stranger = here(&stage, "T9", &channel(&stage)).await;
    assert!(stranger.contains("isn't installed"), "{stranger}");
    let chosen = here(&stage, TEAM_ID, &channel(&stage)).await;
    assert!(chosen.contains(&channel(&stage)), "{chosen}");
    stage.release(2).await;
    let cards = stage.cards_once_there(2).await;
    stage.label_as_recorded(&cards[0]).await;
    assert!(count(&running, "select count(*) as found from labels").await > 0);
    // What is in the database opens nothing.
    let query = "select count(*) as found from slack_installations where bot_token like '%xoxb%'";
    assert_eq!(count(&running, query).await, 0);
    running.stop().await;
}

async fn every_team_has_a_workspace_of_its_own_that_a_restart_brings_back(database: Database) {
    let stage = stage(database).await;
    let other = OTHER_TEAM_ID.to_lowercase();
    let first_channel = [("SLACK_CHANNEL", channel(&stage))];
    let first_channel = first_channel
        .each_ref()
        .map(|(name, id)| (*name, id.as_str()));
    let running = start(&stage, &first_channel).await;
    install(&stage, TEAM_ID).await;
    let said = install(&stage, OTHER_TEAM_ID).await;
    assert!(said.contains(&other), "{said}");
    assert_eq!(slack(&running, "default").channel, channel(&stage));
    assert_eq!(slack(&running, &other).channel, "");
    here(&stage, OTHER_TEAM_ID, "C0ELSEWHERE").await;
    let key = auth::create_key(&running.app.db, &WorkspaceId::from(other.as_str()), "otlp").await;
    assert!(key.is_ok(), "its workspace has a row");
    running.stop().await;
    let running = start(&stage, &first_channel).await;
    for (workspace, team, channel) in [
        ("default", TEAM_ID, channel(&stage).as_str()),
        (&other, OTHER_TEAM_ID, "C0ELSEWHERE"),
    ] {
        let slack = slack(&running, workspace);
        assert_eq!(slack.channel, channel);
        let identity = slack.client.identity().await.expect("its token is good");
        assert_eq!(identity.team_id, team);
    }
    running.stop().await;
    // Another key opens no token, and says so.
    let key = hex::encode([8; 32]);
    let running = start(&stage, &[("IOFOLD_SECRET_KEY", &key)]).await;
    let trouble = slack(&running, "default")
        .health
        .trouble()
        .expect("it can't be read");
    assert!(trouble.contains("IOFOLD_SECRET_KEY"), "{trouble}");
    assert_eq!(lasting(&running).await, 2, "nothing is erased");
    running.stop().await;
}

async fn what_is_not_this_browsers_own_consent_installs_nothing(database: Database) {
    let stage = stage(database).await;
    let running = start(&stage, &[]).await;
    let mut browser = Browser::new();
    let page = browser.begin(&stage).await;
    let cancelled = browser.decide(&page, TEAM_ID, "cancel").await;
    let (_, said) = browser.follow(&cancelled).await;
    assert!(
        said.contains("cancelled") && said.contains("href=\"../install\""),
        "{said}"
    );

    let page = browser.begin(&stage).await;
    let callback = browser.decide(&page, TEAM_ID, "allow").await;
    let mut others = Browser::new();
    let (status, said) = others.follow(&callback).await;
    assert_eq!(status, 400, "a browser without the cookie: {said}");
    others.begin(&stage).await;
    assert_eq!(
        others.follow(&callback).await.0,
        400,
        "a browser with a cookie of its own"
    );
    for forged in [
        "",
        "state=&code=x",
        "code=x",
        "state=%00&code=x",
        &format!("state={}", "f".repeat(64)),
    ] {
        let mut url = callback.clone();
        url.set_query(Some(forged));
        let (status, said) = browser.follow(&url).await;
        assert_eq!(status, 400, "{forged}");
        assert!(said.contains("href=\"../install\""), "{said}");
    }
    let expire = "update slack_install_states set expires_at_ms = 0";
    sqlx::query(expire)
        .execute(running.app.db.pool())
        .await
        .expect("it is written");
    assert_eq!(
        browser.follow(&callback).await.0,
        400,
        "a state that is too old"
    );

    let page = browser.begin(&stage).await;
    let second_tab = browser.begin(&stage).await;
    let mut wrong = browser.decide(&second_tab, TEAM_ID, "allow").await;
    let replaced: Vec<(String, String)> = wrong
        .query_pairs()
        .map(|(name, value)| match &*name {
            "code" => (name.into_owned(), "1.2".to_owned()),
            _ => (name.into_owned(), value.into_owned()),
        })
        .collect();
    wrong.query_pairs_mut().clear().extend_pairs(replaced);
    let (status, said) = browser.follow(&wrong).await;
    assert!(status == 400 && said.contains("used already"), "{said}");
    assert_eq!(lasting(&running).await, 0, "nothing was installed so far");

    let callback = browser.decide(&page, TEAM_ID, "allow").await;
    assert_eq!(
        browser.follow(&callback).await.0,
        200,
        "the first tab goes on"
    );
    assert_eq!(browser.follow(&callback).await.0, 400, "but once");
    assert_eq!(lasting(&running).await, 1);
    running.stop().await;
}

async fn a_team_that_leaves_is_forgotten_until_it_installs_again(database: Database) {
    let stage = stage(database).await;
    let running = start(&stage, &[]).await;
    install(&stage, TEAM_ID).await;
    here(&stage, TEAM_ID, &channel(&stage)).await;
    stage.release(1).await;
    stage.cards_once_there(1).await;
    let uninstalled = json!({"type": "app_uninstalled"});
    event(&stage, TEAM_ID, now() - 3_600, uninstalled.clone()).await;
    event(
        &stage,
        TEAM_ID,
        now() + 60,
        json!({"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}}),
    )
    .await;
    event(&stage, "T9", now() + 60, uninstalled.clone()).await;
    assert_eq!(
        lasting(&running).await,
        1,
        "an old end, a person's own token and a stranger's end"
    );

    stage.playground.slack().end_installation(TEAM_ID);
    event(&stage, TEAM_ID, now() + 60, uninstalled.clone()).await;
    event(
        &stage,
        TEAM_ID,
        now() + 60,
        json!({"type": "tokens_revoked", "tokens": {"bot": ["U0"]}}),
    )
    .await;
    assert_eq!(lasting(&running).await, 0);
    let workspace = running.app.workspace(&"default".into()).expect("it stays");
    assert!(workspace.awake_slack().is_none());
    let trouble = slack(&running, "default")
        .health
        .trouble()
        .expect("it has ended");
    assert!(
        trouble.contains("uninstalled") && trouble.contains("/slack/install"),
        "{trouble}"
    );
    stage.release(1).await;

    install(&stage, TEAM_ID).await;
    let channel = channel(&stage);
    assert_eq!(
        slack(&running, "default").channel,
        channel,
        "it is where it was"
    );
    stage.cards_once_there(2).await;
    running.stop().await;
}

async fn tokens_are_renewed_before_their_end_by_one_of_several_processes(database: Database) {
    let stage = stage(database).await;
    let stand_in = stage.playground.slack();
    stand_in.rotate_tokens(std::time::Duration::from_secs(43_200));
    let one = start(&stage, &[]).await;
    install(&stage, TEAM_ID).await;
    let listen = free_address();
    let two = app::build(config(&stage, listen, &[]))
        .await
        .expect("a replica builds");
    let two = Running::of(two);
    for _ in 0..3 {
        let due = "update slack_installations set renew_at_ms = 0";
        sqlx::query(due)
            .execute(one.app.db.pool())
            .await
            .expect("it is written");
        eventually("a renewal", || async {
            let query = "select count(*) as found from slack_installations where renew_at_ms > 0";
            (count(&one, query).await == 1).then_some(())
        })
        .await;
    }
    assert_eq!(stand_in.refresh_tokens(TEAM_ID), 1, "each was used once");
    assert_eq!(lasting(&one).await, 1);
    for running in [&one, &two] {
        let slack = slack(running, "default");
        slack.client.identity().await.expect("its token is good");
    }
    two.stop().await;
    one.stop().await;
}

async fn a_token_that_has_expired_is_renewed_and_the_cards_come(database: Database) {
    let stage = stage(database).await;
    let stand_in = stage.playground.slack();
    stand_in.rotate_tokens(std::time::Duration::from_secs(43_200));
    let running = start(&stage, &[]).await;
    install(&stage, TEAM_ID).await;
    here(&stage, TEAM_ID, &channel(&stage)).await;
    stand_in.expire_tokens();
    stage.release(1).await;
    stage.cards_once_there(1).await;
    assert_eq!(lasting(&running).await, 1);
    running.stop().await;
}

/// Sends a thumb of `user` from `team`, as a payload of the org or of none.
async fn thumb(stage: &Stage, team: &str, org: Option<&str>, user_team: &str) -> Value {
    let card = stage.cards_once_there(1).await.remove(0);
    let up = button(&card, "👍").expect("a button").clone();
    let mut payload = click(team, &channel(stage), &card, "U7", &up, "1700000000.000100");
    payload["user"]["team_id"] = json!(user_team);
    if let Some(org) = org {
        payload["enterprise"] = json!({"id": org, "name": "Org"});
        payload["is_enterprise_install"] = json!(true);
    }
    let url = stage.url("/slack/interactions");
    let (status, answer) = interaction_body(stage, &url, now(), &form(&payload)).await;
    assert_eq!(status, 200, "{answer}");
    payload
}

async fn an_orgs_installation_serves_each_of_its_teams(database: Database) {
    let stage = stage(database).await;
    let running = start(&stage, &[]).await;
    let said = install(&stage, ORG_ID).await;
    assert!(said.contains("installed in Org"), "{said}");
    let unknown = here(&stage, "T1OFORG", &channel(&stage)).await;
    assert!(
        unknown.contains("isn't installed"),
        "no payload has said whose team it is: {unknown}"
    );
    let body = format!(
        "command=%2Fiofold&text=here&team_id=T1OFORG&enterprise_id={ORG_ID}&channel_id={}&user_id=U1",
        channel(&stage)
    );
    let url = stage.url("/slack/commands");
    let (_, answer) = interaction_body(&stage, &url, now(), body.as_bytes()).await;
    assert!(answer.contains(&channel(&stage)), "{answer}");
    stage.release(1).await;
    thumb(&stage, "T8", None, "T8").await;
    thumb(&stage, "T8", Some("E9"), "T8").await;
    let labels = "select count(*) as found from labels";
    assert_eq!(count(&running, labels).await, 0, "teams of nobody's org");
    thumb(&stage, "T2OFORG", Some(ORG_ID), "T1OFORG").await;
    assert_eq!(
        count(&running, labels).await,
        1,
        "people of one org are no guests of each other"
    );
    let mut payload = thumb(&stage, "T3OFORG", Some(ORG_ID), "T3OFORG").await;
    payload["team"] = Value::Null;
    payload["user"]["id"] = json!("U8");
    payload["user"]["team_id"] = json!(ORG_ID);
    let url = stage.url("/slack/interactions");
    interaction_body(&stage, &url, now(), &form(&payload)).await;
    assert_eq!(
        count(&running, labels).await,
        2,
        "an org's payload may name no team"
    );
    running.stop().await;
}

async fn guests_count_only_where_the_operator_says_so(database: Database) {
    let stage = stage(database).await;
    let labels = "select count(*) as found from labels where annotator_id = 'U7'";
    for (setting, counted) in [("no", 0), ("yes", 1)] {
        let running = start(&stage, &[("IOFOLD_SLACK_GUESTS", setting)]).await;
        install(&stage, TEAM_ID).await;
        here(&stage, TEAM_ID, &channel(&stage)).await;
        if setting == "no" {
            stage.release(1).await;
        }
        thumb(&stage, TEAM_ID, None, "T0GUESTS").await;
        assert_eq!(count(&running, labels).await, counted, "{setting}");
        running.stop().await;
    }
}
