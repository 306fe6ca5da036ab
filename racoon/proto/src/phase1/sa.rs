//! The ISAKMP SA, the result of phase 1, which protects all other exchanges with the peer.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::crypto::{CryptoError, Iv, Phase1Keys, equal};
use crate::identity::{Claimed, Identity, Name};
use crate::message::codec::MessageCodec;
use crate::message::protection::{Opened, Unreadable, seal};
use crate::message::rules::INFORMATIONAL;
use crate::num::{ExchangeType, IdType, PayloadType};
use crate::proposal::Phase1Terms;
use crate::random::Random;
use crate::reason::{AuthenticationFailure, FailureReason};
use crate::select::RemoteIndex;
use crate::wire::{CookiePair, Header, RawPayload, chain};

/// An ISAKMP SA.
pub(crate) struct Phase1Sa {
    /// Its name.
    pub(crate) cookies: CookiePair,
    /// By which exchange it came up.
    pub(crate) exchange: ExchangeType,
    /// The remote section of the peer.
    pub(crate) remote_section: RemoteIndex,
    /// What was agreed.
    pub(crate) terms: Phase1Terms,
    /// Its keys.
    pub(crate) keys: Phase1Keys,
    /// Who the peer is.
    pub(crate) peer: PeerIdentity,
    /// Its certificate in DER, if it has proved its identity by one.
    pub(crate) certificate: Option<Arc<[u8]>>,
    /// Whose key has proved it.
    pub(crate) key: KeyOwner,
    /// The last block of phase 1: IVs of later exchanges follow from it.
    pub(crate) last_block: Iv,
    /// Message ids that were used, by either side.
    pub(crate) used: UsedMessageIds,
}

/// Whose key a peer has proved to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOwner {
    /// The key of the identity, as a verified certificate says.
    Identity,
    /// The key of the peer's address, and of no other.
    Peer,
    /// A key that several have: any of them may say that it is another one.
    Group,
}

/// Who a peer is, as it has proved.
#[derive(Clone, Debug)]
pub(crate) struct PeerIdentity {
    /// Its Identification payload.
    pub(crate) id: Identity,
    /// The same as an X.501 name, if it is one.
    pub(crate) name: Option<Name>,
}

impl PeerIdentity {
    /// With this Identification payload.
    pub(crate) fn new(id: Identity) -> Self {
        let name = if id.kind == IdType::DER_ASN1_DN { Name::from_der(&id.data) } else { None };
        Self { id, name }
    }

    /// For comparison with what is configured.
    pub(crate) fn claimed(&self) -> Claimed<'_> {
        Claimed { id: &self.id, name: self.name.as_ref() }
    }
}

impl Phase1Sa {
    /// The IV of an exchange's first message.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn iv(&self, message_id: u32) -> Result<Iv, CryptoError> {
        Iv::phase2(self.keys.hash, &self.last_block, message_id, self.keys.cipher.block_length())
    }

    /// The header of a message under this SA.
    pub(crate) fn header(&self, exchange: ExchangeType, message_id: u32) -> Header {
        Header::new(self.cookies, exchange, message_id)
    }

    /// Encrypts a message. `iv` becomes that of the next one of the exchange.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn protect(
        &self,
        header: &Header,
        payloads: &[(PayloadType, &[u8])],
        iv: &mut Iv,
        codec: (&MessageCodec, SocketAddr),
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, CryptoError> {
        seal(&self.keys.cipher, iv, header, payloads, codec, random)
    }

    /// Decrypts the body of a message. Keep [`Opened::next_iv`] if it is accepted.
    ///
    /// # Errors
    /// If it does not consist of blocks.
    pub(crate) fn open(&self, iv: &Iv, header: &Header, body: &[u8]) -> Result<Opened, Unreadable> {
        Opened::new(&self.keys.cipher, iv, header, body)
    }

    /// Encrypts the first message of an exchange: before the payloads comes HASH(1), which covers them all.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn protect_hashed(
        &self,
        header: &Header,
        payloads: &[(PayloadType, &[u8])],
        iv: &mut Iv,
        codec: (&MessageCodec, SocketAddr),
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, CryptoError> {
        let hash = self.keys.hash1(header.message_id, &chain::encode(payloads))?;
        // HASH(1) has to come first (RFC 2409 section 5.7).
        let all = [&[(PayloadType::HASH, hash.as_bytes())], payloads].concat();
        self.protect(header, &all, iv, codec, random)
    }
}

