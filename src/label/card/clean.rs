//! Text as it can be shown: nothing in it reorders, overprints or hides what stands beside it.

use unicode_segmentation::UnicodeSegmentation;

use crate::slack::is_direction;

/// No sign that people write is made of more; a flood of combining marks is.
const MARKS_MAX: usize = 24;

/// `text` without control characters and embedded directions, and with no more than a few marks a letter.
///
/// Controls, and the private characters that stand for held-back text while Markdown is read, become `�`.
/// Directions are left out: the text keeps its logical order, and Slack finds each paragraph's direction by its first letter.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for sign in text.graphemes(true) {
        let marks = if sign == "\r\n" { "\n" } else { sign };
        cleaned.extend(marks.chars().filter_map(shown).take(MARKS_MAX));
    }
    cleaned
}

fn shown(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => Some('\n'),
        '\u{feff}' => None,
        c if is_direction(c) => None,
        '\u{e000}'..='\u{e003}' => Some('\u{fffd}'),
        c if c.is_control() => Some('\u{fffd}'),
        c => Some(c),
    }
}

/// `text` on a line with others, whose direction it does not change: in Unicode's isolates.
pub fn isolated(text: &str) -> String {
    format!("\u{2068}{text}\u{2069}")
}

/// The first signs of a text's one line, with an ellipsis where there are more; no sign is cut in two. Signs of many
/// characters count for more than one.
pub fn line(text: &str, signs: usize) -> String {
    // White space can be long, and is shortened before anything is looked at closely.
    let head = crate::domain::head(text, signs.saturating_mul(MARKS_MAX));
    let all = crate::domain::one_line(&clean(head));
    let mut left = 2 * signs;
    let fits = all.graphemes(true).take(signs).take_while(|sign| {
        let length = sign.chars().count();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let shown: String = fits.collect();
    match shown.len() == all.len() && head.len() == text.len() {
        true => shown,
        false => format!("{shown}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reorders_is_left_out_and_what_is_no_sign_is_seen() {
        assert_eq!(
            clean("a\u{202e}b\u{2066}c\u{0}d\u{1b}\r\ne\u{2028}f"),
            "abc\u{fffd}d\u{fffd}\ne\nf"
        );
        assert_eq!(clean("\u{e000}"), "\u{fffd}");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in [
            "שלום, world!\u{200f}",
            "می\u{200c}خواهم",
            "👩\u{200d}👩\u{200d}👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "ê\u{301}",
            "a\tb\n",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn a_flood_of_marks_is_a_few() {
        let flood = format!("a{}b", "\u{301}".repeat(100_000));
        assert_eq!(clean(&flood).chars().count(), MARKS_MAX + 1);
    }

    #[test]
    fn a_line_ends_between_signs() {
        assert_eq!(line("  a\n b ", 3), "a b");
        assert_eq!(line("👩\u{200d}👧👩\u{200d}👧x", 2), "👩\u{200d}👧…");
        assert_eq!(line(&" ".repeat(1_000_000), 5), "…");
    }
}
