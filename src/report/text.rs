use super::figures::{Figures, Report, Source};
use super::{explained, making, words};

/// The report for a terminal: the criterion, a figure a line, then what to know before believing them.
pub fn text(report: &Report) -> String {
    let criterion = report.criterion.as_deref().unwrap_or("(no criterion)");
    let mut lines = vec![printable(criterion), String::new()];
    match report.quoted() {
        Some((source, figures)) => lines.extend(quoted(report, source, figures)),
        None => lines.push(row(
            "Agreement",
            "undefined: no labelled trace with a verdict",
        )),
    }
    let is_silent = |(_, figures): &(Source, &Figures)| figures.n == 0;
    for (_, figures) in report.others().filter(is_silent) {
        lines.push(row("Coverage", &words::coverage(figures)));
    }
    for (source, figures) in report.others() {
        lines.push(row("Also", &words::agreement(source, figures)));
    }
    lines.push(row("Labels", &words::labels(report)));
    if let Some(tried) = report.candidates_tried {
        lines.push(row("Candidates", &format!("{tried} tried")));
    }
    let made = making::rows(report);
    lines.extend(
        made.iter()
            .map(|(name, value)| row(name, &printable(value))),
    );
    lines.extend(explained::mutation_score(report).map(|score| row("Mutation score", &score)));
    lines.extend(explained::mostly_missed(report).map(|missed| row("Mostly missed", &missed)));
    if !report.notes.is_empty() {
        lines.push(String::new());
        lines.extend(report.notes.iter().cloned());
    }
    lines.join("\n")
}

fn quoted(report: &Report, source: Source, figures: &Figures) -> Vec<String> {
    vec![
        row("Agreement", &words::agreement(source, figures)),
        row("Majority guess", &words::percent(figures.majority)),
        row("People's own", &words::people(report)),
        row("Failures caught", &words::failures_caught(figures)),
        row("False alarms", &words::false_alarms(figures)),
        row("Cohen's kappa", &words::kappa(figures)),
        row("Coverage", &words::coverage(figures)),
    ]
}

fn row(name: &str, value: &str) -> String {
    format!("{name:<17}{value}")
}

/// An eval's own words must not move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::{few, many};

    #[test]
    fn the_terminal_shows_each_figure_with_its_n_and_interval() {
        insta::assert_snapshot!(text(&many()), @"
        Answers about an order must quote its number.

        Agreement        92 % (95 % interval 79–97 %) on 38 held-out traces
        Majority guess   66 %
        People's own     Krippendorff's alpha 0.98 on 98 traces (2 annotators)
        Failures caught  85 % (58–96 %) of 13 bad answers
        False alarms     4 % (1–20 %) of 25 good answers
        Cohen's kappa    0.82 (0.58 to 1.00)
        Coverage         95 % (1 abstention, 1 error)
        Also             92 % (95 % interval 82–97 %) on 58 labelled traces, cross-validated (mean of several rounds)
        Labels           64 👍 · 33 👎 · 3 😐
        Candidates       43 tried
        ");
    }

    #[test]
    fn few_labels_read_as_few() {
        insta::assert_snapshot!(text(&few()), @"
        (no criterion)

        Agreement        91 % (95 % interval 71–98 %) on 20 labelled traces, cross-validated (mean of several rounds)
        Majority guess   74 %
        People's own     undefined: no trace has two people's thumbs, or all thumbs are the same (annotators unknown)
        Failures caught  5 more 👎 needed (5 so far)
        False alarms     0 % (0–22 %) of 14 good answers
        Cohen's kappa    0.75 (0.00 to 1.00)
        Coverage         95 % (1 abstention, 0 errors)
        Also             100 % (95 % interval 34–100 %) on 2 freshly labelled traces
        Labels           20 👍 · 0 👎 · 0 😐
        Candidates       43 tried

        Provisional: there are only 20 labels, so every figure may still move a lot.
        Low confidence: it may agree with people no better than always guessing the larger class, which would be right on 74 %.
        Cross-validated: each label is judged by evals made without it, because there are too few labels to keep some back.
        ");
    }

    #[test]
    fn a_hostile_criterion_cannot_steer_the_terminal() {
        let mut report = few();
        report.criterion = Some("\u{1b}[2Jgone\r".to_owned());
        assert!(text(&report).starts_with("[2Jgone\n"));
    }
}
