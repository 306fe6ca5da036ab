//! What a phase 2 of ours asks for: the path and the remote section of the peer, and the proposal for the traffic.

use std::net::SocketAddr;

use crate::config::{PeerAddress, Remote, Sainfo};
use crate::conversation::Record;
use crate::engine::Phase2Id;
use crate::engine::core::Core;
use crate::kernel::Direction;
use crate::output::Level;
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::phase2::TrafficKey;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::bundle::Bundle;
use crate::phase2::entry::{Phase2, State};
use crate::phase2::initiator::Phase2Request;
use crate::phase2::traffic::{Identities, bundle_mode, templates};
use crate::reason::explain::sections;
use crate::reason::{FailureReason, MissingPolicy, MissingRemote, PolicyProblem, Role};
use crate::select::{Ambiguous, RemoteIndex, RemoteQuery, SainfoQuery};
use crate::spd::missing_policy;

impl Core {
    /// Selects the path and the remote section of a phase 2. A renewal keeps those of the phase 2 that it renews, which has the
    /// path `renewed` and was negotiated under `sa`.
    ///
    /// # Errors
    /// If its local endpoint is not our address, or no remote section matches the peer.
    pub(super) fn destination(
        &self,
        traffic_key: &TrafficKey,
        trigger: &Phase2Trigger,
        renewed: Option<Path>,
        sa: Option<&Phase1Sa>,
    ) -> Result<(Path, RemoteIndex), FailureReason> {
        let not_ours = || {
            let problem = PolicyProblem::NotOurs(traffic_key.endpoints.local);
            FailureReason::NoPolicy(MissingPolicy { traffic: traffic_key.selector, problem }.into())
        };
        let local = self.local_address(traffic_key.endpoints.local).ok_or_else(not_ours)?;
        let peer = on_link_of(local, SocketAddr::new(traffic_key.endpoints.remote, self.settings.port));
        // A section that was read under phase 1 is that of the proved identity.
        let remote_section = match sa {
            Some(sa) => sa.remote_section,
            None => self.select_section(peer, matches!(trigger, Phase2Trigger::Acquire(_)))?,
        };
        let section = self.section(remote_section)?;
        // The address may not be ours any longer.
        let renewed = renewed.filter(|path| self.locals.contains(&path.local));
        Ok((renewed.unwrap_or(Path::new(local, with_port_of(section, peer))), remote_section))
    }

    /// Returns a remote section.
    fn section(&self, remote_section: RemoteIndex) -> Result<&Remote, FailureReason> {
        self.settings.remotes.get(remote_section).ok_or(FailureReason::NoRemote(MissingRemote::Removed))
    }

