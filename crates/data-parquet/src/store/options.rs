use std::fmt;
use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};

/// How object stores are asked: what is set in place of environment variables, and how requests are repeated.
///
/// # Example
///
/// ```
/// use tidemill_data_parquet::{ParquetSource, Paths, Retry, StoreOptions};
///
/// let options = StoreOptions::new()
///     .set("aws_region", "eu-central-1")
///     .set("aws_skip_signature", "true")
///     .retry(Retry { most: 5, ..Retry::default() });
/// let flights = Paths::from("s3://flights/2024/").stores(options);
/// let source = ParquetSource::open(flights).feature("distance");
/// # let _ = source;
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions {
    pub(super) retry: Retry,
    pub(super) settings: Vec<(String, String)>,
}

impl StoreOptions {
    /// What the environment says, and the usual repetitions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what an environment variable would: its name, in letters of either case, and the value.
    ///
    /// Names that the store of a URL does not know are errors when files are looked for.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into().to_ascii_lowercase(), value.into()));
        self
    }

    /// Sets how requests are repeated.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

/// Values may be secrets.
impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("StoreOptions").field("retry", &self.retry).field("set", &names).finish()
    }
}

/// How requests are repeated that fail for a reason that may pass: the store is overloaded or out of order, or the
/// connection is cut.
///
/// The first wait is `first_wait`, each that follows about twice as long, at random, and none longer than `longest_wait`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is repeated at most: 10 times, unless told otherwise; never, with 0.
    pub most: usize,
    /// The first wait: 100 ms, unless told otherwise.
    pub first_wait: Duration,
    /// The longest wait: 15 s, unless told otherwise.
    pub longest_wait: Duration,
    /// How long after a request began it is repeated at all: 3 minutes, unless told otherwise.
    pub within: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        let (first_wait, longest_wait) = (Duration::from_millis(100), Duration::from_secs(15));
        Self { most: 10, first_wait, longest_wait, within: Duration::from_secs(180) }
    }
}

impl Retry {
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", feature = "gcp", feature = "http")),
        expect(dead_code, reason = "no kind of store is built in")
    )]
    pub(super) fn config(&self) -> RetryConfig {
        let backoff = BackoffConfig { init_backoff: self.first_wait, max_backoff: self.longest_wait, base: 2.0 };
        RetryConfig { backoff, max_retries: self.most, retry_timeout: self.within }
    }

    /// How long to wait before the repetition of this number, counted from zero.
    pub(super) fn wait(&self, repetition: usize) -> Duration {
        let times = 1u32.checked_shl(u32::try_from(repetition).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
        self.first_wait.saturating_mul(times).min(self.longest_wait)
    }
}
