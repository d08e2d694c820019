use serde_json::{Value, json};

use crate::domain::Thumb;

/// The `callback_id` of the modal that asks for a reason.
pub const REASON_CALLBACK: &str = "label_reason";
/// A reason is one line.
pub const REASON_MAX: usize = 500;

/// The modal that asks why, for a thumb that is already stored: reasons to tap, if there are any, and a field.
pub fn reason_modal(private_metadata: &str, thumb: Thumb, reasons: &[String]) -> Value {
    let title = match thumb {
        Thumb::Down => "What is wrong?",
        Thumb::Up | Thumb::Neutral => "Say why",
    };
    let to_tap = (!reasons.is_empty()).then(|| to_tap(reasons));
    let blocks: Vec<Value> = to_tap.into_iter().chain([field(thumb)]).collect();
    json!({
        "type": "modal",
        "callback_id": REASON_CALLBACK,
        "private_metadata": private_metadata,
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Save"},
        "close": {"type": "plain_text", "text": "Skip"},
        "blocks": blocks,
    })
}

/// The team's own words, which are hostile: plain text without emoji codes.
fn to_tap(reasons: &[String]) -> Value {
    let option = |reason: &String| json!({"value": reason, "text": {"type": "plain_text", "text": reason, "emoji": false}});
    let options: Vec<Value> = reasons.iter().map(option).collect();
    json!({
        "type": "input",
        "block_id": "reasons",
        "optional": true,
        "label": {"type": "plain_text", "text": "As said before"},
        "element": {"type": "checkboxes", "action_id": "reasons", "options": options},
    })
}

fn field(thumb: Thumb) -> Value {
    let placeholder = match thumb {
        Thumb::Up => "It answers the question",
        Thumb::Neutral => "It is hard to say",
        Thumb::Down => "It does not answer the question",
    };
    let label = format!("In one line; your {} is already counted", thumb.emoji());
    json!({
        "type": "input",
        "block_id": "reason",
        "optional": true,
        "label": {"type": "plain_text", "text": label},
        "element": {
            "type": "plain_text_input",
            "action_id": "reason",
            "max_length": REASON_MAX,
            "focus_on_load": true,
            "placeholder": {"type": "plain_text", "text": placeholder},
        },
    })
}

/// What was tapped and what was written in a submitted modal, line by line; empty where that is nothing.
pub fn reason_of(view: &Value) -> String {
    let values = &view["state"]["values"];
    let tapped = values["reasons"]["reasons"]["selected_options"].as_array();
    let tapped = tapped.into_iter().flatten().map(|option| &option["value"]);
    let said = tapped.chain([&values["reason"]["reason"]["value"]]);
    let said = said.filter_map(Value::as_str).map(str::trim);
    let said: Vec<&str> = said.filter(|text| !text.is_empty()).collect();
    said.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_tapped_above_the_field_and_are_plain_text() {
        let reasons = [
            "<!channel> *no* :bomb:".to_owned(),
            "\"}],\"blocks\":[".to_owned(),
        ];
        let modal = reason_modal("{}", Thumb::Down, &reasons);
        let options = &modal["blocks"][0]["element"]["options"];
        for (option, reason) in options.as_array().unwrap().iter().zip(&reasons) {
            assert_eq!(
                option["text"],
                json!({"type": "plain_text", "text": reason, "emoji": false})
            );
        }
        assert_eq!(modal["blocks"][1]["block_id"], "reason");
        let without = reason_modal("{}", Thumb::Up, &[]);
        assert_eq!(without["blocks"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_was_tapped_and_what_was_written_make_one_reason() {
        let of = |tapped: &[&str], written: Option<&str>| {
            let tapped: Vec<Value> = tapped.iter().map(|t| json!({"value": t})).collect();
            reason_of(&json!({"state": {"values": {
                "reasons": {"reasons": {"selected_options": tapped}},
                "reason": {"reason": {"value": written}},
            }}}))
        };
        assert_eq!(of(&["a", "b"], Some(" c ")), "a\nb\nc");
        assert_eq!(of(&["a"], None), "a");
        assert_eq!(of(&[], Some("  ")), "");
        assert_eq!(reason_of(&Value::Null), "");
    }
}
