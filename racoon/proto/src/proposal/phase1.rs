//! Phase 1: transforms of an SA payload (RFC 2409 section 5 and Appendix A).

use super::refusal::Sides;
use crate::config::CheckLevel;
use crate::num::{AuthMethod, Cipher, Group, Hash};

/// Number of transforms of each side that are compared to find the smallest difference.
const COMPARED_MAX: usize = 32;

/// The terms of an ISAKMP SA: as configured, as proposed, or as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase1Terms {
    /// Encryption.
    pub cipher: Cipher,
    /// The key length of the cipher in bits; 0 if it has only one.
    pub key_length: u16,
    /// Hash, whose HMAC is the prf.
    pub hash: Hash,
    /// Diffie-Hellman group.
    pub group: Group,
    /// Authentication method; a configured one includes our role.
    pub method: AuthMethod,
    /// Lifetime in seconds.
    pub lifetime: u32,
}

/// A difference between a proposed transform and a configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase1Mismatch {
    /// Another cipher.
    Cipher(Sides<Cipher>),
    /// Another hash.
    Hash(Sides<Hash>),
    /// Another group.
    Group(Sides<Group>),
    /// Another authentication method.
    Method(Sides<AuthMethod>),
    /// A key, in bits, that is shorter than ours, or under `exact` of another length.
    KeyLength(Sides<u16>),
    /// A lifetime, in seconds, that is longer than ours, or under `exact` another one.
    Lifetime(Sides<u32>),
}

/// Checks what a peer proposes, or answers to an initiator, against the configuration, and returns the resulting terms.
///
/// # Errors
/// If `level` does not allow a difference: the first one.
pub fn check_phase1(
    level: CheckLevel,
    offered: &Phase1Terms,
    configured: &Phase1Terms,
) -> Result<Phase1Terms, Phase1Mismatch> {
    match mismatches(level, offered, configured).next() {
        Some(mismatch) => Err(mismatch),
        // The peer's values are used: the level allows them because they are safer than ours, equal, or any with `obey`.
        None => Ok(Phase1Terms { key_length: offered.key_length, lifetime: offered.lifetime, ..*configured }),
    }
}

/// Returns the differences that `level` does not allow. No level allows another algorithm.
fn mismatches(
    level: CheckLevel,
    offered: &Phase1Terms,
    configured: &Phase1Terms,
) -> impl Iterator<Item = Phase1Mismatch> {
    let (theirs, ours) = (*offered, *configured);
    let cipher = (theirs.cipher != ours.cipher).then_some(Phase1Mismatch::Cipher(Sides(theirs.cipher, ours.cipher)));
    let hash = (theirs.hash != ours.hash).then_some(Phase1Mismatch::Hash(Sides(theirs.hash, ours.hash)));
    let group = (theirs.group != ours.group).then_some(Phase1Mismatch::Group(Sides(theirs.group, ours.group)));
    // An XAUTH or hybrid method has a number for each role, but only that of the client is proposed.
    let is_other_method = theirs.method.on_the_wire() != ours.method.on_the_wire();
    let method = is_other_method.then_some(Phase1Mismatch::Method(Sides(theirs.method, ours.method)));
    let (other_length, other_lifetime) = match level {
        CheckLevel::Obey => (false, false),
        // RESPONDER-LIFETIME is about IPsec SAs (RFC 2407 section 4.6.3.1), so in phase 1 `claim` means `strict`.
        CheckLevel::Strict | CheckLevel::Claim => {
            (theirs.key_length < ours.key_length, theirs.lifetime > ours.lifetime)
        }
        CheckLevel::Exact => (theirs.key_length != ours.key_length, theirs.lifetime != ours.lifetime),
    };
    // Key lengths of different ciphers cannot be compared.
    let other_length = other_length && cipher.is_none();
    let length = other_length.then_some(Phase1Mismatch::KeyLength(Sides(theirs.key_length, ours.key_length)));
    let lifetime = other_lifetime.then_some(Phase1Mismatch::Lifetime(Sides(theirs.lifetime, ours.lifetime)));
    [cipher, hash, group, method, length, lifetime].into_iter().flatten()
}

/// Returns the differences between the two most similar transforms. Only the beginnings of long lists are compared, because an
/// unknown peer may offer thousands.
pub fn closest_phase1(
    level: CheckLevel,
    offered: &[Phase1Terms],
    configured: &[Phase1Terms],
) -> Option<Vec<Phase1Mismatch>> {
    let ours = || configured.iter().take(COMPARED_MAX);
    let pairs = offered.iter().take(COMPARED_MAX).flat_map(|theirs| ours().map(move |ours| (theirs, ours)));
    pairs.map(|(theirs, ours)| mismatches(level, theirs, ours).collect::<Vec<_>>()).min_by_key(Vec::len)
}

