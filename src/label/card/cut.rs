//! Cutting: long pieces become shorter ones at a sensible place, never inside a sign, and code stays code.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use super::rich::{Form, Piece, Span, text_cost};

/// No piece is split for less room.
const SPLIT_MIN: usize = 400;

/// The pieces that `budget` pays for, taken from the front. A piece is split where there is much room, or where nothing
/// is shown yet; a heading doesn't stay behind alone.
fn take(pieces: &mut VecDeque<Piece>, budget: usize) -> Vec<Piece> {
    let (mut taken, mut left) = (Vec::new(), budget);
    while let Some(piece) = pieces.pop_front() {
        if piece.cost() <= left {
            left -= piece.cost();
            taken.push(piece);
        } else if taken.is_empty() || left >= SPLIT_MIN.max(budget / 3) {
            let (head, tail) = split(piece, left);
            taken.push(head);
            tail.into_iter().for_each(|tail| pieces.push_front(tail));
            break;
        } else {
            pieces.push_front(piece);
            break;
        }
    }
    while !pieces.is_empty() && taken.len() > 1 && ends_in_title(&taken) {
        taken
            .pop()
            .into_iter()
            .for_each(|title| pieces.push_front(title));
    }
    taken
}

fn ends_in_title(pieces: &[Piece]) -> bool {
    pieces.last().is_some_and(|last| last.form == Form::Title)
}

/// What `budget` pays for, with an ellipsis where something is left; says whether it is.
pub fn shorten(pieces: Vec<Piece>, budget: usize) -> (Vec<Piece>, bool) {
    let mut rest = VecDeque::from(pieces);
    let mut taken = take(&mut rest, budget);
    if !rest.is_empty()
        && let Some(last) = taken.last_mut()
    {
        let mark = if last.form == Form::Code {
            "\n…"
        } else {
            " …"
        };
        last.spans.push(Span::plain(mark));
    }
    (taken, !rest.is_empty())
}

/// The same pieces in groups of at most `budget`; longer ones are split.
pub fn groups(pieces: Vec<Piece>, budget: usize) -> Vec<Vec<Piece>> {
    let mut rest = VecDeque::from(pieces);
    let mut groups = Vec::new();
    while !rest.is_empty() {
        groups.push(take(&mut rest, budget));
    }
    groups
}

/// The piece's beginning, which costs no more than `budget` unless a single sign does, and the rest of it.
fn split(piece: Piece, budget: usize) -> (Piece, Option<Piece>) {
    if piece.cost() <= budget {
        return (piece, None);
    }
    let text = piece.text();
    let end = place(&piece, &text, budget);
    if end >= text.len() {
        return (piece, None);
    }
    let (head, tail) = spans_at(&piece.spans, end);
    let is_code = piece.form == Form::Code;
    let part = |spans, form| Piece {
        form,
        spans,
        quoted: piece.quoted,
    };
    // The rest of an item is a paragraph: the item's mark stands before its beginning.
    let rest_form = if matches!(piece.form, Form::Item { .. }) {
        Form::Text
    } else {
        piece.form
    };
    let tail = part(trimmed(tail, true, is_code), rest_form);
    let head = part(trimmed(head, false, is_code), piece.form);
    let tail = (!tail.text().is_empty()).then_some(tail);
    (head, tail)
}

/// Where to cut: after the last line, else sentence, else word in the second half of what fits, else after the last sign.
fn place(piece: &Piece, text: &str, budget: usize) -> usize {
    let mut left = budget.saturating_sub(piece.cost() - spans_cost(piece));
    let mut ends = span_ends(piece).into_iter().zip(&piece.spans);
    let mut span_end = 0;
    let (mut line, mut sentence, mut word, mut sign) = (0, 0, 0, 0);
    for (start, grapheme) in text.grapheme_indices(true) {
        let end = start + grapheme.len();
        let mut price = text_cost(grapheme);
        while end > span_end {
            let Some((next, span)) = ends.next() else {
                break;
            };
            span_end = next;
            price += span.overhead();
        }
        if price > left && sign > 0 {
            break;
        }
        left = left.saturating_sub(price);
        sign = end;
        if grapheme == "\n" {
            line = end;
        } else if ends_sentence(grapheme, &text[end..]) {
            sentence = end;
        } else if grapheme.trim().is_empty() {
            word = end;
        }
    }
    let places = if piece.form == Form::Code {
        [line, 0, 0]
    } else {
        [line, sentence, word]
    };
    let fits = |place: &usize| *place > sign / 2;
    places.into_iter().find(fits).unwrap_or(sign)
}

fn spans_cost(piece: &Piece) -> usize {
    let spans = piece.spans.iter();
    spans
        .map(|span| span.overhead() + text_cost(&span.text))
        .sum()
}

