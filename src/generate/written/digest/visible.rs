//! Text of a trace as it may stand in a prompt.

/// The longest name in a heading, in characters.
const NAME_MAX: usize = 60;

/// `text` with every character that can't be seen, or that changes how others are shown, written as Python writes it.
/// Line breaks and tabs stay.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match escape(c) {
            Some(escape) => shown.push_str(&escape),
            None => shown.push(c),
        }
    }
    shown
}

fn escape(c: char) -> Option<String> {
    let code = u32::from(c);
    match c {
        '\n' | '\t' => None,
        '\r' => Some("\\r".to_owned()),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => Some(format!("\\x{code:02x}")),
        // White space and marks that steer the direction of writing; joiners of emoji stay.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => {
            Some(format!("\\u{code:04x}"))
        }
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => Some(format!("\\u{code:04x}")),
        // Tags: invisible letters.
        '\u{e0000}'..='\u{e007f}' => Some(format!("\\U{code:08x}")),
        _ => None,
    }
}

/// A name of the trace's as it may stand in a heading: quoted, on one line, of bounded length.
pub fn name(text: &str) -> String {
    let mut shown: String = visible(text)
        .chars()
        .take(NAME_MAX)
        .map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c })
        .collect();
    if visible(text).chars().nth(NAME_MAX).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}
