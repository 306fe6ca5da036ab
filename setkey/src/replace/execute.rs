//! Executes the steps of a plan, group by group, with many requests in flight.

use std::collections::HashMap;

use libpfkey::request::RequestHeader;
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Answer, Dialect, MessageType, Result};
use zeroize::Zeroizing;

use super::message;
use super::plan::{Place, Plan, Present, Step, Wanted};
use super::wanted::File;
use crate::reason::refusal_text;
use crate::session::Session;
use crate::view::{Tag, View, errno_words};

/// Result of a plan.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// A step failed, and the groups after its own were not started.
    pub(super) failed: bool,
    /// The kernel's answers to DELETE by the index of the SA, with its state at that time.
    pub(super) deleted: HashMap<usize, Zeroizing<Vec<u8>>>,
}

/// Executes a plan up to the first group in which a step fails, and reports the failures.
pub(super) fn run(session: &mut Session, files: &[File], plan: &Plan, present: &Present, wanted: &Wanted) -> Outcome {
    let mut outcome = Outcome::default();
    for group in &plan.groups {
        let mut run = Run { group, failures: Vec::new(), deleted: HashMap::new(), abi: session.abi() };
        for (index, step) in (0..).zip(group) {
            let numbers = session.has_xfrm();
            // NetBSD accepts a second SA with the same SPI and another reqid, so the old one must be gone first.
            let waits = session.abi().dialect == Dialect::NetBsd && matches!(step, Step::ReplaceSa { .. });
            requests(*step, numbers, present, wanted, &mut |kind, write| {
                if waits && kind == MessageType::Add {
                    session.settle(&mut |view, tag, answer| run.answer(view, tag, answer));
                    if !run.failures.is_empty() {
                        return;
                    }
                }
                run.send(session, index, kind, write);
            });
            if !run.failures.is_empty() {
                break;
            }
        }
        session.settle(&mut |view, tag, answer| run.answer(view, tag, answer));
        outcome.deleted.extend(run.deleted);
        outcome.failed = !run.failures.is_empty();
        // One line per step: later failures only follow from the first.
        run.failures.sort_by_key(|(index, _)| *index);
        run.failures.dedup_by_key(|(index, _)| *index);
        for (index, text) in run.failures {
            let Some(step) = group.get(index) else { continue };
            tell(session, files, *step, present, wanted, &text);
        }
        if outcome.failed {
            break;
        }
    }
    outcome
}

/// Writes one request.
type Write<'w> = &'w dyn Fn(RequestHeader, &mut Vec<u8>) -> Result<()>;

/// Sends the requests of a step in order. `numbers`: the answer to DELETE contains sequence numbers.
fn requests(
    step: Step,
    numbers: bool,
    present: &Present,
    wanted: &Wanted,
    send: &mut dyn FnMut(MessageType, Write<'_>),
) {
    let shown_sa = |old: usize| present.sas.get(old).map_or(&[][..], |sa| &sa.message);
    let new_sa = |sa: usize| wanted.sas.get(sa).map_or(&[][..], |sa| &sa.message);
    let shown_policy = |old: usize| present.policies.get(old).map_or(&[][..], |policy| &policy.message);
    let new_policy = |policy: usize| wanted.policies.get(policy).map_or(&[][..], |policy| &policy.message);
    let mut add = |kind, sa| send(kind, &|header, buffer| message::repeat(new_sa(sa), kind, header, buffer));
    match step {
        Step::AddSa { sa } => add(MessageType::Add, sa),
        Step::UpdateSa { sa } => add(MessageType::Update, sa),
        Step::ReplaceSa { sa, old } => {
            send(MessageType::Delete, &|header, buffer| message::delete(shown_sa(old), numbers, header, buffer));
            let kind = MessageType::Add;
            send(kind, &|header, buffer| message::repeat(new_sa(sa), kind, header, buffer));
        }
        Step::RemoveSa { old } => {
            send(MessageType::Delete, &|header, buffer| message::delete(shown_sa(old), numbers, header, buffer));
        }
        Step::PutPolicy { policy } => {
            let kind = MessageType::SpdUpdate;
            send(kind, &|header, buffer| message::repeat(new_policy(policy), kind, header, buffer));
        }
        Step::SetAside { policy } => {
            let priority = wanted.policies.get(policy).map_or(0, |policy| policy.facts.priority).saturating_add(1);
            send(MessageType::SpdUpdate, &|header, buffer| {
                message::with_priority(new_policy(policy), priority, header, buffer)
            });
        }
        Step::RemovePolicy { old } => {
            send(MessageType::SpdDelete2, &|header, buffer| message::remove(shown_policy(old), header, buffer));
        }
    }
}

/// A group in execution.
struct Run<'p> {
    group: &'p [Step],
    /// Steps that failed, with the reasons.
    failures: Vec<(usize, String)>,
    deleted: HashMap<usize, Zeroizing<Vec<u8>>>,
    abi: Abi,
}

