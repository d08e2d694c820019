//! The constraints and how requests word them.

/// One kind of constraint.
pub struct Constraint {
    pub usual: Usual,
    /// How a request in lower case says so. `LIMIT` stands for a limit with its number, `LISTED` for quoted words;
    /// the group `said` holds what `SAID` stands for in `counted`.
    pub ask: &'static str,
    /// What is counted in the answer.
    pub counted: &'static str,
}

impl Constraint {
    /// Whether it names neither words nor numbers.
    pub fn is_plain(&self) -> bool {
        let named = ["LIMIT", "LISTED", "(?P<said>"];
        !named.iter().any(|name| self.ask.contains(name))
    }
}

/// How often it may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// Not at all.
    None,
    /// At least once.
    Some,
    /// As often as the request says.
    Stated,
}

impl Usual {
    /// The limit as a request would word it.
    pub fn limit(self) -> &'static str {
        match self {
            Self::None => "exactly zero",
            Self::Some | Self::Stated => "at least one",
        }
    }
}

/// A number in digits or as a word; the words are those of `text::NUMBER_WORDS`.
pub const NUMBER: &str =
    "([0-9]{1,6}|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)";
/// A limit with its number.
pub const LIMIT: &str = "(?P<limit>(?:at (?:least|most)|exactly|(?:no )?more than|(?:less|fewer) than) {NUMBER}|\
     {NUMBER}(?:[+]| or (?:more|less|fewer)))";
/// One of some quoted words.
pub const QUOTED: &str = r#"[\"“'‘]([^\n\"“”]+?)[\"”'’](?:[^a-z]|\Z)"#;
/// Quoted words.
pub const LISTED: &str =
    r#"(?P<listed>[\"“'‘][^\n\"“”]+?[\"”'’](?:(?:,? and|,? or|,) [\"“'‘][^\n\"“”]+?[\"”'’])*)"#;

macro_rules! constraints {
    ($($usual:ident $ask:literal => $counted:literal),* $(,)?) => {
        &[$(Constraint { usual: Usual::$usual, ask: $ask, counted: $counted }),*]
    };
}

/// All constraints, the commonest first.
///
/// Patterns mean the same to Python and to this crate; `\Z` is Python's. Gaps are bounded, so that a hostile request
/// takes no time to speak of. Where in doubt, an ask is not understood: then nothing is broken.
pub static ROWS: &[Constraint] = constraints![
    Stated r"LIMIT words?(?:[^a-z]+|\Z| in your| long)" => r"[a-zA-Z0-9]+",
    Stated r"LIMIT sentences?" => r"[.!?]+[^a-zA-Z0-9]",
    None r"(?:no|any|without|use|using|of) commas?|(?:avoid|not)[a-z ]{0,20} commas?|commas are not" => r",",
    None r#"(?:n['’]t|not|without|avoid|exclude|excluding|refrain from)(?: [a-z]+){0,6}:? LISTED"#
        => r"(?:\A|[^a-zA-Z])(?i:SAID)(?:[^a-zA-Z]|\Z)",
    Some r#"(?:\A|[.!?,:\n]|must|should|also|please|to|and|that|sure) ?(?:include|use|contain|mention)(?: [a-z]+){0,3} (?:words?|keywords?|phrases?):? LISTED"#
        => r"(?i:SAID)",
    Some r#"\A(?P<said>(?s:.+?[.!?\"”>]))[ \n]+[^.!?\n]{0,60}repeat [^.\n]{0,40}(?:above|word for word| line)"#
        => r"\A(?i:SAID)",
    Some r"(?:entire|whole|your)[^.\n]{0,60} (?:double quot|quotation mark)|double quot[^.\n]{0,60}(?:entire|whole)"
        => r#"(?s)\A[\"“].*[\"”]\Z"#,
    None r"lower ?case|(?:no|any|without) capital letters" => r"[A-Z]",
    None r"(?:english|response|answer|reply|rap|song|poem|sentence|use|[^s] be)(?: be|,)*(?: and| in| only)* (?:all )?capital letters|only capital|answer in all caps|letters [a-z ]{0,40}capitalized"
        => r"[a-z]",
    Some r"double angular brackets|<<" => r"<<[^>\n]+>>",
    Stated r"(?:highlight|italicize) LIMIT" => r"\*[^*\n]+\*",
    Stated r#"(?:word|letter|keyword) [\"“'‘]?(?P<said>[a-z]+)[^a-z\n][^.\n]{0,60}?LIMIT times?"# => r"(?i:SAID)",
    None r#"(?:n['’]t|not|without)(?: [a-z]+){0,5} letter [\"“'‘]?(?P<said>[a-z])[^a-z]"# => r"(?i:SAID)",
    Stated r"LIMIT placeholders?" => r"\[[^\]\n]+\]",
    Stated r"LIMIT bullet" => r"(?m)^[ \t]*[-*•] ",
    Stated r"LIMIT (?:[a-z]+ ){0,2}(?:paragraph|section|part)s?(?s:.*)\*\*\*" => r"(?s).+?(?:\*{3}|\Z)",
    Stated r"LIMIT paragraphs?(?:\Z|[^\n]{0,80}(?:two new|double|blank))" => r"(?s).+?(?:\n\n+|\Z)",
    Some r"(?:with|by|add) [^\n]{0,60}(?P<said>p\.(?:p\.)?s)" => r"(?i:SAID)",
    Some r"(?:entire|whole|your|output|answer)[^.\n]{0,60} json|json format|valid json"
        => r"(?s)\A(?:```[a-zA-Z]*\n)?[\[{].*[\]}]",
    Some r#"(?:end|finish|conclude|last sentence)[^\n\"“”.]{0,60}(?:with|by|be|read)(?: [a-z]+){0,3}:? [\"“](?P<said>[a-z0-9][^\n\"“”]+)"#
        => r"(?i:SAID)[^a-zA-Z0-9]*\Z",
    None r"(?:arabic|bengali|bulgarian|chinese|gujarati|hindi|japanese|kannada|korean|marathi|persian|punjabi|russian|tamil|telugu|thai|urdu)[^\n]{0,60}(?:no other|only)"
        => r"(?:[A-Za-z']+ ){5}",
    Some r"6 asterisk|\*{6}" => r"\*{6}",
    Stated r"words[a-z ]{0,20} capital[^.\n]{0,40}?LIMIT times?" => r"[A-Z]+(?:[^A-Za-z]|\Z)",
    Stated r"LIMIT (?:such )?(?:words[a-z ]{0,20} capital|capitalized words)" => r"[A-Z]+(?:[^A-Za-z]|\Z)",
    Stated r"LIMIT (?:[a-z]+ ){0,2}sections?[^\n]{0,60}section x" => r"[sS](?:ection|ECTION) [0-9ivxIVX]+",
    Some r#"paragraph[a-z0-9 ]{0,20} start with(?: the)?(?: word)? [\"“]?(?P<said>[a-z]+)"#
        => r"(?:\A|\n\n)[^a-zA-Z]*(?i:SAID)",
    Some r#"(?:response|answer|reply)[a-z ]{0,20} (?:start|begin) with [\"“](?P<said>[a-z0-9][^\n\"“”]+)"#
        => r"\A[^a-zA-Z]*(?i:SAID)",
    Stated r"LIMIT hashtags?" => r"#[A-Za-z]",
];
