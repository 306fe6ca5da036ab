//! What is kept of a negotiation for its outcome.

use std::time::Duration;

use crate::num::{ExchangeType, NotifyType};
use crate::proposal::Phase1Terms;
use crate::reason::{FailureReason, Role, context};
use crate::time::Time;

/// More than this of what a peer says is not kept: it may not even be the peer.
const SAID_MAX: usize = 8;

/// More steps than this are not kept: an unknown peer may have the same one made again and again.
const STEPS_MAX: usize = 32;

/// What is kept of a negotiation for its outcome.
#[derive(Debug)]
pub(crate) struct Record {
    /// When it began.
    pub(crate) began: Time,
    /// What was reached, and how long after the beginning.
    pub(crate) steps: Vec<(&'static str, Duration)>,
    /// What the initiator offered, in words.
    pub(crate) offered: Vec<String>,
    /// What the responder has configured, in words.
    pub(crate) configured: Vec<String>,
    /// What the peer said about it.
    pub(crate) peer_said: Vec<NotifyType>,
    /// A text that the peer put behind the error by which it ended, with what separates it; else empty.
    pub(crate) peer_text: String,
    /// What was wrong with the last message that was ignored.
    pub(crate) fault: Option<FailureReason>,
    /// How many were ignored.
    pub(crate) faults: u32,
    /// Encrypted messages since the last one that was accepted that could not be read.
    pub(crate) unreadable: u32,
    /// Somebody reads in words why it is refused.
    pub(crate) in_words: bool,
    /// The line of its beginning is beyond its ration, and so are others of that level.
    pub(crate) quiet: bool,
    /// There is no key for the peer. A responder goes on all the same, and fails as with a wrong key.
    pub(crate) no_key: Option<FailureReason>,
}

impl Record {
    /// A negotiation begins.
    pub(crate) fn new(began: Time) -> Self {
        Self {
            began,
            steps: Vec::new(),
            offered: Vec::new(),
            configured: Vec::new(),
            peer_said: Vec::new(),
            peer_text: String::new(),
            fault: None,
            faults: 0,
            unreadable: 0,
            in_words: true,
            quiet: false,
            no_key: None,
        }
    }

    /// Something is reached.
    pub(crate) fn step(&mut self, now: Time, step: &'static str) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push((step, now.since(self.began)));
        }
    }

    /// The peer says something. False: it did before, or has said enough.
    pub(crate) fn said(&mut self, what: NotifyType) -> bool {
        let is_new = self.peer_said.len() < SAID_MAX && !self.peer_said.contains(&what);
        if is_new {
            self.peer_said.push(what);
        }
        is_new
    }

    /// Why nothing more came of it: that there is no key, or else what was wrong with what the peer sent, or what it said, or
    /// its `silence`.
    pub(crate) fn why(&self, silence: FailureReason) -> FailureReason {
        let refused = || self.peer_said.last().copied().map(FailureReason::Refused);
        self.no_key.clone().or_else(|| self.fault.clone()).or_else(refused).unwrap_or(silence)
    }

    /// What follows the cause of a failure in its line.
    pub(crate) fn context(&self, exchange: ExchangeType, role: Role, cause: &FailureReason) -> String {
        context(cause, (exchange, role), &self.offered, &self.configured)
    }

    /// What an initiator offered, for a line about a notify that refuses it; empty if the notify is about something else.
    pub(crate) fn offer_refused_by(&self, role: Role, notify: NotifyType) -> String {
        match notify {
            NotifyType::NO_PROPOSAL_CHOSEN if role == Role::Initiator => {
                format!("; offered: [{}]", self.offered.join("; "))
            }
            _ => String::new(),
        }
    }
}

/// More lines than this are not kept: an unknown peer may offer thousands of transforms.
const LINES_MAX: usize = 32;

/// The first lines, and how many there are besides.
pub(crate) fn bounded(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines = lines.into_iter();
    let mut kept = lines.by_ref().take(LINES_MAX).collect::<Vec<_>>();
    let more = lines.count();
    if more > 0 {
        kept.push(format!("and {more} more"));
    }
    kept
}

/// Terms in words, a line for each: `aes 256, sha256, modp2048, pre_shared_key, 28800 s`.
pub(crate) fn in_words<'a>(terms: impl IntoIterator<Item = &'a Phase1Terms>) -> impl Iterator<Item = String> {
    let line = |terms: &Phase1Terms| {
        let Phase1Terms { cipher, key_length, hash, group, method, lifetime } = terms;
        let bits = if *key_length == 0 { String::new() } else { format!(" {key_length}") };
        format!("{cipher}{bits}, {hash}, {group}, {method}, {lifetime} s")
    };
    terms.into_iter().map(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_cause_is_told() {
        let mut record = Record::new(Time::default());
        let why = |record: &Record| record.why(FailureReason::computed_late());
        assert_eq!(why(&record), FailureReason::computed_late());
        assert!(record.said(NotifyType::NO_PROPOSAL_CHOSEN));
        assert_eq!(why(&record), FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN));
        record.fault = Some(FailureReason::Malformed("so".into()));
        assert_eq!(why(&record), FailureReason::Malformed("so".into()));
    }

    #[test]
    fn what_a_peer_says_is_bounded() {
        let mut record = Record::new(Time::default());
        let heard = (0..100).filter(|kind| record.said(NotifyType(kind % 50))).count();
        assert_eq!(heard, SAID_MAX);
        assert_eq!(record.peer_said.len(), SAID_MAX);
    }

    #[test]
    fn what_is_reached_is_bounded() {
        let mut record = Record::new(Time::default());
        (0..1000).for_each(|second| record.step(Time::from_secs(second), "job ordered"));
        assert_eq!(record.steps.len(), STEPS_MAX);
        assert_eq!(record.steps[1].1, Duration::from_secs(1), "those of the beginning");
    }

    #[test]
    fn what_is_kept_of_an_offer_is_bounded() {
        let lines = |count: usize| bounded((0..count).map(|number| number.to_string()));
        assert_eq!(lines(LINES_MAX).len(), LINES_MAX);
        assert_eq!(lines(LINES_MAX + 7).len(), LINES_MAX + 1);
        assert_eq!(lines(LINES_MAX + 7)[LINES_MAX], "and 7 more");
    }
}
