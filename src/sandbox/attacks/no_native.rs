//! Only Linux has a second wall that can be tried without the first.

use super::judge::Canaries;
use super::suite::{Suite, Tried};
use super::{Act, Attack};
use crate::sandbox::SandboxError;
use crate::sandbox::walls::Wall;

/// None.
pub const ATTACKS: &[Attack] = &[];

/// None.
pub const UNGUARDED: &[Attack] = &[];

/// Nothing that could be tried.
#[derive(Clone, Copy, Debug)]
pub enum Native {}

/// How it did not end.
#[derive(Debug)]
pub enum Outcome {}

impl Act {
    pub(super) fn is_unguarded(&self) -> bool {
        false
    }
}

impl Suite {
    pub(super) fn lacks(&self, _attack: &Attack) -> Result<Option<Wall>, SandboxError> {
        Ok(None)
    }

    pub(super) fn tried_natively(
        &self,
        native: &Native,
        _: &Canaries,
    ) -> Result<Tried, SandboxError> {
        match *native {}
    }
}

pub fn succeeded(outcome: &Outcome) -> bool {
    match *outcome {}
}

pub fn stopped(outcome: &Outcome) -> bool {
    match *outcome {}
}

pub fn stopped_by(outcome: &Outcome) -> String {
    match *outcome {}
}
