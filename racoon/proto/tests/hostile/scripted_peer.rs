//! A scripted peer, which can send any message of either role, valid or not, at any time.

use std::net::SocketAddr;

use racoon_proto::crypto::{
    Exponent, HashInput, Iv, Padding, Phase1Keys, Prf, Secret, SeededRandom, equal, skeyid_psk,
};
use racoon_proto::identity::Identity;
use racoon_proto::num::{
    AuthAlgorithm, Doi, EncapsulationMode, EspTransform, ExchangeType, Flags, Group, LifeType, NotifyType, PayloadType,
    Phase2Attribute, Protocol,
};
use racoon_proto::proposal::{offered_phase1, phase1_answer, phase1_sa};
use racoon_proto::random::Random as _;
use racoon_proto::wire::{
    Attribute, Cookie, CookiePair, Delete, HEADER_LEN, Header, Notify, Proposal, SaBody, Tail, Transform, VendorId,
    chain,
};

use crate::fixture::{KEY, PHASE2_LIFETIME, TERMS};

/// The SPI under which the scripted peer receives.
pub(crate) const SPI: u32 = 0xc0de_0001;

/// A message of the scripted peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Main1,
    Main2,
    Main3,
    Main4,
    Main5,
    Main6,
    Quick1,
    Quick2,
    Quick3,
    /// A delete of the IPsec SA.
    Informational,
}

impl Step {
    /// The steps of an initiator.
    pub(crate) const INITIATOR: [Self; 5] = [Self::Main1, Self::Main3, Self::Main5, Self::Quick1, Self::Quick3];
    /// The steps of a responder.
    pub(crate) const RESPONDER: [Self; 4] = [Self::Main2, Self::Main4, Self::Main6, Self::Quick2];

    /// Returns the name in the engine's log lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main1 => "message 1 of main mode",
            Self::Main2 => "message 2 of main mode",
            Self::Main3 => "message 3 of main mode",
            Self::Main4 => "message 4 of main mode",
            Self::Main5 => "message 5 of main mode",
            Self::Main6 => "message 6 of main mode",
            Self::Quick1 => "message 1 of quick mode",
            Self::Quick2 => "message 2 of quick mode",
            Self::Quick3 => "message 3 of quick mode",
            Self::Informational => "message 1 of informational mode",
        }
    }

    pub(crate) fn is_main(self) -> bool {
        self <= Self::Main6
    }

    pub(crate) fn is_encrypted(self) -> bool {
        self >= Self::Main5
    }
}

/// A message before it is encrypted.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) step: Step,
    pub(crate) header: Header,
    pub(crate) payloads: Vec<(PayloadType, Vec<u8>)>,
}

/// The peer.
pub(crate) struct ScriptedPeer {
    pub(crate) address: SocketAddr,
    host: SocketAddr,
    pub(crate) is_initiator: bool,
    pub(crate) random: SeededRandom,
    pub(crate) cookies: CookiePair,
    exponent: Exponent,
    nonce: Vec<u8>,
    sa_i: Vec<u8>,
    /// The host's public value and nonce.
    theirs: Option<(Vec<u8>, Vec<u8>)>,
    /// The identity that it claims.
    pub(crate) identity: Identity,
    keyed: Option<Keyed>,
    /// Whether the host has proved its identity.
    pub(crate) has_proof: bool,
    /// The state of quick mode.
    pub(crate) message_id: u32,
    quick_iv: Option<Iv>,
    quick_nonce: Vec<u8>,
    their_quick_nonce: Vec<u8>,
    /// The payloads of the host's last message of quick mode.
    pub(crate) heard: Vec<(PayloadType, Vec<u8>)>,
    /// The payloads of the host's informational messages.
    pub(crate) informed: Vec<(PayloadType, Vec<u8>)>,
    /// The SPI under which the scripted peer receives.
    pub(crate) spi: u32,
    /// Whether it announces dead peer detection.
    pub(crate) has_dpd: bool,
    /// The terms that it proposes in quick mode.
    pub(crate) mode: EncapsulationMode,
    /// The sides that it requests as initiator, its own and the host's; `None` for both addresses.
    pub(crate) traffic: Option<[Identity; 2]>,
}

/// The state once the keys are derived.
struct Keyed {
    skeyid: Prf,
    keys: Phase1Keys,
    /// The IV of phase 1; after it, the last block.
    iv: Iv,
}

