//! Bytes as a script of inputs for an engine: messages that are valid, invalid, or encrypted by a dishonest peer; events of the kernel;
//! requests of the operator; time. With any script, the engine does not panic, its state is bounded, and at the end no state is left.
//! The fuzz target `engine` runs scripts, too.

use racoon_proto::engine::Control;
use racoon_proto::kernel::{Direction, KernelEvent, Limit, RequestId, Selector};
use racoon_proto::num::{Flags, NotifyType, PayloadType, Protocol};

use crate::fixture::Configuration;
use crate::scripted_peer::{Draft, Step, deletion};
use crate::session::{Role, Session};

/// Maximum number of inputs in one script.
const ACTIONS_MAX: usize = 100;

/// A reader of bytes.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Returns the next byte; 0 after the end.
    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// Selects one of several values.
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Returns as many bytes as the next one says, or as are left.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// Runs a script, then lets hours pass without the peer.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script(bytes);
    let role = script.one_of(&Role::BOTH);
    let at = usize::from(script.byte()) % (role.steps().len() + 1);
    let step = role.steps().get(at).copied().unwrap_or(Step::Informational);
    let mut session = Session::up_to(role, step);
    let mut next = at;
    for _ in 0..ACTIONS_MAX {
        let Some(action) = script.next() else { break };
        act(&mut session, &mut next, action, &mut script);
        let load = session.fixture.engine.load();
        assert!(load.phase1s <= 40 && load.phase2s <= 2 * ACTIONS_MAX, "{load:?}\n{}", session.fixture.log_text());
        assert!(load.timers <= 5 * (load.phase1s + load.phase2s) + 1, "{load:?}");
    }
    session.fixture.wind_up("after a script");
}

fn act(session: &mut Session, next: &mut usize, action: u8, script: &mut Script<'_>) {
    match action % 12 {
        // The next message, valid.
        0 => {
            let step = session.role.steps().get(*next).copied().unwrap_or(Step::Informational);
            if session.scripted_peer.is_ready_for(step) {
                session.say(step);
                *next += 1;
            }
        }
        // Any message, changed in transit.
        1 | 2 => {
            let Some(draft) = any_draft(session, script) else { return };
            let mut message = session.scripted_peer.seal(&draft);
            spoil(&mut message, script);
            session.fixture.receive(&message);
        }
        // Any message, changed before it is encrypted, as by a dishonest peer.
        3 | 4 => {
            let Some(mut draft) = any_draft(session, script) else { return };
            lie(&mut draft, script);
            session.scripted_peer.prove(&mut draft);
            let message = session.scripted_peer.seal(&draft);
            session.fixture.receive(&message);
        }
        // A replay.
        5 => {
            let count = session.said.len().max(1);
            let said = session.said.get(usize::from(script.byte()) % count).map(|(_, message)| message.clone());
            said.into_iter().for_each(|message| session.fixture.receive(&message));
        }
        6 => session.fixture.receive(script.bytes()),
        7 => kernel_event(session, script),
        8 => control(session, script),
        9 => session.pass([1, 5, 10, 60, 500, 3000][usize::from(script.byte()) % 6]),
        10 => match script.byte() % 3 {
            0 => session.fixture.slow = true,
            1 => session.fixture.slow_kernel = true,
            _ => session.fixture.kernel_refuses = true,
        },
        _ => {
            (session.fixture.slow, session.fixture.slow_kernel) = (false, false);
            session.fixture.kernel_refuses = false;
            session.fixture.answer();
            session.fixture.drain();
            session.listen();
        }
    }
}

/// Returns a valid message of any step.
fn any_draft(session: &mut Session, script: &mut Script<'_>) -> Option<Draft> {
    let steps = session.role.steps().iter().chain([&Step::Informational]).copied().collect::<Vec<_>>();
    let step = script.one_of(&steps);
    if !session.scripted_peer.is_ready_for(step) {
        return None;
    }
    if step == Step::Quick1 && script.byte().is_multiple_of(2) {
        session.scripted_peer.new_quick_mode();
    }
    Some(session.scripted_peer.draft(step))
}

