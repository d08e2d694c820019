use std::path::Path;

use anyhow::{Context, anyhow};

use super::eval::runtime;
use super::input;
use super::terminal::{complain, say};
use super::{Export, Failure, Promote};
use crate::app;
use crate::code_evals::{self, ExportError, Exported};
use crate::config::{Config, Environment};
use crate::langfuse::{CodeEvaluator, Error, Promoted};

/// `iofold eval export`: the eval as Langfuse runs it, in a file or on standard output.
pub fn export(arguments: &Export) -> Result<(), Failure> {
    let exported = exported(&arguments.eval, arguments.name.as_deref())?;
    if let Some(out) = &arguments.out {
        input::check_out(out, &[(&arguments.eval, "the eval itself")])?;
    }
    match &arguments.out {
        Some(out) => {
            let written = std::fs::write(out, &exported.source);
            written.with_context(|| format!("cannot write {}", out.display()))?;
            say(&format!(
                "Written to {}. {}",
                out.display(),
                exported.unseen
            ))
        }
        None => {
            complain(&exported.unseen);
            say(exported.source.trim_end_matches('\n'))
        }
    }
}

/// `iofold eval promote`: the same, made an evaluator in the configured Langfuse.
pub fn promote(environment: &Environment, arguments: &Promote) -> Result<(), Failure> {
    let exported = exported(&arguments.eval, arguments.name.as_deref())?;
    let config = Config::langfuse_of(environment).map_err(|error| Failure::Usage(error.into()))?;
    let given = config.ok_or_else(|| {
        Failure::Usage(anyhow!(
            "Langfuse is not configured. Set LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_BASE_URL"
        ))
    })?;
    let client = app::langfuse_client(&given)?;
    let evaluator = CodeEvaluator {
        name: &exported.name,
        description: &exported.description,
        source: &exported.source,
    };
    let promoted = runtime()?.block_on(client.put_code_evaluator(&evaluator));
    let promoted = promoted.map_err(|error| Failure::Host(explained(error)))?;
    say(&said(&exported, &promoted))
}

fn said(exported: &Exported, promoted: &Promoted) -> String {
    let (name, version) = (&exported.name, promoted.version);
    let what = match promoted.is_new {
        true => format!(
            "Langfuse has the evaluator \"{name}\", version {version}. Choose what it runs on in Langfuse, in an evaluation rule."
        ),
        false => format!(
            "Langfuse has this already: evaluator \"{name}\", version {version}. Nothing was changed."
        ),
    };
    format!("{what} {}", exported.unseen)
}

/// A self-hosted Langfuse without a runner refuses as one does whose plan lacks it.
fn explained(error: Error) -> anyhow::Error {
    match error {
        Error::Forbidden { .. } => anyhow::Error::from(error).context(
            "Langfuse takes no code evaluators from these keys; a self-hosted one takes them once \
             LANGFUSE_CODE_EVAL_DISPATCHER is set",
        ),
        error if error.is_missing() => anyhow::Error::from(error)
            .context("this Langfuse has no API for evaluators; paste what `iofold eval export` prints into it"),
        error => error.into(),
    }
}

/// The eval of a file, under the given name or the file's.
fn exported(path: &Path, name: Option<&str>) -> Result<Exported, Failure> {
    let eval = input::eval_file(path)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name = name.or(stem).unwrap_or_default();
    code_evals::export(&eval, name).map_err(|error| match error {
        ExportError::Name => Failure::Usage(anyhow!(
            "the name `{name}` does not do: {error}. Give one with --name"
        )),
        error => Failure::Data(error.into()),
    })
}
