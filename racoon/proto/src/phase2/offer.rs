//! What a peer gets for its message 1: the policy, or the policies to generate, and the agreement on a proposal.

use crate::authorization::{Allowed, Denial, Environment, Grant, Peer, TrafficRequest, authorize};
use crate::config::{CheckLevel, GeneratePolicy, Remote, Sainfo};
use crate::conversation::Record;
use crate::engine::Phase1Id;
use crate::engine::core::Core;
use crate::kernel::{Direction, Mode, Selector, Template};
use crate::num::EncapsulationMode;
use crate::output::Level;
use crate::phase1::Phase1Sa;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::agreement::Agreement;
use crate::phase2::bundle::{Bundle, in_words, proposed};
use crate::phase2::generate_policy::{GeneratedPolicies, templates_for};
use crate::phase2::message::QuickModePayloads;
use crate::phase2::quick_responder::WITH_PEER_MAX;
use crate::phase2::responder::{check_exchange, identities};
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::{Endpoints, Identities, between_hosts, templates};
use crate::proposal::ProposalRefusal;
use crate::proposal::encoding::Suite;
use crate::reason::explain::sections;
use crate::reason::{FailureReason, MissingRemote, Phase2IdentityError};
use crate::select::SainfoQuery;

/// What a peer asks for.
struct Request {
    /// The identities; none stand for the addresses of phase 1.
    ids: Option<Identities>,
    suites: Vec<Suite>,
    /// The traffic, until a policy determines it.
    traffic_key: TrafficKey,
}

/// What a peer gets.
pub(super) struct Offer {
    pub(super) agreement: Agreement,
    pub(super) traffic_key: TrafficKey,
    pub(super) sa_endpoints: Endpoints,
    /// The policies to generate, and the templates of the outbound one.
    pub(super) generate: Option<(Grant, Vec<Template>)>,
}

/// What a peer may have.
enum Authorized {
    /// The agreement for an existing policy.
    Offer(Offer),
    /// A policy to generate.
    Generate { grant: Grant, level: CheckLevel, how: GeneratePolicy, sainfo: Sainfo },
}

/// Why a peer gets nothing.
pub(super) struct RefusedRequest {
    /// The traffic that it asks for, if that is known.
    pub(super) traffic_key: Option<TrafficKey>,
    pub(super) reason: FailureReason,
}

/// Boxed, because it is large and every step before the traffic is known may fail.
impl From<FailureReason> for Box<RefusedRequest> {
    fn from(reason: FailureReason) -> Self {
        Self::new(RefusedRequest { traffic_key: None, reason })
    }
}

/// What an offer depends on besides the peer's request.
pub(super) struct OfferContext<'a> {
    pub(super) core: &'a mut Core,
    pub(super) phase1s: &'a mut Phase1s,
    pub(super) phase2s: &'a Phase2s,
    pub(super) generated: &'a mut GeneratedPolicies,
    /// The phase 1 under which the peer asks.
    pub(super) phase1: Phase1Id,
}

