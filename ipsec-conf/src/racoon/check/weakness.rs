//! Warnings about weak choices, one of each kind per load.

use super::{Check, at_place};
use libpfkey::algorithm::{self, Authentication};

use crate::racoon::algorithm::{AuthenticationMethod, Cipher, DhGroup, EspAuthentication, EspCipher, Hash};
use crate::racoon::problem::Severity;
use crate::racoon::remote::{ExchangeMode, GeneratePolicy, PeersCertificate, Remote};
use crate::racoon::sainfo::{Sainfo, SainfoId};
use crate::racoon::source::Source;
use crate::racoon::token::Token;

/// A weak choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Weakness {
    /// An algorithm, by the first of its names.
    Algorithm(&'static str, algorithm::Weakness),
    Group(DhGroup),
    AggressivePsk,
    VerifyCertOff,
    NoProtection,
}

impl Weakness {
    pub(super) fn of_cipher(cipher: Cipher) -> Option<Self> {
        Some(Self::Algorithm(cipher.name(), cipher.algorithm().weakness()?))
    }

    pub(super) fn of_hash(hash: Hash) -> Option<Self> {
        Some(Self::Algorithm(hash.name(), hash.algorithm().weakness()?))
    }

    pub(super) fn of_esp_cipher(cipher: EspCipher) -> Option<Self> {
        // The variants of DES share the weakness, and are reported under the first one's name.
        let name = cipher.algorithm().ike().first()?.names.first()?;
        Some(Self::Algorithm(name, cipher.algorithm().weakness()?))
    }

    pub(super) fn of_esp_authentication(authentication: EspAuthentication) -> Option<Self> {
        match authentication.algorithm() {
            Authentication::None => Some(Self::NoProtection),
            algorithm => Some(Self::Algorithm(authentication.name(), algorithm.weakness()?)),
        }
    }

    pub(super) fn of_group(group: DhGroup) -> Option<Self> {
        matches!(group, DhGroup::Modp768 | DhGroup::Modp1024 | DhGroup::Modp1536).then_some(Self::Group(group))
    }

    fn message(self) -> String {
        match self {
            Self::Algorithm(name, _) => format!("{name} is weak"),
            Self::Group(group) => format!("{group} is weak"),
            Self::AggressivePsk => "aggressive mode with a pre-shared key is weak".to_owned(),
            Self::VerifyCertOff => "verify_cert off is weak".to_owned(),
            Self::NoProtection => "non_auth is weak".to_owned(),
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Algorithm(_, algorithm::Weakness::ShortKey) => "its 56-bit keys can be found by exhaustive search",
            Self::Algorithm(_, algorithm::Weakness::BrokenHash) => {
                "MD5 is broken; sha256 and hmac_sha256 are not slower"
            }
            Self::Group(DhGroup::Modp768 | DhGroup::Modp1024) => {
                "its discrete logarithms can be computed: use at least modp2048 or ecp256"
            }
            Self::Group(_) => "less than 112 bits of strength: use at least modp2048 or ecp256",
            Self::AggressivePsk => "anyone can obtain a hash and guess the key offline: use main mode or certificates",
            Self::VerifyCertOff => "anyone can impersonate the peer",
            Self::NoProtection => "packets can be modified in transit",
        }
    }
}

impl Check<'_> {
    /// Reports a weakness if it is the first of its kind.
    pub(super) fn weak(&mut self, source: &Source, token: &Token<'_>, weakness: Option<Weakness>) {
        // A warning for each of many remotes would hide the other problems.
        let Some(weakness) = weakness.filter(|weakness| self.weaknesses.insert(*weakness)) else { return };
        self.problems.warning(source, token, &weakness.message(), Some(weakness.reason().to_owned()));
    }

    /// Reports weaknesses of a remote as a whole.
    pub(super) fn weak_remote(
        &mut self,
        source: &Source,
        token: &Token<'_>,
        remote: &Remote,
        methods: &[AuthenticationMethod],
    ) {
        if methods.iter().any(|method| method.has_pre_shared_key()) {
            self.needs_psk.get_or_insert_with(|| remote.place.clone());
            let aggressive = remote.exchange_modes.contains(&ExchangeMode::Aggressive);
            self.weak(source, token, aggressive.then_some(Weakness::AggressivePsk));
        }
        // Peers whose public keys are configured need no certificate.
        let keys = matches!(remote.peers_certificate, Some(PeersCertificate::PlainRsa(_)));
        let unverified = !remote.verify_cert && !keys && methods.iter().any(|method| method.verifies());
        self.weak(source, token, unverified.then_some(Weakness::VerifyCertOff));
    }

    /// Warns of remotes whose peers may choose their traffic.
    pub(super) fn check_generated(&self) {
        for remote in self.config.remotes.iter().filter(|remote| remote.generate_policy != GeneratePolicy::Off) {
            let is_open = |sainfo: &&Sainfo| {
                sainfo.remote == SainfoId::Anonymous
                    && sainfo.from.is_none()
                    && sainfo.group.is_none()
                    // No other sainfo is ever selected for peers of this remote.
                    && sainfo.remoteid == remote.ph1id
            };
            let open = self.config.sainfos.iter().find(is_open);
            let (message, hint) = match open {
                Some(_) if !remote.generate_policy_bounds => (
                    "peers of this remote may claim any traffic that no other peer has",
                    "because of generate_policy_bounds off and a sainfo with an anonymous remote side: name the peers' networks in sainfos",
                ),
                Some(_) => (
                    "peers of this remote may choose any address that nobody else has",
                    "because of generate_policy and a sainfo with an anonymous remote side: write clientaddr or an address there",
                ),
                None => continue,
            };
            at_place(&self.problems, &remote.place, Severity::Warning, message.to_owned(), Some(hint.to_owned()));
        }
    }
}
