//! People are asked: one card a trace, and their thumbs.
//!
//! Takes settled traces; leaves one message a trace and one label per annotator and trace. Never
//! overwrites another annotator's label, and never asks more than the channel's budget, but for the
//! traces that a person names.

#[cfg(test)]
mod day;
mod digest;
mod interaction;
mod job;
mod message;
mod store;

pub use digest::Digest;
pub use interaction::{Thumbed, give_reason, give_thumb};
pub use job::{post_cards, refresh_cards};
pub use message::{REASON_CALLBACK, THUMB_ACTIONS};
pub use store::{ask_by_hand, ask_for};
