//! The app as a user meets it: by HTTP, by Slack's payloads, on the command line, in a browser.

mod browser;
mod cli;
mod crash;
mod decisions;
mod explain;
mod flow;
mod generation;
mod handover;
mod judge;
mod known_outcomes;
mod llm;
mod llm_standin;
mod migrations;
mod receipts;
mod refinement;
mod refusals;
mod sandbox;
mod sdk_langfuse;
mod sdk_slack;
mod sessions;
mod shutdown;
mod support;
mod thumbs;
mod webhooks;
