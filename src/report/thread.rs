use serde_json::Value;

use super::explained::Quoted;
use super::making;
use super::refinements::Fallen;
use super::words::{self, counted};
use crate::domain::{EvalSource, Thumb, TraceId, Verdict, one_line};
use crate::llm::Usage;
use crate::slack::family::{self, Mark};
use crate::slack::{Message, SECTION_MAX, context, cut, escape, preformatted, section};
use crate::stats::wilson;

/// Slack refuses a message whose blocks hold too much text together; four sections' worth passes.
const PIECES_A_MESSAGE: usize = 4;
/// A longer source is cut, with a note.
const CODE_MESSAGES_MAX: usize = 4;
/// More would not be read.
pub const MISSES_SHOWN: usize = 10;
const QUESTION_MAX: usize = 160;
const REASON_MAX: usize = 240;
const EVAL_MAX: usize = 80;
const COMMENT_MAX: usize = 160;
const KEPT_MAX: usize = 1_000;
/// A longer address is left out rather than cut.
const URL_MAX: usize = 400;

/// The Python in as many messages as it takes, in order.
pub fn code_messages(source: &EvalSource) -> Vec<Message> {
    let pieces = pieces(source.as_str(), SECTION_MAX);
    let messages = pieces.chunks(PIECES_A_MESSAGE).take(CODE_MESSAGES_MAX);
    let mut messages: Vec<Message> = messages.map(code_message).collect();
    let left = pieces
        .len()
        .saturating_sub(PIECES_A_MESSAGE * CODE_MESSAGES_MAX);
    if let (Some(last), true) = (messages.last_mut(), left > 0) {
        let characters: usize = pieces[pieces.len() - left..]
            .iter()
            .map(|p| p.chars().count())
            .sum();
        let note = format!(
            "… and {} more, too long for Slack",
            counted(characters as f64, "character")
        );
        last.blocks.push(context(&note));
    }
    messages
}

fn code_message(pieces: &[String]) -> Message {
    Message {
        text: "The eval's Python".to_owned(),
        blocks: pieces.iter().map(|piece| preformatted(piece)).collect(),
        metadata: None,
    }
}

