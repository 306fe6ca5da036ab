//! What was said before is said again: at any time, from anywhere, also while a job runs. And forgeries while a job runs do
//! not move the chain of IVs.
//!
//! Known defects: duplicates (the MD5 of packets, and while a job runs), a remote address that changes before
//! authentication, replayed message ids.

use std::net::SocketAddr;

use racoon_proto::num::{ExchangeType, NotifyType, PayloadType};
use racoon_proto::output::Transmit;
use racoon_proto::wire::Header;

use crate::dialogue::{Dialogue, Role};
use crate::puppet::Step;

/// Everything that was said is said again, so often that an answer is no longer repeated either.
fn say_all_again(dialogue: &mut Dialogue, times: usize) {
    let said = dialogue.said.clone();
    for (_, message) in said.iter().flat_map(|one| std::iter::repeat_n(one, times)) {
        dialogue.site.receive(message);
    }
}

/// Old messages of main and quick mode after all is done: nothing is negotiated again, and of the answers only the last one
/// of an exchange is repeated.
#[test]
fn a_whole_session_is_replayed() {
    for role in Role::BOTH {
        let mut dialogue = Dialogue::up(role);
        let before = dialogue.site.snapshot();
        let load = dialogue.site.engine.load();
        say_all_again(&mut dialogue, 100);
        assert_eq!(dialogue.site.snapshot(), before, "{role:?}\n{}", dialogue.site.story());
        assert_eq!(dialogue.site.engine.load(), load, "{role:?}");
        let sent = dialogue.site.sent.len();
        assert!(sent <= 12, "{role:?}: {sent} answers to {} messages", 100 * dialogue.said.len());
        // What is kept to answer duplicates is forgotten; replays are not new then either.
        dialogue.pass(120);
        dialogue.site.sent.clear();
        let before = dialogue.site.snapshot();
        say_all_again(&mut dialogue, 2);
        assert_eq!(dialogue.site.snapshot(), before, "{role:?}\n{}", dialogue.site.story());
        assert!(dialogue.site.is_up());
        dialogue.site.wind_up("after a replay");
    }
}

/// Message 1 of main mode may begin another exchange, as anybody's may; that one comes to nothing, and the one that there is
/// does not suffer.
#[test]
fn message_1_of_main_mode_after_phase_1_is_gone() {
    let mut dialogue = Dialogue::up(Role::Initiator);
    dialogue.pass(3700);
    assert_eq!(dialogue.site.phase1_states(), [0; 0], "{}", dialogue.site.story());
    say_all_again(&mut dialogue, 3);
    assert_eq!(dialogue.site.phase1_states(), [3], "message 3 of the old one does not fit the new cookie");
    assert!(dialogue.site.sas.is_empty());
    dialogue.site.wind_up("after a replay of message 1");
}

/// Message 1 of quick mode: the same again, after its phase 2 is gone, and under another message id.
#[test]
fn message_1_of_quick_mode_is_worth_nothing_twice() {
    let mut dialogue = Dialogue::up(Role::Initiator);
    let quick = |step: &(Step, Vec<u8>)| step.0 == Step::Quick1;
    let message = dialogue.said.iter().find(|said| quick(said)).expect("message 1").1.clone();
    // The peer deletes what came of it.
    dialogue.say(Step::Informational);
    assert!(dialogue.site.sas.is_empty());
    let before = dialogue.site.snapshot();
    for _ in 0..10 {
        dialogue.site.receive(&message);
        dialogue.pass(30);
    }
    assert_eq!(dialogue.site.snapshot(), before, "{}", dialogue.site.story());
    assert!(dialogue.site.larval.is_empty());
    assert!(dialogue.site.has_logged("was used before"), "{}", dialogue.site.story());
    // Another message id is another IV: it cannot be decrypted.
    let mut other = message;
    other[20] ^= 1;
    dialogue.site.receive(&other);
    assert_eq!(dialogue.site.snapshot(), before);
    dialogue.finish_anew("after replays of message 1");
    dialogue.site.wind_up("after replays of message 1");
}

