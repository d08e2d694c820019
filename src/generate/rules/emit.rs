//! Writes a rule list as the Python that a colleague would have written.

use std::collections::BTreeSet;

use regex::escape;

use super::fragment::{Fragment, fragment};
use super::helpers::Helper;
use super::measure::RuleList;
use super::python::return_pair;
use super::search::opposite;
use super::text::pattern;
use crate::domain::{Class, Criterion, EvalSource};

/// Characters of a criterion; the rest is cut.
const CRITERION_CHARS: usize = 300;

/// The eval's source, and its criterion in plain words.
pub fn emit(rules: &RuleList) -> (EvalSource, Criterion) {
    let fragments: Vec<Fragment> = rules
        .conditions
        .iter()
        .map(|condition| fragment(condition, rules.when_met))
        .collect();
    let criterion = criterion(&fragments, rules.when_met);
    let functions = functions(&fragments, evaluate(&fragments, rules.when_met));
    let functions = functions.join("\n\n\n");
    let mut parts = vec![format!("\"\"\"{criterion}\"\"\"")];
    parts.extend(section(imports(&fragments, &functions), "\n"));
    parts.extend(section(constants(&fragments), "\n"));
    let source = format!("{}\n\n\n{functions}\n", parts.join("\n\n"));
    (EvalSource::new(source), criterion)
}

fn section(lines: Vec<String>, separator: &str) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join(separator))
}

fn criterion(fragments: &[Fragment], when_met: Class) -> Criterion {
    let (clause, joint) = match when_met {
        Class::Fail => (1, " and "),
        Class::Pass => (0, " or "),
    };
    let clauses: Vec<&str> = fragments
        .iter()
        .map(|fragment| fragment.clauses[clause].as_str())
        .collect();
    prose(&format!("A good answer {}.", clauses.join(joint)))
}

/// Text that may stand in a docstring: nothing in it can end one.
fn prose(text: &str) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || " .,;:%'“”_-()/$€#".contains(c) {
            c
        } else {
            '?'
        }
    };
    text.chars().take(CRITERION_CHARS).map(safe).collect()
}

/// All helpers that the fragments need, in the order of their definition.
fn helpers(fragments: &[Fragment]) -> BTreeSet<Helper> {
    let mut all = BTreeSet::new();
    let mut open: Vec<Helper> = fragments
        .iter()
        .flat_map(|fragment| fragment.helpers.clone())
        .collect();
    while let Some(helper) = open.pop() {
        if all.insert(helper) {
            open.extend(helper.needs());
        }
    }
    all
}

/// The imports, without modules that `functions` and the constants do not use.
fn imports(fragments: &[Fragment], functions: &str) -> Vec<String> {
    let mut all: BTreeSet<String> = fragments
        .iter()
        .flat_map(|fragment| fragment.imports.clone())
        .collect();
    if helpers(fragments).into_iter().any(Helper::uses_re) {
        all.insert("import re".to_owned());
    }
    let constants = constants(fragments).join("\n");
    let is_used = |import: &String| {
        let module = import.strip_prefix("import ");
        module.is_none_or(|module| {
            [functions, &constants]
                .iter()
                .any(|text| names(text, module))
        })
    };
    all.into_iter().filter(is_used).collect()
}

/// Whether the Python uses a name.
fn names(text: &str, name: &str) -> bool {
    pattern(&format!(r"\b{}\b", escape(name))).is_match(text)
}

fn constants(fragments: &[Fragment]) -> Vec<String> {
    let own = fragments
        .iter()
        .flat_map(|fragment| fragment.constants.clone());
    let shared = helpers(fragments)
        .into_iter()
        .filter(|helper| helper.is_constant());
    distinct(own.chain(shared.map(Helper::source)))
}

/// All functions, `evaluate` last, without helpers that none of those after it calls.
fn functions(fragments: &[Fragment], evaluate: String) -> Vec<String> {
    let own = fragments
        .iter()
        .flat_map(|fragment| fragment.functions.clone());
    let mut all = distinct(own);
    all.push(evaluate);
    let shared = helpers(fragments)
        .into_iter()
        .filter(|helper| !helper.is_constant());
    for source in shared.rev().map(Helper::source) {
        let name = source.trim_start_matches("def ").split('(').next();
        let name = name.expect("a split has a first part");
        if all.iter().any(|later| names(later, name)) {
            all.insert(0, source);
        }
    }
    all
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

fn evaluate(fragments: &[Fragment], when_met: Class) -> String {
    let mut lines = vec!["def evaluate(trace):".to_owned()];
    for fragment in fragments {
        let said = if fragments.len() == 1 { 2 } else { 1 };
        lines.extend(setup(fragment, &fragment.reasons[..said]));
        if let Some((test, reason)) = &fragment.undefined {
            lines.push(format!("    if {test}:"));
            lines.push(return_pair(8, "None", reason));
        }
        lines.push(format!("    if {}:", fragment.test));
        lines.push(return_pair(8, python(when_met), &fragment.reasons[0]));
    }
    lines.push(return_pair(
        4,
        python(opposite(when_met)),
        &otherwise(fragments, when_met),
    ));
    lines.join("\n")
}

/// The lines before the test, without those that only a reason that is not said needs.
fn setup(fragment: &Fragment, reasons: &[String]) -> Vec<String> {
    let is_needed = |at: usize| {
        let line = &fragment.setup[at];
        let name = line.split(" = ").next().unwrap_or(line);
        let later = fragment.setup[at + 1..].iter();
        let mut texts = later.chain(reasons).chain([&fragment.test]);
        name.contains(", ") || texts.any(|text| text.contains(name))
    };
    let needed = (0..fragment.setup.len()).filter(|at| is_needed(*at));
    needed
        .map(|at| format!("    {}", fragment.setup[at]))
        .collect()
}

fn python(class: Class) -> &'static str {
    match class {
        Class::Pass => "True",
        Class::Fail => "False",
    }
}

/// Why the verdict is what it is where no condition holds.
fn otherwise(fragments: &[Fragment], when_met: Class) -> String {
    match (fragments, when_met) {
        ([only], _) => only.reasons[1].clone(),
        (_, Class::Fail) => "\"nothing is wrong with it\"".to_owned(),
        (_, Class::Pass) => "\"nothing speaks for it\"".to_owned(),
    }
}
