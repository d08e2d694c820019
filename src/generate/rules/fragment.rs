//! How one condition reads in Python and in words.

use super::helpers::Helper;
use super::measure::{Condition, Measure};
use super::python::assignment;
use super::spoken::{Value, spoken};
use crate::domain::Class;

/// One condition's part of an eval.
pub struct Fragment {
    /// Import statements.
    pub imports: Vec<String>,
    pub helpers: Vec<Helper>,
    /// Written above the functions.
    pub constants: Vec<String>,
    /// Functions of this measure alone.
    pub functions: Vec<String>,
    /// Lines of `evaluate`, before the test.
    pub setup: Vec<String>,
    /// When the eval abstains, and why; both Python expressions.
    pub undefined: Option<(&'static str, &'static str)>,
    /// True where the condition holds.
    pub test: String,
    /// Why, where it holds and where it does not; Python expressions.
    pub reasons: [String; 2],
    /// With "a good answer" as subject, where it holds and where it does not.
    pub clauses: [String; 2],
}

/// Writes a condition that, where it holds, says `when_met`.
pub fn fragment(condition: &Condition, when_met: Class) -> Fragment {
    let spoken = spoken(&condition.measure);
    let mut constants = spoken.constants;
    let (test, reasons, clauses) = match spoken.value {
        Value::Flag {
            tests,
            reasons,
            clauses,
        } => in_order(tests, reasons, clauses, condition.at_least),
        Value::Number {
            expression,
            subject,
            reasons,
            clause,
        } => {
            let bound = bound(condition, when_met, &subject);
            constants.push(assignment(&bound.constant, &bound.value));
            let test = format!("{expression} {} {}", bound.operator, bound.constant);
            let clauses =
                [true, false].map(|holds| clause(&amount(condition, holds == condition.at_least)));
            let [high, low] = reasons;
            let reasons = if condition.at_least {
                [high, low]
            } else {
                [low, high]
            };
            (test, reasons, clauses)
        }
    };
    Fragment {
        imports: imports(&spoken.imports, condition),
        helpers: spoken.helpers,
        constants,
        functions: spoken.functions,
        setup: spoken.setup,
        undefined: spoken.undefined,
        test,
        reasons,
        clauses,
    }
}

fn imports(modules: &[&str], condition: &Condition) -> Vec<String> {
    let mut all: Vec<_> = modules
        .iter()
        .map(|module| format!("import {module}"))
        .collect();
    if let Measure::Written(predicate) = &condition.measure {
        all.extend(predicate.imports());
    }
    all
}

fn in_order(
    [test, opposite]: [String; 2],
    reasons: [String; 2],
    clauses: [String; 2],
    as_they_are: bool,
) -> (String, [String; 2], [String; 2]) {
    let turned = |[a, b]: [String; 2]| [b, a];
    if as_they_are {
        (test, reasons, clauses)
    } else {
        (opposite, turned(reasons), turned(clauses))
    }
}

struct Bound {
    constant: String,
    value: String,
    operator: &'static str,
}

/// The constant that a condition compares with: what a good answer has at least, or at most.
fn bound(condition: &Condition, when_met: Class, subject: &str) -> Bound {
    let whole = condition.measure.counts();
    let (prefix, operator, less) = match (condition.at_least, when_met) {
        (true, Class::Pass) => ("MIN", ">=", false),
        (false, Class::Fail) => ("MIN", "<", false),
        (true, Class::Fail) if whole => ("MAX", ">", true),
        (false, Class::Pass) if whole => ("MAX", "<=", true),
        (true, Class::Fail) => ("TOO_HIGH", ">=", false),
        (false, Class::Pass) => ("TOO_HIGH", "<", false),
    };
    let cut = if less {
        condition.cut - 1.0
    } else {
        condition.cut
    };
    let value = if whole {
        format!("{cut:.0}")
    } else {
        format!("{cut:?}")
    };
    Bound {
        constant: format!("{prefix}_{subject}"),
        value,
        operator,
    }
}

/// "at least 3", "fewer than 3", "some", "no", "at least 70%", "100%", "less than 70%".
fn amount(condition: &Condition, at_least: bool) -> String {
    let cut = condition.cut;
    match (condition.measure.counts(), at_least) {
        (true, true) if cut <= 1.0 => "some".to_owned(),
        (true, false) if cut <= 1.0 => "no".to_owned(),
        (true, true) => format!("at least {cut:.0}"),
        (true, false) => format!("fewer than {cut:.0}"),
        (false, true) if cut >= 1.0 => "100%".to_owned(),
        (false, true) => format!("at least {:.0}%", cut * 100.0),
        (false, false) => format!("less than {:.0}%", cut * 100.0),
    }
}
