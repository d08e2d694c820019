//! How iofold tells something: a mark and a bold head, what there is to say, and a grey footer. All messages but cards and
//! reports look so, in the channel, in threads and to one person.

use serde_json::Value;

use super::{Message, context, cut, section};

/// Longer notifications are cut by phones.
const NOTIFICATION_MAX: usize = 300;

/// What kind of news it is, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Something is wrong, and somebody should look.
    Trouble,
    /// What was wrong is well again.
    Mended,
    /// Nothing has to be done yet.
    Waiting,
    /// People are asked for something.
    Asked,
    /// People and an eval, or people among themselves, differ.
    Differ,
    /// What was to change stays as it is.
    Kept,
}

impl Mark {
    fn emoji(self) -> &'static str {
        match self {
            Self::Trouble => "⚠️",
            Self::Mended => "✅",
            Self::Waiting => "⏳",
            Self::Asked => "🙋",
            Self::Differ => "↔️",
            Self::Kept => "📌",
        }
    }
}

/// A message of the family. `head` and `said` are `mrkdwn` whose foreign parts are escaped; the first of `said` stands on the
/// line of the head.
pub fn message(mark: Mark, head: &str, said: &[&str], footer: &[String]) -> Message {
    let mut blocks = vec![self::head(mark, head, said)];
    blocks.extend(self::footer(footer));
    Message {
        text: notification(mark, head, said),
        blocks,
        metadata: None,
    }
}

/// The first block.
pub fn head(mark: Mark, head: &str, said: &[&str]) -> Value {
    let head = format!("{} *{head}.*", mark.emoji());
    let (first, rest) = said
        .split_first()
        .map_or(("", said), |(first, rest)| (*first, rest));
    let mut lines = vec![format!("{head} {first}").trim_end().to_owned()];
    lines.extend(rest.iter().map(|line| (*line).to_owned()));
    section(&lines.join("\n"))
}

/// The last block; `None` where there is nothing to add.
pub fn footer(parts: &[String]) -> Option<Value> {
    (!parts.is_empty()).then(|| context(&parts.join(" · ")))
}

/// What a notification and a screen reader say.
pub fn notification(mark: Mark, head: &str, said: &[&str]) -> String {
    let text = format!("{} {head}. {}", mark.emoji(), said.first().unwrap_or(&""));
    cut(text.trim_end(), NOTIFICATION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_marked_head_what_is_said_and_a_footer() {
        let footer = ["one".to_owned(), "two".to_owned()];
        let told = message(
            Mark::Waiting,
            "No eval yet",
            &["Too few.", "Later."],
            &footer,
        );
        assert_eq!(told.text, "⏳ No eval yet. Too few.");
        let text = |at: usize, key: &str| told.blocks[at][key].clone();
        assert_eq!(
            text(0, "text")["text"],
            "⏳ *No eval yet.* Too few.\nLater."
        );
        assert_eq!(text(1, "elements")[0]["text"], "one · two");
        assert_eq!(message(Mark::Kept, "It stays", &[], &[]).blocks.len(), 1);
    }
}
