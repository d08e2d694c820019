//! Rich text: pieces of text with a form in, one `rich_text` block of Slack's out.
//!
//! Text in here has no meaning to Slack: it mentions nobody and links nowhere, for only a [`Span`] with an address
//! becomes a link. What a piece costs is the size of its JSON, by which Slack judges whether a message is too long.

use serde_json::{Map, Value, json};

/// Beside its text, what a span adds to the JSON.
const SPAN_COST: usize = 48;
/// What one flag of a style adds.
const STYLE_COST: usize = 16;
/// What a piece adds beside its spans.
const PIECE_COST: usize = 72;

/// How a span looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub code: bool,
}

impl Style {
    /// Bold and nothing else.
    pub const BOLD: Self = Self {
        bold: true,
        italic: false,
        strike: false,
        code: false,
    };

    fn flags(self) -> [(&'static str, bool); 4] {
        [
            ("bold", self.bold),
            ("italic", self.italic),
            ("strike", self.strike),
            ("code", self.code),
        ]
    }
}

/// Text of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub style: Style,
    /// Makes it a link: never from the text of a trace, but for a picture's own address.
    pub url: Option<String>,
}

impl Span {
    /// Text of this look.
    pub fn of(text: impl Into<String>, style: Style) -> Self {
        let (text, url) = (text.into(), None);
        Self { text, style, url }
    }

    /// Text without a look.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::of(text, Style::default())
    }

    /// What it costs without its text.
    pub fn overhead(&self) -> usize {
        let flags = self.style.flags().iter().filter(|(_, on)| *on).count();
        SPAN_COST + STYLE_COST * flags + self.url.as_deref().map_or(0, text_cost)
    }

    fn to_json(&self) -> Value {
        let mut json = match &self.url {
            Some(url) => json!({"type": "link", "url": url, "text": self.text}),
            None => json!({"type": "text", "text": self.text}),
        };
        let flags = self.style.flags().into_iter().filter(|(_, on)| *on);
        let style: Map<String, Value> = flags
            .map(|(name, _)| (name.to_owned(), json!(true)))
            .collect();
        if !style.is_empty() {
            json["style"] = Value::Object(style);
        }
        json
    }
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A paragraph.
    Text,
    /// A heading: what follows stands close to it.
    Title,
    /// An item of a list; with its number where the list is ordered.
    Item { number: Option<u32>, indent: u8 },
    /// Preformatted.
    Code,
}

/// A paragraph, a heading, an item of a list, or a block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub form: Form,
    /// Whether it is part of a quotation.
    pub quoted: bool,
    pub spans: Vec<Span>,
}

impl Piece {
    /// A piece outside quotations.
    pub fn new(form: Form, spans: Vec<Span>) -> Self {
        Self {
            form,
            quoted: false,
            spans,
        }
    }

    /// A paragraph without a look.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Form::Text, vec![Span::plain(text)])
    }

    /// A heading.
    pub fn title(text: impl Into<String>) -> Self {
        Self::new(Form::Title, vec![Span::of(text, Style::BOLD)])
    }

    /// Preformatted text.
    pub fn code(text: impl Into<String>) -> Self {
        Self::new(Form::Code, vec![Span::plain(text)])
    }

    /// A quotation of one paragraph.
    pub fn quote(text: impl Into<String>) -> Self {
        Self {
            quoted: true,
            ..Self::plain(text)
        }
    }

    /// The size of its JSON, roughly and never too low.
    pub fn cost(&self) -> usize {
        let spans = self.spans.iter();
        PIECE_COST
            + spans
                .map(|span| span.overhead() + text_cost(&span.text))
                .sum::<usize>()
    }

    /// Its text alone.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// What all pieces cost together.
pub fn cost(pieces: &[Piece]) -> usize {
    pieces.iter().map(Piece::cost).sum()
}

/// The size of a text in JSON.
pub fn text_cost(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// One block of these pieces, of which there is at least one.
pub fn block(pieces: &[Piece]) -> Value {
    let runs = pieces.chunk_by(is_one_element);
    let elements: Vec<Value> = runs.map(element).collect();
    json!({"type": "rich_text", "elements": elements})
}

/// Whether both stand in one element.
fn is_one_element(one: &Piece, next: &Piece) -> bool {
    if one.quoted != next.quoted {
        return false;
    }
    match (one.form, next.form) {
        (Form::Text | Form::Title, Form::Text | Form::Title) => true,
        (
            Form::Item {
                number: before,
                indent,
            },
            Form::Item {
                number: after,
                indent: its,
            },
        ) => indent == its && before.map(|number| number.saturating_add(1)) == after,
        _ => false,
    }
}

fn element(run: &[Piece]) -> Value {
    let first = &run[0];
    let mut json = match first.form {
        Form::Code => {
            json!({"type": "rich_text_preformatted", "elements": [Span::plain(first.text()).to_json()]})
        }
        Form::Item { number, indent } => list(run, number, indent),
        _ if first.quoted => return json!({"type": "rich_text_quote", "elements": paragraphs(run)}),
        _ => return json!({"type": "rich_text_section", "elements": paragraphs(run)}),
    };
    if first.quoted {
        json["border"] = json!(1);
    }
    json
}

fn list(run: &[Piece], number: Option<u32>, indent: u8) -> Value {
    let item =
        |piece: &Piece| json!({"type": "rich_text_section", "elements": spans(&piece.spans)});
    let items: Vec<Value> = run.iter().map(item).collect();
    let style = number.map_or("bullet", |_| "ordered");
    let mut json =
        json!({"type": "rich_text_list", "style": style, "indent": indent, "elements": items});
    if let Some(offset) = number
        .and_then(|number| number.checked_sub(1))
        .filter(|n| *n > 0)
    {
        json["offset"] = json!(offset);
    }
    json
}

/// Paragraphs in one element: a blank line between them, and none below a heading.
fn paragraphs(run: &[Piece]) -> Vec<Value> {
    let mut together: Vec<Span> = Vec::new();
    for (i, piece) in run.iter().enumerate() {
        if i > 0 {
            let gap = match run[i - 1].form {
                Form::Title => "\n",
                _ => "\n\n",
            };
            match together.last_mut() {
                Some(last) if last.url.is_none() && !last.style.code => last.text.push_str(gap),
                _ => together.push(Span::plain(gap)),
            }
        }
        together.extend(piece.spans.iter().cloned());
    }
    spans(&together)
}

/// Spans as JSON: Slack refuses empty ones.
fn spans(spans: &[Span]) -> Vec<Value> {
    let shown = spans.iter().filter(|span| !span.text.is_empty());
    let shown: Vec<Value> = shown.map(Span::to_json).collect();
    match shown.is_empty() {
        true => vec![Span::plain(" ").to_json()],
        false => shown,
    }
}
