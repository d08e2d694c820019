use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::api::{Answer, Refusal};
use super::arguments::Arguments;
use super::state::{BOT_USER_ID, random_id};
use super::{Entry, File, Message, Slack, State};

/// Slack takes a gigabyte; the playground keeps its files in memory, and a picture is below 1 MiB.
const FILE_MAX: usize = 10 * 1024 * 1024;

pub fn routes() -> Router<Slack> {
    let upload = post(upload).put(upload);
    Router::new().route(
        "/upload/v1/{id}/{key}",
        upload.layer(DefaultBodyLimit::max(FILE_MAX)),
    )
}

/// `files.getUploadURLExternal`.
pub fn upload_url(slack: &Slack, arguments: &Arguments) -> Answer {
    let name = arguments.optional("filename").ok_or("invalid_arguments")?;
    slack.state().standing.need("files:write")?;
    let length: usize = arguments
        .text("length")
        .parse()
        .map_err(|_| "invalid_arguments")?;
    if length == 0 || length > FILE_MAX {
        return Err(Refusal::Error("invalid_arguments"));
    }
    let file = File {
        id: format!("F{}", random_id()),
        key: format!("{:032x}", rand::random::<u128>()),
        name,
        length,
        title: None,
        alt_text: arguments.optional("alt_txt"),
        content: String::new(),
        is_complete: false,
        ready_at: None,
    };
    let url = format!(
        "{}upload/v1/{}/{}",
        slack.0.config.base_url, file.id, file.key
    );
    let answer = json!({"upload_url": url, "file_id": file.id});
    slack.state().files.insert(file.id.clone(), file);
    Ok(answer)
}

/// Takes the bytes; the address is the permission, as with Slack's.
async fn upload(
    Shared(slack): Shared<Slack>,
    Path((id, key)): Path<(String, String)>,
    bytes: Bytes,
) -> (StatusCode, String) {
    let mut state = slack.state();
    let open = |file: &&mut File| file.key == key && !file.is_complete;
    let Some(file) = state.files.get_mut(&id).filter(open) else {
        return (StatusCode::NOT_FOUND, "not found".to_owned());
    };
    if bytes.len() != file.length {
        let problem = format!("{} bytes were announced, {} came", file.length, bytes.len());
        return (StatusCode::BAD_REQUEST, problem);
    }
    file.content = BASE64_STANDARD.encode(&bytes);
    (StatusCode::OK, format!("OK - {}", bytes.len()))
}

/// `files.completeUploadExternal`: Slack processes the file after it has answered, and until then no
/// message can show it. Shared in a channel, the file becomes a message of its own.
pub fn complete(slack: &Slack, arguments: &Arguments) -> Answer {
    let given = arguments.structure("files").ok_or("invalid_arguments")?;
    let given = given
        .as_array()
        .filter(|files| !files.is_empty())
        .ok_or("invalid_arguments")?;
    let mut state = slack.state();
    let channel = arguments.optional("channel_id");
    if channel
        .as_ref()
        .is_some_and(|id| slack.channel(id).is_none())
    {
        return Err(Refusal::Error("channel_not_found"));
    }
    let ready_at = Instant::now() + slack.0.config.timing.file_ready_after;
    let files: Vec<File> = given
        .iter()
        .map(|f| uploaded(&state, f, ready_at))
        .collect::<Result<_, _>>()?;
    let shown: Vec<Value> = files.iter().map(|file| to_slack(slack, file)).collect();
    for file in &files {
        slack.record(&mut state, Entry::Completed(file.clone()))?;
    }
    if let Some(channel) = channel {
        let message = shared(&mut state, &channel, arguments, &files);
        slack.record(&mut state, Entry::Posted(message))?;
    }
    Ok(json!({"files": shown}))
}

fn uploaded(state: &State, given: &Value, ready_at: Instant) -> Result<File, Refusal> {
    let id = given["id"].as_str().unwrap_or_default();
    let mut file = state.files.get(id).cloned().ok_or("file_not_found")?;
    if file.content.is_empty() {
        return Err(Refusal::Error("file_not_found"));
    }
    file.title = given["title"].as_str().map(str::to_owned);
    file.is_complete = true;
    file.ready_at = Some(ready_at);
    Ok(file)
}

fn shared(state: &mut State, channel: &str, arguments: &Arguments, files: &[File]) -> Message {
    let picture = |file: &File| {
        let alt = file
            .alt_text
            .as_ref()
            .or(file.title.as_ref())
            .unwrap_or(&file.name);
        json!({"type": "image", "block_id": random_id(), "alt_text": alt, "slack_file": {"id": file.id}})
    };
    let comment = arguments.optional("initial_comment");
    let text = comment.unwrap_or_else(|| files[0].name.clone());
    let mut message = Message::new(state.next_ts(), channel, text);
    message.blocks = files.iter().map(picture).collect();
    message.thread_ts = arguments.optional("thread_ts");
    message
}

fn to_slack(slack: &Slack, file: &File) -> Value {
    let link = format!("{}files/{}", slack.0.config.base_url, file.id);
    json!({
        "id": file.id, "name": file.name, "title": file.title.as_ref().unwrap_or(&file.name),
        "size": file.length, "user": BOT_USER_ID, "url_private": link, "alt_txt": file.alt_text,
        "mode": "hosted", "is_external": false, "is_public": false,
    })
}
