use proptest::prelude::*;

use super::super::rich::{Form, Piece, block};
use super::pieces;

/// The pieces in a notation that reads like what is shown: one line each, `*bold*`, `_italic_`, `~struck~`, `` `code` ``.
fn shown(source: &str) -> String {
    let lines = pieces(source).iter().map(line).collect::<Vec<_>>();
    lines.join("\n")
}

fn line(piece: &Piece) -> String {
    let spans = piece.spans.iter().map(|span| {
        let mut text = span.text.replace('\n', "⏎");
        for (mark, on) in [
            ("`", span.style.code),
            ("~", span.style.strike),
            ("_", span.style.italic),
            ("*", span.style.bold),
        ] {
            if on {
                text = format!("{mark}{text}{mark}");
            }
        }
        text
    });
    let spans: String = spans.collect();
    let quote = if piece.quoted { "> " } else { "" };
    let form = match piece.form {
        Form::Text => String::new(),
        Form::Title => "# ".to_owned(),
        Form::Code => "code ".to_owned(),
        Form::Item {
            number: None,
            indent,
        } => format!("{}• ", "  ".repeat(indent.into())),
        Form::Item {
            number: Some(number),
            indent,
        } => format!("{}{number}. ", "  ".repeat(indent.into())),
    };
    format!("{quote}{form}{spans}")
}

