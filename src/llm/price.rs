use std::collections::BTreeMap;

use serde::Deserialize;

use super::Usage;

/// US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Read, and neither from a cache nor into one.
    pub input: f64,
    /// Read from the provider's cache.
    pub cached: f64,
    /// Written to it, for five minutes.
    pub cache_written: f64,
    /// Written, thinking included.
    pub output: f64,
    /// Prompts above a length cost more.
    long: Option<Long>,
}

/// What a prompt of more than `over` tokens, cached ones included, costs: multiples of the price.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Long {
    over: u64,
    input_times: f64,
    output_times: f64,
}

impl Price {
    const fn new(input: f64, cached: f64, cache_written: f64, output: f64) -> Self {
        Self {
            input,
            cached,
            cache_written,
            output,
            long: None,
        }
    }

    const fn above(self, over: u64, input_times: f64, output_times: f64) -> Self {
        let long = Some(Long {
            over,
            input_times,
            output_times,
        });
        Self { long, ..self }
    }

    /// What one request with these tokens costs, in US dollars.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let read = usage.input_tokens + usage.cached_tokens + usage.cache_written_tokens;
        let long = self.long.filter(|long| read > long.over);
        let (input_times, output_times) =
            long.map_or((1.0, 1.0), |long| (long.input_times, long.output_times));
        let input = usage.input_tokens as f64 * self.input
            + usage.cached_tokens as f64 * self.cached
            + usage.cache_written_tokens as f64 * self.cache_written;
        let output = usage.output_tokens as f64 * self.output;
        (input * input_times + output * output_times) / 1e6
    }
}

/// Above 272,000 tokens, OpenAI's newer models cost twice as much to read and half as much again to write.
const OPENAI_LONG: (u64, f64, f64) = (272_000, 2.0, 1.5);

const fn openai(input: f64, cached: f64, output: f64) -> Price {
    // Since GPT-5.6, what is written to the cache costs a quarter more than what is read; before, it cost the same.
    Price::new(input, cached, input * 1.25, output).above(
        OPENAI_LONG.0,
        OPENAI_LONG.1,
        OPENAI_LONG.2,
    )
}

