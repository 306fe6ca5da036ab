//! Encrypted messages: a header in clear, and behind it payloads and padding, encrypted (RFC 2409 Appendix B).

use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::{CipherKey, CryptoError, Iv, Padding, PaddingError};
use crate::num::{Flags, PayloadType};
use crate::random::Random;
use crate::wire::{Header, RawPayload, Tail, WireError, chain};

/// Why an encrypted message cannot be read. With keys that are not the sender's, nearly every message is such.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// It does not consist of blocks.
    #[error(transparent)]
    Encryption(#[from] CryptoError),
    /// What is decrypted is no chain of payloads.
    #[error("decrypted: {0}")]
    Payloads(#[from] WireError),
    /// Its padding is none.
    #[error(transparent)]
    Padding(#[from] PaddingError),
}

/// Encrypts a message. `iv` becomes that of the next one.
///
/// # Errors
/// If libcrypto fails.
pub(crate) fn seal(
    cipher: &CipherKey,
    iv: &mut Iv,
    header: &Header,
    payloads: &[(PayloadType, &[u8])],
    padding: &Padding,
    random: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    let mut body = Zeroizing::new(chain::encode(payloads));
    padding.pad(&mut body, cipher.block_length(), random);
    cipher.encrypt(iv, &mut body)?;
    let next_payload = payloads.first().map_or(PayloadType::NONE, |(kind, _)| *kind);
    let header = Header { next_payload, flags: header.flags | Flags::ENCRYPTED, ..*header };
    Ok([header.encode(body.len()).as_slice(), &body].concat())
}

/// A message that was decrypted. Nothing in it is authenticated yet.
pub(crate) struct Opened {
    first: PayloadType,
    plain: Zeroizing<Vec<u8>>,
    /// The IV of the next message, to be kept if this one is accepted: a forgery must not move the chain.
    pub(crate) next_iv: Iv,
}

impl Opened {
    /// Decrypts the body of a message.
    ///
    /// # Errors
    /// If it does not consist of blocks.
    pub(crate) fn new(cipher: &CipherKey, iv: &Iv, header: &Header, body: &[u8]) -> Result<Self, Unreadable> {
        let mut plain = Zeroizing::new(body.to_vec());
        let next_iv = cipher.decrypt(iv, &mut plain)?;
        Ok(Self { first: header.next_payload, plain, next_iv })
    }

    /// Its payloads.
    ///
    /// # Errors
    /// If it has none, if they are malformed, or if what follows them is not padding.
    pub(crate) fn payloads(&self, padding: &Padding) -> Result<Vec<RawPayload<'_>>, Unreadable> {
        let payloads = chain::walk(self.first, &self.plain, Tail::Padding)?;
        padding.check(&self.plain, end_of(&payloads))?;
        Ok(payloads)
    }

    /// What HASH(1) and HASH(2) cover: the payloads behind the first one, with their generic headers and without padding.
    pub(crate) fn behind_first(&self, payloads: &[RawPayload<'_>]) -> &[u8] {
        let begin = payloads.get(1).map_or_else(|| end_of(payloads), |second| second.offset);
        self.plain.get(begin..end_of(payloads)).unwrap_or_default()
    }
}

/// Where the last payload ends.
fn end_of(payloads: &[RawPayload<'_>]) -> usize {
    payloads.last().map_or(0, |last| last.offset.saturating_add(last.whole.len()))
}
