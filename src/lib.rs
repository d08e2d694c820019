//! iofold.
pub mod domain;
pub mod slack;
