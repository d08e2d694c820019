//! Starting, stopping and starting again, as an operator does.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use iofold::playground::langfuse::Apis;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::stage::{Stage, eventually, recorded};

on_both_databases!(sigterm_ends_it_well_and_the_next_start_goes_on);

async fn sigterm_ends_it_well_and_the_next_start_goes_on(database: Database) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", 8), &[]).await;
    let mut first = stage.spawn();
    is_ready(&stage).await;
    stage.release(4).await;
    eventually("the first card", || async { stage.cards().await.pop() }).await;
    assert!(terminated(&mut first).await.success());

    let mut second = stage.spawn();
    stage.release(4).await;
    eventually("all cards", || async {
        (stage.cards().await.len() == 8).then_some(())
    })
    .await;
    assert!(terminated(&mut second).await.success());
}

async fn is_ready(stage: &Stage) {
    for path in ["/healthz", "/readyz", "/"] {
        eventually(path, || async {
            let answer = stage.http.get(stage.url(path)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }
    // Neither the playground nor what it stands in for is there once something is configured.
    let hidden = stage
        .http
        .get(stage.url("/playground/"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(hidden.status().as_u16(), 404);
}

async fn terminated(child: &mut std::process::Child) -> ExitStatus {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    for _ in 0..600 {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not end within a minute of SIGTERM");
}
