//! Quick mode as responder: message 1 of the peer, and the offer that matches it.

use crate::authorization::{Allowed, Denial, Environment, Grant, Peer, TrafficRequest, authorize};
use crate::config::{CheckLevel, GeneratePolicy, Remote, Sainfo};
use crate::conversation::{PacketDigest, Record};
use crate::crypto::DhOperation;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::{Direction, Mode, Selector, Template};
use crate::num::{EncapsulationMode, NotifyType};
use crate::output::Level;
use crate::phase1::Phase1Sa;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::bundle::{Agreement, Bundle, in_words, proposed};
use crate::phase2::entry::{Phase2, State};
use crate::phase2::message::{Message, QuickModePayloads, Received, Rejection};
use crate::phase2::pending_inputs::PendingInputs;
use crate::phase2::responder::{Accepted, check_exchange, identities, read};
use crate::phase2::traffic::{Endpoints, Identities, between_hosts, templates};
use crate::proposal::ProposalRefusal;
use crate::proposal::encoding::Suite;
use crate::reason::explain::sections;
use crate::reason::{self, FailureReason, MissingRemote, NegotiationResult, Phase2IdentityError, Role};
use crate::select::SainfoQuery;
use crate::wire::Header;

/// Limit on concurrent exchanges of a peer under one phase 1. A further message 1 is dropped; the peer retransmits it, and by then
/// another exchange may have ended.
pub(crate) const AT_ONCE_MAX: usize = 64;

/// Limit on phase 2s between two hosts: each takes SAs in the kernel.
pub(crate) const WITH_PEER_MAX: usize = 4096;

/// What a peer asks for.
struct Request {
    /// The identities; none stand for the addresses of phase 1.
    ids: Option<Identities>,
    suites: Vec<Suite>,
    /// The traffic, until a policy determines it.
    traffic_key: TrafficKey,
}

/// What there is for it.
struct Offer {
    agreement: Agreement,
    traffic_key: TrafficKey,
    sa_endpoints: Endpoints,
    /// The policies to generate, and the templates of the outbound one.
    generate: Option<(Grant, Vec<Template>)>,
}

/// What a peer may have.
enum Authorized {
    /// The agreement for an existing policy.
    Offer(Offer),
    /// A policy to generate.
    Generate { grant: Grant, level: CheckLevel, how: GeneratePolicy, sainfo: Sainfo },
}

impl Engine {
    /// Processes message 1 of a peer.
    pub(crate) fn quick_begin(&mut self, phase1: Phase1Id, header: &Header, body: &[u8], digest: &PacketDigest) {
        let Some(remote) = self.phase1s.get(phase1).map(Phase1::remote) else { return };
        let message_id = header.message_id;
        if self.phase2s.answering(phase1) >= AT_ONCE_MAX {
            let text = || format!("{AT_ONCE_MAX} quick modes are on their way already");
            self.core.log_of_peer(LoggedEvent::OverLimit, Level::Error, remote, text);
            return;
        }
        let Some(sa) = self.phase1s.sa(phase1) else { return };
        if message_id == 0 || sa.used.refuses(message_id) {
            return self
                .core
                .log(Level::Debug, Some(remote), || format!("message id {message_id:#010x} was used before"));
        }
        let message = match read(sa, Received { header, body, codec: (&self.core.codec, remote) }) {
            Ok(message) => message,
            Err(rejection) => return self.reject_first(phase1, message_id, rejection),
        };
        self.phase1s.mark_used(&mut self.core, phase1, message_id);
        self.phase1s.negotiates(phase1);
        self.heard_from(phase1);
        if message.content.notifies.iter().any(|notify| notify.kind == NotifyType::INITIAL_CONTACT) {
            self.initial_contact_received(phase1);
        }
        self.respond_to(phase1, message_id, message, digest);
    }

    fn reject_first(&mut self, phase1: Phase1Id, message_id: u32, rejection: Rejection) {
        match rejection {
            Rejection::Unproved(reason) => self.phase1s.ignore_unproved(&mut self.core, phase1, 1, &reason),
            Rejection::Fatal(cause) => {
                self.phase1s.mark_used(&mut self.core, phase1, message_id);
                self.refuse_phase2(phase1, message_id, None, Record::new(self.core.now), cause);
            }
        }
    }

