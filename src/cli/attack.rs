use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::time::Instant;

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use crate::config::{self, Environment};
use crate::sandbox::attacks::{Ending, Suite, THEMES, Theme};

/// Attacks the sandbox on this host, and prints what was tried and what stopped it.
pub fn attack(environment: &Environment, theme: Option<&str>) -> Result<(), Failure> {
    let start = Instant::now();
    let themes = chosen(theme)?;
    let worker = crate::sandbox::this_program();
    let suite =
        Suite::open(&worker, &config::cache_dir(environment)).map_err(anyhow::Error::from)?;
    suite.check_judge().map_err(anyhow::Error::msg)?;
    let rows = tried(&suite, &themes);
    print(&rows, start).context("the table can't be printed")?;
    let fine = |row: &Row| matches!(row.ending, Ending::Held(_) | Ending::Skipped(_));
    match rows.iter().all(fine) {
        true => Ok(()),
        false => Err(Failure::Quiet(3)),
    }
}

fn chosen(theme: Option<&str>) -> Result<Vec<Theme>, Failure> {
    let Some(name) = theme else {
        return Ok(THEMES.to_vec());
    };
    let names = THEMES.iter().map(|theme| theme.name);
    let themes = THEMES.iter().filter(|theme| theme.name == name);
    let chosen: Vec<Theme> = themes.copied().collect();
    if chosen.is_empty() {
        let known = names.collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(anyhow!(
            "no attacks are called {name}; there are: {known}"
        )));
    }
    Ok(chosen)
}

/// An attack that was tried.
struct Row {
    theme: &'static str,
    name: &'static str,
    ending: Ending,
}

fn tried(suite: &Suite, themes: &[Theme]) -> Vec<Row> {
    let attacks =
        (themes.iter()).flat_map(|theme| theme.attacks.iter().map(|attack| (theme.name, attack)));
    let bar = bar(attacks.clone().count() as u64);
    let rows = attacks.map(|(theme, attack)| {
        bar.set_message(attack.name);
        let ending = suite.run(attack);
        bar.inc(1);
        Row {
            theme,
            name: attack.name,
            ending,
        }
    });
    let rows = rows.collect();
    bar.finish_and_clear();
    rows
}

/// A bar on a terminal, nothing in a pipe.
fn bar(attacks: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(attacks);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print(rows: &[Row], start: Instant) -> io::Result<()> {
    let mut out = stdout().lock();
    let width = rows.iter().map(|row| row.name.len()).max();
    let width = width.unwrap_or_default();
    let mut theme = "";
    for row in rows {
        if row.theme != theme {
            theme = row.theme;
            writeln!(out, "{theme}")?;
        }
        let (word, how) = shown(&row.ending);
        writeln!(out, "  {word:7}  {:width$}  {how}", row.name)?;
    }
    let held = rows
        .iter()
        .filter(|row| matches!(row.ending, Ending::Held(_)));
    let (held, tried) = (held.count(), rows.len());
    let seconds = start.elapsed().as_secs();
    writeln!(
        out,
        "{held} of {tried} attacks were stopped, in {seconds} s"
    )
}

fn shown(ending: &Ending) -> (&'static str, &str) {
    match ending {
        Ending::Held(how) => ("held", how),
        Ending::Through(how) => ("THROUGH", how),
        Ending::Unclear(how) => ("UNCLEAR", how),
        Ending::Skipped(how) => ("skipped", how),
    }
}
