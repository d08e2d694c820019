//! The parser's events in, pieces out: which marks give a look, what stands where a mark gives none, and which
//! paragraph belongs to which item.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Tag, TagEnd};

use super::super::rich::{Form, Piece, Span, Style};
use super::held::Held;
use super::table::Table;

/// Slack draws no deeper list.
const INDENT_MAX: usize = 5;
/// Slack numbers from any offset; a year or a sum at the beginning of a line is no item's number.
const NUMBER_MAX: u64 = 999;
/// An underlined line that is longer is a paragraph above a rule.
const UNDERLINED_MAX: usize = 80;

/// A list and the item that is read.
struct List {
    number: Option<u64>,
    /// Whether the item's mark stands already: further paragraphs of it have none.
    is_marked: bool,
}

/// A mark around text: `None` where it gives a look, else what is shown of it at the end.
type Mark = Option<String>;

/// An address, and the length of the spans' text where its own begins.
struct Address {
    from: usize,
    text: String,
    kind: Closing,
}

enum Closing {
    /// Text with an address behind it.
    Link,
    /// The text is the address.
    Itself,
    /// Code that looks like a link: what stands behind the text.
    Code,
}

/// Turns the parser's events into pieces.
pub struct Reader<'a> {
    held: &'a Held<'a>,
    pieces: Vec<Piece>,
    spans: Vec<Span>,
    bold: usize,
    italic: usize,
    strike: usize,
    quotes: usize,
    lists: Vec<List>,
    marks: Vec<Mark>,
    addresses: Vec<Address>,
    code: Option<String>,
    table: Option<Table>,
    /// Where the last event ended in the source.
    read_to: usize,
}

impl<'a> Reader<'a> {
    pub fn new(held: &'a Held<'a>) -> Self {
        Self {
            held,
            pieces: Vec::new(),
            spans: Vec::new(),
            bold: 0,
            italic: 0,
            strike: 0,
            quotes: 0,
            lists: Vec::new(),
            marks: Vec::new(),
            addresses: Vec::new(),
            code: None,
            table: None,
            read_to: 0,
        }
    }

