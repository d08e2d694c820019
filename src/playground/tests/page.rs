use super::*;

#[tokio::test]
async fn other_hosts_and_other_sites_pages_are_refused() {
    let running = Running::start().await;
    let get = running
        .http
        .get(running.url("api/channels"))
        .header("host", "evil.example");
    assert_eq!(get.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    for (name, status) in [
        ("forwarded", StatusCode::FORBIDDEN),
        ("x-forwarded-for", StatusCode::FORBIDDEN),
        ("x-forwarded-host", StatusCode::FORBIDDEN),
        ("via", StatusCode::FORBIDDEN),
        ("x-other", StatusCode::OK),
    ] {
        let get = running.http.get(running.url("")).header(name, "127.0.0.1");
        assert_eq!(get.send().await.unwrap().status(), status, "{name}");
    }
    for (site, status) in [
        ("cross-site", StatusCode::FORBIDDEN),
        ("same-site", StatusCode::FORBIDDEN),
        ("same-origin", StatusCode::OK),
        ("none", StatusCode::OK),
    ] {
        let get = running.http.get(running.url("api/changes"));
        let get = get.header("sec-fetch-site", site).send();
        assert_eq!(get.await.unwrap().status(), status, "{site}");
    }
    let click = || {
        running
            .http
            .post(running.url("api/channels/answers/release"))
    };
    let foreign = click()
        .header("origin", "http://evil.example")
        .json(&json!({"count": 1}));
    assert_eq!(
        foreign.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let simple = click()
        .header("content-type", "text/plain")
        .body("{\"count\": 1}");
    assert_eq!(simple.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let own = click()
        .header("origin", format!("http://{}", running.address))
        .json(&json!({"count": 1}));
    assert_eq!(own.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_is_there_and_may_only_run_its_own_files() {
    let running = Running::start().await;
    let page = running.http.get(running.url("")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = page.text().await.unwrap();
    let links = regex::Regex::new("(?:src|href)=\"page/([^\"]+)\"").unwrap();
    let imports = regex::Regex::new("from \"\\./([^\"]+)\"").unwrap();
    let mut wanted: Vec<String> = links
        .captures_iter(&html)
        .map(|link| link[1].to_owned())
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let file = running.http.get(running.url(&format!("page/{name}")));
        let file = file.send().await.unwrap();
        assert_eq!(file.status(), StatusCode::OK, "{name}");
        let text = file.text().await.unwrap();
        wanted.extend(
            imports
                .captures_iter(&text)
                .map(|import| import[1].to_owned()),
        );
    }
    assert!(seen.len() > 30, "the page's modules are followed: {seen:?}");
    let bare = running
        .http
        .get(running.url("").trim_end_matches('/'))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.headers()["location"], "/playground/");
    let missing = running
        .http
        .get(running.url("nothing"))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_hears_of_changes_and_starts_anew_after_a_restart() {
    let running = Running::start().await;
    let first = running.get("api/changes").await;
    assert_eq!(first["messages"], json!([]));
    let (epoch, change) = (first["epoch"].as_str().unwrap(), &first["change"]);
    let path = format!("api/changes?epoch={epoch}&after={change}");
    let (later, posted) = tokio::join!(running.get(&path), running.post_card());
    assert_eq!(later["messages"][0]["ts"], posted.ts);
    let anew = running.get("api/changes?epoch=older&after=1000").await;
    assert_eq!(anew["messages"][0]["ts"], posted.ts);
}

#[tokio::test]
async fn what_the_team_shows_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let keep = |c: &mut PlaygroundConfig| c.folder = Some(folder.path().join("kept"));
    let before = Running::start_with(keep).await;
    let posted = before.post_card().await;
    before.click(&posted.ts, "thumb_down").await;
    let id = before
        .slack
        .upload_picture("a.png", "a", b"\x89PNG".to_vec())
        .await
        .unwrap();
    let messages = before.get("api/channels/answers/messages").await;
    let secret = before.playground.signing_secret();

    let after = Running::start_with(keep).await;
    assert_eq!(after.get("api/channels/answers/messages").await, messages);
    assert_eq!(after.get("api/channels").await["channels"][0]["down"], 1);
    assert_eq!(
        after.playground.signing_secret().expose_secret(),
        secret.expose_secret()
    );
    let file = after
        .http
        .get(after.url(&format!("files/{id}")))
        .send()
        .await
        .unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    let newer = after.post_card().await;
    assert!(newer.ts > posted.ts);
}

#[test]
fn users_have_ids_like_slacks_and_readable_names() {
    let grader = user("grader12".to_owned());
    assert_eq!(
        (grader.real_name.as_str(), grader.id.len()),
        ("Grader 12", 11)
    );
    assert!(grader.id.starts_with('U') && grader.id != user("grader1".to_owned()).id);
    assert_eq!(user(YOU.to_owned()).real_name, "You");
}

#[tokio::test]
async fn a_permalink_leads_to_its_message() {
    let running = Running::start().await;
    let identity = running.call("auth.test", &json!({})).await;
    assert_eq!(identity["url"], running.url(""));
    let path = format!("archives/{}/p1700000000000100", running.channel());
    let found = running.http.get(running.url(&path)).send().await.unwrap();
    assert_eq!(
        found.headers()["location"],
        "../../#answers/1700000000.000100"
    );
    for wrong in [
        "archives/C0/p1700000000000100",
        "archives/C0/x",
        "archives/C0/p1",
    ] {
        let missing = running.http.get(running.url(wrong)).send().await.unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn a_channels_summary_follows_report_and_deployment() {
    let running = Running::start().await;
    let summary = async || running.get("api/channels").await["channels"][0].clone();
    assert!(summary().await["report_ts"].is_null());
    let post = async |event_type: &str| {
        let mut message = card("v1");
        let buttons = [
            button("deploy", "Deploy", "Deploy", "v1"),
            button("discard", "Discard", "Discard", "v1"),
        ];
        message.blocks = vec![actions("decide", &buttons)];
        message.metadata = Some(json!({"event_type": event_type, "event_payload": {}}));
        running
            .slack
            .post_message(&running.channel(), None, &message)
            .await
            .unwrap()
    };
    let not_yet = post("iofold_not_yet").await;
    assert_eq!(summary().await["not_yet_ts"], not_yet.ts);
    let report = post("iofold_report").await;
    assert_eq!(
        (&summary().await["report_ts"], &summary().await["deployed"]),
        (&json!(report.ts), &json!(false))
    );
    let click = json!({"ts": report.ts, "action_id": "deploy", "value": "v1"});
    running.post("api/channels/answers/click", click).await;
    assert_eq!(summary().await["deployed"], true);
    let later = post("iofold_report").await;
    assert_eq!(summary().await["report_ts"], later.ts);
    for (ts, report_ts, discarded) in [
        (&later.ts, json!(report.ts), false),
        (&report.ts, Value::Null, true),
    ] {
        let click = json!({"ts": ts, "action_id": "discard", "value": "v1"});
        running.post("api/channels/answers/click", click).await;
        let now = summary().await;
        assert_eq!(
            now["report_ts"], report_ts,
            "a discarded report is not pointed at"
        );
        assert_eq!(now["discarded"], discarded);
    }
}