    /// Responds to an authenticated message 1.
    fn respond_to(
        &mut self,
        phase1: Phase1Id,
        message_id: u32,
        message: Message<QuickModePayloads>,
        digest: &PacketDigest,
    ) {
        let Some(sa) = self.phase1s.sa(phase1) else { return };
        let Some(path) = self.phase1s.get(phase1).map(Phase1::path) else { return };
        let (cookies, block) = (sa.cookies, sa.block);
        self.core.log_of_peer(LoggedEvent::Phase2Begun, Level::Info, path.remote, || {
            format!("respond new phase 2 negotiation: {path}")
        });
        let endpoints = Endpoints::of(path);
        let mut record = Record::new(self.core.now);
        if self.phase2s.count_with(endpoints) >= WITH_PEER_MAX {
            return self.refuse_phase2(phase1, message_id, None, record, FailureReason::TooMany(WITH_PEER_MAX));
        }
        let request = match Request::new(&message.content, endpoints) {
            Ok(request) => request,
            Err(cause) => return self.refuse_phase2(phase1, message_id, None, record, cause),
        };
        record.offered = in_words(&request.suites);
        let offer = match self.offer_for(phase1, &request, &message.content, &mut record) {
            Ok(offer) => offer,
            Err(cause) => return self.refuse_phase2(phase1, message_id, Some(request.traffic_key), record, cause),
        };
        // A reload removes the phase 1s whose remote section is gone.
        let Some(block) = self.core.settings.remotes.get(block) else { return };
        let (name, nonce_size) = (block.name.clone(), block.nonce_size);
        let id = Phase2Id(self.core.fresh_id());
        let group = offer.agreement.terms.group;
        let exchange =
            group.zip(message.content.public.clone()).map(|(group, public)| (group, DhOperation::Both(public)));
        let members = offer.agreement.members.iter().map(|agreed| agreed.member.clone()).collect::<Vec<_>>();
        let pending = PendingInputs::new(members.len(), group);
        let accepted = Accepted::new(offer.agreement, message, nonce_size, &mut *self.core.random);
        let mut phase2 = Phase2 {
            sa_endpoints: offer.sa_endpoints,
            block: name,
            cookies: Some(cookies),
            state: State::Answering(Box::new(accepted), pending),
            ..Phase2::new(id, Role::Responder, offer.traffic_key, path, record)
        };
        phase2.conversation.accept(digest.clone());
        phase2.generated = self.policies_for(id, &offer.traffic_key, offer.generate.as_ref());
        self.phase2s.insert(id, phase2);
        self.phase2s.bind(id, phase1);
        self.phase2s.listen(id, phase1, message_id);
        self.gather(id, members.iter(), exchange);
    }

    /// Shares or generates the policies for a traffic key.
    fn policies_for(
        &mut self,
        id: Phase2Id,
        traffic_key: &TrafficKey,
        generate: Option<&(Grant, Vec<Template>)>,
    ) -> Option<Selector> {
        match generate {
            Some((grant, templates)) => self.generate_policies(id, grant, templates),
            None if self.generated.share(&traffic_key.selector, id) => {}
            None => return None,
        }
        Some(traffic_key.selector)
    }

    /// Finds the offer for a peer's request, and records what is configured.
    ///
    /// # Errors
    /// Why there is none: what is missing, or what the peer asks for instead.
    fn offer_for(
        &mut self,
        phase1: Phase1Id,
        request: &Request,
        negotiation: &QuickModePayloads,
        record: &mut Record,
    ) -> Result<Offer, FailureReason> {
        let mut refusal = FailureReason::NoProposalChosen(ProposalRefusal::NotUnderstood);
        let mut denied = Vec::new();
        for suite in &request.suites {
            let mode = mode_of(suite);
            if denied.contains(&mode) {
                continue;
            }
            let offer = match self.authorized(phase1, request, mode, record) {
                Ok(Authorized::Offer(offer)) => offer,
                Ok(Authorized::Generate { grant, level, how, sainfo }) => {
                    match self.offer_generated(request, suite, (grant, how), &sainfo, level, record) {
                        Ok(offer) => offer,
                        Err(cause) => {
                            refusal = cause;
                            continue;
                        }
                    }
                }
                Err(denial) => {
                    if let Some(held) = denial.held {
                        self.probe_holders(&held);
                    }
                    refusal = denial.cause;
                    denied.push(mode);
                    continue;
                }
            };
            check_exchange(offer.agreement.terms.group, negotiation.public.as_ref())?;
            return Ok(offer);
        }
        Err(refusal)
    }

