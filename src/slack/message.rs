use serde::Serialize;
use serde_json::{Value, json};

/// Slack refuses a message whose section text is longer, in characters (docs.slack.dev, "section").
pub const SECTION_MAX: usize = 3_000;
/// Slack's limit for a header's text, in characters.
pub const HEADER_MAX: usize = 150;
/// Slack's limit for the blocks of one message.
pub const BLOCKS_MAX: usize = 50;
/// Slack cuts a message's `text` here, in characters.
pub const TEXT_MAX: usize = 40_000;

/// A message as `chat.postMessage` takes it, without channel and thread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The fallback for notifications and screen readers.
    pub text: String,
    /// Block Kit.
    pub blocks: Vec<Value>,
    /// `{event_type, event_payload}`: how the message is found again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

impl Message {
    /// The message without its pictures; `None` where it shows none.
    pub fn without_pictures(&self) -> Option<Self> {
        let mut rest = self.clone();
        rest.blocks.retain(|block| block["type"] != "image");
        (rest.blocks.len() < self.blocks.len()).then_some(rest)
    }
}

/// Escapes what has a meaning in `mrkdwn`, which also disarms mentions and links; leaves out what would reorder the text
/// beside it.
pub fn escape(text: &str) -> String {
    text.replace(is_direction, "")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Unicode's embedded, overridden and isolated directions.
pub fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text`, or its first `max - 1` characters and an ellipsis.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}

/// A section of `mrkdwn`; the caller has escaped what is not its own.
pub fn section(mrkdwn: &str) -> Value {
    json!({"type": "section", "text": verbatim(mrkdwn)})
}

/// `mrkdwn` in which Slack makes no link of its own out of addresses and `#names`.
fn verbatim(mrkdwn: &str) -> Value {
    json!({"type": "mrkdwn", "text": cut(mrkdwn, SECTION_MAX), "verbatim": true})
}

/// A header; plain text without emoji codes.
pub fn header(text: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": cut(text, HEADER_MAX), "emoji": false}})
}

/// Small grey `mrkdwn`; the caller has escaped what is not its own.
pub fn context(mrkdwn: &str) -> Value {
    json!({"type": "context", "elements": [verbatim(mrkdwn)]})
}

/// Preformatted text, which needs no escaping and cannot be broken out of.
pub fn preformatted(text: &str) -> Value {
    json!({"type": "rich_text", "elements": [
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": cut(text, SECTION_MAX)}]}
    ]})
}

/// A row of buttons.
pub fn actions(block_id: &str, buttons: &[Value]) -> Value {
    json!({"type": "actions", "block_id": block_id, "elements": buttons})
}

/// A button; `value` holds ids only and is checked when it comes back.
pub fn button(action_id: &str, text: &str, label: &str, value: &str) -> Value {
    json!({
        "type": "button", "action_id": action_id, "value": value, "accessibility_label": label,
        "text": {"type": "plain_text", "text": text, "emoji": true},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_mention_or_link() {
        assert_eq!(
            escape("<!channel> <@U1> a & b"),
            "&lt;!channel&gt; &lt;@U1&gt; a &amp; b"
        );
        assert_eq!(escape("a\u{202e}b\u{2069}"), "ab");
    }

    #[test]
    fn slack_makes_no_links_out_of_hostile_text() {
        let hostile = "https://evil.example #general";
        assert_eq!(section(hostile)["text"]["verbatim"], true);
        assert_eq!(context(hostile)["elements"][0]["verbatim"], true);
    }

    #[test]
    fn a_message_without_its_pictures_is_otherwise_the_same() {
        let picture = json!({"type": "image", "slack_file": {"id": "F1"}, "alt_text": "a"});
        let mut message = Message {
            text: "t".to_owned(),
            blocks: vec![section("a"), picture, context("b")],
            metadata: Some(json!({"event_type": "e"})),
        };
        let rest = message.without_pictures();
        message.blocks.remove(1);
        assert_eq!(rest.as_ref(), Some(&message));
        assert_eq!(message.without_pictures(), None);
    }

    #[test]
    fn text_is_cut_by_characters_not_bytes() {
        assert_eq!(cut("👍👍👍", 3), "👍👍👍");
        assert_eq!(cut("👍👍👍👍", 3), "👍👍…");
    }
}
