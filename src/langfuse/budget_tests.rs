use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;
use crate::clock::Turned;

const PUBLIC: Resource = Resource::PublicApi;

fn start() -> DateTime<Utc> {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

fn hobby(actors: usize) -> Budget {
    Budget::new(Plan::Hobby, Turned::starting(start(), actors).1)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        let value = HeaderValue::from_str(value).expect("ASCII");
        (HeaderName::from_static(name), value)
    };
    pairs.iter().map(header).collect()
}

/// The seconds at which so many requests were sent as fast as allowed.
async fn times(budget: &Budget, priority: Priority, count: usize) -> Vec<u64> {
    let mut times = Vec::new();
    for _ in 0..count {
        budget.spend(PUBLIC, priority).await.expect("a short wait");
        times.push(budget.clock().elapsed().as_secs());
    }
    times
}

#[tokio::test]
async fn one_less_than_the_limit_is_sent_a_minute_and_the_next_waits() {
    let times = times(&hobby(1), Priority::Live, 59).await;
    assert_eq!((times[0], times[28]), (0, 0));
    assert_eq!((times[29], times[57], times[58]), (62, 62, 124));
}

#[tokio::test]
async fn one_kind_of_route_does_not_use_up_anothers_budget_and_own_servers_have_no_limit() {
    let budget = hobby(1);
    times(&budget, Priority::Live, 29).await;
    budget
        .spend(Resource::Legacy, Priority::Live)
        .await
        .expect("it has its own");
    assert_eq!(budget.clock().elapsed(), Duration::ZERO);
    let own = Budget::new(Plan::SelfHosted, Turned::starting(start(), 1).1);
    assert_eq!(times(&own, Priority::Backfill, 5_000).await[4_999], 0);
}

#[tokio::test]
async fn what_goes_first_always_finds_room_beside_what_can_wait() {
    let budget = hobby(3);
    let until = Duration::from_secs(3_600);
    let eager = async |priority| {
        let mut sent = 0;
        while budget.clock().elapsed() < until {
            budget.spend(PUBLIC, priority).await.expect("a short wait");
            sent += 1;
        }
        let Clock::Turned(clock) = budget.clock() else {
            panic!("it is turned")
        };
        clock.leave();
        sent
    };
    let live = async {
        let mut waited = Duration::ZERO;
        while budget.clock().elapsed() < until {
            let before = budget.clock().elapsed();
            budget.spend(PUBLIC, Priority::Live).await.expect("short");
            waited += budget.clock().elapsed() - before;
            budget.clock().sleep(Duration::from_secs(5)).await;
        }
        let Clock::Turned(clock) = budget.clock() else {
            panic!("it is turned")
        };
        clock.leave();
        waited
    };
    let (waited, scores, backfill) =
        tokio::join!(live, eager(Priority::Scores), eager(Priority::Backfill));
    assert_eq!(waited, Duration::ZERO);
    assert!(
        scores > 500 && backfill > 80,
        "{scores}, and {backfill} where they left room"
    );
}

#[tokio::test]
async fn a_refusal_pauses_exactly_as_told_and_its_limit_is_believed() {
    let budget = hobby(1);
    let told = headers(&[
        ("retry-after", "17"),
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        (
            "x-ratelimit-reset",
            "Mon Jun 01 2026 00:00:17 GMT+0000 (Coordinated Universal Time)",
        ),
    ]);
    budget.learn(PUBLIC, &told, true);
    let times = times(&budget, Priority::Live, 99).await;
    assert_eq!((times[0], times[98]), (17, 17));
    assert_eq!(budget.a_minute(PUBLIC), Some(99));
}

#[tokio::test]
async fn what_headers_say_is_left_is_spent_and_no_more() {
    let budget = hobby(1);
    let told = headers(&[
        ("x-ratelimit-limit", "30"),
        ("x-ratelimit-remaining", "2"),
        ("x-ratelimit-reset", "2026-06-01T00:00:40Z"),
    ]);
    for _ in 0..2 {
        budget.learn(PUBLIC, &told, false);
        budget.spend(PUBLIC, Priority::Live).await.expect("short");
    }
    let others_used_the_rest =
        headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "40")]);
    budget.learn(PUBLIC, &others_used_the_rest, false);
    assert_eq!(times(&budget, Priority::Live, 1).await, [41]);
}

