//! JSON as Python's `json.loads` reads it: it also takes `NaN`, the infinities and unpaired surrogates.
//!
//! Only the shape is kept: what kind of value, and of an object its fields' names and kinds.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::LazyLock;

use regex::Regex;

use super::text::{pattern, strip};

/// Lists and objects within each other: deeper ones are more than the sandbox's Python reads (measured there).
const MAX_DEPTH: usize = 598;

/// Python reads no longer integers.
const MAX_INTEGER_DIGITS: usize = 4300;

/// One surrounding code fence.
static FENCE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A```[A-Za-z]*\n((?s:.*))```\z"));

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Text,
    Number,
    Flag,
    List,
    Object,
    Null,
}

/// The shape of a JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// An object with its fields; the last of a name counts.
    Object(BTreeMap<String, Kind>),
    /// Anything else.
    Other(Kind),
}

impl Shape {
    fn kind(&self) -> Kind {
        match self {
            Self::Object(_) => Kind::Object,
            Self::Other(kind) => *kind,
        }
    }
}

/// Whether an answer is wrapped in one code fence.
pub fn is_fenced(answer: &str) -> bool {
    FENCE.is_match(strip(answer))
}

/// The shape of the JSON that an answer is, one surrounding code fence allowed; `None` where it is none.
pub fn shape_of_answer(answer: &str) -> Option<Shape> {
    let answer = strip(answer);
    let body = FENCE.captures(answer).and_then(|fenced| fenced.get(1));
    shape(body.map_or(answer, |body| body.as_str()))
}

/// The shape of a JSON text; `None` where it is none.
pub fn shape(text: &str) -> Option<Shape> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
    };
    let shape = reader.value(0)?;
    reader.skip_space();
    reader.rest.next().is_none().then_some(shape)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        while self
            .rest
            .next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))
            .is_some()
        {}
    }

    fn take(&mut self, expected: char) -> Option<()> {
        self.rest.next_if_eq(&expected).map(drop)
    }

    fn value(&mut self, depth: usize) -> Option<Shape> {
        self.skip_space();
        match self.rest.peek()? {
            '{' | '[' if depth == MAX_DEPTH => None,
            '{' => self.object(depth).map(Shape::Object),
            '[' => self.list(depth).map(|()| Shape::Other(Kind::List)),
            '"' => self.text().map(|_| Shape::Other(Kind::Text)),
            '-' | '0'..='9' => self.number().map(|()| Shape::Other(Kind::Number)),
            _ => self.word().map(Shape::Other),
        }
    }

    fn object(&mut self, depth: usize) -> Option<BTreeMap<String, Kind>> {
        self.take('{')?;
        let mut fields = BTreeMap::new();
        self.skip_space();
        if self.take('}').is_some() {
            return Some(fields);
        }
        loop {
            self.skip_space();
            let name = self.text()?;
            self.skip_space();
            self.take(':')?;
            fields.insert(name, self.value(depth + 1)?.kind());
            self.skip_space();
            if self.take(',').is_none() {
                return self.take('}').map(|()| fields);
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.take('[')?;
        self.skip_space();
        if self.take(']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            self.skip_space();
            if self.take(',').is_none() {
                return self.take(']');
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        self.take('"')?;
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                c if c < ' ' => return None,
                c => text.push(c),
            }
        }
    }

    /// The character of an escape; a unit of a surrogate pair reads as U+FFFD.
    fn escape(&mut self) -> Option<char> {
        Some(match self.rest.next()? {
            'u' => {
                let digits: String = (0..4)
                    .map_while(|_| self.rest.next_if(char::is_ascii_hexdigit))
                    .collect();
                let unit = (digits.len() == 4)
                    .then(|| u32::from_str_radix(&digits, 16).ok())
                    .flatten()?;
                char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            c @ ('"' | '\\' | '/') => c,
            _ => return None,
        })
    }

    fn number(&mut self) -> Option<()> {
        if self.take('-').is_some() && self.rest.peek() == Some(&'I') {
            return self.letters("Infinity");
        }
        let mut digits = 1;
        if self.take('0').is_none() {
            digits = self.digits()?;
        }
        let mut integer = true;
        if self.take('.').is_some() {
            self.digits()?;
            integer = false;
        }
        if self.rest.next_if(|c| matches!(c, 'e' | 'E')).is_some() {
            let _ = self.rest.next_if(|c| matches!(c, '+' | '-'));
            self.digits()?;
            integer = false;
        }
        (!integer || digits <= MAX_INTEGER_DIGITS).then_some(())
    }

    /// How many digits come; `None` for none.
    fn digits(&mut self) -> Option<usize> {
        let mut count = 0;
        while self.rest.next_if(char::is_ascii_digit).is_some() {
            count += 1;
        }
        (count > 0).then_some(count)
    }

    fn word(&mut self) -> Option<Kind> {
        let (word, kind) = match self.rest.peek()? {
            't' => ("true", Kind::Flag),
            'f' => ("false", Kind::Flag),
            'n' => ("null", Kind::Null),
            'N' => ("NaN", Kind::Number),
            'I' => ("Infinity", Kind::Number),
            _ => return None,
        };
        self.letters(word).map(|()| kind)
    }

    fn letters(&mut self, word: &str) -> Option<()> {
        word.chars().try_for_each(|letter| self.take(letter))
    }
}
