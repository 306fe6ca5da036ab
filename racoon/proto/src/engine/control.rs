//! What the operator, and the shell for itself, ask of the engine.

use std::collections::BTreeSet;
use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::engine::{Engine, Phase1Id};
use crate::informational::dpd::LastTraffic;
use crate::kernel::{Direction, LeftoverSa, Selector};
use crate::message::codec::MessageCodec;
use crate::num::Protocol;
use crate::output::Level;
use crate::path::Path;
use crate::reason::{FailureReason, NegotiationResult, NoPhase1};
use crate::select::{Ambiguous, RemoteIndex, RemoteQuery};
use crate::settings::Settings;

/// A request from outside the protocol.
#[derive(Debug)]
pub enum Control {
    /// Our addresses from now on, each with a port without UDP encapsulation. Nothing is begun from another address.
    Addresses(BTreeSet<SocketAddr>),
    /// These are all addresses of this host, whether anything is begun from them or not: no peer may have them.
    HostAddresses(BTreeSet<IpAddr>),
    /// SAs that an earlier run negotiated. Say first what addresses and policies there are.
    LeftoverSas(Vec<LeftoverSa>),
    /// Another configuration. What lives by a block that is no more is deleted, with all that came of it.
    Reload(Box<Settings>),
    /// The end: deletes are sent, SAs and generated policies go. What is to be done is in the outputs; then the engine is empty.
    Shutdown,
    /// Begin phase 1 with a peer: `establish-sa isakmp`. A source that is not specified (0.0.0.0, ::) is the first address of ours.
    EstablishPhase1 {
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
        /// Name of the remote block; none: the one that fits best.
        block: Option<String>,
    },
    /// Begin phase 2 for the policy with this selector: `establish-sa esp` and `ah`.
    EstablishPhase2(Direction, Selector),
    /// Delete phase 1 with a peer and all that came of it: `delete-sa`.
    DeletePeer {
        /// Our address; not specified: any.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
    },
    /// Delete every phase 1 and all that came of them: `flush-sa isakmp`.
    FlushPhase1,
    /// Delete every SA of a protocol, or of all: `flush-sa esp`, `ah`, `ipsec`.
    FlushPhase2(Option<Protocol>),
    /// When packets went to a peer and came from it: what `dpd_mode traffic` probes by.
    Traffic {
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
        /// When.
        traffic: LastTraffic,
    },
}

/// Why a control request was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is there already.
    #[error("already established")]
    Exists,
    /// No remote block for the peer, or no policy with the selector.
    #[error("no configuration for it: {0}")]
    NotConfigured(String),
    /// It was begun, and came to its end at once.
    #[error("{0}")]
    Failed(FailureReason),
    /// It is over: nothing is begun any more.
    #[error("the daemon is stopping")]
    Stopping,
    /// There is nothing of the kind.
    #[error("no such SA")]
    Missing,
}

impl Engine {
    pub(crate) fn control(&mut self, control: Control) -> Result<(), Refusal> {
        if self.core.stopping {
            return Err(Refusal::Stopping);
        }
        match control {
            Control::Addresses(addresses) => {
                self.core.locals = addresses;
                self.warn_of_foreign_ends();
            }
            Control::HostAddresses(addresses) => self.core.host_addresses = addresses,
            Control::LeftoverSas(sas) => self.adopt(&sas),
            Control::Reload(settings) => self.reload(*settings),
            Control::Shutdown => self.shut_down(),
            Control::EstablishPhase1 { local, remote, block } => {
                return self.establish_phase1(local, remote, block.as_deref());
            }
            Control::EstablishPhase2(direction, selector) => return self.establish_phase2(direction, selector),
            Control::DeletePeer { local, remote } => return self.delete_peer(local, remote),
            Control::FlushPhase1 => self.flush_phase1(),
            Control::FlushPhase2(protocol) => self.flush_phase2(protocol),
            Control::Traffic { local, remote, traffic } => self.note_traffic(local, remote, traffic),
        }
        Ok(())
    }

