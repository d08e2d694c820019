//! Runs attacks.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::judge::{Canaries, Watch};
use super::trial::{End, Trial, ended};
use super::{Act, Attack, TRACE, judge, native};
use crate::domain::{Outcome, Verdict};
use crate::sandbox::cache::{self, Artefacts};
use crate::sandbox::{Limits, Sandbox, SandboxError};

/// How an attack ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was stopped: by what.
    Held(String),
    /// It was not: what the host found.
    Through(String),
    /// It ended in another way than it should, or its twin did, or the host could not look.
    Unclear(String),
    /// It was not tried: this kernel lacks what should stop it.
    Skipped(String),
}

/// Less than in service, so that loops end soon.
const FUEL: u64 = 2_000_000_000;
/// As in service.
const DEADLINE: Duration = Duration::from_secs(5);
/// What used less is run twice.
const CHEAP_FUEL: u64 = 100_000_000;

/// A sandbox under attack.
pub struct Suite {
    pub(super) worker: PathBuf,
    pub(super) sandbox: Sandbox,
    /// Where the program is linked from: no other sandbox's workers have it on their command lines.
    pub(super) folder: TempDir,
    pub(super) artefacts: Artefacts,
    /// What [`NEIGHBOUR`] gave before any attack.
    neighbour: Outcome,
}

impl Suite {
    /// On a sandbox of its own with one worker: the call after an attack is on the one that was attacked.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open(worker: &Path, cache_dir: &Path) -> Result<Self, SandboxError> {
        let limits = Limits {
            fuel: FUEL,
            deadline: DEADLINE,
            ..Limits::default()
        };
        let folder = TempDir::with_prefix("iofold-suite-")?;
        let artefacts = cache::prepare(cache_dir)?;
        let program = linked(worker, folder.path())?;
        let shared = artefacts.try_clone()?;
        let sandbox = Sandbox::of_artefacts(&program, shared, 1)?.with_limits(limits);
        let neighbour = sandbox.evaluate(NEIGHBOUR, TRACE);
        Ok(Self {
            worker: worker.to_owned(),
            sandbox,
            folder,
            artefacts,
            neighbour,
        })
    }

    /// The same with another deadline, for a busy machine.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        let limits = Limits {
            deadline,
            ..self.sandbox.limits.clone()
        };
        Self {
            sandbox: self.sandbox.with_limits(limits),
            ..self
        }
    }

    /// Tries `attack` and its twin.
    pub fn run(&self, attack: &Attack) -> Ending {
        let ending = match self.lacks(attack) {
            Ok(Some(wall)) => Ok(Ending::Skipped(format!("this kernel has not: {wall}"))),
            Ok(None) => self.judged(attack),
            Err(error) => Err(error),
        };
        ending.unwrap_or_else(|error| {
            Ending::Unclear(format!(
                "the host can't look: {:#}",
                anyhow::Error::from(error)
            ))
        })
    }

    /// Tries something with nothing in its way, and looks whether that is noticed.
    ///
    /// # Errors
    /// It was not: an attack that got through would not be either.
    pub fn check_judge(&self) -> Result<(), String> {
        if cfg!(target_os = "linux") && judge::workers(self.folder.path()).is_empty() {
            return Err("the attack suite does not see the worker process".to_owned());
        }
        for attack in native::UNGUARDED {
            let ending = self.run(attack);
            if !matches!(ending, Ending::Through(_)) {
                let what = attack.name;
                return Err(format!(
                    "with no wall up, {what}, and the attack suite says {ending:?}"
                ));
            }
        }
        Ok(())
    }

    fn judged(&self, attack: &Attack) -> Result<Ending, SandboxError> {
        let attacked = self.tried(&attack.act)?;
        if let Some(evidence) = attacked.evidence {
            return Ok(Ending::Through(evidence));
        }
        if !attack.expect.allows(&attacked.end) {
            return Ok(Ending::Unclear(attacked.end.to_string()));
        }
        let twin = self.tried(&attack.twin)?;
        let harmed = twin.evidence.is_some() && !attack.twin.is_unguarded();
        if harmed || !twin.end.is_success() {
            let how = twin.evidence.unwrap_or_else(|| twin.end.to_string());
            return Ok(Ending::Unclear(format!("without the attack: {how}")));
        }
        Ok(Ending::Held(attacked.end.stopped_by()))
    }

    fn tried(&self, act: &Act) -> Result<Tried, SandboxError> {
        let canaries = Canaries::lay()?;
        let trial = match act {
            Act::Native(native) => return self.tried_natively(native, &canaries),
            Act::Guest(guest) => match Trial::of_guest(self, guest) {
                Ok(trial) => trial,
                Err(SandboxError::System(error)) => return Err(SandboxError::System(error)),
                Err(error) => return Ok(Tried::without_sandbox(error, &canaries)),
            },
            Act::Eval(source, trace) => Trial::of_eval(self, *source, *trace, &canaries),
            Act::Endless(source) => Trial::with_endless_fuel(self, *source, &canaries),
        };
        Ok(self.looked_at(&trial, &canaries))
    }

    /// Runs what was prepared, and looks at everything that it might have done.
    fn looked_at(&self, trial: &Trial, canaries: &Canaries) -> Tried {
        let watch = Watch::start(trial.folder(self));
        let outcome = trial.sandbox.evaluate(&trial.source, &trial.trace);
        let evidence = (canaries.harm().map(str::to_owned))
            .or_else(|| canaries.leak(&outcome))
            .or_else(|| watch.excess(&trial.sandbox.limits))
            .or_else(|| self.changed_later(trial, &outcome));
        let end = End::Outcome(outcome);
        Tried { end, evidence }
    }

    /// How calls after the attack differ from what they were; `None` if they don't.
    fn changed_later(&self, trial: &Trial, outcome: &Outcome) -> Option<String> {
        if outcome.fuel < CHEAP_FUEL {
            let again = trial.sandbox.evaluate(&trial.source, &trial.trace);
            if !same(&again, outcome) {
                return Some(format!("the same eval's next call: {}", ended(&again)));
            }
        }
        let neighbour = self.sandbox.evaluate(NEIGHBOUR, TRACE);
        let right = neighbour.verdict() == Some(Verdict::Pass) && same(&neighbour, &self.neighbour);
        (!right).then(|| format!("another eval's next call: {}", ended(&neighbour)))
    }
}

