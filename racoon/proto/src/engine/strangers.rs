//! Those who have not proved who they are: what goes wrong with them is told once, and then counted; what they are told is
//! rationed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Engine, Timer};
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::output::Level;
use crate::time::Time;
use crate::wire::{self, CookiePair, Header, Notify};

/// How long failures are counted before their number is told.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// Answers to strangers in a second.
const ANSWERS_A_SECOND: u32 = 10;

/// Length of a message in clear with a notify: a header, and a payload without SPI and data.
const NOTIFY_LEN: usize = 40;

/// What goes wrong with strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Complaint {
    /// Bytes that are no message.
    Malformed,
    /// A message of an exchange that does not exist.
    Unknown,
    /// A first message that nothing is configured for.
    Refused,
    /// Too many of them at once.
    Crowd,
    /// They began and did not go on.
    Unfinished,
    /// They did not prove who they are.
    Unproved,
}

impl Complaint {
    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed messages",
            Self::Unknown => "messages of unknown exchanges",
            Self::Refused => "refused negotiations",
            Self::Crowd => "negotiations over the limit",
            Self::Unfinished => "unfinished negotiations",
            Self::Unproved => "failed authentications",
        }
    }
}

/// What strangers did lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// What was told already; how many there were since then, and whose was the last.
    told: BTreeMap<Complaint, (u32, Option<SocketAddr>)>,
    /// The second for which answers are counted, and how many there were.
    answers: (Time, u32),
}

impl Strangers {
    /// Whether it is to be told at once.
    fn is_first(&mut self, complaint: Complaint, remote: SocketAddr) -> bool {
        match self.told.get_mut(&complaint) {
            Some((count, last)) => {
                *count = count.saturating_add(1);
                *last = Some(remote);
                false
            }
            None => {
                self.told.insert(complaint, (0, None));
                true
            }
        }
    }

    /// Whether there may be one more answer now.
    fn may_answer(&mut self, now: Time) -> bool {
        let (since, count) = &mut self.answers;
        if now.since(*since) >= Duration::from_secs(1) {
            self.answers = (now, 1);
            return true;
        }
        *count = count.saturating_add(1);
        *count <= ANSWERS_A_SECOND
    }
}

impl Engine {
    /// Something went wrong with a stranger: the first time it is told, later it is only counted. Returns whether it was
    /// told.
    #[track_caller]
    pub(super) fn complain(&mut self, complaint: Complaint, remote: SocketAddr, text: impl FnOnce() -> String) -> bool {
        let first = self.strangers.is_first(complaint, remote);
        if first {
            if self.strangers.told.len() == 1 {
                self.timers.set(Timer::Strangers, self.now + COUNTED_FOR);
            }
            self.log(Level::Error, Some(remote), text);
        } else {
            self.log(Level::Debug, Some(remote), text);
        }
        first
    }

    /// What was counted is told.
    pub(super) fn report_strangers(&mut self) {
        let told = std::mem::take(&mut self.strangers.told);
        for (complaint, (count, last)) in told {
            if count == 0 {
                continue;
            }
            let seconds = COUNTED_FOR.as_secs();
            self.log(Level::Error, last, || {
                format!("{count} more {} in the last {seconds} s, the last one from here", complaint.name())
            });
            // What still goes on is not told at once again.
            self.strangers.told.insert(complaint, (0, None));
        }
        if !self.strangers.told.is_empty() {
            self.timers.set(Timer::Strangers, self.now + COUNTED_FOR);
        }
    }

    /// Tells somebody who cannot be told under an SA what is wrong with a message of `asked` bytes. There is not much of it,
    /// and never more than was asked, for the address may be another one's.
    pub(super) fn notify_in_clear(
        &mut self,
        (local, remote): (SocketAddr, SocketAddr),
        cookies: CookiePair,
        asked: usize,
        kind: NotifyType,
    ) {
        if asked < NOTIFY_LEN || !self.strangers.may_answer(self.now) {
            return;
        }
        let mut message_id = [0; 4];
        self.random.fill(&mut message_id);
        let header = Header::new(cookies, ExchangeType::INFORMATIONAL, u32::from_be_bytes(message_id));
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spi: Vec::new(), kind, data: Vec::new() };
        let message = wire::message(&header, &[(PayloadType::NOTIFY, &notify.encode())]);
        self.transmit_once(local, remote, message);
    }
}
