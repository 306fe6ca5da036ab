//! Bytes that are read as what happens to an engine: messages that are right, wrong or encrypted by a peer that lies, events
//! of the kernel, the operator's wishes, time. Whatever they are, the engine does not panic, what it keeps is bounded, and
//! in the end nothing is left. The fuzz target `engine` runs them too.

use racoon_proto::engine::Control;
use racoon_proto::kernel::{Direction, KernelEvent, Limit, RequestId, Selector};
use racoon_proto::num::{Flags, NotifyType, PayloadType, Protocol};

use crate::dialogue::{Dialogue, Role};
use crate::puppet::{Draft, Step, deletion};
use crate::site::Configuration;

/// More than this in one script takes too long.
const ACTIONS_MAX: usize = 100;

/// Bytes, from the front.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte; 0 behind the end.
    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// One of several.
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// As many as a byte says, and there are.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// Everything that a script says happens; then the peer falls silent, and hours pass.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script(bytes);
    let role = script.one_of(&Role::BOTH);
    let at = usize::from(script.byte()) % (role.steps().len() + 1);
    let step = role.steps().get(at).copied().unwrap_or(Step::Informational);
    let mut dialogue = Dialogue::up_to(role, step);
    let mut next = at;
    for _ in 0..ACTIONS_MAX {
        let Some(action) = script.next() else { break };
        act(&mut dialogue, &mut next, action, &mut script);
        let load = dialogue.site.engine.load();
        assert!(load.phase1s <= 40 && load.phase2s <= 2 * ACTIONS_MAX, "{load:?}\n{}", dialogue.site.story());
        assert!(load.timers <= 5 * (load.phase1s + load.phase2s) + 1, "{load:?}");
    }
    dialogue.site.wind_up("after a script");
}

fn act(dialogue: &mut Dialogue, next: &mut usize, action: u8, script: &mut Script<'_>) {
    match action % 12 {
        // What is next, as it should be.
        0 => {
            let step = dialogue.role.steps().get(*next).copied().unwrap_or(Step::Informational);
            if dialogue.puppet.is_ready_for(step) {
                dialogue.say(step);
                *next += 1;
            }
        }
        // Any message, changed on the wire.
        1 | 2 => {
            let Some(draft) = any_draft(dialogue, script) else { return };
            let mut message = dialogue.puppet.seal(&draft);
            spoil(&mut message, script);
            dialogue.site.receive(&message);
        }
        // Any message, changed before it is encrypted: the peer itself lies.
        3 | 4 => {
            let Some(mut draft) = any_draft(dialogue, script) else { return };
            lie(&mut draft, script);
            dialogue.puppet.prove(&mut draft);
            let message = dialogue.puppet.seal(&draft);
            dialogue.site.receive(&message);
        }
        // What was said before.
        5 => {
            let count = dialogue.said.len().max(1);
            let said = dialogue.said.get(usize::from(script.byte()) % count).map(|(_, message)| message.clone());
            said.into_iter().for_each(|message| dialogue.site.receive(&message));
        }
        6 => dialogue.site.receive(script.bytes()),
        7 => kernel_event(dialogue, script),
        8 => control(dialogue, script),
        9 => dialogue.pass([1, 5, 10, 60, 500, 3000][usize::from(script.byte()) % 6]),
        10 => match script.byte() % 3 {
            0 => dialogue.site.slow = true,
            1 => dialogue.site.slow_kernel = true,
            _ => dialogue.site.kernel_refuses = true,
        },
        _ => {
            (dialogue.site.slow, dialogue.site.slow_kernel) = (false, false);
            dialogue.site.kernel_refuses = false;
            dialogue.site.answer();
            dialogue.site.drain();
            dialogue.listen();
        }
    }
}

/// A message of any step, as it should be.
fn any_draft(dialogue: &mut Dialogue, script: &mut Script<'_>) -> Option<Draft> {
    let steps = dialogue.role.steps().iter().chain([&Step::Informational]).copied().collect::<Vec<_>>();
    let step = script.one_of(&steps);
    if !dialogue.puppet.is_ready_for(step) {
        return None;
    }
    if step == Step::Quick1 && script.byte().is_multiple_of(2) {
        dialogue.puppet.new_quick_mode();
    }
    Some(dialogue.puppet.draft(step))
}

/// Bits are flipped, the end is cut off, something is added, parts change their places.
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
    // A length that is right brings it further.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    if let Some(field) = message.get_mut(24..28).filter(|_| script.byte().is_multiple_of(2)) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Payloads change their types, their bodies and their places; they are missing, or come twice.
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
        draft.payloads.push(crate::puppet::notify(&cookies, kind, &[0, 0, 0, 1]));
        draft.payloads.push((PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&cookies])));
    }
}

fn kernel_event(dialogue: &mut Dialogue, script: &mut Script<'_>) {
    let site = &mut dialogue.site;
    let count = site.sas.len().max(1);
    let any = site.sas.keys().nth(usize::from(script.byte()) % count).copied();
    let event = match (script.byte() % 9, any) {
        (0, _) => return site.acquire(),
        // Answers to what nobody has asked.
        (1, _) => KernelEvent::Spi(RequestId(u64::MAX), Ok(script.byte().into())),
        (2, _) => KernelEvent::Installed(RequestId(u64::MAX), Ok(())),
        (3, Some(name)) => KernelEvent::Expire(name, Limit::Soft),
        (4, Some(name)) => {
            site.sas.remove(&name);
            KernelEvent::Expire(name, Limit::Hard)
        }
        (5, Some(name)) => {
            site.sas.remove(&name);
            KernelEvent::Deleted(name)
        }
        (6, _) => {
            site.sas.clear();
            site.larval.clear();
            KernelEvent::Flushed(None)
        }
        (7, _) => KernelEvent::PoliciesFlushed,
        _ => KernelEvent::Policies(crate::site::policies(site.address, site.peer).into()),
    };
    site.kernel(event);
}

/// What the operator wants; that it is impossible is no error.
fn control(dialogue: &mut Dialogue, script: &mut Script<'_>) {
    let site = &mut dialogue.site;
    let (local, remote) = (site.address.ip(), site.peer.ip());
    let [out, ..] = crate::site::policies(site.address, site.peer).map(|policy| policy.selector);
    let selector = Selector::mirrored(out);
    let request = match script.byte() % 6 {
        0 => Control::FlushPhase1,
        1 => Control::FlushPhase2(None),
        2 => Control::DeletePeer { local, remote },
        3 => Control::EstablishPhase1 { local, remote, block: None },
        4 => Control::EstablishPhase2(Direction::Out, selector),
        _ => Control::Reload(Box::new(Configuration::default().settings())),
    };
    let _ = site.engine.handle_control(site.now, request);
    site.drain();
}
