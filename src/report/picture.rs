use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::figures::{Figures, Source};
use super::words::{amount, percent, percents, traces_of};
use crate::domain::escape_markup;
use crate::stats::Confusion;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 492;
/// Slack shows pictures on dense screens.
const SCALE: u32 = 2;

const INK: &str = "#1f2430";
const GREY: &str = "#6b7280";
const RULE: &str = "#d5d9e0";
/// Blue for agreement and orange for its lack are told apart by every kind of colour vision
/// (M. Okabe and K. Ito, "Color Universal Design", 2008).
const AGREES: [u8; 3] = [0, 114, 178];
const DIFFERS: [u8; 3] = [213, 94, 0];

/// Where the table's cells begin, and their size.
const LEFT: f64 = 190.0;
const TOP: f64 = 118.0;
const CELL: (f64, f64) = (240.0, 112.0);
const GAP: f64 = 10.0;
/// Where the line from 0 to 100 % stands.
const AXIS: (f64, f64, f64) = (190.0, 672.0, 432.0);

/// The confusion table and the agreement on a line from 0 to 100 %, as a PNG.
///
/// Its words are fixed and its only data are numbers: nothing hostile gets in.
pub fn picture(source: Source, figures: &Figures) -> anyhow::Result<Vec<u8>> {
    let tree = Tree::from_str(&svg(source, figures), options()).context("the picture is no SVG")?;
    let mut pixels =
        Pixmap::new(WIDTH * SCALE, HEIGHT * SCALE).context("the picture has no size")?;
    let scale = Transform::from_scale(SCALE as f32, SCALE as f32);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels
        .encode_png()
        .context("the picture could not be encoded")
}

/// The same in words, for those who do not see it.
pub fn alt_text(source: Source, figures: &Figures) -> String {
    let Confusion {
        caught,
        missed,
        false_alarms,
        passed,
    } = figures.confusion;
    format!(
        "Confusion table from {}. Of {} that people call bad, the eval caught {} and missed {}. Of {} \
         that they call good, it let {} pass and raised {}.",
        traces_of(source, figures.n),
        amount(caught + missed),
        amount(caught),
        amount(missed),
        amount(false_alarms + passed),
        amount(passed),
        super::words::counted(false_alarms, "false alarm"),
    )
}

/// The embedded font, and no other: the same picture on every machine.
fn options() -> &'static Options<'static> {
    static OPTIONS: OnceLock<Options<'static>> = OnceLock::new();
    OPTIONS.get_or_init(|| {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(include_bytes!("font/Roboto-Regular.ttf").to_vec());
        fonts.load_font_data(include_bytes!("font/Roboto-Bold.ttf").to_vec());
        Options {
            font_family: "Roboto".to_owned(),
            fontdb: Arc::new(fonts),
            ..Options::default()
        }
    })
}

fn svg(source: Source, figures: &Figures) -> String {
    let mut svg = Svg::new();
    svg.text(
        (40.0, 46.0),
        Style::TITLE,
        "How the eval and people judge the same answers",
    );
    let traces = traces_of(source, figures.n);
    svg.text(
        (40.0, 72.0),
        Style::SMALL,
        &format!("{traces} · positive is fail"),
    );
    table(&mut svg, &figures.confusion);
    agreement(&mut svg, figures);
    svg.finished()
}

fn table(svg: &mut Svg, counts: &Confusion) {
    let heading = TOP - 10.0;
    for (column, name) in ["Eval says fail", "Eval says pass"].into_iter().enumerate() {
        svg.text(
            (corner(0, column).0 + CELL.0 / 2.0, heading),
            Style::HEADING.centred(),
            name,
        );
    }
    let rows = [
        (
            "People say fail",
            counts.fails(),
            [counts.caught, counts.missed],
            ["caught", "missed"],
        ),
        (
            "People say pass",
            counts.passes(),
            [counts.false_alarms, counts.passed],
            ["false alarms", "let pass"],
        ),
    ];
    for (row, (name, total, cells, words)) in rows.into_iter().enumerate() {
        let middle = corner(row, 0).1 + CELL.1 / 2.0;
        let edge = LEFT - 18.0;
        svg.text((edge, middle - 2.0), Style::HEADING.right(), name);
        let traces = super::words::counted(total, "trace");
        svg.text((edge, middle + 18.0), Style::SMALL.right(), &traces);
        for column in 0..2 {
            let share = (total > 0.0).then(|| cells[column] / total);
            let colour = if row == column { AGREES } else { DIFFERS };
            svg.cell(
                corner(row, column),
                colour,
                cells[column],
                words[column],
                share,
            );
        }
    }
}

fn corner(row: usize, column: usize) -> (f64, f64) {
    (
        LEFT + column as f64 * (CELL.0 + GAP),
        TOP + row as f64 * (CELL.1 + GAP),
    )
}

/// A point in its interval, and the majority guess as a mark to clear.
fn agreement(svg: &mut Svg, figures: &Figures) {
    let (left, right, y) = AXIS;
    let at = |share: f64| left + share * (right - left);
    svg.text((left - 18.0, y - 8.0), Style::HEADING.right(), "Agreement");
    let shown = match figures.agreement_interval {
        Some(interval) => format!("{} ({})", percent(figures.agreement), percents(interval)),
        None => percent(figures.agreement),
    };
    svg.text((left - 18.0, y + 11.0), Style::SMALL.right(), &shown);
    svg.line((left, y), (right, y), RULE, 2.0);
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        svg.line((at(tick), y - 4.0), (at(tick), y + 4.0), RULE, 2.0);
        svg.text(
            (at(tick), y + 24.0),
            Style::SMALL.centred(),
            &percent(Some(tick)),
        );
    }
    if let Some(majority) = figures.majority {
        svg.line((at(majority), y - 24.0), (at(majority), y + 8.0), INK, 2.0);
        let label = format!("majority guess {}", percent(Some(majority)));
        svg.text(
            (at(majority), y - 32.0),
            Style::SMALL.centred_within(at(majority)),
            &label,
        );
    }
    let blue = hex(AGREES);
    if let Some(interval) = figures.agreement_interval {
        svg.line((at(interval.lo), y), (at(interval.hi), y), &blue, 8.0);
    }
    if let Some(agreement) = figures.agreement {
        svg.dot((at(agreement), y), 9.0, &blue);
    }
}