impl ScriptedPeer {
    pub(crate) fn new(address: SocketAddr, host: SocketAddr, is_initiator: bool, seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let cookies = if is_initiator {
            CookiePair { initiator: cookie(&mut random), responder: Cookie::ZERO }
        } else {
            CookiePair { initiator: Cookie::ZERO, responder: cookie(&mut random) }
        };
        let exponent = Exponent::draw(TERMS.group, &mut random).expect("a group");
        Self {
            address,
            host,
            is_initiator,
            cookies,
            exponent,
            nonce: bytes(&mut random, 16),
            sa_i: phase1_sa(&[TERMS]).encode(),
            theirs: None,
            identity: Identity::address(address.ip()).with_protocol(17, 500),
            keyed: None,
            has_proof: false,
            message_id: u32::from_be_bytes(bytes(&mut random, 4).try_into().expect("4 bytes")) | 1,
            quick_iv: None,
            quick_nonce: bytes(&mut random, 16),
            their_quick_nonce: Vec::new(),
            heard: Vec::new(),
            informed: Vec::new(),
            spi: SPI,
            has_dpd: false,
            mode: EncapsulationMode::TRANSPORT,
            traffic: None,
            random,
        }
    }

    /// Whether the keys are derived.
    pub(crate) fn is_keyed(&self) -> bool {
        self.keyed.is_some()
    }

    /// Begins another quick mode under the same phase 1.
    pub(crate) fn new_quick_mode(&mut self) {
        self.message_id = self.message_id.wrapping_add(2);
        self.quick_nonce = bytes(&mut self.random, 16);
        self.quick_iv = None;
        self.spi += 1;
    }

    /// Returns a valid message of a step.
    pub(crate) fn draft(&mut self, step: Step) -> Draft {
        use PayloadType as P;
        let public = || self.exponent.public_value().expect("a public value");
        let payloads = match step {
            Step::Main1 => {
                let dpd = self.has_dpd.then(|| (P::VENDOR_ID, VendorId::Dpd.encode()));
                std::iter::once((P::SA, self.sa_i.clone())).chain(dpd).collect()
            }
            Step::Main2 => {
                let offer = offered_phase1(&SaBody::parse(&self.sa_i).expect("an SA payload"));
                vec![(P::SA, phase1_answer(&offer.transforms[0]).encode())]
            }
            Step::Main3 | Step::Main4 => vec![(P::KEY_EXCHANGE, public()), (P::NONCE, self.nonce.clone())],
            Step::Main5 | Step::Main6 => vec![(P::ID, self.identity.encode()), (P::HASH, Vec::new())],
            Step::Quick1 | Step::Quick2 => vec![
                (P::HASH, Vec::new()),
                (P::SA, if step == Step::Quick1 { self.proposal() } else { self.choice() }),
                (P::NONCE, self.quick_nonce.clone()),
                (P::KEY_EXCHANGE, public()),
                (P::ID, self.side(0).encode()),
                (P::ID, self.side(1).encode()),
            ],
            Step::Quick3 => vec![(P::HASH, Vec::new())],
            Step::Informational => {
                return self.informational(vec![(P::DELETE, deletion(Protocol::ESP, &[&self.spi.to_be_bytes()]))]);
            }
        };
        let (exchange, message_id) =
            if step.is_main() { (ExchangeType::MAIN, 0) } else { (ExchangeType::QUICK, self.message_id) };
        self.drafted(step, exchange, message_id, payloads)
    }

    /// Returns a side of the traffic: the initiator's or the responder's.
    fn side(&self, at: usize) -> Identity {
        let hosts = if self.is_initiator { [self.address, self.host] } else { [self.host, self.address] };
        self.traffic.as_ref().map_or_else(|| Identity::address(hosts[at].ip()), |sides| sides[at].clone())
    }

    /// Returns an informational message under the SA, with HASH(1) before the payloads.
    pub(crate) fn informational(&mut self, payloads: Vec<(PayloadType, Vec<u8>)>) -> Draft {
        let message_id = u32::from_be_bytes(bytes(&mut self.random, 4).try_into().expect("4 bytes")) | 1;
        let payloads = [vec![(PayloadType::HASH, Vec::new())], payloads].concat();
        self.drafted(Step::Informational, ExchangeType::INFORMATIONAL, message_id, payloads)
    }

    /// Returns a notify about phase 1.
    pub(crate) fn notify(&self, kind: NotifyType, data: &[u8]) -> (PayloadType, Vec<u8>) {
        notify(&self.cookies.to_bytes(), kind, data)
    }

