//! All phase 1s, and the keys by which they are found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::conversation::Conversation;
use crate::engine::core::Core;
use crate::engine::{Phase1Id, Phase2Id};
use crate::informational::dpd::DpdState;
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

/// A phase 1, established or on its way.
pub(crate) struct Phase1 {
    pub(crate) cookies: CookiePair,
    /// Changed by [`Phase1s::move_to`] only, as the tables are keyed by it.
    path: Path,
    pub(crate) role: Role,
    /// Whose room it takes up as long as it is not established.
    pub(crate) peer_class: PeerClass,
    pub(crate) exchange: ExchangeType,
    /// A responder's is a guess as long as it is on its way.
    pub(crate) block: RemoteIndex,
    pub(crate) conversation: Conversation,
    /// Phase 2s that begin when it is established. [`Phase1s::wait`] adds to them.
    pub(crate) waiting: Vec<Phase2Id>,
    /// The one that it is to take the place of.
    pub(crate) renews: Option<Phase1Id>,
    pub(crate) stage: Stage,
}

/// How far a phase 1 is.
pub(crate) enum Stage {
    /// On its way.
    Negotiating(Box<Exchange>),
    /// The negotiation is over. It is about to be established or removed.
    Over,
    /// Established.
    Established(Box<EstablishedPhase1>),
}

/// An established phase 1.
pub(crate) struct EstablishedPhase1 {
    pub(crate) sa: Phase1Sa,
    /// Since when.
    pub(crate) since: Time,
    /// When it ends.
    pub(crate) expires: Time,
    /// A phase 2 was begun under it, by either side.
    pub(crate) negotiated: bool,
    /// It is time for another one.
    pub(crate) dying: bool,
    /// It is, because many message ids were used.
    pub(crate) worn: bool,
    /// When the peer was last heard of under it.
    pub(crate) heard: Time,
    pub(crate) dpd: DpdState,
    pub(crate) replacement: Replacement,
    pub(crate) readiness: Readiness,
}

/// A responder leaves the renewal to its peer until so many message ids more were used.
const MESSAGE_IDS_FOR_PEER: usize = 1024;

impl EstablishedPhase1 {
    /// Whether so many message ids were used that the side with this role renews it.
    pub(crate) fn is_worn(&self, role: Role) -> bool {
        let more = if role == Role::Responder { MESSAGE_IDS_FOR_PEER } else { 0 };
        self.sa.used.count() >= MESSAGE_IDS_RENEWED_AFTER + more
    }
}

impl Phase1 {
    /// A phase 1 whose negotiation begins now.
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

    /// Our last message, which the peer does not answer; none while a job for the next one runs.
    pub(crate) fn unanswered(&self) -> Option<Unanswered> {
        let message = self.negotiation()?.last_sent()?;
        Some(self.conversation.unanswered(self.exchange, self.role, message))
    }

    /// Answers the message that was accepted. An initiator repeats its answer until it is answered in turn; a responder
    /// repeats it only when the peer repeats its message, so that nobody can make it send a flood to a victim.
    pub(crate) fn answer(&mut self, core: &mut Core, message: Vec<u8>) {
        self.conversation.answer(Some(message.clone()));
        match self.role {
            Role::Initiator => self.conversation.send(core, self.path, message),
            Role::Responder => {
                self.reply(core, message);
                // Nothing that is not repeated lasts longer than all transmissions of a message of ours.
                self.conversation.set_deadline(core, |settings| settings.retransmission.whole());
            }
        }
    }

    /// Sends an answer, or sends it again: in one copy, as long as the address may be forged.
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

    /// The negotiation, if it goes on.
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

    /// What there is when it is established.
    pub(crate) fn established(&self) -> Option<&EstablishedPhase1> {
        match &self.stage {
            Stage::Established(established) => Some(established),
            Stage::Negotiating(_) | Stage::Over => None,
        }
    }

    /// The same, to be changed.
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

/// What a first message is known by.
type FirstKey = (Cookie, Path);

/// All phase 1s.
#[derive(Default)]
pub(crate) struct Phase1s {
    all: BTreeMap<Phase1Id, Phase1>,
    by_cookies: HashMap<CookiePair, Phase1Id>,
    by_first: HashMap<FirstKey, Phase1Id>,
    /// Established ones and ours. Those that peers have begun are added when they are established: before, anybody could
    /// add any number of them in somebody else's name.
    by_pair: HashMap<(IpAddr, IpAddr), BTreeSet<Phase1Id>>,
    /// How many are established with each address.
    peers: HashMap<IpAddr, usize>,
    /// What phase 2s wait for.
    waits: HashMap<Phase2Id, Phase1Id>,
    /// Those that the peer has begun and that are not established.
    pub(crate) half_open: HalfOpen,
    /// How many we have begun with who may be anybody, and that are not established.
    attempts: usize,
}

impl Phase1s {
    /// Adds one that is on its way.
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

