use serde_json::{Value, json};

/// The `callback_id` of the modal that asks for a reason.
pub const REASON_CALLBACK: &str = "label_reason";
/// A reason is one line.
pub const REASON_MAX: usize = 500;

/// The modal that asks why, after a 👎 that is already stored.
pub fn reason_modal(private_metadata: &str) -> Value {
    json!({
        "type": "modal",
        "callback_id": REASON_CALLBACK,
        "private_metadata": private_metadata,
        "title": {"type": "plain_text", "text": "What is wrong?"},
        "submit": {"type": "plain_text", "text": "Save"},
        "close": {"type": "plain_text", "text": "Skip"},
        "blocks": [{
            "type": "input",
            "block_id": "reason",
            "optional": true,
            "label": {"type": "plain_text", "text": "In one line; your 👎 is already counted"},
            "element": {
                "type": "plain_text_input",
                "action_id": "reason",
                "max_length": REASON_MAX,
                "focus_on_load": true,
                "placeholder": {"type": "plain_text", "text": "It does not answer the question"},
            },
        }],
    })
}
