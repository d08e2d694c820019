use anyhow::{Context, anyhow};

use super::terminal::say;
use super::{Failure, eval, input, missing_database, no_such, no_such_workspace};
use crate::config::{self, Environment};
use crate::domain::{EvalSource, Outcome, WorkspaceId};
use crate::generate::{self, Submitted};
use crate::sandbox::Sandbox;
use crate::store::{Db, newest_payloads, with_session};

/// `iofold eval submit`: a file becomes the next version of an eval in the service's database.
pub fn submit(environment: &Environment, arguments: &super::Submit) -> Result<(), Failure> {
    let source = input::eval_file(&arguments.eval_file)?;
    let url = config::database_url(environment).map_err(|error| Failure::Usage(error.into()))?;
    if missing_database(&url).is_some() {
        let missing = "there is no database yet: start the service first, or name its database in DATABASE_URL";
        return Err(Failure::Usage(anyhow!(missing)));
    }
    let sandbox = eval::sandbox(environment)?;
    let runtime = eval::runtime()?;
    let workspace = WorkspaceId::from(arguments.workspace.as_str());
    let submitted = runtime.block_on(async {
        let db = Db::connect(&url).await?;
        let traces = traces(&db, &workspace, &source, sandbox.limits().trace_bytes)
            .await
            .context(
                "the database can't be used (`iofold serve` brings an older one up to date)",
            )?;
        refuse(&sandbox, &source, traces)?;
        Ok::<_, Failure>(generate::submit(&db, &workspace, &arguments.eval, &source).await?)
    })?;
    told(submitted, arguments)
}

/// The newest traces, as the eval would be given them.
async fn traces(
    db: &Db,
    workspace: &WorkspaceId,
    source: &EvalSource,
    limit_bytes: usize,
) -> sqlx::Result<Vec<String>> {
    let mut traces = newest_payloads(db, workspace, eval::TRIED_ON as i64).await?;
    if source.reads_session() {
        for trace in &mut traces {
            let session = with_session(db, workspace, trace, limit_bytes).await?;
            *trace = session.to_json();
        }
    }
    Ok(traces)
}

/// Refuses what is no eval, by what it does on traces of the workspace, or on an empty one where there are none.
fn refuse(sandbox: &Sandbox, source: &EvalSource, mut traces: Vec<String>) -> Result<(), Failure> {
    let is_blank = traces.is_empty();
    if is_blank {
        traces.push("{}".to_owned());
    }
    let outcomes = traces
        .iter()
        .map(|trace| sandbox.evaluate(source.as_str(), trace));
    let outcomes: Vec<Outcome> = outcomes.collect();
    if let Some(error) = outcomes.iter().find_map(Outcome::host_failure) {
        return Err(Failure::Host(anyhow!("the sandbox host failed: {error}")));
    }
    eval::refuse(&outcomes, is_blank, "become a version")
}

fn told(submitted: Submitted, arguments: &super::Submit) -> Result<(), Failure> {
    match submitted {
        Submitted::New { version, parent } => {
            let after = parent.map_or_else(String::new, |parent| format!(", after {parent}"));
            say(&format!(
                "Version {version} is recorded{after}. The service tests it, and its report comes in the channel."
            ))
        }
        Submitted::Known(version) => say(&format!(
            "Nothing changes: version {version} has this very source."
        )),
        Submitted::NoSuchEval(there) => {
            let none = "there is none yet, and without --eval the first one is made";
            Err(no_such("eval", &arguments.eval, &there, none))
        }
        Submitted::NoSuchWorkspace(there) => Err(no_such_workspace(&arguments.workspace, &there)),
    }
}