/// The text in pieces of at most `max` characters that end at line ends where they can; never empty.
fn pieces(text: &str, max: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut room = max;
    for line in text.split_inclusive('\n') {
        let length = line.chars().count();
        if length > room && length <= max {
            pieces.push(String::new());
            room = max;
        }
        for character in line.chars() {
            if room == 0 {
                pieces.push(String::new());
                room = max;
            }
            pieces
                .last_mut()
                .expect("there is a first piece")
                .push(character);
            room -= 1;
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    if pieces.is_empty() {
        pieces.push("# (empty)".to_owned());
    }
    pieces
}

/// A trace and where to look at it.
pub struct Link {
    pub trace: TraceId,
    /// What a person asked; hostile text.
    pub question: String,
    /// The trace's page in Langfuse.
    pub langfuse: Option<String>,
    /// The trace's card in Slack.
    pub slack: Option<String>,
}

impl Link {
    fn shown(&self) -> String {
        let question = match one_line(&self.question) {
            empty if empty.is_empty() => {
                format!("trace {}", cut(&one_line(self.trace.as_str()), 60))
            }
            question => cut(&question, QUESTION_MAX),
        };
        let places = [("Langfuse", &self.langfuse), ("card", &self.slack)];
        let links = places
            .into_iter()
            .filter_map(|(name, url)| link(url.as_deref()?, name));
        [escape(&question)]
            .into_iter()
            .chain(links)
            .collect::<Vec<_>>()
            .join(" · ")
    }
}

/// `None` for an address too long to show whole.
fn link(url: &str, name: &str) -> Option<String> {
    let url = escape(url).replace('|', "%7C");
    (url.chars().count() <= URL_MAX).then(|| format!("<{url}|{name}>"))
}

/// A labelled trace on which the version and people differ.
pub struct Miss {
    pub link: Link,
    pub label: Thumb,
    pub verdict: Verdict,
    /// The eval's; hostile text.
    pub reason: String,
    /// A person's reason for the thumb; hostile text.
    pub comment: Option<String>,
    /// Whether the label took part in making the version.
    pub seen: bool,
    /// Why the eval says so; `None` where that can't be told.
    pub explained: Option<Quoted>,
}

/// The first of the `wrong` traces among `judged` labelled ones with a verdict.
pub fn misses_message(shown: &[Miss], wrong: usize, judged: usize) -> Message {
    let traces = counted(judged as f64, "labelled trace");
    let title = match wrong {
        0 => format!("It agrees with people on all of {traces}, those used to make it included."),
        wrong => format!("*It gets {wrong} of {traces} wrong*, those used to make it included."),
    };
    let mut blocks = vec![section(&title)];
    for one in shown {
        blocks.push(miss(one));
        blocks.extend(one.explained.as_ref().map(Quoted::block));
    }
    if wrong > shown.len() {
        blocks.push(context(&format!("… and {} more", wrong - shown.len())));
    }
    Message {
        text: title.replace('*', ""),
        blocks,
        metadata: None,
    }
}

fn miss(miss: &Miss) -> Value {
    let mut lines = vec![miss.link.shown()];
    let reason = match one_line(&miss.reason) {
        empty if empty.is_empty() => String::new(),
        reason => format!(": {}", escape(&cut(&reason, REASON_MAX))),
    };
    let people = miss.label.emoji();
    lines.push(format!(
        "People {people}, the eval *{}*{reason}",
        miss.verdict.as_str()
    ));
    if let Some(comment) = &miss.comment {
        let comment = escape(&cut(&one_line(comment), COMMENT_MAX));
        lines.push(format!("A person's reason: {comment}"));
    }
    if miss.seen {
        lines.push("_used to make this version_".to_owned());
    }
    section(&lines.join("\n"))
}

/// Which traces to label next, and why those: `(how many, why)`; the next version waits for so many labels.
pub fn refine_message(links: &[Link], reasons: &[(usize, &str)], waits: usize) -> Message {
    let (title, said) = match links.len() {
        0 => (
            "Every trace is labelled already".to_owned(),
            "New traces bring new cards.",
        ),
        n => (
            format!("Labels on {} would help most", counted(n as f64, "trace")),
            "",
        ),
    };
    let mut blocks = vec![family::head(Mark::Asked, &title, &[said])];
    if !links.is_empty() {
        let lines: Vec<String> = links
            .iter()
            .map(|link| format!("• {}", link.shown()))
            .collect();
        // One block a few lines: a section that is cut could cut a link.
        blocks.extend(lines.chunks(2).map(|lines| section(&lines.join("\n"))));
        let why = reasons.iter().filter(|(n, _)| *n > 0);
        let why: Vec<String> = why.map(|(n, why)| format!("{n} {why}")).collect();
        let when = "cards that are not in the channel yet are posted next";
        blocks.push(context(&format!("{} · {when}", why.join(" · "))));
    }
    let next = match waits {
        0 => "The next version is being made now, from the labels and comments there are.",
        _ => "The next version is made once so many more traces are labelled.",
    };
    blocks.extend(family::footer(&[next.to_owned()]));
    Message {
        text: family::notification(Mark::Asked, &title, &[said]),
        blocks,
        metadata: None,
    }
}

/// A deployed version agrees with people less often than its report said.
pub fn fallen_message(fallen: &Fallen) -> Message {
    let (agreed, judged) = (fallen.agreed as f64, fallen.judged as f64);
    let share = Some(agreed / judged).filter(|_| judged > 0.0);
    let interval = wilson(agreed, judged).map_or_else(String::new, |interval| {
        format!(" (95 % interval {})", words::percents(interval))
    });
    let agrees = format!(
        "It agrees with people on {}{interval} of {}; its report said at least {}.",
        words::percent(share),
        counted(judged, "freshly labelled trace"),
        words::percent(Some(fallen.promised)),
    );
    let next =
        "A refinement is being made; it will be offered if it does better on the same labels.";
    let head = "The deployed eval's figures fell";
    family::message(Mark::Trouble, head, &[&agrees, next], &[])
}

/// A refinement made no version, whatever an LLM took for it.
pub fn kept_message(reason: &str, took: Option<&Usage>) -> Message {
    let reason = escape(&cut(&one_line(reason), KEPT_MAX));
    let took = took.filter(|usage| usage.calls > 0).map(making::cost);
    let footer: Vec<String> = took.into_iter().collect();
    family::message(Mark::Kept, "The eval stays as it is", &[&reason], &footer)
}

/// A deployed eval's verdict on a trace that people contradict, in the card's thread.
pub fn contradiction_message(
    eval: &str,
    (label, verdict): (Thumb, Verdict),
    reason: &str,
) -> Message {
    let eval = escape(&cut(&one_line(eval), EVAL_MAX));
    let reason = match one_line(reason) {
        empty if empty.is_empty() => "It gives no reason.".to_owned(),
        reason => format!("Its reason: {}", escape(&cut(&reason, REASON_MAX))),
    };
    let head = format!(
        "{} by people, but {eval} says {}",
        label.emoji(),
        verdict.as_str()
    );
    let next = "A reply of whoever labelled it becomes their label's reason, and the next version learns from it.";
    family::message(Mark::Differ, &head, &[&reason, next], &[])
}

/// People differ on a trace, in its card's thread.
pub fn conflict_message(up: i64, down: i64) -> Message {
    let head = match up + down {
        2 => "Two see it differently".to_owned(),
        _ => format!("People see it differently: 👍 {up} · 👎 {down}"),
    };
    let next = "What decides? A reply here becomes part of your label.";
    family::message(Mark::Differ, &head, &[next], &[])
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