#[test]
fn markdown_of_models_is_shown_as_it_is_meant() {
    for (source, expected) in [
        ("One\ntwo.\n\nThree", "One⏎two.\nThree"),
        ("## A *good* title\ntext", "# *A **_good_** title*\ntext"),
        (
            "**bold**, *it*, ~~gone~~, `a  b`",
            "*bold*, _it_, ~gone~, `a  b`",
        ),
        ("***both***", "*_both_*"),
        ("- a\n  - b\n    1. c\n- d", "• a\n  • b\n    1. c\n• d"),
        ("3. a\n4. b\n\n   more", "3. a\n4. b⏎more"),
        (
            "1. a\n\n   ```py\n   x  = 1\n   ```\n2. b",
            "1. a\ncode x  = 1\n2. b",
        ),
        ("- [x] done\n- [ ] open", "• ☑ done\n• ☐ open"),
        ("> said\n> twice\n>\n> - list", "> said⏎twice\n> • list"),
        (
            "```rust title=x\nfn  f() {}\n\n  1\n```",
            "rust title=x\ncode fn  f() {}⏎⏎  1",
        ),
        ("```\nnever closed", "code never closed"),
        (
            "[here](https://a.example \"T\") <https://b.example>",
            "here (https://a.example \"T\") https://b.example",
        ),
        (
            "[https://a.example](https://a.example)",
            "https://a.example",
        ),
        (
            "![a cat](https://a.example/c.png)",
            "🖼 a cat (https://a.example/c.png)",
        ),
        (
            "[note]: https://a.example \"seen\"",
            "[note]: https://a.example \"seen\"",
        ),
        (
            "a<br>b <b>c</b>\n\n<div>\nd\n</div>",
            "a<br>b <b>c</b>\n<div>⏎d⏎</div>",
        ),
        (
            "so \\(a_1 * b_2 * c\\) and $x_i^*y^*$",
            "so \\(a_1 * b_2 * c\\) and $x_i^*y^*$",
        ),
        ("$$\nx\n= 5\n- 3\n$$", "$$⏎x⏎= 5⏎- 3⏎$$"),
        ("a\n\n---\n\nb\n******\nc", "a\n---\nb\n******\nc"),
        ("{\"a\":  1}", "code {\"a\":  1}"),
        ("最近**重点**内容", "最近*重点*内容"),
    ] {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn what_only_looks_like_markdown_stays_as_it_is() {
    for source in [
        "snake_case_name and __init__ and __name__",
        "2 * 3 * 4 = 2*3*4 and <<3*2=6>>6 or 2**3**4",
        "#",
        "#hashtag and C#",
        "~5 minutes, 10~20 or 30~40",
        "x = [i*2 for i in y]*3",
        "f[i](x) and f[i]()",
        "[error]: connection refused",
        "a < b && c > d <T>",
        "C:\\temp\\(new) \\d+\\.\\d+",
        "costs $5 or $10",
        "2024. That was a year",
        "os.write(put)",
        "It's 5 o'clock -- \"now\"",
        "`one tick",
        "<!channel> <@U123> @here :tada:",
    ] {
        assert_eq!(shown(source), source, "{source}");
    }
}

#[test]
fn a_narrow_table_is_aligned_and_a_wide_one_is_a_list() {
    let narrow = "| City | 人口 |\n|:--|--:|\n| 東京 | 14 |\n| Rome | 2 |";
    assert_eq!(
        shown(narrow),
        "code City  人口⏎────  ────⏎東京    14⏎Rome     2"
    );
    let long = "a long text that does not fit on a phone";
    let wide = format!("| Name | What | Where |\n|--|--|--|\n| **A** | {long} | |\n| B | c | d |");
    let expected = format!("# *Name · What · Where*\n• *A*⏎What: {long}\n• *B*⏎What: c⏎Where: d");
    assert_eq!(shown(&wide), expected);
}

#[test]
fn bombs_are_bounded() {
    for bomb in [
        ">".repeat(60_000),
        "- ".repeat(30_000) + "a",
        "1. ".repeat(20_000) + "a",
        "*a ".repeat(30_000),
        "[".repeat(60_000),
        "![".repeat(30_000),
        "`".repeat(60_000),
        "$$a".repeat(20_000),
        "\\(".repeat(30_000),
        format!(
            "|{}\n|{}\n{}",
            "a|".repeat(9_000),
            "-|".repeat(9_000),
            "|\n".repeat(9_000)
        ),
    ] {
        let pieces = pieces(&bomb);
        let indents = pieces.iter().filter_map(|piece| match piece.form {
            Form::Item { indent, .. } => Some(indent),
            _ => None,
        });
        assert!(indents.max().unwrap_or_default() <= 5);
    }
}

/// Words that no source has but by itself, between all that Markdown gives a meaning to.
fn markdown() -> impl Strategy<Value = (Vec<String>, String)> {
    let marks = prop::sample::select(vec![
        " ",
        " ",
        "\n",
        "\n\n",
        "*",
        "**",
        "_",
        "__",
        "~",
        "~~",
        "`",
        "```",
        "\n```\n",
        "# ",
        "\n# ",
        "\n- ",
        "\n  - ",
        "\n1. ",
        "\n999. ",
        "\n> ",
        "[",
        "](",
        ")",
        "![",
        "]:",
        "|",
        "\n|",
        "|\n|--|--|\n|",
        "\n---\n",
        "\n===\n",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "<",
        ">",
        "$",
        "$$",
        "\\(",
        "\\)",
        "\\",
        "&amp;",
        "\n    ",
        "\t",
        "- [x] ",
        "  \n",
        "<https://a.example/",
        "\"",
        "\u{202e}",
        "\u{200b}",
        "۱",
        "*",
        "**",
        ":",
    ]);
    prop::collection::vec(marks, 1..40).prop_map(|marks| {
        let words: Vec<String> = (0..=marks.len()).map(|i| format!("wörd{i}é")).collect();
        let mut source = words[0].clone();
        for (mark, word) in marks.iter().zip(&words[1..]) {
            source.push_str(mark);
            source.push_str(word);
        }
        (words, source)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_visible_word_is_shown((words, source) in markdown()) {
        let shown: String = pieces(&source).iter().map(|piece| piece.text() + "\n").collect();
        for word in words {
            prop_assert!(shown.contains(&word), "{word} of {source:?} is not in {shown:?}");
        }
    }

    #[test]
    fn any_text_becomes_blocks(text in "\\PC{0,80}|[-*_`#>|\\[\\]()$\\\\ \\n!<a1.]{0,80}") {
        let pieces = pieces(&text);
        if !pieces.is_empty() {
            block(&pieces);
        }
        for piece in &pieces {
            prop_assert!(!piece.text().is_empty(), "{pieces:?}");
        }
    }
}
