//! Protocol numbers of the configuration's keywords.

use ipsec_conf::racoon as conf;
use racoon_proto::config::{Authentication, CheckLevel, DpdMode, Esn, GeneratePolicy, IkeFrag, NatTraversal, Rekey};
use racoon_proto::num::{AuthAlgorithm, AuthMethod, Cipher, EspTransform, ExchangeType, Group, Hash, IpcompTransform};

pub(super) fn cipher(cipher: conf::Cipher) -> Cipher {
    match cipher {
        conf::Cipher::Des => Cipher::DES,
        conf::Cipher::TripleDes => Cipher::TRIPLE_DES,
        conf::Cipher::Blowfish => Cipher::BLOWFISH,
        conf::Cipher::Cast128 => Cipher::CAST128,
        conf::Cipher::Aes => Cipher::AES,
        conf::Cipher::Camellia => Cipher::CAMELLIA,
    }
}

pub(super) fn hash(hash: conf::Hash) -> Hash {
    match hash {
        conf::Hash::Md5 => Hash::MD5,
        conf::Hash::Sha1 => Hash::SHA1,
        conf::Hash::Sha256 => Hash::SHA256,
        conf::Hash::Sha384 => Hash::SHA384,
        conf::Hash::Sha512 => Hash::SHA512,
    }
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
    match cipher {
        conf::EspCipher::DesIv64 => EspTransform::DES_IV64,
        conf::EspCipher::Des => EspTransform::DES,
        conf::EspCipher::TripleDes => EspTransform::TRIPLE_DES,
        conf::EspCipher::Cast128 => EspTransform::CAST128,
        conf::EspCipher::Blowfish => EspTransform::BLOWFISH,
        conf::EspCipher::DesIv32 => EspTransform::DES_IV32,
        conf::EspCipher::Null => EspTransform::NULL,
        conf::EspCipher::Aes => EspTransform::AES,
        conf::EspCipher::AesCtr => EspTransform::AES_CTR,
        conf::EspCipher::AesCcm8 => EspTransform::AES_CCM_8,
        conf::EspCipher::AesCcm12 => EspTransform::AES_CCM_12,
        conf::EspCipher::AesCcm16 => EspTransform::AES_CCM_16,
        conf::EspCipher::AesGcm8 => EspTransform::AES_GCM_8,
        conf::EspCipher::AesGcm12 => EspTransform::AES_GCM_12,
        conf::EspCipher::AesGcm16 => EspTransform::AES_GCM_16,
        conf::EspCipher::AesGmac => EspTransform::AES_GMAC,
        conf::EspCipher::Camellia => EspTransform::CAMELLIA,
        conf::EspCipher::Twofish => EspTransform::TWOFISH,
    }
}

pub(super) fn authentication(algorithm: conf::EspAuthentication) -> Authentication {
    match algorithm {
        conf::EspAuthentication::HmacMd5 => AuthAlgorithm::HMAC_MD5.into(),
        conf::EspAuthentication::HmacSha1 => AuthAlgorithm::HMAC_SHA1.into(),
        conf::EspAuthentication::HmacSha256 => AuthAlgorithm::HMAC_SHA256.into(),
        conf::EspAuthentication::HmacSha256To96 => {
            Authentication { algorithm: AuthAlgorithm::HMAC_SHA256, truncated: true }
        }
        conf::EspAuthentication::HmacSha384 => AuthAlgorithm::HMAC_SHA384.into(),
        conf::EspAuthentication::HmacSha512 => AuthAlgorithm::HMAC_SHA512.into(),
        conf::EspAuthentication::AesXcbc => AuthAlgorithm::AES_XCBC.into(),
        conf::EspAuthentication::None => AuthAlgorithm::NONE.into(),
    }
}

pub(super) fn compression(algorithm: conf::Compression) -> IpcompTransform {
    match algorithm {
        conf::Compression::Oui => IpcompTransform::OUI,
        conf::Compression::Deflate => IpcompTransform::DEFLATE,
        conf::Compression::Lzs => IpcompTransform::LZS,
    }
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
