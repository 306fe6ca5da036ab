//! Control requests of the operator and of the shell.

use std::collections::BTreeSet;
use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id};
use crate::informational::dpd::LastTraffic;
use crate::kernel::{Direction, LeftoverSa, Selector};
use crate::message::codec::MessageCodec;
use crate::num::Protocol;
use crate::output::Level;
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, NegotiationResult, NoPhase1};
use crate::select::{Ambiguous, RemoteIndex, RemoteQuery};
use crate::settings::Settings;

/// A request from outside the protocol.
#[derive(Debug)]
pub enum Control {
    /// Our addresses from now on, each with a port without UDP encapsulation. Nothing is begun from another address.
    Addresses(BTreeSet<SocketAddr>),
    /// All addresses of this host from now on. No peer may claim one of them.
    HostAddresses(BTreeSet<IpAddr>),
    /// SAs that an earlier run has negotiated. Addresses and policies have to be set first.
    LeftoverSas(Vec<LeftoverSa>),
    /// A new configuration. Phase 1s without a remote section in it are deleted, with their phase 2s.
    Reload(Box<Settings>),
    /// Shutdown: the outputs send DELETEs and remove SAs and generated policies. The engine is empty afterwards.
    Shutdown,
    /// Begins phase 1 with a peer (`establish-sa isakmp`). An unspecified source (0.0.0.0, ::) stands for our first address.
    EstablishPhase1 {
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
        /// Name of the remote section; `None` selects the best match.
        remote_section: Option<String>,
    },
    /// Begins phase 2 for the policy with this selector (`establish-sa esp` and `ah`).
    EstablishPhase2(Direction, Selector),
    /// Deletes each phase 1 with a peer, and the SAs under it (`delete-sa`).
    DeletePeer {
        /// Our address; an unspecified one stands for all.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
    },
    /// Deletes every phase 1, and the SAs under it (`flush-sa isakmp`).
    FlushPhase1,
    /// Deletes every SA of a protocol, or of all protocols (`flush-sa esp`, `ah`, `ipsec`).
    FlushPhase2(Option<Protocol>),
    /// Times of the last packets to and from a peer, for `dpd_mode traffic`.
    Traffic {
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
        /// The times.
        traffic: LastTraffic,
    },
}

/// Why a control request was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It exists already.
    #[error("already established")]
    Exists,
    /// No remote section matches the peer, or no policy has the selector.
    #[error("no configuration for it: {0}")]
    NotConfigured(String),
    /// It was begun and failed at once.
    #[error("{0}")]
    Failed(FailureReason),
    /// The daemon is shutting down.
    #[error("the daemon is stopping")]
    Stopping,
    /// There is nothing to delete.
    #[error("no such SA")]
    Missing,
}

impl Engine {
    /// Carries out a request.
    pub(super) fn control(&mut self, control: Control) -> Result<(), Refusal> {
        if self.core.stopping {
            return Err(Refusal::Stopping);
        }
        match control {
            Control::Addresses(addresses) => {
                self.core.locals = addresses;
                self.core.warn_of_foreign_endpoints();
            }
            Control::HostAddresses(addresses) => self.core.host_addresses = addresses,
            Control::LeftoverSas(sas) => self.adopt(&sas),
            Control::Reload(settings) => self.reload(*settings),
            Control::Shutdown => self.shut_down(),
            Control::EstablishPhase1 { local, remote, remote_section } => {
                return self.phase1s.establish_with(&mut self.core, local, remote, remote_section.as_deref());
            }
            Control::EstablishPhase2(direction, selector) => return self.establish_phase2(direction, selector),
            Control::DeletePeer { local, remote } => return self.delete_peer(local, remote),
            Control::FlushPhase1 => self.flush_phase1(),
            Control::FlushPhase2(protocol) => self.flush_phase2(protocol),
            Control::Traffic { local, remote, traffic } => self.phase1s.note_traffic(local, remote, traffic),
        }
        Ok(())
    }

