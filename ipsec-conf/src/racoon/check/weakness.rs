//! Choices that are weak: each is told once a load, with the reason.

use std::path::Path;

use super::{Check, at_place};
use crate::psk::{self, PreSharedKeys};
use crate::racoon::algorithm::{AuthenticationMethod, Cipher, DhGroup, EspAuthentication, EspCipher, Hash};
use crate::racoon::place::Place;
use crate::racoon::problem::Severity;
use crate::racoon::remote::{ExchangeMode, Proposal};

/// A weak choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Weakness {
    Des,
    Md5,
    HmacMd5,
    Group(DhGroup),
    AggressivePsk,
    VerifyCertOff,
    NoProtection,
}

impl Weakness {
    fn of_cipher(cipher: Cipher) -> Option<Self> {
        (cipher == Cipher::Des).then_some(Self::Des)
    }

    fn of_hash(hash: Hash) -> Option<Self> {
        (hash == Hash::Md5).then_some(Self::Md5)
    }

    pub(super) fn of_esp_cipher(cipher: EspCipher) -> Option<Self> {
        matches!(cipher, EspCipher::Des | EspCipher::DesIv32 | EspCipher::DesIv64).then_some(Self::Des)
    }

    pub(super) fn of_esp_authentication(authentication: EspAuthentication) -> Option<Self> {
        match authentication {
            EspAuthentication::HmacMd5 => Some(Self::HmacMd5),
            EspAuthentication::None => Some(Self::NoProtection),
            _ => None,
        }
    }

    pub(super) fn of_group(group: DhGroup) -> Option<Self> {
        matches!(group, DhGroup::Modp768 | DhGroup::Modp1024 | DhGroup::Modp1536).then_some(Self::Group(group))
    }

    fn message(self) -> String {
        match self {
            Self::Des => "weak: des".to_owned(),
            Self::Md5 => "weak: md5".to_owned(),
            Self::HmacMd5 => "weak: hmac_md5".to_owned(),
            Self::Group(group) => format!("weak: {group}"),
            Self::AggressivePsk => "weak: aggressive mode with a pre-shared key".to_owned(),
            Self::VerifyCertOff => "weak: verify_cert off".to_owned(),
            Self::NoProtection => "weak: non_auth".to_owned(),
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Des => "its 56-bit keys are found by trying all",
            Self::Md5 | Self::HmacMd5 => "MD5 is broken; sha256 and hmac_sha256 are not slower",
            Self::Group(DhGroup::Modp768 | DhGroup::Modp1024) => {
                "its discrete logarithms are within reach; modp2048 or ecp256 are the least to use"
            }
            Self::Group(_) => "less than 112 bits of strength; modp2048 or ecp256 are the least to use",
            Self::AggressivePsk => "anyone who asks gets a hash to guess the key with; use main mode, or certificates",
            Self::VerifyCertOff => "anyone can be the peer",
            Self::NoProtection => "packets can be changed on their way",
        }
    }
}

impl Check<'_> {
    /// Tells of a weakness when it is the first of its kind.
    pub(super) fn weak(&mut self, weakness: Option<Weakness>, place: &Place) {
        let Some(weakness) = weakness.filter(|weakness| self.weaknesses.insert(*weakness)) else { return };
        let reason = Some(weakness.reason().to_owned());
        at_place(&self.problems, place, Severity::Warning, weakness.message(), reason);
    }

    pub(super) fn weak_proposal(&mut self, proposal: &Proposal, modes: &[ExchangeMode]) {
        self.weak(Weakness::of_cipher(proposal.encryption.cipher), &proposal.place);
        self.weak(Weakness::of_hash(proposal.hash), &proposal.place);
        self.weak(Weakness::of_group(proposal.dh_group), &proposal.place);
        let method = proposal.method;
        if method.has_pre_shared_key() {
            self.needs_psk.get_or_insert_with(|| proposal.place.clone());
            let aggressive = modes.contains(&ExchangeMode::Aggressive);
            self.weak(aggressive.then_some(Weakness::AggressivePsk), &proposal.place);
        }
    }

    pub(super) fn weak_verification(&mut self, verify_cert: bool, methods: &[AuthenticationMethod], place: &Place) {
        let weak = !verify_cert && methods.iter().any(|method| method.verifies());
        self.weak(weak.then_some(Weakness::VerifyCertOff), place);
    }

    /// The file of pre-shared keys, when one is needed: what is wrong with it is no error, it is read again for each
    /// negotiation.
    pub(super) fn check_psk(&self) {
        let Some(place) = &self.needs_psk else { return };
        let warn = |message: String, hint: &str| {
            at_place(&self.problems, place, Severity::Warning, message, Some(hint.to_owned()));
        };
        let Some(path) = self.config.paths.pre_shared_key.as_deref() else {
            return warn("no pre-shared key will be found".to_owned(), "`path pre_shared_key` is not set");
        };
        match PreSharedKeys::load(path, self.loader) {
            Err(error) => warn("no pre-shared key will be found".to_owned(), &error.to_string()),
            Ok((keys, problems)) => self.check_keys(path, &keys, &problems),
        }
    }

    fn check_keys(&self, path: &Path, keys: &PreSharedKeys, problems: &[psk::LineProblem]) {
        let place = |line| Place { file: path.to_string_lossy().into(), line, column: 1 };
        for problem in problems {
            at_place(&self.problems, &place(problem.line), Severity::Warning, problem.to_string(), None);
        }
        if let Some(line) = keys.short_keys().next() {
            let hint = "a recorded negotiation is enough to guess it: use 20 characters or more, at random".to_owned();
            let message = "weak: a pre-shared key of less than 20 characters";
            at_place(&self.problems, &place(line), Severity::Warning, message, Some(hint));
        }
    }
}