    fn drafted(
        &self,
        step: Step,
        exchange: ExchangeType,
        message_id: u32,
        payloads: Vec<(PayloadType, Vec<u8>)>,
    ) -> Draft {
        let mut header = Header::new(self.cookies, exchange, message_id);
        if step.is_encrypted() {
            header.flags = Flags::ENCRYPTED;
        }
        let mut draft = Draft { step, header, payloads };
        self.prove(&mut draft);
        draft
    }

    /// Sets the hash to the valid one for the draft's payloads. In quick and informational mode it is the first payload. A draft without
    /// one stays unchanged.
    pub(crate) fn prove(&self, draft: &mut Draft) {
        let Some(keyed) = &self.keyed else { return };
        let id = draft.payloads.iter().find(|(kind, _)| *kind == PayloadType::ID).map(|(_, id)| id.clone());
        let rest = encode(draft.payloads.get(1..).unwrap_or_default());
        let message_id = draft.header.message_id;
        let (at, hash) = match draft.step {
            Step::Main5 | Step::Main6 => {
                let at = draft.payloads.iter().position(|(kind, _)| *kind == PayloadType::HASH);
                (at, self.phase1_hash(self.is_initiator, id.as_deref().unwrap_or_default()))
            }
            Step::Quick1 | Step::Informational => (Some(0), expect(keyed.keys.hash1(message_id, &rest))),
            Step::Quick2 => (Some(0), expect(keyed.keys.hash2(message_id, &self.their_quick_nonce, &rest))),
            Step::Quick3 => {
                let (ni, nr) = (&self.quick_nonce, &self.their_quick_nonce);
                (Some(0), expect(keyed.keys.hash3(message_id, ni, nr)))
            }
            _ => return,
        };
        let hash_at = at.and_then(|at| draft.payloads.get_mut(at)).filter(|(kind, _)| *kind == PayloadType::HASH);
        if let Some((_, body)) = hash_at {
            *body = hash.as_bytes().to_vec();
        }
    }

    /// Encodes the message, and encrypts it if necessary.
    pub(crate) fn seal(&self, draft: &Draft) -> Vec<u8> {
        let first = draft.payloads.first().map_or(PayloadType::NONE, |(kind, _)| *kind);
        self.seal_chain(draft, first, &encode(&draft.payloads))
    }

    /// Encodes the message with other bytes in place of the payloads.
    pub(crate) fn seal_chain(&self, draft: &Draft, first: PayloadType, chain: &[u8]) -> Vec<u8> {
        let mut body = chain.to_vec();
        if draft.header.flags.contains(Flags::ENCRYPTED) {
            self.padding().pad(&mut body, 16, &mut SeededRandom::new(9));
            self.encrypt(draft, &mut body);
        }
        self.packet(draft, first, &body)
    }

    /// Encodes a header before any body.
    pub(crate) fn packet(&self, draft: &Draft, first: PayloadType, body: &[u8]) -> Vec<u8> {
        let header = Header { next_payload: first, ..draft.header };
        [header.encode(body.len()).as_slice(), body].concat()
    }

    fn padding(&self) -> Padding {
        Padding { randomize: false, ..Padding::default() }
    }

    /// Encrypts whole blocks with the IV of the draft's message.
    pub(crate) fn encrypt(&self, draft: &Draft, body: &mut [u8]) {
        let Some(keyed) = &self.keyed else { return };
        let mut iv = self.iv(draft.step, draft.header.message_id);
        keyed.keys.cipher.encrypt(&mut iv, body).expect("whole blocks");
    }

    fn iv(&self, step: Step, message_id: u32) -> Iv {
        let keyed = self.keyed.as_ref().expect("keys");
        match (step, self.quick_iv) {
            (Step::Main5 | Step::Main6, _) => keyed.iv,
            (Step::Quick2 | Step::Quick3, Some(iv)) => iv,
            _ => expect(Iv::phase2(TERMS.hash, &keyed.iv, message_id, 16)),
        }
    }

    /// Records that the message is sent, so that the next one is chained to it.
    pub(crate) fn has_said(&mut self, draft: &Draft, message: &[u8]) {
        if !draft.step.is_encrypted() || draft.step == Step::Informational {
            return;
        }
        let iv = self.iv(draft.step, draft.header.message_id);
        let next = self.decrypt(&iv, &message[HEADER_LEN..]).1;
        match (draft.step, &mut self.keyed) {
            (Step::Main5 | Step::Main6, Some(keyed)) => keyed.iv = next,
            _ => self.quick_iv = Some(next),
        }
    }

