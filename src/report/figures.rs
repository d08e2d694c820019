use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::{AnnotatorLabel, Class, Criterion, Thumb, Verdict};
use crate::explain::Mutations;
use crate::generate::{CrossValidation, Making};
use crate::stats::{
    Confusion, Interval, clopper_pearson, kappa_interval, krippendorff_alpha, wilson,
};

/// Below this many labels every report says *provisional*.
const PROVISIONAL_BELOW: u64 = 30;
/// Unseen labels from fewer traces than this are shown, but cross-validation is quoted before them.
const QUOTED_FROM: u64 = 10;

/// One labelled trace and what the eval made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    label: Class,
    judgement: Judgement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Verdict(Class),
    Abstained,
    Errored,
}

impl Judged {
    /// A label and the eval's verdict on the trace; no verdict means that the eval errored.
    pub fn new(label: Class, verdict: Option<Verdict>) -> Self {
        let judgement = match verdict.map(Verdict::class) {
            Some(Some(class)) => Judgement::Verdict(class),
            Some(None) => Judgement::Abstained,
            None => Judgement::Errored,
        };
        Self { label, judgement }
    }

    /// Whether people and the eval say the same; `None` where it gave no verdict.
    pub fn agrees(&self) -> Option<bool> {
        match self.judgement {
            Judgement::Verdict(class) => Some(class == self.label),
            Judgement::Abstained | Judgement::Errored => None,
        }
    }

    /// Whether people and the eval say pass.
    pub fn both_pass(&self) -> bool {
        self.label == Class::Pass && self.judgement == Judgement::Verdict(Class::Pass)
    }
}

/// What people say, whatever the eval says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct People {
    labels: LabelCounts,
    annotators: Option<u64>,
    alpha: Option<f64>,
    compared: u64,
}

impl People {
    /// From the consensus label and the annotators' own labels of every labelled trace.
    ///
    /// A 😐 is not a class: for people's own agreement it is a missing value.
    pub fn of<'a>(traces: impl IntoIterator<Item = (Thumb, &'a [AnnotatorLabel])>) -> Self {
        let mut labels = LabelCounts::default();
        let mut names = BTreeSet::new();
        let mut units = Vec::new();
        for (consensus, own) in traces {
            labels.add(consensus);
            names.extend(own.iter().map(|label| &label.annotator));
            let classes = own.iter().filter_map(|label| label.label.class());
            units.push(classes.collect::<Vec<Class>>());
        }
        Self {
            labels,
            annotators: (!names.is_empty()).then_some(names.len() as u64),
            alpha: krippendorff_alpha(&units),
            compared: units.iter().filter(|unit| unit.len() >= 2).count() as u64,
        }
    }
}

/// How many labelled traces there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCounts {
    /// 👍
    pub pass: u64,
    /// 👎
    pub fail: u64,
    /// 😐, which is not a class: left out of every figure.
    pub neutral: u64,
}

impl LabelCounts {
    fn add(&mut self, label: Thumb) {
        *match label {
            Thumb::Up => &mut self.pass,
            Thumb::Down => &mut self.fail,
            Thumb::Neutral => &mut self.neutral,
        } += 1;
    }

    /// Labels that can test an eval.
    pub fn decided(&self) -> u64 {
        self.pass + self.fail
    }
}

/// All that a report is made from.
pub struct Evidence<'a> {
    /// The question that the eval answers.
    pub criterion: Option<Criterion>,
    /// What made the eval; `None` where nobody says.
    pub generator: Option<String>,
    /// How many candidates the eval is the best of; `None` where nobody says.
    pub candidates_tried: Option<u64>,
    /// How it was made; `None` where nobody says.
    pub making: Option<&'a Making>,
    /// What people say.
    pub people: People,
    /// Labels that were there when the eval was made, and that it has not seen.
    pub held_out: &'a [Judged],
    /// Labels that took part in making the eval, each judged by evals that had not seen it.
    pub cross_validated: Option<&'a CrossValidation>,
    /// Labels given after the eval was frozen.
    pub fresh: &'a [Judged],
}

/// Which labels a figure is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Labels kept back when the eval was made.
    HeldOut,
    /// Labels used to make the eval, each judged by evals made without it.
    CrossValidated,
    /// Labels given after the eval was frozen.
    Fresh,
}

