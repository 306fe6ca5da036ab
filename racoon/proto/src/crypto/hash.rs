//! Hashes, the prf, and comparison.

use openssl::md_ctx::MdCtx;
use openssl::memcmp;
use openssl::pkey::PKey;

use super::{CryptoError, Secret, library};
use crate::num::Hash;

/// The hash of all parts, one after the other.
///
/// # Errors
/// If libcrypto does not have the hash.
pub fn digest(hash: Hash, parts: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
    let md = library::fetched_hash(hash)?;
    let mut context = MdCtx::new()?;
    context.digest_init(md)?;
    for part in parts {
        context.digest_update(part)?;
    }
    let mut value = vec![0; md.size()];
    context.digest_final(&mut value)?;
    Ok(value)
}

/// prf(key, all parts one after the other): the HMAC of the negotiated hash (RFC 2409 section 4). The key may be empty.
///
/// # Errors
/// If libcrypto does not have the hash.
pub fn prf(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Result<Secret, CryptoError> {
    let md = library::fetched_hash(hash)?;
    let key = PKey::hmac(key)?;
    let mut context = MdCtx::new()?;
    context.digest_sign_init(Some(md), &key)?;
    for part in parts {
        context.digest_sign_update(part)?;
    }
    let mut value = Secret::from(vec![0; md.size()]);
    context.digest_sign_final(Some(value.as_mut_bytes()))?;
    Ok(value)
}

/// Whether two values are the same, in a time that depends on nothing but their lengths.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && memcmp::eq(a, b)
}
