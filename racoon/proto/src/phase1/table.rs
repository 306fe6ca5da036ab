//! The table of phase 1s, and its keys.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::conversation::Conversation;
use crate::engine::core::Core;
use crate::engine::{Phase1Id, Phase2Id};
use crate::informational::dpd::{DpdState, LastTraffic};
use crate::num::ExchangeType;
use crate::path::Path;
use crate::phase1::exchange::{Context, Exchange, Transition};
use crate::phase1::half_open::{HalfOpen, PeerClass};
use crate::phase1::readiness::Readiness;
use crate::phase1::replacement::Replacement;
use crate::phase1::{MESSAGE_IDS_RENEWED_AFTER, Phase1Sa};
use crate::reason::{Role, Unanswered};
use crate::select::RemoteIndex;
use crate::settings::Settings;
use crate::time::Time;
use crate::wire::{Cookie, CookiePair};

/// A phase 1, established or being negotiated.
pub(crate) struct Phase1 {
    pub(crate) cookies: CookiePair,
    /// Changed by [`Phase1s::move_to`] only, as the tables are keyed by it.
    path: Path,
    pub(crate) role: Role,
    /// The half-open limit that it counts against until it is established.
    pub(crate) peer_class: PeerClass,
    pub(crate) exchange: ExchangeType,
    /// The remote section. A responder's is a guess until the peer's identity is known.
    pub(crate) block: RemoteIndex,
    pub(crate) conversation: Conversation,
    /// Phase 2s that wait for it. [`Phase1s::wait`] adds to them.
    pub(crate) waiting: Vec<Phase2Id>,
    /// The phase 1 that it renews.
    pub(crate) renews: Option<Phase1Id>,
    pub(crate) stage: Stage,
}

/// The stage of a phase 1.
pub(crate) enum Stage {
    /// Being negotiated.
    Negotiating(Box<Exchange>),
    /// The negotiation is over. It is about to be established or removed.
    Over,
    /// Established.
    Established(Box<EstablishedPhase1>),
}

/// An established phase 1.
pub(crate) struct EstablishedPhase1 {
    pub(crate) sa: Phase1Sa,
    /// Time of establishment.
    pub(crate) since: Time,
    /// Time of expiry.
    pub(crate) expires: Time,
    /// Whether either side has begun a phase 2 under it.
    pub(crate) negotiated: bool,
    /// Whether it is due for renewal.
    pub(crate) dying: bool,
    /// Whether it is due because many message ids were used.
    pub(crate) worn: bool,
    /// Time of the last authenticated message under it.
    pub(crate) heard: Time,
    pub(crate) dpd: DpdState,
    pub(crate) replacement: Replacement,
    pub(crate) readiness: Readiness,
}

/// Number of further message ids for which a responder leaves the renewal to its peer.
const MESSAGE_IDS_FOR_PEER: usize = 1024;

impl EstablishedPhase1 {
    /// Whether the side with this role renews it because many message ids were used.
    pub(crate) fn is_worn(&self, role: Role) -> bool {
        let more = if role == Role::Responder { MESSAGE_IDS_FOR_PEER } else { 0 };
        self.sa.used.count() >= MESSAGE_IDS_RENEWED_AFTER + more
    }
}

impl Phase1 {
    /// Creates a phase 1 whose negotiation begins now.
    pub(crate) fn new(
        (role, exchange): (Role, ExchangeType),
        cookies: CookiePair,
        path: Path,
        (block, peer_class): (RemoteIndex, PeerClass),
        conversation: Conversation,
    ) -> Self {
        Self {
            cookies,
            path,
            role,
            peer_class,
            exchange,
            block,
            conversation,
            waiting: Vec::new(),
            renews: None,
            stage: Stage::Over,
        }
    }

    /// Performs a step of the exchange and logs what it notes. Returns `None` if the negotiation is over.
    ///
    /// The caller puts the exchange back if it continues.
    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        first_contact: bool,
        step: impl FnOnce(Exchange, &mut Context<'_>) -> Transition,
    ) -> Option<Transition> {
        if !matches!(self.stage, Stage::Negotiating(_)) {
            return None;
        }
        let Stage::Negotiating(exchange) = mem::replace(&mut self.stage, Stage::Over) else {
            return None;
        };
        let mut context = Context::new(core, self, first_contact);
        let transition = step(*exchange, &mut context);
        let notes = context.notes;
        core.log_notes(self.path.remote, notes);
        Some(transition)
    }

