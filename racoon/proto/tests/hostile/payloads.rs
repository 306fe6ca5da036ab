//! Each message of main, quick and informational mode, in both roles, with each of its payloads missing, repeated, truncated or of
//! another type, and with the message unencrypted instead of encrypted or vice versa.
//!
//! An unauthenticated message changes nothing, and the exchange continues. An invalid message that the peer has authenticated ends its
//! quick mode, and no other.
//!
//! Known defects: CVE-2004-0392 (invalid lengths), CVE-2005-3732 (missing payloads), denial of service by messages that cannot be
//! decrypted.

use racoon_proto::num::{Flags, PayloadType};
use racoon_proto::random::Random as _;

use crate::scripted_peer::{Draft, ScriptedPeer, Step, encode};
use crate::session::{Role, Session};

/// An invalid message.
struct Fault {
    what: String,
    bytes: Vec<u8>,
    /// A text in the log.
    says: String,
    /// Whether the peer has authenticated it, so that it ends the quick mode.
    endpoints: bool,
}

/// Collects invalid variants of one message.
struct Faults<'a> {
    scripted_peer: &'a ScriptedPeer,
    draft: &'a Draft,
    list: Vec<Fault>,
}

impl Faults<'_> {
    /// Adds an unauthenticated message.
    fn anybodys(&mut self, what: String, bytes: Vec<u8>, says: impl Into<String>) {
        self.list.push(Fault { what, bytes, says: says.into(), endpoints: false });
    }

    /// Adds an invalid message that the peer has authenticated: in quick and informational mode, its hash is right.
    fn by_peer(&mut self, what: String, mut draft: Draft, says: impl Into<String>) {
        self.scripted_peer.prove(&mut draft);
        let bytes = self.scripted_peer.seal(&draft);
        let endpoints = matches!(draft.step, Step::Quick1 | Step::Quick2 | Step::Quick3);
        self.list.push(Fault { what, bytes, says: says.into(), endpoints });
    }

    fn name(&self) -> &'static str {
        self.draft.step.name()
    }

    /// Returns the name of an unauthenticated message in the log.
    fn ignored(&self) -> String {
        match self.draft.step {
            step if step.is_main() => String::from("a message of phase 1 "),
            Step::Informational => String::from("an informational message is ignored"),
            _ => format!("{} is ignored", self.name()),
        }
    }

    /// Returns the name of a first message in the log.
    fn refused(&self) -> String {
        if self.draft.step == Step::Main1 { "phase1 negotiation failed: ".into() } else { self.ignored() }
    }

    fn missing(&mut self) {
        for (at, (kind, _)) in self.draft.payloads.iter().enumerate() {
            let mut less = self.draft.clone();
            less.payloads.remove(at);
            let what = format!("no {kind}");
            match *kind {
                PayloadType::HASH if !less.step.is_main() => {
                    let bytes = self.scripted_peer.seal(&less);
                    self.anybodys(what, bytes, self.ignored());
                }
                PayloadType::ID if !less.step.is_main() => self.by_peer(what, less, "there is only one"),
                // Without a payload nothing happens.
                PayloadType::DELETE => self.by_peer(what, less, ""),
                kind => self.by_peer(what, less, format!("{kind} payload is missing in {}", self.name())),
            }
        }
        let none = Draft { payloads: Vec::new(), ..self.draft.clone() };
        let bytes = self.scripted_peer.seal(&none);
        self.anybodys("nothing at all".into(), bytes, self.refused());
    }

    fn doubled(&mut self) {
        for payload in &self.draft.payloads {
            let kind = payload.0;
            let mut more = self.draft.clone();
            more.payloads.push(payload.clone());
            // A message may have several deletes.
            if kind != PayloadType::DELETE {
                self.by_peer(
                    format!("{kind} twice"),
                    more,
                    format!("{kind} payload occurs too often in {}", self.name()),
                );
            }
        }
    }

    /// Changes the types of payloads.
    fn mistyped(&mut self) {
        let kinds = [PayloadType::TRANSFORM, PayloadType::ATTRIBUTES, PayloadType::FRAGMENT, PayloadType(200)];
        for at in 0..self.draft.payloads.len() {
            for kind in kinds {
                let mut other = self.draft.clone();
                let was = std::mem::replace(&mut other.payloads[at].0, kind);
                let what = format!("{kind} instead of {was}");
                let in_quick_mode = !other.step.is_main();
                match was {
                    PayloadType::HASH if in_quick_mode => {
                        let bytes = self.scripted_peer.seal(&other);
                        self.anybodys(what, bytes, self.ignored());
                    }
                    PayloadType::DELETE => self.by_peer(what, other, ""),
                    PayloadType::KEY_EXCHANGE | PayloadType::ID if in_quick_mode => {
                        self.by_peer(what, other, format!("{kind} payload is not allowed in {}", self.name()));
                    }
                    _ => self.by_peer(what, other, format!("{was} payload is missing in {}", self.name())),
                }
            }
        }
        // The first type is 0, so that the chain is empty.
        let bytes = self.scripted_peer.seal_chain(self.draft, PayloadType::NONE, &encode(&self.draft.payloads));
        self.anybodys("no first payload".into(), bytes, self.refused());
        let mut more = self.draft.clone();
        more.payloads.push((PayloadType::FRAGMENT, vec![0; 8]));
        if self.draft.step != Step::Informational {
            self.by_peer(
                "a fragment behind it".into(),
                more,
                format!("FRAG payload is not allowed in {}", self.name()),
            );
        }
    }

    /// Changes the lengths in generic headers.
    fn mismeasured(&mut self) {
        let chain = encode(&self.draft.payloads);
        let mut offset = 0;
        for (kind, body) in &self.draft.payloads {
            let beyond = u16::try_from(chain.len() - offset + 17).expect("a short message");
            for length in [0, 1, 2, 3, beyond, u16::MAX] {
                let mut chain = chain.clone();
                chain[offset + 2..offset + 4].copy_from_slice(&length.to_be_bytes());
                let bytes = self.scripted_peer.seal_chain(self.draft, self.draft.payloads[0].0, &chain);
                self.anybodys(format!("{kind} of {length} bytes"), bytes, self.refused());
            }
            offset += 4 + body.len();
        }
    }

    /// Truncates bodies, with matching lengths.
    fn cut(&mut self) {
        for (at, (kind, body)) in self.draft.payloads.iter().enumerate() {
            let lengths: Vec<usize> = match *kind {
                // A longer body may be a valid nonce.
                PayloadType::NONCE => (0..8).collect(),
                PayloadType::ID => (0..=4).collect(),
                _ => [0, 1, 3, 4, 8, 12, body.len() / 2, body.len() - 1]
                    .into_iter()
                    .filter(|n| *n < body.len())
                    .collect(),
            };
            for length in lengths {
                let mut less = self.draft.clone();
                less.payloads[at].1.truncate(length);
                let what = format!("{length} bytes of {kind}");
                match *kind {
                    PayloadType::HASH => {
                        let bytes = self.scripted_peer.seal(&less);
                        self.anybodys(what, bytes, self.ignored());
                    }
                    PayloadType::KEY_EXCHANGE => self.by_peer(what, less, "key exchange in group x25519: "),
                    // A responder returns the identities unchanged.
                    PayloadType::ID if less.step == Step::Quick2 => {
                        self.by_peer(what, less, "identities cannot be used")
                    }
                    PayloadType::ID if less.step == Step::Quick1 => {
                        self.by_peer(what, less, "identities cannot be used")
                    }
                    _ => self.by_peer(what, less, "malformed: "),
                }
            }
        }
    }

    /// Leaves out the encryption or adds it, and sends bytes that cannot be decrypted.
    fn encryption(&mut self) {
        let step = self.draft.step;
        let chain = encode(&self.draft.payloads);
        let mut other = self.draft.clone();
        other.header.flags ^= Flags::ENCRYPTED;
        let (found, says) = if step.is_encrypted() {
            ("in clear", format!("{} is not encrypted", self.name()))
        } else {
            ("said to be encrypted", format!("{} is encrypted", self.name()))
        };
        let first = self.draft.payloads[0].0;
        let bytes = self.scripted_peer.packet(&other, first, &chain);
        let says = if step == Step::Informational { "ignored an unencrypted DELETE".into() } else { says };
        self.anybodys(found.into(), bytes, says);
        if !step.is_encrypted() {
            return;
        }
        let bytes = self.scripted_peer.packet(self.draft, first, &chain);
        self.anybodys("not encrypted, but said to be".into(), bytes, self.ignored());
        let mut random = racoon_proto::crypto::SeededRandom::new(step as u64);
        for length in [0, 1, 8, 15, 16, 17, 31, 32, 48, 1024] {
            let mut noise = vec![0; length];
            random.fill(&mut noise);
            let bytes = self.scripted_peer.packet(self.draft, first, &noise);
            self.anybodys(format!("{length} bytes of noise"), bytes, self.ignored());
        }
    }
}

