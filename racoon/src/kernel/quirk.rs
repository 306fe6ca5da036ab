//! What a kernel does otherwise than RFCs and peers have it, where nobody can tell it to.

use libpfkey::Dialect;
use racoon_proto::kernel::{SaInstallation, SaTransform};
use racoon_proto::num::AuthAlgorithm;

use super::Target;
use super::algorithm::Suite;

/// One such thing. PF_KEY of Linux has no word for either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// HMAC-SHA-256 has an ICV of 96 bits.
    CutSha256,
    /// AH over IPv4 is padded to a multiple of 8 bytes. An ICV of 96 bits makes 24 bytes anyway, one of 192 or 256 does not.
    PaddedAh,
}

impl Quirk {
    /// Those that an SA meets.
    pub(super) fn all(target: Target, installation: &SaInstallation, suite: &Suite<'_>) -> impl Iterator<Item = Self> {
        let is_padded = target.abi.dialect == Dialect::Linux
            && !target.has_xfrm
            && installation.name.source.is_ipv4()
            && matches!(&installation.transform, SaTransform::Ah { authentication: (authentication, _) }
                if [AuthAlgorithm::HMAC_SHA384, AuthAlgorithm::HMAC_SHA512].contains(&authentication.algorithm));
        let of = |holds: bool, quirk: Self| holds.then_some(quirk);
        of(suite.is_cut, Self::CutSha256).into_iter().chain(of(is_padded, Self::PaddedAh))
    }

    /// In a line, with what can be done.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::CutSha256 => {
                "hmac_sha256 has an ICV of 96 bits over PF_KEY of Linux, 128 by RFC 4868: the peer must have \
                 hmac_sha256_96, too (backend xfrm can do 128)"
            }
            Self::PaddedAh => {
                "AH over IPv4 with hmac_sha384 or hmac_sha512 is padded to 8 bytes over PF_KEY of Linux, to 4 by RFC 4302: \
                 the peer drops it, if its kernel is not told the same way (backend xfrm can do 4)"
            }
        }
    }
}
