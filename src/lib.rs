//! iofold takes LLM traces from Langfuse, asks people in Slack for 👍 👎 😐, turns those thumbs into a
//! small readable Python eval, runs it in a sandbox, reports honestly how well it agrees with people
//! and, once a person approves it, scores every new trace back into Langfuse.
//!
//! The flow, a room a step; rooms hand work on by jobs that carry ids, and rows are the truth:
//!
//! | Room | Takes | Leaves behind |
//! |---|---|---|
//! | [`ingest`] | verified webhooks, polled pages, OTLP exports | normalised traces, once each |
//! | [`label`] | settled traces; thumbs | one card a trace, one label per annotator and trace |
//! | [`generate`] | development labels | an immutable eval version, or a reasoned "not yet" |
//! | [`run`] | an eval version and traces | one outcome each |
//! | [`report`] | outcomes and labels | figures, a Slack message, a picture |
//! | [`score`] | deployed versions, new traces | scores in Langfuse |
//!
//! Shared by the rooms and knowing none: [`domain`] (vocabulary), [`stats`] (pure functions),
//! [`langfuse`], [`slack`] and [`llm`] (one client each), [`sources`] (where else traces come from), [`sandbox`] (runs Python), [`store`] (the database),
//! [`jobs`] (the queue), [`clock`] (what waiting is measured by), [`outbox`] (our messages in Slack), [`workspace`] (connections), [`explain`] (why a verdict is
//! what it is).
//!
//! Around them: [`app`] builds everything once, [`config`] reads the environment, [`error`] knows
//! status codes, [`auth`] knows the keys of those who send traces, [`body`] bounds what is sent to us, [`http`] makes our clients, [`bearer`] checks
//! tokens, [`callouts`] takes what people ask for in Langfuse's menu, [`code_evals`] runs Langfuse's code evaluators,
//! [`inbound`] sends what comes from Slack to its rooms, [`install`] connects teams that install the app, [`vault`] seals
//! their tokens, [`health`] and [`overview`] answer `/healthz`, `/readyz` and `/`, [`standing`] says how a workspace
//! stands, [`playground`] stands in for Slack and Langfuse, and [`cli`]
//! is the command line.

pub mod app;
pub mod auth;
pub mod bearer;
pub mod body;
pub mod callouts;
pub mod cli;
pub mod clock;
pub mod code_evals;
pub mod config;
pub mod domain;
pub mod error;
pub mod explain;
pub mod generate;
pub mod health;
pub mod http;
pub mod inbound;
pub mod ingest;
pub mod install;
pub mod jobs;
pub mod label;
pub mod langfuse;
pub mod llm;
pub mod outbox;
pub mod overview;
pub mod playground;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod score;
pub mod slack;
pub mod sources;
pub mod standing;
pub mod stats;
pub mod store;
pub mod vault;
pub mod workspace;