/// Returns all invalid variants of a message.
fn faults(scripted_peer: &ScriptedPeer, draft: &Draft) -> Vec<Fault> {
    let mut faults = Faults { scripted_peer, draft, list: Vec::new() };
    faults.missing();
    faults.doubled();
    faults.mistyped();
    faults.mismeasured();
    faults.cut();
    faults.encryption();
    faults.list
}

/// Sends each variant in a session of its own.
fn each_fault(role: Role, step: Step) {
    let mut session = Session::up_to(role, step);
    let draft = session.scripted_peer.draft(step);
    let count = faults(&session.scripted_peer, &draft).len();
    assert!(count > 20, "{count} faults of {step:?}");
    for at in 0..count {
        let mut session = Session::up_to(role, step);
        let draft = session.scripted_peer.draft(step);
        let fault = faults(&session.scripted_peer, &draft).swap_remove(at);
        one_fault(session, step, fault);
    }
}

fn one_fault(mut session: Session, step: Step, fault: Fault) {
    let Fault { what, bytes, says, endpoints } = fault;
    let what = format!("{step:?} with {what}");
    let before = session.fixture.snapshot();
    session.fixture.log.clear();
    session.fixture.receive(&bytes);
    let is_told = says.is_empty() || session.fixture.has_logged(&says);
    assert!(is_told, "{what}: {says:?} is expected\n{}", session.fixture.log_text());
    session.listen();
    if endpoints {
        assert!(
            session.fixture.has_logged("phase2 negotiation failed due to"),
            "{what}\n{}",
            session.fixture.log_text()
        );
        assert_eq!(session.fixture.engine.phase2s().count(), 0, "{what}\n{}", session.fixture.log_text());
        assert!(session.fixture.larval.is_empty() && session.fixture.sas.is_empty(), "{what}");
        session.finish_anew(&what);
    } else {
        assert_eq!(session.fixture.snapshot(), before, "{what}\n{}", session.fixture.log_text());
        if step == Step::Informational {
            assert!(session.fixture.is_up());
            session.say(step);
            assert!(session.fixture.sas.is_empty(), "{what}: the delete is heeded\n{}", session.fixture.log_text());
        } else {
            session.finish(step, &what);
        }
    }
    session.fixture.wind_up(&what);
}

#[test]
fn main_mode_of_an_initiator() {
    [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| each_fault(Role::Initiator, step));
}

#[test]
fn main_mode_of_a_responder() {
    [Step::Main2, Step::Main4, Step::Main6].into_iter().for_each(|step| each_fault(Role::Responder, step));
}

#[test]
fn quick_mode_of_an_initiator() {
    [Step::Quick1, Step::Quick3].into_iter().for_each(|step| each_fault(Role::Initiator, step));
}

#[test]
fn quick_mode_of_a_responder() {
    each_fault(Role::Responder, Step::Quick2);
}

#[test]
fn informational_mode() {
    Role::BOTH.into_iter().for_each(|role| each_fault(role, Step::Informational));
}
