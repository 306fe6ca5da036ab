//! Curve25519 (RFC 7748 section 6.1).

use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey, Private};

use crate::crypto::{CryptoError, GroupError, PeerValueError, Secret};
use crate::num::Group;
use crate::random::Random;

/// Length of scalars, public values and secrets in bytes.
const LENGTH: usize = 32;

/// Whether libcrypto supports the group.
pub(super) fn works() -> bool {
    public_value(&[1; LENGTH]).is_ok()
}

pub(super) fn draw(random: &mut dyn Random) -> Secret {
    let mut secret = Secret::from(vec![0; LENGTH]);
    // Any 32 bytes are a scalar: X25519 itself sets its fixed bits (RFC 7748 section 5).
    random.fill(secret.as_mut_bytes());
    secret
}

pub(super) fn public_value(secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(key(secret)?.raw_public_key()?)
}

pub(super) fn shared_secret(group: Group, secret: &[u8], peer: &[u8]) -> Result<Secret, GroupError> {
    derive(group, &key(secret)?, peer)
}

/// Returns the public value and the secret. libcrypto computes the public value together with the key, so one call is faster than
/// two.
pub(super) fn exchange(group: Group, secret: &[u8], peer: &[u8]) -> Result<(Vec<u8>, Secret), GroupError> {
    let key = key(secret)?;
    let shared = derive(group, &key, peer)?;
    Ok((key.raw_public_key().map_err(CryptoError::from)?, shared))
}

fn key(secret: &[u8]) -> Result<PKey<Private>, CryptoError> {
    Ok(PKey::private_key_from_raw_bytes(secret, Id::X25519)?)
}

fn derive(group: Group, key: &PKey<Private>, peer: &[u8]) -> Result<Secret, GroupError> {
    if peer.len() != LENGTH {
        return Err(PeerValueError::Length { group, expected: LENGTH, found: peer.len() }.into());
    }
    let peer = PKey::public_key_from_raw_bytes(peer, Id::X25519)?;
    let mut deriver = Deriver::new(key)?;
    deriver.set_peer_ex(&peer, false)?;
    let mut shared = Secret::from(vec![0; LENGTH]);
    // Every 32 bytes are a valid value. libcrypto fails for those that make the secret zero (RFC 7748 section 6.1).
    let written = deriver.derive(shared.as_mut_bytes()).map_err(|_| PeerValueError::ZeroSecret(group))?;
    if written != LENGTH || shared.as_bytes().iter().all(|byte| *byte == 0) {
        return Err(PeerValueError::ZeroSecret(group).into());
    }
    Ok(shared)
}
