//! How large traces are as text for a prompt, and how often one is cut: `cargo bench --bench digest -- FOLDER`, a
//! folder of labelled sets (default: the bundled ones).

use std::path::{Path, PathBuf};

use anyhow::Context;
use iofold::domain::Trace;
use iofold::generate::written::digest;
use iofold::ingest::normalise;
use serde_json::Value;

/// Characters for one trace.
const BUDGET: usize = 4_000;

fn main() -> anyhow::Result<()> {
    let arguments = std::env::args().skip(1);
    let folder = arguments
        .into_iter()
        .find(|argument| !argument.starts_with('-'));
    let folder =
        folder.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/examples").to_owned());
    println!(
        "| set | traces | characters, median | largest | cut at {BUDGET} | characters kept, where cut |"
    );
    println!("|---|---|---|---|---|---|");
    for path in sets(Path::new(&folder))? {
        let traces = traces(&path).with_context(|| path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        println!("{}", row(&name, &traces));
    }
    Ok(())
}

fn sets(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    });
    paths.sort();
    Ok(paths)
}

fn traces(path: &Path) -> anyhow::Result<Vec<Trace>> {
    let text = std::fs::read_to_string(path)?;
    let read = |line| {
        let mut line: Value = serde_json::from_str(line)?;
        Ok(normalise(&serde_json::from_value(line["trace"].take())?))
    };
    text.lines().map(read).collect()
}

fn row(name: &str, traces: &[Trace]) -> String {
    let chars = |trace: &Trace, budget| digest(trace, budget).text.chars().count();
    let mut whole: Vec<usize> = traces
        .iter()
        .map(|trace| chars(trace, usize::MAX))
        .collect();
    whole.sort_unstable();
    let cut: Vec<_> = traces
        .iter()
        .map(|trace| digest(trace, BUDGET))
        .filter(|digest| !digest.left_out.is_empty())
        .collect();
    let kept: usize = cut.iter().map(|digest| digest.text.chars().count()).sum();
    let kept = kept
        .checked_div(cut.len())
        .map_or_else(|| "-".to_owned(), |kept| kept.to_string());
    let share = 100.0 * cut.len() as f64 / traces.len() as f64;
    let (median, largest) = (whole[whole.len() / 2], whole[whole.len() - 1]);
    format!(
        "| `{name}` | {} | {median} | {largest} | {share:.1} % | {kept} |",
        traces.len()
    )
}
