//! The second half of Main Mode: both sides have the keys, and prove who they are.

use std::net::SocketAddr;

use crate::crypto::{DhResult, DhValues, GroupError, HashInput, Iv, KeyResult, Phase1Keys, Prf, Secret, equal};
use crate::crypto::{Exponent, skeyid_psk};
use crate::identity::Identity;
use crate::message::codec::MessageCodec;
use crate::message::protection::{Opened, Unreadable, seal};
use crate::message::rules::{self, MAIN};
use crate::num::{ExchangeType, NotifyType, PayloadType};
use crate::proposal::Phase1Terms;
use crate::psk::NoKey;
use crate::reason::{FailureReason, Role};
use crate::wire::{Header, Notify, RawPayload};

use super::payloads::{has_initial_contact, header, own_identity};
use crate::phase1::sa::{UsedMessageIds, open_informational};
use crate::phase1::{Context, Features, KeyOwner, PeerIdentity, Phase1Sa};

/// What both sides have said in clear, as it was on the wire.
pub(super) struct Transcript {
    /// SAi_b.
    pub(super) sa_i: Vec<u8>,
    /// g^xi.
    pub(super) g_xi: Vec<u8>,
    /// g^xr.
    pub(super) g_xr: Vec<u8>,
    /// Ni_b.
    pub(super) ni: Vec<u8>,
    /// Nr_b.
    pub(super) nr: Vec<u8>,
}

/// A pre-shared key that was found.
pub(super) struct FoundKey {
    secret: Secret,
    owner: KeyOwner,
}

impl FoundKey {
    /// A key that nobody has.
    pub(super) fn nobodys(secret: Secret) -> Self {
        Self { secret, owner: KeyOwner::Group }
    }
}

/// An exchange whose keys are there.
pub(super) struct Keyed {
    terms: Phase1Terms,
    owner: KeyOwner,
    transcript: Transcript,
    skeyid: Prf,
    keys: Phase1Keys,
    iv: Iv,
    features: Features,
}

/// What a peer has proved in message 5 or 6.
pub(super) struct Proved {
    /// Who it is.
    pub(super) peer: PeerIdentity,
    /// It says that it knows of no other SA with us.
    pub(super) initial_contact: bool,
    iv: Iv,
}

impl Keyed {
    /// Keys and IV.
    pub(super) fn new(
        cx: &Context<'_>,
        terms: Phase1Terms,
        features: Features,
        transcript: Transcript,
        psk: &FoundKey,
        g_xy: &Secret,
    ) -> Result<Self, FailureReason> {
        let skeyid = skeyid_psk(terms.hash, &psk.secret, &transcript.ni, &transcript.nr)?;
        let keys = Phase1Keys::derive(&terms, &skeyid, g_xy, &cx.cookies.initiator.0, &cx.cookies.responder.0)?;
        let iv = Iv::phase1(terms.hash, &transcript.g_xi, &transcript.g_xr, keys.cipher.block_length())?;
        Ok(Self { terms, owner: psk.owner, transcript, skeyid, keys, iv, features })
    }

    /// Message 5 or 6: who we are, and the proof. Message 5 is where other daemons look for INITIAL-CONTACT.
    pub(super) fn identify(&mut self, cx: &mut Context<'_>, role: Role) -> Result<Vec<u8>, FailureReason> {
        let id = own_identity(cx)?.encode();
        let hash = self.hash_of(cx, role, &id)?;
        let mut payloads = vec![(PayloadType::ID, id.as_slice()), (PayloadType::HASH, hash.as_bytes())];
        let contact = Notify::of_isakmp(cx.cookies, NotifyType::INITIAL_CONTACT, &[]).encode();
        if role == Role::Initiator && cx.first_contact {
            payloads.push((PayloadType::NOTIFY, &contact));
        }
        Ok(seal(&self.keys.cipher, &mut self.iv, &header(cx), &payloads, (cx.codec, cx.remote), cx.random)?)
    }

    /// Reads the peer's message 5 or 6 and checks its proof. Nothing changes: it may be anybody's.
    pub(super) fn read(
        &self,
        cx: &Context<'_>,
        peer: Role,
        header: &Header,
        body: &[u8],
    ) -> Result<Proved, FailureReason> {
        let rules = match peer {
            Role::Initiator => &MAIN[4],
            Role::Responder => &MAIN[5],
        };
        rules.check_encryption(header)?;
        let opened = Opened::new(&self.keys.cipher, &self.iv, header, body).map_err(unreadable)?;
        let payloads = opened.payloads(cx.codec, cx.remote).map_err(unreadable)?;
        rules.check(&payloads)?;
        let id = self.check_proof(cx, peer, &payloads)?;
        let initial_contact = has_initial_contact(&payloads);
        Ok(Proved { peer: PeerIdentity::new(id), initial_contact, iv: opened.next_iv })
    }

