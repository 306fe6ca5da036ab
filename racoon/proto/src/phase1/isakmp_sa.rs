//! Sending under an ISAKMP SA: message ids, and informational messages.

use std::net::SocketAddr;

use crate::crypto::CryptoError;
use crate::engine::Phase1Id;
use crate::engine::core::Core;
use crate::message::codec::MessageCodec;
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::phase1::entry::Phase1;
use crate::phase1::table::Phase1s;
use crate::random::Random;
use crate::wire::{Delete, Notify};

impl Phase1Sa {
    /// Sends a notify under the SA of a refused peer, which is not in the tables.
    pub(crate) fn send_notify(&mut self, core: &mut Core, path: Path, kind: NotifyType) {
        let message_id = self.used.draw(&mut *core.random);
        let payloads = [notify(self, kind, &[])];
        let message = informational(self, message_id, &payloads, (&core.codec, path.remote), &mut *core.random);
        // The refusal of the peer has its own line; that libcrypto failed as well does not matter.
        if let Ok(message) = message {
            core.transmit(path, &message);
        }
    }
}

impl Phase1 {
    /// Returns its SA, once it is established.
    pub(crate) fn sa(&self) -> Option<&Phase1Sa> {
        Some(&self.established()?.sa)
    }

    /// Draws a message id for a new exchange: not zero, and never used before. Returns 0 if it is not established.
    pub(crate) fn fresh_message_id(&mut self, core: &mut Core) -> u32 {
        let message_id = self.established_mut().map_or(0, |established| established.sa.used.draw(&mut *core.random));
        self.message_id_used(core);
        message_id
    }

    /// Marks a message id of the peer as used.
    pub(crate) fn mark_used(&mut self, core: &mut Core, message_id: u32) {
        if let Some(established) = self.established_mut() {
            established.sa.used.add(message_id);
        }
        self.message_id_used(core);
    }

    /// Sends an informational message under its SA, once: it is not answered. Without an SA it sends nothing.
    pub(crate) fn send_informational(&mut self, core: &mut Core, payloads: &[(PayloadType, Vec<u8>)]) {
        let path = self.path();
        // As long as it is negotiated, the peer is told in the clear, if at all.
        let Some(established) = self.established_mut() else { return };
        let message_id = established.sa.used.draw(&mut *core.random);
        match informational(&established.sa, message_id, payloads, (&core.codec, path.remote), &mut *core.random) {
            Ok(message) => core.transmit(path, &message),
            Err(error) => core.log(Level::Error, Some(path.remote), || format!("informational message: {error}")),
        }
        // Our message ids count as well: no id may be used by either side again.
        self.message_id_used(core);
    }

    /// Sends a notify about the phase 1 itself.
    pub(crate) fn send_notify(&mut self, core: &mut Core, kind: NotifyType, data: &[u8]) {
        if let Some(payload) = self.sa().map(|sa| notify(sa, kind, data)) {
            self.send_informational(core, &[payload]);
        }
    }

    /// Sends the DELETE of the phase 1 itself.
    pub(crate) fn send_delete(&mut self, core: &mut Core) {
        let spis = vec![self.cookies.to_bytes().to_vec()];
        let delete = Delete { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spis };
        self.send_informational(core, &[(PayloadType::DELETE, delete.encode())]);
    }
}

impl Phase1s {
    /// Returns the SA of an established phase 1.
    pub(crate) fn sa(&self, id: Phase1Id) -> Option<&Phase1Sa> {
        self.get(id)?.sa()
    }
}

/// Encodes a Notification payload about an ISAKMP SA.
fn notify(sa: &Phase1Sa, kind: NotifyType, data: &[u8]) -> (PayloadType, Vec<u8>) {
    (PayloadType::NOTIFY, Notify::of_isakmp(sa.cookies, kind, data).encode())
}

/// Composes an informational message: HASH(1) and the payloads, encrypted (RFC 2409 section 5.7).
fn informational(
    sa: &Phase1Sa,
    message_id: u32,
    payloads: &[(PayloadType, Vec<u8>)],
    codec: (&MessageCodec, SocketAddr),
    random: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    let payloads: Vec<_> = payloads.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
    let mut iv = sa.iv(message_id)?;
    let header = sa.header(ExchangeType::INFORMATIONAL, message_id);
    sa.protect_hashed(&header, &payloads, &mut iv, codec, random)
}
