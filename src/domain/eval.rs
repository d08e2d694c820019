use super::sha256_hex;

/// The question an eval answers, in words: the docstring of its source.
pub type Criterion = String;

/// One immutable source text of an eval: a Python module that defines `evaluate(trace)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalSource(String);

impl EvalSource {
    /// Takes the source as it stands; whether it runs is for the sandbox to say.
    pub fn new(source: impl Into<String>) -> Self {
        Self(source.into())
    }

    /// The Python text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the text, in hex.
    pub fn hash(&self) -> String {
        sha256_hex(&self.0)
    }

    /// Whether it looks at `trace["session"]`: then it judges a session up to the trace, and is given all of it.
    pub fn reads_session(&self) -> bool {
        self.names_key("session")
    }

    /// Whether it looks at `trace["observations"]`: the steps of the trace, such as what was retrieved.
    pub fn reads_observations(&self) -> bool {
        self.names_key("observations")
    }

    fn names_key(&self, key: &str) -> bool {
        [format!("\"{key}\""), format!("'{key}'")]
            .iter()
            .any(|quoted| self.0.contains(quoted))
    }

    /// The first line of the module's docstring; `None` where the module does not open with one.
    pub fn criterion(&self) -> Option<Criterion> {
        let body = self.0.trim_start();
        let quote = ["\"\"\"", "'''"]
            .into_iter()
            .find(|q| body.starts_with(q))?;
        let text = body[quote.len()..].split(quote).next()?;
        let line = text.trim().lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eval_of_sessions_is_known_by_the_key_that_it_reads() {
        for (source, expected) in [
            ("trace[\"session\"]", true),
            ("trace.get('session', [])", true),
            ("trace[\"session_id\"]", false),
            ("\"\"\"Judges a session.\"\"\"", false),
        ] {
            assert_eq!(
                EvalSource::new(source).reads_session(),
                expected,
                "{source}"
            );
        }
    }

    #[test]
    fn the_criterion_is_the_docstrings_first_line() {
        for (source, expected) in [
            ("\"\"\"Cites a source.\"\"\"\n", Some("Cites a source.")),
            ("\n'''\nShort.\n\nMore.'''", Some("Short.")),
            ("import re\n\"\"\"late\"\"\"", None),
            ("\"\"\"\"\"\"", None),
        ] {
            assert_eq!(EvalSource::new(source).criterion().as_deref(), expected);
        }
    }
}
