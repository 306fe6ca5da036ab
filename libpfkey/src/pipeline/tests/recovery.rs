//! Requests whose answers get lost.

use std::time::Instant;

use super::ABI;
use super::backends::{Scripted, Watched, echo, memory};
use super::run::{KEY, Outcome, Run, outcome, unanswered};
use crate::algorithm::Encryption;
use crate::backend::{ANSWER_TIMEOUT, Memory};
use crate::connection::Connection;
use crate::dialect::{Abi, Dialect};
use crate::num::{ExtensionType, MessageType, POLICY_IPSEC, POLICY_NONE, SaType};
use crate::pipeline::{Answer, Pipeline, SendMode};
use crate::request::{Encoding, Order, Request};
use crate::sa::{SaId, SaSpec, UdpEncapsulation};
use crate::wire::{Message, peek_header};

/// Loses the answer to each of some requests, with others before and behind, and returns what was said of them. An answer
/// that was overtaken is not waited for.
fn outcomes_of_dropped(prepare: impl FnOnce(&mut Run), dropped: impl FnOnce(&mut Run)) -> Vec<Outcome> {
    let (engine, handle) = memory();
    let mut run = Run::new(Box::new(Watched::new(*handle)), SendMode::Pipelined);
    prepare(&mut run);
    let outcomes = &mut run.outcomes;
    run.pipeline.finish(&mut |tag, answer| outcomes.push((*tag, outcome(answer))));
    let first = run.tags;
    engine.drop_next_replies(1);
    dropped(&mut run);
    let behind = run.tags;
    run.flush_ah();
    let outcomes = run.finish();
    assert!(outcomes.contains(&(behind, Outcome::Reply)), "{outcomes:?}");
    outcomes.into_iter().filter(|(tag, _)| (first..behind).contains(tag)).map(|(_, outcome)| outcome).collect()
}

#[test]
fn dropped_answers_are_asked_for() {
    assert_eq!(outcomes_of_dropped(|_| {}, |run| run.add(0x1001, KEY)), [Outcome::Confirmed]);
    assert_eq!(outcomes_of_dropped(|run| run.add(0x1001, KEY), |run| run.delete(0x1001)), [Outcome::Confirmed]);
    for kind in [POLICY_IPSEC, POLICY_NONE] {
        assert_eq!(outcomes_of_dropped(|_| {}, |run| run.spdadd(1, kind)), [Outcome::Confirmed]);
    }
    let there = |run: &mut Run| {
        run.spdadd(1, POLICY_IPSEC);
        run.spdadd(3, POLICY_IPSEC);
    };
    assert_eq!(outcomes_of_dropped(there, |run| run.spddelete(1)), [Outcome::Confirmed]);
    // Ids of Linux count up by 8, above the direction.
    assert_eq!(outcomes_of_dropped(there, |run| run.spddelete2(9)), [Outcome::Confirmed]);
}

#[test]
fn typed_requests_are_written_only_to_explain_them() {
    let (engine, handle) = memory();
    let backend = Watched::typed(*handle);
    let messages = backend.messages();
    let mut pipeline = Pipeline::new(Connection::new(Box::new(backend)), SendMode::Pipelined);
    let encoding = Encoding { order: Order::Setkey, ..Encoding::default() };
    let sa = SaSpec::esp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0x1001).encryption(Encryption::AesCbc, KEY);
    let request = Request::Add(sa.build().unwrap().into());
    let mut message = Vec::new();
    let mut seen = Vec::new();
    let mut on_answer = |tag: &u32, answer: Answer<'_>| {
        let request = if let Answer::Errno(_, _, refusal) = &answer { refusal.request.to_vec() } else { Vec::new() };
        seen.push((*tag, outcome(answer), request));
    };
    engine.drop_next_replies(1);
    for tag in 0..2 {
        let header = pipeline.next_request_header();
        request.encode(header, encoding, &mut message).unwrap();
        pipeline.submit_request(request.clone(), header, encoding, tag, &mut on_answer).unwrap();
    }
    pipeline.finish(&mut on_answer);
    let refused = Outcome::Errno(libc::EEXIST, MessageType::Add);
    assert_eq!(seen, [(1, refused, message), (0, Outcome::Confirmed, Vec::new())]);
    let types =
        messages.lock().unwrap().iter().map(|bytes| peek_header(ABI, bytes).unwrap().message_type).collect::<Vec<_>>();
    assert_eq!(types, [MessageType::Get], "only the look-up is a message");
}

