//! Tables: aligned and preformatted where they are narrow, else a list with an item a row.
//!
//! Slack's own `table` block stands once in a message and in no modal, and a wide one is cut off on a phone.

use pulldown_cmark::Alignment;
use unicode_width::UnicodeWidthStr;

use super::super::rich::{Form, Piece, Span, Style};

/// A phone shows as many characters of preformatted text beside each other; Chinese ones count twice.
const WIDTH_MAX: usize = 42;
const GAP: &str = "  ";

/// A table while it is read: rows of cells, the header first.
#[derive(Default)]
pub struct Table {
    pub alignments: Vec<Alignment>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The table as pieces.
    pub fn pieces(&self, quoted: bool) -> Vec<Piece> {
        let widths = self.widths();
        let width = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        let mut pieces = match width <= WIDTH_MAX {
            true => vec![Piece::code(self.aligned(&widths))],
            false => self.items(),
        };
        pieces.iter_mut().for_each(|piece| piece.quoted = quoted);
        pieces
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or_default()
        };
        (0..columns).map(width).collect()
    }

    fn aligned(&self, widths: &[usize]) -> String {
        let mut lines: Vec<String> = self.rows.iter().map(|row| self.line(row, widths)).collect();
        let rules: Vec<String> = widths
            .iter()
            .map(|width| "─".repeat((*width).max(1)))
            .collect();
        lines.insert(1.min(lines.len()), rules.join(GAP));
        lines.join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cell = |(column, width): (usize, &usize)| {
            let text = row.get(column).map_or("", String::as_str);
            let room = width.saturating_sub(text.width());
            let before = match self.alignments.get(column) {
                Some(Alignment::Right) => room,
                Some(Alignment::Center) => room / 2,
                _ => 0,
            };
            format!("{}{text}{}", " ".repeat(before), " ".repeat(room - before))
        };
        let cells: Vec<String> = widths.iter().enumerate().map(cell).collect();
        cells.join(GAP).trim_end().to_owned()
    }

    /// A row begins with its first cell; each further one stands on a line with its column's name.
    fn items(&self) -> Vec<Piece> {
        let header = self.rows.first().map_or(&[][..], Vec::as_slice);
        let rows = match self.rows.len() {
            1 => &self.rows[..],
            _ => self.rows.get(1..).unwrap_or_default(),
        };
        let named = header.first().filter(|name| !name.is_empty());
        let item = |row: &Vec<String>| {
            let mut spans = Vec::new();
            for (column, cell) in row.iter().enumerate() {
                let name = header
                    .get(column)
                    .filter(|_| column > 0)
                    .map_or("", String::as_str);
                let line = if spans.is_empty() { "" } else { "\n" };
                match name {
                    _ if cell.is_empty() && column > 0 => {}
                    "" => spans.push(Span::of(format!("{line}{cell}"), bold_if(column == 0))),
                    name => spans.push(Span::plain(format!("{line}{name}: {cell}"))),
                }
            }
            Piece::new(
                Form::Item {
                    number: None,
                    indent: 0,
                },
                spans,
            )
        };
        let titles = header.iter().filter(|name| !name.is_empty());
        let titles: Vec<&str> = titles.map(String::as_str).collect();
        let title = named.map(|_| Piece::title(titles.join(" · ")));
        title.into_iter().chain(rows.iter().map(item)).collect()
    }
}

fn bold_if(bold: bool) -> Style {
    Style {
        bold,
        ..Style::default()
    }
}
