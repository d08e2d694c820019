//! A conversation before its last question: who said what.

use super::clean::{clean, isolated, line};
use super::rich::{Form, Piece, Span, Style};
use crate::domain::{Message, Trace};

/// Turns shown on a card, of however many there are.
const SHOWN: usize = 3;
/// Signs shown of each.
const TURN_SIGNS: usize = 120;
/// What they may cost.
const SHOWN_COST: usize = 1_800;

/// What people and the model said before the last question.
pub fn earlier(trace: &Trace) -> Vec<&Message> {
    let question = trace.input_text.trim();
    let is_question = |turn: &Message| turn.role == "user" && turn.content.trim() == question;
    let messages = &trace.messages;
    let asked = messages.iter().rposition(is_question);
    let asked = asked.or_else(|| messages.iter().rposition(|turn| turn.role == "user"));
    let before = messages[..asked.unwrap_or_default()].iter();
    let is_said = |turn: &&Message| {
        matches!(turn.role.as_str(), "user" | "assistant") && !turn.content.trim().is_empty()
    };
    before.filter(is_said).collect()
}

/// The last turns, each on a line; says whether more was said than is shown.
pub fn last_turns(trace: &Trace) -> (Vec<Piece>, bool) {
    let earlier = earlier(trace);
    let mut left = SHOWN_COST;
    let lines = earlier.iter().rev().take(SHOWN).map(|turn| turn_line(turn));
    let lines = lines.take_while(|line| {
        let fits = line.cost() <= left;
        left = left.saturating_sub(line.cost());
        fits
    });
    let mut pieces: Vec<Piece> = lines.collect();
    let hidden = earlier.len() - pieces.len();
    let is_cut = pieces.iter().any(|piece| piece.text().contains('…'));
    match hidden {
        0 => {}
        1 => pieces.push(note("1 earlier turn")),
        hidden => pieces.push(note(&format!("{hidden} earlier turns"))),
    }
    pieces.reverse();
    (pieces, hidden > 0 || is_cut)
}

fn note(text: &str) -> Piece {
    let style = Style {
        italic: true,
        ..Style::default()
    };
    Piece::new(Form::Title, vec![Span::of(text, style)])
}

fn turn_line(turn: &Message) -> Piece {
    let said = isolated(&line(&turn.content, TURN_SIGNS));
    let spans = vec![
        Span::of(format!("{}: ", speaker(turn)), Style::BOLD),
        Span::plain(said),
    ];
    Piece::new(Form::Title, spans)
}

/// Who speaks, in a word or two.
pub fn speaker(turn: &Message) -> String {
    let name = turn
        .name
        .as_deref()
        .map(|name| line(name, 40))
        .filter(|name| !name.is_empty());
    let role = match turn.role.as_str() {
        "user" => "User",
        "assistant" => "Assistant",
        "system" | "developer" => "System",
        "tool" => "Tool",
        _ => "",
    };
    match (role, name) {
        ("", None) => isolated(&clean(&line(&turn.role, 40))),
        ("", Some(name)) => isolated(&name),
        (role, None) => role.to_owned(),
        (role, Some(name)) => format!("{role} {}", isolated(&name)),
    }
}
