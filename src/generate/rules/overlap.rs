//! The longest run of words that two texts share, found in time that grows with their length alone, whatever they say.

use std::collections::HashMap;

/// All runs of a text's words: a suffix automaton (Blumer et al., 1985), a state for the runs that end in the same places.
pub struct Runs<'t> {
    states: Vec<State<'t>>,
}

#[derive(Clone, Default)]
struct State<'t> {
    /// Words of its longest run.
    length: usize,
    /// The state of its longest suffix that also ends elsewhere; none of the empty run's, which is the first.
    link: Option<usize>,
    next: HashMap<&'t str, usize>,
}

impl<'t> Runs<'t> {
    /// Reads `words`.
    pub fn of(words: &'t [String]) -> Self {
        let mut all = Self {
            states: vec![State::default()],
        };
        words
            .iter()
            .fold(0, |last, word| all.lengthened(last, word.as_str()));
        all
    }

    /// Adds the word after `last`, the whole text so far; the state of the whole text with it.
    fn lengthened(&mut self, last: usize, word: &'t str) -> usize {
        let whole = self.states.len();
        self.states.push(State {
            length: self.states[last].length + 1,
            link: Some(0),
            next: HashMap::new(),
        });
        let mut suffix = Some(last);
        while let Some(state) = suffix.filter(|state| !self.states[*state].next.contains_key(word))
        {
            self.states[state].next.insert(word, whole);
            suffix = self.states[state].link;
        }
        if let Some(state) = suffix {
            self.states[whole].link = Some(self.shared(state, word));
        }
        whole
    }

    /// The state of exactly the runs of `state` with `word` after them, split off where it holds longer ones too.
    fn shared(&mut self, state: usize, word: &'t str) -> usize {
        let next = self.states[state].next[word];
        let length = self.states[state].length + 1;
        if self.states[next].length == length {
            return next;
        }
        let split = self.states.len();
        self.states.push(State {
            length,
            ..self.states[next].clone()
        });
        self.states[next].link = Some(split);
        let mut suffix = Some(state);
        while let Some(state) =
            suffix.filter(|state| self.states[*state].next.get(word) == Some(&next))
        {
            self.states[state].next.insert(word, split);
            suffix = self.states[state].link;
        }
        split
    }

    /// Words of the longest run that `words` has too; `None` where either has no words.
    pub fn longest_in(&self, words: &[String]) -> Option<usize> {
        let (mut state, mut length) = (0, 0);
        let here = words.iter().map(|word| {
            while !self.states[state].next.contains_key(word.as_str()) {
                let Some(link) = self.states[state].link else {
                    return 0;
                };
                (state, length) = (link, self.states[link].length);
            }
            (state, length) = (self.states[state].next[word.as_str()], length + 1);
            length
        });
        here.max().filter(|_| self.states.len() > 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    fn longest(one: &str, other: &str) -> Option<usize> {
        Runs::of(&words(one)).longest_in(&words(other))
    }

    #[test]
    fn texts_without_words_share_nothing_and_long_ones_take_no_time() {
        for (one, other, expected) in [
            ("", "", None),
            ("a", "", None),
            ("", "a", None),
            ("a", "b", Some(0)),
            ("abcbc", "xbcbx", Some(3)),
            (&"ab".repeat(50_000), &"ba".repeat(50_000), Some(99_999)),
        ] {
            assert_eq!(longest(one, other), expected);
        }
    }

    proptest! {
        #[test]
        fn the_longest_run_is_the_longest_part_that_the_other_contains(one in "[abc]{1,14}", other in "[abc]{1,14}") {
            let parts = (0..one.len()).flat_map(|start| (start..=one.len()).map(move |end| (start, end)));
            let shared = parts.filter(|(start, end)| other.contains(&one[*start..*end]));
            let expected = shared.map(|(start, end)| end - start).max();
            prop_assert_eq!(longest(&one, &other), expected);
        }
    }
}
