//! How an eval was made, in words: by what, at what cost, and what an LLM gains over rules.

use super::figures::Report;
use super::words::counted;
use crate::domain::one_line;
use crate::generate::{Comparison, Descent, Gain, Maker, Making, Over};
use crate::llm::Usage;
use crate::slack::cut;

/// Characters of a criterion, which an LLM wrote.
const CRITERION_MAX: usize = 200;
/// Characters of a change, which an LLM may have written.
const CHANGE_MAX: usize = 300;

/// What is known of it, each with its name; the texts of criteria are hostile.
pub fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let Some(making) = &report.making else {
        return Vec::new();
    };
    let mut rows = vec![("Made by", made_by(making))];
    let criteria = making.criteria.iter().map(|criterion| one_line(criterion));
    rows.extend(criteria.map(|criterion| ("People judge by", cut(&criterion, CRITERION_MAX))));
    rows.extend(making.gain.iter().flat_map(gain));
    rows.extend(making.descent.iter().flat_map(descent));
    if making.usage.calls > 0 {
        rows.push(("This attempt's cost", cost(&making.usage)));
    }
    let judge = making.judge_cost_per_thousand_usd;
    rows.extend(judge.map(|usd| {
        (
            "Cost of judge",
            format!("at least {} a thousand traces", dollars(usd)),
        )
    }));
    rows
}

fn made_by(making: &Making) -> String {
    match (making.generator, making.kind) {
        (Maker::Rules, _) => "rules".to_owned(),
        (Maker::Person, _) => "a person".to_owned(),
        (Maker::Llm, None) => "an LLM".to_owned(),
        (Maker::Llm, Some(kind)) => format!("an LLM ({})", kind.as_str()),
    }
}

/// "$0.12 for 18 calls (120000 tokens read, 9000 written)".
pub fn cost(usage: &Usage) -> String {
    let price = usage
        .cost_usd
        .map_or_else(|| "unknown price".to_owned(), dollars);
    let read = usage.input_tokens + usage.cached_tokens + usage.cache_written_tokens;
    let calls = counted(usage.calls as f64, "call");
    let written = usage.output_tokens;
    format!("{price} for {calls} ({read} tokens read, {written} written)")
}

/// Below a cent, to its first two figures.
fn dollars(usd: f64) -> String {
    match usd {
        0.0 => "$0".to_owned(),
        0.01.. => format!("${usd:.2}"),
        _ => {
            let places = (2.0 - usd.log10().floor() - 1.0).clamp(2.0, 9.0);
            format!("${usd:.0$}", places as usize)
        }
    }
}

fn gain(gain: &Gain) -> Vec<(&'static str, String)> {
    let over = match gain.over {
        Over::Rules => "LLM over rules",
        Over::MajorityGuess => "LLM over guess",
    };
    let development = (gain.unseen.n > 0).then(|| {
        let compared = compared(&gain.unseen, "development label");
        format!("{compared}, each unseen by both")
    });
    let held_out = gain.held_out.as_ref();
    let held_out = held_out.map(|held_out| compared(held_out, "held-out label"));
    let rows = development.into_iter().chain(held_out);
    rows.map(|said| (over, said)).collect()
}

/// What became of the version before; sentences of an LLM's are hostile.
fn descent(descent: &Descent) -> Vec<(&'static str, String)> {
    let changes = descent.changes.iter().map(|change| one_line(change));
    let mut rows: Vec<_> = changes
        .map(|change| ("Changed", cut(&change, CHANGE_MAX)))
        .collect();
    rows.extend(descent.why.iter().map(|why| ("Why", why.clone())));
    let compared = descent.versus.iter().chain(&descent.versus_fresh);
    rows.extend(compared.map(|versus| ("Old and new", versus.sentence())));
    rows
}

/// "+21 points (95 % interval 2 to 38, p 0.18) on 24 labels: 7 wins, 2 losses".
fn compared(comparison: &Comparison, what: &str) -> String {
    format!(
        "{} on {}: {} won, {} lost",
        comparison.gained(),
        counted(comparison.n as f64, what),
        comparison.wins,
        comparison.losses,
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::generate::written::Kind;
    use crate::report::figures::tests::many;
    use crate::stats::Paired;

    /// By an LLM that asks and gains.
    pub fn by_an_llm() -> Making {
        let of = |both, wins, losses, neither| {
            Comparison::from(Paired {
                both,
                wins,
                losses,
                neither,
            })
        };
        Making {
            generator: Maker::Llm,
            kind: Some(Kind::Hybrid),
            criteria: vec![
                "A good answer names its source.".to_owned(),
                "It is\nshort.".to_owned(),
            ],
            usage: Usage {
                calls: 18,
                input_tokens: 20_000,
                cached_tokens: 100_000,
                output_tokens: 9_000,
                cost_usd: Some(0.1234),
                ..Usage::default()
            },
            gain: Some(Gain {
                over: Over::Rules,
                unseen: of(12, 7, 2, 3),
                held_out: Some(of(10, 0, 0, 6)),
            }),
            judge_cost_per_thousand_usd: Some(0.004_567),
            descent: None,
            notes: Vec::new(),
        }
    }

    fn said(making: Option<Making>) -> String {
        let mut report = many();
        report.making = making;
        let rows = rows(&report).into_iter();
        rows.map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn what_an_llm_gains_and_costs_stands_beside_each_other() {
        insta::assert_snapshot!(said(Some(by_an_llm())), @"
        Made by: an LLM (hybrid)
        People judge by: A good answer names its source.
        People judge by: It is short.
        LLM over rules: +21 points (95 % interval -4 to 43, p 0.18) on 24 development labels: 7 won, 2 lost, each unseen by both
        LLM over rules: +0 points (95 % interval -12 to 12) on 16 held-out labels: 0 won, 0 lost
        This attempt's cost: $0.12 for 18 calls (120000 tokens read, 9000 written)
        Cost of judge: at least $0.0046 a thousand traces
        ");
    }

    #[test]
    fn rules_cost_nothing_and_what_nobody_knows_is_not_said() {
        assert_eq!(said(Some(Making::by_rules())), "Made by: rules");
        assert_eq!(said(None), "");
        let unpriced = Usage {
            calls: 1,
            ..Usage::default()
        };
        assert_eq!(
            cost(&unpriced),
            "unknown price for 1 call (0 tokens read, 0 written)"
        );
    }

    #[test]
    fn small_sums_keep_two_figures() {
        for (usd, shown) in [
            (0.0, "$0"),
            (12.345, "$12.35"),
            (0.01, "$0.01"),
            (0.004_567, "$0.0046"),
            (1e-12, "$0.000000000"),
        ] {
            assert_eq!(dollars(usd), shown);
        }
    }

    #[test]
    fn without_a_difference_there_is_no_test_and_no_minus_before_nothing() {
        let none = Comparison::from(Paired::default());
        assert_eq!(
            compared(&none, "label"),
            "undefined on 0 labels: 0 won, 0 lost"
        );
        let same = Comparison::from(Paired {
            both: 3,
            ..Paired::default()
        });
        assert!(
            compared(&same, "label").starts_with("+0 points"),
            "{}",
            compared(&same, "label")
        );
    }
}
