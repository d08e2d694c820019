//! How the constraints that an eval checks read in Python and in words.

use super::super::python::literal;
use super::super::spoken::{Spoken, Value, flag};
use super::check::{NO_KEYS, QUOTES, SPELLINGS};
use super::table::{Family, KINDS, MAX_STATED, NUMBERS, TOKENS};
use super::{Asked, Kinds};

/// What a check of these constraints says.
pub fn spoken(asked: Asked) -> Spoken {
    Spoken {
        imports: vec!["re"],
        constants: constants(asked.kinds),
        functions: vec![limits(), breaches()],
        setup: vec![
            "breach = next(breaches(trace[\"input_text\"], trace[\"output_text\"]), None)"
                .to_owned(),
        ],
        ..Spoken::new(value(asked.family))
    }
}

fn value(family: Option<Family>) -> Value {
    let (what, verbs) = match family {
        None => (
            "the constraints that its request states".to_owned(),
            ["follows", "does not follow"],
        ),
        Some(family) => (
            format!("what its request asks of {}", family.subject()),
            ["does", "does not do"],
        ),
    };
    flag(
        ["breach is None", "breach is not None"],
        ["\"it follows what the request asks for\"", "breach"],
        verbs
            .map(|verb| format!("{verb} {what}"))
            .each_ref()
            .map(String::as_str),
    )
}

fn constants(kinds: Kinds) -> Vec<String> {
    let mut all = vec![format!("NUMBERS = re.split(\" \", \"{NUMBERS}\")")];
    all.extend(
        TOKENS
            .iter()
            .map(|(name, meaning)| format!("{name} = {}", written(meaning))),
    );
    let no_keys: Vec<String> = NO_KEYS.iter().map(|word| literal(word)).collect();
    all.push(format!("NO_KEYS = [{}]", no_keys.join(", ")));
    all.push(table(kinds));
    all
}

fn table(kinds: Kinds) -> String {
    let rows: String = kinds
        .indices()
        .flat_map(|index| KINDS[index].asks.iter().map(move |ask| row(index, ask)))
        .collect();
    format!(
        "CONSTRAINTS = [  # how many (N: as it says), how it is asked, what is counted\n{rows}]"
    )
}

/// One way to ask for a kind, as a line of the table.
pub fn row(index: usize, ask: &str) -> String {
    let kind = &KINDS[index];
    let counted = written(kind.counted);
    format!("    (\"{}\", {}, {counted}),\n", kind.usual, written(ask))
}

/// A pattern as a raw literal, with the tokens as fields of an f-string.
fn written(text: &str) -> String {
    let tokens = || TOKENS.iter().map(|(name, _)| *name).chain(["SPELT"]);
    let is_plain = !tokens().any(|token| text.contains(token));
    let text = if is_plain {
        text.to_owned()
    } else {
        fields(text)
    };
    let prefix = if is_plain { "r" } else { "rf" };
    let quotes = match (text.contains('"'), text.contains('\'')) {
        (false, _) => "\"",
        (true, false) => "'",
        (true, true) => "\"\"\"",
    };
    format!("{prefix}{quotes}{text}{quotes}")
}

fn limits() -> String {
    let replaced =
        SPELLINGS.map(|(from, to)| format!(".replace({}, {})", literal(from), literal(to)));
    LIMITS.replace("SPELLINGS", &replaced.concat())
}

/// The text of an f-string, with a field for each token.
fn fields(text: &str) -> String {
    let doubled = text.replace('{', "{{").replace('}', "}}");
    let named = TOKENS.iter().fold(doubled, |text, (name, _)| {
        text.replace(name, &format!("{{{name}}}"))
    });
    named.replace("SPELT", "{'|'.join(NUMBERS)}")
}

fn breaches() -> String {
    BREACHES
        .replace("MAX_STATED", &MAX_STATED.to_string())
        .replace("QUOTES", &format!("\"{}\"", QUOTES.replace('"', "\\\"")))
}

const LIMITS: &str = r#"def limits(said):
    """The least and the most that "at least 3", "less than five" or "2 to 4" allow."""
    said = saidSPELLINGS
    said = re.search(MANY, said, re.ASCII)[0]
    said = re.sub("not? less", "least", re.sub("not? more", "most", said))
    ends = [int(n) if n.isdigit() else NUMBERS.index(n) for n in re.findall(NUM, said)]
    low = 0 if re.search("most|less|max|up", said) else ends[0] + ("more than" in said)
    unlimited = re.search(r"least|more|min|\+", said)
    return low, float("inf") if unlimited else ends[-1] - ("less than" in said)"#;

const BREACHES: &str = r#"def breaches(request, answer):
    """What the request asks for and the answer does not have."""
    for usual, ask, counted in CONSTRAINTS:
        for stated in list(re.finditer(ask, request.lower(), re.ASCII))[:MAX_STATED]:
            low, high = limits(stated[0] if usual == "N" else usual)
            for key in re.findall(WORD, stated.groupdict().get("words", "")) or [""]:
                pattern = counted.replace("KEY", re.escape(key.strip(QUOTES)))
                seen = re.findall(pattern, answer.lower() if key else answer, re.ASCII)
                if not (low <= len(seen) <= high or key in NO_KEYS):
                    yield f'asks for "{stated[0][-80:]}", has {len(seen)} {key}'.strip()"#;
