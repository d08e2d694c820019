//! Python source text: literals that nothing can break out of, laid out as `ruff format` lays them out.

use std::fmt::Display;

/// `ruff format`'s line length.
const LINE: usize = 88;

/// `text` as a Python string literal, in the quotes that `ruff format` would choose.
///
/// Everything but letters, digits and plain punctuation is escaped, so that no text of a trace can end the literal
/// or look like something else (control characters, marks that turn the direction of writing).
pub fn literal(text: &str) -> String {
    let count = |quote| text.matches(quote).count();
    let quote = if count('"') > count('\'') { '\'' } else { '"' };
    let body: String = text.chars().map(|c| escaped(c, quote)).collect();
    format!("{quote}{body}{quote}")
}

fn escaped(c: char, quote: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c == quote => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        c if c.is_alphanumeric() || "“”…。".contains(c) => c.to_string(),
        c if u32::from(c) <= 0xff => format!("\\x{:02x}", u32::from(c)),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    }
}

/// A pattern as a raw literal where it can be one.
pub fn raw_literal(pattern: &str) -> String {
    if pattern.contains('"') || pattern.ends_with('\\') {
        return literal(pattern);
    }
    format!("r\"{pattern}\"")
}

/// `name = value`, wrapped where it is too long and wrapping helps.
pub fn assignment(name: &str, value: &str) -> String {
    let whole = format!("{name} = {value}");
    let alone = value.chars().count() + 4;
    if width(&whole) > LINE && alone <= LINE {
        return format!("{name} = (\n    {value}\n)");
    }
    whole
}

/// A pattern of many alternatives, as raw literals a line each that Python joins.
pub fn wrapped_pattern(name: &str, pattern: &str) -> String {
    let mut lines = vec![String::new()];
    for part in pattern.split_inclusive('|') {
        let last = lines.last_mut().expect("there is a line");
        if last.len() + part.len() > LINE - 7 {
            lines.push(part.to_owned());
        } else {
            last.push_str(part);
        }
    }
    let lines: String = lines
        .iter()
        .map(|line| format!("    {}\n", raw_literal(line)))
        .collect();
    format!("{name} = (\n{lines})")
}

/// A list with an item a line.
pub fn list(name: &str, items: &[String]) -> String {
    let lines: String = items.iter().map(|item| format!("    {item},\n")).collect();
    format!("{name} = [\n{lines}]")
}

/// A dict with an item a line.
pub fn dict(name: &str, items: &[(String, impl Display)]) -> String {
    let lines: String = items
        .iter()
        .map(|(key, value)| format!("    {key}: {value},\n"))
        .collect();
    format!("{name} = {{\n{lines}}}")
}

/// `return verdict, reason`, wrapped where it is too long.
pub fn return_pair(indent: usize, verdict: &str, reason: &str) -> String {
    let pad = " ".repeat(indent);
    let whole = format!("{pad}return {verdict}, {reason}");
    if width(&whole) <= LINE {
        return whole;
    }
    format!("{pad}return (\n{pad}    {verdict},\n{pad}    {reason},\n{pad})")
}

fn width(line: &str) -> usize {
    line.chars().count()
}
