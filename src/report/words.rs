use super::figures::{Figures, Report, Source};
use crate::stats::Interval;

/// With fewer labelled failures there is no headline for how many are caught.
const FAILS_TO_QUOTE: f64 = 10.0;

/// "84 %", or "undefined".
pub fn percent(share: Option<f64>) -> String {
    match share {
        Some(share) => format!("{:.0} %", share * 100.0),
        None => "undefined".to_owned(),
    }
}

/// "70–93 %".
pub fn percents(interval: Interval) -> String {
    format!("{:.0}–{:.0} %", interval.lo * 100.0, interval.hi * 100.0)
}

fn percent_in(share: Option<f64>, interval: Option<Interval>) -> String {
    match interval {
        Some(interval) => format!("{} ({})", percent(share), percents(interval)),
        None => percent(share),
    }
}

/// A count that may be a mean: whole numbers as such, others to one place.
pub fn amount(count: f64) -> String {
    let rounded = (count * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 {
        format!("{rounded:.0}")
    } else {
        format!("{rounded:.1}")
    }
}

/// "1 error", "2 errors".
pub fn counted(count: f64, what: &str) -> String {
    let plural = if amount(count) == "1" { "" } else { "s" };
    format!("{} {what}{plural}", amount(count))
}

/// "38 held-out traces": what figures are from.
pub fn traces_of(source: Source, n: u64) -> String {
    let traces = |kind: &str| counted(n as f64, &format!("{kind}trace"));
    match source {
        Source::HeldOut => traces("held-out "),
        Source::CrossValidated => {
            format!(
                "{}, cross-validated (mean of several rounds)",
                traces("labelled ")
            )
        }
        Source::Fresh => traces("freshly labelled "),
    }
}

/// "84 % (95 % interval 70–93 %) on 38 held-out traces".
pub fn agreement(source: Source, figures: &Figures) -> String {
    let interval = figures
        .agreement_interval
        .map_or_else(String::new, |interval| {
            format!(" (95 % interval {})", percents(interval))
        });
    let traces = traces_of(source, figures.n);
    format!("{}{interval} on {traces}", percent(figures.agreement))
}

/// People's own agreement, the ceiling for any eval's.
pub fn people(report: &Report) -> String {
    let people = match report.annotators {
        Some(annotators) => counted(annotators as f64, "annotator"),
        None => "annotators unknown".to_owned(),
    };
    match report.people_agreement {
        Some(alpha) => {
            let traces = counted(report.people_agreement_n as f64, "trace");
            format!("Krippendorff's alpha {alpha:.2} on {traces} ({people})")
        }
        None => format!(
            "undefined: no trace has two people's thumbs, or all thumbs are the same ({people})"
        ),
    }
}

/// The true positive rate where enough failures are labelled, else how many are lacking.
pub fn failures_caught(figures: &Figures) -> String {
    let fails = figures.confusion.fails();
    let lacking = (FAILS_TO_QUOTE - fails).ceil();
    if lacking > 0.0 {
        return format!("{lacking:.0} more 👎 needed ({} so far)", amount(fails));
    }
    let rate = percent_in(figures.tpr, figures.tpr_interval);
    format!("{rate} of {}", counted(fails, "bad answer"))
}

/// One minus the true negative rate.
pub fn false_alarms(figures: &Figures) -> String {
    let mirrored = |interval: Interval| Interval {
        lo: 1.0 - interval.hi,
        hi: 1.0 - interval.lo,
    };
    let rate = percent_in(
        figures.tnr.map(|tnr| 1.0 - tnr),
        figures.tnr_interval.map(mirrored),
    );
    format!(
        "{rate} of {}",
        counted(figures.confusion.passes(), "good answer")
    )
}

/// Kappa with its interval.
pub fn kappa(figures: &Figures) -> String {
    match (figures.kappa, figures.kappa_interval) {
        (None, _) => "undefined".to_owned(),
        (Some(kappa), None) => format!("{kappa:.2} (interval undefined)"),
        (Some(kappa), Some(Interval { lo, hi })) => format!("{kappa:.2} ({lo:.2} to {hi:.2})"),
    }
}

/// On how many labelled traces the eval gave a verdict, and why not on the rest.
pub fn coverage(figures: &Figures) -> String {
    let abstentions = counted(figures.abstained, "abstention");
    let errors = counted(figures.errors as f64, "error");
    format!("{} ({abstentions}, {errors})", percent(figures.coverage))
}

/// "25 👍 · 13 👎 · 2 😐".
pub fn labels(report: &Report) -> String {
    let labels = report.labels;
    format!(
        "{} 👍 · {} 👎 · {} 😐",
        labels.pass, labels.fail, labels.neutral
    )
}

/// What a reader should know before believing the figures.
pub fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.provisional {
        let labels = counted(report.labels.decided() as f64, "label");
        notes.push(format!(
            "Provisional: there are only {labels}, so every figure may still move a lot."
        ));
    }
    match report.quoted() {
        None => notes.push("Low confidence: no labelled trace tests this eval yet.".to_owned()),
        Some((_, figures)) if report.low_confidence => notes.push(format!(
            "Low confidence: it may agree with people no better than always guessing the larger class, \
             which would be right on {}.",
            percent(figures.majority)
        )),
        Some(_) => {}
    }
    if report.headline == Some(Source::CrossValidated) {
        notes.push(
            "Cross-validated: each label is judged by evals made without it, because there are too few \
             labels to keep some back."
                .to_owned(),
        );
    }
    let making = report.making.as_ref();
    let descent = making.and_then(|making| making.descent.as_ref());
    if report.headline.is_none() && descent.is_some_and(|descent| descent.versus.is_some()) {
        notes.push(
            "Chosen: the labels kept back decided between it and the version before, so they test it no more; labels that are \
             given from now on do."
                .to_owned(),
        );
    }
    notes.extend(
        making
            .into_iter()
            .flat_map(|making| making.notes.iter().cloned()),
    );
    notes
}
