//! Starting, stopping and starting again, as an operator does.

use iofold::playground::langfuse::Apis;

use crate::on_both_databases;
use crate::support::Database;
use crate::support::process::Process;
use crate::support::stage::{Stage, recorded};

on_both_databases!(sigterm_ends_it_well_and_the_next_start_goes_on);

async fn sigterm_ends_it_well_and_the_next_start_goes_on(database: Database) {
    let stage = Stage::set(database, Apis::Both, recorded("wow_grounded", 8), &[]).await;
    let first = Process::start(&stage);
    is_ready(&stage, &first).await;
    stage.release(4).await;
    let card = first.eventually("the first card", || async { stage.cards().await.pop() });
    card.await;
    assert!(first.terminate().await.success());

    let second = Process::start(&stage);
    stage.release(4).await;
    let all = second.eventually("all cards", || async {
        (stage.cards().await.len() == 8).then_some(())
    });
    all.await;
    assert!(second.terminate().await.success());
}

async fn is_ready(stage: &Stage, service: &Process<'_>) {
    for path in ["/healthz", "/readyz", "/"] {
        let ready = service.eventually(path, || async {
            let answer = stage.http.get(stage.url(path)).send().await.ok()?;
            answer.status().is_success().then_some(())
        });
        ready.await;
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
