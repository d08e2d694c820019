use serde_json::{Map, Value, json};

/// What a person did with an element.
#[derive(Clone, Debug, Default)]
pub struct Choice<'a> {
    /// The block, where the page names it; else the first block that has such an element.
    pub block_id: Option<&'a str>,
    /// The element.
    pub action_id: &'a str,
    /// A button's value, or the chosen option's; a text for an input.
    pub value: &'a str,
    /// The values of all options that are now ticked, for checkboxes.
    pub selected: &'a [String],
}

/// An action as Slack's payloads describe it, and what the person saw.
pub struct Acted {
    /// `actions[0]`, without `action_ts`.
    pub action: Value,
    /// The text of the button or option.
    pub text: String,
    /// The value of the button or option.
    pub value: String,
}

/// Every element that people act on, with its block's id.
pub fn of_blocks(blocks: &[Value]) -> impl Iterator<Item = (String, Value)> + '_ {
    blocks.iter().flat_map(|block| {
        let id = block["block_id"].as_str().unwrap_or_default().to_owned();
        let several = match block["type"].as_str() {
            Some("actions" | "context_actions") => block["elements"].as_array(),
            _ => None,
        };
        let lone = [&block["accessory"], &block["element"]];
        let all = several.into_iter().flatten().chain(lone);
        let elements = all.filter(|element| element["type"].is_string());
        elements.map(move |element| (id.clone(), element.clone()))
    })
}

/// What `choice` does in these blocks; `None` where no such element, value or option is there.
pub fn act(blocks: &[Value], choice: &Choice) -> Option<Acted> {
    let mut elements = of_blocks(blocks).filter(|(block, element)| {
        element["action_id"] == choice.action_id && choice.block_id.is_none_or(|id| id == block)
    });
    elements.find_map(|(block_id, element)| {
        let mut acted = acted(&element, choice)?;
        acted.action["block_id"] = json!(block_id);
        Some(acted)
    })
}

fn acted(element: &Value, choice: &Choice) -> Option<Acted> {
    let kind = element["type"].as_str()?;
    let mut action = json!({"type": kind, "action_id": element["action_id"]});
    let shown = match kind {
        "button" | "icon_button" => {
            let value = element["value"].as_str().unwrap_or_default();
            if value != choice.value {
                return None;
            }
            copy(element, &mut action, &["text", "value", "style"]);
            element.clone()
        }
        "feedback_buttons" => {
            let buttons = [&element["positive_button"], &element["negative_button"]];
            let button = buttons.into_iter().find(|b| b["value"] == choice.value)?;
            copy(button, &mut action, &["text", "value"]);
            button.clone()
        }
        "plain_text_input" => {
            action["value"] = json!(choice.value);
            json!({"text": {"text": choice.value}, "value": choice.value})
        }
        "checkboxes" => {
            action["selected_options"] = json!(chosen_options(element, choice.selected)?);
            json!({})
        }
        _ => {
            action["selected_option"] = option(element, choice.value)?;
            copy(element, &mut action, &["placeholder", "initial_option"]);
            action["selected_option"].clone()
        }
    };
    Some(Acted {
        action,
        text: text_of(&shown["text"]["text"]),
        value: text_of(&shown["value"]),
    })
}

