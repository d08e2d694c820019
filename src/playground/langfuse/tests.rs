use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::openapi::watched;
use super::*;

pub const PUBLIC_KEY: &str = "pk-lf-test";
pub const SECRET_KEY: &str = "sk-lf-test";

/// A project `p` with these recorded traces.
pub fn project(traces: Vec<Value>) -> ProjectConfig {
    let recorded = traces.into_iter().map(|trace| Recorded {
        trace,
        label: Thumb::Up,
        labels: vec![AnnotatorLabel {
            annotator: "recorded".into(),
            label: Thumb::Up,
            comment: None,
        }],
    });
    ProjectConfig {
        id: "p".to_owned(),
        name: "Support".to_owned(),
        public_key: PUBLIC_KEY.to_owned(),
        secret_key: SECRET_KEY.into(),
        recorded: recorded.collect(),
    }
}

/// The stand-in with one empty project.
pub fn standing_in(options: Options) -> Langfuse {
    Langfuse::open(vec![project(Vec::new())], options).expect("it opens")
}

/// Serves the stand-in under a path prefix until the test ends; gives its base URL. What is not as Langfuse describes
/// it is answered as nobody expects.
pub async fn serve(langfuse: &Langfuse) -> Url {
    let (router, _) = watched(Router::new().nest("/prefix", langfuse.router()), false);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/prefix")
        .parse()
        .expect("it is a URL")
}

/// A trace detail of one generation that took two seconds.
pub fn trace(id: &str, start: &str, end: Option<&str>) -> Value {
    json!({
        "id": id, "name": "chat", "timestamp": start, "tags": ["a"], "userId": "u", "sessionId": null,
        "input": [{"role": "user", "content": "Q"}], "output": "A", "metadata": {"k": "v"},
        "observations": [{
            "id": format!("{id}-g"), "traceId": id, "type": "GENERATION", "name": "answer",
            "startTime": start, "endTime": end, "model": "m", "level": "DEFAULT",
            "input": [{"role": "user", "content": "Q"}], "output": "A", "parentObservationId": null,
        }],
    })
}

struct Api {
    base: Url,
    http: reqwest::Client,
}

impl Api {
    async fn of(langfuse: &Langfuse) -> Self {
        Self {
            base: serve(langfuse).await,
            http: reqwest::Client::new(),
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(self.http.get(format!("{}/api/public/{path}", self.base)))
            .await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(
            self.http
                .post(format!("{}/api/public/{path}", self.base))
                .json(&body),
        )
        .await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let sent = request
            .basic_auth(PUBLIC_KEY, Some(SECRET_KEY))
            .send()
            .await;
        let response = sent.expect("it answers");
        (
            response.status(),
            response.json().await.expect("it is JSON"),
        )
    }

    async fn pages(&self, query: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let (_, page) = self.get(&format!("v2/observations?{query}{cursor}")).await;
            let rows = page["data"].as_array().expect("a list");
            pages.push(
                rows.iter()
                    .map(|row| row["id"].as_str().expect("an id").to_owned())
                    .collect(),
            );
            match page["meta"]["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return pages,
            }
        }
    }
}

fn at(second: u32) -> String {
    format!("2026-01-01T00:00:{second:02}.000Z")
}

#[tokio::test]
async fn recorded_traces_happen_now_in_order_and_once() {
    let recorded = vec![
        trace("a", &at(0), Some(&at(2))),
        trace("b", &at(5), Some(&at(6))),
    ];
    let langfuse = Langfuse::open(vec![project(recorded)], Options::default()).expect("it opens");
    assert_eq!((langfuse.waiting("p"), langfuse.waiting("other")), (2, 0));
    let before = chrono::Utc::now();
    assert_eq!(langfuse.release("p", 1), ["a"]);
    assert_eq!(langfuse.release("p", 5), ["b"]);
    assert_eq!(
        (langfuse.release("p", 1).len(), langfuse.waiting("p")),
        (0, 0)
    );
    let (_, page) = Api::of(&langfuse).await.get("traces/a").await;
    let time = |value: &Value| recorded::time(value).expect("a time");
    let (start, end) = (
        time(&page["timestamp"]),
        time(&page["observations"][0]["endTime"]),
    );
    assert_eq!((end - start).num_milliseconds(), 2_000, "lengths stay");
    assert!(end >= before - chrono::TimeDelta::seconds(1) && end <= chrono::Utc::now());
    assert_eq!(langfuse.recorded_labels("a")[0].label, Thumb::Up);
    assert!(langfuse.recorded_labels("x").is_empty());
}

