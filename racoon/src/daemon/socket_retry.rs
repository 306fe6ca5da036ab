//! When the sockets are looked after again because something of it failed.

use std::time::Duration;

use racoon_proto::time::Time;

use crate::log::Level;

/// After that it is tried again.
const INTERVAL: Duration = Duration::from_secs(1);

/// What came of it the last time.
#[derive(Debug, Default)]
pub(super) struct SocketRetry {
    at: Option<Time>,
    /// It failed as a whole, and that was told.
    has_told: bool,
}

impl SocketRetry {
    /// When it is tried again, if it is.
    pub(super) fn due(&self) -> Option<Time> {
        self.at
    }

    /// It failed as a whole, or a socket is missing, which tells of itself. At which level the failure is told: aloud the first
    /// time, whether a socket was missing before or not.
    pub(super) fn note(&mut self, failed: bool, is_incomplete: bool, now: Time) -> Level {
        self.at = (failed || is_incomplete).then(|| now + INTERVAL);
        if std::mem::replace(&mut self.has_told, failed) { Level::Debug } else { Level::Error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_though_a_socket_is_missing() {
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
