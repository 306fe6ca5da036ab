//! A fixture and a scripted peer that talk with each other, up to where the test wants something to go wrong.

use std::collections::HashSet;
use std::time::Duration;

use crate::fixture::{Configuration, Fixture};
use crate::scripted_peer::{Draft, ScriptedPeer, Step};

/// What the scripted peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It begins.
    Initiator,
    /// It answers.
    Responder,
}

impl Role {
    pub(crate) const BOTH: [Self; 2] = [Self::Initiator, Self::Responder];

    /// What it says until SAs are there.
    pub(crate) fn steps(self) -> &'static [Step] {
        match self {
            Self::Initiator => &Step::INITIATOR,
            Self::Responder => &Step::RESPONDER,
        }
    }
}

pub(crate) struct Session {
    pub(crate) fixture: Fixture,
    pub(crate) scripted_peer: ScriptedPeer,
    pub(crate) role: Role,
    /// Everything that the scripted peer has said, as it was on the wire.
    pub(crate) said: Vec<(Step, Vec<u8>)>,
    /// What the scripted peer has heard: the same again says nothing new.
    heard: HashSet<Vec<u8>>,
}

impl Session {
    /// Nobody has said anything, but the fixture its first message if the scripted peer answers.
    pub(crate) fn new(role: Role, configuration: Configuration) -> Self {
        let fixture = Fixture::new(configuration);
        let scripted_peer = ScriptedPeer::new(fixture.peer, fixture.address, role == Role::Initiator, 2);
        let mut session = Self { fixture, scripted_peer, role, said: Vec::new(), heard: HashSet::new() };
        if role == Role::Responder {
            session.fixture.acquire();
            session.listen();
        }
        session
    }

    /// It is the scripted_peer's turn to say `step`.
    pub(crate) fn up_to(role: Role, step: Step) -> Self {
        Self::new(role, Configuration::default()).then_up_to(step)
    }

    /// SAs are there.
    pub(crate) fn up(role: Role) -> Self {
        let session = Self::up_to(role, Step::Informational);
        assert!(session.fixture.is_up(), "{}", session.fixture.log_text());
        session
    }

    pub(crate) fn then_up_to(mut self, step: Step) -> Self {
        for before in self.role.steps().iter().filter(|before| **before < step) {
            self.say(*before);
        }
        self
    }

    /// The scripted peer says what it should.
    pub(crate) fn say(&mut self, step: Step) {
        let draft = self.scripted_peer.draft(step);
        self.utter(&draft);
    }

    /// The scripted peer says this.
    pub(crate) fn utter(&mut self, draft: &Draft) {
        let message = self.scripted_peer.seal(draft);
        self.scripted_peer.has_said(draft, &message);
        self.said.push((draft.step, message.clone()));
        self.fixture.receive(&message);
        self.listen();
    }

    /// The scripted peer hears what the fixture has sent to it. Returns how many datagrams that were.
    pub(crate) fn listen(&mut self) -> usize {
        let mut count = 0;
        while let Some(datagram) = self.fixture.sent.pop_front() {
            count += 1;
            if datagram.path.remote == self.scripted_peer.address && self.heard.insert(datagram.bytes.clone()) {
                self.scripted_peer.hear(&datagram.bytes);
            }
        }
        count
    }

    /// Says `step` and all that comes after it; then SAs are there.
    pub(crate) fn finish(&mut self, step: Step, what: &str) {
        for step in self.role.steps().iter().filter(|next| **next >= step) {
            self.say(*step);
        }
        assert!(self.fixture.is_up(), "{what}: {:?}\n{}", self.fixture.snapshot(), self.fixture.log_text());
        assert!(self.scripted_peer.has_proof, "{what}: the host proves who it is");
    }

    /// A quick mode after one that failed.
    pub(crate) fn finish_anew(&mut self, what: &str) {
        match self.role {
            Role::Initiator => {
                self.scripted_peer.new_quick_mode();
                self.finish(Step::Quick1, what);
            }
            Role::Responder => {
                self.fixture.acquire();
                self.listen();
                self.finish(Step::Quick2, what);
            }
        }
    }

    /// Jobs of the fixture take their time from now on.
    pub(crate) fn slow(mut self) -> Self {
        self.fixture.slow = true;
        self
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.fixture.pass(Duration::from_secs(seconds));
    }
}
