use sha2::{Digest, Sha256};

use crate::domain::{EvalId, LabelledTrace};

/// With fewer labelled traces that are not neutral, rules learn from all and are judged by cross-validation.
pub const CROSS_VALIDATE_BELOW: usize = 60;
/// The share of groups that may shape an eval.
const DEVELOPMENT_SHARE: f64 = 0.6;

/// Labels that may shape an eval, and labels that may only judge it.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// May shape the eval.
    pub development: Vec<LabelledTrace>,
    /// May only judge it.
    pub held_out: Vec<LabelledTrace>,
}

/// Splits 60 to 40 by a hash of group and eval, so that a group never straddles and later labels of a group fall on its
/// side (`docs/design.md`, section 4).
pub fn split(labels: Vec<LabelledTrace>, eval: &EvalId) -> Split {
    let (development, held_out) = labels
        .into_iter()
        .partition(|label| is_development(&label.group, eval));
    Split {
        development,
        held_out,
    }
}

/// Whether labels of this group may shape the eval.
pub fn is_development(group: &str, eval: &EvalId) -> bool {
    let digest = Sha256::digest(format!("{}\n{group}", eval.as_str()));
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(head) as f64) < DEVELOPMENT_SHARE * u64::MAX as f64
}
