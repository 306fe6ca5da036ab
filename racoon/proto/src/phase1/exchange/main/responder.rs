//! The responder's side.

use zeroize::Zeroizing;

use crate::config::Remote;
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, KeyResult, Task};
use crate::message::rules::{self, MAIN};
use crate::num::{AuthMethod, ExchangeType, PayloadType};
use crate::output::Level;
use crate::proposal::{Phase1Offer, Phase1Terms, ProposalRefusal, closest_phase1, offered_phase1, phase1_answer};
use crate::reason::{FailureReason, MissingRemote, Role};
use crate::select::{Ambiguous, ProposalChoice, RemoteIndex, RemoteQuery};
use crate::wire::{Header, RawPayload, SaBody};

use super::initiator::{expectation, expected_peer};
use super::keyed::{FoundKey, Keyed, Proved, Transcript, exchanged, found_key};
use super::payloads::{block, draw_nonce, features, in_clear, key_and_nonce, key_message, key_query, proposal_message};
use crate::conversation::record::{Record, bounded, in_words};
use crate::phase1::{Agreed, Context, Features, Transition};
use crate::settings::Settings;
use std::net::SocketAddr;

/// A longer SA payload of an unknown peer is not worth keeping. It is room for some 400 transforms.
const SA_MAX: usize = 1 << 14;

/// More blocks than this are not named when the peer is none of those that they expect.
const BLOCKS_TOLD: usize = 4;

/// More blocks than this are not compared with a proposal that none of them accepts.
const BLOCKS_COMPARED: usize = 16;

/// Bytes of the key that stands for a missing one.
const RANDOM_KEY_LEN: usize = 32;

/// How far a responder is.
pub(crate) enum Responder {
    /// Message 2 is sent.
    AwaitsKey(AwaitsKey),
    /// Message 3 is here, the job for message 4 runs.
    DerivesKeys(DerivesKeys),
    /// Message 4 is sent.
    AwaitsIdentity(AwaitsIdentity),
}

/// What is answered to message 1.
pub(crate) struct FirstChoice<'a> {
    /// The first block that accepts it.
    pub(crate) block: RemoteIndex,
    payloads: Vec<RawPayload<'a>>,
    sa_i: Vec<u8>,
    answer: SaBody,
    /// The transform as the peer offers it.
    offered: Phase1Terms,
    terms: Phase1Terms,
}

/// Message 2 is sent.
pub(crate) struct AwaitsKey {
    sa_i: Vec<u8>,
    offered: Phase1Terms,
    terms: Phase1Terms,
    features: Features,
}

/// The key is looked up, our public value and the shared secret are computed.
pub(crate) struct DerivesKeys {
    awaited: AwaitsKey,
    features: Features,
    g_xi: Vec<u8>,
    ni: Vec<u8>,
}

/// Message 4 is sent.
pub(crate) struct AwaitsIdentity {
    offered: Phase1Terms,
    keyed: Keyed,
}

impl<'a> FirstChoice<'a> {
    /// What message 1 is answered with: the first of the peer's transforms that a block for its address accepts.
    pub(crate) fn read(
        settings: &Settings,
        remote: SocketAddr,
        header: &Header,
        body: &'a [u8],
        record: &mut Record,
    ) -> Result<Self, FailureReason> {
        let payloads = in_clear(&MAIN[0], header, body)?;
        let sa_i = rules::find(&payloads, PayloadType::SA).unwrap_or_default();
        if sa_i.len() > SA_MAX {
            return Err(FailureReason::Malformed(format!("an SA payload of {} bytes", sa_i.len())));
        }
        let sa = SaBody::parse(sa_i).map_err(|error| FailureReason::Malformed(error.to_string()))?;
        let offer = offered_phase1(&sa);
        let chosen = choose(settings, &query(remote), &offer.terms());
        let chosen = chosen.and_then(|choice| Some((choice, offer.transforms.get(choice.acceptance.offered)?)));
        let Some((ProposalChoice { remote: block, acceptance, .. }, transform)) = chosen else {
            if !record.in_words {
                return Err(FailureReason::NoProposalChosen(ProposalRefusal::NotCompared));
            }
            describe(settings, remote, &offer, record);
            return Err(FailureReason::NoProposalChosen(closest(settings, remote, &offer.terms())));
        };
        Ok(Self {
            block,
            sa_i: sa_i.to_vec(),
            payloads,
            answer: phase1_answer(transform),
            offered: transform.terms,
            terms: acceptance.terms,
        })
    }
}

/// What is known of a peer when its first message comes.
fn query(remote: SocketAddr) -> RemoteQuery<'static> {
    let exchange = Some(ExchangeType::MAIN);
    // Main mode has no other pre-shared key than that of the peer's address.
    RemoteQuery { port: remote.port(), exchange, key_of_address: true, ..RemoteQuery::address(remote) }
}

