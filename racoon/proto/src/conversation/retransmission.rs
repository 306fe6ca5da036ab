//! A message that is repeated until it is answered.

use crate::time::Time;

/// A message that was sent and is not answered yet.
#[derive(Debug)]
pub(crate) struct SentMessage {
    message: Vec<u8>,
    first_sent: Time,
    sent: u32,
    /// When it is due next, while a job for its apparent answer runs.
    suspended: Option<Time>,
}

impl SentMessage {
    /// A message that was sent once, at `now`.
    pub(crate) fn new(message: Vec<u8>, now: Time) -> Self {
        Self { message, first_sent: now, sent: 1, suspended: None }
    }

    /// Suspends it, because there seems to be an answer. `due` is when it would have been sent next.
    pub(crate) fn suspend(&mut self, due: Option<Time>) {
        self.suspended = due;
    }

    /// Resumes it, because that was no answer, and returns when it is due: no later than before, or invalid answers could keep an
    /// exchange alive for ever.
    pub(crate) fn resume(&mut self) -> Option<Time> {
        self.suspended.take()
    }

    /// Returns the message to be sent once more; none if it was sent `count` times.
    pub(crate) fn next_copy(&mut self, count: u32) -> Option<&[u8]> {
        if self.sent >= count {
            return None;
        }
        self.sent += 1;
        Some(&self.message)
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.message.len()
    }

    /// When it was sent first.
    pub(crate) fn first_sent(&self) -> Time {
        self.first_sent
    }

    /// How often it was sent.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sent_count_times() {
        let mut message = SentMessage::new(vec![1], Time::from_secs(5));
        assert_eq!(message.next_copy(3), Some([1].as_slice()));
        assert_eq!(message.next_copy(3), Some([1].as_slice()));
        assert_eq!(message.next_copy(3), None);
        assert_eq!((message.sent(), message.first_sent()), (3, Time::from_secs(5)));
    }
}