/// Flips bits, truncates, appends, or moves parts of a message.
fn spoil(message: &mut Vec<u8>, script: &mut Script<'_>) {
    for _ in 0..=script.byte() % 4 {
        let (how, at) = (script.byte(), script.byte());
        let at = usize::from(at) % message.len().max(1);
        match how % 5 {
            0 => message.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (how / 5 % 8)),
            1 => message.truncate(at),
            2 => message.extend_from_slice(script.bytes()),
            3 => message.iter_mut().skip(at).take(1).for_each(|byte| *byte = how),
            _ => message.rotate_left(at),
        }
    }
    // With a valid length, the message is parsed further.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    if let Some(field) = message.get_mut(24..28).filter(|_| script.byte().is_multiple_of(2)) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Changes types, bodies and order of payloads, removes or repeats them.
fn lie(draft: &mut Draft, script: &mut Script<'_>) {
    for _ in 0..=script.byte() % 4 {
        let at = usize::from(script.byte()) % draft.payloads.len().max(1);
        match script.byte() % 8 {
            0 => draft.payloads.truncate(at),
            1 => draft.payloads.extend(draft.payloads.get(at).cloned()),
            2 => draft.payloads.iter_mut().skip(at).take(1).for_each(|(kind, _)| *kind = PayloadType(script.byte())),
            3 => draft.payloads.rotate_left(at),
            4 => draft.payloads.push((PayloadType::DELETE, script.bytes().to_vec())),
            5 => draft.payloads.push((PayloadType::NOTIFY, script.bytes().to_vec())),
            6 => {
                let Some((_, body)) = draft.payloads.get_mut(at) else { return };
                *body = script.bytes().to_vec();
            }
            _ => {
                let Some((_, body)) = draft.payloads.get_mut(at) else { return };
                spoil(body, script);
            }
        }
    }
    if script.byte().is_multiple_of(8) {
        draft.header.flags ^= script.one_of(&[Flags::ENCRYPTED, Flags::COMMIT, Flags::AUTHENTICATION_ONLY]);
    }
    let kind = script.one_of(&[NotifyType::INITIAL_CONTACT, NotifyType::R_U_THERE, NotifyType::NO_PROPOSAL_CHOSEN]);
    if draft.step == Step::Informational && script.byte().is_multiple_of(4) {
        let cookies = draft.header.cookies.to_bytes();
        draft.payloads.push(crate::scripted_peer::notify(&cookies, kind, &[0, 0, 0, 1]));
        draft.payloads.push((PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&cookies])));
    }
}

fn kernel_event(session: &mut Session, script: &mut Script<'_>) {
    let fixture = &mut session.fixture;
    let count = fixture.sas.len().max(1);
    let any = fixture.sas.keys().nth(usize::from(script.byte()) % count).copied();
    let event = match (script.byte() % 9, any) {
        (0, _) => return fixture.acquire(),
        // Answers to requests that were not made.
        (1, _) => KernelEvent::Spi(RequestId(u64::MAX), Ok(script.byte().into())),
        (2, _) => KernelEvent::Installed(RequestId(u64::MAX), Ok(())),
        (3, Some(name)) => KernelEvent::Expire(name, Limit::Soft),
        (4, Some(name)) => {
            fixture.sas.remove(&name);
            KernelEvent::Expire(name, Limit::Hard)
        }
        (5, Some(name)) => {
            fixture.sas.remove(&name);
            KernelEvent::Deleted(name)
        }
        (6, _) => {
            fixture.sas.clear();
            fixture.larval.clear();
            KernelEvent::Flushed(None)
        }
        (7, _) => KernelEvent::PoliciesFlushed,
        _ => KernelEvent::Policies(crate::fixture::policies(fixture.address, fixture.peer).into()),
    };
    fixture.kernel(event);
}

/// Makes a request of the operator, which may be refused.
fn control(session: &mut Session, script: &mut Script<'_>) {
    let fixture = &mut session.fixture;
    let (local, remote) = (fixture.address.ip(), fixture.peer.ip());
    let [out, ..] = crate::fixture::policies(fixture.address, fixture.peer).map(|policy| policy.selector);
    let selector = Selector::mirrored(out);
    let request = match script.byte() % 6 {
        0 => Control::FlushPhase1,
        1 => Control::FlushPhase2(None),
        2 => Control::DeletePeer { local, remote },
        3 => Control::EstablishPhase1 { local, remote, remote_section: None },
        4 => Control::EstablishPhase2(Direction::Out, selector),
        _ => Control::Reload(Box::new(Configuration::default().settings())),
    };
    let _ = fixture.engine.handle_control(fixture.now, request);
    fixture.drain();
}
