//! iofold turns thumbs in Slack into an eval that scores every new Langfuse trace.

pub mod config;
pub mod domain;
pub mod jobs;
pub mod sandbox;
pub mod slack;
pub mod stats;
pub mod store;
