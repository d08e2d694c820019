//! The statistics of reports: pure functions over counts, with no I/O.
//!
//! The positive class is **fail**, everywhere. What is undefined is `None`: never 0, never NaN. Counts
//! are `f64`, for those of a repeated cross-validation are means.

mod alpha;
mod bootstrap;
mod confusion;
mod fall;
mod interval;
mod kappa;
mod paired;

pub use alpha::krippendorff_alpha;
pub use bootstrap::kappa_interval;
pub use confusion::Confusion;
pub use fall::has_fallen;
pub use interval::{Interval, clopper_pearson, wilson};
pub use kappa::cohen_kappa;
pub use paired::Paired;