/// Somebody sends each message of an initiator on, with a byte behind it, ahead of the initiator's own, and the answer is
/// lost: the initiator's own is a duplicate then, and the answer is repeated. An initiator takes such an answer.
#[test]
fn bytes_behind_a_message_do_not_cost_its_answer() {
    for role in Role::BOTH {
        for step in role.steps() {
            let what = format!("{role:?} {}", step.name());
            let mut dialogue = Dialogue::up_to(role, *step);
            let draft = dialogue.puppet.draft(*step);
            let message = dialogue.puppet.seal(&draft);
            dialogue.puppet.has_said(&draft, &message);
            dialogue.site.receive(&[message.as_slice(), &[0]].concat());
            if role == Role::Initiator {
                let lost = dialogue.site.sent.drain(..).collect::<Vec<_>>();
                dialogue.site.receive(&message);
                let bytes = |sent: &Transmit| sent.bytes.clone();
                let repeated = dialogue.site.sent.iter().map(bytes).collect::<Vec<_>>();
                assert_eq!(repeated, lost.iter().map(bytes).collect::<Vec<_>>(), "{what}");
            }
            dialogue.listen();
            match role.steps().iter().find(|next| **next > *step) {
                Some(next) => dialogue.finish(*next, &what),
                None => assert!(dialogue.site.is_up(), "{what}: {}", dialogue.site.story()),
            }
            dialogue.site.wind_up(&what);
        }
    }
}

/// A message id that an informational message had is not one for a quick mode, nor the other way round.
#[test]
fn message_ids_are_not_used_for_something_else() {
    let mut dialogue = Dialogue::up(Role::Initiator);
    let notify = dialogue.puppet.notify(NotifyType(9999), b"");
    let mut draft = dialogue.puppet.informational(vec![notify]);
    let message = dialogue.puppet.seal(&draft);
    dialogue.site.receive(&message);
    let before = dialogue.site.snapshot();
    dialogue.site.log.clear();
    // The very same body says something in another exchange.
    draft.header.exchange = ExchangeType::QUICK;
    let again = dialogue.puppet.seal(&draft);
    dialogue.site.receive(&again);
    assert_eq!(dialogue.site.snapshot(), before);
    assert!(dialogue.site.has_logged("was used before"), "{}", dialogue.site.story());
    // That of the quick mode.
    draft.header =
        Header { exchange: ExchangeType::INFORMATIONAL, message_id: dialogue.puppet.message_id, ..draft.header };
    draft.payloads = vec![
        (PayloadType::HASH, Vec::new()),
        (
            PayloadType::DELETE,
            crate::puppet::deletion(racoon_proto::num::Protocol::ESP, &[&dialogue.puppet.spi.to_be_bytes()]),
        ),
    ];
    dialogue.puppet.prove(&mut draft);
    let delete = dialogue.puppet.seal(&draft);
    dialogue.site.receive(&delete);
    assert!(dialogue.site.is_up(), "{}", dialogue.site.story());
    dialogue.say(Step::Informational);
    assert!(dialogue.site.sas.is_empty(), "a delete of its own is heeded");
    dialogue.site.wind_up("after message ids");
}

/// The message that is being worked on comes again, as do the ones before it: one job, one answer.
#[test]
fn duplicates_while_a_job_runs() {
    for role in Role::BOTH {
        for step in role.steps() {
            let mut dialogue = Dialogue::up_to(role, *step);
            dialogue.site.slow = true;
            let draft = dialogue.puppet.draft(*step);
            let message = dialogue.puppet.seal(&draft);
            dialogue.puppet.has_said(&draft, &message);
            dialogue.said.push((*step, message));
            say_all_again(&mut dialogue, 1);
            let jobs = dialogue.site.jobs();
            assert!(jobs <= 1, "{step:?}: {jobs} jobs");
            if jobs == 1 {
                say_all_again(&mut dialogue, 20);
                assert_eq!(dialogue.site.jobs(), 1, "{step:?}");
                // The answer before this one, as often as a message has transmissions.
                assert!(dialogue.site.sent.len() <= 5, "{step:?}: {}", dialogue.site.sent.len());
                dialogue.site.sent.clear();
                dialogue.site.work();
                assert_eq!(dialogue.site.sent.len(), 1, "{step:?}: one answer");
            }
            dialogue.site.slow = false;
            dialogue.site.work();
            dialogue.listen();
            if let Some(next) = role.steps().iter().find(|next| *next > step) {
                dialogue.finish(*next, "after duplicates");
            }
            assert!(dialogue.site.is_up(), "{step:?}\n{}", dialogue.site.story());
            dialogue.site.wind_up("after duplicates");
        }
    }
}

