//! Predicates that somebody else wrote: the search chooses and combines them like measures of its own.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::columns::Column;
use super::emit::emit;
use super::measure::{Condition, RuleList};
use super::python::literal;
use super::spoken::{Spoken, flag};
use super::text::pattern;
use crate::domain::Class;

/// A question about a trace that has been answered for every label: one Python function with what it says in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// The function's name, in snake case. One that the rules' own Python uses is taken: the predicate is then left out.
    pub name: String,
    /// What it asks, with "a good answer" as subject: "names its source".
    pub clause: String,
    /// Imports and one function, `def name(trace):`, that returns `True` where the clause holds; nothing else.
    pub source: String,
    /// What it says of each label, in order; `None` where it gave no answer.
    pub values: Vec<Option<bool>>,
}

static NAME: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z][a-z0-9_]*$"));
static IDENTIFIER: LazyLock<Regex> = LazyLock::new(|| pattern("[A-Za-z_][A-Za-z0-9_]*"));
static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r#""[^"\n]*"|'[^'\n]*'"#));

impl Predicate {
    /// Why it can't be part of an eval; `None` where it can.
    pub fn fault(&self) -> Option<String> {
        if !NAME.is_match(&self.name) {
            return Some(format!("“{}” is no name in snake case", self.name));
        }
        if self.clause.trim().is_empty() {
            return Some("it does not say in words what it asks".to_owned());
        }
        let head = format!("def {}(trace", self.name);
        let (_, function) = self.parts();
        let mut outer = function.iter().filter(|line| is_outer(line));
        if !outer.next().is_some_and(|line| line.starts_with(&head)) {
            return Some(format!("it must be the function `{head})` and its imports"));
        }
        outer.next().map(|line| {
            format!("beside imports it must be one function, and has the line `{line}` too")
        })
    }

    /// The lines that import, and the others.
    fn parts(&self) -> (Vec<String>, Vec<&str>) {
        let imports = |line: &&str| line.starts_with("import ") || line.starts_with("from ");
        let (imports, others): (Vec<&str>, Vec<&str>) = self.source.lines().partition(imports);
        let imports = imports
            .into_iter()
            .map(|line| line.trim_end().to_owned())
            .collect();
        (imports, others)
    }

    /// Its imports, a line each.
    pub(super) fn imports(&self) -> Vec<String> {
        self.parts().0
    }

    /// How it reads in Python and in words.
    pub(super) fn spoken(&self) -> Spoken {
        let (yes, no) = (
            self.clause.as_str(),
            format!("is not one that {}", self.clause),
        );
        let value = flag(
            [
                &format!("{}(trace)", self.name),
                &format!("not {}(trace)", self.name),
            ],
            [
                &literal(&format!("it {yes}")),
                &literal(&format!("it {no}")),
            ],
            [yes, &no],
        );
        let (_, function) = self.parts();
        Spoken {
            functions: vec![function.join("\n").trim().to_owned()],
            ..Spoken::new(value)
        }
    }
}

/// A line that stands outside any function, and says something.
fn is_outer(line: &str) -> bool {
    line.starts_with(|first: char| !first.is_whitespace() && first != '#')
}

/// The predicates without a fault, the first of each name.
pub fn sound(predicates: &[Predicate]) -> Vec<&Predicate> {
    let mut named = BTreeSet::new();
    predicates
        .iter()
        .filter(|predicate| predicate.fault().is_none() && named.insert(&predicate.name))
        .collect()
}

/// Those that can stand in one eval with any of `columns`.
pub fn usable<'p, 'c>(
    mut predicates: Vec<&'p Predicate>,
    columns: impl Iterator<Item = &'c Column>,
) -> Vec<&'p Predicate> {
    if predicates.is_empty() {
        return predicates;
    }
    let mut taken = BTreeSet::from(["evaluate".to_owned()]);
    for column in columns {
        let (source, _) = emit(&alone(column));
        let names = QUOTED.replace_all(source.as_str(), "");
        taken.extend(
            IDENTIFIER
                .find_iter(&names)
                .map(|name| name.as_str().to_owned()),
        );
    }
    predicates.retain(|predicate| !taken.contains(&predicate.name));
    predicates
}

/// The column's measure as an eval.
fn alone(column: &Column) -> RuleList {
    RuleList {
        conditions: vec![Condition {
            measure: column.measure.clone(),
            at_least: true,
            cut: column.cuts[0],
        }],
        when_met: Class::Pass,
    }
}
