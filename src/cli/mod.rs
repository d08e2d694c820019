//! The command line: `serve`, `doctor`, `key`, `backfill`, `import`, and `eval` and `replay`, which need no server and no database.

mod attack;
mod backfill;
mod doctor;
mod eval;
mod explain;
mod export;
mod generate;
mod import;
mod input;
mod key;
mod replay;
mod serve;
mod submit;
mod terminal;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Environment};
use crate::sandbox::worker;
#[cfg(target_os = "linux")]
use crate::sandbox::{attempts, walls::Shut};
use crate::store::embedded_path;

/// The workspace of a service that is configured by its environment.
const DEFAULT_WORKSPACE: &str = "default";

/// Whose fault a failure is; the exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The eval or the data is at fault: 1.
    #[error("{0:#}")]
    Data(anyhow::Error),
    /// Wrong usage: 2.
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// The host is at fault: 3.
    #[error("{0:#}")]
    Host(#[from] anyhow::Error),
    /// No eval beats the majority guess, or the one to refine: 4. The reason is printed already.
    #[error("no eval was written")]
    NoEval,
    /// Nothing is left to be said; the code says whose fault it was.
    #[error("failed")]
    Quiet(u8),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Data(_) => 1,
            Self::Usage(_) => 2,
            Self::Host(_) => 3,
            Self::NoEval => 4,
            Self::Quiet(code) => *code,
        }
    }
}

/// Turns thumbs in Slack into a small readable Python eval that scores every new Langfuse trace.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 done; 1 the eval or the data is at fault; \
    2 wrong usage; 3 the host is at fault; 4 no eval beats the majority guess, or the one to refine."
)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(flatten)]
    Asked(Asked),
    /// A process that runs evals for another one, on descriptors 0 to 2
    #[command(hide = true)]
    SandboxWorker(SandboxWorker),
}

/// What a person asks for.
#[derive(Subcommand)]
enum Asked {
    /// Run the service; with nothing configured, with the playground
    Serve,
    /// Check each connection and say what to fix
    Doctor(Doctor),
    /// Make, list and revoke the keys by which traces are sent to a workspace
    #[command(subcommand)]
    Key(KeyCommand),
    /// Read the traces of the last months from Langfuse, behind live traffic
    ///
    /// A service that runs on the same database does the work and this shows how far it is; without one, this
    /// does it. It may be stopped at any time: the same command goes on where it was.
    Backfill(backfill::Backfill),
    /// Take the traces of a file into the service's database (DATABASE_URL)
    ///
    /// A line is a trace detail, a trace in schema version 1, {"input", "output"}, {"messages"}, an output of OpenAI's
    /// Evals or a labelled line, of which only the trace is taken: labels come from people. The same file again changes
    /// nothing, so a command that was stopped is simply given again.
    Import(import::Import),
    /// Make, run and measure evals on files
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Run an outcome again from its receipt and say whether it is the same
    ///
    /// It runs with the answers that judge() gave then, and the command says that verdict, reason and fuel are
    /// the same to the byte, or what differs, each on a line.
    ///
    /// The eval and the trace are looked for in the files that the flags name; else in those that the receipt
    /// names, which it does where both were files; else, by their hashes, in the database that DATABASE_URL
    /// names.
    #[command(
        after_help = "Exit codes: 0 all the same; 1 something differs, or the data is at fault; \
        2 wrong usage; 3 the host is at fault."
    )]
    Replay(Replay),
}

#[derive(Args)]
struct SandboxWorker {
    /// With these walls up, try one thing instead that a worker must not be able to do
    #[cfg(target_os = "linux")]
    #[arg(long)]
    attempt: Option<Shut>,
}

impl SandboxWorker {
    fn run(self) -> ! {
        #[cfg(target_os = "linux")]
        if let Some(shut) = self.attempt {
            attempts::run(shut);
        }
        worker::run()
    }
}

