/// `text` for HTML and SVG, in elements and in quoted attributes: nothing in it has a meaning there.
pub fn escape_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_opens_no_element_and_closes_no_attribute() {
        assert_eq!(
            escape_markup("<a b='c' d=\"e\">&amp;"),
            "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;"
        );
    }
}