/// Standard prices of well-known models, November 2026. Sources: platform.claude.com/docs/en/about-claude/pricing
/// and developers.openai.com/api/docs/pricing, by way of the Python package `genai-prices` 0.2.3, which keeps them.
const KNOWN: [(&str, Price); 35] = [
    ("claude-fable-5-2", Price::new(8.0, 0.2, 10.0, 40.0)),
    ("claude-fable-5-1", Price::new(10.0, 0.25, 12.5, 50.0)),
    ("claude-fable-5", Price::new(10.0, 1.0, 12.5, 50.0)),
    ("claude-opus-5-5", Price::new(4.0, 0.2, 5.0, 20.0)),
    ("claude-opus-5", Price::new(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4-8", Price::new(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4-7", Price::new(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4-6", Price::new(5.0, 0.5, 6.25, 25.0)),
    ("claude-opus-4-5", Price::new(5.0, 0.5, 6.25, 25.0)),
    ("claude-sonnet-5-5", Price::new(2.0, 0.1, 2.5, 10.0)),
    ("claude-sonnet-5", Price::new(2.0, 0.2, 2.5, 10.0)),
    ("claude-sonnet-4-6", Price::new(3.0, 0.3, 3.75, 15.0)),
    (
        "claude-sonnet-4-5",
        Price::new(3.0, 0.3, 3.75, 15.0).above(200_000, 2.0, 1.5),
    ),
    (
        "claude-haiku-5-5",
        Price::new(0.1, 0.01, 0.125, 0.5).above(100_000, 5.0, 5.0),
    ),
    ("claude-haiku-4-5", Price::new(1.0, 0.1, 1.25, 5.0)),
    ("gpt-6-astra", openai(10.0, 1.0, 50.0)),
    ("gpt-6.1-sol", openai(2.0, 0.1, 10.0)),
    ("gpt-6.1-terra", openai(1.0, 0.05, 5.0)),
    ("gpt-6-sol", openai(2.0, 0.2, 10.0)),
    ("gpt-6-luna", openai(0.1, 0.01, 0.5)),
    ("gpt-5.6-sol", openai(4.0, 0.4, 20.0)),
    ("gpt-5.6-terra", openai(2.0, 0.2, 12.0)),
    ("gpt-5.6-luna", openai(0.2, 0.02, 1.2)),
    ("gpt-5.5", openai(5.0, 0.5, 30.0)),
    ("gpt-5.4", openai(2.5, 0.25, 15.0)),
    ("gpt-5.4-mini", Price::new(0.75, 0.075, 0.75, 4.5)),
    ("gpt-5.4-nano", Price::new(0.2, 0.02, 0.2, 1.25)),
    ("gpt-5.2", Price::new(1.75, 0.175, 1.75, 14.0)),
    ("gpt-5.1", Price::new(1.25, 0.125, 1.25, 10.0)),
    ("gpt-5", Price::new(1.25, 0.125, 1.25, 10.0)),
    ("gpt-5-mini", Price::new(0.25, 0.025, 0.25, 2.0)),
    ("gpt-4.1", Price::new(2.0, 0.5, 2.0, 8.0)),
    ("gpt-4.1-mini", Price::new(0.4, 0.1, 0.4, 1.6)),
    ("gpt-4o", Price::new(2.5, 1.25, 2.5, 10.0)),
    ("gpt-4o-mini", Price::new(0.15, 0.075, 0.15, 0.6)),
];

/// What models cost: those of the table, and those that were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(BTreeMap<String, Price>);

/// A price as it is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    input: f64,
    output: f64,
    cached: Option<f64>,
    cache_written: Option<f64>,
}

impl Prices {
    /// Reads `{"a-model": {"input": 1.0, "output": 5.0, "cached": 0.1, "cache_written": 1.25}}`, in US dollars per
    /// million tokens; the last two are as `input` where they are left out.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn parse(json: &str) -> Result<Self, String> {
        let given: BTreeMap<String, Given> =
            serde_json::from_str(json).map_err(|error| error.to_string())?;
        let prices = given.into_iter().map(|(model, given)| {
            let cached = given.cached.unwrap_or(given.input);
            let written = given.cache_written.unwrap_or(given.input);
            let all = [given.input, cached, written, given.output];
            match all.iter().all(|price| price.is_finite() && *price >= 0.0) {
                true => Ok((model, Price::new(all[0], all[1], all[2], all[3]))),
                false => Err(format!("a price of {model} is below 0")),
            }
        });
        Ok(Self(prices.collect::<Result<_, _>>()?))
    }

    /// What the model costs, by its name or by the name that a date follows; `None` where that is not known.
    pub fn of(&self, model: &str) -> Option<Price> {
        if let Some(given) = self.0.get(model) {
            return Some(*given);
        }
        let known = KNOWN.iter().find(|(name, _)| {
            let rest = model.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || is_date(rest))
        });
        known.map(|(_, price)| *price)
    }
}

/// `-20251001`, `-2025-10-01` or `-latest`: names of a model's snapshots end so.
fn is_date(ending: &str) -> bool {
    let digits = ending.chars().filter(char::is_ascii_digit).count();
    let is_numeric = ending.chars().all(|c| c == '-' || c.is_ascii_digit());
    ending == "-latest" || (ending.starts_with('-') && is_numeric && digits == 8)
}

