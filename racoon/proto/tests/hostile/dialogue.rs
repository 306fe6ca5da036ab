//! A site and a puppet that talk with each other, up to where the test wants something to go wrong.

use std::collections::HashSet;
use std::time::Duration;

use crate::puppet::{Draft, Puppet, Step};
use crate::site::{Configuration, Site};

/// What the puppet is.
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

pub(crate) struct Dialogue {
    pub(crate) site: Site,
    pub(crate) puppet: Puppet,
    pub(crate) role: Role,
    /// Everything that the puppet has said, as it was on the wire.
    pub(crate) said: Vec<(Step, Vec<u8>)>,
    /// What the puppet has heard: the same again says nothing new.
    heard: HashSet<Vec<u8>>,
}

impl Dialogue {
    /// Nobody has said anything, but the site its first message if the puppet answers.
    pub(crate) fn new(role: Role, configuration: Configuration) -> Self {
        let site = Site::new(configuration);
        let puppet = Puppet::new(site.peer, site.address, role == Role::Initiator, 2);
        let mut dialogue = Self { site, puppet, role, said: Vec::new(), heard: HashSet::new() };
        if role == Role::Responder {
            dialogue.site.acquire();
            dialogue.listen();
        }
        dialogue
    }

    /// It is the puppet's turn to say `step`.
    pub(crate) fn up_to(role: Role, step: Step) -> Self {
        Self::new(role, Configuration::default()).then_up_to(step)
    }

    /// SAs are there.
    pub(crate) fn up(role: Role) -> Self {
        let dialogue = Self::up_to(role, Step::Informational);
        assert!(dialogue.site.is_up(), "{}", dialogue.site.story());
        dialogue
    }

    pub(crate) fn then_up_to(mut self, step: Step) -> Self {
        for before in self.role.steps().iter().filter(|before| **before < step) {
            self.say(*before);
        }
        self
    }

    /// The puppet says what it should.
    pub(crate) fn say(&mut self, step: Step) {
        let draft = self.puppet.draft(step);
        self.utter(&draft);
    }

    /// The puppet says this.
    pub(crate) fn utter(&mut self, draft: &Draft) {
        let message = self.puppet.seal(draft);
        self.puppet.has_said(draft, &message);
        self.said.push((draft.step, message.clone()));
        self.site.receive(&message);
        self.listen();
    }

    /// The puppet hears what the site has sent to it. Returns how many datagrams that were.
    pub(crate) fn listen(&mut self) -> usize {
        let mut count = 0;
        while let Some(datagram) = self.site.sent.pop_front() {
            count += 1;
            if datagram.remote == self.puppet.address && self.heard.insert(datagram.bytes.clone()) {
                self.puppet.hear(&datagram.bytes);
            }
        }
        count
    }

    /// Says `step` and all that comes after it; then SAs are there.
    pub(crate) fn finish(&mut self, step: Step, what: &str) {
        for step in self.role.steps().iter().filter(|next| **next >= step) {
            self.say(*step);
        }
        assert!(self.site.is_up(), "{what}: {:?}\n{}", self.site.snapshot(), self.site.story());
        assert!(self.puppet.has_proof, "{what}: the host proves who it is");
    }

    /// A quick mode after one that failed.
    pub(crate) fn finish_anew(&mut self, what: &str) {
        match self.role {
            Role::Initiator => {
                self.puppet.new_quick_mode();
                self.finish(Step::Quick1, what);
            }
            Role::Responder => {
                self.site.acquire();
                self.listen();
                self.finish(Step::Quick2, what);
            }
        }
    }

    /// Jobs of the site take their time from now on.
    pub(crate) fn slow(mut self) -> Self {
        self.site.slow = true;
        self
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.site.pass(Duration::from_secs(seconds));
    }
}
