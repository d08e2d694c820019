//! Langfuse is down for a day, in virtual time.

use super::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// When Langfuse goes down, comes back, and the test ends.
const DOWN: u64 = HOUR;
const BACK: u64 = 25 * HOUR;
const END: u64 = 27 * HOUR;
/// Traces come so often until Langfuse is back: each has a verdict, and a label that every fifth person changes.
const EVERY: u64 = 2 * MINUTE;

impl World {
    fn seconds(&self) -> u64 {
        self.clock.elapsed().as_secs()
    }

    /// What people and evals say meanwhile; gives how many traces there are.
    async fn happen(&self) -> usize {
        let mut traces = 0;
        while self.seconds() < BACK {
            let trace = format!("t{traces:04}");
            self.verdict(&trace, if traces % 3 == 0 { "fail" } else { "pass" })
                .await;
            self.label(&trace, "U1", "up").await;
            if traces % 5 == 4 {
                let earlier = format!("t{:04}", traces - 4);
                self.label(&earlier, "U1", "down").await;
            }
            traces += 1;
            self.later(EVERY).await;
        }
        traces
    }

    /// As the service's sweep does.
    async fn sweep(&self, until: u64) {
        while self.seconds() < until {
            if !self.connection.writing.is_resting() {
                self.write().await;
            }
            self.later(10).await;
        }
    }
}

#[tokio::test]
async fn a_day_without_langfuse_costs_few_requests_and_everything_is_written_once() {
    let world = World::for_actors(Plan::Hobby, 2).await;
    let (traces, (waited, taken_before, failed)) = tokio::join!(
        async {
            let traces = world.happen().await;
            world.turned.leave();
            traces
        },
        async {
            world.sweep(DOWN).await;
            world.fail(answering(503));
            world.sweep(BACK).await;
            let trouble = world.connection.writing.in_trouble_for().as_secs();
            assert!(trouble > 23 * HOUR, "{trouble}");
            let (waited, requests) = (world.left().await.0, world.langfuse.requests());
            world.fail(Faults::default());
            world.sweep(END).await;
            world.turned.leave();
            (waited, requests.scores, requests.failed)
        },
    );
    assert!(waited > 2 * 24 * 30 - 10, "a day of both: {waited}");
    // One every five minutes, after the first few.
    assert!((280..300).contains(&failed), "{failed}");
    assert_eq!(world.left().await, (0, 0));
    let taken_after = world.langfuse.requests().scores - taken_before;
    let later = 2 * 2;
    assert!(
        (waited as u64..=waited as u64 + later).contains(&taken_after),
        "each once: {taken_after} of {waited}"
    );
    let scores = world.langfuse.scores("p");
    let ids: BTreeSet<&str> = scores
        .iter()
        .filter_map(|score| score["id"].as_str())
        .collect();
    assert_eq!((scores.len(), ids.len()), (2 * traces, 2 * traces));
    for (number, scores) in world.scores().values().enumerate() {
        let said = |name: &str| {
            let found = scores.iter().find(|score| score["name"] == name);
            found.expect("it is there")["stringValue"].clone()
        };
        let changed = number % 5 == 0 && number + 4 < traces;
        let expected = if changed { "down" } else { "up" };
        assert_eq!(said("human"), expected, "{number}");
        let passed = if number % 3 == 0 { "False" } else { "True" };
        assert_eq!(said("cites a source"), passed);
    }
    let requests = world.langfuse.requests();
    println!(
        "{traces} traces in 25 hours, {waited} scores waited at the end of the outage; {failed} requests failed in 24 \
         hours, {} were answered, {} refused",
        requests.answered, requests.refused
    );
}
