//! Protocol numbers of the configuration's keywords.

use ipsec_conf::racoon as conf;
use libpfkey::algorithm::Compression;
use racoon_proto::config::{Authentication, CheckLevel, DpdMode, Esn, GeneratePolicy, IkeFrag, NatTraversal, Rekey};
use racoon_proto::num::{AuthAlgorithm, AuthMethod, Cipher, EspTransform, ExchangeType, Group, Hash, IpcompTransform};

pub(super) fn cipher(cipher: conf::Cipher) -> Cipher {
    Cipher(cipher.number())
}

pub(super) fn hash(hash: conf::Hash) -> Hash {
    Hash(hash.number())
}

pub(super) fn group(group: conf::DhGroup) -> Group {
    Group(group.number())
}

/// Returns the methods that a keyword stands for. `ecdsasig` depends on the certificate's curve; as long as that is
/// unknown it stands for all three.
pub(super) fn methods(method: conf::AuthenticationMethod, ecdsa: Option<AuthMethod>) -> Vec<AuthMethod> {
    let one = match method {
        conf::AuthenticationMethod::PreSharedKey => AuthMethod::PRE_SHARED_KEY,
        conf::AuthenticationMethod::RsaSig => AuthMethod::RSA_SIGNATURES,
        conf::AuthenticationMethod::EcdsaSig => {
            let all = vec![AuthMethod::ECDSA_256, AuthMethod::ECDSA_384, AuthMethod::ECDSA_521];
            return ecdsa.map_or(all, |one| vec![one]);
        }
        conf::AuthenticationMethod::HybridRsaClient => AuthMethod::HYBRID_RSA_CLIENT,
        conf::AuthenticationMethod::HybridRsaServer => AuthMethod::HYBRID_RSA_SERVER,
        conf::AuthenticationMethod::XauthPskClient => AuthMethod::XAUTH_PSK_CLIENT,
        conf::AuthenticationMethod::XauthPskServer => AuthMethod::XAUTH_PSK_SERVER,
        conf::AuthenticationMethod::XauthRsaClient => AuthMethod::XAUTH_RSA_CLIENT,
        conf::AuthenticationMethod::XauthRsaServer => AuthMethod::XAUTH_RSA_SERVER,
    };
    vec![one]
}

pub(super) fn esp(cipher: conf::EspCipher) -> EspTransform {
    EspTransform(cipher.transform())
}

pub(super) fn authentication(algorithm: conf::EspAuthentication) -> Authentication {
    Authentication { algorithm: AuthAlgorithm(algorithm.number()), truncated: algorithm.is_truncated() }
}

pub(super) fn compression(algorithm: Compression) -> IpcompTransform {
    // The language has no algorithm without an IKE number.
    IpcompTransform(algorithm.ike().map_or(0, |ike| ike.transform))
}

pub(super) fn exchange(mode: conf::ExchangeMode) -> ExchangeType {
    match mode {
        conf::ExchangeMode::Main => ExchangeType::MAIN,
        conf::ExchangeMode::Aggressive => ExchangeType::AGGRESSIVE,
        conf::ExchangeMode::Base => ExchangeType::BASE,
    }
}

pub(super) fn check_level(check: conf::ProposalCheck) -> CheckLevel {
    match check {
        conf::ProposalCheck::Obey => CheckLevel::Obey,
        conf::ProposalCheck::Strict => CheckLevel::Strict,
        conf::ProposalCheck::Claim => CheckLevel::Claim,
        conf::ProposalCheck::Exact => CheckLevel::Exact,
    }
}

pub(super) fn generate_policy(policy: conf::GeneratePolicy) -> GeneratePolicy {
    match policy {
        conf::GeneratePolicy::Off => GeneratePolicy::Off,
        conf::GeneratePolicy::Require => GeneratePolicy::Require,
        conf::GeneratePolicy::Unique => GeneratePolicy::Unique,
    }
}

pub(super) fn ike_frag(switch: conf::Ternary) -> IkeFrag {
    match switch {
        conf::Ternary::Off => IkeFrag::Off,
        conf::Ternary::On => IkeFrag::On,
        conf::Ternary::Force => IkeFrag::Force,
    }
}

pub(super) fn nat_traversal(switch: conf::Ternary) -> NatTraversal {
    match switch {
        conf::Ternary::Off => NatTraversal::Off,
        conf::Ternary::On => NatTraversal::On,
        conf::Ternary::Force => NatTraversal::Force,
    }
}

pub(super) fn rekey(switch: conf::Ternary) -> Rekey {
    match switch {
        conf::Ternary::Off => Rekey::Off,
        conf::Ternary::On => Rekey::On,
        conf::Ternary::Force => Rekey::Force,
    }
}

pub(super) fn dpd_mode(mode: conf::DpdMode) -> DpdMode {
    match mode {
        conf::DpdMode::Always => DpdMode::Always,
        conf::DpdMode::Traffic => DpdMode::Traffic,
        conf::DpdMode::Idle => DpdMode::Idle,
    }
}

pub(super) fn esn(esn: conf::Esn) -> Esn {
    match esn {
        conf::Esn::Off => Esn::Off,
        conf::Esn::On => Esn::On,
        conf::Esn::Require => Esn::Require,
    }
}

/// Returns a duration in seconds, at most the largest number.
pub(super) fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
