//! iofold turns thumbs in Slack into an eval that scores every new Langfuse trace.

pub mod domain;
pub mod sandbox;
pub mod slack;
