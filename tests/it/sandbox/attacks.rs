//! The attack suite, as `iofold doctor --attack` runs it on a user's host.

use iofold::sandbox::attacks::{Ending, Suite, THEMES};

use super::*;
use crate::support::iofold;

fn suite() -> Suite {
    let suite = Suite::open(program(), &cache_folder()).expect("the sandbox opens");
    suite.with_deadline(patient().deadline)
}

/// Each attack of the theme is stopped, and its twin is not.
fn holds_against(theme: &str) {
    let mut themes = THEMES.iter().filter(|known| known.name == theme);
    let theme = themes.next().expect("there is such a theme");
    let suite = suite();
    let endings = theme
        .attacks
        .iter()
        .map(|attack| (attack.name, suite.run(attack)));
    let is_stopped = |ending: &Ending| matches!(ending, Ending::Held(_) | Ending::Skipped(_));
    let others: Vec<_> = endings.filter(|(_, ending)| !is_stopped(ending)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// A test for each theme, and one that counts.
macro_rules! themes {
    ($($test:ident: $theme:literal,)*) => {
        $(
            #[test]
            fn $test() {
                holds_against($theme);
            }
        )*

        #[test]
        fn every_theme_is_tested() {
            let known: Vec<_> = THEMES.iter().map(|theme| theme.name).collect();
            assert_eq!(known, [$($theme),*]);
            let attacks: usize = THEMES.iter().map(|theme| theme.attacks.len()).sum();
            assert!(attacks >= 200, "{attacks}");
        }
    };
}

themes! {
    files_are_not_reached: "files",
    nothing_connects: "network",
    no_process_starts_or_ends: "processes",
    the_environment_is_not_seen: "environment",
    the_clock_is_not_read: "clock",
    no_thread_and_no_native_code_runs: "threads",
    who_rewrites_the_interpreter_spoils_their_own_answer: "interpreter",
    who_forges_memory_stays_in_it: "forged-memory",
    hostile_verdicts_are_read_as_what_they_are: "verdicts",
    loops_are_stopped: "loops",
    memory_bombs_and_floods_are_stopped: "memory",
    depth_is_stopped: "depth",
    sizes_are_limited: "sizes",
    there_is_no_later_call_to_fool: "later-calls",
    a_hostile_guest_is_read_as_one: "guests",
    the_second_wall_stands_alone: "second-wall",
}

#[test]
fn the_judge_notices_what_gets_through() {
    suite().check_judge().expect("it is noticed");
}

#[test]
fn an_attack_on_the_command_line_says_what_stopped_it() {
    let canary = format!("canary-{:032x}", rand::random::<u128>());
    let output = iofold()
        .args(["doctor", "--attack=environment"])
        .env("HOST_CANARY", &canary)
        .output()
        .expect("it runs");
    let (table, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{table}{errors}");
    assert!(errors.is_empty(), "no progress in a pipe: {errors}");
    assert!(!table.contains(&canary), "{table}");
    let words: Vec<&str> = table.split_whitespace().collect();
    let stopped = "held the environment is read from /proc Python: an eval can't open files";
    assert!(table.starts_with("environment\n"), "{table}");
    assert!(words.join(" ").contains(stopped), "{table}");
    assert!(
        table.contains("\n7 of 7 attacks were stopped, in "),
        "{table}"
    );
}

#[test]
fn attacks_of_an_unknown_name_are_wrong_usage() {
    let output = iofold().args(["doctor", "--attack=everything"]).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("there are: files, network, "), "{errors}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
