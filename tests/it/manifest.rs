//! `slack-manifest.yml` is what Slack takes, and asks for what the code uses and for no more.

use std::collections::BTreeSet;
use std::path::Path;

use iofold::slack::scopes::{EVENTS, METHODS, wanted};
use regex::Regex;
use serde_json::{Value, json};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest() -> Value {
    serde_saphyr::from_str(&read("slack-manifest.yml")).expect("it is YAML")
}

fn texts(list: &Value) -> BTreeSet<&str> {
    let list = list.as_array().expect("a list");
    let set: BTreeSet<_> = list
        .iter()
        .map(|item| item.as_str().expect("a text"))
        .collect();
    assert_eq!(set.len(), list.len(), "nothing is listed twice");
    set
}

/// An object of these keys and no others, of which `required` are there.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn text(max: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": max})
}

fn address(max: usize) -> Value {
    json!({"type": "string", "pattern": "^https://", "maxLength": max})
}

fn list(max: usize, item: Value) -> Value {
    json!({"type": "array", "items": item, "maxItems": max, "uniqueItems": true})
}

/// The parts of a manifest that ours has, with Slack's keys and limits (docs.slack.dev, "App manifest reference", and
/// github.com/slackapi/manifest-schema, version 1.0.0).
fn shape() -> Value {
    let switch = json!({"type": "boolean"});
    let version = json!({"const": 1});
    let command = object(
        &["command", "description"],
        json!({
            "command": {"type": "string", "pattern": "^/[a-z0-9_-]+$", "maxLength": 32},
            "url": address(3000), "description": text(2000), "usage_hint": text(1000), "should_escape": switch,
        }),
    );
    object(
        &[
            "display_information",
            "features",
            "oauth_config",
            "settings",
        ],
        json!({
            "_metadata": object(&[], json!({"major_version": version, "minor_version": version})),
            "display_information": object(&["name"], json!({
                "name": text(35), "description": text(140),
                "background_color": {"type": "string", "pattern": "^#([0-9a-fA-F]{3}){1,2}$"},
            })),
            "features": object(&["bot_user"], json!({
                "bot_user": object(&["display_name"], json!({"display_name": text(80), "always_online": switch})),
                "app_home": object(&[], json!({
                    "home_tab_enabled": switch, "messages_tab_enabled": switch,
                    "messages_tab_read_only_enabled": switch,
                })),
                "slash_commands": {"type": "array", "items": command, "minItems": 1, "maxItems": 50},
            })),
            "oauth_config": object(&["scopes"], json!({
                "redirect_urls": list(1000, address(2500)),
                "scopes": object(&["bot"], json!({"bot": list(255, text(50))})),
            })),
            "settings": object(&[], json!({
                "event_subscriptions": object(&["bot_events"], json!({
                    "request_url": address(3500), "bot_events": list(100, text(50)),
                })),
                "interactivity": object(&["is_enabled"], json!({"is_enabled": switch, "request_url": address(3500)})),
                "org_deploy_enabled": switch, "socket_mode_enabled": switch, "token_rotation_enabled": switch,
            })),
        }),
    )
}