    /// Authorizes a request in one mode ([`authorize`]), and agrees on a proposal if there is a policy.
    fn authorized(
        &mut self,
        phase1: Phase1Id,
        request: &Request,
        mode: Mode,
        record: &mut Record,
    ) -> Result<Authorized, Denial> {
        let complex = self.core.settings.complex_bundle;
        let sa = self.phase1s.sa(phase1).ok_or_else(FailureReason::phase1_gone)?;
        let block = self.core.settings.remotes.get(sa.block).ok_or(FailureReason::NoRemote(MissingRemote::Removed))?;
        let sainfo = self.sainfo_for(sa, block, request)?;
        let path = self.phase1s.get(phase1).map(Phase1::path).ok_or_else(FailureReason::phase1_gone)?;
        let (level, remote, peer) = (block.proposal_check, path.remote, Peer::new(sa, path));
        let asked = TrafficRequest {
            ids: request.ids.as_ref(),
            selector: request.traffic_key.selector,
            suites: &request.suites,
            mode,
            sainfo,
            block,
        };
        let environment = Environment {
            spd: &self.core.spd,
            holder_of: &|policy| self.generated.holder_of(policy),
            addresses: &self.core.host_addresses,
            settings: &self.core.settings,
        };
        let (inbound, in_templates, sa_endpoints) = match authorize(&environment, &peer, &asked)? {
            Allowed::Existing { inbound, templates, sa_endpoints } => (inbound, templates, sa_endpoints),
            Allowed::Generated(grant) => {
                let (how, sainfo) = (block.generate_policy, sainfo.clone());
                let text = || sections(&request.traffic_key, block, true, &sainfo);
                let explanation = self.core.format_at(Level::Debug, text);
                self.core.log_formatted(Level::Debug, remote, explanation);
                return Ok(Authorized::Generate { grant, level, how, sainfo });
            }
        };
        let traffic_key = TrafficKey { selector: inbound.selector.mirrored(), ..request.traffic_key };
        let outbound = self.core.spd.exact(Direction::Out, &traffic_key.selector).and_then(templates);
        let is_missing = outbound.is_none();
        let bundle = Bundle::new(outbound.unwrap_or(in_templates), in_templates, sainfo, complex, false)?;
        record.configured = bundle.in_words();
        let agreement = bundle.choose(level, false, &request.suites)?;
        let explanation = self.core.format_at(Level::Debug, || sections(&traffic_key, block, true, sainfo));
        self.core.log_formatted(Level::Debug, remote, explanation);
        if is_missing {
            let text = || format!("there is no outbound policy for {traffic_key}");
            self.core.log_of_peer(LoggedEvent::Phase2Failed, Level::Warning, remote, text);
        }
        Ok(Authorized::Offer(Offer { agreement, traffic_key, sa_endpoints, generate: None }))
    }

    /// Agrees on a proposal for policies that will be generated.
    fn offer_generated(
        &mut self,
        request: &Request,
        suite: &Suite,
        (grant, how): (Grant, GeneratePolicy),
        sainfo: &Sainfo,
        level: CheckLevel,
        record: &mut Record,
    ) -> Result<Offer, FailureReason> {
        let traffic_key = request.traffic_key;
        let templates = Self::templates_for(suite, &traffic_key, self.level_for(&traffic_key, how)?);
        let bundle = Bundle::new(&templates, &templates, sainfo, true, false)?;
        record.configured = bundle.in_words();
        let agreement = bundle.choose(level, false, std::slice::from_ref(suite))?;
        Ok(Offer { agreement, traffic_key, sa_endpoints: traffic_key.endpoints, generate: Some((grant, templates)) })
    }

    /// Probes the peer whose policies conflict with a request. If it is dead, they are removed, and the next attempt succeeds.
    fn probe_holders(&mut self, outbound: &Selector) {
        for id in self.generated.users(outbound) {
            if self.probe_holder(id) {
                return;
            }
        }
    }