/// How an eval does on one kind of labels. Undefined figures are `None`; positive is **fail**.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Labelled traces on which the eval gave a verdict; all rates are over these.
    pub n: u64,
    /// The share of them where verdict and label are the same.
    pub agreement: Option<f64>,
    /// Wilson's.
    pub agreement_interval: Option<Interval>,
    /// The share of people's fails that the eval catches.
    pub tpr: Option<f64>,
    /// Wilson's.
    pub tpr_interval: Option<Interval>,
    /// The share of people's passes that the eval lets pass; false alarms are the rest.
    pub tnr: Option<f64>,
    /// Wilson's.
    pub tnr_interval: Option<Interval>,
    /// Cohen's.
    pub kappa: Option<f64>,
    /// The bootstrap's.
    pub kappa_interval: Option<Interval>,
    /// What always guessing the larger class would agree.
    pub majority: Option<f64>,
    /// The share of labelled traces on which the eval gave a verdict.
    pub coverage: Option<f64>,
    /// Traces on which the eval abstained; a mean over repeats where it is cross-validated.
    #[serde(serialize_with = "whole_where_it_is")]
    pub abstained: f64,
    /// Traces on which the eval errored.
    pub errors: u64,
    /// The table behind the rates; means over repeats where it is cross-validated.
    pub confusion: Confusion,
}

impl Figures {
    /// `None` where no label is of this kind.
    fn of_judged(judged: &[Judged]) -> Option<Self> {
        let verdicts = judged.iter().filter_map(|one| match one.judgement {
            Judgement::Verdict(class) => Some(Confusion::of(one.label, class)),
            Judgement::Abstained | Judgement::Errored => None,
        });
        let count = |what| judged.iter().filter(|one| one.judgement == what).count();
        let figures = Self::new(
            &verdicts.collect::<Vec<_>>(),
            1.0,
            count(Judgement::Abstained) as f64,
            count(Judgement::Errored) as u64,
        );
        (!judged.is_empty()).then_some(figures)
    }

    /// Rates are means over the repeats, n is the number of traces: repeating adds no label.
    fn of_folds(folds: &CrossValidation) -> Option<Self> {
        let repeats = f64::from(folds.repeats.max(1));
        let said = folds.labels.iter().map(|label| {
            let mut traces = Confusion::of(label.label, Class::Pass).scaled(label.pass.into());
            traces += Confusion::of(label.label, Class::Fail).scaled(label.fail.into());
            traces
        });
        let traces: Vec<Confusion> = said.filter(|trace| trace.total() > 0.0).collect();
        let abstained: u64 = folds
            .labels
            .iter()
            .map(|label| u64::from(label.abstained))
            .sum();
        let figures = Self::new(&traces, repeats, abstained as f64 / repeats, 0);
        (!folds.labels.is_empty()).then_some(figures)
    }

    fn new(traces: &[Confusion], repeats: f64, abstained: f64, errors: u64) -> Self {
        let confusion = traces
            .iter()
            .copied()
            .sum::<Confusion>()
            .scaled(1.0 / repeats);
        let judged = confusion.total() + abstained + errors as f64;
        Self {
            n: traces.len() as u64,
            agreement: confusion.agreement(),
            agreement_interval: wilson(confusion.agreed(), confusion.total()),
            tpr: confusion.true_positive_rate(),
            tpr_interval: wilson(confusion.caught, confusion.fails()),
            tnr: confusion.true_negative_rate(),
            tnr_interval: wilson(confusion.passed, confusion.passes()),
            kappa: confusion.kappa(),
            kappa_interval: kappa_interval(traces),
            majority: confusion.majority(),
            coverage: (judged > 0.0).then(|| (confusion.total() / judged).min(1.0)),
            abstained,
            errors,
            confusion,
        }
    }

    /// Whether agreement is above the majority guess beyond doubt, by the exact interval.
    fn clears_the_majority(&self) -> bool {
        let exact = clopper_pearson(self.confusion.agreed(), self.confusion.total());
        let above = exact
            .zip(self.majority)
            .map(|(exact, majority)| exact.lo > majority);
        above.unwrap_or(false)
    }
}

fn whole_where_it_is<S: Serializer>(count: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if count.fract() == 0.0 {
        serializer.serialize_u64(*count as u64)
    } else {
        serializer.serialize_f64(*count)
    }
}

