use super::{Spoken, number};
use crate::generate::rules::helpers::Helper;
use crate::generate::rules::reading::REPEATED_RUN;

pub fn repeated_sentences() -> Spoken {
    let clause = |amount: &str| format!("has {amount} repeated sentences");
    let reason = "f\"it repeats {len(repeats)} sentences\"";
    let quoting = "f\"it repeats “{', '.join(repeats):.60}”\"";
    Spoken {
        imports: vec!["collections"],
        helpers: vec![Helper::Sentences, Helper::Repeated],
        setup: vec!["repeats = repeated(sentences(trace[\"output_text\"]))".to_owned()],
        ..Spoken::new(
            number("len(repeats)", "REPEATED_SENTENCES", reason, clause).saying(0, quoting),
        )
    }
}

pub fn repetition() -> Spoken {
    let clause = |amount: &str| format!("repeats {amount} of its runs of {REPEATED_RUN} words");
    let reason = "f\"{share:.0%} of it repeats earlier words\"";
    let quoting = "f\"{share:.0%} of it repeats earlier words: “{again:.60}”\"";
    Spoken {
        imports: vec!["collections"],
        helpers: vec![Helper::Words, Helper::Runs, Helper::Repeated],
        constants: vec![format!("RUN_WORDS = {REPEATED_RUN}")],
        setup: vec![
            "said = runs(words(trace[\"output_text\"]), RUN_WORDS)".to_owned(),
            "share = (len(said) - len(set(said))) / max(1, len(said))".to_owned(),
            "again = \", \".join(repeated(said))".to_owned(),
        ],
        ..Spoken::new(number("share", "REPETITION", reason, clause).saying(0, quoting))
    }
}
