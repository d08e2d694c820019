//! Constraints that a request states in the usual words, and answers can be counted by.

mod table;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use self::table::{Constraint, LISTED, NUMBER, QUOTED, ROWS, Usual};
use super::python::list;
use super::reading::Reading;
use super::spoken::{Spoken, Value, flag};
use super::text::{NUMBER_WORDS, pattern, strip};
use crate::domain::Trace;

/// So many fit on a page beside the code that reads them.
const MAX_ROWS: usize = 14;
/// Requests that state so many kinds of constraints will state others too.
const VARIED: usize = 6;

/// Which constraints are looked at: places in the table, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen(Vec<usize>);

impl Chosen {
    /// Those that the most requests state; where requests vary, filled up with the commonest others.
    ///
    /// `None` where no request states any.
    pub fn by_requests(readings: &[Reading<'_>]) -> Option<Self> {
        let mut stated = vec![0usize; ROWS.len()];
        for reading in readings {
            let request = request(reading.trace);
            for (count, row) in stated.iter_mut().zip(COMPILED.iter()) {
                *count += usize::from(row.ask.is_match(&request));
            }
        }
        let seen = stated.iter().filter(|count| **count > 0).count();
        let mut rows: Vec<usize> = (0..ROWS.len()).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(stated[*row]));
        rows.truncate(if seen < VARIED { seen } else { MAX_ROWS });
        rows.sort_unstable();
        (!rows.is_empty()).then_some(Self(rows))
    }

    /// Whether its Python leaves no room for another condition's.
    pub fn fills_a_page(&self) -> bool {
        self.0.iter().any(|row| !ROWS[*row].is_plain())
    }

    /// Whether the answer follows those that the request states; one that states none is followed.
    pub fn followed(&self, trace: &Trace) -> bool {
        let request = request(trace);
        let answer = strip(&trace.output_text);
        let rows = self.0.iter().map(|row| &COMPILED[*row]);
        rows.into_iter()
            .all(|row| row.is_followed(&request, answer))
    }

    /// How the measure reads in Python and in words.
    pub fn spoken(&self) -> Spoken {
        let rows: Vec<&Constraint> = self.0.iter().map(|row| &ROWS[*row]).collect();
        let (constants, functions) = if self.fills_a_page() {
            counted(&rows)
        } else {
            alone(&rows)
        };
        Spoken {
            imports: vec!["re"],
            constants,
            functions,
            setup: vec![
                "breach = broken(trace[\"input_text\"].lower(), trace[\"output_text\"].strip())"
                    .to_owned(),
            ],
            ..Spoken::new(value())
        }
    }
}

/// "20 to 30 sentences" states two limits.
static RANGE: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!("{NUMBER}(?: to | or |-){NUMBER}( [a-z]+)")));

/// The request in lower case, with each range as two limits.
fn request(trace: &Trace) -> String {
    let lower = trace.input_text.to_lowercase();
    let limits = "at least ${1}${3} and at most ${2}${3}";
    RANGE.replace_all(&lower, limits).into_owned()
}

struct Compiled {
    usual: Usual,
    ask: Regex,
    counted: &'static str,
    /// Where `counted` needs no words of the request.
    fixed: Option<Regex>,
}

static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let compiled = |row: &Constraint| Compiled {
        usual: row.usual,
        ask: python_pattern(&row.ask.replace("LIMIT", &limit()).replace("LISTED", LISTED)),
        counted: row.counted,
        fixed: (!row.counted.contains("SAID")).then(|| python_pattern(row.counted)),
    };
    ROWS.iter().map(compiled).collect()
});

static QUOTED_PART: LazyLock<Regex> = LazyLock::new(|| python_pattern(QUOTED));

/// Python's `\Z` is this crate's `\z`.
fn python_pattern(text: &str) -> Regex {
    pattern(&text.replace(r"\Z", r"\z"))
}

fn limit() -> String {
    table::LIMIT.replace("{NUMBER}", NUMBER)
}

impl Compiled {
    fn is_followed(&self, request: &str, answer: &str) -> bool {
        self.ask.captures_iter(request).all(|stated| {
            let limit = stated
                .name("limit")
                .map_or(self.usual.limit(), |limit| limit.as_str());
            phrases(&stated)
                .iter()
                .all(|said| allows(limit, self.count(said, answer)))
        })
    }

    fn count(&self, said: &str, answer: &str) -> usize {
        let regex = match &self.fixed {
            Some(fixed) => Cow::Borrowed(fixed),
            None => Cow::Owned(python_pattern(
                &self.counted.replace("SAID", &any_case(said)),
            )),
        };
        regex.find_iter(answer).count()
    }
}

/// Python's `(?i:…)` takes the dotted and the dotless i for one letter, this crate does not.
fn any_case(said: &str) -> String {
    regex::escape(said).replace(['i', 'İ', 'ı'], "[iİı]")
}