#[tokio::test]
async fn what_happened_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let recorded = vec![
            trace("a", &at(0), Some(&at(2))),
            trace("b", &at(5), Some(&at(6))),
        ];
        let journal = Some(folder.path().join("langfuse.jsonl"));
        let options = Options {
            journal,
            ..Options::default()
        };
        Langfuse::open(vec![project(recorded)], options).expect("it opens")
    };
    let langfuse = open();
    langfuse.release("p", 1);
    langfuse.put_trace("p", trace("t", &at(0), None));
    let api = Api::of(&langfuse).await;
    for value in [0, 1] {
        let score =
            json!({"id": "s", "traceId": "a", "name": "n", "value": value, "dataType": "BOOLEAN"});
        assert_eq!(api.post("scores", score).await.0, StatusCode::OK);
    }
    api.post("score-configs", json!({"name": "n", "dataType": "BOOLEAN"}))
        .await;
    let again = open();
    assert_eq!(again.traces("p"), langfuse.traces("p"));
    assert_eq!(
        (again.scores("p"), again.waiting("p")),
        (langfuse.scores("p"), 1)
    );
    assert_eq!(again.scores("p").len(), 1, "the same id replaces");
    let (_, configs) = Api::of(&again).await.get("score-configs").await;
    assert_eq!(configs["data"][0]["name"], "n");
}

#[tokio::test]
async fn wrong_keys_are_refused_as_langfuse_refuses_them() {
    let langfuse = standing_in(Options::default());
    let api = Api::of(&langfuse).await;
    for (user, password) in [(PUBLIC_KEY, "wrong"), ("wrong", SECRET_KEY), ("", "")] {
        let url = format!("{}/api/public/projects", api.base);
        let sent = api
            .http
            .get(url)
            .basic_auth(user, Some(password))
            .send()
            .await;
        let response = sent.expect("it answers");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let body: Value = response.json().await.expect("it is JSON");
        assert!(
            body["message"].is_string() && body["error"].is_string(),
            "{body}"
        );
    }
    let (status, projects) = api.get("projects").await;
    assert_eq!(
        (status, &projects["data"][0]["name"]),
        (StatusCode::OK, &json!("Support"))
    );
    let open = api
        .http
        .get(format!("{}/api/public/health", api.base))
        .send()
        .await;
    assert!(
        open.expect("it answers").status().is_success(),
        "health needs no key"
    );
}

#[tokio::test]
async fn a_spent_budget_is_429_with_the_time_to_wait() {
    let langfuse = standing_in(Options {
        limits: Limits::Said(2, Duration::from_secs(60)),
        ..Options::default()
    });
    let api = Api::of(&langfuse).await;
    for _ in 0..2 {
        assert_eq!(api.get("projects").await.0, StatusCode::OK);
    }
    let url = format!("{}/api/public/projects", api.base);
    let sent = api
        .http
        .get(url)
        .basic_auth(PUBLIC_KEY, Some(SECRET_KEY))
        .send()
        .await;
    let response = sent.expect("it answers");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let header = |name: &str| response.headers()[name].to_str().expect("ASCII").to_owned();
    assert!((1..=60).contains(&header("retry-after").parse().expect("seconds")));
    assert_eq!(
        (header("x-ratelimit-limit"), header("x-ratelimit-remaining")),
        ("2".into(), "0".into())
    );
}

#[tokio::test]
async fn observations_come_newest_first_page_by_page_each_once() {
    let langfuse = standing_in(Options::default());
    for second in 0..7 {
        langfuse.put_trace(
            "p",
            trace(&format!("t{second}"), &at(second), Some(&at(second + 2))),
        );
    }
    let api = Api::of(&langfuse).await;
    let pages = api.pages("limit=4").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4, 2]);
    let ids: Vec<&String> = pages.iter().flatten().collect();
    assert_eq!((ids[0].as_str(), ids.len()), ("t6-g", 14));
    assert_eq!(
        ids.iter().collect::<std::collections::HashSet<_>>().len(),
        14
    );
    let window = format!(
        "fromStartTime={}&toStartTime={}&isRootObservation=true",
        at(2),
        at(4)
    );
    assert_eq!(
        api.pages(&window).await,
        [["t-t3", "t-t2"]],
        "from is in, to is not"
    );
    assert_eq!(api.pages("traceId=t1&type=GENERATION").await, [["t1-g"]]);
    let late = json!([
        {"type": "datetime", "column": "endTime", "operator": ">=", "value": at(8)},
        {"type": "string", "column": "type", "operator": "=", "value": "GENERATION"},
    ]);
    assert_eq!(
        api.pages(&format!("traceId=t1&filter={late}")).await,
        [["t6-g"]],
        "it takes precedence"
    );
}

