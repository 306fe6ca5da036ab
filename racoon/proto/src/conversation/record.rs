//! What is recorded of a negotiation.

use std::time::Duration;

use crate::num::NotifyType;
use crate::path::Path;
use crate::proposal::Phase1Terms;
use crate::reason::{FailureReason, Negotiation, NegotiationResult, Outcome, Role};
use crate::time::Time;

/// Limit on recorded notifies, which may be forged.
const SAID_MAX: usize = 8;

/// Limit on recorded steps: an unknown peer can cause the same one any number of times.
const STEPS_MAX: usize = 32;

/// What is known of a negotiation, for its outcome and its log lines.
#[derive(Debug)]
pub(crate) struct Record {
    /// When it began.
    pub(crate) began: Time,
    /// The steps that were completed, each with the time since the beginning.
    pub(crate) steps: Vec<(&'static str, Duration)>,
    /// What the initiator offered, as text.
    pub(crate) offered: Vec<String>,
    /// What the responder has configured, as text.
    pub(crate) configured: Vec<String>,
    /// Errors of which the peer notified us.
    pub(crate) peer_said: Vec<NotifyType>,
    /// Text of the notify that ended it, if it has one.
    pub(crate) peer_text: Option<String>,
    /// Whether its time is up.
    pub(crate) timed_out: bool,
    /// The fault of the last message that was ignored.
    pub(crate) fault: Option<FailureReason>,
    /// Number of ignored messages.
    pub(crate) faults: u32,
    /// Number of encrypted messages since the last accepted one that could not be decrypted.
    pub(crate) unreadable: u32,
    /// Whether a refusal is logged, so that its text is needed.
    pub(crate) in_words: bool,
    /// Whether the line about its beginning exceeded the rate limit, so that other lines of that level are suppressed too.
    pub(crate) quiet: bool,
    /// Why there is no key for the peer. A responder continues all the same, and fails as with a wrong key.
    pub(crate) no_key: Option<FailureReason>,
}

impl Record {
    /// The record of a negotiation that begins.
    pub(crate) fn new(began: Time) -> Self {
        Self {
            began,
            steps: Vec::new(),
            offered: Vec::new(),
            configured: Vec::new(),
            peer_said: Vec::new(),
            peer_text: None,
            timed_out: false,
            fault: None,
            faults: 0,
            unreadable: 0,
            in_words: true,
            quiet: false,
            no_key: None,
        }
    }

    /// Records a completed step.
    pub(crate) fn step(&mut self, now: Time, step: &'static str) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push((step, now.since(self.began)));
        }
    }

    /// Records a notify of the peer. False if it was recorded before, or if there are too many.
    pub(crate) fn said(&mut self, what: NotifyType) -> bool {
        let is_new = self.peer_said.len() < SAID_MAX && !self.peer_said.contains(&what);
        if is_new {
            self.peer_said.push(what);
        }
        is_new
    }

    /// Records that the time is up. Returns the reason: the missing key, or else the last fault, the peer's last notify, or its
    /// `silence`.
    pub(crate) fn time_up(&mut self, silence: FailureReason) -> FailureReason {
        self.timed_out = true;
        let refused = || self.peer_said.last().copied().map(FailureReason::Refused);
        self.no_key.clone().or_else(|| self.fault.clone()).or_else(refused).unwrap_or(silence)
    }

    /// The outcome of a negotiation that ended, or succeeded, at `ended`. `remote_section` is the name of its remote section.
    pub(crate) fn outcome(
        &self,
        negotiation: Negotiation,
        path: Path,
        remote_section: Option<String>,
        result: NegotiationResult,
        ended: Time,
    ) -> Outcome {
        Outcome {
            negotiation,
            local: path.local,
            remote: path.remote,
            remote_section,
            began: self.began,
            ended,
            steps: self.steps.clone(),
            offered: self.offered.clone(),
            configured: self.configured.clone(),
            peer_said: self.peer_said.clone(),
            peer_text: self.peer_text.clone(),
            undelivered: Vec::new(),
            timed_out: self.timed_out,
            result,
        }
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

/// Limit on the recorded lines of an offer: an unknown peer may offer thousands of transforms.
const LINES_MAX: usize = 32;

/// The first lines, and a line with the number of further ones.
pub(crate) fn bounded(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines = lines.into_iter();
    let mut kept = lines.by_ref().take(LINES_MAX).collect::<Vec<_>>();
    let more = lines.count();
    if more > 0 {
        kept.push(format!("and {more} more"));
    }
    kept
}

/// Phase 1 terms as text, a line for each: `aes 256, sha256, modp2048, pre_shared_key, 28800 s`.
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
    use crate::reason::Malformed;

    #[test]
    fn a_fault_explains_a_time_out_better_than_a_notify() {
        let mut record = Record::new(Time::default());
        let why = |record: &mut Record| record.time_up(FailureReason::computed_late());
        assert_eq!(why(&mut record), FailureReason::computed_late());
        assert!(record.said(NotifyType::NO_PROPOSAL_CHOSEN));
        assert_eq!(why(&mut record), FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN));
        let malformed = FailureReason::Malformed(Malformed::LongSa(7));
        record.fault = Some(malformed.clone());
        assert_eq!(why(&mut record), malformed);
    }

    #[test]
    fn recorded_notifies_are_bounded() {
        let mut record = Record::new(Time::default());
        let heard = (0..100).filter(|kind| record.said(NotifyType(kind % 50))).count();
        assert_eq!(heard, SAID_MAX);
        assert_eq!(record.peer_said.len(), SAID_MAX);
    }

    #[test]
    fn recorded_steps_are_bounded() {
        let mut record = Record::new(Time::default());
        (0..1000).for_each(|second| record.step(Time::from_secs(second), "job ordered"));
        assert_eq!(record.steps.len(), STEPS_MAX);
        assert_eq!(record.steps[1].1, Duration::from_secs(1), "the first ones are kept");
    }

    #[test]
    fn the_lines_of_an_offer_are_bounded() {
        let lines = |count: usize| bounded((0..count).map(|number| number.to_string()));
        assert_eq!(lines(LINES_MAX).len(), LINES_MAX);
        assert_eq!(lines(LINES_MAX + 7).len(), LINES_MAX + 1);
        assert_eq!(lines(LINES_MAX + 7)[LINES_MAX], "and 7 more");
    }
}