#[test]
fn a_dropped_refusal_is_not_taken_for_success() {
    let there = |run: &mut Run| run.add(0x1001, KEY);
    assert_eq!(outcomes_of_dropped(there, |run| run.add(0x1001, b"another key of16")), [unanswered()]);
    let there = |run: &mut Run| run.spdadd(1, POLICY_IPSEC);
    assert_eq!(outcomes_of_dropped(there, |run| run.spdadd(1, POLICY_NONE)), [unanswered()]);
    // Of a flush nothing is left to tell by.
    assert_eq!(outcomes_of_dropped(|_| {}, Run::flush_ah), [unanswered()]);
}

#[test]
fn a_removal_by_id_that_was_refused_is_found_out() {
    let (engine, handle) = memory();
    let mut run = Run::new(Box::new(Watched::new(*handle)), SendMode::Pipelined);
    run.spdadd(1, POLICY_IPSEC);
    let outcomes = &mut run.outcomes;
    run.pipeline.finish(&mut |tag, answer| outcomes.push((*tag, outcome(answer))));
    engine.fail_next(MessageType::SpdDelete2, libc::ENOMEM);
    engine.drop_next_replies(1);
    run.spddelete2(1);
    run.flush_ah();
    let outcomes = run.finish();
    assert!(outcomes.contains(&(1, unanswered())), "{outcomes:?}");
}

#[test]
fn the_last_answer_dropped_is_asked_for_after_a_second() {
    for send_mode in [SendMode::Pipelined, SendMode::Sequential] {
        let (engine, handle) = memory();
        let mut run = Run::new(handle, send_mode);
        engine.drop_next_replies(1);
        let started = Instant::now();
        run.add(0x1001, KEY);
        assert_eq!(run.finish(), [(0, Outcome::Confirmed)]);
        assert!(started.elapsed() >= ANSWER_TIMEOUT);
    }
}

#[test]
fn lost_requests_do_not_pile_up() {
    let mut count = 0;
    let (backend, _) = Scripted::new(4, move |header, _| {
        count += 1;
        Ok(if count % 2 == 0 { vec![Ok(echo(header))] } else { vec![] })
    });
    let mut run = Run::new(backend, SendMode::Pipelined);
    for _ in 0..100 {
        run.flush().unwrap();
        assert!(run.pipeline.lost.len() <= 2 * 4 && run.pipeline.spare.len() <= 2 * 4);
    }
    let outcomes = run.finish();
    assert_eq!(outcomes.len(), 100);
    assert!(outcomes.iter().all(|(tag, outcome)| *outcome == if tag % 2 == 1 { Outcome::Reply } else { unanswered() }));
}

/// NetBSD finds an SA with UDP encapsulation by its ports, too, which it takes from extensions.
#[test]
fn a_lost_deletion_is_looked_up_with_the_ports() {
    let abi = Abi::of(Dialect::NetBsd);
    let engine = Memory::new(abi).unwrap();
    let backend = Watched::new(engine.another_handle().unwrap());
    let messages = backend.messages();
    let mut pipeline = Pipeline::new(Connection::new(Box::new(backend)), SendMode::Pipelined);
    let mut outcomes = Vec::new();
    let mut on_answer = |tag: &u32, answer: Answer<'_>| outcomes.push((*tag, outcome(answer)));
    let encapsulation = UdpEncapsulation::new(UdpEncapsulation::PORT, 62001);
    let sa = SaSpec::esp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0x1001)
        .encryption(Encryption::AesCbc, KEY)
        .encapsulation(encapsulation)
        .build()
        .unwrap();
    let mut id = sa.id;
    id.source.set_port(UdpEncapsulation::PORT);
    id.destination.set_port(62001);
    let requests = [Request::Add(sa.into()), Request::Delete(id), Request::Flush(SaType::Ah)];
    for (tag, request) in (0..).zip(requests) {
        let header = pipeline.next_request_header();
        if tag == 1 {
            // The flush behind overtakes the lost answer, so that it is not waited for.
            pipeline.finish(&mut on_answer);
            engine.drop_next_replies(1);
        }
        pipeline.submit_request(request, header, Encoding::default(), tag, &mut on_answer).unwrap();
    }
    pipeline.finish(&mut on_answer);
    assert_eq!(outcomes, [(0, Outcome::Reply), (2, Outcome::Reply), (1, Outcome::Confirmed)]);
    let messages = messages.lock().unwrap();
    let look_up = Message::parse(abi, messages.last().unwrap()).unwrap();
    assert_eq!(look_up.header.message_type, MessageType::Get);
    assert_eq!(look_up.natt_port(ExtensionType::NatTSport), Some(UdpEncapsulation::PORT));
    assert_eq!(look_up.natt_port(ExtensionType::NatTDport), Some(62001));
    assert_eq!(
        SaId::from_message(&look_up).unwrap(),
        SaId::new(SaType::Esp, [10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0x1001)
    );
}