#[tokio::test]
async fn observations_hold_raw_text_and_only_the_groups_asked_for() {
    let langfuse = standing_in(Options::default());
    let mut long = trace("t", &at(0), Some(&at(2)));
    long["metadata"] = json!({"long": "x".repeat(300), "nested": {"a": 1}});
    langfuse.put_trace("p", long);
    let api = Api::of(&langfuse).await;
    let root = |page: Value| page["data"][0].clone();
    let (_, page) = api.get("v2/observations?isRootObservation=true").await;
    let core_and_basic = root(page);
    assert_eq!(
        (core_and_basic["name"].as_str(), core_and_basic.get("input")),
        (Some("chat"), None)
    );
    let fields = "v2/observations?isRootObservation=true&fields=io,metadata,trace_context";
    let (_, page) = api.get(fields).await;
    let row = root(page);
    assert_eq!(
        row["input"],
        json!("[{\"role\":\"user\",\"content\":\"Q\"}]"),
        "raw text"
    );
    assert_eq!((&row["output"], row.get("name")), (&json!("A"), None));
    assert_eq!(row["metadata"]["long"].as_str().map(str::len), Some(200));
    assert_eq!(
        (&row["traceName"], &row["metadata"]["nested"]),
        (&json!("chat"), &json!({"a": 1}))
    );
    let (_, page) = api
        .get(&format!("{fields}&expandMetadata=long,other"))
        .await;
    assert_eq!(
        root(page)["metadata"]["long"].as_str().map(str::len),
        Some(300)
    );
}

#[tokio::test]
async fn what_langfuse_refuses_is_refused() {
    let langfuse = standing_in(Options::default());
    let api = Api::of(&langfuse).await;
    for path in [
        "v2/observations?limit=1001",
        "v2/observations?limit=0",
        "v2/observations?cursor=%21",
        "v2/observations?parseIoAsJson=true",
        "v2/observations?fromStartTime=yesterday",
        "v2/observations?fields=everything",
        "v2/observations?filter=%7B%7D",
        "traces?limit=101",
        "traces?page=0",
        "traces?orderBy=name.asc",
    ] {
        let (status, body) = api.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(body["message"].is_string(), "{body}");
    }
    assert_eq!(api.get("traces/none").await.0, StatusCode::NOT_FOUND);
    for score in [
        json!({"traceId": "t", "value": 1}),
        json!({"traceId": "t", "name": "n", "value": 2, "dataType": "BOOLEAN"}),
        json!({"traceId": "t", "name": "n", "value": true, "dataType": "BOOLEAN"}),
        json!({"traceId": "t", "name": "n", "value": 1, "dataType": "CATEGORICAL"}),
        json!({"traceId": "t", "name": "n", "value": "", "dataType": "TEXT"}),
        json!({"traceId": "t", "name": "n", "value": "up", "dataType": "NUMERIC"}),
        json!({"name": "n", "value": 1}),
        json!({"traceId": "t", "sessionId": "s", "name": "n", "value": 1}),
        json!({"observationId": "o", "name": "n", "value": 1}),
        json!({"traceId": "t", "name": "n", "value": 1, "source": "EVAL"}),
        json!({"traceId": "t", "name": "n", "value": 1, "source": "ANNOTATION"}),
    ] {
        assert_eq!(
            api.post("scores", score.clone()).await.0,
            StatusCode::BAD_REQUEST,
            "{score}"
        );
    }
    for config in [
        json!({"name": "iofold/eval", "dataType": "BOOLEAN"}),
        json!({"name": "n".repeat(36), "dataType": "BOOLEAN"}),
        json!({"name": "n", "dataType": "CATEGORICAL"}),
        json!({"name": "n", "dataType": "BOOLEAN", "categories": []}),
    ] {
        assert_eq!(
            api.post("score-configs", config.clone()).await.0,
            StatusCode::BAD_REQUEST,
            "{config}"
        );
    }
    assert!(langfuse.scores("p").is_empty());
}