    /// Completes the record of a negotiation that has not got beyond message 1.
    pub(crate) fn describe_offer(&mut self, settings: &Settings) {
        if let Stage::Negotiating(exchange) = &self.stage {
            exchange.describe_offer(settings, self.path.remote, &mut self.conversation.record);
        }
    }

    /// Returns our last message, which the peer has not answered; `None` while a job for the next one runs.
    pub(crate) fn unanswered(&self) -> Option<Unanswered> {
        let message = self.negotiation()?.last_sent()?;
        Some(self.conversation.unanswered(self.exchange, self.role, message))
    }

    /// Answers the accepted message. An initiator retransmits its answer until it is answered in turn. A responder repeats it only
    /// when the peer repeats its message, so that nobody can make it flood a victim.
    pub(crate) fn answer(&mut self, core: &mut Core, message: Vec<u8>) {
        self.conversation.answer(Some(message.clone()));
        match self.role {
            Role::Initiator => self.conversation.send(core, self.path, message),
            Role::Responder => {
                self.reply(core, message);
                // An exchange that retransmits nothing lasts no longer than one that does.
                self.conversation.set_deadline(core, |settings| settings.retransmission.whole());
            }
        }
    }

    /// Sends an answer, for the first time or again. As long as the address may be forged, one copy is sent.
    pub(crate) fn reply(&self, core: &mut Core, message: Vec<u8>) {
        if self.negotiation().is_some_and(Exchange::is_from_unproved_address) {
            core.transmit_once(self.path, message);
        } else {
            core.transmit(self.path, &message);
        }
    }

    /// Ends the exchange with its last message, if that is ours. The peer does not answer it.
    pub(crate) fn finish_exchange(&mut self, core: &mut Core, last_message: Option<Vec<u8>>) {
        if let Some(message) = &last_message {
            core.transmit(self.path, message);
        }
        self.conversation.answer(last_message);
        self.conversation.stop_retransmission(core);
        self.conversation.stop_deadline(core);
    }

    /// The path of its messages.
    pub(crate) fn path(&self) -> Path {
        self.path
    }

    /// The peer's address and port.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.path.remote
    }

    /// Returns the exchange, while it is being negotiated.
    pub(crate) fn negotiation(&self) -> Option<&Exchange> {
        match &self.stage {
            Stage::Negotiating(exchange) => Some(exchange),
            Stage::Over | Stage::Established(_) => None,
        }
    }

    /// Whether it is being negotiated, and neither side can encrypt yet.
    pub(crate) fn is_early(&self) -> bool {
        self.negotiation().is_some_and(|exchange| !exchange.is_encrypted())
    }

    /// Returns its state as an established phase 1.
    pub(crate) fn established(&self) -> Option<&EstablishedPhase1> {
        match &self.stage {
            Stage::Established(established) => Some(established),
            Stage::Negotiating(_) | Stage::Over => None,
        }
    }

    /// Mutable counterpart of [`Phase1::established`].
    pub(crate) fn established_mut(&mut self) -> Option<&mut EstablishedPhase1> {
        match &mut self.stage {
            Stage::Established(established) => Some(established),
            Stage::Negotiating(_) | Stage::Over => None,
        }
    }

    fn is_half_open(&self) -> bool {
        self.role == Role::Responder && self.established().is_none()
    }

    fn is_attempt(&self) -> bool {
        self.role == Role::Initiator && self.peer_class == PeerClass::Unknown && self.established().is_none()
    }

    fn first_key(&self) -> FirstKey {
        (self.cookies.initiator, self.path)
    }

    fn pair(&self) -> (IpAddr, IpAddr) {
        self.path.addresses()
    }
}

/// Key of a phase 1 whose responder cookie is not known.
type FirstKey = (Cookie, Path);

/// The table of phase 1s.
#[derive(Default)]
pub(crate) struct Phase1s {
    all: BTreeMap<Phase1Id, Phase1>,
    by_cookies: HashMap<CookiePair, Phase1Id>,
    by_first: HashMap<FirstKey, Phase1Id>,
    /// Established ones and those that we began. Those that peers began are added when they are established: before, anybody
    /// could add any number of them with a forged address.
    by_pair: HashMap<(IpAddr, IpAddr), BTreeSet<Phase1Id>>,
    /// Number of established phase 1s with each address.
    peers: HashMap<IpAddr, usize>,
    /// The phase 1 for which a phase 2 waits.
    waits: HashMap<Phase2Id, Phase1Id>,
    /// Those that peers began and that are not established.
    pub(crate) half_open: HalfOpen,
    /// Number of unestablished ones that we began with unknown peers.
    attempts: usize,
    /// Addresses to which INITIAL-CONTACT was sent.
    pub(crate) contacted: HashSet<IpAddr>,
    /// Times of the last packets between two addresses, by the kernel's counters.
    pub(crate) traffic: HashMap<(IpAddr, IpAddr), LastTraffic>,
}