    pub fn read(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.open(tag, &range),
            Event::End(tag) => self.close(tag, &range),
            Event::Text(text) => self.text(&text, &range),
            Event::Code(text) => self.push(
                &text,
                Style {
                    code: true,
                    ..self.style()
                },
            ),
            Event::InlineMath(text) => self.say(&format!("${text}$")),
            Event::DisplayMath(text) => self.say(&format!("$${text}$$")),
            Event::Html(text) | Event::InlineHtml(text) => self.say(&text),
            Event::SoftBreak | Event::HardBreak => self.say("\n"),
            Event::Rule => self.rule(&range),
            Event::TaskListMarker(is_done) => self.say(if is_done { "☑ " } else { "☐ " }),
            // Footnotes are not switched on.
            Event::FootnoteReference(name) => self.say(&name),
        }
        self.read_to = self.read_to.max(range.start);
    }

    pub fn finish(mut self) -> Vec<Piece> {
        self.flush(Form::Text);
        self.pieces
    }

    fn style(&self) -> Style {
        Style {
            bold: self.bold > 0,
            italic: self.italic > 0,
            strike: self.strike > 0,
            code: false,
        }
    }

    fn say(&mut self, text: &str) {
        self.push(text, self.style());
    }

    fn push(&mut self, text: &str, style: Style) {
        let text = self.held.restored(text);
        if let Some(code) = &mut self.code {
            code.push_str(&text);
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.text.push_str(&text),
            _ => self.spans.push(Span::of(text, style)),
        }
    }

    /// Text between two marks: an escape is shown unless it escapes a mark.
    fn text(&mut self, text: &str, range: &Range<usize>) {
        let is_escaped = self.code.is_none()
            && range.start > self.read_to
            && self.held.source[..range.start].ends_with('\\');
        if is_escaped && !text.starts_with(['*', '_', '#', '`', '~', '|']) {
            self.say("\\");
        }
        self.say(text);
        self.read_to = range.end;
    }

    fn open(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough => self.open_mark(&tag, range),
            Tag::Link {
                link_type,
                dest_url,
                title,
                ..
            } => {
                let is_itself = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.open_address(&dest_url, &title, is_itself, range);
            }
            Tag::Image {
                dest_url, title, ..
            } => {
                self.say("🖼 ");
                self.open_address(&dest_url, &title, false, &(0..range.end));
            }
            Tag::CodeBlock(kind) => self.open_code(&kind),
            Tag::BlockQuote(_) => {
                self.flush(Form::Text);
                self.quotes += 1;
            }
            Tag::List(number) => {
                self.open_block();
                let is_marked = false;
                self.lists.push(List { number, is_marked });
            }
            Tag::Item => {
                if let Some(list) = self.lists.last_mut() {
                    list.is_marked = false;
                }
            }
            Tag::Table(alignments) => {
                self.open_block();
                self.table = Some(Table {
                    alignments,
                    rows: Vec::new(),
                });
            }
            Tag::TableHead | Tag::TableRow => {
                self.table
                    .iter_mut()
                    .for_each(|table| table.rows.push(Vec::new()));
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: TagEnd, range: &Range<usize>) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => self.close_mark(tag),
            TagEnd::Link | TagEnd::Image => self.close_address(),
            TagEnd::Heading(_) => self.heading(range),
            TagEnd::CodeBlock => self.close_code(),
            TagEnd::BlockQuote(_) => {
                self.flush(Form::Text);
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::Item => self.close_item(),
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::TableCell => self.close_cell(),
            TagEnd::Table => {
                let table = self.table.take().unwrap_or_default();
                self.pieces.extend(table.pieces(self.quotes > 0));
            }
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(Form::Text),
            _ => {}
        }
    }

    fn open_mark(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        let source = &self.held.source[range.clone()];
        let mark = match tag {
            Tag::Strong => &source[..2],
            Tag::Strikethrough if source.starts_with("~~") => "~~",
            _ => &source[..1],
        };
        let inside = source.trim_start_matches(mark).trim_end_matches(mark);
        if self.is_inside_a_word(range.start) || is_no_mark(mark, inside) {
            self.marks.push(Some(mark.to_owned()));
            self.say(mark);
            return;
        }
        self.marks.push(None);
        match tag {
            Tag::Emphasis => self.italic += 1,
            Tag::Strong => self.bold += 1,
            _ => self.strike += 1,
        }
    }

    fn close_mark(&mut self, tag: TagEnd) {
        if let Some(Some(mark)) = self.marks.pop() {
            return self.say(&mark);
        }
        let count = match tag {
            TagEnd::Emphasis => &mut self.italic,
            TagEnd::Strong => &mut self.bold,
            _ => &mut self.strike,
        };
        *count = count.saturating_sub(1);
    }

    /// As in `2*3*4`. Languages without spaces between words are not written in these letters.
    fn is_inside_a_word(&self, start: usize) -> bool {
        let before = self.held.source[..start].chars().next_back();
        before.is_some_and(|c| c.is_ascii_alphanumeric() || c == ')' || c == ']')
    }

    fn open_address(&mut self, to: &str, title: &str, is_itself: bool, range: &Range<usize>) {
        let to = self.held.restored(to);
        let is_code = self.is_inside_a_word(range.start);
        let (kind, text) = match is_itself {
            true => (Closing::Itself, to),
            false if is_code || to.is_empty() => {
                self.say("[");
                (Closing::Code, titled(&to, title))
            }
            false => (Closing::Link, titled(&to, title)),
        };
        let from = self.spans_length();
        self.addresses.push(Address { from, text, kind });
    }

    fn close_address(&mut self) {
        let Some(address) = self.addresses.pop() else {
            return;
        };
        let all: String = self.spans.iter().map(|span| span.text.as_str()).collect();
        let shown = all.get(address.from..).unwrap_or_default();
        match address.kind {
            Closing::Itself => {}
            Closing::Code => self.say(&format!("]({})", address.text)),
            Closing::Link if shown.trim() == address.text => {}
            Closing::Link => {
                let gap = if shown.is_empty() || shown.ends_with(' ') {
                    ""
                } else {
                    " "
                };
                self.say(&format!("{gap}({})", address.text));
            }
        }
    }

    fn spans_length(&self) -> usize {
        self.spans.iter().map(|span| span.text.len()).sum()
    }

    /// What stands in an item before any text: a number is shown all the same.
    fn open_block(&mut self) {
        self.flush(Form::Text);
        let Some(list) = self.lists.last_mut().filter(|list| !list.is_marked) else {
            return;
        };
        match list.number {
            None => list.is_marked = true,
            Some(_) => self.say_alone(" "),
        }
    }

    fn say_alone(&mut self, text: &str) {
        self.say(text);
        self.flush(Form::Text);
    }

    fn open_code(&mut self, kind: &CodeBlockKind<'_>) {
        self.open_block();
        if let CodeBlockKind::Fenced(info) = kind {
            let is_language = |c: char| c.is_ascii_alphanumeric() || "+#-_.".contains(c);
            if !info.chars().all(is_language) {
                self.say_alone(info);
            }
        }
        self.code = Some(String::new());
    }

    fn close_code(&mut self) {
        let code = self.code.take().unwrap_or_default();
        let code = code.strip_suffix('\n').unwrap_or(&code);
        if !code.trim().is_empty() {
            let quoted = self.quotes > 0;
            self.pieces.push(Piece {
                quoted,
                ..Piece::code(code)
            });
        }
    }

    fn close_item(&mut self) {
        self.flush(Form::Text);
        if self.lists.last().is_some_and(|list| !list.is_marked) {
            self.say_alone(" ");
        }
        if let Some(number) = self.lists.last_mut().and_then(|list| list.number.as_mut()) {
            *number = number.saturating_add(1);
        }
    }

    fn close_cell(&mut self) {
        let text: String = self.spans.drain(..).map(|span| span.text).collect();
        let cell = text.replace('\n', " ").trim().to_owned();
        if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
            row.push(cell);
        }
    }

    /// As it was written: where somebody asked for six asterisks, it is judged by them.
    fn rule(&mut self, range: &Range<usize>) {
        self.flush(Form::Text);
        self.say_alone(self.held.source[range.clone()].trim());
    }

    fn heading(&mut self, range: &Range<usize>) {
        let source = self.held.source[range.clone()].trim();
        let is_underlined = !source.starts_with('#');
        if self.spans_length() == 0 {
            return self.say_alone(source);
        }
        if is_underlined && self.spans_length() > UNDERLINED_MAX {
            let rule = source.lines().next_back().unwrap_or_default();
            self.flush(Form::Text);
            return self.say_alone(rule);
        }
        self.spans
            .iter_mut()
            .for_each(|span| span.style.bold = true);
        self.flush(Form::Title);
    }

    /// Ends a paragraph: an item's first one carries its mark, and further ones stand below it.
    fn flush(&mut self, form: Form) {
        let mut spans = std::mem::take(&mut self.spans);
        self.addresses.clear();
        if let Some(last) = spans.last_mut() {
            last.text.truncate(last.text.trim_end_matches('\n').len());
        }
        if spans.iter().all(|span| span.text.is_empty()) {
            return;
        }
        let quoted = self.quotes > 0;
        let indent = self.lists.len().saturating_sub(1).min(INDENT_MAX) as u8;
        let Some(list) = self.lists.last_mut() else {
            return self.pieces.push(Piece {
                form,
                quoted,
                spans,
            });
        };
        if !list.is_marked {
            list.is_marked = true;
            let number = list.number.filter(|number| *number <= NUMBER_MAX);
            if let (Some(beyond), None) = (list.number, number) {
                spans.insert(0, Span::plain(format!("{beyond}. ")));
                return self.pieces.push(Piece {
                    form: Form::Text,
                    quoted,
                    spans,
                });
            }
            let number = number.map(|number| number as u32);
            let form = Form::Item { number, indent };
            return self.pieces.push(Piece {
                form,
                quoted,
                spans,
            });
        }
        match self.pieces.last_mut() {
            Some(last) if matches!(last.form, Form::Item { indent: its, .. } if its == indent) => {
                last.spans.push(Span::plain("\n"));
                last.spans.extend(spans);
            }
            _ => self.pieces.push(Piece {
                form,
                quoted,
                spans,
            }),
        }
    }
}

/// Marks that only look like some: a tilde alone, and underscores around a name in code.
fn is_no_mark(mark: &str, inside: &str) -> bool {
    mark == "~" || mark == "__" && !inside.contains(char::is_whitespace)
}

fn titled(to: &str, title: &str) -> String {
    match title {
        "" => to.to_owned(),
        title => format!("{to} \"{title}\""),
    }
}