/// What `judge` costs a thousand traces, in US dollars: from what it took for `traces` of them. `None` where that
/// was none, or where a price is not known. Answers that were remembered cost nothing, so this is what it did cost,
/// and less than traces without any repetition would.
pub fn cost_per_thousand(usage: &Usage, traces: u64) -> Option<f64> {
    let cost = usage.cost_usd?;
    (traces > 0).then(|| cost * 1000.0 / traces as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
        Usage {
            calls: 1,
            input_tokens: input,
            cached_tokens: cached,
            cache_written_tokens: written,
            output_tokens: output,
            cost_usd: None,
        }
    }

    fn of(model: &str) -> Price {
        Prices::default().of(model).expect("it is well known")
    }

    #[test]
    fn a_million_tokens_of_each_kind_cost_what_the_page_says() {
        let opus = of("claude-opus-5-5");
        let million = 1_000_000;
        for (usage, dollars) in [
            (usage(million, 0, 0, 0), 4.0),
            (usage(0, million, 0, 0), 0.2),
            (usage(0, 0, million, 0), 5.0),
            (usage(0, 0, 0, million), 20.0),
            (usage(million, million, million, million), 29.2),
            (usage(0, 0, 0, 0), 0.0),
        ] {
            assert!((opus.cost(&usage) - dollars).abs() < 1e-9, "{usage:?}");
        }
    }

    #[test]
    fn a_long_prompt_is_dearer_as_a_whole_and_cached_tokens_make_it_long() {
        let luna = of("gpt-6-luna");
        assert!((luna.cost(&usage(272_000, 0, 0, 1_000)) - 0.0277).abs() < 1e-9);
        let long = luna.cost(&usage(1, 272_000, 0, 1_000));
        assert!((long - (2e-7 + 0.00544 + 0.00075)).abs() < 1e-9, "{long}");
    }

    #[test]
    fn snapshots_cost_what_their_model_does_and_other_models_are_not_taken_for_it() {
        for known in [
            "claude-haiku-4-5-20251001",
            "gpt-4.1-2025-04-14",
            "gpt-5-latest",
        ] {
            assert!(Prices::default().of(known).is_some(), "{known}");
        }
        for unknown in ["gpt-5.4-pro", "gpt-4.1-nano", "gpt-5-pro", "llama3", ""] {
            assert_eq!(Prices::default().of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn given_prices_win_and_wrong_ones_are_refused() {
        let prices = Prices::parse(
            r#"{"gpt-5": {"input": 1, "output": 2}, "local": {"input": 0, "output": 0}}"#,
        );
        let prices = prices.expect("they are prices");
        assert_eq!(prices.of("gpt-5"), Some(Price::new(1.0, 1.0, 1.0, 2.0)));
        assert_eq!(
            prices.of("local").map(|p| p.cost(&usage(9, 9, 9, 9))),
            Some(0.0)
        );
        for wrong in [
            "",
            "{",
            "[]",
            r#"{"m": {"input": 1}}"#,
            r#"{"m": {"input": -1, "output": 1}}"#,
            r#"{"m": {"input": 1, "output": 1, "ouput": 1}}"#,
        ] {
            assert!(Prices::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cost_a_thousand_needs_traces_and_a_price() {
        let mut used = usage(1, 1, 1, 1);
        assert_eq!(cost_per_thousand(&used, 10), None);
        used.cost_usd = Some(0.5);
        assert_eq!(cost_per_thousand(&used, 0), None);
        assert_eq!(cost_per_thousand(&used, 250), Some(2.0));
    }

    prop_compose! {
        fn any_usage()(input in 0..50_000u64, cached in 0..25_000u64, written in 0..24_000u64, output in 0..9_000u64)
            -> Usage { usage(input, cached, written, output) }
    }

    proptest! {
        #[test]
        fn costs_add_up_are_never_negative_and_grow_with_each_token(
            at in 0..KNOWN.len(), one in any_usage(), other in any_usage(), more in 1..1_000u64
        ) {
            let price = Price { long: None, ..KNOWN[at].1 };
            let mut both = one.clone();
            both += other.clone();
            let sum = price.cost(&one) + price.cost(&other);
            prop_assert!((price.cost(&both) - sum).abs() < 1e-9);
            prop_assert!(price.cost(&one) >= 0.0);
            let dearer = Usage { output_tokens: one.output_tokens + more, ..one.clone() };
            prop_assert!(KNOWN[at].1.cost(&dearer) > KNOWN[at].1.cost(&one));
        }
    }
}
