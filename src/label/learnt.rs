//! Reasons to tap, learnt from what people wrote before: the most frequent short ones, without any LLM.

use std::collections::BTreeSet;

use crate::domain::one_line;

/// With fewer comments there is nothing to learn.
const COMMENTS_MIN: usize = 3;
/// More would not be read.
const REASONS_MAX: usize = 5;
/// Slack's limit for an option's text (docs.slack.dev, "Option object"); it is counted in UTF-16 here, which is never less.
const REASON_UNITS_MAX: usize = 75;
/// Two wordings are one reason if they share so much of their words.
const SAME_FROM: f64 = 0.6;

struct Reason {
    /// As it was put last.
    wording: String,
    words: BTreeSet<String>,
    times: usize,
}

/// Reasons in the wording of the newest comment that gives them, the most frequent first; `comments` are in order,
/// newest first. None where there are few comments.
pub fn learnt(comments: &[String]) -> Vec<String> {
    if comments.len() < COMMENTS_MIN {
        return Vec::new();
    }
    let mut reasons: Vec<Reason> = Vec::new();
    for line in comments.iter().flat_map(|comment| comment.lines()) {
        let wording = visible(line);
        let words = words_of(&wording);
        if words.is_empty() || wording.encode_utf16().count() > REASON_UNITS_MAX {
            continue;
        }
        match reasons
            .iter_mut()
            .find(|known| are_near(&known.words, &words))
        {
            Some(known) => known.times += 1,
            None => reasons.push(Reason {
                wording,
                words,
                times: 1,
            }),
        }
    }
    // Stable: of equally frequent ones the newest comes first.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.times));
    let wordings = reasons.into_iter().map(|reason| reason.wording);
    wordings.take(REASONS_MAX).collect()
}

/// One line without characters that don't show, or that turn the direction of others.
fn visible(line: &str) -> String {
    let is_hidden = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
    };
    let shown = line.chars().filter(|c| !is_hidden(*c));
    let shown: String = shown
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    one_line(&shown)
}

fn words_of(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// By the share of common words among all (Jaccard's index).
fn are_near(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let common = one.intersection(other).count();
    let all = one.len() + other.len() - common;
    common as f64 >= SAME_FROM * all as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(comments: &[&str]) -> Vec<String> {
        let comments: Vec<String> = comments.iter().map(|text| (*text).to_owned()).collect();
        learnt(&comments)
    }

    #[test]
    fn frequent_reasons_come_first_in_their_newest_wording() {
        let comments = [
            "No source is cited",
            "Too long!",
            "no source cited",
            "Invents an order number",
            "too long",
            "  No   SOURCE is cited. ",
        ];
        let expected = ["No source is cited", "Too long!", "Invents an order number"];
        assert_eq!(of(&comments), expected);
    }

    #[test]
    fn a_few_comments_teach_nothing_and_long_or_wordless_ones_never_do() {
        assert!(of(&["too long", "too long"]).is_empty());
        let long = "x".repeat(76);
        let wide = "👎a".repeat(26);
        assert_eq!(of(&[&long, &wide, "👎👎", " ", "ok"]), ["ok"]);
    }

    #[test]
    fn each_line_of_a_comment_is_a_reason_of_its_own() {
        let comments = ["too long\nno source", "no source", "rude"];
        assert_eq!(of(&comments), ["no source", "too long", "rude"]);
    }

    #[test]
    fn what_does_not_show_is_left_out() {
        let hostile = "\u{202e}evil\u{200b}\u{0}\u{7} text\u{e0041}";
        assert_eq!(of(&[hostile, "a", "b"])[0], "evil text");
    }

    proptest! {
        #[test]
        fn reasons_are_few_short_different_and_always_the_same(
            comments in proptest::collection::vec("(?s).{0,90}|too (long|short)|<!here> [a-c]{1,2}", 0..40)
        ) {
            let reasons = learnt(&comments);
            prop_assert_eq!(&reasons, &learnt(&comments));
            prop_assert!(reasons.len() <= REASONS_MAX);
            let different: BTreeSet<_> = reasons.iter().collect();
            prop_assert_eq!(different.len(), reasons.len());
            for reason in &reasons {
                let length = reason.encode_utf16().count();
                prop_assert!((1..=REASON_UNITS_MAX).contains(&length));
                prop_assert!(!reason.chars().any(char::is_control));
            }
        }
    }
}
