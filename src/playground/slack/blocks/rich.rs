use serde_json::Value;

use super::Check;

/// Characters of all cells of a message's table together ("table block").
const TABLE_MAX: usize = 10_000;
/// Slack's own editor indents a list no further.
const INDENT_MAX: u64 = 8;

impl Check<'_> {
    pub(super) fn rich_text(&mut self, elements: &Value, at: &str) {
        self.each(elements, at, 1, 1_000, |check, element, at| {
            check.rich_element(element, at);
        });
    }

    fn rich_element(&mut self, element: &Value, at: &str) {
        let inside = format!("{at}/elements");
        self.whole(&element["border"], &format!("{at}/border"), 0, 1);
        match element["type"].as_str().unwrap_or_default() {
            "rich_text_section" | "rich_text_quote" => {
                self.rich_spans(&element["elements"], &inside, false);
            }
            "rich_text_preformatted" => self.rich_spans(&element["elements"], &inside, true),
            "rich_text_list" => self.rich_list(element, at),
            other => self.unsupported(at, other),
        }
    }

    fn rich_list(&mut self, list: &Value, at: &str) {
        let style = format!("{at}/style");
        self.string(&list["style"], &style, 255);
        self.one_of(&list["style"], &style, &["bullet", "ordered"]);
        self.whole(&list["indent"], &format!("{at}/indent"), 0, INDENT_MAX);
        self.whole(&list["offset"], &format!("{at}/offset"), 0, u64::MAX);
        let inside = format!("{at}/elements");
        self.each(&list["elements"], &inside, 1, 1_000, |check, item, at| {
            if item["type"] != "rich_text_section" {
                return check.refuse(&format!("{at}/type"), "must be rich_text_section");
            }
            check.rich_spans(&item["elements"], &format!("{at}/elements"), false);
        });
    }

    /// Spans of text; preformatted ones are texts and links alone.
    fn rich_spans(&mut self, spans: &Value, at: &str, is_preformatted: bool) {
        self.each(spans, at, 1, 10_000, |check, span, at| {
            let kind = span["type"].as_str().unwrap_or_default();
            if is_preformatted && !matches!(kind, "text" | "link") {
                return check.unsupported(at, kind);
            }
            check.rich_span(kind, span, at);
        });
    }

    fn rich_span(&mut self, kind: &str, span: &Value, at: &str) {
        self.rich_style(&span["style"], &format!("{at}/style"));
        let required = match kind {
            "text" => "text",
            "emoji" => "name",
            "user" => "user_id",
            "channel" => "channel_id",
            "usergroup" => "usergroup_id",
            "color" => "value",
            "date" => {
                if !span["timestamp"].is_i64() {
                    self.refuse(&format!("{at}/timestamp"), "must be an integer");
                }
                "format"
            }
            "broadcast" => {
                let words = ["here", "channel", "everyone"];
                self.one_of(&span["range"], &format!("{at}/range"), &words);
                "range"
            }
            "link" => {
                self.optional_string(&span["text"], &format!("{at}/text"), usize::MAX);
                return self.address(&span["url"], &format!("{at}/url"));
            }
            other => return self.unsupported(at, other),
        };
        self.string(&span[required], &format!("{at}/{required}"), usize::MAX);
    }

    fn rich_style(&mut self, style: &Value, at: &str) {
        if style.is_null() {
            return;
        }
        let Some(style) = style.as_object() else {
            return self.refuse(at, "must be an object");
        };
        let known = [
            "bold",
            "italic",
            "strike",
            "code",
            "underline",
            "highlight",
            "client_highlight",
            "unlink",
        ];
        for (name, value) in style {
            if !known.contains(&name.as_str()) || !value.is_boolean() {
                self.refuse(&format!("{at}/{name}"), "is no style");
            }
        }
    }

    pub(super) fn table(&mut self, table: &Value, at: &str) {
        let mut length = 0;
        self.each(
            &table["rows"],
            &format!("{at}/rows"),
            1,
            100,
            |check, row, at| {
                check.each(row, at, 1, 20, |check, cell, at| {
                    length += characters(cell);
                    check.cell(cell, at);
                });
            },
        );
        if length > TABLE_MAX {
            self.refuse(at, &format!("must be no more than {TABLE_MAX} characters"));
        }
        let columns = &table["column_settings"];
        if !columns.is_null() {
            let at = format!("{at}/column_settings");
            self.each(columns, &at, 0, 20, |check, column, at| {
                let words = ["left", "center", "right"];
                check.one_of(&column["align"], &format!("{at}/align"), &words);
            });
        }
    }

    fn cell(&mut self, cell: &Value, at: &str) {
        match cell["type"].as_str().unwrap_or_default() {
            "raw_text" => self.string(&cell["text"], &format!("{at}/text"), usize::MAX),
            "rich_text" => self.rich_text(&cell["elements"], &format!("{at}/elements")),
            other => self.unsupported(at, other),
        }
    }
}

/// The characters of all texts inside.
fn characters(value: &Value) -> usize {
    match value {
        Value::Object(fields) => {
            let text = fields.get("text").and_then(Value::as_str).unwrap_or("");
            let inside = fields.get("elements").map_or(0, characters);
            text.chars().count() + inside
        }
        Value::Array(items) => items.iter().map(characters).sum(),
        _ => 0,
    }
}
