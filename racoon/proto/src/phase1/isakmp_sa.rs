//! Sending under an ISAKMP SA: message ids, and informational messages.

use std::net::SocketAddr;

use crate::crypto::CryptoError;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id};
use crate::message::codec::MessageCodec;
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::phase1::table::Phase1s;
use crate::random::Random;
use crate::wire::{Delete, Notify};

impl Engine {
    /// Sends a notify under the SA of a refused peer, which is not in the tables.
    pub(crate) fn notify_under(&mut self, path: Path, sa: &mut Phase1Sa, kind: NotifyType, data: &[u8]) {
        let message_id = sa.used.draw(&mut *self.core.random);
        let payloads = [notify(sa, kind, data)];
        let message = informational(sa, message_id, &payloads, (&self.core.codec, path.remote), &mut *self.core.random);
        if let Ok(message) = message {
            self.core.transmit(path, &message);
        }
    }
}

impl Phase1s {
    /// Returns the phase 1 on which a quick mode begins: the newest usable one between the addresses of a path.
    pub(crate) fn usable(&self, path: Path) -> Option<Phase1Id> {
        self.newest_usable(path)
    }

    /// Returns the SA of an established phase 1.
    pub(crate) fn sa(&self, id: Phase1Id) -> Option<&Phase1Sa> {
        Some(&self.get(id)?.established()?.sa)
    }

    /// Mutable counterpart of [`Phase1s::sa`].
    pub(crate) fn sa_mut(&mut self, id: Phase1Id) -> Option<&mut Phase1Sa> {
        Some(&mut self.get_mut(id)?.established_mut()?.sa)
    }

    /// Draws a message id for a new exchange: not zero, and never used before. Returns 0 if the phase 1 does not exist.
    pub(crate) fn fresh_message_id(&mut self, core: &mut Core, id: Phase1Id) -> u32 {
        let established = self.get_mut(id).and_then(|phase1| phase1.established_mut());
        let message_id = established.map_or(0, |established| established.sa.used.draw(&mut *core.random));
        self.message_id_used(core, id);
        message_id
    }

    /// Sends an informational message under an established phase 1, once: it is not answered.
    pub(crate) fn send_informational(&mut self, core: &mut Core, id: Phase1Id, payloads: Vec<(PayloadType, Vec<u8>)>) {
        let Some(phase1) = self.get_mut(id) else { return };
        let path = phase1.path();
        let Some(established) = phase1.established_mut() else { return };
        let message_id = established.sa.used.draw(&mut *core.random);
        let message =
            informational(&established.sa, message_id, &payloads, (&core.codec, path.remote), &mut *core.random);
        match message {
            Ok(message) => core.transmit(path, &message),
            Err(error) => core.log(Level::Error, Some(path.remote), || format!("informational message: {error}")),
        }
        self.message_id_used(core, id);
    }

    /// Sends a notify about the phase 1 itself.
    pub(crate) fn send_notify(&mut self, core: &mut Core, id: Phase1Id, kind: NotifyType, data: &[u8]) {
        let Some(sa) = self.sa(id) else { return };
        let payload = notify(sa, kind, data);
        self.send_informational(core, id, vec![payload]);
    }

    /// Sends the DELETE of a phase 1.
    pub(crate) fn send_delete_of(&mut self, core: &mut Core, id: Phase1Id) {
        let Some(sa) = self.sa(id) else { return };
        let spis = vec![sa.cookies.to_bytes().to_vec()];
        let delete = Delete { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spis };
        self.send_informational(core, id, vec![(PayloadType::DELETE, delete.encode())]);
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
