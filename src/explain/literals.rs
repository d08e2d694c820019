use crate::domain::EvalSource;
use crate::sandbox::Sandbox;

/// The program that reads the eval's source, itself an eval.
const READER: &str = include_str!("literals.py");

/// Texts that the eval's source holds, and what its patterns match: what a changed trace may have to say. None where
/// it can't be read. Blocks; nothing of the eval runs.
pub fn literals(sandbox: &Sandbox, source: &EvalSource) -> Vec<String> {
    let literal = serde_json::to_string(source.as_str()).expect("a text is JSON");
    let read = sandbox.evaluate(&format!("{READER}\n\nread({literal})\n"), "{}");
    serde_json::from_str(read.printed.trim()).unwrap_or_default()
}