#[tokio::test]
async fn a_wait_of_hours_is_handed_to_the_caller() {
    let budget = hobby(1);
    budget.learn(PUBLIC, &headers(&[("retry-after", "86400")]), true);
    let wait = budget.spend(PUBLIC, Priority::Live).await;
    assert_eq!(wait, Err(PAUSE_MAX), "and tried again before a day is over");
    budget.clock().sleep(PAUSE_MAX).await;
    let probe = budget.spend(PUBLIC, Priority::Live).await;
    assert_eq!(probe, Ok(()));
    let began = budget.clock().elapsed();
    let second = budget.spend(PUBLIC, Priority::Live).await;
    assert_eq!(second, Ok(()), "only one finds out");
    assert_eq!(budget.clock().elapsed() - began, DEFAULT_WAIT);
    let began = budget.clock().elapsed();
    budget.learn(Resource::Legacy, &HeaderMap::new(), true);
    let spent = budget.spend(Resource::Legacy, Priority::Live).await;
    assert_eq!(spent, Ok(()), "half a minute where nothing is told");
    assert_eq!(budget.clock().elapsed() - began, DEFAULT_WAIT);
}

#[test]
fn times_are_read_in_every_form_that_servers_write() {
    for text in [
        "30",
        "30.0",
        "1780272030",
        "1780272030000",
        "2026-06-01T00:00:30.000Z",
        "2026-06-01T02:00:30+02:00",
        "Mon, 01 Jun 2026 00:00:30 GMT",
        "Mon Jun 01 2026 00:00:30 GMT+0000 (Coordinated Universal Time)",
    ] {
        assert_eq!(
            until(text, start()),
            Some(Duration::from_secs(30)),
            "{text}"
        );
    }
    assert_eq!(until("soon", start()), None);
    assert_eq!(until("-5", start()), Some(Duration::ZERO));
    let skewed = headers(&[
        ("date", "Mon, 01 Jun 2026 01:00:00 GMT"),
        ("x-ratelimit-reset", "2026-06-01T01:00:10Z"),
    ]);
    let told = Told::of(&skewed, start());
    assert_eq!(told.reset, Some(Duration::from_secs(10)), "by its clock");
}

#[test]
fn routes_are_counted_where_langfuse_counts_them() {
    for (path, resource) in [
        ("health", None),
        ("v2/observations", Some(Resource::PublicApi)),
        ("scores", Some(Resource::PublicApi)),
        ("v3/scores", Some(Resource::PublicApi)),
        ("traces", Some(Resource::Legacy)),
        ("traces/t", Some(Resource::Legacy)),
        ("ingestion", Some(Resource::Ingestion)),
    ] {
        assert_eq!(Resource::of_path(path), resource, "{path}");
    }
}

#[test]
fn a_plan_is_guessed_from_the_host() {
    for (base, plan) in [
        ("https://cloud.langfuse.com", Plan::Hobby),
        ("https://us.cloud.langfuse.com", Plan::Hobby),
        ("https://langfuse.example.com", Plan::SelfHosted),
        ("https://notlangfuse.com", Plan::SelfHosted),
        ("http://127.0.0.1:3000/prefix", Plan::SelfHosted),
    ] {
        assert_eq!(Plan::at(&base.parse().expect("a URL")), plan, "{base}");
    }
}

fn header_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("9999-12-31T23:59:59Z".to_owned()),
        Just("1e308".to_owned()),
    ]
}

proptest! {
    /// Whatever is asked for when, no minute, wherever it begins, has more than the limit allows.
    #[test]
    fn no_minute_has_too_many(pauses in prop::collection::vec((0u64..20, 0u8..3), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
        let times = runtime.block_on(async {
            let budget = hobby(1);
            let mut times = Vec::new();
            for (pause, priority) in pauses {
                let priority = [Priority::Live, Priority::Scores, Priority::Backfill][priority as usize];
                budget.clock().sleep(Duration::from_secs(pause)).await;
                budget.spend(PUBLIC, priority).await.expect("a short wait");
                times.push(budget.clock().elapsed());
            }
            times
        });
        for window in times.windows(30) {
            prop_assert!(window[29] - window[0] >= Duration::from_secs(60));
        }
    }

    #[test]
    fn no_header_makes_it_panic(text: String) {
        let _ = until(&text, start());
    }

    /// Whatever headers say, and however often, no silence lasts.
    #[test]
    fn no_headers_silence_a_connection(
        told in prop::collection::vec(
            (prop::bool::ANY, header_value(), header_value(), header_value(), header_value()), 0..8,
        ),
    ) {
        let budget = hobby(1);
        for (refused, limit, remaining, reset, retry) in told {
            let headers = headers(&[
                ("x-ratelimit-limit", &limit), ("x-ratelimit-remaining", &remaining),
                ("x-ratelimit-reset", &reset), ("retry-after", &retry),
            ]);
            budget.learn(PUBLIC, &headers, refused);
        }
        let wait = budget.bucket(PUBLIC, |bucket, now| bucket.wait(now, Priority::Live));
        prop_assert!(wait <= PAUSE_MAX + RESOLUTION, "{wait:?}");
    }
}
