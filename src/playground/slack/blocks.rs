use std::collections::HashSet;

use serde_json::Value;

/// Where blocks stand: messages take 50, modals 100 (docs.slack.dev, "Blocks").
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surface {
    Message,
    Modal,
}

/// What is wrong with a message's blocks, in Slack's words; empty where nothing is.
///
/// `has_file` says whether an uploaded file of this id can be shown. Limits are those of
/// docs.slack.dev, "Block Kit reference", for the blocks that iofold uses; other types are refused.
pub fn check_message(blocks: &Value, has_file: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut check = Check::new(Surface::Message, has_file);
    check.blocks(blocks);
    check.problems
}

/// What is wrong with a modal; empty where nothing is.
pub fn check_view(view: &Value, has_file: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut check = Check::new(Surface::Modal, has_file);
    check.view(view);
    check.problems
}

struct Check<'a> {
    surface: Surface,
    has_file: &'a dyn Fn(&str) -> bool,
    problems: Vec<String>,
}

impl<'a> Check<'a> {
    fn new(surface: Surface, has_file: &'a dyn Fn(&str) -> bool) -> Self {
        let problems = Vec::new();
        Self {
            surface,
            has_file,
            problems,
        }
    }

    fn refuse(&mut self, at: &str, problem: &str) {
        self.problems.push(format!("{problem} [json-pointer:{at}]"));
    }

    fn view(&mut self, view: &Value) {
        if view["type"] != "modal" {
            self.refuse("/view/type", "must be modal");
        }
        self.plain_text(&view["title"], "/view/title", 24);
        self.optional_plain_text(&view["submit"], "/view/submit", 24);
        self.optional_plain_text(&view["close"], "/view/close", 24);
        self.optional_string(&view["private_metadata"], "/view/private_metadata", 3_000);
        self.optional_string(&view["callback_id"], "/view/callback_id", 255);
        self.blocks(&view["blocks"]);
        let mut blocks = view["blocks"].as_array().into_iter().flatten();
        if view["submit"].is_null() && blocks.any(|block| block["type"] == "input") {
            self.refuse("/view/submit", "is required when there is an input block");
        }
    }

    fn blocks(&mut self, blocks: &Value) {
        let at = match self.surface {
            Surface::Message => "/blocks",
            Surface::Modal => "/view/blocks",
        };
        let most = if self.surface == Surface::Message {
            50
        } else {
            100
        };
        let Some(items) = self.array(blocks, at, 1, most) else {
            return;
        };
        let mut ids = HashSet::new();
        for (i, block) in items.iter().enumerate() {
            let at = format!("{at}/{i}");
            self.optional_string(&block["block_id"], &format!("{at}/block_id"), 255);
            if block["block_id"].as_str().is_some_and(|id| !ids.insert(id)) {
                self.refuse(&format!("{at}/block_id"), "must be unique");
            }
            self.block(block, &at);
        }
    }

    fn block(&mut self, block: &Value, at: &str) {
        match block["type"].as_str().unwrap_or_default() {
            "section" => self.section(block, at),
            "header" => self.plain_text(&block["text"], &format!("{at}/text"), 150),
            "context" => self.context(&block["elements"], &format!("{at}/elements")),
            "divider" => {}
            "image" => self.image(block, at),
            "actions" => self.actions(&block["elements"], &format!("{at}/elements")),
            "rich_text" => self.rich_text(&block["elements"], &format!("{at}/elements")),
            "input" => self.input(block, at),
            other => self.refuse(&format!("{at}/type"), &format!("unsupported type: {other}")),
        }
    }

    fn section(&mut self, block: &Value, at: &str) {
        let fields = &block["fields"];
        if block["text"].is_null() && fields.is_null() {
            self.refuse(at, "text or fields is required");
        }
        if !block["text"].is_null() {
            self.text(&block["text"], &format!("{at}/text"), 3_000);
        }
        if !fields.is_null() {
            let at = format!("{at}/fields");
            for (i, field) in self
                .array(fields, &at, 1, 10)
                .into_iter()
                .flatten()
                .enumerate()
            {
                self.text(field, &format!("{at}/{i}"), 2_000);
            }
        }
        if !block["accessory"].is_null() {
            self.element(&block["accessory"], &format!("{at}/accessory"));
        }
    }