/// The same program by a name in `folder`, which its workers are known by.
pub(super) fn linked(program: &Path, folder: &Path) -> io::Result<PathBuf> {
    let link = folder.join("iofold");
    symlink(program, &link)?;
    Ok(link)
}

/// What a try gave.
pub(super) struct Tried {
    pub(super) end: End,
    /// The first thing that the host found wrong.
    pub(super) evidence: Option<String>,
}

impl Tried {
    fn without_sandbox(error: SandboxError, canaries: &Canaries) -> Self {
        Self {
            end: End::NoSandbox(format!("{:#}", anyhow::Error::from(error))),
            evidence: canaries.harm().map(str::to_owned),
        }
    }
}

/// Everything that is the eval's: all but the time.
fn same(one: &Outcome, other: &Outcome) -> bool {
    (&one.result, &one.printed, one.fuel) == (&other.result, &other.printed, other.fuel)
}

/// Looks at everything that an attack on later calls may have changed.
pub(super) const NEIGHBOUR: &str = r#"
import json, math, random, re, sys, collections

class Counted(collections.Counter):
    pass

def evaluate(trace):
    words = re.findall(r"[A-Za-z]+", trace["input_text"])
    copied = json.loads(json.dumps({"words": words, "id": trace["id"], "half": 0.5, "none": None}))
    right = [
        copied["words"] == ["Where", "is"] and sorted(words) == ["Where", "is"],
        len(copied) == 4 and int("7") + 1 == 8 and math.isqrt(81) == 9,
        "verdict".upper() == "VERDICT" and f"{0.1 + 0.2:.3f}" == "0.300",
        isinstance({}, collections.abc.Mapping) and not isinstance(5, collections.abc.Mapping),
        sys.getrecursionlimit() >= 100 and not hasattr(sys, "left_behind"),
        Counted(words) == {"Where": 1, "is": 1},
    ]
    drawn = random.random(), hash("x"), list({"one", "two", "three"})
    return all(right), f"{trace['id']} {right} {drawn} {object()!r}"
"#;
