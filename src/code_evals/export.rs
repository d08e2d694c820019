//! An eval of ours as a code evaluator of Langfuse's.

use std::sync::LazyLock;

use regex::Regex;

use super::contract::SOURCE_BYTES;
use crate::domain::EvalSource;

/// Stands behind the eval: builds its `trace` from `ctx`.
const ADAPTER: &str = include_str!("for_langfuse.py");
/// What no export sees.
const UNSEEN: &str = "In Langfuse it sees one observation: no session, no other observations, and none of the \
    trace's own name, tags, user, times and costs.";

/// The same of an eval that reads `metadata`.
const METADATA: &str = "It reads `metadata`, which there is the observation's own and not the trace's: set those fields on the \
    observation, or it judges without them.";

/// Python of Langfuse's contract, and its name there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The name of the evaluator and of its score.
    pub name: String,
    /// What it judges, and what it can't see.
    pub description: String,
    /// The eval unchanged, and behind it `evaluate(ctx)`.
    pub source: String,
    /// What a person must know before they rely on it.
    pub unseen: String,
}

/// Why an eval can't run there; each says so to its owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It imports `iofold`.
    #[error(
        "the eval asks `judge`, and Langfuse's code evaluators reach no LLM; deploy it in iofold, which writes its scores \
         to Langfuse"
    )]
    Judge,
    /// It reads this key of the trace, which is in no single observation.
    #[error(
        "the eval reads `trace[\"{0}\"]`, and Langfuse's code evaluators see one observation and nothing else of its trace; \
         deploy it in iofold, which writes its scores to Langfuse"
    )]
    Unseen(String),
    /// There is nothing to call.
    #[error("the eval defines no function evaluate(trace)")]
    NoEvaluate,
    /// Longer than Langfuse takes.
    #[error(
        "with what Langfuse needs beside it the eval is longer than the 256 KiB that Langfuse takes"
    )]
    TooLong,
    /// The score would have no config, or break out of its quotes.
    #[error("a name has 1 to 25 letters, digits, spaces and the characters _ . ( ) -")]
    Name,
}

/// The eval as Langfuse runs it, as an evaluator of this name: 25 characters, so that the score of its abstentions
/// has a config too. The same eval and name give the same bytes.
///
/// # Errors
/// See [`ExportError`].
pub fn export(eval: &EvalSource, name: &str) -> Result<Exported, ExportError> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| of(r"\A[A-Za-z0-9_.() -]{1,25}\z"));
    static JUDGE: LazyLock<Regex> =
        LazyLock::new(|| of(r"(?m)^[^#\n]*\b(?:from|import)\s+iofold\b"));
    static EVALUATE: LazyLock<Regex> =
        LazyLock::new(|| of(r"(?m)^(?:def\s+evaluate\s*\(|evaluate\s*=)"));
    let text = eval.as_str();
    if !NAME.is_match(name) {
        return Err(ExportError::Name);
    }
    if JUDGE.is_match(text) {
        return Err(ExportError::Judge);
    }
    if let Some(key) = unseen(eval) {
        return Err(ExportError::Unseen(key));
    }
    if !EVALUATE.is_match(text) {
        return Err(ExportError::NoEvaluate);
    }
    let source = format!("{text}{}", ADAPTER.replace("$NAME", name));
    if source.len() > SOURCE_BYTES {
        return Err(ExportError::TooLong);
    }
    let criterion = eval.criterion();
    let criterion = criterion
        .map(|criterion| format!("{criterion} "))
        .unwrap_or_default();
    let unseen = match text.contains("metadata") {
        true => format!("{UNSEEN} {METADATA}"),
        false => UNSEEN.to_owned(),
    };
    Ok(Exported {
        name: name.to_owned(),
        description: format!("{criterion}Exported by iofold. {unseen}"),
        source,
        unseen,
    })
}

/// What it reads that is in no single observation; the calls of tools that an observation asks for are.
fn unseen(eval: &EvalSource) -> Option<String> {
    static OWN: LazyLock<Regex> = LazyLock::new(|| {
        of(
            r#"\btrace\s*(?:\[|\.get\()\s*["'](id|name|session_id|user_id|timestamp|tags|latency_ms|total_cost)["']"#,
        )
    });
    let own = || OWN.captures(eval.as_str()).map(|found| found[1].to_owned());
    match (eval.reads_session(), eval.reads_observations()) {
        (true, _) => Some("session".to_owned()),
        (_, true) => Some("observations".to_owned()),
        _ => own(),
    }
}

fn of(expression: &str) -> Regex {
    Regex::new(expression).expect("the expression is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVAL: &str = "\"\"\"Says blue.\"\"\"\ndef evaluate(trace):\n    return True\n";

    #[test]
    fn the_eval_stands_unchanged_in_front() {
        let exported = export(&EvalSource::new(EVAL), "says blue").expect("it can");
        assert!(exported.source.starts_with(EVAL));
        assert!(exported.source.contains("_IOFOLD_NAME = \"says blue\""));
        assert!(
            exported
                .description
                .starts_with("Says blue. Exported by iofold.")
        );
        assert!(exported.description.contains("no session"));
    }

    #[test]
    fn what_can_not_run_there_is_refused_with_the_reason() {
        let with = |line: &str| format!("{line}\n{EVAL}");
        let reads = |what: &str, key: &str| {
            let source = format!("{EVAL}    {what}\n");
            (source, "n", ExportError::Unseen(key.to_owned()))
        };
        let long = with(&format!("# {}", "x".repeat(SOURCE_BYTES)));
        for (source, name, error) in [
            (with("from iofold import judge"), "n", ExportError::Judge),
            (with("if True: import  iofold"), "n", ExportError::Judge),
            reads("trace[\"session\"]", "session"),
            reads("trace[\"observations\"][0]", "observations"),
            reads("trace.get('observations')", "observations"),
            reads("trace[\"tags\"]", "tags"),
            reads("trace.get( 'latency_ms' )", "latency_ms"),
            reads("trace[ \"name\" ]", "name"),
            ("x = 1".to_owned(), "n", ExportError::NoEvaluate),
            (long, "n", ExportError::TooLong),
            (EVAL.to_owned(), "", ExportError::Name),
            (EVAL.to_owned(), "a\"b", ExportError::Name),
            (EVAL.to_owned(), "a\n", ExportError::Name),
        ] {
            assert_eq!(export(&EvalSource::new(source), name), Err(error));
        }
        for line in [
            "# not: from iofold import judge",
            "names = lambda trace: [call[\"name\"] for call in trace[\"tool_calls\"]]",
            "order = lambda trace: trace[\"metadata\"].get(\"id\")",
        ] {
            assert!(export(&EvalSource::new(with(line)), "n").is_ok(), "{line}");
        }
    }
}