/// A transform that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase1Acceptance {
    /// The index of the peer's transform.
    pub offered: usize,
    /// The index of the transform of ours that it matches.
    pub configured: usize,
    /// The terms that are agreed on.
    pub terms: Phase1Terms,
}

/// Returns the first of the peer's transforms, in the peer's order, that matches one of ours, in our order (RFC 2409 section 5: the
/// responder chooses, and may not change what it chooses).
pub fn accept_phase1(
    level: CheckLevel,
    offered: &[Phase1Terms],
    configured: &[Phase1Terms],
) -> Option<Phase1Acceptance> {
    offered.iter().enumerate().find_map(|(at, theirs)| {
        configured.iter().enumerate().find_map(|(mine, ours)| {
            let terms = check_phase1(level, theirs, ours).ok()?;
            Some(Phase1Acceptance { offered: at, configured: mine, terms })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Phase1Terms = Phase1Terms {
        cipher: Cipher::AES,
        key_length: 192,
        hash: Hash::SHA256,
        group: Group::MODP2048,
        method: AuthMethod::PRE_SHARED_KEY,
        lifetime: 3600,
    };

    fn with(key_length: u16, lifetime: u32) -> Phase1Terms {
        Phase1Terms { key_length, lifetime, ..MINE }
    }

    fn agreed(level: CheckLevel, key_length: u16, lifetime: u32) -> Option<(u16, u32)> {
        let agreed = check_phase1(level, &with(key_length, lifetime), &MINE).ok()?;
        Some((agreed.key_length, agreed.lifetime))
    }

    #[test]
    fn the_table_of_levels() {
        use CheckLevel::{Claim, Exact, Obey, Strict};
        for (level, key_length, lifetime, expected) in [
            (Obey, 128, 7200, Some((128, 7200))),
            (Obey, 256, 60, Some((256, 60))),
            (Strict, 192, 3600, Some((192, 3600))),
            (Strict, 256, 60, Some((256, 60))),
            (Strict, 128, 60, None),
            (Strict, 256, 3601, None),
            (Claim, 192, 3600, Some((192, 3600))),
            (Claim, 256, 60, Some((256, 60))),
            (Claim, 128, 60, None),
            (Claim, 256, 3601, None),
            (Exact, 192, 3600, Some((192, 3600))),
            (Exact, 256, 3600, None),
            (Exact, 192, 3599, None),
        ] {
            assert_eq!(agreed(level, key_length, lifetime), expected, "{level:?} {key_length} {lifetime}");
        }
    }

    #[test]
    fn no_level_changes_an_algorithm() {
        for other in [
            Phase1Terms { cipher: Cipher::CAMELLIA, ..MINE },
            Phase1Terms { hash: Hash::SHA1, ..MINE },
            Phase1Terms { group: Group::MODP1024, ..MINE },
            Phase1Terms { method: AuthMethod::RSA_SIGNATURES, ..MINE },
        ] {
            for level in [CheckLevel::Obey, CheckLevel::Strict, CheckLevel::Claim, CheckLevel::Exact] {
                assert!(check_phase1(level, &other, &MINE).is_err(), "{level:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_mismatch_names_both_sides() {
        let other = Phase1Terms { group: Group::MODP1024, ..MINE };
        let error = check_phase1(CheckLevel::Obey, &other, &MINE).unwrap_err();
        assert_eq!(error.to_string(), "dh_group modp1024 proposed, modp2048 configured");
        let error = check_phase1(CheckLevel::Strict, &with(128, 60), &MINE).unwrap_err();
        assert_eq!(error.to_string(), "key of 128 bits proposed, 192 bits configured");
    }

    #[test]
    fn a_servers_method_meets_the_clients_and_stays_ours() {
        let server = Phase1Terms { method: AuthMethod::XAUTH_RSA_SERVER, ..MINE };
        let client = Phase1Terms { method: AuthMethod::XAUTH_RSA_CLIENT, ..MINE };
        let agreed = check_phase1(CheckLevel::Obey, &client, &server).unwrap();
        assert_eq!(agreed.method, AuthMethod::XAUTH_RSA_SERVER);
    }

    #[test]
    fn the_peers_order_comes_before_ours() {
        let aes = with(192, 3600);
        let triple_des = Phase1Terms { cipher: Cipher::TRIPLE_DES, key_length: 0, ..MINE };
        let ours = [aes, triple_des];
        let accepted = accept_phase1(CheckLevel::Strict, &[with(128, 60), triple_des, aes], &ours).unwrap();
        assert_eq!((accepted.offered, accepted.configured, accepted.terms), (1, 1, triple_des));
        assert_eq!(accept_phase1(CheckLevel::Strict, &[with(128, 60)], &ours), None);
        assert_eq!(accept_phase1(CheckLevel::Obey, &[], &ours), None);
    }
}