#[tokio::test]
async fn scores_are_read_back_in_both_forms_and_by_their_fields() {
    let langfuse = standing_in(Options::default());
    let api = Api::of(&langfuse).await;
    let words = json!([{"label": "up", "value": 2}, {"label": "down", "value": 1}]);
    let config = json!({"name": "human", "dataType": "CATEGORICAL", "categories": words});
    let (_, config) = api.post("score-configs", config).await;
    for score in [
        json!({"id": "b", "traceId": "unknown", "name": "cites", "value": 1, "dataType": "BOOLEAN", "comment": "why"}),
        json!({"id": "c", "traceId": "t", "name": "human", "value": "up", "configId": config["id"]}),
        json!({"id": "n", "traceId": "t", "name": "length", "value": 0.5}),
    ] {
        let (status, answer) = api.post("scores", score.clone()).await;
        assert_eq!(
            (status, &answer["id"]),
            (StatusCode::OK, &score["id"]),
            "{answer}"
        );
    }
    let unknown =
        json!({"traceId": "t", "name": "human", "value": "sideways", "configId": config["id"]});
    assert_eq!(api.post("scores", unknown).await.0, StatusCode::BAD_REQUEST);
    let (_, v2) = api.get("v2/scores?traceId=t").await;
    let values: Vec<_> = v2["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["value"].clone())
        .collect();
    assert_eq!(
        (values, &v2["meta"]["totalItems"]),
        (vec![json!(0.5), json!(2)], &json!(2))
    );
    let (_, v3) = api.get("v3/scores?limit=2").await;
    let cursor = v3["meta"]["cursor"].as_str().expect("there is more");
    let (_, rest) = api.get(&format!("v3/scores?limit=2&cursor={cursor}")).await;
    assert_eq!(v3["data"][1]["value"], json!("up"));
    assert_eq!(
        (&rest["data"][0]["value"], rest["meta"].get("cursor")),
        (&json!(true), None)
    );
}

#[tokio::test]
async fn a_batch_takes_each_event_for_itself() {
    let langfuse = standing_in(Options::default());
    let api = Api::of(&langfuse).await;
    let event = |id: &str, kind: &str, value: Value| {
        json!({"id": id, "type": kind, "timestamp": at(0),
               "body": {"id": id, "traceId": "t", "name": "n", "value": value, "dataType": "BOOLEAN"}})
    };
    let batch = json!({"batch": [
        event("1", "score-create", json!(1)), event("2", "score-create", json!("no")), event("3", "trace-create", json!(1)),
    ]});
    let (status, answer) = api.post("ingestion", batch).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert_eq!(answer["successes"], json!([{"id": "1", "status": 201}]));
    let refused: Vec<_> = answer["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| e["id"].clone())
        .collect();
    assert_eq!(refused, ["2", "3"]);
    assert_eq!(langfuse.scores("p").len(), 1);
}

#[tokio::test]
async fn an_api_that_is_switched_off_is_gone() {
    for (apis, v4, v3) in [
        (Apis::V4, StatusCode::OK, StatusCode::GONE),
        (Apis::V3, StatusCode::NOT_FOUND, StatusCode::OK),
        (Apis::Both, StatusCode::OK, StatusCode::OK),
    ] {
        let langfuse = standing_in(Options {
            apis,
            ..Options::default()
        });
        let api = Api::of(&langfuse).await;
        assert_eq!(
            (
                api.get("v2/observations").await.0,
                api.get("traces").await.0
            ),
            (v4, v3)
        );
    }
}

#[tokio::test]
async fn a_traces_page_shows_hostile_text_as_text() {
    let langfuse = standing_in(Options::default());
    let mut hostile = trace("t", &at(0), Some(&at(1)));
    hostile["name"] = json!("<script>alert(1)</script>");
    hostile["output"] = json!("\"><img src=x onerror=alert(1)>");
    langfuse.put_trace("p", hostile);
    let api = Api::of(&langfuse).await;
    let comment = "</table><script>";
    api.post(
        "scores",
        json!({"traceId": "t", "name": "n", "value": 1, "comment": comment}),
    )
    .await;
    let sent = api
        .http
        .get(format!("{}/project/p/traces/t", api.base))
        .send()
        .await;
    let response = sent.expect("it answers");
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .expect("ASCII")
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let html = response.text().await.expect("text");
    assert!(
        !html.contains("<script") && !html.contains("<img"),
        "{html}"
    );
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("onerror=alert(1)&gt;"));
    let missing = api
        .http
        .get(format!("{}/project/p/traces/x", api.base))
        .send()
        .await;
    assert_eq!(missing.expect("it answers").status(), StatusCode::NOT_FOUND);
}