    fn context(&mut self, elements: &Value, at: &str) {
        for (i, element) in self
            .array(elements, at, 1, 10)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let at = format!("{at}/{i}");
            match element["type"].as_str() {
                Some("image") => self.image(element, &at),
                _ => self.text(element, &at, 3_000),
            }
        }
    }

    fn image(&mut self, block: &Value, at: &str) {
        self.string(&block["alt_text"], &format!("{at}/alt_text"), 2_000);
        self.optional_plain_text(&block["title"], &format!("{at}/title"), 2_000);
        let file = &block["slack_file"];
        match (block["image_url"].as_str(), file["id"].as_str()) {
            (Some(_), None) if file.is_null() => {
                self.string(&block["image_url"], &format!("{at}/image_url"), 3_000);
            }
            (None, Some(id)) if (self.has_file)(id) => {}
            (None, Some(_)) => self.refuse(&format!("{at}/slack_file"), "invalid slack file"),
            _ => self.refuse(at, "one of image_url and slack_file is required"),
        }
    }

    fn actions(&mut self, elements: &Value, at: &str) {
        let mut ids = HashSet::new();
        for (i, element) in self
            .array(elements, at, 1, 25)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let at = format!("{at}/{i}");
            if element["action_id"]
                .as_str()
                .is_some_and(|id| !ids.insert(id))
            {
                self.refuse(&format!("{at}/action_id"), "must be unique in its block");
            }
            self.element(element, &at);
        }
    }

    fn element(&mut self, element: &Value, at: &str) {
        match element["type"].as_str().unwrap_or_default() {
            "button" => self.button(element, at),
            "image" => self.image(element, at),
            other => self.refuse(&format!("{at}/type"), &format!("unsupported type: {other}")),
        }
    }

    fn button(&mut self, button: &Value, at: &str) {
        self.plain_text(&button["text"], &format!("{at}/text"), 75);
        self.optional_string(&button["action_id"], &format!("{at}/action_id"), 255);
        self.optional_string(&button["value"], &format!("{at}/value"), 2_000);
        self.optional_string(&button["url"], &format!("{at}/url"), 3_000);
        self.optional_string(
            &button["accessibility_label"],
            &format!("{at}/accessibility_label"),
            75,
        );
        if !matches!(button["style"].as_str(), None | Some("primary" | "danger")) {
            self.refuse(&format!("{at}/style"), "must be primary or danger");
        }
    }

    fn input(&mut self, block: &Value, at: &str) {
        self.plain_text(&block["label"], &format!("{at}/label"), 2_000);
        self.optional_plain_text(&block["hint"], &format!("{at}/hint"), 2_000);
        let element = &block["element"];
        let at = format!("{at}/element");
        if element["type"] != "plain_text_input" {
            self.refuse(&format!("{at}/type"), "unsupported type");
            return;
        }
        self.optional_string(&element["action_id"], &format!("{at}/action_id"), 255);
        self.optional_plain_text(&element["placeholder"], &format!("{at}/placeholder"), 150);
        for name in ["min_length", "max_length"] {
            let value = &element[name];
            let lowest = u64::from(name == "max_length");
            let fits = value
                .as_u64()
                .is_some_and(|n| (lowest..=3_000).contains(&n));
            if !value.is_null() && !fits {
                self.refuse(&format!("{at}/{name}"), "must be no more than 3000");
            }
        }
    }

    fn rich_text(&mut self, elements: &Value, at: &str) {
        for (i, element) in self
            .array(elements, at, 1, 1_000)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let at = format!("{at}/{i}");
            let inside = format!("{at}/elements");
            match element["type"].as_str().unwrap_or_default() {
                "rich_text_section" | "rich_text_preformatted" | "rich_text_quote" => {
                    self.rich_spans(&element["elements"], &inside);
                }
                "rich_text_list" => self.rich_text(&element["elements"], &inside),
                other => {
                    self.refuse(&format!("{at}/type"), &format!("unsupported type: {other}"));
                }
            }
        }
    }

    fn rich_spans(&mut self, spans: &Value, at: &str) {
        for (i, span) in self
            .array(spans, at, 0, 10_000)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let (required, at) = match span["type"].as_str().unwrap_or_default() {
                "text" => ("text", format!("{at}/{i}/text")),
                "link" => ("url", format!("{at}/{i}/url")),
                "emoji" => ("name", format!("{at}/{i}/name")),
                "user" => ("user_id", format!("{at}/{i}/user_id")),
                other => {
                    let problem = format!("unsupported type: {other}");
                    self.refuse(&format!("{at}/{i}/type"), &problem);
                    continue;
                }
            };
            self.string(&span[required], &at, usize::MAX);
        }
    }

    fn text(&mut self, text: &Value, at: &str, most: usize) {
        if !matches!(text["type"].as_str(), Some("mrkdwn" | "plain_text")) {
            self.refuse(&format!("{at}/type"), "must be mrkdwn or plain_text");
        }
        self.string(&text["text"], &format!("{at}/text"), most);
    }

    fn plain_text(&mut self, text: &Value, at: &str, most: usize) {
        if text["type"] != "plain_text" {
            self.refuse(&format!("{at}/type"), "must be plain_text");
        }
        self.string(&text["text"], &format!("{at}/text"), most);
    }

    fn optional_plain_text(&mut self, text: &Value, at: &str, most: usize) {
        if !text.is_null() {
            self.plain_text(text, at, most);
        }
    }

    fn string(&mut self, value: &Value, at: &str, most: usize) {
        if value.as_str().is_none_or(str::is_empty) {
            self.refuse(at, "must be more than 0 characters");
        }
        self.optional_string(value, at, most);
    }

    fn optional_string(&mut self, value: &Value, at: &str, most: usize) {
        match value {
            Value::Null => {}
            Value::String(text) if text.chars().count() > most => {
                self.refuse(at, &format!("must be no more than {most} characters"));
            }
            Value::String(_) => {}
            _ => self.refuse(at, "must be a string"),
        }
    }

    fn array<'v>(
        &mut self,
        value: &'v Value,
        at: &str,
        least: usize,
        most: usize,
    ) -> Option<&'v Vec<Value>> {
        let Some(items) = value.as_array() else {
            self.refuse(at, "must be an array");
            return None;
        };
        if items.len() < least {
            self.refuse(at, &format!("no fewer than {least} items are allowed"));
        }
        if items.len() > most {
            self.refuse(at, &format!("no more than {most} items are allowed"));
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(blocks: Value) -> Vec<String> {
        check_message(&blocks, &|id| id == "F1")
    }

    fn section(length: usize) -> Value {
        json!({"type": "section", "text": {"type": "mrkdwn", "text": "é".repeat(length)}})
    }

    fn button(text: &str, action_id: &str, value: &str) -> Value {
        json!({"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": action_id, "value": value})
    }

    #[test]
    fn what_is_at_a_limit_passes_and_what_is_over_it_is_refused() {
        let header = |n: usize| json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(n)}});
        let context = |n: usize| json!({"type": "context", "elements": vec![json!({"type": "mrkdwn", "text": "x"}); n]});
        let actions = |e: Value| json!({"type": "actions", "elements": [e]});
        for (fits, over) in [
            (json!([section(3_000)]), json!([section(3_001)])),
            (json!(vec![section(1); 50]), json!(vec![section(1); 51])),
            (json!([header(150)]), json!([header(151)])),
            (json!([context(10)]), json!([context(11)])),
            (json!([section(1)]), json!([section(0)])),
            (
                json!([actions(button(&"b".repeat(75), "a", "v"))]),
                json!([actions(button(&"b".repeat(76), "a", "v"))]),
            ),
            (
                json!([actions(button("b", &"a".repeat(255), "v"))]),
                json!([actions(button("b", &"a".repeat(256), "v"))]),
            ),
            (
                json!([actions(button("b", "a", &"v".repeat(2_000)))]),
                json!([actions(button("b", "a", &"v".repeat(2_001)))]),
            ),
        ] {
            assert_eq!(problems(fits), Vec::<String>::new());
            assert_eq!(problems(over.clone()).len(), 1, "{over}");
        }
    }

    #[test]
    fn action_ids_are_unique_in_their_block() {
        let twice = json!([{"type": "actions", "elements": [button("a", "x", "1"), button("b", "x", "2")]}]);
        assert_eq!(
            problems(twice),
            ["must be unique in its block [json-pointer:/blocks/0/elements/1/action_id]"]
        );
    }

    #[test]
    fn a_picture_must_be_an_uploaded_file_that_can_be_shown() {
        let image =
            |id: &str| json!([{"type": "image", "alt_text": "a", "slack_file": {"id": id}}]);
        assert!(problems(image("F1")).is_empty());
        assert_eq!(
            problems(image("F2")),
            ["invalid slack file [json-pointer:/blocks/0/slack_file]"]
        );
    }

    #[test]
    fn our_own_card_shapes_pass_and_unknown_types_do_not() {
        let rich = json!([{"type": "rich_text", "elements": [
            {"type": "rich_text_section", "elements": [{"type": "text", "text": "a", "style": {"bold": true}}]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "b"}]},
            {"type": "rich_text_list", "style": "bullet", "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "c"}]}]},
        ]}, {"type": "divider"}]);
        assert!(problems(rich).is_empty());
        for wrong in [
            json!([{"type": "carousel"}]),
            json!({}),
            json!([]),
            json!([7]),
            Value::Null,
        ] {
            assert!(!problems(wrong.clone()).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_modal_has_limits_of_its_own() {
        let view = |title: usize, metadata: usize, most: u64| {
            json!({
                "type": "modal", "private_metadata": "m".repeat(metadata),
                "title": {"type": "plain_text", "text": "t".repeat(title)},
                "submit": {"type": "plain_text", "text": "Save"},
                "blocks": [{"type": "input", "label": {"type": "plain_text", "text": "Why?"},
                    "element": {"type": "plain_text_input", "action_id": "a", "max_length": most}}],
            })
        };
        let count = |view: Value| check_view(&view, &|_| false).len();
        assert_eq!(count(view(24, 3_000, 3_000)), 0);
        assert_eq!(count(view(25, 3_000, 3_000)), 1);
        assert_eq!(count(view(24, 3_001, 3_000)), 1);
        assert_eq!(count(view(24, 3_000, 3_001)), 1);
        let mut no_submit = view(24, 0, 100);
        no_submit["submit"] = Value::Null;
        assert_eq!(count(no_submit), 1);
    }
}
