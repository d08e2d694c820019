//! What Slack would refuse of a message's or a view's blocks.
//!
//! In: blocks as an app sends them. Out: the problems in Slack's words, each with where it is. Limits are
//! those of docs.slack.dev, "Block Kit reference", for the blocks that iofold may use; other types are
//! refused. Where Slack's page leaves something open, the stricter reading counts, so that what passes
//! here passes there.

mod elements;
mod rich;

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

/// Characters of all the `markdown` blocks of a message together ("markdown block").
const MARKDOWN_MAX: usize = 12_000;

/// Where blocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    Message,
    View,
}

impl Surface {
    /// Messages take 50 blocks, modals and Home 100 (docs.slack.dev, "Blocks").
    fn blocks_max(self) -> usize {
        match self {
            Self::Message => 50,
            Self::View => 100,
        }
    }

    fn blocks_at(self) -> &'static str {
        match self {
            Self::Message => "/blocks",
            Self::View => "/view/blocks",
        }
    }
}

/// What is wrong with a message's blocks, in Slack's words; empty where nothing is.
///
/// `has_file` says whether an uploaded file of this id can be shown.
pub fn check_message(blocks: &Value, has_file: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut check = Check::new(Surface::Message, has_file);
    check.blocks(blocks);
    check.problems
}

/// What is wrong with a view of this `kind`, `modal` or `home`; empty where nothing is.
pub fn check_view(view: &Value, kind: &str, has_file: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut check = Check::new(Surface::View, has_file);
    check.view(view, kind);
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

    fn view(&mut self, view: &Value, kind: &str) {
        if view["type"] != kind {
            self.refuse("/view/type", &format!("must be {kind}"));
        }
        if kind == "modal" {
            self.modal(view);
        }
        self.optional_string(&view["private_metadata"], "/view/private_metadata", 3_000);
        self.optional_string(&view["callback_id"], "/view/callback_id", 255);
        self.optional_string(&view["external_id"], "/view/external_id", 255);
        self.blocks(&view["blocks"]);
    }

    fn modal(&mut self, view: &Value) {
        self.plain_text(&view["title"], "/view/title", 24);
        self.optional_plain_text(&view["submit"], "/view/submit", 24);
        self.optional_plain_text(&view["close"], "/view/close", 24);
        let mut blocks = view["blocks"].as_array().into_iter().flatten();
        if view["submit"].is_null() && blocks.any(|block| block["type"] == "input") {
            self.refuse("/view/submit", "is required when there is an input block");
        }
    }

    fn blocks(&mut self, blocks: &Value) {
        let at = self.surface.blocks_at();
        let Some(items) = self.array(blocks, at, 1, self.surface.blocks_max()) else {
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
        self.together(items, at);
    }

    /// What all blocks of a message share.
    fn together(&mut self, blocks: &[Value], at: &str) {
        let of_type = |name: &'static str| blocks.iter().filter(move |b| b["type"] == name);
        if of_type("table").count() > 1 {
            self.refuse(at, "only_one_table_allowed");
        }
        let texts = of_type("markdown").filter_map(|block| block["text"].as_str());
        if texts.map(|text| text.chars().count()).sum::<usize>() > MARKDOWN_MAX {
            self.refuse(
                at,
                &format!("markdown must be no more than {MARKDOWN_MAX} characters"),
            );
        }
    }

    fn block(&mut self, block: &Value, at: &str) {
        let elements = format!("{at}/elements");
        match (block["type"].as_str().unwrap_or_default(), self.surface) {
            ("section", _) => self.section(block, at),
            ("header", _) => self.plain_text(&block["text"], &format!("{at}/text"), 150),
            ("context", _) => self.context(&block["elements"], &elements),
            ("divider", _) => {}
            ("image", _) => self.image(block, at),
            ("actions", _) => self.actions(&block["elements"], &elements),
            ("rich_text", _) => self.rich_text(&block["elements"], &elements),
            ("input", _) => self.input(block, at),
            ("table", Surface::Message) => self.table(block, at),
            ("markdown", Surface::Message) => {
                self.string(&block["text"], &format!("{at}/text"), MARKDOWN_MAX);
            }
            ("context_actions", Surface::Message) => {
                self.context_actions(&block["elements"], &elements);
            }
            (other, _) => self.unsupported(at, other),
        }
    }

    fn unsupported(&mut self, at: &str, kind: &str) {
        self.refuse(&format!("{at}/type"), &format!("unsupported type: {kind}"));
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
            self.each(
                fields,
                &format!("{at}/fields"),
                1,
                10,
                |check, field, at| {
                    check.text(field, at, 2_000);
                },
            );
        }
        if !block["accessory"].is_null() {
            self.accessory(&block["accessory"], &format!("{at}/accessory"));
        }
    }

    fn context(&mut self, elements: &Value, at: &str) {
        self.each(
            elements,
            at,
            1,
            10,
            |check, element, at| match element["type"].as_str() {
                Some("image") => check.image(element, at),
                _ => check.text(element, at, 3_000),
            },
        );
    }

    fn image(&mut self, block: &Value, at: &str) {
        self.string(&block["alt_text"], &format!("{at}/alt_text"), 2_000);
        self.optional_plain_text(&block["title"], &format!("{at}/title"), 2_000);
        let file = &block["slack_file"];
        match (block["image_url"].as_str(), file["id"].as_str()) {
            (Some(_), None) if file.is_null() => {
                self.address(&block["image_url"], &format!("{at}/image_url"));
            }
            (None, Some(id)) if (self.has_file)(id) => {}
            (None, Some(_)) => self.refuse(&format!("{at}/slack_file"), "invalid slack file"),
            _ => self.refuse(at, "one of image_url and slack_file is required"),
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

    fn optional_text(&mut self, text: &Value, at: &str, most: usize) {
        if !text.is_null() {
            self.text(text, at, most);
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

    /// A whole address, with its scheme.
    fn address(&mut self, value: &Value, at: &str) {
        self.string(value, at, 3_000);
        if value.as_str().is_some_and(|text| Url::parse(text).is_err()) {
            self.refuse(at, "must be a valid url");
        }
    }

    fn one_of(&mut self, value: &Value, at: &str, words: &[&str]) {
        let is_known = value.as_str().is_some_and(|word| words.contains(&word));
        if !value.is_null() && !is_known {
            self.refuse(at, &format!("must be one of: {}", words.join(", ")));
        }
    }

    fn whole(&mut self, value: &Value, at: &str, least: u64, most: u64) {
        let fits = value.as_u64().is_some_and(|n| (least..=most).contains(&n));
        if !value.is_null() && !fits {
            self.refuse(at, &format!("must be from {least} to {most}"));
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

    /// Checks each item of an array of `least` to `most` of them.
    fn each(
        &mut self,
        value: &Value,
        at: &str,
        least: usize,
        most: usize,
        mut check: impl FnMut(&mut Self, &Value, &str),
    ) {
        let items = self.array(value, at, least, most).into_iter().flatten();
        for (i, item) in items.enumerate() {
            check(self, item, &format!("{at}/{i}"));
        }
    }
}

#[cfg(test)]
mod tests;
