//! People ask from Langfuse's own menu (its Web Callouts) what the team says of a trace.
//!
//! Takes calls with a bearer token that name traces or sessions; leaves a card for each, at once and outside
//! the channel's budget. A call names and carries nothing: what it names is read from Langfuse, as often as
//! it takes. Several calls for one trace make one card.

mod http;
mod job;
mod request;
mod store;

pub use http::receive;
pub use job::{handle_callouts, prune};
