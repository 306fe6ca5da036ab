//! Quick mode that a peer begins: message 1, and what there is for it.

use std::net::IpAddr;

use super::duplicates::PacketDigest;
use super::endpoint::Endpoint;
use super::phase2s::{Phase2, State};
use super::quick::sa_of;
use super::strangers::Complaint;
use super::{Engine, Phase1Id, Phase2Id};
use crate::config::{CheckLevel, GeneratePolicy, Remote, Sainfo};
use crate::crypto::DhTask;
use crate::kernel::{Direction, Mode, Selector, Template};
use crate::num::NotifyType;
use crate::outcome::{Cause, Ending, Role};
use crate::output::Level;
use crate::phase1::{Phase1Sa, Record};
use crate::phase2::Bond;
use crate::phase2::bundle::{Agreement, Bundle, in_words, proposed, proposes};
use crate::phase2::gathering::Gathering;
use crate::phase2::message::{Message, Negotiation, Received, Rejection};
use crate::phase2::responder::{Accepted, check_exchange, identities, read};
use crate::phase2::traffic::{Ends, Identities, between_hosts, policy_for, templates, tunnel_ends};
use crate::proposal::encoding::Suite;
use crate::select::Traffic;
use crate::wire::Header;

/// More exchanges than this a peer cannot have on their way under one phase 1. One more is as if it had been lost: the peer
/// repeats it, and by then there may be room.
pub(super) const AT_ONCE_MAX: usize = 64;

/// More phase 2s than this nobody can have between two hosts: each costs the kernel SAs.
pub(super) const WITH_PEER_MAX: usize = 4096;

/// What a peer asks for.
struct Request {
    /// None: the addresses of phase 1.
    ids: Option<Identities>,
    suites: Vec<Suite>,
    /// For what, until a policy says it better.
    bond: Bond,
}

/// What there is for it.
struct Offer {
    agreement: Agreement,
    bond: Bond,
    sa_ends: Ends,
    /// The policies that have to be made: the templates of the outbound one.
    generate: Option<Vec<Template>>,
}

impl Engine {
    /// The level by which proposals under a phase 1 are checked.
    pub(super) fn level_under(&self, phase1: Phase1Id) -> Option<CheckLevel> {
        let block = self.phase1_sa(phase1)?.block;
        self.settings.remotes.get(block).map(|block| block.proposal_check)
    }

    /// Message 1 of a peer.
    pub(super) fn quick_begin(&mut self, phase1: Phase1Id, header: &Header, body: &[u8], digest: &PacketDigest) {
        let Some(sa) = sa_of(&self.phase1s, phase1) else { return };
        let remote = sa.remote;
        let message_id = header.message_id;
        if self.phase2s.answering(phase1) >= AT_ONCE_MAX {
            let text = || format!("{AT_ONCE_MAX} quick modes are on their way already");
            self.log_of_peer(Complaint::Crowd, Level::Error, remote, text);
            return;
        }
        let Some(sa) = sa_of(&self.phase1s, phase1) else { return };
        if message_id == 0 || sa.used.refuses(message_id) {
            return self.log(Level::Debug, Some(remote), || format!("message id {message_id:#010x} was used before"));
        }
        let message = match read(sa, Received { header, body, envelope: &self.envelope }) {
            Ok(message) => message,
            Err(rejection) => return self.reject_first(phase1, message_id, rejection),
        };
        self.mark_used(phase1, message_id);
        self.heard_from(phase1);
        if message.content.notifies.iter().any(|notify| notify.kind == NotifyType::INITIAL_CONTACT) {
            self.initial_contact_received(phase1);
        }
        self.respond_to(phase1, message_id, message, digest);
    }

    fn reject_first(&mut self, phase1: Phase1Id, message_id: u32, rejection: Rejection) {
        match rejection {
            Rejection::Unproved(reason) => self.ignore_unproved(phase1, 1, &reason),
            Rejection::Fatal(cause) => {
                self.mark_used(phase1, message_id);
                self.refuse_phase2(phase1, message_id, None, Record::new(self.now), cause);
            }
        }
    }

    fn mark_used(&mut self, phase1: Phase1Id, message_id: u32) {
        if let Some(sa) = self.phase1_sa_mut(phase1) {
            sa.used.add(message_id);
        }
        self.message_id_used(phase1);
    }