/// The choice among the transforms for a pre-shared key.
fn choose(settings: &Settings, query: &RemoteQuery<'_>, terms: &[Phase1Terms]) -> Option<ProposalChoice> {
    let choice_of = |(at, terms): (usize, &Phase1Terms)| {
        let mut choice = settings.remotes.choose_proposal(query, std::slice::from_ref(terms))?;
        choice.acceptance.offered = at;
        Some(choice)
    };
    let psk = terms.iter().enumerate().filter(|(_, terms)| terms.method == AuthMethod::PRE_SHARED_KEY);
    psk.filter_map(choice_of).next()
}

/// Writes into the record what the peer offers and what is configured. That takes longer than to refuse a message, and so
/// it is not done for each first message.
fn describe(settings: &Settings, remote: SocketAddr, offer: &Phase1Offer, record: &mut Record) {
    record.offered = bounded(in_words(&offer.terms()).chain(offer.skipped.iter().map(ToString::to_string)));
    let candidates = settings.remotes.candidates(&query(remote));
    let blocks = candidates.iter().filter_map(|index| settings.remotes.get(*index));
    record.configured = bounded(blocks.flat_map(|block| in_words(&block.proposals)));
}

/// What comes closest among the transforms of the peer and those of the blocks for its address.
fn closest(settings: &Settings, remote: SocketAddr, offered: &[Phase1Terms]) -> ProposalRefusal {
    let is_psk = |terms: &&Phase1Terms| terms.method == AuthMethod::PRE_SHARED_KEY;
    let candidates = settings.remotes.candidates(&query(remote));
    let blocks = candidates.iter().filter_map(|index| settings.remotes.get(*index));
    let of_block = |block: &Remote| {
        let level = block.proposal_check;
        // Other methods than this one are not supported: they are the difference, even if they are configured.
        let ours = block.proposals.iter().filter(is_psk).copied().collect::<Vec<_>>();
        let mismatches = closest_phase1(level, offered, &ours)?;
        Some(ProposalRefusal::Phase1 { mismatches, level })
    };
    let unsupported = || offered.first().map(|terms| ProposalRefusal::Method(terms.method));
    let closest = blocks.take(BLOCKS_COMPARED).filter_map(of_block).min_by_key(ProposalRefusal::distance);
    closest.or_else(unsupported).unwrap_or(ProposalRefusal::NotUnderstood)
}

impl Responder {
    /// Message 2: what is chosen.
    pub(crate) fn begin(cx: &mut Context<'_>, choice: FirstChoice<'_>) -> Result<(Self, Vec<u8>), FailureReason> {
        let FirstChoice { payloads, sa_i, answer, offered, terms, .. } = choice;
        let features = features(cx, &payloads, Features::default());
        let dpd = features.dpd && block(cx)?.dpd.is_some();
        let message = proposal_message(cx, &answer.encode(), dpd);
        Ok((Self::AwaitsKey(AwaitsKey { sa_i, offered, terms, features }), message))
    }

    /// A message came in.
    pub(super) fn receive(self, cx: &mut Context<'_>, header: &Header, body: &[u8]) -> Transition<Self> {
        match self {
            Self::AwaitsKey(state) => state.receive(cx, header, body),
            Self::AwaitsIdentity(state) => state.receive(cx, header, body),
            Self::DerivesKeys(_) => Transition::Ignored(
                self,
                FailureReason::Malformed("a message while another one is being worked on".into()),
            ),
        }
    }

    /// The job is done.
    pub(super) fn job_done(self, cx: &mut Context<'_>, result: JobResult) -> Transition<Self> {
        match self {
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            other => Transition::Ignored(other, FailureReason::Crypto("a job that nobody asked for".into())),
        }
    }

    /// Writes what was offered and what is configured into the record, if only message 1 has come.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        if let Self::AwaitsKey(state) = self {
            state.describe_offer(settings, remote, record);
        }
    }

    /// As `show-sa` numbers it: messages received and sent.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::AwaitsKey(_) => 3,
            Self::DerivesKeys(_) => 4,
            Self::AwaitsIdentity(_) => 5,
        }
    }
}

impl AwaitsKey {
    fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        if let Ok(sa) = SaBody::parse(&self.sa_i) {
            describe(settings, remote, &offered_phase1(&sa), record);
        }
    }

    /// Message 3: the peer's public value and nonce.
    fn receive(self, cx: &mut Context<'_>, header: &Header, body: &[u8]) -> Transition<Responder> {
        let read = in_clear(&MAIN[2], header, body)
            .and_then(|payloads| key_and_nonce(&payloads).map(|values| (payloads, values)));
        let (payloads, (g_xi, ni)) = match read {
            Ok(read) => read,
            Err(cause) => return Transition::Ignored(Responder::AwaitsKey(self), cause),
        };
        let exponent = match Exponent::draw(self.terms.group, cx.random) {
            Ok(exponent) => exponent,
            Err(error) => return Transition::Failed(error.into()),
        };
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Both(g_xi.clone()) });
        let job = Job { tasks: vec![exchange, Task::FindKey(key_query(cx))] };
        let features = features(cx, &payloads, self.features);
        self.describe_offer(cx.settings, cx.remote, cx.record);
        Transition::Job(Responder::DerivesKeys(DerivesKeys { awaited: self, features, g_xi, ni }), job)
    }
}

