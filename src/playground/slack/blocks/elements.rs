use std::collections::HashSet;

use serde_json::Value;

use super::Check;

/// The interactive elements of `actions` blocks, and beside images of accessories.
const INTERACTIVE: [&str; 5] = [
    "button",
    "overflow",
    "static_select",
    "radio_buttons",
    "checkboxes",
];

impl Check<'_> {
    pub(super) fn actions(&mut self, elements: &Value, at: &str) {
        let mut ids = HashSet::new();
        self.each(elements, at, 1, 25, |check, element, at| {
            let id = element["action_id"].as_str();
            if id.is_some_and(|id| !ids.insert(id.to_owned())) {
                check.refuse(&format!("{at}/action_id"), "must be unique in its block");
            }
            check.element(element, at, &INTERACTIVE);
        });
    }

    pub(super) fn accessory(&mut self, element: &Value, at: &str) {
        match element["type"].as_str() {
            Some("image") => self.image(element, at),
            _ => self.element(element, at, &INTERACTIVE),
        }
    }

    pub(super) fn input(&mut self, block: &Value, at: &str) {
        self.plain_text(&block["label"], &format!("{at}/label"), 2_000);
        self.optional_plain_text(&block["hint"], &format!("{at}/hint"), 2_000);
        let kinds = [
            "plain_text_input",
            "static_select",
            "radio_buttons",
            "checkboxes",
        ];
        self.element(&block["element"], &format!("{at}/element"), &kinds);
    }

    fn element(&mut self, element: &Value, at: &str, kinds: &[&str]) {
        let kind = element["type"].as_str().unwrap_or_default();
        if !kinds.contains(&kind) {
            return self.unsupported(at, kind);
        }
        self.optional_string(&element["action_id"], &format!("{at}/action_id"), 255);
        self.optional_plain_text(&element["placeholder"], &format!("{at}/placeholder"), 150);
        self.confirm(&element["confirm"], &format!("{at}/confirm"));
        match kind {
            "button" => self.button(element, at),
            "plain_text_input" => self.plain_text_input(element, at),
            "static_select" => self.static_select(element, at),
            "overflow" => self.options(element, at, 5, |check, option, at| {
                check.plain_text(&option["text"], &format!("{at}/text"), 75);
                check.optional_string(&option["url"], &format!("{at}/url"), 3_000);
            }),
            _ => self.options(element, at, 10, |check, option, at| {
                check.text(&option["text"], &format!("{at}/text"), 75);
            }),
        }
    }

    fn button(&mut self, button: &Value, at: &str) {
        self.plain_text(&button["text"], &format!("{at}/text"), 75);
        self.optional_string(&button["value"], &format!("{at}/value"), 2_000);
        if !button["url"].is_null() {
            self.address(&button["url"], &format!("{at}/url"));
        }
        let label = format!("{at}/accessibility_label");
        self.optional_string(&button["accessibility_label"], &label, 75);
        self.one_of(
            &button["style"],
            &format!("{at}/style"),
            &["primary", "danger"],
        );
    }

    fn plain_text_input(&mut self, element: &Value, at: &str) {
        for (name, least) in [("min_length", 0), ("max_length", 1)] {
            self.whole(&element[name], &format!("{at}/{name}"), least, 3_000);
        }
        let most = element["max_length"].as_u64().unwrap_or(3_000) as usize;
        self.optional_string(
            &element["initial_value"],
            &format!("{at}/initial_value"),
            most,
        );
    }

    fn static_select(&mut self, element: &Value, at: &str) {
        let groups = &element["option_groups"];
        if groups.is_null() {
            return self.options(element, at, 100, |check, option, at| {
                check.plain_text(&option["text"], &format!("{at}/text"), 75);
            });
        }
        if !element["options"].is_null() {
            self.refuse(at, "only one of options and option_groups is allowed");
        }
        let at = format!("{at}/option_groups");
        self.each(groups, &at, 1, 100, |check, group, at| {
            check.plain_text(&group["label"], &format!("{at}/label"), 75);
            check.options(group, at, 100, |check, option, at| {
                check.plain_text(&option["text"], &format!("{at}/text"), 75);
            });
        });
    }

    /// One to `most` options; those that are chosen at first must be among them.
    fn options(
        &mut self,
        element: &Value,
        at: &str,
        most: usize,
        mut own: impl FnMut(&mut Self, &Value, &str),
    ) {
        let options = &element["options"];
        self.each(
            options,
            &format!("{at}/options"),
            1,
            most,
            |check, option, at| {
                check.string(&option["value"], &format!("{at}/value"), 150);
                let description = format!("{at}/description");
                check.optional_text(&option["description"], &description, 75);
                own(check, option, at);
            },
        );
        let several = element["initial_options"].as_array().into_iter().flatten();
        let one = Some(&element["initial_option"]).filter(|option| !option.is_null());
        let values: Vec<&Value> = options
            .as_array()
            .into_iter()
            .flatten()
            .map(|option| &option["value"])
            .collect();
        for initial in several.chain(one) {
            if !values.contains(&&initial["value"]) {
                self.refuse(at, "an initial option must be one of the options");
            }
        }
    }

    fn confirm(&mut self, confirm: &Value, at: &str) {
        if confirm.is_null() {
            return;
        }
        self.plain_text(&confirm["title"], &format!("{at}/title"), 100);
        self.text(&confirm["text"], &format!("{at}/text"), 300);
        self.plain_text(&confirm["confirm"], &format!("{at}/confirm"), 30);
        self.plain_text(&confirm["deny"], &format!("{at}/deny"), 30);
    }

    pub(super) fn context_actions(&mut self, elements: &Value, at: &str) {
        self.each(elements, at, 1, 5, |check, element, at| {
            check.optional_string(&element["action_id"], &format!("{at}/action_id"), 255);
            match element["type"].as_str().unwrap_or_default() {
                "feedback_buttons" => {
                    for name in ["positive_button", "negative_button"] {
                        check.feedback_button(&element[name], &format!("{at}/{name}"));
                    }
                }
                "icon_button" => {
                    check.one_of(&element["icon"], &format!("{at}/icon"), &["trash"]);
                    check.plain_text(&element["text"], &format!("{at}/text"), 75);
                    check.optional_string(&element["value"], &format!("{at}/value"), 2_000);
                    check.confirm(&element["confirm"], &format!("{at}/confirm"));
                }
                other => check.unsupported(at, other),
            }
        });
    }

    fn feedback_button(&mut self, button: &Value, at: &str) {
        self.plain_text(&button["text"], &format!("{at}/text"), 75);
        self.string(&button["value"], &format!("{at}/value"), 2_000);
        let label = format!("{at}/accessibility_label");
        self.optional_string(&button["accessibility_label"], &label, 75);
    }
}