#[derive(Clone, Copy)]
struct Style {
    size: u32,
    weight: u32,
    colour: &'static str,
    anchor: &'static str,
}

impl Style {
    const TITLE: Self = Self::left(22, 700, INK);
    const HEADING: Self = Self::left(16, 700, INK);
    const SMALL: Self = Self::left(14, 400, GREY);

    const fn left(size: u32, weight: u32, colour: &'static str) -> Self {
        let anchor = "start";
        Self {
            size,
            weight,
            colour,
            anchor,
        }
    }

    fn centred(self) -> Self {
        Self {
            anchor: "middle",
            ..self
        }
    }

    fn right(self) -> Self {
        Self {
            anchor: "end",
            ..self
        }
    }

    /// Centred at `x`, unless the text would leave the picture on the right.
    fn centred_within(self, x: f64) -> Self {
        if x > f64::from(WIDTH) - 110.0 {
            self.right()
        } else {
            self.centred()
        }
    }
}

struct Svg(String);

impl Svg {
    fn new() -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"Roboto\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
        ))
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.0.write_fmt(element).expect("a String takes any text");
    }

    fn text(&mut self, (x, y): (f64, f64), style: Style, text: &str) {
        let Style {
            size,
            weight,
            colour,
            anchor,
        } = style;
        let text = escape_markup(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" \
             fill=\"{colour}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, width: f64) {
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"/>"
        ));
    }

    fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: &str) {
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" stroke=\"#ffffff\" \
             stroke-width=\"3\"/>"
        ));
    }

    /// A cell, the fuller the larger its share of its row.
    fn cell(
        &mut self,
        (x, y): (f64, f64),
        colour: [u8; 3],
        count: f64,
        word: &str,
        share: Option<f64>,
    ) {
        let fill = mixed(colour, 0.10 + 0.90 * share.unwrap_or(0.0));
        let colour = readable_on(fill);
        let (width, height) = CELL;
        let fill = hex(fill);
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"{fill}\"/>"
        ));
        let (number, caption) = (Style::left(40, 700, colour), Style::left(15, 400, colour));
        let middle = x + width / 2.0;
        let of_row = share.map_or_else(String::new, |share| format!(" · {}", percent(Some(share))));
        self.text((middle, y + 58.0), number.centred(), &amount(count));
        self.text(
            (middle, y + 86.0),
            caption.centred(),
            &format!("{word}{of_row}"),
        );
    }

    fn finished(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

/// `strength` of the colour on white.
fn mixed(colour: [u8; 3], strength: f64) -> [u8; 3] {
    colour.map(|part| (255.0 - (255.0 - f64::from(part)) * strength).round() as u8)
}

/// White or dark, whichever stands out more (WCAG 2, "relative luminance", with a plain gamma of 2.2).
fn readable_on(colour: [u8; 3]) -> &'static str {
    let [red, green, blue] = colour.map(|part| (f64::from(part) / 255.0).powf(2.2));
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    if luminance < 0.22 { "#ffffff" } else { INK }
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::Report;
    use crate::report::figures::tests::{few, many, without_verdicts};

    fn drawn(report: &Report) -> (u32, u32) {
        let (source, figures) = report
            .quoted()
            .unwrap_or_else(|| (Source::Fresh, report.fresh.as_ref().unwrap()));
        let png = picture(source, figures).unwrap();
        let picture = Pixmap::decode_png(&png).unwrap();
        (picture.width(), picture.height())
    }

    #[test]
    fn every_report_has_a_picture_even_without_a_single_verdict() {
        for report in [many(), few(), without_verdicts()] {
            assert_eq!(drawn(&report), (1440, 984));
        }
    }

    #[test]
    fn the_font_is_there_and_draws_the_numbers() {
        let (source, figures) = (Source::HeldOut, many().held_out.unwrap());
        let tree = Tree::from_str(&svg(source, &figures), options()).unwrap();
        let drawn_texts = tree.root().children().iter().filter(|node| {
            matches!(node, resvg::usvg::Node::Text(text) if !text.flattened().children().is_empty())
        });
        assert_eq!(
            drawn_texts.count(),
            svg(source, &figures).matches("<text").count()
        );
    }

    #[test]
    fn those_who_do_not_see_the_picture_get_its_numbers() {
        insta::assert_snapshot!(alt_text(Source::HeldOut, &many().held_out.unwrap()), @"Confusion table from 38 held-out traces. Of 13 that people call bad, the eval caught 11 and missed 2. Of 25 that they call good, it let 24 pass and raised 1 false alarm.");
        insta::assert_snapshot!(
            alt_text(Source::CrossValidated, &few().cross_validated.unwrap()), @"Confusion table from 20 labelled traces, cross-validated (mean of several rounds). Of 5 that people call bad, the eval caught 3.3 and missed 1.7. Of 14 that they call good, it let 14 pass and raised 0 false alarms."
        );
    }
}