    /// Reads a message of the host; `None` if the scripted peer does not expect it.
    pub(crate) fn hear(&mut self, datagram: &[u8]) -> Option<()> {
        let (header, body) = Header::parse(datagram).expect("the host sends messages");
        let own = self.cookies;
        let of_initiator = own.initiator.is_zero() || own.initiator == header.cookies.initiator;
        let of_responder =
            own.responder.is_zero() || own.responder == header.cookies.responder || header.cookies.responder.is_zero();
        if !of_initiator || !of_responder {
            return None;
        }
        match (header.exchange, header.flags.contains(Flags::ENCRYPTED)) {
            (ExchangeType::MAIN, false) => self.hear_in_clear(&header, body),
            (ExchangeType::MAIN, true) => self.hear_identity(&header, body),
            (ExchangeType::QUICK, true) => self.hear_quick_mode(&header, body),
            (ExchangeType::INFORMATIONAL, true) => {
                let iv = self.keyed.as_ref().map(|_| self.iv(Step::Informational, header.message_id))?;
                let plain = self.decrypt(&iv, body).0;
                self.informed.extend(payloads(&header, &plain)?.into_iter().skip(1));
                Some(())
            }
            _ => None,
        }
    }

    /// Whether it has received the message that `step` answers.
    pub(crate) fn is_ready_for(&self, step: Step) -> bool {
        let is_named = !self.cookies.initiator.is_zero() && !self.cookies.responder.is_zero();
        match step {
            Step::Main1 => self.is_initiator,
            Step::Main2 => !self.cookies.initiator.is_zero(),
            Step::Main3 | Step::Main4 => is_named,
            Step::Main5 | Step::Main6 | Step::Quick1 | Step::Informational => self.keyed.is_some(),
            Step::Quick2 | Step::Quick3 => {
                self.quick_iv.is_some() && self.heard.iter().any(|(kind, _)| *kind == PayloadType::SA)
            }
        }
    }

    fn hear_in_clear(&mut self, header: &Header, body: &[u8]) -> Option<()> {
        let payloads = payloads(header, body)?;
        let find = |kind| payloads.iter().find(|(found, _)| *found == kind).map(|(_, body)| body.clone());
        if self.is_initiator {
            self.cookies.responder = header.cookies.responder;
        } else {
            self.cookies.initiator = header.cookies.initiator;
        }
        if let (Some(sa), false) = (find(PayloadType::SA), self.is_initiator) {
            self.sa_i = sa;
        }
        if let (Some(public), Some(nonce)) = (find(PayloadType::KEY_EXCHANGE), find(PayloadType::NONCE)) {
            self.theirs = Some((public, nonce));
            self.derive();
        }
        Some(())
    }

    fn derive(&mut self) {
        let (public, nonce) = self.theirs.clone().expect("the host's values");
        let own = self.exponent.public_value().expect("a public value");
        let g_xy = self.exponent.shared_secret(&public).expect("a secret");
        let (g_xi, g_xr) = if self.is_initiator { (own, public) } else { (public, own) };
        let (ni, nr) = if self.is_initiator { (&self.nonce, &nonce) } else { (&nonce, &self.nonce) };
        let skeyid = expect(skeyid_psk(TERMS.hash, &Secret::from(KEY.to_vec()), ni, nr));
        let (cookie_i, cookie_r) = (&self.cookies.initiator.0, &self.cookies.responder.0);
        let keys = expect(Phase1Keys::derive(&TERMS, &skeyid, &g_xy, cookie_i, cookie_r));
        let iv = expect(Iv::phase1(TERMS.hash, &g_xi, &g_xr, 16));
        self.keyed = Some(Keyed { skeyid, keys, iv });
    }

    fn hear_identity(&mut self, header: &Header, body: &[u8]) -> Option<()> {
        let iv = self.keyed.as_ref()?.iv;
        let (plain, next) = self.decrypt(&iv, body);
        let payloads = payloads(header, &plain)?;
        let hash = self.phase1_hash(!self.is_initiator, &payloads.first()?.1);
        self.has_proof = equal(hash.as_bytes(), &payloads.get(1)?.1);
        self.keyed.as_mut()?.iv = next;
        Some(())
    }

    fn hear_quick_mode(&mut self, header: &Header, body: &[u8]) -> Option<()> {
        self.keyed.as_ref()?;
        let iv = if header.message_id == self.message_id {
            self.iv(Step::Quick2, header.message_id)
        } else {
            self.message_id = header.message_id;
            self.iv(Step::Quick1, header.message_id)
        };
        let (plain, next) = self.decrypt(&iv, body);
        self.heard = payloads(header, &plain)?;
        self.quick_iv = Some(next);
        if let Some((_, nonce)) = self.heard.iter().find(|(kind, _)| *kind == PayloadType::NONCE) {
            self.their_quick_nonce.clone_from(nonce);
        }
        Some(())
    }

