//! People are asked: one card a trace, and their thumbs.
//!
//! Takes settled traces; leaves one message a trace and one label per annotator and trace. Never
//! overwrites another annotator's label, and never asks more than the channel's budget, but for the
//! traces that a person names.

mod acts;
pub mod card;
#[cfg(test)]
mod day;
mod digest;
mod interaction;
mod job;
mod learnt;
mod modal;
mod pace;
mod reason;
mod remarks;
mod show;
mod skips;
mod store;
mod swipe;
mod votes;

pub use acts::{Given, Standing};
pub use card::THUMB_ACTIONS;
pub use digest::{DIGEST_ACTION, Digest};
pub use interaction::{Annotator, Done, Thumbed, give_thumb, react, reply, undo};
pub use job::{post_cards, refresh_cards};
pub use modal::{REASON_CALLBACK, reason_of};
pub use pace::{CARDS_PER_HOUR, Pace, Pause, pace, pause, resume, set_cards_per_hour};
pub use reason::{ReasonFor, ask_why, give_reason};
pub use remarks::Remark;
pub use show::{show_all, turn_page};
pub use skips::{ask_again, not_my_area, skip, unlabelled_for};
pub use store::{ask_by_hand, ask_for, cards_this_hour};
pub use swipe::{Ahead, CALLBACK as SWIPE_CALLBACK, Press, open as open_swipe, press, submit};
pub use votes::{
    ASK_AGAIN_ACTION, NOT_MINE_ACTION, UNDO_ACTION, WHY_ACTION, asked_again, left_out,
    nothing_to_explain, skipped, taken_back, tell_votes,
};