fn ends_sentence(sign: &str, rest: &str) -> bool {
    match sign {
        "。" | "！" | "？" | "．" => true,
        "." | "!" | "?" | "؟" | "।" | "…" | "۔" => rest.starts_with(char::is_whitespace),
        _ => false,
    }
}

/// Where each span ends in the piece's text.
fn span_ends(piece: &Piece) -> Vec<usize> {
    let lengths = piece.spans.iter().map(|span| span.text.len());
    let running = lengths.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    running.collect()
}

fn spans_at(spans: &[Span], end: usize) -> (Vec<Span>, Vec<Span>) {
    let (mut head, mut tail, mut start) = (Vec::new(), Vec::new(), 0);
    for span in spans {
        let at = end.saturating_sub(start).min(span.text.len());
        let part = |text: &str| Span {
            text: text.to_owned(),
            ..span.clone()
        };
        head.extend((at > 0).then(|| part(&span.text[..at])));
        tail.extend((at < span.text.len()).then(|| part(&span.text[at..])));
        start += span.text.len();
    }
    (head, tail)
}

/// Without the white space at the place of the cut: of code, its line break only.
fn trimmed(mut spans: Vec<Span>, is_tail: bool, is_code: bool) -> Vec<Span> {
    if is_code {
        if let (false, Some(last)) = (is_tail, spans.last_mut())
            && let Some(text) = last.text.strip_suffix('\n')
        {
            last.text = text.to_owned();
        }
        return spans;
    }
    let is_blank = |span: &Span| span.text.trim().is_empty();
    if is_tail {
        let blanks = spans.iter().take_while(|span| is_blank(span)).count();
        spans.drain(..blanks);
        if let Some(first) = spans.first_mut() {
            first.text = first.text.trim_start().to_owned();
        }
    } else if let Some(last) = spans.last_mut() {
        last.text.truncate(last.text.trim_end().len());
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::super::rich::{Style, cost};
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str, form: Form, shown: usize) -> (String, String) {
        let piece = Piece::new(form, vec![Span::plain(text)]);
        let overhead = piece.cost() - text_cost(text);
        let (head, tail) = split(piece, overhead + shown);
        (
            head.text(),
            tail.map(|tail| tail.text()).unwrap_or_default(),
        )
    }

    #[test]
    fn text_is_cut_after_a_line_else_a_sentence_else_a_word_else_a_sign() {
        for (text, shown, head, tail) in [
            ("one two\nthree four", 12, "one two", "three four"),
            ("One two. Three four", 14, "One two.", "Three four"),
            ("one two three", 9, "one two", "three"),
            ("onetwothree", 6, "onetwo", "three"),
            ("v1.2.3 is out", 4, "v1.2", ".3 is out"),
            ("这是第一句。这是第二句", 24, "这是第一句。", "这是第二句"),
            (
                "👩\u{200d}👧👩\u{200d}👧",
                12,
                "👩\u{200d}👧",
                "👩\u{200d}👧",
            ),
        ] {
            assert_eq!(
                cut(text, Form::Text, shown),
                (head.to_owned(), tail.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn code_is_cut_between_lines_and_keeps_its_white_space() {
        let (head, tail) = cut("def f():\n    return  1\n    # end", Form::Code, 26);
        assert_eq!(
            (head.as_str(), tail.as_str()),
            ("def f():\n    return  1", "    # end")
        );
    }

    #[test]
    fn a_heading_does_not_stay_behind_alone() {
        let pieces = vec![
            Piece::plain("a".repeat(300)),
            Piece::title("Heading"),
            Piece::plain("b".repeat(300)),
        ];
        let groups = groups(pieces, 700);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn cutting_loses_nothing_but_white_space_and_stays_in_its_budget(
            texts in prop::collection::vec("[a-c \\n.。é👩\u{200d}\"\\\\]{0,80}", 0..6), budget in 200_usize..400, is_code: bool,
        ) {
            let form = if is_code { Form::Code } else { Form::Text };
            let pieces: Vec<Piece> = texts.iter().map(|text| Piece::new(form, vec![
                Span::plain(text.clone()), Span::of(text.clone(), Style::BOLD),
            ])).collect();
            let words = |pieces: &[Piece]| {
                let texts = pieces.iter().map(Piece::text);
                texts.collect::<String>().split_whitespace().collect::<String>()
            };
            let groups = groups(pieces.clone(), budget);
            prop_assert_eq!(words(&groups.concat()), words(&pieces));
            for group in &groups {
                prop_assert!(cost(group) <= budget, "{}", cost(group));
            }
        }
    }
}
