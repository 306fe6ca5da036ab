//! Retry timer for sockets that could not be opened.

use std::time::Duration;

use racoon_proto::time::Time;

use crate::log::Level;

/// Delay before the next attempt.
const INTERVAL: Duration = Duration::from_secs(1);

/// State of the retries.
#[derive(Debug, Default)]
pub(super) struct SocketRetry {
    at: Option<Time>,
    /// Whether the last refresh failed as a whole, which has been logged.
    failure_logged: bool,
}

impl SocketRetry {
    /// Returns when to try again.
    pub(super) fn due(&self) -> Option<Time> {
        self.at
    }

    /// Records an attempt: `failed` as a whole, or `is_incomplete` because a socket is missing, which logs its own
    /// error. Returns the level at which to log the failure: error for the first of a series, then debug.
    pub(super) fn note(&mut self, failed: bool, is_incomplete: bool, now: Time) -> Level {
        self.at = (failed || is_incomplete).then(|| now + INTERVAL);
        if std::mem::replace(&mut self.failure_logged, failed) { Level::Debug } else { Level::Error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_logged_once() {
        let (mut retry, now) = (SocketRetry::default(), Time::from_secs(7));
        let again = Some(Time::from_secs(8));
        retry.note(false, true, now);
        assert_eq!(retry.due(), again);
        assert_eq!((retry.note(true, true, now), retry.due()), (Level::Error, again));
        assert_eq!((retry.note(true, false, now), retry.due()), (Level::Debug, again));
        retry.note(false, false, now);
        assert_eq!(retry.due(), None);
        assert_eq!(retry.note(true, false, now), Level::Error, "it went well in between");
    }
}
