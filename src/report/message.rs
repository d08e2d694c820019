use chrono::DateTime;
use serde_json::{Value, json};

use super::decision::Decision;
use super::explained;
use super::figures::{Figures, Report, Source};
use super::picture::alt_text;
use super::store::{NotYet, State, Version};
use super::{making, words};
use crate::domain::one_line;
use crate::generate::{Maker, attempt_after};
use crate::slack::family::{self, Mark};
use crate::slack::{Message, actions, button, context, cut, escape, header, section};

/// Slack's limit for an image's `alt_text`, in characters (docs.slack.dev, "image block").
const ALT_MAX: usize = 2_000;
const NOTIFICATION_MAX: usize = 300;
const REASON_MAX: usize = 1_000;
/// Rows that an LLM or a person has written, of any number.
const IN_WORDS: [&str; 2] = ["People judge by", "Changed"];
/// What a note of [`words::notes`] may begin with.
const NOTE_HEADS: [&str; 4] = ["Provisional", "Low confidence", "Cross-validated", "Chosen"];

/// What a report's message shows.
pub struct ReportView<'a> {
    pub report: &'a Report,
    pub version: &'a Version,
    /// The uploaded picture's file id; `None` where it could not be uploaded.
    pub picture: Option<&'a str>,
}

/// The report: criterion, figures, notes, the confusion table, and the buttons or what was decided.
pub fn report_message(view: &ReportView<'_>) -> Message {
    let report = view.report;
    let criterion = match one_line(report.criterion.as_deref().unwrap_or_default()) {
        empty if empty.is_empty() => "An eval without a criterion".to_owned(),
        criterion => criterion,
    };
    let mut blocks = vec![header(&criterion)];
    match report.quoted() {
        Some((source, figures)) => blocks.extend(quoted(report, source, figures)),
        None => blocks.push(section("*Agreement with people*: undefined")),
    }
    blocks.extend(how_made(report).iter().map(|said| section(said)));
    blocks.extend((!report.notes.is_empty()).then(|| section(&notes(&report.notes))));
    if let Some((source, figures)) = report.quoted() {
        blocks.extend(
            view.picture
                .map(|file| image(file, &alt_text(source, figures))),
        );
    }
    blocks.push(context(&footer(report)));
    blocks.push(match view.version.state {
        State::Proposed => actions("report", &buttons(view.version.id.as_str())),
        _ => context(&decided(view.version)),
    });
    let text = format!("A new eval to decide about: {}", escape(&criterion));
    Message {
        text: cut(&text, NOTIFICATION_MAX),
        blocks,
        metadata: None,
    }
}

fn quoted(report: &Report, source: Source, figures: &Figures) -> Vec<Value> {
    let against = format!(
        "*Agreement with people*: {}\n*Majority guess*: {}\n*People's own agreement*: {}",
        words::agreement(source, figures),
        words::percent(figures.majority),
        words::people(report),
    );
    let by_class = format!(
        "*Failures caught*: {}\n*False alarms*: {}\n*Coverage*: {}\n*Cohen's kappa*: {}",
        words::failures_caught(figures),
        words::false_alarms(figures),
        words::coverage(figures),
        words::kappa(figures),
    );
    vec![section(&against), section(&by_class)]
}

/// What an LLM's part was, and what became of the version before: first the figures, then what is said in words, which may
/// be long enough to be cut.
fn how_made(report: &Report) -> Vec<String> {
    let Some(making) = &report.making else {
        return Vec::new();
    };
    let had_a_part = making.generator == Maker::Llm || making.usage.calls > 0;
    if !had_a_part && making.descent.is_none() {
        return Vec::new();
    }
    let (said, figures): (Vec<_>, Vec<_>) = making::rows(report)
        .into_iter()
        .partition(|(name, _)| IN_WORDS.contains(name));
    let row = |(name, value): (&str, String)| format!("*{name}*: {}", escape(&value));
    let rows = [figures, said].map(|rows| rows.into_iter().map(row).collect::<Vec<_>>());
    let shown = rows.into_iter().filter(|rows| !rows.is_empty());
    shown.map(|rows| rows.join("\n")).collect()
}

