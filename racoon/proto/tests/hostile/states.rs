//! Each exchange type in every state of phase 1, with known and unknown cookies: a message that the state does not expect changes
//! nothing.
//!
//! Known defects: messages in wrong states; a transaction exchange without keys; unencrypted deletes before a remote section is
//! selected. Transaction exchanges and aggressive mode themselves are not implemented.

use racoon_proto::num::{ExchangeType, Flags, NotifyType, PayloadType, Protocol};
use racoon_proto::wire::{self, Cookie, CookiePair, Header};

use crate::fixture::{Configuration, TERMS};
use crate::scripted_peer::{Step, deletion, notify};
use crate::session::{Role, Session};

const EXCHANGES: [u8; 10] = [1, 2, 3, 4, 5, 6, 32, 33, 34, 240];

/// A state: its name, a session in it, and the scripted peer's next step, if there is one.
type State = (String, Session, Option<Step>);

/// Returns every state of phase 1 in which a message can arrive.
fn states() -> Vec<State> {
    let mut states: Vec<State> = Vec::new();
    for role in Role::BOTH {
        for step in role.steps() {
            states.push((format!("{role:?} before {step:?}"), Session::up_to(role, *step), Some(*step)));
        }
        states.push((format!("{role:?}, up"), Session::up(role), None));
        for step in role.steps().iter().filter(|step| step.is_main() && !step.is_encrypted()) {
            let mut session = Session::up_to(role, *step).slow();
            session.say(*step);
            if session.fixture.jobs() > 0 {
                states.push((format!("{role:?}, job after {step:?}"), session, None));
            }
        }
    }
    states.push((String::from("dying"), dying(), None));
    states
}

/// Returns a session whose phase 1 is being renewed without an answer of the peer.
fn dying() -> Session {
    let configuration = Configuration::default();
    let mut session = Session::new(Role::Initiator, configuration).then_up_to(Step::Informational);
    session.pass(u64::from(TERMS.lifetime) * 9 / 10);
    assert_eq!(session.fixture.phase1_states(), [10], "{}", session.fixture.log_text());
    session
}

/// Returns bodies that are valid in some exchange, and one that is not valid in any.
fn bodies(cookies: CookiePair) -> Vec<Vec<(PayloadType, Vec<u8>)>> {
    vec![
        vec![],
        vec![(PayloadType::NONCE, vec![7; 16])],
        vec![(PayloadType::HASH, vec![8; 32]), (PayloadType::ATTRIBUTES, vec![1, 0, 0, 1, 0, 1, 0, 0])],
        vec![(PayloadType::HASH, vec![8; 32]), (PayloadType::SA, vec![0; 40]), (PayloadType::NONCE, vec![7; 16])],
        vec![(PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&cookies.to_bytes()]))],
        vec![notify(&cookies.to_bytes(), NotifyType::INITIAL_CONTACT, &[])],
        vec![(PayloadType::FRAGMENT, vec![0, 1, 1, 1])],
        vec![(PayloadType::KEY_EXCHANGE, vec![9; 31]), (PayloadType::NONCE, vec![7; 16])],
    ]
}

/// Returns the session's cookies, and combinations of them with others.
fn cookies(session: &Session) -> Vec<CookiePair> {
    let known = session.fixture.engine.phase1s().next().map_or(session.scripted_peer.cookies, |one| one.cookies);
    let other = Cookie([0xee; 8]);
    vec![
        known,
        CookiePair { responder: other, ..known },
        CookiePair { initiator: other, ..known },
        CookiePair { initiator: other, responder: other },
        CookiePair { responder: Cookie::ZERO, ..known },
        CookiePair { initiator: other, responder: Cookie::ZERO },
        CookiePair { initiator: Cookie::ZERO, ..known },
        CookiePair { initiator: known.responder, responder: known.initiator },
    ]
}

