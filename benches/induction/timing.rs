//! How long an attempt takes, on answers of 4 KB.

use std::time::Instant;

use anyhow::ensure;
use iofold::domain::{LabelledTrace, Thumb};

/// Labels, and the seconds that they may take on 2 cores.
const SIZES: [(usize, f64); 2] = [(100, 2.0), (2_000, 20.0)];
const ANSWER_BYTES: usize = 4_096;

/// Prints the seconds for each of [`SIZES`], where there is a rule to find, so that no test ends early, and where there is
/// none.
///
/// # Errors
///
/// Where all labels made are of one class: an attempt then ends at once.
pub fn print(labels: &[LabelledTrace], attempt: impl Fn(&[LabelledTrace])) -> anyhow::Result<()> {
    println!("labels  answers     rule  seconds  bar");
    for (count, bar) in SIZES {
        for has_rule in [true, false] {
            let made = made(labels, count, has_rule);
            let of = |thumb| made.iter().any(|label| label.label == thumb);
            ensure!(
                of(Thumb::Up) && of(Thumb::Down),
                "the labels made are of one class"
            );
            let start = Instant::now();
            attempt(&made);
            let seconds = start.elapsed().as_secs_f64();
            let (rule, met) = (
                if has_rule { "yes" } else { "no" },
                if seconds < bar { "met" } else { "not met" },
            );
            println!("{count:>6}     4 KB {rule:>8} {seconds:>8.2}  < {bar} {met}");
        }
    }
    Ok(())
}

/// So many labels, each answer made of neighbouring rows' answers.
fn made(labels: &[LabelledTrace], count: usize, has_rule: bool) -> Vec<LabelledTrace> {
    let answers: Vec<&str> = labels
        .iter()
        .map(|label| label.trace.output_text.as_str())
        .collect();
    let made = |index: usize| {
        let mut label = labels[index % labels.len()].clone();
        label.id = format!("made-{index}");
        label.group.clone_from(&label.id);
        label.votes.clear();
        let others =
            (0..answers.len()).map(|step| answers[(index * 7 + step * 31) % answers.len()]);
        let mut answer = String::new();
        for part in others {
            answer.push_str(part);
            answer.push('\n');
            if answer.len() >= ANSWER_BYTES {
                break;
            }
        }
        let is_good = if has_rule {
            answer.contains(" because ")
        } else {
            index.is_multiple_of(3)
        };
        label.label = if is_good { Thumb::Up } else { Thumb::Down };
        label.trace.output_text = answer;
        label
    };
    (0..count).map(made).collect()
}