impl Run<'_> {
    fn send(&mut self, session: &mut Session, index: usize, kind: MessageType, write: Write<'_>) {
        let tag = Tag { step: index, ..Tag::default() };
        let sent = session.send(tag, write, &mut |view, tag, answer| self.answer(view, tag, answer));
        // BSD kernels report as an error of the call what Linux reports in an answer.
        if let Err(error) = sent {
            let errno = match &error {
                libpfkey::Error::System { source, .. } => source.raw_os_error(),
                _ => None,
            };
            match errno {
                Some(errno) if self.is_gone(errno, kind) => {}
                Some(errno) => self.failures.push((index, errno_words(errno, kind))),
                None => self.failures.push((index, error.to_string())),
            }
        }
    }

    fn answer(&mut self, view: &mut View, tag: &Tag, answer: Answer<'_>) {
        match answer {
            Answer::Reply(bytes) => {
                if let Some(Step::ReplaceSa { old, .. } | Step::RemoveSa { old }) = self.group.get(tag.step)
                    && peek_header(self.abi, bytes).is_ok_and(|header| header.message_type == MessageType::Delete)
                {
                    self.deleted.insert(*old, bytes.to_vec().into());
                }
                view.answer(self.abi, *tag, answer);
            }
            Answer::Confirmed => {
                // The SA is deleted, but its last state is not known.
                if let Some(Step::ReplaceSa { old, .. } | Step::RemoveSa { old }) = self.group.get(tag.step) {
                    self.deleted.entry(*old).or_default();
                }
            }
            Answer::Errno(errno, kind, _) if self.is_gone(errno, kind) => {}
            Answer::Errno(errno, kind, refusal) => {
                let text = refusal_text(self.abi, view.netlink, errno, kind, &refusal);
                self.failures.push((tag.step, text));
            }
            Answer::Lost(error) => self.failures.push((tag.step, error.to_string())),
        }
    }

    /// Returns whether the entry to be removed had already gone.
    fn is_gone(&self, errno: i32, kind: MessageType) -> bool {
        match kind {
            MessageType::Delete => matches!(errno, libc::ESRCH | libc::ENOENT),
            MessageType::SpdDelete2 if self.abi.dialect == Dialect::Linux => errno == libc::ENOENT,
            MessageType::SpdDelete2 => matches!(errno, libc::EINVAL | libc::ENOENT),
            _ => false,
        }
    }
}

/// Reports a failed step, at its statement if it has one.
fn tell(session: &mut Session, files: &[File], step: Step, present: &Present, wanted: &Wanted, text: &str) {
    let console = &mut session.view.console;
    let mut at = |place: Place, what: String| match files.get(place.file).filter(|_| place.line != 0) {
        Some(file) => {
            console.set_file(&file.name);
            console.kernel(place.line, text);
        }
        None => console.system(&format!("cannot restore {what}: {text}")),
    };
    match step {
        Step::AddSa { sa } | Step::ReplaceSa { sa, .. } | Step::UpdateSa { sa } => {
            if let Some(sa) = wanted.sas.get(sa) {
                at(sa.place, format!("the SA {}", sa.facts));
            }
        }
        Step::PutPolicy { policy } | Step::SetAside { policy } => {
            if let Some(policy) = wanted.policies.get(policy) {
                at(policy.place, format!("the policy {}", policy.name));
            }
        }
        Step::RemovePolicy { old } => {
            if let Some(policy) = present.policies.get(old) {
                console.system(&format!("cannot remove the policy {}: {text}", policy.name));
            }
        }
        Step::RemoveSa { old } => {
            if let Some(sa) = present.sas.get(old) {
                console.system(&format!("cannot remove the SA {}: {text}", sa.facts));
            }
        }
    }
}