    /// The peer has proved that it asks.
    fn respond_to(&mut self, phase1: Phase1Id, message_id: u32, message: Message<Negotiation>, digest: &PacketDigest) {
        let Some(sa) = sa_of(&self.phase1s, phase1) else { return };
        let (local, remote, cookies, block) = (sa.local, sa.remote, sa.cookies, sa.block);
        self.log_of_peer(Complaint::Phase2Begun, Level::Info, remote, || {
            format!("respond new phase 2 negotiation: {}<=>{}", Endpoint(local), Endpoint(remote))
        });
        let ends = Ends { local: local.ip(), remote: remote.ip() };
        let mut record = Record::new(self.now);
        if self.phase2s.count_with(ends) >= WITH_PEER_MAX {
            return self.refuse_phase2(phase1, message_id, None, record, Cause::TooMany(WITH_PEER_MAX));
        }
        let request = match Request::new(&message.content, ends) {
            Ok(request) => request,
            Err(cause) => return self.refuse_phase2(phase1, message_id, None, record, cause),
        };
        record.offered = in_words(&request.suites);
        let offer = match self.offer_for(phase1, &request, &message.content, &mut record) {
            Ok(offer) => offer,
            Err(cause) => return self.refuse_phase2(phase1, message_id, Some(request.bond), record, cause),
        };
        let Some(block) = self.settings.remotes.get(block) else { return };
        let (name, nonce_size) = (block.name.clone(), block.nonce_size);
        let id = Phase2Id(self.fresh_id());
        let group = offer.agreement.terms.group;
        let exchange = group.zip(message.content.public.clone()).map(|(group, public)| (group, DhTask::Both(public)));
        let parts = offer.agreement.parts.iter().map(|agreed| agreed.part.clone()).collect::<Vec<_>>();
        let gathering = Gathering::new(parts.len(), group);
        let accepted = Accepted::new(offer.agreement, message, nonce_size, &mut *self.random);
        let mut phase2 = Phase2 {
            sa_ends: offer.sa_ends,
            block: name,
            cookies: Some(cookies),
            record,
            state: State::Answering(Box::new(accepted), gathering),
            ..Phase2::new(Role::Responder, offer.bond, (local, remote), self.now)
        };
        phase2.inbox.work_on(digest.clone());
        phase2.generated = self.policies_for(id, &offer.bond, offer.generate.as_deref());
        self.phase2s.insert(id, phase2);
        self.phase2s.bind(id, phase1);
        self.phase2s.listen(id, phase1, message_id);
        self.gather(id, parts.iter(), exchange);
    }

    /// The policies that were made for a bond, or are now.
    fn policies_for(&mut self, id: Phase2Id, bond: &Bond, generate: Option<&[Template]>) -> Option<Selector> {
        match generate {
            Some(templates) => self.generate_policies(id, bond.selector, templates),
            None if self.generated.share(&bond.selector, id) => {}
            None => return None,
        }
        Some(bond.selector)
    }

    /// What there is for a peer's request. What is configured goes into the record.
    ///
    /// # Errors
    /// What is not there, or what the peer asks for instead.
    fn offer_for(
        &mut self,
        phase1: Phase1Id,
        request: &Request,
        negotiation: &Negotiation,
        record: &mut Record,
    ) -> Result<Offer, Cause> {
        let complex = self.settings.complex_bundle;
        let Some(sa) = sa_of(&self.phase1s, phase1) else { return Err(Cause::NoPhase1(String::new())) };
        let remote_block = self.settings.remotes.get(sa.block).ok_or_else(|| Cause::NoRemote(String::new()))?;
        let (level, how) = (remote_block.proposal_check, remote_block.generate_policy);
        let sa_ends = sa_ends(remote_block, request);
        let sainfo = self.sainfo_for(sa, remote_block, request)?.clone();
        let inbound = policy_for(&self.spd, &request.bond.selector, complex, |mode| proposes(&request.suites, mode));
        let Some(inbound) = inbound else {
            let offer = self.offer_generated(request, &sainfo, level, how, sa_ends)?;
            check_exchange(offer.agreement.terms.group, negotiation.public.as_ref())?;
            return Ok(offer);
        };
        let bond = Bond { selector: inbound.selector.mirrored(), ..request.bond };
        let in_templates =
            templates(inbound).ok_or_else(|| Cause::NoPolicy(format!("{bond}: it is not to be protected")))?;
        check_tunnel(in_templates, &bond)?;
        let outbound = self.spd.exact(Direction::Out, &bond.selector).and_then(templates);
        let (remote, is_missing) = (sa.remote, outbound.is_none());
        let bundle = Bundle::new(outbound.unwrap_or(in_templates), in_templates, &sainfo, complex, false)?;
        record.configured = bundle.in_words();
        if is_missing {
            let text = || format!("there is no outbound policy for {bond}");
            self.log_of_peer(Complaint::Phase2Failed, Level::Warning, remote, text);
        }
        let agreement = bundle.choose(level, false, &request.suites)?;
        check_exchange(agreement.terms.group, negotiation.public.as_ref())?;
        Ok(Offer { agreement, bond, sa_ends, generate: None })
    }