    /// The remote block by which we begin something with a peer.
    ///
    /// # Errors
    /// There is none, or more than one.
    fn block_for(&self, remote: IpAddr, name: Option<&str>) -> Result<RemoteIndex, Refusal> {
        let remotes = &self.core.settings.remotes;
        if let Some(name) = name {
            let named = remotes.named(name);
            return named.ok_or_else(|| Refusal::NotConfigured(format!("no remote block is called {name}")));
        }
        match remotes.select(&RemoteQuery::address(remote)) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(Refusal::NotConfigured(format!("no remote block is for {remote}"))),
            Err(ambiguous) => Err(Refusal::NotConfigured(format!("{remote}: {ambiguous}"))),
        }
    }

    fn establish_phase1(&mut self, local: IpAddr, remote: IpAddr, name: Option<&str>) -> Result<(), Refusal> {
        let block = self.block_for(remote, name)?;
        let local = self.local_endpoint(local, remote).ok_or_else(|| {
            Refusal::NotConfigured(format!("no address of ours is {local}, or none can reach {remote}"))
        })?;
        let port = self.core.settings.remotes.get(block).map_or(0, |block| block.port);
        let remote = SocketAddr::new(remote, if port == 0 { self.core.settings.port } else { port });
        let path = Path::new(local, remote);
        if self.phase1s.usable(path).is_some() {
            return Err(Refusal::Exists);
        }
        if self.phase1s.initiation(path).is_none() {
            return self.begin_phase1(path, block, None, Vec::new()).map_err(Refusal::Failed);
        }
        Ok(())
    }

    /// An address of ours: the given one, or if it is not specified the first of the peer's family.
    fn local_endpoint(&self, local: IpAddr, remote: IpAddr) -> Option<SocketAddr> {
        let fits = |ours: &&SocketAddr| {
            let any = local.is_unspecified() && ours.is_ipv4() == remote.is_ipv4();
            any || ours.ip() == local
        };
        self.core.locals.iter().find(fits).copied()
    }

    fn delete_peer(&mut self, local: IpAddr, remote: IpAddr) -> Result<(), Refusal> {
        let is_peer = |path: Path| path.remote.ip() == remote && (local.is_unspecified() || path.local.ip() == local);
        self.contacted.remove(&remote);
        let phase1s = self.phase1s.iter();
        let ids: Vec<_> = phase1s.filter(|(_, one)| is_peer(one.path())).map(|(id, _)| id).collect();
        // Phase 2s live on when their phase 1 has come to its end.
        let of_phase2s = self.phase2s.iter().map(|(_, one)| one.path);
        let orphans: BTreeSet<_> = of_phase2s.filter(|path| is_peer(*path)).collect();
        if ids.is_empty() && orphans.is_empty() {
            return Err(Refusal::Missing);
        }
        // Those on their way first: none of them is to take over what the others leave.
        let (established, going_on): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| self.phase1s.sa(*id).is_some());
        going_on.into_iter().for_each(|id| self.abandon(id, NoPhase1::Deleted));
        established.into_iter().for_each(|id| self.purge_phase1(id, true));
        orphans.into_iter().for_each(|path| self.purge_peer(path, None, true));
        Ok(())
    }

    fn flush_phase1(&mut self) {
        let ids: Vec<_> = self.phase1s.iter().map(|(id, _)| id).collect();
        for id in ids {
            if self.phase1s.sa(id).is_some() {
                self.purge_phase1(id, true);
            } else {
                self.abandon(id, NoPhase1::Flushed);
            }
        }
    }

    /// A negotiation that nobody needs any more, and those that wait for it.
    fn abandon(&mut self, id: Phase1Id, why: NoPhase1) {
        let waiting = self.abandon_phase1(id, NegotiationResult::Abandoned);
        if !waiting.is_empty() {
            self.phase1_failed(waiting, &why);
        }
    }

    /// The end. Phase 2s go first: their deletes are sent under phase 1.
    fn shut_down(&mut self) {
        self.phase2_shutdown();
        self.delete_all_leftovers();
        self.core.stopping = true;
        let ids: Vec<_> = self.phase1s.iter().map(|(id, _)| id).collect();
        for id in ids {
            if self.phase1s.sa(id).is_some() {
                self.phase1s.send_delete_of(&mut self.core, id);
                self.drop_phase1(id);
            } else {
                self.abandon_phase1(id, NegotiationResult::Abandoned);
            }
        }
        self.core.timers = Default::default();
        self.core.jobs = Default::default();
        self.core.requests.clear();
    }

    /// Another configuration. Each phase 1 gets the block that is now for its peer; one that has none goes.
    fn reload(&mut self, settings: Settings) {
        self.core.journal.set_limit(settings.journal);
        self.core.codec = MessageCodec::new(&settings);
        let before = mem::replace(&mut self.core.settings, settings);
        let ids: Vec<_> = self.phase1s.iter().map(|(id, _)| id).collect();
        for id in ids {
            match self.block_after_reload(id, &before) {
                Some(block) => self.rebind(id, block, &before),
                None if self.phase1s.sa(id).is_some() => {
                    let remote = self.phase1s.get(id).map(|phase1| phase1.remote());
                    self.core.log(Level::Notify, remote, || "no remote section matches this peer any longer".into());
                    self.purge_phase1(id, true);
                }
                None => self.abandon(id, NoPhase1::NotConfigured),
            }
        }
        self.phase2_reload();
    }

    /// A phase 1 has another block now. What is asked at due times counts from then on by itself; only probes have to be begun.
    fn rebind(&mut self, id: Phase1Id, block: RemoteIndex, before: &Settings) {
        let dpd_of = |settings: &Settings, block| settings.remotes.get(block).and_then(|block| block.dpd);
        let old = self.phase1s.get(id).and_then(|phase1| dpd_of(before, phase1.block));
        self.phase1s.set_block(id, block);
        if dpd_of(&self.core.settings, block) != old {
            self.phase1s.start_dpd(&mut self.core, id);
        }
    }

    /// The block of a phase 1 in the new configuration: as if its peer came now; and for one on its way, where the peer is
    /// not known yet, the block of the same name.
    fn block_after_reload(&self, id: Phase1Id, before: &Settings) -> Option<RemoteIndex> {
        let phase1 = self.phase1s.get(id)?;
        let remotes = &self.core.settings.remotes;
        let name = before.remotes.get(phase1.block).map(|block| block.name.as_str());
        let same_name = name.and_then(|name| remotes.named(name));
        let Some(established) = phase1.established() else { return same_name };
        let sa = &established.sa;
        let known = RemoteQuery {
            port: phase1.remote().port(),
            exchange: Some(sa.exchange),
            key_of_address: true,
            accepted: Some(&sa.terms),
            claimed: Some(sa.peer.claimed()),
            ..RemoteQuery::address(phase1.remote())
        };
        match remotes.select(&known) {
            Ok(block) => block,
            Err(Ambiguous(blocks)) => {
                same_name.filter(|same| blocks.contains(same)).or_else(|| blocks.into_iter().min())
            }
        }
    }
}