    /// Selects the sainfo for a peer's request.
    fn sainfo_for(&self, sa: &Phase1Sa, block: &Remote, request: &Request) -> Result<&Sainfo, FailureReason> {
        let hosts = Identities::of_hosts(request.traffic_key.endpoints, &between_hosts(request.traffic_key.endpoints));
        let ids = request.ids.as_ref().unwrap_or(&hosts);
        let asked = SainfoQuery {
            local: &ids.local,
            remote: &ids.remote,
            claimed: Some(sa.peer.claimed()),
            client: Some(request.traffic_key.endpoints.remote),
            remoteid: block.ph1id,
        };
        let sainfos = &self.core.settings.sainfos;
        let sainfo = sainfos.select(&asked).and_then(|index| sainfos.get(index));
        // Without XAUTH there are no users, and no members of groups.
        let sainfo = sainfo.filter(|sainfo| sainfo.admits(|_| false));
        sainfo.ok_or_else(|| FailureReason::NoSainfo(sainfos.missing(request.traffic_key.selector, &asked).into()))
    }

    /// Refuses a message 1, of which only the outcome is kept.
    fn refuse_phase2(
        &mut self,
        phase1: Phase1Id,
        message_id: u32,
        traffic_key: Option<TrafficKey>,
        record: Record,
        cause: FailureReason,
    ) {
        let Some(sa) = self.phase1s.sa(phase1) else { return };
        let Some(path) = self.phase1s.get(phase1).map(Phase1::path) else { return };
        let (remote, cookies) = (path.remote, sa.cookies);
        let block = self.core.settings.remotes.get(sa.block).map(|block| block.name.clone());
        let endpoints = Endpoints::of(path);
        let traffic_key = traffic_key.unwrap_or(TrafficKey { selector: between_hosts(endpoints), endpoints });
        let kind = (PeerStanding::Proved(remote.ip()), LoggedEvent::Phase2Failed);
        let text = format_args!("{cause}: {traffic_key}");
        let (told, level) = self.core.apply_rate_limit(kind, Some(&text), Level::Error, remote);
        let traffic = traffic_key.selector;
        let negotiation =
            reason::Negotiation::Phase2 { role: Role::Responder, cookies: Some(cookies), message_id, traffic };
        let result = NegotiationResult::Failed(cause.clone());
        let outcome = record.outcome(negotiation, path, block, result, self.core.now);
        self.core.log_failure(level, &outcome);
        self.phase1s.notify_refusal(&mut self.core, phase1, &cause);
        // Suppressed refusals are not recorded: they would displace the outcomes of other peers in the journal.
        if told {
            self.core.record_outcome(outcome);
        }
    }
}
impl Phase1s {
    fn mark_used(&mut self, core: &mut Core, phase1: Phase1Id, message_id: u32) {
        if let Some(sa) = self.sa_mut(phase1) {
            sa.used.add(message_id);
        }
        self.message_id_used(core, phase1);
    }
}

impl Request {
    fn new(negotiation: &QuickModePayloads, endpoints: Endpoints) -> Result<Self, FailureReason> {
        let ids = identities(negotiation)?;
        let selector = ids.as_ref().map(Identities::selector).transpose();
        let selector = selector.map_err(|error| FailureReason::Phase2Identity(Phase2IdentityError::Traffic(error)))?;
        let hosts = between_hosts(endpoints);
        // A transform without a mode: identities other than those of both hosts need a tunnel.
        let is_of_hosts = selector.is_none_or(|one| (one.source, one.destination) == (hosts.source, hosts.destination));
        let unspecified = if is_of_hosts { Mode::Transport } else { Mode::Tunnel };
        let suites = proposed(&negotiation.sa, unspecified)?;
        Ok(Self { ids, suites, traffic_key: TrafficKey { selector: selector.unwrap_or(hosts), endpoints } })
    }
}

/// Returns tunnel mode if any transform of a proposal has it.
fn mode_of(suite: &Suite) -> Mode {
    let is_tunnel = |mode: EncapsulationMode| mode.plain() == EncapsulationMode::TUNNEL;
    let mut modes = suite.protocols.iter().filter_map(|one| Some(one.transforms.first()?.transform.mode));
    if modes.any(is_tunnel) { Mode::Tunnel } else { Mode::Transport }
}