/// Forgeries of the next message while a job runs, and before it: encrypted noise in the honest peer's name. The chain of
/// IVs stays where it is.
#[test]
fn forgeries_do_not_move_the_chain() {
    for role in Role::BOTH {
        for step in role.steps() {
            let mut dialogue = Dialogue::up_to(role, *step).slow();
            forge(&mut dialogue);
            let draft = dialogue.puppet.draft(*step);
            dialogue.utter(&draft);
            let jobs = dialogue.site.jobs();
            forge(&mut dialogue);
            dialogue.site.slow = false;
            dialogue.site.work();
            // That of message 6 is for the quick mode that begins then.
            if jobs > 0 && *step != Step::Main6 {
                answers_again(&mut dialogue);
            }
            forge(&mut dialogue);
            dialogue.listen();
            if let Some(next) = role.steps().iter().find(|next| *next > step) {
                dialogue.finish(*next, "after forgeries");
            }
            assert!(dialogue.site.is_up(), "{step:?}\n{}", dialogue.site.story());
            dialogue.site.wind_up("after forgeries");
        }
    }
}

/// What was worked on is still known: when it comes again, its answer goes out again.
fn answers_again(dialogue: &mut Dialogue) {
    let (step, message) = dialogue.said.last().expect("something was said").clone();
    let answer = dialogue.site.sent.back().expect("an answer").clone();
    dialogue.site.receive(&message);
    assert_eq!(dialogue.site.sent.back(), Some(&answer), "{step:?}");
    assert_eq!(dialogue.site.sent.iter().filter(|sent| **sent == answer).count(), 2, "{step:?}");
}

/// Noise with the right header: encrypted messages of main mode, and of the quick mode that goes on.
fn forge(dialogue: &mut Dialogue) {
    let Some(cookies) = dialogue.site.engine.phase1s().next().map(|one| one.cookies) else { return };
    let quick = dialogue.site.engine.phase2s().next().map_or(dialogue.puppet.message_id, |one| one.message_id);
    for (exchange, message_id) in [(ExchangeType::MAIN, 0), (ExchangeType::QUICK, quick), (ExchangeType::QUICK, 99)] {
        for first in [PayloadType::HASH, PayloadType::ID] {
            for length in [16, 64, 240] {
                let mut header = Header::new(cookies, exchange, message_id);
                header.flags = racoon_proto::num::Flags::ENCRYPTED;
                header.next_payload = first;
                let message = [header.encode(length).as_slice(), &vec![0x5a; length]].concat();
                dialogue.site.receive(&message);
            }
        }
    }
}

/// The session is replayed from another address, or port: it is nobody's there, and the peer's phase 1 does not move.
#[test]
fn a_session_from_another_address() {
    for elsewhere in ["203.0.113.9:500", "192.0.2.2:4242"] {
        let elsewhere: SocketAddr = elsewhere.parse().expect("an address");
        for role in Role::BOTH {
            for step in role.steps().iter().filter(|step| **step != Step::Main1) {
                let mut dialogue = Dialogue::up_to(role, *step);
                let before = dialogue.site.snapshot();
                let draft = dialogue.puppet.draft(*step);
                let message = dialogue.puppet.seal(&draft);
                dialogue.site.receive_from(elsewhere, &message);
                assert_eq!(dialogue.site.snapshot(), before, "{step:?}\n{}", dialogue.site.story());
                assert!(dialogue.site.engine.phase1s().all(|one| one.remote == dialogue.puppet.address));
                dialogue.site.sent.clear();
                dialogue.finish(*step, "after a move");
                dialogue.site.wind_up("after a move");
            }
        }
    }
}