    fn delete_peer(&mut self, local: IpAddr, remote: IpAddr) -> Result<(), Refusal> {
        let is_peer = |path: Path| path.remote.ip() == remote && (local.is_unspecified() || path.local.ip() == local);
        // The peer loses all that it has with us, so the next phase 1 is a first contact again.
        self.phase1s.contacted.remove(&remote);
        let with_peer = self.phase1s.iter().filter(|(_, phase1)| is_peer(phase1.path()));
        // Negotiations end first, so that none of them takes over the phase 2s of the others.
        let (established, negotiated): (Vec<_>, Vec<_>) = with_peer.partition(|(_, phase1)| phase1.sa().is_some());
        let [established, negotiated] =
            [established, negotiated].map(|ids| ids.into_iter().map(|(id, _)| id).collect::<Vec<_>>());
        // Phase 2s outlive their phase 1.
        let of_phase2s = self.phase2s.iter().map(|(_, one)| one.path);
        let orphans: BTreeSet<_> = of_phase2s.filter(|path| is_peer(*path)).collect();
        if established.is_empty() && negotiated.is_empty() && orphans.is_empty() {
            return Err(Refusal::Missing);
        }
        negotiated.into_iter().for_each(|id| self.abandon(id, &NoPhase1::Deleted));
        established.into_iter().for_each(|id| self.purge_phase1(id, true));
        orphans.into_iter().for_each(|path| self.purge_peer(path, None, true));
        Ok(())
    }

    fn flush_phase1(&mut self) {
        for id in self.phase1s.ids() {
            if self.phase1s.sa(id).is_some() {
                self.purge_phase1(id, true);
            } else {
                self.abandon(id, &NoPhase1::Flushed);
            }
        }
    }

    /// Abandons a negotiation, and fails the phase 2s that wait for it.
    fn abandon(&mut self, id: Phase1Id, why: &NoPhase1) {
        let waiting = self.phase1s.abandon(&mut self.core, id, NegotiationResult::Abandoned);
        self.fail_waiting(waiting, why);
    }

    /// Shuts down. Phase 2s end first, because their DELETEs are sent under phase 1.
    fn shut_down(&mut self) {
        self.phase2_shutdown();
        self.leftovers.delete_all(&mut self.core, &mut self.phase1s);
        self.core.stopping = true;
        for id in self.phase1s.ids() {
            if self.phase1s.sa(id).is_some() {
                self.drop_phase1(id, true);
            } else {
                self.phase1s.abandon(&mut self.core, id, NegotiationResult::Abandoned);
            }
        }
        // Without timers and requests nothing happens after it: the shell drains the outputs and exits.
        self.core.timers = Default::default();
        self.core.jobs = Default::default();
        self.core.requests.clear();
    }

    /// Applies a new configuration. Each phase 1 gets the remote section that matches its peer now; one without is removed.
    fn reload(&mut self, settings: Settings) {
        self.core.journal.set_limit(settings.journal);
        self.core.codec = MessageCodec::new(&settings);
        let before = mem::replace(&mut self.core.settings, settings);
        for id in self.phase1s.ids() {
            if self.phase1s.rebind(&mut self.core, id, &before) {
                continue;
            }
            if let Some(remote) = self.phase1s.get(id).filter(|phase1| phase1.sa().is_some()).map(Phase1::remote) {
                self.core.log(Level::Notify, Some(remote), || "no remote section matches this peer any longer".into());
                self.purge_phase1(id, true);
            } else {
                self.abandon(id, &NoPhase1::NotConfigured);
            }
        }
        self.phase2_reload();
    }
}