#[test]
fn the_manifest_has_the_shape_that_slack_takes() {
    let shape = jsonschema::validator_for(&shape()).expect("it is a schema");
    let manifest = manifest();
    let problems: Vec<_> = shape
        .iter_errors(&manifest)
        .map(|error| error.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
    for (path, wrong) in [
        ("/display_information/name", json!("n".repeat(36))),
        ("/features/slash_commands/0/command", json!("iofold")),
        (
            "/settings/event_subscriptions/request_url",
            json!("iofold.example.com"),
        ),
        ("/settings/socket_mode_enabled", json!("no")),
    ] {
        let mut broken = manifest.clone();
        *broken.pointer_mut(path).expect("it is there") = wrong;
        assert!(!shape.is_valid(&broken), "{path}");
    }
}

#[test]
fn the_manifest_asks_for_the_scopes_that_the_code_uses_and_for_no_other() {
    let manifest = manifest();
    let asked = texts(&manifest["oauth_config"]["scopes"]["bot"]);
    assert_eq!(asked, wanted().into_iter().collect());
    let sources = client_sources();
    let called = called(&sources);
    let methods = METHODS.iter().filter(|(method, _)| called.contains(method));
    let used = methods
        .chain(EVENTS)
        .flat_map(|(_, scopes)| *scopes)
        .copied();
    let used: BTreeSet<_> = used.chain(["commands"]).collect();
    assert_eq!(asked, used, "no scope is for a method that nothing calls");
}

#[test]
fn the_manifest_leads_to_the_routes_that_are_there() {
    let manifest = manifest();
    let base = "https://iofold.example.com/slack/";
    for (path, route) in [
        ("/features/slash_commands/0/url", "commands"),
        ("/oauth_config/redirect_urls/0", "oauth/callback"),
        ("/settings/event_subscriptions/request_url", "events"),
        ("/settings/interactivity/request_url", "interactions"),
    ] {
        let given = manifest.pointer(path).and_then(Value::as_str);
        assert_eq!(given, Some(format!("{base}{route}").as_str()), "{path}");
    }
    for off in [
        "org_deploy_enabled",
        "socket_mode_enabled",
        "token_rotation_enabled",
    ] {
        assert_eq!(manifest["settings"][off], false, "{off}");
    }
}

/// The sources of the client, without tests and without the table itself.
fn client_sources() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/slack");
    let files = std::fs::read_dir(folder).expect("the room is there");
    let names = files.map(|file| {
        file.expect("an entry")
            .file_name()
            .into_string()
            .expect("a name")
    });
    let is_source = |name: &String| {
        name.ends_with(".rs")
            && !["scopes.rs", "scripted.rs"].contains(&name.as_str())
            && !name.contains("test")
    };
    let sources = names
        .filter(is_source)
        .map(|name| read(&format!("src/slack/{name}")));
    let code = |text: String| {
        text.split("#[cfg(test)]\nmod")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    sources.map(code).collect()
}

/// The methods that sources name.
fn called(sources: &str) -> BTreeSet<&str> {
    let families = "api|apps|auth|bots|chat|conversations|files|oauth|reactions|team|users|views";
    let method =
        Regex::new(&format!("\"((?:{families})(?:\\.[a-zA-Z0-9]+)+)\"")).expect("a pattern");
    let found = method.captures_iter(sources);
    found
        .map(|found| found.get(1).expect("there is a group").as_str())
        .collect()
}

#[test]
fn every_method_that_the_client_calls_is_in_the_table() {
    let known: BTreeSet<_> = METHODS.iter().map(|(method, _)| *method).collect();
    let sources = client_sources();
    let called = called(&sources);
    assert!(
        called.len() > 5,
        "the pattern finds what is called: {called:?}"
    );
    let unknown: Vec<_> = called.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "src/slack/scopes.rs has to name {unknown:?} with their scopes"
    );
}

/// Slack's own notes, which nobody subscribes to.
const UNASKED: [&str; 3] = ["app_rate_limited", "event_callback", "url_verification"];

/// The types that these sources match events by: arms, and comparisons with `["type"]`.
fn handled(sources: &str) -> BTreeSet<String> {
    let arm = r#"(?m)^\s*(?:Some\()?("[a-z_]+"(?:\s*\|\s*"[a-z_]+")*)\)?(?:\s+if [^=\n]+)?\s*=>"#;
    let compared = r#"\["type"\] == ("[a-z_]+")"#;
    let name = Regex::new("[a-z_]+").expect("a pattern");
    let mut found = BTreeSet::new();
    for pattern in [arm, compared] {
        let pattern = Regex::new(pattern).expect("a pattern");
        for matched in pattern.captures_iter(sources) {
            found.extend(
                name.find_iter(&matched[1])
                    .map(|name| name.as_str().to_owned()),
            );
        }
    }
    found
}

#[test]
fn every_event_that_is_handled_is_subscribed() {
    let manifest = manifest();
    let subscribed = texts(&manifest["settings"]["event_subscriptions"]["bot_events"]);
    let known: BTreeSet<_> = EVENTS.iter().map(|(event, _)| *event).collect();
    assert_eq!(subscribed, known);
    let sources: String = ["event.rs", "channel.rs"]
        .iter()
        .map(|name| Path::new("src/inbound").join(name))
        .filter(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists())
        .map(|path| read(path.to_str().expect("a plain path")))
        .collect();
    let handled = handled(&sources);
    assert!(
        handled.contains("app_uninstalled"),
        "the patterns find what is handled: {handled:?}"
    );
    for event in &handled {
        // A message is subscribed by its kind of channel, and its subtypes come with it.
        let is_message = event == "message" || event.starts_with("message_");
        let is_asked =
            is_message || UNASKED.contains(&event.as_str()) || subscribed.contains(event.as_str());
        assert!(
            is_asked,
            "slack-manifest.yml and src/slack/scopes.rs have to name {event}"
        );
    }
}
