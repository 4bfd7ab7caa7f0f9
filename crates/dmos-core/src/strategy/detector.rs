//! Failure detectors: the silence after which a monitored node is suspected.

use crate::time::{Span, Time};

/// A failure detector: decides from the heartbeat responses of a node how long its silence is tolerated.
///
/// ```
/// use dmos_core::strategy::{ArrivalHistory, DetectorConfig, DetectorStrategy};
/// use dmos_core::{Span, Time};
///
/// /// Tolerates twice the longest interval between two responses.
/// struct TwiceTheLongest;
///
/// /// The last response of one node, and the longest interval so far.
/// struct Longest(Option<Time>, Span);
///
/// impl DetectorStrategy for TwiceTheLongest {
///     fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory> {
///         Box::new(Longest(None, config.heartbeat))
///     }
/// }
///
/// impl ArrivalHistory for Longest {
///     fn on_response(&mut self, now: Time) -> Span {
///         let interval = self.0.replace(now).map_or(Span::ZERO, |last| now.since(last));
///         self.1 = self.1.max(interval);
///         self.1 * 2
///     }
/// }
/// ```
pub trait DetectorStrategy: Send + Sync {
    /// Returns the history of one monitored node, before its first response.
    fn history(&self, config: &DetectorConfig) -> Box<dyn ArrivalHistory>;

    /// Returns the longest silence that this failure detector ever tolerates, at most [`DetectorConfig::silence_max`].
    fn silence_max(&self, config: &DetectorConfig) -> Span {
        config.silence_max()
    }
}

/// The heartbeat responses of one monitored node.
pub trait ArrivalHistory: Send {
    /// Records a response that arrived directly at `now`, not before the last one. Returns the silence after it for
    /// which the node is trusted. Silence is judged once per heartbeat interval, and nodes cap the tolerated silence
    /// at [`DetectorConfig::silence_max`].
    fn on_response(&mut self, now: Time) -> Span;
}

/// Settings of the protocol that matter to failure detectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DetectorConfig {
    /// Interval between two requests for a response.
    pub heartbeat: Span,
    /// Silence that is tolerated before the first response.
    pub suspect_after: Span,
}

impl DetectorConfig {
    /// Returns the longest silence that any failure detector tolerates, so that each crash is detected: twice
    /// `suspect_after`.
    #[must_use]
    pub fn silence_max(&self) -> Span {
        self.suspect_after * 2
    }
}
