//! Media in texts: a readable placeholder in brackets, never the data.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

const MEDIA_TYPES: [&str; 7] = [
    "mediaType",
    "media_type",
    "mimeType",
    "mime_type",
    "image_mimetype",
    "document_mimetype",
    "video_mimetype",
];

/// Langfuse's stand-ins for media and inline data, shortened to their kind.
pub fn without_media(text: &str) -> String {
    static MEDIA: LazyLock<Regex> = LazyLock::new(|| {
        let token = r"@@@langfuseMedia:type=([^|@]*)\|[^@]*@@@";
        let inline =
            r"data:([A-Za-z]+/[A-Za-z0-9.+-]+)(?:;[a-z]+=[A-Za-z0-9-]+)*;base64,[A-Za-z0-9+/=_-]+";
        Regex::new(&format!("{token}|{inline}")).expect("the expression is valid")
    });
    MEDIA.replace_all(text, "[$1$2]").into_owned()
}

/// The placeholder of a content part that is a picture, sound, film or file: its media type where that is
/// said, else its kind. `None` for any other part.
///
/// Known are a `type` (OpenAI, Anthropic, AI SDK, OpenTelemetry), a `block_type` (LlamaIndex), and parts
/// that stand under their kind (Gemini, Bedrock).
pub fn placeholder(kind: &str, part: &Map<String, Value>) -> Option<String> {
    let kind = match kind {
        "image_url" | "image" | "input_image" => "image",
        "input_audio" | "audio" => "audio",
        "video" | "input_video" | "video_url" => "video",
        "document" => "document",
        "file" | "input_file" | "blob" | "uri" | "file_data" | "container_upload" => "file",
        "source-url" | "source-document" => "source",
        _ => held_kind(part)?,
    };
    let modality = || part.get("modality").and_then(Value::as_str);
    let name = media_type(part).or_else(modality).unwrap_or(kind);
    Some(format!("[{name}]"))
}

/// A part without a type that holds media under its kind, beside nothing but nulls.
fn held_kind(part: &Map<String, Value>) -> Option<&'static str> {
    const HOLDERS: [(&str, &str); 8] = [
        ("image", "image"),
        ("document", "document"),
        ("video", "video"),
        ("audio", "audio"),
        ("inlineData", "file"),
        ("inline_data", "file"),
        ("fileData", "file"),
        ("file_data", "file"),
    ];
    let holds = |key: &str| part.get(key).is_some_and(Value::is_object);
    let is_typed = part.contains_key("type") || part.contains_key("block_type");
    let held = HOLDERS.iter().find(|(key, _)| !is_typed && holds(key))?;
    Some(held.1)
}

/// What the part, or what it holds, says of its media type.
fn media_type(part: &Map<String, Value>) -> Option<&str> {
    let inner = part.values().filter_map(Value::as_object);
    let mut said = std::iter::once(part).chain(inner).flat_map(|fields| {
        let texts = MEDIA_TYPES.iter().filter_map(|key| fields.get(*key));
        texts.filter_map(Value::as_str)
    });
    said.find(|text| text.contains('/'))
}

/// A value as JSON, for what has no other reading: inline data in it shortened like media.
pub fn json_text(value: &Value) -> String {
    without_media(&without_data(value).to_string())
}

/// Bytes in base64 beside their media type or format, as their kind in brackets.
fn without_data(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Array(items) => Cow::Owned(
            items
                .iter()
                .map(|item| without_data(item).into_owned())
                .collect(),
        ),
        Value::Object(fields) => {
            let is_media = fields.contains_key("format") || media_type(fields).is_some();
            let pairs = fields.iter().map(|(key, value)| {
                let kept = match is_media && is_data(key, value) {
                    true => Value::String("[data]".to_owned()),
                    false => without_data(value).into_owned(),
                };
                (key.clone(), kept)
            });
            Cow::Owned(Value::Object(pairs.collect()))
        }
        _ => Cow::Borrowed(value),
    }
}

/// Text is hardly ever as long without a space or a full stop.
fn is_data(key: &str, value: &Value) -> bool {
    const KEYS: [&str; 5] = ["data", "bytes", "base64", "b64_json", "file_data"];
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    let text = value.as_str().unwrap_or_default();
    KEYS.contains(&key) && text.len() >= 64 && text.bytes().all(is_base64)
}