impl Phase1s {
    /// Adds a phase 1 that is being negotiated.
    pub(crate) fn insert(&mut self, id: Phase1Id, phase1: Phase1) {
        if !phase1.cookies.responder.is_zero() {
            self.by_cookies.insert(phase1.cookies, id);
        }
        self.by_first.insert(phase1.first_key(), id);
        if phase1.is_half_open() {
            self.half_open.add(id, phase1.peer_class);
        } else {
            self.by_pair.entry(phase1.pair()).or_default().insert(id);
        }
        self.attempts += usize::from(phase1.is_attempt());
        self.all.insert(id, phase1);
    }

    /// Removes a phase 1.
    pub(crate) fn remove(&mut self, id: Phase1Id) -> Option<Phase1> {
        let phase1 = self.all.remove(&id)?;
        self.by_cookies.remove(&phase1.cookies);
        self.forget_first(id, &phase1.first_key());
        if let Some(ids) = self.by_pair.get_mut(&phase1.pair()) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_pair.remove(&phase1.pair());
            }
        }
        if phase1.is_half_open() {
            self.half_open.remove(id, phase1.peer_class, phase1.path.remote.ip());
        }
        self.attempts -= usize::from(phase1.is_attempt());
        if phase1.established().is_some() {
            self.forget_peer(phase1.path.remote.ip());
        }
        for phase2 in &phase1.waiting {
            self.waits.remove(phase2);
        }
        Some(phase1)
    }

    /// Records that a phase 2 begins under it.
    pub(crate) fn negotiates(&mut self, id: Phase1Id) {
        if let Some(established) = self.all.get_mut(&id).and_then(Phase1::established_mut) {
            established.negotiated = true;
        }
    }

    /// Lets a phase 2 wait for it.
    pub(crate) fn wait(&mut self, id: Phase1Id, phase2: Phase2Id) {
        self.cancel_wait(phase2);
        if let Some(phase1) = self.all.get_mut(&id) {
            phase1.waiting.push(phase2);
            self.waits.insert(phase2, id);
        }
    }

    /// Ends the wait of a phase 2.
    pub(crate) fn cancel_wait(&mut self, phase2: Phase2Id) {
        if let Some(phase1) = self.waits.remove(&phase2).and_then(|id| self.all.get_mut(&id)) {
            phase1.waiting.retain(|waiting| *waiting != phase2);
        }
    }

    /// Takes the phase 2s that wait for it.
    pub(crate) fn take_waiting(&mut self, id: Phase1Id) -> Vec<Phase2Id> {
        let waiting = self.all.get_mut(&id).map(|phase1| mem::take(&mut phase1.waiting)).unwrap_or_default();
        for phase2 in &waiting {
            self.waits.remove(phase2);
        }
        waiting
    }

    /// Sets the responder's cookie.
    pub(crate) fn learn_responder(&mut self, id: Phase1Id, responder: Cookie) {
        if let Some(phase1) = self.all.get_mut(&id) {
            self.by_cookies.remove(&phase1.cookies);
            phase1.cookies.responder = responder;
            if !responder.is_zero() {
                self.by_cookies.insert(phase1.cookies, id);
            }
        }
    }

    /// Makes it an established phase 1.
    pub(crate) fn establish(&mut self, id: Phase1Id, established: EstablishedPhase1) {
        if let Some(phase1) = self.all.get_mut(&id) {
            if phase1.is_half_open() {
                self.half_open.remove(id, phase1.peer_class, phase1.path.remote.ip());
                self.by_pair.entry(phase1.pair()).or_default().insert(id);
            }
            self.attempts -= usize::from(phase1.is_attempt());
            if phase1.established().is_none() {
                *self.peers.entry(phase1.path.remote.ip()).or_default() += 1;
            }
            phase1.block = established.sa.block;
            phase1.stage = Stage::Established(Box::new(established));
        }
    }

    /// Records that the peer has returned our cookie. Returns its address the first time.
    pub(crate) fn prove_address(&mut self, id: Phase1Id) -> Option<SocketAddr> {
        let phase1 = self.all.get(&id).filter(|phase1| phase1.is_half_open())?;
        self.half_open.prove(id, phase1.peer_class, phase1.path.remote.ip()).then_some(phase1.path.remote)
    }

    /// Changes the path of an established phase 1, and the keys that contain it.
    pub(crate) fn move_to(&mut self, id: Phase1Id, path: Path) {
        let Some(phase1) = self.all.get_mut(&id).filter(|phase1| phase1.established().is_some()) else { return };
        let old = (phase1.first_key(), phase1.pair());
        phase1.path = path;
        let new = (phase1.first_key(), phase1.pair());
        self.forget_first(id, &old.0);
        self.by_first.entry(new.0).or_insert(id);
        if let Some(ids) = self.by_pair.get_mut(&old.1) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_pair.remove(&old.1);
            }
        }
        self.by_pair.entry(new.1).or_default().insert(id);
        self.forget_peer(old.1.1);
        *self.peers.entry(new.1.1).or_default() += 1;
    }

    /// Removes the first-message key of a phase 1, unless another one has taken it.
    fn forget_first(&mut self, id: Phase1Id, key: &FirstKey) {
        if self.by_first.get(key) == Some(&id) {
            self.by_first.remove(key);
        }
    }

    /// Counts one established phase 1 with a peer's address less.
    fn forget_peer(&mut self, address: IpAddr) {
        if let Some(count) = self.peers.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&address);
            }
        }
    }

    /// Sets its remote section, after a reload.
    pub(crate) fn set_block(&mut self, id: Phase1Id, block: RemoteIndex) {
        if let Some(phase1) = self.all.get_mut(&id) {
            phase1.block = block;
            if let Some(established) = phase1.established_mut() {
                established.sa.block = block;
            }
        }
    }

    /// Returns the number of unestablished phase 1s that we began with unknown peers.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts
    }

    pub(crate) fn get(&self, id: Phase1Id) -> Option<&Phase1> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: Phase1Id) -> Option<&mut Phase1> {
        self.all.get_mut(&id)
    }

    /// Returns all of them, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Phase1Id, &Phase1)> {
        self.all.iter().map(|(id, phase1)| (*id, phase1))
    }

    /// Finds a phase 1 by both cookies.
    pub(crate) fn find(&self, cookies: CookiePair) -> Option<Phase1Id> {
        self.by_cookies.get(&cookies).copied()
    }

    /// Finds a phase 1 by its first message.
    pub(crate) fn find_first(&self, cookie: Cookie, path: Path) -> Option<Phase1Id> {
        self.by_first.get(&(cookie, path)).copied()
    }

    /// Returns those between two addresses that are established or that we began, the oldest first.
    pub(crate) fn between(&self, addresses: (IpAddr, IpAddr)) -> Vec<Phase1Id> {
        self.by_pair.get(&addresses).into_iter().flatten().copied().collect()
    }

    /// Returns the established one to use between the addresses of a path: preferably not dying, with the peer's port, and the
    /// newest. `except` is no candidate.
    pub(crate) fn newest(&self, path: Path, except: Option<Phase1Id>) -> Option<Phase1Id> {
        self.newest_of(path, |id, _| Some(id) != except)
    }

    /// Returns the phase 1 under which a quick mode begins.
    pub(crate) fn newest_usable(&self, path: Path) -> Option<Phase1Id> {
        self.newest_of(path, |_, phase1| phase1.is_usable())
    }

    fn newest_of(&self, path: Path, is_candidate: impl Fn(Phase1Id, &Phase1) -> bool) -> Option<Phase1Id> {
        let ids = self.by_pair.get(&path.addresses()).into_iter().flatten().copied();
        let candidates = ids.filter_map(|id| {
            let phase1 = self.all.get(&id).filter(|phase1| is_candidate(id, phase1))?;
            let established = phase1.established()?;
            Some((!established.dying, phase1.path.remote.port() == path.remote.port(), established.since, id))
        });
        candidates.max().map(|(.., id)| id)
    }

    /// Whether a phase 1 with this address is established.
    pub(crate) fn is_peer(&self, address: IpAddr) -> bool {
        self.peers.contains_key(&address)
    }

    /// Whether all tables are empty.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let keys = [
            self.all.len(),
            self.by_cookies.len(),
            self.by_first.len(),
            self.by_pair.len(),
            self.waits.len(),
            self.peers.len(),
        ];
        keys.iter().all(|count| *count == 0) && self.half_open.counts() == (0, 0) && self.attempts == 0
    }
}