fn notes(notes: &[String]) -> String {
    let bold = |note: &String| match note.split_once(": ") {
        Some((head, rest)) if NOTE_HEADS.contains(&head) => format!("*{head}*: {}", escape(rest)),
        _ => escape(note),
    };
    notes.iter().map(bold).collect::<Vec<_>>().join("\n")
}

fn image(file: &str, alt: &str) -> Value {
    json!({"type": "image", "slack_file": {"id": file}, "alt_text": cut(alt, ALT_MAX)})
}

fn footer(report: &Report) -> String {
    let mut parts = vec![words::labels(report)];
    if let Some(tried) = report.candidates_tried {
        parts.push(format!(
            "the best of {}",
            words::counted(tried as f64, "candidate")
        ));
    }
    if let Some(generator) = &report.generator {
        let made_by = match generator.as_str() {
            "llm" => "an LLM",
            "person" => "a person",
            other => other,
        };
        parts.push(format!("made by {}", escape(&cut(made_by, 80))));
    }
    let others = report.others();
    parts.extend(
        others.map(|(source, figures)| format!("also {}", words::agreement(source, figures))),
    );
    let score = explained::mutation_score(report);
    parts.extend(score.map(|score| format!("mutation score {score}")));
    parts.push("positive is fail".to_owned());
    parts.join(" · ")
}

fn buttons(version: &str) -> Vec<Value> {
    let says = [
        (
            Decision::Deploy,
            "Deploy",
            "Deploy: score every new trace with this eval",
        ),
        (
            Decision::Refine,
            "Refine",
            "Refine: make a better one from labels where they help most",
        ),
        (Decision::Discard, "Discard", "Discard this eval"),
    ];
    let shown = says.map(|(decision, text, label)| button(decision.action(), text, label, version));
    let [mut deploy, refine, discard] = shown;
    deploy["style"] = json!("primary");
    vec![deploy, refine, discard]
}

/// "Deployed by @Ann, 3 May 2026 at 10:00 UTC. …"
fn decided(version: &Version) -> String {
    let by = version
        .decided_by
        .as_deref()
        .map_or_else(|| "somebody".to_owned(), mention);
    let at = version
        .decided_at_ms
        .and_then(DateTime::from_timestamp_millis);
    let at = at.map_or_else(String::new, |at| {
        at.format(", %-d %B %Y at %H:%M UTC").to_string()
    });
    match version.state {
        State::Proposed => String::new(),
        State::Deployed => format!("✅ Deployed by {by}{at}. Every new trace is scored."),
        State::Discarded => format!("🗑️ Discarded by {by}{at}."),
        State::Retired => {
            format!("Deployed by {by}{at}, and retired since: another version took its place.")
        }
    }
}

/// Names a person where the id is Slack's; anything else stays text.
fn mention(user: &str) -> String {
    let is_id = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    match user.starts_with(['U', 'W']) && user.len() <= 32 && user.chars().all(is_id) {
        true => format!("<@{user}>"),
        false => escape(&cut(user, 80)),
    }
}

/// Why there is no eval yet, and when the next attempt is.
pub fn not_yet_message(not_yet: &NotYet) -> Message {
    let labels = words::counted(not_yet.label_count as f64, "labelled trace");
    let tried = words::counted(not_yet.candidates_tried as f64, "candidate");
    let reason = escape(&cut(&one_line(&not_yet.reason), REASON_MAX));
    let next = format!(
        "The next attempt comes by itself at {} labelled traces.",
        attempt_after(not_yet.label_count)
    );
    let took = not_yet.usage.as_ref().filter(|usage| usage.calls > 0);
    let mut footer = vec![labels, format!("{tried} tried")];
    footer.extend(took.map(making::cost));
    let head = "No eval yet";
    family::message(Mark::Waiting, head, &[&reason, &next], &footer)
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(super) mod tests;
