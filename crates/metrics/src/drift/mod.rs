//! Detectors of change in a stream of numbers, such as a model's errors.
//!
//! | detector | watches | memory |
//! |---|---|---|
//! | [`Adwin`] | the mean of a window that grows until it cuts itself | logarithmic in the window |
//! | [`PageHinkley`] | the mean, by a cumulative sum | a few numbers |
//! | [`Ddm`] | an error rate: zeros and ones | a few numbers |
//! | [`Kswin`] | the distribution, by a Kolmogorov-Smirnov test | the window |

mod adwin;
mod ddm;
mod histogram;
mod kswin;
mod page_hinkley;

pub use adwin::{Adwin, AdwinConfig, AfterDrift};
pub use ddm::{Ddm, DdmConfig};
pub use kswin::{Kswin, KswinConfig};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleyConfig};

use crate::Error;

/// What a detector says of the stream so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nothing has changed.
    None,
    /// Something may be changing.
    Warning,
    /// The stream is not what it was.
    Drift,
}

/// Watches a stream of numbers for change.
///
/// After [`Drift::Drift`] a detector starts anew with the next number, unless it says otherwise.
///
/// # Example
///
/// ```
/// use tidemill_metrics::drift::{Adwin, AdwinConfig, Drift, DriftDetector};
///
/// let mut detector = Adwin::new(AdwinConfig::default())?;
/// let errors = (0..400).map(|i| if i < 200 { 0.1 } else { 0.9 });
/// let found: Vec<usize> =
///     errors.enumerate().filter_map(|(i, error)| (detector.update(error) == Drift::Drift).then_some(i)).collect();
/// assert_eq!(found, [223]);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub trait DriftDetector: Send {
    /// What detects, such as `adwin`.
    fn name(&self) -> &str;

    /// Takes in the next number.
    ///
    /// A number that is not finite is no value of any distribution: it is [`Drift::Drift`], and otherwise ignored.
    fn update(&mut self, x: f64) -> Drift;

    /// Forgets all numbers.
    fn reset(&mut self);

    /// All that has been learned, as numbers. Settings are not part of it.
    fn state(&self) -> Vec<f64>;

    /// Takes over a [`state`](DriftDetector::state), bit for bit.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is not the state of such a detector with the same settings; nothing is changed then.
    fn restore(&mut self, state: &[f64]) -> Result<(), Error>;
}

/// A setting must be within a range.
fn require(
    good: bool,
    of: &'static str,
    setting: &'static str,
    expected: &'static str,
    found: f64,
) -> Result<(), Error> {
    if good { Ok(()) } else { Err(Error::Setting { of, setting, expected, found: found.to_string() }) }
}
