//! Deviations of kernels from the RFCs that break interoperability and that no message can switch off.

use libpfkey::Dialect;
use racoon_proto::kernel::{SaInstallation, SaTransform};
use racoon_proto::num::AuthAlgorithm;

use super::Target;
use super::algorithm::Suite;

/// A deviation. Both are Linux' over PF_KEY, which has no extension for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// The ICV of HMAC-SHA-256 has 96 bits instead of 128 (RFC 4868).
    TruncatedSha256,
    /// AH over IPv4 is padded to a multiple of 8 bytes instead of 4 (RFC 4302). It makes no difference with an ICV of
    /// 96 bits, only with one of 192 or 256.
    PaddedAh,
}

impl Quirk {
    /// Returns the quirks that affect an SA.
    pub(super) fn all(target: Target, installation: &SaInstallation, suite: &Suite) -> impl Iterator<Item = Self> {
        // HMAC-SHA-256 has 96 bits on these kernels, with which the header is a multiple of 8 bytes anyway.
        let is_padded = target.abi.dialect == Dialect::Linux
            && !target.has_xfrm
            && installation.name.source.is_ipv4()
            && matches!(&installation.transform, SaTransform::Ah { authentication: (authentication, _) }
                if [AuthAlgorithm::HMAC_SHA384, AuthAlgorithm::HMAC_SHA512].contains(&authentication.algorithm));
        let of = |holds: bool, quirk: Self| holds.then_some(quirk);
        of(suite.is_truncated, Self::TruncatedSha256).into_iter().chain(of(is_padded, Self::PaddedAh))
    }

    /// Returns a one-line description with the remedy.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::TruncatedSha256 => {
                "hmac_sha256 has an ICV of 96 bits over PF_KEY of Linux, not 128 (RFC 4868): use backend xfrm, or configure \
                 hmac_sha256_96 on the peer"
            }
            Self::PaddedAh => {
                "AH over IPv4 with hmac_sha384 or hmac_sha512 is padded to 8 bytes over PF_KEY of Linux, not 4 (RFC 4302): \
                 most peers drop it; use backend xfrm"
            }
        }
    }
}