/// The figures of an eval version: a row, and the `--json` of the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The question that the eval answers; `None` where its source does not say.
    pub criterion: Option<Criterion>,
    /// What made it; `None` where nobody says.
    pub generator: Option<String>,
    /// All labelled traces there are.
    pub labels: LabelCounts,
    /// Different people among them; `None` where labels name nobody.
    pub annotators: Option<u64>,
    /// People's agreement with each other, the ceiling for the eval's: Krippendorff's alpha. `None`
    /// where no trace has thumbs of two people, or where all their thumbs are the same.
    pub people_agreement: Option<f64>,
    /// Traces with a 👍 or 👎 of two people or more, which it is from.
    pub people_agreement_n: u64,
    /// How many candidates the eval is the best of; `None` where nobody says.
    pub candidates_tried: Option<u64>,
    /// Whether there are so few labels that every figure may still move.
    pub provisional: bool,
    /// Whether the eval may be no better than the majority guess, or nothing tests it.
    pub low_confidence: bool,
    /// The figures to quote; `None` where there are none.
    pub headline: Option<Source>,
    /// On labels kept back.
    pub held_out: Option<Figures>,
    /// On labels used, by evals made without them.
    pub cross_validated: Option<Figures>,
    /// On labels given after the eval was frozen.
    pub fresh: Option<Figures>,
    /// Of good answers that were broken on purpose, how many it notices; `None` where there are none, or where nobody
    /// has looked yet.
    #[serde(default)]
    pub mutation: Option<Mutations>,
    /// How the eval was made; `None` where nobody says.
    #[serde(default)]
    pub making: Option<Making>,
    /// What a reader should know before believing the figures, in sentences.
    pub notes: Vec<String>,
}

impl Report {
    /// Works the figures out.
    pub fn new(evidence: &Evidence<'_>) -> Self {
        let people = &evidence.people;
        let mut report = Self {
            criterion: evidence.criterion.clone(),
            generator: evidence.generator.clone(),
            labels: people.labels,
            annotators: people.annotators,
            people_agreement: people.alpha,
            people_agreement_n: people.compared,
            candidates_tried: evidence.candidates_tried,
            provisional: people.labels.decided() < PROVISIONAL_BELOW,
            low_confidence: true,
            headline: None,
            held_out: Figures::of_judged(evidence.held_out),
            cross_validated: evidence.cross_validated.and_then(Figures::of_folds),
            fresh: Figures::of_judged(evidence.fresh),
            mutation: None,
            making: evidence.making.cloned(),
            notes: Vec::new(),
        };
        report.headline = report.choose_headline();
        report.low_confidence = !report
            .quoted()
            .is_some_and(|(_, f)| f.clears_the_majority());
        report.notes = super::words::notes(&report);
        report
    }

    /// Of labels that the eval has not seen, the larger set; from very few of them, cross-validation
    /// first.
    fn choose_headline(&self) -> Option<Source> {
        let n = |source| self.figures(source).map_or(0, |figures| figures.n);
        let unseen = match n(Source::Fresh) > n(Source::HeldOut) {
            true => Source::Fresh,
            false => Source::HeldOut,
        };
        let order = match n(unseen) >= QUOTED_FROM {
            true => [unseen, Source::CrossValidated],
            false => [Source::CrossValidated, unseen],
        };
        order.into_iter().find(|source| n(*source) > 0)
    }

    /// The figures from one kind of labels.
    pub fn figures(&self, source: Source) -> Option<&Figures> {
        match source {
            Source::HeldOut => self.held_out.as_ref(),
            Source::CrossValidated => self.cross_validated.as_ref(),
            Source::Fresh => self.fresh.as_ref(),
        }
    }

    /// The figures to quote, and what they are from.
    pub fn quoted(&self) -> Option<(Source, &Figures)> {
        let source = self.headline?;
        self.figures(source).map(|figures| (source, figures))
    }

    /// The figures beside those to quote.
    pub fn others(&self) -> impl Iterator<Item = (Source, &Figures)> {
        [Source::HeldOut, Source::CrossValidated, Source::Fresh]
            .into_iter()
            .filter(|source| Some(*source) != self.headline)
            .filter_map(|source| self.figures(source).map(|figures| (source, figures)))
    }
}

#[cfg(test)]
#[path = "figures_tests.rs"]
pub(super) mod tests;