impl OfferContext<'_> {
    /// Finds the offer for a message 1, and records what is offered and configured.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn find(
        mut self,
        negotiation: &QuickModePayloads,
        record: &mut Record,
    ) -> Result<Offer, Box<RefusedRequest>> {
        let path = self.phase1s.get(self.phase1).map(Phase1::path).ok_or_else(FailureReason::phase1_gone)?;
        let endpoints = Endpoints::of(path);
        // Each phase 2 takes SAs in the kernel, and an authenticated peer may negotiate any number.
        if self.phase2s.count_with(endpoints) >= WITH_PEER_MAX {
            return Err(FailureReason::TooMany(WITH_PEER_MAX).into());
        }
        let request = Request::new(negotiation, endpoints)?;
        record.offered = in_words(&request.suites);
        let offer = self.first_acceptable(&request, record).and_then(|offer| {
            check_exchange(offer.agreement.terms.group, negotiation.public.as_ref())?;
            Ok(offer)
        });
        offer.map_err(|reason| Box::new(RefusedRequest { traffic_key: Some(request.traffic_key), reason }))
    }

    /// Returns the offer for the first of the peer's proposals for which there is one.
    ///
    /// # Errors
    /// Why there is none for the last one: what is missing, or what the peer asks for instead.
    fn first_acceptable(&mut self, request: &Request, record: &mut Record) -> Result<Offer, FailureReason> {
        let mut refusal = FailureReason::NoProposalChosen(ProposalRefusal::NotUnderstood);
        let mut denied = Vec::new();
        for suite in &request.suites {
            let mode = mode_of(suite);
            // The decision depends on the mode, not on the algorithms.
            if denied.contains(&mode) {
                continue;
            }
            let offer = match self.authorized(request, mode, record) {
                Ok(Authorized::Offer(offer)) => Ok(offer),
                Ok(Authorized::Generate { grant, level, how, sainfo }) => {
                    self.offer_generated(request, suite, (grant, how), &sainfo, level, record)
                }
                Err(denial) => {
                    denial.held.into_iter().for_each(|held| self.probe_holders(&held));
                    denied.push(mode);
                    Err(denial.reason)
                }
            };
            match offer {
                Ok(offer) => return Ok(offer),
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// Authorizes a request in one mode ([`authorize`]), and agrees on a proposal if there is a policy.
    fn authorized(&mut self, request: &Request, mode: Mode, record: &mut Record) -> Result<Authorized, Denial> {
        let Self { core, generated, .. } = self;
        let complex = core.settings.complex_bundle;
        let phase1 = self.phase1s.get(self.phase1);
        let (sa, path) =
            phase1.and_then(|phase1| Some((phase1.sa()?, phase1.path()))).ok_or_else(FailureReason::phase1_gone)?;
        let remote_section =
            core.settings.remotes.get(sa.remote_section).ok_or(FailureReason::NoRemote(MissingRemote::Removed))?;
        let sainfo = core.sainfo_for(sa, remote_section, request)?;
        let (level, remote, peer) = (remote_section.proposal_check, path.remote, Peer::new(sa, path));
        let asked = TrafficRequest {
            ids: request.ids.as_ref(),
            selector: request.traffic_key.selector,
            suites: &request.suites,
            mode,
            sainfo,
            remote_section,
        };
        let environment = Environment {
            spd: &core.spd,
            holder_of: &|policy| generated.holder_of(policy),
            addresses: &core.host_addresses,
            settings: &core.settings,
        };
        let (inbound, in_templates, sa_endpoints) = match authorize(&environment, &peer, &asked)? {
            Allowed::Existing { inbound, templates, sa_endpoints } => (inbound, templates, sa_endpoints),
            Allowed::Generated(grant) => {
                let (how, sainfo) = (remote_section.generate_policy, sainfo.clone());
                let text = || sections(&request.traffic_key, remote_section, true, &sainfo);
                let explanation = core.format_at(Level::Debug, text);
                core.log_formatted(Level::Debug, remote, explanation);
                return Ok(Authorized::Generate { grant, level, how, sainfo });
            }
        };
        let traffic_key = TrafficKey { selector: inbound.selector.mirrored(), ..request.traffic_key };
        let outbound = core.spd.exact(Direction::Out, &traffic_key.selector).and_then(templates);
        let is_missing = outbound.is_none();
        let bundle = Bundle::new(outbound.unwrap_or(in_templates), in_templates, sainfo, complex, false)?;
        record.configured = bundle.in_words();
        let agreement = bundle.choose(level, false, &request.suites)?;
        let explanation = core.format_at(Level::Debug, || sections(&traffic_key, remote_section, true, sainfo));
        core.log_formatted(Level::Debug, remote, explanation);
        if is_missing {
            let text = || format!("there is no outbound policy for {traffic_key}");
            core.log_of_peer(LoggedEvent::Phase2Failed, Level::Warning, remote, text);
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
        let templates =
            templates_for(suite, &traffic_key, self.generated.level_for(&self.core.spd, &traffic_key, how)?);
        let bundle = Bundle::new(&templates, &templates, sainfo, true, false)?;
        record.configured = bundle.in_words();
        let agreement = bundle.choose(level, false, std::slice::from_ref(suite))?;
        Ok(Offer { agreement, traffic_key, sa_endpoints: traffic_key.endpoints, generate: Some((grant, templates)) })
    }

    /// Probes the peer whose policies conflict with a request. If it is dead, they are removed, and the next attempt succeeds.
    fn probe_holders(&mut self, outbound: &Selector) {
        for id in self.generated.users(outbound) {
            let path = self.phase2s.get(id).map(|phase2| phase2.path);
            if path.is_some_and(|path| self.phase1s.probe_peer(self.core, path)) {
                return;
            }
        }
    }
}

impl Core {
    /// Selects the sainfo for a peer's request.
    fn sainfo_for(&self, sa: &Phase1Sa, remote_section: &Remote, request: &Request) -> Result<&Sainfo, FailureReason> {
        let hosts = Identities::of_hosts(request.traffic_key.endpoints, &between_hosts(request.traffic_key.endpoints));
        let ids = request.ids.as_ref().unwrap_or(&hosts);
        let asked = SainfoQuery {
            local: &ids.local,
            remote: &ids.remote,
            claimed: Some(sa.peer.claimed()),
            client: Some(request.traffic_key.endpoints.remote),
            remoteid: remote_section.ph1id,
        };
        let sainfos = &self.settings.sainfos;
        let sainfo = sainfos.select(&asked).and_then(|index| sainfos.get(index));
        // Without XAUTH there are no users, and no members of groups.
        let sainfo = sainfo.filter(|sainfo| sainfo.admits(|_| false));
        sainfo.ok_or_else(|| FailureReason::NoSainfo(sainfos.missing(request.traffic_key.selector, &asked).into()))
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