impl Phase1s {
    /// Begins phase 1 with a peer on request.
    ///
    /// # Errors
    /// If it is not configured, exists, or has failed at once.
    fn establish_with(
        &mut self,
        core: &mut Core,
        local: IpAddr,
        remote: IpAddr,
        name: Option<&str>,
    ) -> Result<(), Refusal> {
        let remote_section = core.requested_section(remote, name)?;
        let local = core.local_endpoint(local, remote).ok_or_else(|| {
            Refusal::NotConfigured(format!("{local} is not a local address, or cannot reach {remote}"))
        })?;
        let port = core.settings.remotes.get(remote_section).map_or(0, |section| section.port);
        let remote = SocketAddr::new(remote, if port == 0 { core.settings.port } else { port });
        let path = Path::new(local, remote);
        if self.usable(path).is_some() {
            return Err(Refusal::Exists);
        }
        if self.initiation(path).is_none() {
            self.begin(core, path, remote_section, None).map_err(Refusal::Failed)?;
        }
        Ok(())
    }

    /// Gives a phase 1 its remote section in the new configuration. Returns false if there is none. Timers read the section when
    /// they expire; only probing has to be started.
    fn rebind(&mut self, core: &mut Core, id: Phase1Id, before: &Settings) -> bool {
        // One that was removed before it in this reload has taken it along.
        let Some(phase1) = self.get_mut(id) else { return true };
        let Some(remote_section) = phase1.section_after_reload(&core.settings, before) else { return false };
        let dpd_of =
            |settings: &Settings, remote_section| settings.remotes.get(remote_section).and_then(|section| section.dpd);
        let old = dpd_of(before, phase1.remote_section);
        phase1.set_section(remote_section);
        if dpd_of(&core.settings, remote_section) != old {
            phase1.start_dpd(core);
        }
        true
    }
}

impl Phase1 {
    /// Returns its remote section in the new configuration: the one that its peer would match now. For a negotiation, in which the
    /// peer's identity is not known yet, it is the section of the same name.
    fn section_after_reload(&self, now: &Settings, before: &Settings) -> Option<RemoteIndex> {
        let remotes = &now.remotes;
        let name = before.remotes.get(self.remote_section).map(|section| section.name.as_str());
        let same_name = name.and_then(|name| remotes.named(name));
        let Some(established) = self.established() else { return same_name };
        let sa = &established.sa;
        let known = RemoteQuery {
            port: self.remote().port(),
            exchange: Some(sa.exchange),
            key_of_address: true,
            accepted: Some(&sa.terms),
            claimed: Some(sa.peer.claimed()),
            ..RemoteQuery::address(self.remote())
        };
        // An ambiguous match keeps the section that the operator knows the peer by.
        match remotes.select(&known) {
            Ok(remote_section) => remote_section,
            Err(Ambiguous(remote_sections)) => {
                same_name.filter(|same| remote_sections.contains(same)).or_else(|| remote_sections.into_iter().min())
            }
        }
    }
}

impl Core {
    /// Selects the remote section by which we begin a negotiation with a peer.
    ///
    /// # Errors
    /// If there is none, or more than one.
    fn requested_section(&self, remote: IpAddr, name: Option<&str>) -> Result<RemoteIndex, Refusal> {
        let remotes = &self.settings.remotes;
        if let Some(name) = name {
            let named = remotes.named(name);
            return named.ok_or_else(|| Refusal::NotConfigured(format!("no remote section is called {name}")));
        }
        match remotes.select(&RemoteQuery::address(remote)) {
            Ok(Some(remote_section)) => Ok(remote_section),
            Ok(None) => Err(Refusal::NotConfigured(format!("no remote section matches {remote}"))),
            Err(ambiguous) => Err(Refusal::NotConfigured(format!("{remote}: {ambiguous}"))),
        }
    }

    /// Returns our socket address for `local`, or if that is unspecified the first of the peer's family.
    fn local_endpoint(&self, local: IpAddr, remote: IpAddr) -> Option<SocketAddr> {
        let fits = |ours: &&SocketAddr| {
            let any = local.is_unspecified() && ours.is_ipv4() == remote.is_ipv4();
            any || ours.ip() == local
        };
        self.locals.iter().find(fits).copied()
    }
}