/// The words of the request that the answer is searched for; one that is empty where it needs none.
fn phrases<'r>(stated: &Captures<'r>) -> Vec<&'r str> {
    let listed = stated.name("listed").map_or("", |listed| listed.as_str());
    let quoted: Vec<&str> = QUOTED_PART
        .captures_iter(listed)
        .filter_map(|found| found.get(1))
        .map(|part| part.as_str())
        .collect();
    if quoted.is_empty() {
        return vec![stated.name("said").map_or("", |said| said.as_str())];
    }
    quoted
}

static NUMBER_PART: LazyLock<Regex> = LazyLock::new(|| pattern(NUMBER));
static MOST: LazyLock<Regex> = LazyLock::new(|| pattern(AT_MOST));

const AT_MOST: &str = "most|no more|less|fewer";

/// Whether a limit such as "no more than five" allows a count.
fn allows(limit: &str, count: usize) -> bool {
    let word = NUMBER_PART.find(limit).map_or("", |number| number.as_str());
    let named = NUMBER_WORDS.split(' ').position(|number| number == word);
    let number = named.or_else(|| word.parse().ok()).unwrap_or(0);
    if MOST.is_match(limit) {
        let below = limit.starts_with("less") || limit.starts_with("fewer");
        count + usize::from(below) <= number
    } else if limit.contains("exactly") {
        count == number
    } else {
        count >= number + usize::from(limit.starts_with("more"))
    }
}

fn value() -> Value {
    flag(
        ["not breach", "breach"],
        [
            "\"it follows what the request asks for\"",
            "f\"it does not follow {breach}\"",
        ],
        [
            "follows the constraints that its request states",
            "does not follow the constraints that its request states",
        ],
    )
}

const BROKEN_ALONE: &str = r#"def broken(request, answer):
    """The first constraint that the request states and the answer breaks, or None."""
    for wanted, ask, pattern in CONSTRAINTS:
        stated = re.search(ask, request)
        if stated and bool(re.search(pattern, answer)) != wanted:
            return f"“{stated[0].strip()}”"
    return None"#;

/// Constraints that name neither words nor numbers.
fn alone(rows: &[&Constraint]) -> (Vec<String>, Vec<String>) {
    let comment = "# Whether it is wanted, how a request says so, and what it looks like.";
    let wanted = |row: &Constraint| match row.usual {
        Usual::Some => "True",
        Usual::None | Usual::Stated => "False",
    };
    let constants = vec![comment.to_owned(), table(rows, wanted)];
    (constants, vec![BROKEN_ALONE.to_owned()])
}

const ALLOWS: &str = r#"def allows(limit, count):
    """Whether a limit such as "no more than five" allows a count."""
    word = re.search(NUMBER, limit)[0]
    number = int(word) if word.isdecimal() else WORDS.split("|").index(word)
    if re.search("AT_MOST", limit):
        return count <= number - limit.startswith(("less", "fewer"))
    if "exactly" in limit:
        return count == number
    return count >= number + limit.startswith("more")"#;

const BROKEN: &str = r#"def broken(request, answer):
    """The first constraint that the request states and the answer breaks, or None."""
    request = re.sub(RANGE, r"at least \1\3 and at most \2\3", request)
    for usual, ask, counted in CONSTRAINTS:
        ask = ask.replace("LIMIT", LIMIT).replace("LISTED", LISTED)
        for stated in re.finditer(ask, request):
            named = {"limit": usual, "said": "", **stated.groupdict()}
            for said in re.findall(QUOTED, named.get("listed", "")) or [named["said"]]:
                wanted = counted.replace("SAID", re.escape(said))
                count = len(re.findall(wanted, answer))
                if not allows(named["limit"], count):
                    return f"“{stated[0][-80:].strip()}” ({count} found)"
    return None"#;

/// Constraints of all kinds.
fn counted(rows: &[&Constraint]) -> (Vec<String>, Vec<String>) {
    let comment =
        "# The usual limit, how a request asks for it, and what is counted in the answer.";
    let usual = |row: &Constraint| match row.usual {
        Usual::None => "\"exactly zero\"",
        Usual::Some => "\"at least one\"",
        Usual::Stated => "None",
    };
    let constants = vec![
        format!("WORDS = \"{}\"", NUMBER_WORDS.replace(' ', "|")),
        "NUMBER = \"([0-9]{1,6}|\" + WORDS + \")\"".to_owned(),
        format!("LIMIT = f\"{}\"", table::LIMIT),
        "RANGE = f\"{NUMBER}(?: to | or |-){NUMBER}( [a-z]+)\"".to_owned(),
        format!("QUOTED = r\"{QUOTED}\""),
        format!("LISTED = r\"{LISTED}\""),
        comment.to_owned(),
        table(rows, usual),
    ];
    let allows = ALLOWS.replace("AT_MOST", AT_MOST);
    (constants, vec![allows, BROKEN.to_owned()])
}

/// A constraint a line, however long: a pattern reads best in one piece.
fn table(rows: &[&Constraint], first: impl Fn(&Constraint) -> &'static str) -> String {
    let line =
        |row: &&Constraint| format!("({}, r\"{}\", r\"{}\")", first(row), row.ask, row.counted);
    let lines: Vec<String> = rows.iter().map(line).collect();
    format!("{}  # fmt: skip", list("CONSTRAINTS", &lines))
}