    fn check_proof(
        &self,
        cx: &Context<'_>,
        peer: Role,
        payloads: &[RawPayload<'_>],
    ) -> Result<Identity, FailureReason> {
        let id = rules::find(payloads, PayloadType::ID).unwrap_or_default();
        let proof = rules::find(payloads, PayloadType::HASH).unwrap_or_default();
        if !equal(self.hash_of(cx, peer, id)?.as_bytes(), proof) {
            return Err(FailureReason::Authentication("the hash is wrong".into()));
        }
        Identity::parse(id).map_err(|error| FailureReason::Malformed(error.to_string()))
    }

    /// Reads an informational message that the peer sends instead of its last one.
    pub(super) fn informational<T>(
        &self,
        message: (&Header, &[u8]),
        codec: (&MessageCodec, SocketAddr),
        read: impl FnOnce(&[RawPayload<'_>]) -> Result<T, FailureReason>,
    ) -> Result<T, FailureReason> {
        open_informational(&self.keys, &self.iv, message, codec, read)
    }

    /// HASH_I or HASH_R.
    fn hash_of(&self, cx: &Context<'_>, role: Role, id: &[u8]) -> Result<Secret, FailureReason> {
        let input = HashInput {
            g_xi: &self.transcript.g_xi,
            g_xr: &self.transcript.g_xr,
            cookie_i: &cx.cookies.initiator.0,
            cookie_r: &cx.cookies.responder.0,
            sa_i: &self.transcript.sa_i,
        };
        let hash = match role {
            Role::Initiator => input.hash_i(&self.skeyid, id),
            Role::Responder => input.hash_r(&self.skeyid, id),
        };
        Ok(hash?)
    }

    /// The peer's message is accepted: ours is chained to it.
    pub(super) fn accept(&mut self, proved: &Proved) {
        self.iv = proved.iv;
    }

    /// What the peer can do.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// The SA. What it does not need is wiped.
    pub(super) fn into_sa(self, cx: &Context<'_>, peer: PeerIdentity) -> Phase1Sa {
        Phase1Sa {
            cookies: cx.cookies,
            exchange: ExchangeType::MAIN,
            local: cx.local,
            remote: cx.remote,
            block: cx.block,
            terms: self.terms,
            keys: self.keys,
            peer,
            key: self.owner,
            last_block: self.iv,
            used: UsedMessageIds::default(),
        }
    }
}

/// A message that cannot be read is most likely encrypted by another key.
fn unreadable(error: Unreadable) -> FailureReason {
    match error {
        Unreadable::Encryption(_) => FailureReason::Malformed(error.to_string()),
        Unreadable::Payloads(_) | Unreadable::Padding(_) => {
            FailureReason::Authentication(format!("the message cannot be decrypted, wrong pre-shared key? ({error})"))
        }
    }
}

/// What a Diffie-Hellman job has computed. The exponent comes back with the values, or with the peer's fault.
pub(super) fn exchanged(
    result: Option<DhResult>,
) -> Result<(Exponent, Result<DhValues, FailureReason>), FailureReason> {
    let Some(DhResult { exponent, outcome }) = result else {
        return Err(FailureReason::not_computed());
    };
    let group = exponent.group();
    match outcome {
        Ok(values) => Ok((exponent, Ok(values))),
        Err(GroupError::Peer(error)) => {
            Ok((exponent, Err(FailureReason::KeyExchange { group, problem: error.to_string() })))
        }
        Err(GroupError::Crypto(error)) => Err(error.into()),
    }
}

/// The key that a job has found.
pub(super) fn found_key(cx: &Context<'_>, result: Option<KeyResult>) -> Result<FoundKey, FailureReason> {
    match result {
        Some(KeyResult::Found { key, shared, .. }) => {
            Ok(FoundKey { secret: key, owner: if shared { KeyOwner::Group } else { KeyOwner::Peer } })
        }
        Some(KeyResult::Unknown(NoKey(why))) => {
            Err(FailureReason::NoPreSharedKey { peer: cx.remote.ip().to_string(), why })
        }
        None => Err(FailureReason::Crypto("no pre-shared key was looked for".into())),
    }
}
