//! Keys and hashes of the exchanges (RFC 2409 section 5).

use super::{CipherKey, CryptoError, Prf, Secret, prf};
use crate::num::{Hash, Protocol};
use crate::proposal::Phase1Terms;

/// Derives SKEYID of an exchange with a pre-shared key: prf(pre-shared-key, Ni_b | Nr_b).
///
/// # Errors
/// If libcrypto does not have the hash.
pub fn skeyid_psk(hash: Hash, psk: &Secret, ni: &[u8], nr: &[u8]) -> Result<Prf, CryptoError> {
    Prf::new(hash, prf(hash, psk.as_bytes(), &[ni, nr])?.as_bytes())
}

/// Derives SKEYID of an exchange with signatures: prf(Ni_b | Nr_b, g^xy).
///
/// # Errors
/// If libcrypto does not have the hash.
pub fn skeyid_signature(hash: Hash, ni: &[u8], nr: &[u8], g_xy: &Secret) -> Result<Prf, CryptoError> {
    Prf::new(hash, prf(hash, &[ni, nr].concat(), &[g_xy.as_bytes()])?.as_bytes())
}

/// The values, besides the identity, that HASH_I and HASH_R cover, in the bytes that were sent and received.
#[derive(Clone, Copy, Debug)]
pub struct HashInput<'a> {
    /// The initiator's public value, the body of its KE payload.
    pub g_xi: &'a [u8],
    /// The responder's.
    pub g_xr: &'a [u8],
    /// The initiator's cookie.
    pub cookie_i: &'a [u8; 8],
    /// The responder's.
    pub cookie_r: &'a [u8; 8],
    /// SAi_b: the body of the SA payload that the initiator offered, without its generic header.
    pub sa_i: &'a [u8],
}

impl HashInput<'_> {
    /// Computes HASH_I: prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b). `id_ii` is the body of the initiator's ID
    /// payload.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn hash_i(&self, skeyid: &Prf, id_ii: &[u8]) -> Result<Secret, CryptoError> {
        let parts: [&[u8]; 6] = [self.g_xi, self.g_xr, self.cookie_i, self.cookie_r, self.sa_i, id_ii];
        skeyid.of(&parts)
    }

    /// Computes HASH_R: prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b). `id_ir` is the body of the responder's ID
    /// payload.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn hash_r(&self, skeyid: &Prf, id_ir: &[u8]) -> Result<Secret, CryptoError> {
        let parts: [&[u8]; 6] = [self.g_xr, self.g_xi, self.cookie_r, self.cookie_i, self.sa_i, id_ir];
        skeyid.of(&parts)
    }

    /// Computes HASH_I of base mode: prf(K, g^xi | CKY-I | CKY-R | SAi_b | IDii_b). K is SKEYID with a pre-shared key, and
    /// hash(Ni_b | Nr_b) with signatures. HASH_R with a pre-shared key is [`HashInput::hash_r`].
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn base_mode_hash_i(&self, key: &Prf, id_ii: &[u8]) -> Result<Secret, CryptoError> {
        key.of(&[self.g_xi, self.cookie_i, self.cookie_r, self.sa_i, id_ii])
    }

    /// Computes HASH_R of base mode with signatures: prf(K, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b), with the K of
    /// [`HashInput::base_mode_hash_i`]. It covers the initiator's identity, as ipsec-tools do.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn base_mode_signed_hash_r(&self, key: &Prf, id_ii: &[u8]) -> Result<Secret, CryptoError> {
        let parts: [&[u8]; 6] = [self.g_xi, self.g_xr, self.cookie_i, self.cookie_r, self.sa_i, id_ii];
        key.of(&parts)
    }
}

/// The keys of an ISAKMP SA, which protect every exchange after phase 1.
#[derive(Debug)]
pub struct Phase1Keys {
    /// The negotiated hash, whose HMAC is the prf.
    pub hash: Hash,
    /// SKEYID_d, from which the keys of IPsec SAs are derived.
    pub d: Prf,
    /// SKEYID_a, which authenticates messages.
    pub a: Prf,
    /// The cipher for messages, with a key derived from SKEYID_e.
    pub cipher: CipherKey,
}

