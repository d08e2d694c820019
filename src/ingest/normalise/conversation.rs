use std::collections::HashSet;

use serde_json::Value;

use super::chat::{self, Side, Turn};
use crate::langfuse::{ObservationPayload, TracePayload};

const SYSTEM: &str = "system";

/// A turn and the step (by its place in start order) in which it first showed.
#[derive(Debug)]
pub struct Said {
    pub turn: Turn,
    pub step: usize,
}

/// The conversation of a trace, each turn once: what its generations were given and gave, in order.
///
/// A generation's input may be the whole conversation so far, its last part, or only what is new; what
/// was said already is not repeated. What no generation tells comes from the trace's own input and
/// output: with the output ends what the assistant has not ended.
pub fn conversation(trace: &TracePayload, steps: &[&ObservationPayload]) -> Vec<Said> {
    let mut conversation = Conversation::default();
    for (step, observation) in steps.iter().enumerate() {
        if observation.kind == "GENERATION" {
            conversation.append(given(&observation.input), step);
            conversation.append(answered(&observation.output), step);
        }
    }
    if !conversation.has("user") {
        let asked = given(&trace.input)
            .into_iter()
            .map(|turn| Said { turn, step: 0 });
        conversation.said.splice(0..0, asked);
    }
    let last = conversation.said.last();
    if last.is_none_or(|last| last.turn.role != "assistant") {
        conversation.append(answered(&trace.output), steps.len());
    }
    conversation.said
}

/// What was said so far.
#[derive(Default)]
struct Conversation {
    said: Vec<Said>,
    /// The texts of its system turns.
    instructions: HashSet<String>,
}

/// An input's turns; text is the user's.
pub fn given(input: &Value) -> Vec<Turn> {
    chat::turns(input, Side::Input).unwrap_or_else(|| lone("user", input))
}

/// An output's turns; text is the assistant's.
pub fn answered(output: &Value) -> Vec<Turn> {
    chat::turns(output, Side::Output).unwrap_or_else(|| lone("assistant", output))
}

fn lone(role: &str, value: &Value) -> Vec<Turn> {
    let content = chat::plain_text(value);
    if content.is_empty() {
        return Vec::new();
    }
    let role = role.to_owned();
    vec![Turn {
        role,
        content,
        ..Turn::default()
    }]
}

impl Conversation {
    fn has(&self, role: &str) -> bool {
        self.said.iter().any(|said| said.turn.role == role)
    }

    fn append(&mut self, mut turns: Vec<Turn>, step: usize) {
        for turn in turns.drain(self.known(&turns)..) {
            if turn.role == SYSTEM {
                self.instructions.insert(turn.content.clone());
            }
            self.said.push(Said { turn, step });
        }
    }

    /// How many of the first turns were said already.
    fn known(&self, turns: &[Turn]) -> usize {
        let pairs = self.said.iter().zip(turns);
        let shared = pairs
            .take_while(|(said, turn)| same(&said.turn, turn))
            .count();
        // The same request once more: a retry, or one of several at once. A single turn is no proof of
        // that, for people do say "yes" twice.
        if shared == turns.len() && turns.len() > 1 {
            return shared;
        }
        // A part of the conversation may be given with the instructions before it.
        let repeated =
            |turn: &&Turn| turn.role == SYSTEM && self.instructions.contains(&turn.content);
        let skipped = turns.iter().take_while(repeated).count();
        match (
            overlap(&self.said, turns),
            overlap(&self.said, &turns[skipped..]),
        ) {
            (0, 0) if shared > skipped && shared < turns.len() => shared,
            (0, rest) => skipped + rest,
            (whole, _) => whole,
        }
    }
}

/// How many of the first of `turns` are the last of what was said: the longest such overlap, found as
/// in Knuth, Morris and Pratt's search, so that a long conversation costs no more than its length.
fn overlap(said: &[Said], turns: &[Turn]) -> usize {
    let borders = borders(turns);
    let mut matched = 0;
    for Said { turn, .. } in &said[said.len().saturating_sub(turns.len())..] {
        while matched > 0 && (matched == turns.len() || !same(&turns[matched], turn)) {
            matched = borders[matched - 1];
        }
        if turns.get(matched).is_some_and(|next| same(next, turn)) {
            matched += 1;
        }
    }
    matched
}

/// For each prefix of `turns`, the length of its longest proper prefix that also ends it.
fn borders(turns: &[Turn]) -> Vec<usize> {
    let mut borders = vec![0; turns.len()];
    for at in 1..turns.len() {
        let mut length = borders[at - 1];
        while length > 0 && !same(&turns[length], &turns[at]) {
            length = borders[length - 1];
        }
        borders[at] = length + usize::from(same(&turns[length], &turns[at]));
    }
    borders
}

/// Whether two turns say the same; ids of calls are left aside, for not every input repeats them.
fn same(one: &Turn, other: &Turn) -> bool {
    one.role == other.role
        && one.content.trim() == other.content.trim()
        && one.answers == other.answers
        && one.calls.len() == other.calls.len()
        && one
            .calls
            .iter()
            .zip(&other.calls)
            .all(|(one, other)| one.name == other.name && one.arguments == other.arguments)
}
