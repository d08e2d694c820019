use std::time::Duration;

use crate::domain::head;
use crate::label::CARDS_PER_HOUR;

/// Commands as they are typed, and what they do.
pub const HELP: [(&str, &str, &str); 10] = [
    (
        "status",
        "status",
        "how far the loop is, and what needs a person",
    ),
    (
        "label",
        "label",
        "one trace after another, for quick thumbs",
    ),
    (
        "generate",
        "generate",
        "make an eval from the labels there are",
    ),
    (
        "report",
        "report [NAME]",
        "the newest report again, or the newest of one eval",
    ),
    ("evals", "evals", "the evals, with their figures"),
    ("pause", "pause [2h]", "no new cards for a while"),
    ("resume", "resume", "new cards again"),
    (
        "budget",
        "budget [30]",
        "what cards and the LLM may take; with a number, cards an hour",
    ),
    (
        "here",
        "here",
        "ask in this channel from now on, where the channel is not set by who runs iofold",
    ),
    ("help", "help", "this list"),
];

/// What people can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Help,
    /// Asking in the channel where it is typed.
    Here,
    Status,
    Label,
    Generate,
    /// The newest report, or the newest of an eval of this name.
    Report(Option<String>),
    Evals,
    /// For a while, or until somebody resumes.
    Pause(Option<Duration>),
    Resume,
    /// What is set, or cards an hour to set.
    Budget(Option<i64>),
}

/// What was typed is nothing that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No command, and the one that is nearest to it.
    Unknown {
        typed: String,
        nearest: Option<&'static str>,
    },
    /// A command with something that it does not take; a sentence says what it does.
    Argument(String),
}

/// Nobody types a longer command, and what is longer is no near miss.
const WORD_MAX: usize = 40;
/// Letters that may be wrong in a command.
const NEAR: usize = 2;
/// A pause that is forgotten ends.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 24 * 3_600);
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);

/// Reads what was typed after `/iofold`, in any case, with any spaces and with whatever a message adds around words.
///
/// # Errors
/// Nothing that works.
pub fn read(text: &str) -> Result<Ask, Wrong> {
    let mut words = text
        .split_whitespace()
        .map(bare)
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return Ok(Ask::Help);
    };
    let rest: Vec<&str> = words.collect();
    let command = head(first, WORD_MAX).to_lowercase();
    match command.as_str() {
        "help" => Ok(Ask::Help),
        "here" => Ok(Ask::Here),
        "status" => Ok(Ask::Status),
        "label" => Ok(Ask::Label),
        "generate" => Ok(Ask::Generate),
        "evals" => Ok(Ask::Evals),
        "resume" => Ok(Ask::Resume),
        "report" => Ok(Ask::Report(
            Some(rest.join(" ")).filter(|name| !name.is_empty()),
        )),
        "pause" => pause(&rest),
        "budget" => budget(&rest),
        _ => Err(Wrong::Unknown {
            nearest: nearest(&command),
            typed: command,
        }),
    }
}

/// A word without quotes, asterisks, slashes and what else is no letter or digit at its ends.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// The command that a word begins, or that differs least from it; `None` where none is near.
fn nearest(word: &str) -> Option<&'static str> {
    let names = HELP.iter().map(|(name, ..)| *name);
    let begun = names
        .clone()
        .find(|name| word.len() > 1 && name.starts_with(word));
    let distance = |name: &str| strsim::damerau_levenshtein(name, word);
    let near = names.map(|name| (distance(name), name)).min()?;
    let is_near = near.0 <= NEAR && near.0 < word.chars().count();
    begun.or(is_near.then_some(near.1))
}

fn pause(rest: &[&str]) -> Result<Ask, Wrong> {
    let rest = rest.strip_prefix(&["for"]).unwrap_or(rest);
    if rest.is_empty() {
        return Ok(Ask::Pause(None));
    }
    let lasts = duration(&rest.concat().to_lowercase());
    let lasts = lasts.filter(|lasts| (SHORTEST_PAUSE..=LONGEST_PAUSE).contains(lasts));
    let advice = "Say how long, from a minute to 30 days: `/iofold pause 30m`, `2h` or `1d`. Without it, cards are paused \
        until somebody types `/iofold resume`.";
    let wrong = || Wrong::Argument(advice.to_owned());
    lasts.map(|lasts| Ask::Pause(Some(lasts))).ok_or_else(wrong)
}

/// "2h", "30min", "1day".
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 24 * 3_600,
        "w" | "week" | "weeks" => 7 * 24 * 3_600,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

fn budget(rest: &[&str]) -> Result<Ask, Wrong> {
    let Some(number) = rest.first() else {
        return Ok(Ask::Budget(None));
    };
    let cards = number
        .parse()
        .ok()
        .filter(|cards| CARDS_PER_HOUR.contains(cards));
    let (least, most) = (CARDS_PER_HOUR.start(), CARDS_PER_HOUR.end());
    let advice = format!("Cards an hour are a number from {least} to {most}: `/iofold budget 30`.");
    let wrong = || Wrong::Argument(advice);
    cards
        .map(|cards| Ask::Budget(Some(cards)))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_read_in_any_case_and_dress() {
        let minutes = |count: u64| Some(Duration::from_secs(60 * count));
        for (text, expected) in [
            ("", Ask::Help),
            ("  \u{3000}\n", Ask::Help),
            ("HELP", Ask::Help),
            ("++help++", Ask::Help),
            (" \u{a0}*Status*  please", Ask::Status),
            ("“label”", Ask::Label),
            ("`generate`", Ask::Generate),
            ("/evals", Ask::Evals),
            ("\u{200b}report\u{200b}", Ask::Report(None)),
            (
                "report Good  Answer",
                Ask::Report(Some("Good Answer".to_owned())),
            ),
            ("pause", Ask::Pause(None)),
            ("pause 30m", Ask::Pause(minutes(30))),
            ("Pause for 2 Hours", Ask::Pause(minutes(120))),
            ("pause 30 days", Ask::Pause(minutes(30 * 24 * 60))),
            ("resume", Ask::Resume),
            ("budget", Ask::Budget(None)),
            ("budget 1000", Ask::Budget(Some(1_000))),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_near_miss_names_the_command_that_was_meant() {
        for (text, expected) in [
            ("statsu", Some("status")),
            ("stats", Some("status")),
            ("gen", Some("generate")),
            ("evalss", Some("evals")),
            ("lable", Some("label")),
            ("dance", None),
            ("x", None),
            ("帮助", None),
            ("<!channel>", None),
        ] {
            let Err(Wrong::Unknown { nearest, .. }) = read(text) else {
                panic!("{text} is no command");
            };
            assert_eq!(nearest, expected, "{text}");
        }
    }

    #[test]
    fn what_a_command_does_not_take_is_answered_with_what_it_does() {
        for text in [
            "pause tomorrow",
            "pause 0m",
            "pause 31d",
            "pause 99999999999999999999h",
            "pause 18446744073709551615w",
            "pause 2",
            "pause ２h",
            "budget 0",
            "budget 1001",
            "budget many",
            "budget 99999999999999999999",
        ] {
            assert!(matches!(read(text), Err(Wrong::Argument(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_read_or_refused(text in "\\PC{0,200}") {
            if let Err(Wrong::Unknown { typed, .. }) = read(&text) {
                prop_assert!(typed.chars().count() <= 3 * WORD_MAX);
            }
        }
    }
}