    /// Takes one out.
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

    /// A phase 2 begins under it.
    pub(crate) fn negotiates(&mut self, id: Phase1Id) {
        if let Some(established) = self.all.get_mut(&id).and_then(Phase1::established_mut) {
            established.negotiated = true;
        }
    }

    /// A phase 2 waits for it.
    pub(crate) fn wait(&mut self, id: Phase1Id, phase2: Phase2Id) {
        self.cancel_wait(phase2);
        if let Some(phase1) = self.all.get_mut(&id) {
            phase1.waiting.push(phase2);
            self.waits.insert(phase2, id);
        }
    }

    /// A phase 2 waits no more.
    pub(crate) fn cancel_wait(&mut self, phase2: Phase2Id) {
        if let Some(phase1) = self.waits.remove(&phase2).and_then(|id| self.all.get_mut(&id)) {
            phase1.waiting.retain(|waiting| *waiting != phase2);
        }
    }

    /// All that waited for it.
    pub(crate) fn take_waiting(&mut self, id: Phase1Id) -> Vec<Phase2Id> {
        let waiting = self.all.get_mut(&id).map(|phase1| mem::take(&mut phase1.waiting)).unwrap_or_default();
        for phase2 in &waiting {
            self.waits.remove(phase2);
        }
        waiting
    }

    /// The responder has told its cookie.
    pub(crate) fn learn_responder(&mut self, id: Phase1Id, responder: Cookie) {
        if let Some(phase1) = self.all.get_mut(&id) {
            self.by_cookies.remove(&phase1.cookies);
            phase1.cookies.responder = responder;
            if !responder.is_zero() {
                self.by_cookies.insert(phase1.cookies, id);
            }
        }
    }

    /// It is established.
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

    /// The peer has shown that it receives what is sent to its address, which is returned if that is news.
    pub(crate) fn prove_address(&mut self, id: Phase1Id) -> Option<SocketAddr> {
        let phase1 = self.all.get(&id).filter(|phase1| phase1.is_half_open())?;
        self.half_open.prove(id, phase1.peer_class, phase1.path.remote.ip()).then_some(phase1.path.remote)
    }

    /// Changes the path of an established phase 1, and the keys that follow from it. Its phase 2s read the path here.
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

    /// Forgets the first message of a phase 1, unless the key is another one's.
    fn forget_first(&mut self, id: Phase1Id, key: &FirstKey) {
        if self.by_first.get(key) == Some(&id) {
            self.by_first.remove(key);
        }
    }

    /// Counts one established phase 1 less with a peer's address.
    fn forget_peer(&mut self, address: IpAddr) {
        if let Some(count) = self.peers.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&address);
            }
        }
    }

    /// It has another remote block: the configuration is a new one.
    pub(crate) fn set_block(&mut self, id: Phase1Id, block: RemoteIndex) {
        if let Some(phase1) = self.all.get_mut(&id) {
            phase1.block = block;
            if let Some(established) = phase1.established_mut() {
                established.sa.block = block;
            }
        }
    }

    /// How many we have begun with who may be anybody, and that are not established.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts
    }

    pub(crate) fn get(&self, id: Phase1Id) -> Option<&Phase1> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: Phase1Id) -> Option<&mut Phase1> {
        self.all.get_mut(&id)
    }

    /// All of them, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Phase1Id, &Phase1)> {
        self.all.iter().map(|(id, phase1)| (*id, phase1))
    }

    /// The one with both cookies.
    pub(crate) fn find(&self, cookies: CookiePair) -> Option<Phase1Id> {
        self.by_cookies.get(&cookies).copied()
    }

    /// The one that a first message began.
    pub(crate) fn find_first(&self, cookie: Cookie, path: Path) -> Option<Phase1Id> {
        self.by_first.get(&(cookie, path)).copied()
    }

    /// All between two addresses that are established or were begun by us, the oldest first.
    pub(crate) fn between(&self, addresses: (IpAddr, IpAddr)) -> Vec<Phase1Id> {
        self.by_pair.get(&addresses).into_iter().flatten().copied().collect()
    }

    /// The established one between two addresses that is to be used: one that is not dying before one that is, one with
    /// the peer's port before others, the newest. `except` is no candidate.
    pub(crate) fn newest(&self, path: Path, except: Option<Phase1Id>) -> Option<Phase1Id> {
        self.newest_of(path, |id, _| Some(id) != except)
    }

    /// The one between two addresses under which a quick mode begins.
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