#[derive(Args)]
struct Doctor {
    /// Attack the sandbox instead, in some 200 ways, and say what stopped each; a theme's name picks its attacks
    #[arg(long, value_name = "THEME", num_args = 0..=1, require_equals = true)]
    attack: Option<Option<String>>,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a key and print it, for the only time
    Create {
        /// What to call it in the list
        #[arg(default_value = "")]
        name: String,
        /// The workspace that it opens; `default` is made where it is not there yet
        #[arg(long, default_value = DEFAULT_WORKSPACE)]
        workspace: String,
    },
    /// List the keys: id, workspace, when made, state, name
    List,
    /// Revoke a key, at once and for good
    Revoke {
        /// The key's id: what stands between its two underscores
        id: String,
    },
}

#[derive(Subcommand)]
enum EvalCommand {
    /// Make an eval from labelled traces, test it on labels that it has not seen, print the report
    Generate(Generate),
    /// Run an eval on traces; one outcome a line, in input order
    Run(Run),
    /// Measure an eval against labelled traces
    Report(Report),
    /// Record a file as the next version of an eval in the service's database (DATABASE_URL)
    ///
    /// The version is like any other: it has seen the labels that any version of the eval has seen, the labels kept back
    /// from all and those to come judge it, and its report comes in the channel.
    Submit(Submit),
    /// Say why an eval's verdict on a trace is what it is
    ///
    /// Prints the verdict, the source with the lines that ran and the one that decided, what was tested on the way,
    /// and the words of the trace that it was decided on. The eval runs twice, once of them watched.
    Explain(Explain),
    /// Write an eval as a code evaluator of Langfuse's
    ///
    /// The eval stands in it unchanged. In Langfuse it sees one observation: no session, no other observations, and
    /// none of the trace's own name, tags, user, times and costs. An eval that reads one of these, or asks judge, is
    /// refused.
    Export(Export),
    /// Make an eval a code evaluator in the configured Langfuse
    ///
    /// It gets the next version where Langfuse has one of this name, and nothing happens where it has the same. What it
    /// runs on is chosen in Langfuse, in an evaluation rule.
    Promote(Promote),
}

#[derive(Args)]
struct Export {
    /// The eval: a Python file that defines evaluate(trace)
    eval: PathBuf,
    /// Where to write it, over any file that is there but the eval itself [default: standard output]
    #[arg(long)]
    out: Option<PathBuf>,
    /// The score's name [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// For whom
    #[arg(long, value_enum, default_value_t = Target::Langfuse)]
    to: Target,
}

/// Whose contract an eval is written for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Langfuse,
}