/// Reads an informational message under these keys: what `read` makes of its payloads. `last_block` is that of phase 1.
///
/// # Errors
/// If it cannot be read, has other payloads than it should have, or if HASH(1) over all that follows it is wrong.
pub(crate) fn open_informational<T>(
    keys: &Phase1Keys,
    last_block: &Iv,
    (header, body): (&Header, &[u8]),
    (codec, peer): (&MessageCodec, SocketAddr),
    read: impl FnOnce(&[RawPayload<'_>]) -> Result<T, FailureReason>,
) -> Result<T, FailureReason> {
    let malformed = |error: Unreadable| FailureReason::Malformed(error.into());
    let iv = Iv::phase2(keys.hash, last_block, header.message_id, keys.cipher.block_length())?;
    let opened = Opened::new(&keys.cipher, &iv, header, body).map_err(malformed)?;
    let payloads = opened.payloads(codec, peer).map_err(malformed)?;
    INFORMATIONAL.check(&payloads)?;
    // HASH(1) covers the bytes after the HASH payload as they were received (RFC 2409 section 5.7).
    let hash = keys.hash1(header.message_id, opened.behind_first(&payloads))?;
    let is_first = |payload: &&RawPayload<'_>| payload.kind == PayloadType::HASH;
    if !payloads.first().filter(is_first).is_some_and(|first| equal(hash.as_bytes(), first.body)) {
        return Err(FailureReason::Authentication(AuthenticationFailure::Hash));
    }
    read(&payloads)
}

/// Message ids after which an SA is renewed: enough for eight hours of probes by both sides every ten seconds.
pub(crate) const MESSAGE_IDS_RENEWED_AFTER: usize = 12_288;

/// Message ids after which no message of the peer is accepted any more. A set of them takes about 160 KiB.
pub(crate) const MESSAGE_IDS_MAX: usize = 16_384;

/// Message ids that were used under an SA, so that none is used twice: neither by us, nor by somebody who sends a peer's
/// message again. None is forgotten as long as the SA lives; it is renewed before there are too many.
#[derive(Debug, Default)]
pub(crate) struct UsedMessageIds(HashSet<u32>);

impl UsedMessageIds {
    /// Marks an id as used. False: it was before.
    pub(crate) fn add(&mut self, id: u32) -> bool {
        self.0.insert(id)
    }

    /// Whether a message of the peer with this id is refused: the id was used before, or too many were.
    pub(crate) fn refuses(&self, id: u32) -> bool {
        self.is_full() || self.0.contains(&id)
    }

    /// Whether too many were used.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MESSAGE_IDS_MAX
    }

    /// How many were used.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// An id that was never used, and is not zero. There is always one: the last thing to say is that the SA ends.
    pub(crate) fn draw(&mut self, random: &mut dyn Random) -> u32 {
        loop {
            let mut bytes = [0; 4];
            random.fill(&mut bytes);
            let id = u32::from_be_bytes(bytes);
            if id != 0 && self.add(id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn a_message_id_is_used_once() {
        let mut used = UsedMessageIds::default();
        assert!(used.add(7));
        assert!(!used.add(7));
        assert!(used.refuses(7) && !used.refuses(8));
        let drawn = used.draw(&mut SeededRandom::new(1));
        assert_ne!(used.draw(&mut SeededRandom::new(1)), drawn, "the same randomness gives another one");
    }

    #[test]
    fn none_is_forgotten_and_there_are_so_many() {
        let mut used = UsedMessageIds::default();
        let many = u32::try_from(MESSAGE_IDS_MAX).unwrap();
        assert!((1..=many).all(|id| !used.refuses(id) && used.add(id)));
        assert!(used.is_full() && used.refuses(1) && used.refuses(many + 1));
        assert_ne!(used.draw(&mut SeededRandom::new(1)), 0, "the end can be said");
    }
}