    /// Computes HASH_I or HASH_R.
    fn phase1_hash(&self, of_initiator: bool, id: &[u8]) -> Secret {
        let keyed = self.keyed.as_ref().expect("keys");
        let own = self.exponent.public_value().expect("a public value");
        let public = &self.theirs.as_ref().expect("the host's values").0;
        let (g_xi, g_xr) = if self.is_initiator { (&own, public) } else { (public, &own) };
        let input = HashInput {
            g_xi,
            g_xr,
            cookie_i: &self.cookies.initiator.0,
            cookie_r: &self.cookies.responder.0,
            sa_i: &self.sa_i,
        };
        expect(if of_initiator { input.hash_i(&keyed.skeyid, id) } else { input.hash_r(&keyed.skeyid, id) })
    }

    fn decrypt(&self, iv: &Iv, body: &[u8]) -> (Vec<u8>, Iv) {
        let mut plain = body.to_vec();
        let next = self.keyed.as_ref().expect("keys").keys.cipher.decrypt(iv, &mut plain).expect("whole blocks");
        (plain, next)
    }

    /// Returns the scripted peer's proposals in quick mode.
    fn proposal(&self) -> Vec<u8> {
        let attribute = |kind: Phase2Attribute, value| Attribute::short(kind.0, value);
        let lifetime = u16::try_from(PHASE2_LIFETIME).expect("it is short");
        let attributes = vec![
            attribute(Phase2Attribute::LIFE_TYPE, LifeType::SECONDS.0),
            attribute(Phase2Attribute::LIFE_DURATION, lifetime),
            attribute(Phase2Attribute::ENCAPSULATION_MODE, self.mode.0),
            attribute(Phase2Attribute::KEY_LENGTH, 128),
            attribute(Phase2Attribute::AUTHENTICATION_ALGORITHM, AuthAlgorithm::HMAC_SHA256.0),
            attribute(Phase2Attribute::GROUP_DESCRIPTION, Group::X25519.0),
        ];
        let transforms = vec![Transform { number: 1, id: EspTransform::AES.0, attributes }];
        let spi = self.spi.to_be_bytes().to_vec();
        SaBody::new(vec![Proposal { number: 1, protocol: Protocol::ESP, spi, transforms }]).encode()
    }

    /// Chooses the first of the host's proposals.
    fn choice(&self) -> Vec<u8> {
        let sa = self.heard.iter().find(|(kind, _)| *kind == PayloadType::SA).expect("the host's SA payload");
        let mut sa = SaBody::parse(&sa.1).expect("the host's SA payload");
        sa.proposals.truncate(1);
        sa.proposals[0].transforms.truncate(1);
        sa.proposals[0].spi = self.spi.to_be_bytes().to_vec();
        sa.encode()
    }
}

/// Encodes a Delete payload.
pub(crate) fn deletion(protocol: Protocol, spis: &[&[u8]]) -> Vec<u8> {
    Delete { doi: Doi::IPSEC, protocol, spis: spis.iter().map(|spi| spi.to_vec()).collect() }.encode()
}

/// Encodes a Notification payload about an ISAKMP SA.
pub(crate) fn notify(spi: &[u8], kind: NotifyType, data: &[u8]) -> (PayloadType, Vec<u8>) {
    let (spi, data) = (spi.to_vec(), data.to_vec());
    (PayloadType::NOTIFY, Notify { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spi, kind, data }.encode())
}

/// Encodes a chain of payloads.
pub(crate) fn encode(payloads: &[(PayloadType, Vec<u8>)]) -> Vec<u8> {
    chain::encode(&payloads.iter().map(|(kind, body)| (*kind, body.as_slice())).collect::<Vec<_>>())
}

/// Parses the payloads of a message, decrypted or unencrypted.
fn payloads(header: &Header, body: &[u8]) -> Option<Vec<(PayloadType, Vec<u8>)>> {
    let payloads = chain::walk(header.next_payload, body, Tail::Padding).ok()?;
    Some(payloads.iter().map(|payload| (payload.kind, payload.body.to_vec())).collect())
}

fn expect<T>(result: Result<T, racoon_proto::crypto::CryptoError>) -> T {
    result.expect("libcrypto works")
}

fn bytes(random: &mut SeededRandom, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

fn cookie(random: &mut SeededRandom) -> Cookie {
    Cookie(bytes(random, 8).try_into().expect("8 bytes"))
}
