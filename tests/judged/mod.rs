//! Whether Slack takes a message or a modal of ours, and whether text from outside is only text in it.
//!
//! Limits are those of docs.slack.dev, "Block Kit reference", and of what Slack is known to refuse. Text from outside
//! mentions nobody, links nowhere and means nothing if no element that could is there but our own.

use serde_json::Value;

/// Slack refuses a message with about 13,200 characters of blocks (`msg_blocks_too_long`), which is written nowhere.
const MESSAGE_MAX: usize = 13_000;
/// Slack refuses larger views, in bytes.
const VIEW_MAX: usize = 250_000;
const TEXT_MAX: usize = 3_000;

/// What is wrong with a message, `{text, blocks}`; nothing if all is well.
pub fn message_problems(message: &Value) -> Vec<String> {
    let mut judge = Judge::default();
    let blocks = &message["blocks"];
    judge.blocks(blocks, 50);
    judge.check(
        blocks.to_string().chars().count() <= MESSAGE_MAX,
        "blocks are too long",
        blocks,
    );
    let text = message["text"].as_str().unwrap_or_default();
    judge.check(
        (1..=TEXT_MAX).contains(&text.chars().count()),
        "no fallback, or a long one",
        &message["text"],
    );
    judge.mrkdwn(text);
    judge.problems
}

/// What is wrong with a modal.
pub fn view_problems(view: &Value) -> Vec<String> {
    let mut judge = Judge::default();
    judge.blocks(&view["blocks"], 100);
    judge.check(
        view.to_string().len() <= VIEW_MAX,
        "the view is too large",
        view,
    );
    for (name, most) in [("private_metadata", 3_000), ("callback_id", 255)] {
        judge.length(&view[name], 0, most);
    }
    for name in ["title", "close", "submit"] {
        let text = &view[name];
        judge.check(
            text.is_null() || text["type"] == "plain_text",
            "is no plain text",
            text,
        );
        judge.length(&text["text"], 0, 24);
    }
    judge.problems
}

/// All that a person sees of blocks, in order.
pub fn visible_text(blocks: &Value) -> String {
    match blocks {
        Value::Array(items) => items.iter().map(visible_text).collect::<Vec<_>>().join(""),
        Value::Object(fields) => {
            let own = fields.get("text").and_then(Value::as_str);
            let inner = ["elements", "text", "options"].map(|name| fields.get(name));
            let inner = inner.into_iter().flatten().map(visible_text);
            own.map(str::to_owned).into_iter().chain(inner).collect()
        }
        _ => String::new(),
    }
}

#[derive(Default)]
struct Judge {
    problems: Vec<String>,
}

impl Judge {
    fn check(&mut self, holds: bool, problem: &str, at: &Value) {
        if !holds {
            let at: String = at.to_string().chars().take(200).collect();
            self.problems.push(format!("{problem}: {at}"));
        }
    }

    fn length(&mut self, text: &Value, least: usize, most: usize) {
        let length = text.as_str().map_or(0, |text| text.chars().count());
        self.check(
            (least..=most).contains(&length),
            &format!("not {least} to {most} characters"),
            text,
        );
        let shown = text.as_str().unwrap_or_default();
        self.check(is_in_order(shown), "reorders what stands beside it", text);
    }

    fn blocks(&mut self, blocks: &Value, most: usize) {
        let empty = Vec::new();
        let items = blocks.as_array().unwrap_or(&empty);
        self.check(
            (1..=most).contains(&items.len()),
            "too few or too many blocks",
            blocks,
        );
        for block in items {
            self.length(&block["block_id"], 0, 255);
            match block["type"].as_str().unwrap_or_default() {
                "section" => self.text(&block["text"], TEXT_MAX),
                "header" => self.text(&block["text"], 150),
                "context" => self.each(&block["elements"], 10, |judge, text| {
                    judge.text(text, TEXT_MAX)
                }),
                "actions" => self.each(&block["elements"], 25, Self::control),
                "rich_text" => {
                    let length = visible_text(block).chars().count();
                    self.check(length <= TEXT_MAX, "a long rich text", block);
                    self.each(&block["elements"], 200, Self::rich);
                }
                "image" => self.check(
                    block["image_url"].is_null(),
                    "a picture from elsewhere",
                    block,
                ),
                "divider" => {}
                _ => self.check(false, "an unknown block", block),
            }
        }
    }

