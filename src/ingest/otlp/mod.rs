//! Spans come in by OTLP/HTTP: each becomes an observation of Langfuse's shape, and a trace is put together from
//! them as from polled ones.
//!
//! In comes protobuf or JSON from any OpenTelemetry SDK or Collector; out come rows. The answer does not wait for
//! traces to be put together. Nothing that is sent makes this panic, and no text of it gets into a log.

mod conventions;
mod decode;
mod http;
mod job;
mod json;
mod message;
mod observation;
mod progress;
mod reply;
mod sender;
mod span;
mod values;

pub use http::{Intake, receive};
pub use job::{QUIET, assemble_traces};
pub use sender::workspace_of;

#[cfg(test)]
mod tests;