#[derive(Args)]
struct Promote {
    /// The eval: a Python file that defines evaluate(trace)
    eval: PathBuf,
    /// The evaluator's and its score's name [default: the file's]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Args)]
struct Explain {
    /// The eval: a Python file that defines evaluate(trace)
    eval: PathBuf,
    /// A trace, or lines of them, bare or as in a labelled file; - is standard input
    trace: PathBuf,
    /// Which of many: the line's id or the trace's
    #[arg(long)]
    id: Option<String>,
    /// Also search for the smallest change to the trace that flips the verdict
    #[arg(long)]
    flip: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Generate {
    /// Labelled traces, one JSON object a line: {"id", "trace", "label": "up"|"down"|"neutral"}; - is
    /// standard input
    labelled: PathBuf,
    /// What makes the eval; auto takes the better one's, and rules while no LLM is configured
    #[arg(long, value_enum, default_value_t = Generator::Auto)]
    generator: Generator,
    /// Start from this eval: the next version is written only if it is right on more of the same labels
    #[arg(long, value_name = "EVAL.py")]
    refine: Option<PathBuf>,
    /// Where to write the eval, over any file that is there but those that are read [default: eval.py, which must not
    /// exist yet]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Generator {
    Auto,
    Rules,
    Llm,
}

#[derive(Args)]
struct Run {
    /// The eval: a Python file that defines evaluate(trace)
    eval: PathBuf,
    /// Traces, one JSON object a line, bare or as in a labelled file; - is standard input
    traces: PathBuf,
}

#[derive(Args)]
struct Report {
    /// The eval: a Python file that defines evaluate(trace)
    eval: PathBuf,
    /// Labelled traces, one JSON object a line; - is standard input
    labelled: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Submit {
    /// The eval: a Python file that defines evaluate(trace)
    #[arg(value_name = "EVAL.py")]
    eval_file: PathBuf,
    /// The name of the eval that it is a version of
    #[arg(long, value_name = "NAME", default_value = crate::generate::EVAL_NAME)]
    eval: String,
    /// The workspace that has the eval
    #[arg(long, value_name = "NAME", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

#[derive(Args)]
struct Replay {
    /// A receipt, or lines of `iofold eval run`, each replayed; - is standard input
    receipt: PathBuf,
    /// The eval: a Python file that defines evaluate(trace)
    #[arg(long, value_name = "EVAL.py")]
    eval: Option<PathBuf>,
    /// A file with the trace, found by its hash; nothing else is looked in then
    #[arg(long, value_name = "TRACES.jsonl")]
    traces: Option<PathBuf>,
}

/// Runs the command that the arguments name; the exit code says how it went.
pub fn main() -> ExitCode {
    let done = match Command::parse().what {
        // It must not come to know what the others read first: the environment and `.env`.
        What::SandboxWorker(arguments) => arguments.run(),
        What::Asked(asked) => run(&asked),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::NoEval | Failure::Quiet(_)) {
                terminal::complain(&failure.to_string());
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(asked: &Asked) -> Result<(), Failure> {
    let environment = Environment::of_process().map_err(Failure::Usage)?;
    let serving = matches!(asked, Asked::Serve);
    let otherwise = if serving { "iofold=info,warn" } else { "error" };
    log_to_stderr(config::log_filter(&environment).unwrap_or(otherwise))?;
    match asked {
        Asked::Serve => serve::serve(&environment),
        Asked::Doctor(Doctor { attack: None }) => doctor::doctor(&environment),
        Asked::Doctor(Doctor {
            attack: Some(theme),
        }) => attack::attack(&environment, theme.as_deref()),
        Asked::Eval(EvalCommand::Generate(arguments)) => {
            generate::generate(&environment, arguments)
        }
        Asked::Key(command) => key::key(&environment, command),
        Asked::Import(arguments) => import::import(&environment, arguments),
        Asked::Backfill(arguments) => backfill::run(&environment, arguments),
        Asked::Eval(EvalCommand::Run(arguments)) => eval::run(&environment, arguments),
        Asked::Eval(EvalCommand::Report(arguments)) => eval::report(&environment, arguments),
        Asked::Eval(EvalCommand::Submit(arguments)) => submit::submit(&environment, arguments),
        Asked::Eval(EvalCommand::Explain(arguments)) => explain::explain(&environment, arguments),
        Asked::Eval(EvalCommand::Export(arguments)) => match arguments.to {
            Target::Langfuse => export::export(arguments),
        },
        Asked::Eval(EvalCommand::Promote(arguments)) => export::promote(&environment, arguments),
        Asked::Replay(arguments) => replay::replay(&environment, arguments),
    }
}

/// A name that nothing has; what does have one is listed, and where that is nothing, `none` says what to do.
fn no_such(what: &str, name: &str, there: &[String], none: &str) -> Failure {
    let others = match there {
        [] => none.to_owned(),
        there => format!("there are: {}", there.join(", ")),
    };
    Failure::Usage(anyhow!("there is no {what} `{name}`; {others}"))
}

fn no_such_workspace(name: &str, there: &[String]) -> Failure {
    let none = "this database has none yet. Start the service on it once (`iofold serve`), which makes them, or name \
                the service's database in DATABASE_URL";
    no_such("workspace", name, there, none)
}

/// The file of the embedded database, where there is none yet.
fn missing_database(url: &str) -> Option<&Path> {
    let path = embedded_path(url).map(Path::new);
    path.filter(|path| !path.exists())
}

/// Says so where a command makes the embedded database: in the wrong folder nobody would look for it.
fn say_if_new(database_url: &str) {
    if let Some(path) = missing_database(database_url) {
        terminal::complain(&format!(
            "There was no database at {} yet: it is made now. If the service has another, name it in DATABASE_URL.",
            path.display()
        ));
    }
}

/// Logs go to standard error.
fn log_to_stderr(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::Usage(anyhow!(
            "RUST_LOG cannot be read ({error}). Set it to iofold=debug, say"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