    fn each(&mut self, items: &Value, most: usize, judge: impl Fn(&mut Self, &Value)) {
        let items_or_none = items.as_array().map_or(&[][..], Vec::as_slice);
        self.check(
            (1..=most).contains(&items_or_none.len()),
            "too few or too many elements",
            items,
        );
        items_or_none.iter().for_each(|item| judge(self, item));
    }

    fn text(&mut self, text: &Value, most: usize) {
        self.length(&text["text"], 1, most);
        match text["type"].as_str() {
            Some("mrkdwn") => {
                self.check(
                    text["verbatim"] == true,
                    "Slack would make links of it",
                    text,
                );
                self.mrkdwn(text["text"].as_str().unwrap_or_default());
            }
            Some("plain_text") => self.plain(text),
            _ => self.check(false, "is no text", text),
        }
    }

    /// Emoji codes have a meaning only in our own words.
    fn plain(&mut self, text: &Value) {
        let shown = text["text"].as_str().unwrap_or_default();
        let is_ours = shown.len() <= 24 && !shown.contains([':', '<', '@', '#']);
        self.check(text["emoji"] != true || is_ours, "means emoji", text);
        self.length(&text["text"], 1, TEXT_MAX);
    }

    /// Nothing but our own links has a meaning: escaped text holds neither bracket.
    fn mrkdwn(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = rest.find(['<', '>']) {
            let link = rest[start..]
                .strip_prefix("<http")
                .and_then(|link| link.split_once('>'));
            let Some((link, after)) =
                link.filter(|(link, _)| !link.contains('<') && link.contains('|'))
            else {
                return self.check(false, "an open bracket", &Value::from(text));
            };
            let _ = link;
            rest = after;
        }
    }

    fn control(&mut self, control: &Value) {
        self.length(&control["action_id"], 1, 255);
        match control["type"].as_str() {
            Some("button") => {
                self.length(&control["value"], 0, 2_000);
                self.length(&control["accessibility_label"], 0, 75);
                self.plain(&control["text"]);
                self.length(&control["text"]["text"], 1, 75);
            }
            Some("overflow") => self.each(&control["options"], 5, |judge, option| {
                judge.length(&option["value"], 1, 150);
                judge.plain(&option["text"]);
                judge.length(&option["text"]["text"], 1, 75);
            }),
            _ => self.check(false, "an unknown control", control),
        }
    }

    fn rich(&mut self, element: &Value) {
        match element["type"].as_str() {
            Some("rich_text_list") => {
                self.check(
                    element["indent"].as_u64() <= Some(8),
                    "a deep list",
                    element,
                );
                self.each(&element["elements"], 1_000, Self::rich);
            }
            Some("rich_text_section" | "rich_text_quote" | "rich_text_preformatted") => {
                self.each(&element["elements"], 1_000, Self::span);
            }
            _ => self.check(false, "an unknown element", element),
        }
    }

    /// Users, groups, channels, broadcasts, dates and emoji are never there; links for pictures only.
    fn span(&mut self, span: &Value) {
        self.length(&span["text"], 1, TEXT_MAX);
        let shown = span["text"].as_str().unwrap_or_default();
        let url = span["url"].as_str().unwrap_or_default();
        let is_ours = match span["type"].as_str() {
            Some("text") => span["url"].is_null(),
            Some("link") => {
                shown.starts_with("🖼 Picture at ")
                    && url.starts_with("http")
                    && url.len() <= TEXT_MAX
            }
            _ => false,
        };
        self.check(is_ours, "has a meaning", span);
    }
}

/// Whether no direction is embedded, and each isolate ends in its own text.
fn is_in_order(text: &str) -> bool {
    let mut open = 0_i32;
    for c in text.chars() {
        match c {
            '\u{202a}'..='\u{202e}' => return false,
            '\u{2066}'..='\u{2068}' => open += 1,
            '\u{2069}' => open -= 1,
            _ => {}
        }
        if open < 0 {
            return false;
        }
    }
    open == 0
}