    /// The same without a policy: one is made for the first proposal that the sainfo allows, if policies are to be made.
    fn offer_generated(
        &mut self,
        request: &Request,
        sainfo: &Sainfo,
        level: CheckLevel,
        how: GeneratePolicy,
        sa_ends: Ends,
    ) -> Result<Offer, Cause> {
        let bond = request.bond;
        let level_and_reqid = self.level_for(&bond, how)?;
        // The kernel would refuse, too; but here it costs nothing.
        if let Some(direction) = self.generated.foreign(&self.spd, &bond.selector) {
            let why = format!("{bond}: a policy of somebody else for direction {direction} has this selector");
            return Err(Cause::NoPolicy(why));
        }
        let mut refusal = Cause::NoProposalChosen(String::from("no proposal is understood"));
        for suite in &request.suites {
            let templates = Self::templates_for(suite, &bond, level_and_reqid);
            let bundle = Bundle::new(&templates, &templates, sainfo, true, false);
            let agreed = bundle.and_then(|bundle| bundle.choose(level, false, std::slice::from_ref(suite)));
            match agreed {
                Ok(agreement) => return Ok(Offer { agreement, bond, sa_ends, generate: Some(templates) }),
                Err(cause) => refusal = cause,
            }
        }
        Err(refusal)
    }

    /// The sainfo for a peer's request.
    fn sainfo_for(&self, sa: &Phase1Sa, block: &Remote, request: &Request) -> Result<&Sainfo, Cause> {
        let hosts = Identities::of_hosts(request.bond.ends, &between_hosts(request.bond.ends));
        let ids = request.ids.as_ref().unwrap_or(&hosts);
        let index = self.settings.sainfos.select(&Traffic {
            local: &ids.local,
            remote: &ids.remote,
            claimed: Some(sa.peer.claimed()),
            client: Some(sa.remote.ip()),
            remoteid: block.ph1id,
        });
        let sainfo = index.and_then(|index| self.settings.sainfos.get(index));
        // There are no users, and so no members of groups, as long as there is no XAUTH.
        let sainfo = sainfo.filter(|sainfo| sainfo.admits(|_| false));
        sainfo.ok_or_else(|| Cause::NoSainfo(request.bond.to_string()))
    }

    /// Message 1 is refused: nothing is kept of it but the outcome.
    fn refuse_phase2(&mut self, phase1: Phase1Id, message_id: u32, bond: Option<Bond>, record: Record, cause: Cause) {
        let Some(sa) = self.phase1_sa(phase1) else { return };
        let (local, remote, cookies) = (sa.local, sa.remote, sa.cookies);
        let block = self.settings.remotes.get(sa.block).map(|block| block.name.clone());
        let ends = Ends { local: local.ip(), remote: remote.ip() };
        let bond = bond.unwrap_or(Bond { selector: between_hosts(ends), ends });
        let told = self.log_of_peer(Complaint::Phase2Failed, Level::Error, remote, || {
            format!("phase2 negotiation failed due to {cause}: {bond} {cookies}:{message_id:08x}")
        });
        self.notify_refusal(phase1, &cause);
        // Refusals without end would leave nothing of others in the journal.
        if !told {
            return;
        }
        let phase2 = Phase2 {
            block: block.unwrap_or_default(),
            cookies: Some(cookies),
            message_id,
            record,
            ..Phase2::new(Role::Responder, bond, (local, remote), self.now)
        };
        self.conclude_phase2(&phase2, Ending::Failed(cause));
    }
}

impl Request {
    fn new(negotiation: &Negotiation, ends: Ends) -> Result<Self, Cause> {
        let ids = identities(negotiation)?;
        let selector = ids.as_ref().map(Identities::selector).transpose();
        let selector = selector.map_err(|error| Cause::Phase2Identity(error.to_string()))?;
        let hosts = between_hosts(ends);
        // A transform without a mode: identities of others than both hosts need a tunnel.
        let is_of_hosts = selector.is_none_or(|one| (one.source, one.destination) == (hosts.source, hosts.destination));
        let unspecified = if is_of_hosts { Mode::Transport } else { Mode::Tunnel };
        let suites = proposed(&negotiation.sa, unspecified)?;
        Ok(Self { ids, suites, bond: Bond { selector: selector.unwrap_or(hosts), ends } })
    }
}

/// The tunnel of a policy is one between us and this peer. Another peer's traffic is not for this one to send, however
/// well it has proved who it is.
fn check_tunnel(inbound: &[Template], bond: &Bond) -> Result<(), Cause> {
    // The peer is the source of what comes in.
    let Some(Ends { local: theirs, remote: ours }) = tunnel_ends(inbound) else { return Ok(()) };
    let fits = |end: IpAddr, of_phase1: IpAddr| end.is_unspecified() || end == of_phase1;
    let Ends { local, remote } = bond.ends;
    if fits(ours, local) && fits(theirs, remote) {
        return Ok(());
    }
    let tunnels = format!("its tunnel is between {ours} and {theirs}, phase 1 between {local} and {remote}");
    Err(Cause::NoPolicy(format!("{bond}: {tunnels}")))
}

/// The ends of the SAs: those of phase 1, or with `support_proxy` in transport mode the hosts that the identities name.
fn sa_ends(block: &Remote, request: &Request) -> Ends {
    let hosts = || {
        let ids = request.ids.as_ref().filter(|_| block.support_proxy && !proposes(&request.suites, Mode::Tunnel))?;
        Some(Ends { local: ids.local.single_address()?, remote: ids.remote.single_address()? })
    };
    hosts().unwrap_or(request.bond.ends)
}
