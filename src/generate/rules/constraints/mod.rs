//! Constraints that a request states and its answer can be checked for.
//!
//! In goes a trace's request and answer; out comes which kinds the request states and which of them the answer breaks
//! (`table` has the kinds, `check` reads the request). An eval checks those that the traces it was learnt from state,
//! all or those of one family, and is written out by `python`. Both must agree on every trace.

mod check;
mod python;
mod table;

pub use check::{Checked, check};
pub use python::spoken;
pub use table::Family;
use table::KINDS;

/// A set of kinds of constraints, as a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

/// Constraints that an eval checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// All kinds are of this family; `None` where any may be.
    pub family: Option<Family>,
    pub kinds: Kinds,
}

/// Lines that the kinds may take in an eval, so that it fits on a page of 60.
const MAX_ROWS: usize = 12;

impl Kinds {
    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    fn has(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }

    fn indices(self) -> impl Iterator<Item = usize> {
        (0..KINDS.len()).filter(move |index| self.has(*index))
    }
}

impl Asked {
    /// All kinds of a family.
    #[cfg(test)]
    pub fn all_of(family: Family) -> Self {
        let mut kinds = Kinds::default();
        let of_family = (0..KINDS.len()).filter(|index| KINDS[*index].family == family);
        of_family.for_each(|index| kinds.insert(index));
        Self {
            family: Some(family),
            kinds,
        }
    }

    /// Whether an answer follows what is asked of it; where nothing is, it does.
    pub fn is_followed(self, checked: Checked) -> bool {
        checked.broken.0 & self.kinds.0 == 0
    }

    /// What some traces' requests state: all together, and each family alone.
    ///
    /// Of more kinds than fit into an eval those are taken that most answers break, then those that most requests state.
    pub fn of(traces: &[Checked]) -> Vec<Self> {
        let families = std::iter::once(None).chain(Family::ALL.map(Some));
        let mut all: Vec<Self> = Vec::new();
        for family in families {
            let kinds = foremost(traces, family);
            if kinds != Kinds::default() && all.iter().all(|known| known.kinds != kinds) {
                all.push(Self { family, kinds });
            }
        }
        all
    }
}

/// The kinds of a family that matter most to some traces.
fn foremost(traces: &[Checked], family: Option<Family>) -> Kinds {
    let count = |of: fn(&Checked) -> Kinds, index| {
        let having = traces.iter().filter(|checked| of(checked).has(index));
        having.count()
    };
    let mut ranked: Vec<(usize, usize, usize)> = (0..KINDS.len())
        .filter(|index| family.is_none_or(|family| KINDS[*index].family == family))
        .map(|index| {
            let broken = count(|checked| checked.broken, index);
            (broken, count(|checked| checked.stated, index), index)
        })
        .filter(|(_, stated, _)| *stated > 0)
        .collect();
    ranked
        .sort_by_key(|(broken, stated, index)| (usize::MAX - broken, usize::MAX - stated, *index));
    let (mut kinds, mut rows) = (Kinds::default(), 0);
    for (.., index) in ranked {
        let needed = KINDS[index].asks.len();
        if rows + needed <= MAX_ROWS {
            kinds.insert(index);
            rows += needed;
        }
    }
    kinds
}
