//! What a step of an exchange may use besides its own state.

use crate::config::Remote;
use crate::conversation::Record;
use crate::engine::core::Core;
use crate::message::codec::MessageCodec;
use crate::num::ExchangeType;
use crate::output::Level;
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::random::Random;
use crate::reason::{FailureReason, MissingRemote};
use crate::select::RemoteIndex;
use crate::settings::Settings;
use crate::wire::{CookiePair, Header};

/// What a step of an exchange may use besides its own state and its input. It holds no table, timer or socket, so that a
/// step cannot do anything but return a [`Transition`](super::Transition).
pub(crate) struct ExchangeContext<'a> {
    /// The configuration.
    pub(crate) settings: &'a Settings,
    /// Padding and plaintext traces of encrypted messages.
    pub(crate) codec: &'a MessageCodec,
    /// The source of nonces, exponents and padding.
    pub(crate) random: &'a mut dyn Random,
    /// The exchange type of our messages.
    pub(crate) exchange: ExchangeType,
    /// The cookies of the exchange.
    pub(crate) cookies: CookiePair,
    /// Our address and the peer's.
    pub(crate) path: Path,
    /// The remote section: an initiator's, or a responder's best guess until it knows the peer's identity.
    pub(crate) remote_section: RemoteIndex,
    /// Whether an initiator has to send INITIAL-CONTACT.
    pub(crate) first_contact: bool,
    /// What is recorded for the outcome.
    pub(crate) record: &'a mut Record,
    /// Lines to log after the step.
    pub(crate) notes: Vec<(Level, String)>,
}

impl<'a> ExchangeContext<'a> {
    /// The context of the next step of a phase 1.
    pub(crate) fn new(core: &'a mut Core, phase1: &'a mut Phase1, first_contact: bool) -> Self {
        Self {
            settings: &core.settings,
            codec: &core.codec,
            random: &mut *core.random,
            exchange: phase1.exchange,
            cookies: phase1.cookies,
            path: phase1.path(),
            remote_section: phase1.remote_section,
            first_contact,
            record: &mut phase1.conversation.record,
            notes: Vec::new(),
        }
    }

    /// Notes a line to log; `text` is called only if lines of its level are logged.
    pub(crate) fn note(&mut self, level: Level, text: impl FnOnce() -> String) {
        // Beyond its rate limit, the begin of the negotiation was logged at debug; so are the lines that follow from it.
        let level = if self.record.quiet && level >= Level::Info { level.max(Level::Debug) } else { level };
        if level <= self.settings.log {
            self.notes.push((level, text()));
        }
    }

    /// The remote section. It is missing only if the configuration has changed, and a reload ends such exchanges.
    pub(crate) fn remote_section(&self) -> Result<&'a Remote, FailureReason> {
        self.settings.remotes.get(self.remote_section).ok_or(FailureReason::NoRemote(MissingRemote::Removed))
    }

    /// The header of a message of this exchange.
    pub(super) fn header(&self) -> Header {
        Header::new(self.cookies, self.exchange, 0)
    }
}
