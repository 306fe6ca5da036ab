//! Encrypted messages: an unencrypted header, followed by encrypted payloads and padding (RFC 2409 Appendix B).

use std::net::SocketAddr;

use thiserror::Error;
use zeroize::Zeroizing;

use super::codec::MessageCodec;
use crate::crypto::{CipherKey, CryptoError, Iv, PaddingError};
use crate::num::{Flags, PayloadType};
use crate::random::Random;
use crate::wire::{Header, RawPayload, Tail, WireError, chain};

/// The reason why an encrypted message cannot be read. With a wrong key, nearly every message has one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The ciphertext is not a multiple of the block length.
    #[error(transparent)]
    Encryption(#[from] CryptoError),
    /// The plaintext is not a chain of payloads.
    #[error("decrypted: {0}")]
    Payloads(#[from] WireError),
    /// The padding is invalid.
    #[error(transparent)]
    Padding(#[from] PaddingError),
}

/// Encrypts a message and sets `iv` to that of the next message.
///
/// # Errors
/// If libcrypto fails.
pub(crate) fn seal(
    cipher: &CipherKey,
    iv: &mut Iv,
    header: &Header,
    payloads: &[(PayloadType, &[u8])],
    (codec, peer): (&MessageCodec, SocketAddr),
    random: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    let mut body = Zeroizing::new(chain::encode(payloads));
    codec.note_sealed(peer, header, payloads);
    codec.padding.pad(&mut body, cipher.block_length(), random);
    cipher.encrypt(iv, &mut body)?;
    let next_payload = payloads.first().map_or(PayloadType::NONE, |(kind, _)| *kind);
    // The header is not encrypted, but names the first encrypted payload.
    let header = Header { next_payload, flags: header.flags | Flags::ENCRYPTED, ..*header };
    Ok([header.encode(body.len()).as_slice(), &body].concat())
}

/// A decrypted message. Nothing in it is authenticated yet.
pub(crate) struct Opened {
    header: Header,
    plain: Zeroizing<Vec<u8>>,
    /// The IV of the next message. Keep it only if this message is accepted, or a forgery would break the chain of IVs.
    pub(crate) next_iv: Iv,
}

impl Opened {
    /// Decrypts the body of a message.
    ///
    /// # Errors
    /// If the body is not a multiple of the block length.
    pub(crate) fn new(cipher: &CipherKey, iv: &Iv, header: &Header, body: &[u8]) -> Result<Self, Unreadable> {
        let mut plain = Zeroizing::new(body.to_vec());
        let next_iv = cipher.decrypt(iv, &mut plain)?;
        Ok(Self { header: *header, plain, next_iv })
    }

    /// Returns the payloads.
    ///
    /// # Errors
    /// If there are none, if one is malformed, or if they are not followed by valid padding.
    pub(crate) fn payloads(&self, codec: &MessageCodec, peer: SocketAddr) -> Result<Vec<RawPayload<'_>>, Unreadable> {
        let payloads = chain::walk(self.header.next_payload, &self.plain, Tail::Padding)?;
        codec.note_opened(peer, &self.header, &payloads);
        // Only the lengths of the payloads say where the padding begins.
        codec.padding.check(&self.plain, end_of(&payloads))?;
        Ok(payloads)
    }

    /// Returns the bytes that HASH(1) and HASH(2) cover: the payloads after the first one, with generic headers, without padding.
    pub(crate) fn behind_first(&self, payloads: &[RawPayload<'_>]) -> &[u8] {
        let begin = payloads.get(1).map_or_else(|| end_of(payloads), |second| second.offset);
        self.plain.get(begin..end_of(payloads)).unwrap_or_default()
    }
}

/// The offset after the last payload.
fn end_of(payloads: &[RawPayload<'_>]) -> usize {
    payloads.last().map_or(0, |last| last.offset.saturating_add(last.whole.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;
    use crate::num::{Cipher, ExchangeType, Hash};
    use crate::wire::CookiePair;

    const PAYLOADS: [(PayloadType, &[u8]); 3] =
        [(PayloadType::HASH, &[1; 20]), (PayloadType::NOTIFY, &[2; 5]), (PayloadType::DELETE, &[3; 7])];

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 500))
    }

    fn cipher() -> CipherKey {
        CipherKey::derive(Cipher::AES, 128, Hash::SHA1, &[7; 20]).unwrap()
    }

    fn iv() -> Iv {
        Iv::phase1(Hash::SHA1, b"one", b"other", 16).unwrap()
    }

    fn sealed(iv: &mut Iv) -> Vec<u8> {
        let header = Header::new(CookiePair::default(), ExchangeType::INFORMATIONAL, 7);
        seal(&cipher(), iv, &header, &PAYLOADS, (&MessageCodec::default(), peer()), &mut SeededRandom::new(1)).unwrap()
    }

    /// The header does not have to be one that is accepted: its cookies are zero.
    fn opened(message: &[u8], iv: &Iv) -> Result<Opened, Unreadable> {
        let header = Header {
            next_payload: PayloadType(message[16]),
            ..Header::new(CookiePair::default(), ExchangeType::INFORMATIONAL, 7)
        };
        Opened::new(&cipher(), iv, &header, &message[28..])
    }

    #[test]
    fn a_sealed_message_can_be_opened() {
        let mut sender = iv();
        let message = sealed(&mut sender);
        assert_eq!(message[16..20], [8, 0x10, 5, 1], "HASH, 1.0, informational, encrypted");
        assert_eq!(usize::from(u16::from_be_bytes([message[26], message[27]])), message.len());
        assert!(message[28..].len().is_multiple_of(16));
        let opened = opened(&message, &iv()).unwrap();
        assert_eq!(opened.next_iv, sender);
        let payloads = opened.payloads(&MessageCodec::default(), peer()).unwrap();
        assert_eq!(payloads.iter().map(|one| (one.kind, one.body)).collect::<Vec<_>>(), PAYLOADS);
        assert_eq!(opened.behind_first(&payloads), chain::encode(&PAYLOADS[1..]));
        assert_eq!(opened.behind_first(&payloads[..1]), []);
        assert_eq!(opened.behind_first(&[]), []);
    }

    #[test]
    fn a_message_with_another_iv_is_unreadable() {
        let message = sealed(&mut iv());
        let other = Iv::phase1(Hash::SHA1, b"another", b"other", 16).unwrap();
        let opened = opened(&message, &other).unwrap();
        assert!(opened.payloads(&MessageCodec::default(), peer()).is_err());
    }

    #[test]
    fn incomplete_blocks_are_refused() {
        let message = sealed(&mut iv());
        for length in (28..message.len()).filter(|length| !(length - 28).is_multiple_of(16) || *length == 28) {
            assert!(matches!(opened(&message[..length], &iv()), Err(Unreadable::Encryption(_))), "{length}");
        }
    }
}
