//! What Markdown must not touch, held back while it is parsed: mathematics in TeX's brackets, and what would be a
//! definition that nobody sees.

/// Stand for held-back text, and are in no text that was cleaned.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';
/// Keeps `]:` from being a definition, which Markdown shows nowhere.
const BROKEN: char = '\u{e002}';
/// Formulas are short; what begins like one and doesn't end soon is none.
const FORMULA_MAX: usize = 2_000;
const BRACKETS: [(&str, &str); 3] = [("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$")];

/// A source for the parser, and what it lacks.
pub struct Held<'a> {
    pub source: String,
    formulas: Vec<&'a str>,
}

/// Holds formulas and definitions back.
pub fn hold(text: &str) -> Held<'_> {
    let (mut source, mut formulas) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find(['\\', '$']) {
        source.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(length) = formula(rest) {
            source.push_str(&format!("{OPEN}{}{CLOSE}", formulas.len()));
            formulas.push(&rest[..length]);
            rest = &rest[length..];
        } else {
            // An escaped backslash opens nothing.
            let length = if rest.starts_with("\\\\") { 2 } else { 1 };
            source.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    source.push_str(rest);
    Held {
        source: source.replace("]:", &format!("]{BROKEN}:")),
        formulas,
    }
}

/// The length of the formula that the text begins with.
fn formula(text: &str) -> Option<usize> {
    let (open, close) = BRACKETS
        .into_iter()
        .find(|(open, _)| text.starts_with(open))?;
    let inside = crate::domain::head(&text[open.len()..], FORMULA_MAX);
    let end = inside.find(close)?;
    let inside = &inside[..end];
    let is_one = !inside.trim().is_empty()
        && !inside.contains("\n\n")
        && !inside.contains("```")
        && !inside.contains("~~~");
    is_one.then_some(open.len() + end + close.len())
}

impl Held<'_> {
    /// A parsed text with what was held back.
    pub fn restored(&self, text: &str) -> String {
        let mut restored = String::with_capacity(text.len());
        let mut parts = text.split(OPEN);
        restored.extend(parts.next());
        for part in parts {
            let (number, after) = part.split_once(CLOSE).unwrap_or(("", part));
            let number = number.parse::<usize>().ok();
            let formula = number.and_then(|number| self.formulas.get(number));
            restored.push_str(formula.copied().unwrap_or_default());
            restored.push_str(after);
        }
        restored.retain(|c| c != BROKEN);
        restored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_and_definitions_are_held_back() {
        for (text, source) in [
            ("so \\( a_1 * b_2 \\) is", "so \u{e000}0\u{e001} is"),
            ("$$\nx\n- 3\n$$", "\u{e000}0\u{e001}"),
            ("[error]: no", "[error]\u{e002}: no"),
            ("costs $$ or \\[", "costs $$ or \\["),
            ("\\\\(a\\\\)", "\\\\(a\\\\)"),
        ] {
            assert_eq!(hold(text).source, source);
        }
    }

    proptest! {
        #[test]
        fn what_is_held_back_comes_back(text in "([\\\\$()\\[\\]: a\\n`]|\\\\\\(|\\$\\$){0,40}") {
            let held = hold(&text);
            prop_assert_eq!(held.restored(&held.source), text);
        }
    }
}
