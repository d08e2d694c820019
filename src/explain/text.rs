//! Pieces of text that edits are made of.

use std::sync::LazyLock;

use regex::Regex;

/// The sentences of a text, each with the white space after it; together they are the text.
pub fn sentences(text: &str) -> Vec<&str> {
    static END: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[.!?。！？]+[)\]”’]*\s+|\n\s*").expect("the expression is valid")
    });
    let ends = END.find_iter(text).map(|end| end.end());
    pieces(text, ends)
}

/// Words, and other characters each alone, with the white space before them; together they are the text.
pub fn tokens(text: &str) -> Vec<&str> {
    static TOKEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\s*\w+|\s*[^\w\s]|\s+").expect("the expression is valid"));
    TOKEN.find_iter(text).map(|token| token.as_str()).collect()
}

fn pieces(text: &str, ends: impl Iterator<Item = usize>) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    for end in ends.chain([text.len()]) {
        if end > start {
            pieces.push(&text[start..end]);
            start = end;
        }
    }
    pieces
}

/// Where numbers stand in a text: stretches of digits.
pub fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[0-9]+").expect("the expression is valid"));
    NUMBER
        .find_iter(text)
        .map(|number| number.range())
        .collect()
}

/// The text with another last digit in that number.
pub fn other_number(text: &str, number: &std::ops::Range<usize>) -> String {
    let last = number.end - 1;
    let digit = text.as_bytes()[last] - b'0';
    let other = (digit + 1) % 10;
    format!("{}{other}{}", &text[..last], &text[number.end..])
}

/// The first of `parts` in so many of a text's words; `None` where that is all of it, or nothing.
pub fn first_part(text: &str, parts: usize) -> Option<String> {
    let tokens = tokens(text);
    let kept = tokens[..tokens.len() / parts].concat();
    let kept = kept.trim_end();
    (!kept.is_empty() && kept != text).then(|| kept.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sentences_end_at_their_marks_and_at_lines() {
        let text = "It is €4.50. Really?  Yes (it is!) so.\n- one\n\n- two";
        let expected = [
            "It is €4.50. ",
            "Really?  ",
            "Yes (it is!) ",
            "so.\n",
            "- one\n\n",
            "- two",
        ];
        assert_eq!(sentences(text), expected);
        assert_eq!(sentences(""), [""; 0]);
    }

    #[test]
    fn a_number_is_changed_in_its_last_digit() {
        let text = "from 19 to 1,299";
        let found = numbers(text);
        let changed: Vec<_> = found
            .iter()
            .map(|number| other_number(text, number))
            .collect();
        assert_eq!(
            changed,
            ["from 10 to 1,299", "from 19 to 2,299", "from 19 to 1,290"]
        );
    }

    #[test]
    fn a_part_of_nothing_or_of_one_word_is_none() {
        assert_eq!(first_part("", 2), None);
        assert_eq!(first_part("Ants", 2), None);
        assert_eq!(
            first_part("one two three four", 2).as_deref(),
            Some("one two")
        );
    }

    proptest! {
        #[test]
        fn pieces_are_never_empty_and_make_up_the_text(text in "(?s).{0,80}[.!?\n a1]{0,40}") {
            for pieces in [sentences(&text), tokens(&text)] {
                prop_assert_eq!(pieces.concat(), text.as_str());
                prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            }
        }
    }
}