impl Phase1Keys {
    /// Derives SKEYID_d, SKEYID_a and the key of the cipher.
    ///
    /// # Errors
    /// If libcrypto does not have hash or cipher, or if the key is a weak one.
    pub fn derive(
        terms: &Phase1Terms,
        skeyid: &Prf,
        g_xy: &Secret,
        cookie_i: &[u8; 8],
        cookie_r: &[u8; 8],
    ) -> Result<Self, CryptoError> {
        let hash = terms.hash;
        let next = |previous: &[u8], number: u8| skeyid.of(&[previous, g_xy.as_bytes(), cookie_i, cookie_r, &[number]]);
        // Each key is derived from the previous one (RFC 2409 section 5).
        let d = next(&[], 0)?;
        let a = next(d.as_bytes(), 1)?;
        let e = next(a.as_bytes(), 2)?;
        let cipher = CipherKey::derive(terms.cipher, terms.key_length, hash, e.as_bytes())?;
        Ok(Self { hash, d: Prf::new(hash, d.as_bytes())?, a: Prf::new(hash, a.as_bytes())?, cipher })
    }

    /// Computes HASH(1) of quick mode, and HASH of the informational exchange: prf(SKEYID_a, M-ID | all that follows the HASH
    /// payload). The HASH of a transaction exchange is the same.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub fn hash1(&self, message_id: u32, rest: &[u8]) -> Result<Secret, CryptoError> {
        self.a.of(&[&message_id.to_be_bytes(), rest])
    }

    /// Computes HASH(2) of quick mode: prf(SKEYID_a, M-ID | Ni_b | all that follows the HASH payload).
    ///
    /// # Errors
    /// If libcrypto fails.
    pub fn hash2(&self, message_id: u32, ni: &[u8], rest: &[u8]) -> Result<Secret, CryptoError> {
        self.a.of(&[&message_id.to_be_bytes(), ni, rest])
    }

    /// Computes HASH(3) of quick mode: prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b).
    ///
    /// # Errors
    /// If libcrypto fails.
    pub fn hash3(&self, message_id: u32, ni: &[u8], nr: &[u8]) -> Result<Secret, CryptoError> {
        self.a.of(&[&[0], &message_id.to_be_bytes(), ni, nr])
    }

    /// Derives the KEYMAT of an SA: K1 | K2 | ... cut to `length` bytes, where K1 = prf(SKEYID_d, [g(qm)^xy |] protocol | SPI |
    /// Ni_b | Nr_b) and each further one has the previous one in front of all that (RFC 2409 section 5.5).
    ///
    /// # Errors
    /// If libcrypto fails.
    pub fn keymat(
        &self,
        seed: &Phase2Seed<'_>,
        protocol: Protocol,
        spi: u32,
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let g_xy = seed.g_xy.map_or(&[][..], Secret::as_bytes);
        expand(length, |previous| {
            let parts: [&[u8]; 6] = [previous, g_xy, &[protocol.0], &spi.to_be_bytes(), seed.ni, seed.nr];
            self.d.of(&parts)
        })
    }
}

/// The values that the keys of all SAs of one quick mode are derived from.
#[derive(Clone, Copy, Debug)]
pub struct Phase2Seed<'a> {
    /// The secret of a Diffie-Hellman exchange in quick mode, for perfect forward secrecy.
    pub g_xy: Option<&'a Secret>,
    /// The initiator's nonce, the body of its payload.
    pub ni: &'a [u8],
    /// The responder's.
    pub nr: &'a [u8],
}

/// Returns `length` bytes of K1 | K2 | ..., where `next` computes each block from the previous one, and the first from an empty one.
pub(super) fn expand(
    length: usize,
    next: impl Fn(&[u8]) -> Result<Secret, CryptoError>,
) -> Result<Secret, CryptoError> {
    // The capacity suffices: a reallocation would leave a copy of the key behind.
    let mut all = zeroize::Zeroizing::new(Vec::with_capacity(length));
    let mut block = Secret::from(Vec::new());
    while all.len() < length {
        block = next(block.as_bytes())?;
        let missing = length - all.len();
        all.extend(block.as_bytes().iter().take(missing));
    }
    Ok(all.into())
}

#[cfg(test)]
mod tests;