fn copy(from: &Value, to: &mut Value, names: &[&str]) {
    for name in names {
        if !from[name].is_null() {
            to[name] = from[name].clone();
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The option of this value.
fn option(element: &Value, value: &str) -> Option<Value> {
    let groups = element["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.filter_map(|group| group["options"].as_array());
    let own = element["options"].as_array().into_iter();
    let mut options = own.chain(grouped).flatten();
    options.find(|option| option["value"] == value).cloned()
}

/// The options of these values; `None` where one is not there.
fn chosen_options(element: &Value, values: &[String]) -> Option<Vec<Value>> {
    values.iter().map(|value| option(element, value)).collect()
}

/// An element's part of `state.values` where a person has chosen nothing: its initial value. `None` for
/// an element that keeps none, as a button.
fn initial(element: &Value) -> Option<Value> {
    let kind = element["type"].as_str()?;
    let state = match kind {
        "plain_text_input" => json!({"type": kind, "value": element["initial_value"]}),
        "static_select" | "radio_buttons" => {
            json!({"type": kind, "selected_option": element["initial_option"]})
        }
        "checkboxes" => {
            let ticked = element["initial_options"].as_array().cloned();
            json!({"type": kind, "selected_options": ticked.unwrap_or_default()})
        }
        _ => return None,
    };
    Some(state)
}

/// An element's part of `state.values` once a person has given `value`: a text, an option's value, or
/// the list of ticked values. `None` where that is none of its options.
fn given(element: &Value, value: &Value) -> Option<Value> {
    let kind = element["type"].as_str()?;
    let text = value.as_str().unwrap_or_default();
    Some(match kind {
        "plain_text_input" => {
            let value = Some(text).filter(|text| !text.is_empty());
            json!({"type": kind, "value": value})
        }
        "checkboxes" => {
            let values: Vec<String> = value.as_array()?.iter().map(text_of).collect();
            json!({"type": kind, "selected_options": chosen_options(element, &values)?})
        }
        _ => json!({"type": kind, "selected_option": option(element, text)?}),
    })
}

/// `state.values`: by block and action, what `chosen` holds or else what is there at first.
pub fn values(blocks: &[Value], chosen: &Value) -> Value {
    let mut values = Map::new();
    for (block_id, element) in of_blocks(blocks) {
        let Some(initial) = initial(&element) else {
            continue;
        };
        let action_id = text_of(&element["action_id"]);
        let chosen = &chosen[&block_id][&action_id];
        let is_same_kind = chosen["type"] == element["type"];
        let state = if is_same_kind {
            chosen.clone()
        } else {
            initial
        };
        let block = values.entry(block_id).or_insert_with(|| json!({}));
        block[action_id] = state;
    }
    Value::Object(values)
}

/// Adds what a person has filled in, `{block_id: {action_id: text | value | [values]}}`, to `chosen`.
pub fn fill(blocks: &[Value], chosen: &mut Value, filled: &Value) {
    for (block_id, element) in of_blocks(blocks) {
        let action_id = text_of(&element["action_id"]);
        let value = &filled[&block_id][&action_id];
        if initial(&element).is_none() || value.is_null() {
            continue;
        }
        if let Some(state) = given(&element, value) {
            chosen[block_id][action_id] = state;
        }
    }
}

/// Keeps what an action leaves chosen, as a ticked box; a button leaves nothing.
pub fn keep(chosen: &mut Value, action: &Value) {
    let names = ["selected_option", "selected_options", "value"];
    let kind = action["type"].as_str().unwrap_or_default();
    let (Some(block_id), Some(action_id)) =
        (action["block_id"].as_str(), action["action_id"].as_str())
    else {
        return;
    };
    if initial(action).is_some() {
        let mut state = json!({"type": kind});
        copy(action, &mut state, &names);
        chosen[block_id][action_id] = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Value {
        let option =
            |value: &str| json!({"text": {"type": "plain_text", "text": value}, "value": value});
        json!([option("a"), option("b")])
    }

    fn blocks() -> Vec<Value> {
        let of = |kind: &str| json!({"type": kind, "action_id": kind, "options": options()});
        let mut radio = of("radio_buttons");
        radio["initial_option"] = options()[1].clone();
        vec![
            json!({"type": "section", "block_id": "menu", "accessory": of("overflow")}),
            json!({"type": "actions", "block_id": "row", "elements": [
                {"type": "button", "action_id": "go", "value": "v", "text": {"type": "plain_text", "text": "Go"}},
                of("static_select"), radio, of("checkboxes"),
            ]}),
            json!({"type": "input", "block_id": "why", "element": {"type": "plain_text_input", "action_id": "t"}}),
        ]
    }

    fn action(action_id: &str, value: &str, selected: &[&str]) -> Option<Value> {
        let selected: Vec<String> = selected.iter().map(|s| (*s).to_owned()).collect();
        let choice = Choice {
            action_id,
            value,
            selected: &selected,
            ..Choice::default()
        };
        act(&blocks(), &choice).map(|acted| acted.action)
    }

    #[test]
    fn each_kind_of_element_tells_of_itself_as_slack_does() {
        let button = action("go", "v", &[]).expect("it is there");
        assert_eq!(
            button,
            json!({"type": "button", "action_id": "go", "block_id": "row", "value": "v",
                "text": {"type": "plain_text", "text": "Go"}})
        );
        for (kind, block) in [
            ("overflow", "menu"),
            ("static_select", "row"),
            ("radio_buttons", "row"),
        ] {
            let chosen = action(kind, "b", &[]).expect("it is there");
            assert_eq!(chosen["selected_option"], options()[1], "{kind}");
            assert_eq!(chosen["block_id"], block);
            assert!(action(kind, "c", &[]).is_none(), "no such option");
        }
        let ticked = action("checkboxes", "", &["a", "b"]).expect("they are there");
        assert_eq!(ticked["selected_options"], options());
        assert!(action("checkboxes", "", &["a", "c"]).is_none());
        assert!(action("go", "w", &[]).is_none(), "another value");
    }

    #[test]
    fn values_are_what_was_chosen_or_else_what_was_there_at_first() {
        let blocks = blocks();
        let mut chosen = json!({});
        let first = values(&blocks, &chosen);
        assert_eq!(
            first["row"]["radio_buttons"]["selected_option"],
            options()[1]
        );
        assert_eq!(first["row"]["checkboxes"]["selected_options"], json!([]));
        assert_eq!(
            first["why"]["t"],
            json!({"type": "plain_text_input", "value": null})
        );
        assert!(first.get("menu").is_none() && first["row"].get("go").is_none());
        let ticked = action("checkboxes", "", &["a"]).expect("it is there");
        keep(&mut chosen, &ticked);
        keep(&mut chosen, &action("go", "v", &[]).expect("it is there"));
        let filled =
            json!({"why": {"t": "because"}, "row": {"static_select": "a", "radio_buttons": "c"}});
        fill(&blocks, &mut chosen, &filled);
        let then = values(&blocks, &chosen);
        assert_eq!(
            then["row"]["checkboxes"]["selected_options"][0],
            options()[0]
        );
        assert_eq!(then["why"]["t"]["value"], "because");
        assert_eq!(
            then["row"]["static_select"]["selected_option"],
            options()[0]
        );
        assert_eq!(
            then["row"]["radio_buttons"]["selected_option"],
            options()[1],
            "no such option, so as before"
        );
    }
}
