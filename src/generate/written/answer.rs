//! What the LLM's answers hold: JSON of a shape that was asked for and may not have been kept to.

use serde_json::Value;

use crate::domain::{EvalSource, head, one_line};

/// Evals, or predicates, that are taken from one answer.
pub const MOST_OF_ONE: usize = 8;
/// Sentences about changes that are kept, and characters of one.
const MOST_CHANGES: usize = 8;
const CHANGE_CHARS: usize = 240;

/// The sources in an answer, each with what changed in it.
pub fn sources(answer: &Value) -> Vec<(EvalSource, Vec<String>)> {
    let several = answer["evals"].as_array().map_or(&[][..], Vec::as_slice);
    let all = several.iter().chain([answer]);
    all.filter_map(|value| Some((value["source"].as_str()?, value)))
        .take(MOST_OF_ONE)
        .map(|(source, value)| (EvalSource::new(code(source)), changes(value)))
        .collect()
}

fn changes(answer: &Value) -> Vec<String> {
    let stated = answer["changes"].as_array().into_iter().flatten();
    stated
        .filter_map(Value::as_str)
        .map(one_line)
        .filter(|text| !text.is_empty())
        .map(|text| head(&text, CHANGE_CHARS).to_owned())
        .take(MOST_CHANGES)
        .collect()
}

/// Python without the fences and the prose that may stand around it; what is no Python stays as it is.
pub fn code(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let begins = lines.iter().find(|line| !line.is_empty());
    let inside = match begins.is_some_and(|line| is_code(line)) {
        true => lines.as_slice(),
        false => fenced(&lines).unwrap_or_else(|| from_first_code(&lines)),
    };
    let inside = without_tail(inside);
    format!("{}\n", inside.join("\n").trim())
}

/// Whether a module may begin with this line.
fn is_code(line: &str) -> bool {
    let begins = [
        "\"\"\"",
        "'''",
        "r\"\"\"",
        "import ",
        "from ",
        "def ",
        "async def ",
        "class ",
        "@",
        "# ",
    ];
    begins.iter().any(|start| line.starts_with(start)) || is_assignment(line)
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| {
        let is_plain = |c: char| c.is_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(is_plain)
    })
}

/// The longest block between fences that defines a function.
fn fenced<'l, 't>(lines: &'l [&'t str]) -> Option<&'l [&'t str]> {
    let fences: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].starts_with("```"))
        .collect();
    let ends = fences.iter().skip(1).copied().chain([lines.len()]);
    let blocks = fences
        .iter()
        .zip(ends)
        .map(|(start, end)| &lines[start + 1..end]);
    blocks
        .filter(|block| block.iter().any(|line| line.starts_with("def ")))
        .max_by_key(|block| block.len())
}

fn from_first_code<'l, 't>(lines: &'l [&'t str]) -> &'l [&'t str] {
    let defines = lines.iter().any(|line| line.starts_with("def "));
    let first = lines
        .iter()
        .position(|line| is_code(line) && !line.starts_with("# "));
    match first.filter(|_| defines) {
        Some(first) => &lines[first..],
        None => lines,
    }
}

/// Without what follows the last function: a fence, and prose.
fn without_tail<'l, 't>(lines: &'l [&'t str]) -> &'l [&'t str] {
    let Some(last) = lines.iter().rposition(|line| line.starts_with("def ")) else {
        return lines;
    };
    let is_outside = |line: &&str| !line.starts_with(char::is_whitespace) && !is_code(line);
    let inside = lines
        .iter()
        .rposition(|line| !line.is_empty() && !is_outside(line));
    let after = last.max(inside.unwrap_or(last)) + 1;
    let is_prose =
        |line: &&str| line.starts_with("```") || line.starts_with(|c: char| c.is_uppercase());
    match lines[after..].iter().position(is_prose) {
        Some(end) => &lines[..after + end],
        None => lines,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVAL: &str =
        "\"\"\"Good.\"\"\"\n\nimport re\n\n\ndef evaluate(trace):\n    return True, \"ok\"\n";

    #[test]
    fn fences_and_prose_around_code_are_taken_off() {
        for text in [
            EVAL.to_owned(),
            format!("\n\n{EVAL}\n\n"),
            format!("```python\n{EVAL}```"),
            format!("```\n{EVAL}```\nI hope that helps!\n"),
            format!(
                "Sure! Here is the eval:\n\n```python\n{EVAL}```\nIt checks this:\n```\nno code\n```"
            ),
            format!("Here is the eval:\n\n{EVAL}\nThis eval passes all of them."),
            format!("{EVAL}```\n"),
            EVAL.replace('\n', "\r\n"),
        ] {
            assert_eq!(code(&text), EVAL, "{text}");
        }
    }

    #[test]
    fn constants_before_the_functions_and_texts_in_them_stay() {
        for eval in [
            "MARK = \"x\"\n\n\ndef evaluate(trace):\n    return True\n",
            "@cached\ndef evaluate(trace):\n    return True\n\n\nMARK = 1\n",
            "def evaluate(trace):\n    text = \"\"\"\nDear reader\n\"\"\"\n    return text\n",
        ] {
            assert_eq!(code(eval), eval);
            assert_eq!(code(&format!("Here:\n```python\n{eval}```\nDone.")), eval);
        }
    }

    #[test]
    fn fences_inside_code_stay() {
        let eval = "import re\n\nFENCE = \"\"\"\n```json\n\"\"\"\n\n\ndef evaluate(trace):\n    return True\n";
        assert_eq!(code(eval), eval);
    }

    #[test]
    fn what_is_no_code_stays_as_it_is() {
        for text in [
            "",
            "I can't do that.",
            "# Notes\nNo code.",
            "``` unfinished",
            "é 🎉",
        ] {
            assert_eq!(code(text).trim(), text);
        }
    }

    #[test]
    fn an_answer_of_another_shape_holds_no_sources() {
        for answer in [
            json!(null),
            json!([]),
            json!({"evals": "x"}),
            json!({"evals": [1, {}]}),
            json!({"source": 3}),
        ] {
            assert_eq!(sources(&answer), []);
        }
        let answer = json!({"source": EVAL, "changes": ["  Looks at\nlinks. ", "", 3]});
        let expected = vec!["Looks at links.".to_owned()];
        assert_eq!(sources(&answer), [(EvalSource::new(EVAL), expected)]);
    }
}