impl DerivesKeys {
    /// Message 4: our public value and nonce. With a bad value of the peer there is none: a good one may come. Neither is
    /// there one if nothing could be computed: it may be possible when the peer repeats itself.
    fn job_done(self, cx: &mut Context<'_>, mut result: JobResult) -> Result<Transition<Responder>, FailureReason> {
        if result.is_dropped() {
            return Ok(Transition::Ignored(Responder::AwaitsKey(self.awaited), FailureReason::not_computed()));
        }
        let psk = key_or_random(cx, result.take_key())?;
        let values = match exchanged(result.take_diffie_hellman())?.1 {
            Ok(values) => values,
            Err(cause) => return Ok(Transition::Ignored(Responder::AwaitsKey(self.awaited), cause)),
        };
        let (Some(g_xr), Some(g_xy)) = (values.public, values.shared) else {
            return Err(FailureReason::Crypto("no secret was computed".into()));
        };
        let nr = draw_nonce(cx)?;
        let message = key_message(cx, &g_xr, &nr);
        let Self { awaited: AwaitsKey { sa_i, offered, terms, .. }, features, g_xi, ni } = self;
        let transcript = Transcript { sa_i, g_xi, g_xr, ni, nr };
        let keyed = Keyed::new(cx, terms, features, transcript, &psk, &g_xy)?;
        Ok(Transition::Send(Responder::AwaitsIdentity(AwaitsIdentity { offered, keyed }), message))
    }
}

/// The peer's key, or a random one if there is none: to end the exchange here would tell anybody which addresses have a key
/// (CVE-2002-1623). Message 5 cannot prove knowledge of a random key, and fails as with a wrong one.
fn key_or_random(cx: &mut Context<'_>, answer: Option<KeyResult>) -> Result<FoundKey, FailureReason> {
    let key = match found_key(cx, answer) {
        Err(no_key @ FailureReason::NoPreSharedKey { .. }) => {
            cx.record.no_key = Some(no_key);
            let mut random = Zeroizing::new(vec![0; RANDOM_KEY_LEN]);
            cx.random.fill(&mut random);
            return Ok(FoundKey::nobodys(random.into()));
        }
        other => other?,
    };
    cx.record.no_key = None;
    Ok(key)
}

impl AwaitsIdentity {
    /// Message 5: who the peer is; which block that makes its own; and message 6: who we are.
    fn receive(mut self, cx: &mut Context<'_>, header: &Header, body: &[u8]) -> Transition<Responder> {
        let proved = match self.keyed.read(cx, Role::Initiator, header, body) {
            Ok(proved) => proved,
            Err(FailureReason::Authentication(why)) => {
                let cause = cx.record.no_key.clone().unwrap_or(FailureReason::Authentication(why));
                return Transition::Ignored(Responder::AwaitsIdentity(self), cause);
            }
            Err(cause) => return Transition::Ignored(Responder::AwaitsIdentity(self), cause),
        };
        self.keyed.accept(&proved);
        let verdict = self.select_remote_by_identity(cx, &proved).and_then(|block| {
            cx.block = block;
            expected_peer(cx, &proved)
        });
        let last_message = match verdict {
            Ok(()) => match self.keyed.identify(cx, Role::Responder) {
                Ok(message) => Ok(message),
                Err(cause) => return Transition::Failed(cause),
            },
            Err(cause) => Err(cause),
        };
        let Proved { peer, initial_contact, .. } = proved;
        let features = self.keyed.features();
        let sa = self.keyed.into_sa(cx, peer);
        match last_message {
            Ok(message) => {
                Transition::Established(Box::new(Agreed { sa, last_message: Some(message), features, initial_contact }))
            }
            Err(cause) => Transition::Rejected(Box::new(sa), cause),
        }
    }

    /// The block that fits best now that the identity is known; of several the first one.
    fn select_remote_by_identity(&self, cx: &mut Context<'_>, proved: &Proved) -> Result<RemoteIndex, FailureReason> {
        let offered = RemoteQuery { accepted: Some(&self.offered), ..query(cx.remote) };
        let query = RemoteQuery { claimed: Some(proved.peer.claimed()), ..offered };
        let remotes = &cx.settings.remotes;
        match remotes.select(&query) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => {
                let blocks = remotes.candidates(&offered).into_iter().filter_map(|block| remotes.get(block));
                let expected = expectation(blocks.take(BLOCKS_TOLD));
                Err(FailureReason::Identity { claimed: proved.peer.id.to_string(), expected })
            }
            Err(Ambiguous(blocks)) => {
                cx.note(Level::Debug, || {
                    format!("{} remote blocks fit equally well, the first one is taken", blocks.len())
                });
                blocks.into_iter().min().ok_or(FailureReason::NoRemote(MissingRemote::Removed))
            }
        }
    }
}