#[test]
fn every_exchange_in_every_state() {
    for (name, mut session, next) in states() {
        let before = session.fixture.snapshot();
        let mut count = 0;
        for cookies in cookies(&session) {
            for exchange in EXCHANGES {
                for message_id in [0, 0x1234_5678] {
                    for flags in [Flags::empty(), Flags::ENCRYPTED, Flags::COMMIT, Flags::all()] {
                        for body in bodies(cookies) {
                            let header = Header { flags, ..Header::new(cookies, ExchangeType(exchange), message_id) };
                            let body: Vec<_> = body.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
                            session.fixture.receive(&wire::message(&header, &body));
                            count += 1;
                        }
                    }
                }
            }
        }
        let now = session.fixture.snapshot();
        assert_eq!(now, before, "{name}: {count} messages\n{}", session.fixture.log_text());
        assert!(session.fixture.sent.len() <= 10, "{name}: {} answers", session.fixture.sent.len());
        goes_on(name, session, next);
    }
}

/// Completes the exchange as if nothing had happened.
fn goes_on(name: String, mut session: Session, next: Option<Step>) {
    if session.fixture.jobs() > 0 {
        session.fixture.slow = false;
        session.fixture.work();
        session.listen();
        let said = session.said.last().map(|(step, _)| *step);
        let after = session.role.steps().iter().find(|step| Some(**step) > said).copied();
        session.finish(after.expect("there is more to say"), &name);
    } else if let Some(next) = next {
        session.listen();
        session.finish(next, &name);
    }
    session.fixture.wind_up(&name);
}

/// Only the first message of an exchange begins one.
#[test]
fn what_comes_out_of_nothing_leaves_nothing() {
    let mut session = Session::new(Role::Initiator, Configuration::default());
    for cookies in cookies(&session) {
        for exchange in EXCHANGES {
            for body in bodies(cookies) {
                let header = Header::new(cookies, ExchangeType(exchange), 0);
                let body: Vec<_> = body.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
                session.fixture.receive(&wire::message(&header, &body));
            }
        }
    }
    assert_eq!(session.fixture.engine.load().phase1s, 0);
    session.listen();
    session.finish(Step::Main1, "after nonsense");
    session.fixture.wind_up("after nonsense");
}

/// An unencrypted delete after the first message, when no remote section that could allow it is selected.
#[test]
fn clear_delete_right_after_message_1() {
    let mut session = Session::up_to(Role::Initiator, Step::Main3);
    let cookies = session.scripted_peer.cookies;
    let header = Header::new(cookies, ExchangeType::INFORMATIONAL, 77);
    for delete in [
        deletion(Protocol::ISAKMP, &[&cookies.to_bytes()]),
        deletion(Protocol::ESP, &[&[0, 0, 0x10, 1]]),
        vec![0, 0, 0, 1, 1, 16, 0, 0],
    ] {
        session.fixture.receive(&wire::message(&header, &[(PayloadType::DELETE, &delete)]));
    }
    assert_eq!(session.fixture.phase1_states(), [3]);
    session.finish(Step::Main3, "after a clear delete");
    session.fixture.wind_up("after a clear delete");
}

/// A transaction exchange without keys: no decryption is attempted.
#[test]
fn transaction_exchange_before_there_are_keys() {
    for (role, step) in [(Role::Initiator, Step::Main3), (Role::Responder, Step::Main2), (Role::Responder, Step::Main4)]
    {
        let mut session = Session::up_to(role, step);
        let before = session.fixture.snapshot();
        let cookies = session.fixture.engine.phase1s().next().expect("a phase 1").cookies;
        for length in [0, 15, 16, 64] {
            let header = Header { flags: Flags::ENCRYPTED, ..Header::new(cookies, ExchangeType::TRANSACTION, 5) };
            let header = Header { next_payload: PayloadType::HASH, ..header };
            let message = [header.encode(length).as_slice(), &vec![3; length]].concat();
            session.fixture.receive(&message);
        }
        assert_eq!(session.fixture.snapshot(), before);
        session.finish(step, "after a transaction");
        session.fixture.wind_up("after a transaction");
    }
}
