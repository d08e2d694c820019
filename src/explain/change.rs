//! The difference of two texts, in parts that can be taken back one by one.

use super::text::tokens;

/// Pairs of tokens that are compared at most; what differs in longer texts is one piece.
const PAIRS_MAX: usize = 1_000_000;

/// What one text became another by: words removed and words put in.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
struct Piece {
    kind: Kind,
    text: String,
}

/// What a token is. One that is taken back is shared again, or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shared,
    Removed,
    Inserted,
}

impl Change {
    /// From one text to the other, with as few tokens as it takes.
    pub fn between(from: &str, to: &str) -> Self {
        let (from, to) = (tokens(from), tokens(to));
        let start = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let (rest, other) = (&from[start..], &to[start..]);
        let ending = rest.iter().rev().zip(other.iter().rev());
        let ending = ending.take_while(|(a, b)| a == b).count();
        let (removed, shared) = rest.split_at(rest.len() - ending);
        let inserted = &other[..other.len() - ending];
        let mut pieces = Vec::new();
        pieces.extend(all(Kind::Shared, &[&from[..start].concat()]));
        pieces.extend(aligned(removed, inserted));
        pieces.extend(all(Kind::Shared, &[&shared.concat()]));
        Self { pieces }
    }

    /// Parts that it has left.
    pub fn len(&self) -> usize {
        let parts = self
            .pieces
            .iter()
            .filter(|piece| piece.kind != Kind::Shared);
        parts.count()
    }

    /// The text that it makes.
    pub fn text(&self) -> String {
        self.without_kind(Kind::Removed)
    }

    fn without_kind(&self, kind: Kind) -> String {
        let left = self.pieces.iter().filter(|piece| piece.kind != kind);
        left.map(|piece| piece.text.as_str()).collect()
    }

    /// The change without `size` neighbouring parts, for each such stretch; never the empty one.
    pub fn without_each(&self, size: usize) -> Vec<Self> {
        let parts = self.len();
        let starts = (0..parts).step_by(size.max(1));
        let smaller = starts.map(|start| self.without(start, start + size));
        smaller.filter(|change| change.len() > 0).collect()
    }

    fn without(&self, start: usize, end: usize) -> Self {
        let (mut pieces, mut part) = (Vec::new(), 0);
        for piece in &self.pieces {
            let is_taken_back = piece.kind != Kind::Shared && (start..end).contains(&part);
            part += usize::from(piece.kind != Kind::Shared);
            match (is_taken_back, piece.kind) {
                (true, Kind::Inserted) => {}
                (true, _) => pieces.push(Piece {
                    kind: Kind::Shared,
                    text: piece.text.clone(),
                }),
                (false, _) => pieces.push(piece.clone()),
            }
        }
        Self { pieces }
    }

    /// What is removed, and what is put in: stretches of neighbouring tokens.
    pub fn stretches(&self) -> (Vec<String>, Vec<String>) {
        let of = |kind| {
            let runs = self.pieces.chunk_by(|a, b| a.kind == b.kind);
            let runs = runs.filter(|run| run[0].kind == kind);
            let texts = runs.map(|run| run.iter().map(|piece| piece.text.as_str()).collect());
            texts.collect::<Vec<String>>()
        };
        (of(Kind::Removed), of(Kind::Inserted))
    }

    /// What stands before the first part, from there to the last one as it was and as it is, and what stands after.
    pub fn around(&self) -> [String; 4] {
        let is_part = |piece: &Piece| piece.kind != Kind::Shared;
        let first = self.pieces.iter().position(is_part).unwrap_or(0);
        let end = self.pieces.iter().rposition(is_part).map_or(0, |at| at + 1);
        let of = |pieces: &[Piece]| Self {
            pieces: pieces.to_vec(),
        };
        let middle = of(&self.pieces[first..end.max(first)]);
        [
            of(&self.pieces[..first]).text(),
            middle.without_kind(Kind::Inserted),
            middle.text(),
            of(&self.pieces[end.max(first)..]).text(),
        ]
    }
}

fn all(kind: Kind, tokens: &[&str]) -> impl Iterator<Item = Piece> {
    tokens.iter().map(move |token| Piece {
        kind,
        text: (*token).to_owned(),
    })
}

/// Two lists by their longest common subsequence.
fn aligned(from: &[&str], to: &[&str]) -> Vec<Piece> {
    if from.len().saturating_mul(to.len()) > PAIRS_MAX {
        return all(Kind::Removed, from)
            .chain(all(Kind::Inserted, to))
            .collect();
    }
    let longest = longest_common(from, to);
    let (mut pieces, mut a, mut b) = (Vec::new(), 0, 0);
    while a < from.len() || b < to.len() {
        let kind = match (from.get(a), to.get(b)) {
            (Some(one), Some(other)) if one == other => Kind::Shared,
            (Some(_), None) => Kind::Removed,
            (Some(_), Some(_)) if longest[a + 1][b] >= longest[a][b + 1] => Kind::Removed,
            _ => Kind::Inserted,
        };
        let token = if kind == Kind::Inserted {
            to[b]
        } else {
            from[a]
        };
        pieces.extend(all(kind, &[token]));
        a += usize::from(kind != Kind::Inserted);
        b += usize::from(kind != Kind::Removed);
    }
    pieces
}

/// How many tokens the rests of two lists share in order, from each pair of places on.
fn longest_common(from: &[&str], to: &[&str]) -> Vec<Vec<u32>> {
    let mut longest = vec![vec![0; to.len() + 1]; from.len() + 1];
    for a in (0..from.len()).rev() {
        for b in (0..to.len()).rev() {
            longest[a][b] = match from[a] == to[b] {
                true => longest[a + 1][b + 1] + 1,
                false => longest[a + 1][b].max(longest[a][b + 1]),
            };
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_differs_is_in_a_change() {
        let change = Change::between("It is €40, in all.", "It is €50, in all.");
        assert_eq!(change.around(), ["It is €", "40", "50", ", in all."]);
        assert_eq!(
            (change.len(), change.text().as_str()),
            (2, "It is €50, in all.")
        );
        let texts: Vec<_> = change.without_each(1).iter().map(Change::text).collect();
        assert_eq!(texts, ["It is €4050, in all.", "It is €, in all."]);
    }

    #[test]
    fn what_stays_between_two_changes_is_in_neither() {
        let change = Change::between("Sorry, I am unable to tell", ", I am able to tell");
        let (removed, inserted) = change.stretches();
        assert_eq!(removed, ["Sorry", " unable"]);
        assert_eq!(inserted, [" able"]);
    }

    proptest! {
        #[test]
        fn a_change_makes_the_other_text_and_without_all_of_it_the_first(
            from in "[ab .]{0,30}", to in "(?s)[ab .]{0,30}.{0,10}", size in 1..9_usize,
        ) {
            let change = Change::between(&from, &to);
            prop_assert_eq!(change.text(), to.as_str());
            let parts = change.len();
            let undone = change.without(0, parts);
            prop_assert_eq!((undone.text(), undone.len()), (from.clone(), 0));
            let [start, was, is, end] = change.around();
            prop_assert_eq!(format!("{start}{was}{end}"), from);
            prop_assert_eq!(format!("{start}{is}{end}"), to);
            for smaller in change.without_each(size) {
                prop_assert!((1..parts).contains(&smaller.len()));
            }
        }
    }
}