    /// Selects the remote section for a peer.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(super) fn select_section(&self, remote: SocketAddr, skip_passive: bool) -> Result<RemoteIndex, FailureReason> {
        // In main mode the pre-shared key is that of the peer's address. An anonymous section must not match instead of a passive
        // one, or the peer would get the rights of the anonymous section.
        let any = RemoteQuery { key_of_address: true, ..RemoteQuery::address(PeerAddress::from(remote)) };
        let known = RemoteQuery { skip_passive, ..any };
        let remotes = &self.settings.remotes;
        let ambiguous =
            |sections: Ambiguous| FailureReason::NoRemote(MissingRemote::Ambiguous(remotes.names(&sections.0)));
        let remote_section = remotes.select(&known).map_err(ambiguous)?;
        remote_section.ok_or_else(|| FailureReason::NoRemote(remotes.missing(remote.ip(), &known)))
    }

    /// Creates a phase 2 that waits for a phase 1 on a path.
    ///
    /// # Errors
    /// If no policy or no sainfo matches its traffic.
    pub(super) fn new_phase2(
        &mut self,
        traffic_key: TrafficKey,
        path: Path,
        remote_section: RemoteIndex,
        trigger: Phase2Trigger,
    ) -> Result<Phase2, FailureReason> {
        let section = self.section(remote_section)?;
        let name = section.name.clone();
        let by_phase1 = matches!(trigger, Phase2Trigger::Renewal(_));
        let (phase2_request, sainfo) = self.phase2_request(&traffic_key, section)?;
        let explanation = self.format_at(Level::Debug, || sections(&traffic_key, section, by_phase1, sainfo));
        self.log_formatted(Level::Debug, path.remote, explanation);
        self.warn_of_missing_mirror(&traffic_key, path.remote);
        let id = Phase2Id(self.fresh_id());
        let record = Record { offered: phase2_request.bundle.in_words(), ..Record::new(self.now) };
        let mut phase2 = Phase2 { remote_section: name, ..Phase2::new(id, Role::Initiator, traffic_key, path, record) };
        phase2.state = State::Waiting(phase2_request);
        match trigger {
            Phase2Trigger::Acquire(acquire) => phase2.acquires.push(acquire),
            Phase2Trigger::Renewal(id) => phase2.renews = Some(id),
            Phase2Trigger::Control => {}
        }
        Ok(phase2)
    }

    /// Warns each time if the inbound policy is missing, a frequent cause of tunnels that seem dead: replies are dropped, or arrive
    /// unprotected.
    fn warn_of_missing_mirror(&mut self, traffic_key: &TrafficKey, remote: SocketAddr) {
        let outbound = self.spd.exact(Direction::Out, &traffic_key.selector);
        if outbound.is_some_and(|outbound| self.spd.mirror(outbound).and_then(templates).is_none()) {
            self.log(Level::Notify, Some(remote), || {
                let inward = TrafficKey { selector: traffic_key.selector.mirrored(), ..*traffic_key };
                format!("no in-bound policy found: {inward}")
            });
        }
    }

    /// Returns the request to negotiate for a traffic key, and its sainfo.
    fn phase2_request(
        &self,
        traffic_key: &TrafficKey,
        remote_section: &Remote,
    ) -> Result<(Phase2Request, &Sainfo), FailureReason> {
        let no_policy = || missing_policy(&self.spd, Direction::Out, &traffic_key.selector, &[], traffic_key.endpoints);
        let policy = self.spd.exact(Direction::Out, &traffic_key.selector).ok_or_else(no_policy)?;
        let outbound = templates(policy).ok_or_else(no_policy)?;
        let inbound = self.spd.mirror(policy).and_then(templates).unwrap_or_default();
        let traffic = Identities::of_selector(&traffic_key.selector);
        let asked = SainfoQuery {
            local: &traffic.local,
            remote: &traffic.remote,
            claimed: None,
            client: None,
            remoteid: remote_section.ph1id,
        };
        let sainfos = &self.settings.sainfos;
        let sainfo = sainfos.select(&asked).and_then(|index| sainfos.get(index));
        let sainfo =
            sainfo.ok_or_else(|| FailureReason::NoSainfo(sainfos.missing(traffic_key.selector, &asked).into()))?;
        let complex = self.settings.complex_bundle;
        let bundle = Bundle::new(outbound, inbound, sainfo, complex, false)?;
        let mode = bundle_mode(outbound, complex);
        let ids = Identities::to_send(mode, &traffic_key.selector, traffic_key.endpoints);
        Ok((Phase2Request { bundle, ids }, sainfo))
    }
}

/// Gives a peer's link-local address the scope of ours.
fn on_link_of(local: SocketAddr, mut remote: SocketAddr) -> SocketAddr {
    if let (SocketAddr::V6(remote), SocketAddr::V6(local)) = (&mut remote, local) {
        remote.set_scope_id(local.scope_id());
    }
    remote
}

/// Replaces a peer's port by that of its remote section, if the section has one.
fn with_port_of(section: &Remote, mut remote: SocketAddr) -> SocketAddr {
    if section.port != 0 {
        remote.set_port(section.port);
    }
    remote
}
