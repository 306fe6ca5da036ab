//! A session of a fixture and a scripted peer, which a test can stop and manipulate at any step.

use std::collections::HashSet;
use std::time::Duration;

use crate::fixture::{Configuration, Fixture};
use crate::scripted_peer::{Draft, ScriptedPeer, Step};

/// The role of the scripted peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Initiator.
    Initiator,
    /// Responder.
    Responder,
}

impl Role {
    pub(crate) const BOTH: [Self; 2] = [Self::Initiator, Self::Responder];

    /// Returns its steps until SAs are established.
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
    /// All messages of the scripted peer, as sent.
    pub(crate) said: Vec<(Step, Vec<u8>)>,
    /// The messages that the scripted peer has received; repetitions are ignored.
    heard: HashSet<Vec<u8>>,
}

impl Session {
    /// Creates a session. If the scripted peer is the responder, the fixture has sent its first message.
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

    /// Creates a session in which the scripted peer's next step is `step`.
    pub(crate) fn up_to(role: Role, step: Step) -> Self {
        Self::new(role, Configuration::default()).then_up_to(step)
    }

    /// Creates a session with established SAs.
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

    /// Sends the valid message of a step.
    pub(crate) fn say(&mut self, step: Step) {
        let draft = self.scripted_peer.draft(step);
        self.utter(&draft);
    }

    /// Sends a message of the scripted peer.
    pub(crate) fn utter(&mut self, draft: &Draft) {
        let message = self.scripted_peer.seal(draft);
        self.scripted_peer.has_said(draft, &message);
        self.said.push((draft.step, message.clone()));
        self.fixture.receive(&message);
        self.listen();
    }

    /// Delivers the fixture's datagrams to the scripted peer. Returns their number.
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

    /// Performs `step` and all later ones, and checks that SAs are established.
    pub(crate) fn finish(&mut self, step: Step, what: &str) {
        for step in self.role.steps().iter().filter(|next| **next >= step) {
            self.say(*step);
        }
        assert!(self.fixture.is_up(), "{what}: {:?}\n{}", self.fixture.snapshot(), self.fixture.log_text());
        assert!(self.scripted_peer.has_proof, "{what}: the host proves who it is");
    }

    /// Performs a quick mode after one that failed.
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

    /// Makes jobs of the fixture wait from now on.
    pub(crate) fn slow(mut self) -> Self {
        self.fixture.slow = true;
        self
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.fixture.pass(Duration::from_secs(seconds));
    }
}
