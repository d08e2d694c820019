/// White space of any kind becomes one space: hostile text gets no lines of its own.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first characters of a text.
pub fn head(text: &str, chars: usize) -> &str {
    text.char_indices()
        .nth(chars)
        .map_or(text, |(end, _)| &text[..end])
}

/// The last characters of a text.
pub fn tail(text: &str, chars: usize) -> &str {
    let start = text
        .chars()
        .rev()
        .take(chars)
        .map(char::len_utf8)
        .sum::<usize>();
    &text[text.len() - start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_gets_one_line_whatever_its_white_space_is() {
        assert_eq!(one_line(" a\r\n\u{2028}b\t c\u{a0}"), "a b c");
        assert_eq!(one_line(" \n"), "");
    }

    proptest! {
        #[test]
        fn head_and_tail_make_up_a_text(text in "(?s).{0,30}", chars in 0..40_usize) {
            let count = text.chars().count();
            let (head, tail) = (head(&text, chars), tail(&text, count.saturating_sub(chars)));
            prop_assert_eq!(head.chars().count(), chars.min(count));
            prop_assert_eq!(format!("{head}{tail}"), text);
        }
    }
}
