//! Requests in flight and their outcomes.

mod backends;
mod dump;
mod recovery;
mod run;

use std::time::Duration;

use proptest::prelude::*;

use self::backends::{Item, Scripted, bare, echo, malformed, memory};
use self::run::{KEY, Outcome, Run, unanswered};
use super::SendMode;
use crate::dialect::{Abi, Dialect};
use crate::error::Error;
use crate::num::MessageType;

const ABI: Abi = Abi::of(Dialect::Linux);

#[test]
fn each_request_has_one_outcome_in_order() {
    for send_mode in [SendMode::Sequential, SendMode::Pipelined] {
        let mut run = Run::new(memory().1, send_mode);
        (0..1000).for_each(|number| run.add(0x1000 + number, KEY));
        let outcomes = run.finish();
        let expected: Vec<_> = (0..1000).map(|tag| (tag, Outcome::Reply)).collect();
        assert_eq!(outcomes, expected);
    }
}

#[test]
fn sequence_numbers_are_large_and_unique() {
    let (backend, log) = Scripted::new(128, |header, _| Ok(vec![Ok(echo(header))]));
    let mut run = Run::new(backend, SendMode::Pipelined);
    (0..500).for_each(|_| run.flush().unwrap());
    assert_eq!(run.finish().len(), 500);
    let mut seqs: Vec<_> = log.lock().unwrap().sent.iter().map(|header| header.seq).collect();
    assert!(seqs.iter().all(|seq| *seq >= 1 << 31), "{seqs:x?}");
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 500);
}

#[test]
fn sequence_numbers_go_round_above_2_to_the_31() {
    let (backend, log) = Scripted::new(4, |header, _| Ok(vec![Ok(echo(header))]));
    let mut run = Run::new(backend, SendMode::Pipelined);
    run.pipeline.next_seq = u32::MAX - 1;
    (0..4).for_each(|_| run.flush().unwrap());
    assert_eq!(run.finish().len(), 4);
    let seqs: Vec<_> = log.lock().unwrap().sent.iter().map(|header| header.seq).collect();
    assert_eq!(seqs, [u32::MAX - 1, u32::MAX, 1 << 31, (1 << 31) + 1]);
}

#[test]
fn one_by_one_is_with_sequence_number_0_and_waits() {
    let (backend, log) = Scripted::new(64, |header, _| Ok(vec![Ok(echo(header))]));
    let mut run = Run::new(backend, SendMode::Sequential);
    for number in 0..5 {
        run.flush().unwrap();
        assert_eq!(run.outcomes.len(), number + 1, "answered when submit returns");
    }
    let log = log.lock().unwrap();
    assert!(log.sent.iter().all(|header| header.seq == 0 && header.pid == std::process::id()));
    assert_eq!(log.most, 1);
}

#[test]
fn the_window_is_respected() {
    let (backend, log) = Scripted::new(8, |header, _| Ok(vec![Ok(echo(header))]));
    let mut run = Run::new(backend, SendMode::Pipelined);
    (0..100).for_each(|_| run.flush().unwrap());
    assert_eq!(run.finish().len(), 100);
    assert_eq!(log.lock().unwrap().most, 8);
}

#[test]
fn answers_out_of_order() {
    let mut held = Vec::new();
    let (backend, _) = Scripted::new(64, move |header, _| {
        held.push(Ok(echo(header)));
        Ok(if held.len() == 5 { held.drain(..).rev().collect() } else { vec![] })
    });
    let mut run = Run::new(backend, SendMode::Pipelined);
    (0..5).for_each(|_| run.flush().unwrap());
    let expected: Vec<_> = (0..5).rev().map(|tag| (tag, Outcome::Reply)).collect();
    assert_eq!(run.finish(), expected);
}

#[test]
fn strangers_noise_and_rubbish_answer_nothing() {
    let (backend, _) = Scripted::new(64, |header, _| {
        Ok(vec![
            Ok(bare(header, |other| other.pid ^= 1)),
            Ok(bare(header, |other| other.seq ^= 1 << 30)),
            Ok(bare(header, |other| other.message_type = MessageType::SpdFlush)),
            Ok(bare(header, |event| (event.message_type, event.seq, event.pid) = (MessageType::Expire, 0, 0))),
            malformed(),
            Ok(vec![2, 9]),
            Ok(echo(header)),
            Ok(echo(header)),
        ])
    });
    let mut run = Run::new(backend, SendMode::Pipelined);
    (0..3).for_each(|_| run.flush().unwrap());
    assert_eq!(run.finish(), [(0, Outcome::Reply), (1, Outcome::Reply), (2, Outcome::Reply)]);
}

#[test]
fn what_the_kernel_refuses() {
    let (engine, handle) = memory();
    engine.fail_next(MessageType::Add, libc::ENOBUFS);
    let mut run = Run::new(handle, SendMode::Pipelined);
    run.add(0x1001, KEY);
    run.add(0x1001, KEY);
    run.add(0x1001, KEY);
    run.delete(0x1002);
    assert_eq!(
        run.finish(),
        [
            (0, Outcome::Errno(libc::ENOBUFS, MessageType::Add)),
            (1, Outcome::Reply),
            (2, Outcome::Errno(libc::EEXIST, MessageType::Add)),
            (3, Outcome::Errno(libc::ESRCH, MessageType::Delete)),
        ]
    );
}

/// What came while this process was not looking has come in time, behind whatever else has come.
#[test]
fn an_answer_that_is_there_is_taken_however_late() {
    let (mut backend, _) = Scripted::new(4, |header, _| {
        let mut items: Vec<Item> = (0..100).map(|_| Ok(bare(header, |other| other.pid ^= 1))).collect();
        items.push(Ok(echo(header)));
        Ok(items)
    });
    backend.answer_timeout = Duration::ZERO;
    let mut run = Run::new(backend, SendMode::Pipelined);
    (0..3).for_each(|_| run.flush().unwrap());
    assert_eq!(run.finish(), [(0, Outcome::Reply), (1, Outcome::Reply), (2, Outcome::Reply)]);
}

#[test]
fn noise_without_end_is_no_answer() {
    let count = 1 << 17;
    let (mut backend, _) = Scripted::new(4, move |header, _| {
        let noise = bare(header, |other| other.pid ^= 1);
        Ok((0..count).map(|_| Ok(noise.clone())).chain([Ok(echo(header))]).collect())
    });
    backend.answer_timeout = Duration::ZERO;
    let mut run = Run::new(backend, SendMode::Pipelined);
    run.flush().unwrap();
    assert_eq!(run.finish(), [(0, unanswered())]);
}

#[test]
fn a_backend_that_refuses_a_request() {
    let mut count = 0;
    let (backend, _) = Scripted::new(4, move |header, _| {
        count += 1;
        if count == 2 { Err(Error::system("send", nix::errno::Errno::ENOBUFS)) } else { Ok(vec![Ok(echo(header))]) }
    });
    let mut run = Run::new(backend, SendMode::Pipelined);
    run.flush().unwrap();
    assert_eq!(run.flush().unwrap_err().to_string(), "send: No buffer space available");
    run.flush().unwrap();
    assert_eq!(run.finish(), [(0, Outcome::Reply), (2, Outcome::Reply)]);
}

#[test]
fn a_backend_that_closes() {
    let closed = || Err(Error::system("recv", nix::errno::Errno::ECONNRESET));
    let (backend, _) = Scripted::new(4, move |_, _| Ok(vec![closed()]));
    let mut run = Run::new(backend, SendMode::Pipelined);
    (0..3).for_each(|_| run.flush().unwrap());
    let lost = Outcome::Lost("recv: Connection reset by peer".into());
    assert_eq!(run.finish(), [(0, lost.clone()), (1, lost.clone()), (2, lost)]);
}

/// Treatment of one request of a batch.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    Dropped,
    Refused,
    Twice,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is lost, doubled, delayed or mixed: one outcome for each request, and the right one.
    #[test]
    fn no_outcome_is_lost_or_doubled(
        fates in prop::collection::vec(
            prop::sample::select(vec![Fate::Answered, Fate::Dropped, Fate::Refused, Fate::Twice]),
            1..60,
        ),
        batch in 1usize..16,
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut number = 0;
        let script = fates.clone();
        let mut held: Vec<Item> = Vec::new();
        let (backend, _) = Scripted::new(64, move |header, _| {
            let fate = script.get(number).copied().unwrap_or(Fate::Answered);
            let place = swaps.get(number).map_or(0, |swap| swap.index(held.len() + 1));
            number += 1;
            let refusal = || bare(header, |answer| answer.errno = 1);
            match fate {
                Fate::Answered => held.insert(place, Ok(echo(header))),
                Fate::Dropped => {}
                Fate::Refused => held.insert(place, Ok(refusal())),
                Fate::Twice => held.extend([Ok(echo(header)), Ok(echo(header))]),
            }
            // Batches end with an answer, so that no second is waited for.
            let last = number % batch == 0 || number >= script.len();
            if last { held.push(Ok(echo(header))); }
            Ok(if last { std::mem::take(&mut held) } else { vec![] })
        });
        let mut run = Run::new(backend, SendMode::Pipelined);
        for _ in &fates {
            run.flush().unwrap();
        }
        let mut outcomes = run.finish();
        outcomes.sort_by_key(|(tag, _)| *tag);
        prop_assert_eq!(outcomes.len(), fates.len());
        for ((tag, outcome), (number, fate)) in outcomes.iter().zip(fates.iter().enumerate()) {
            prop_assert_eq!(*tag as usize, number);
            let last = (number + 1) % batch == 0 || number + 1 == fates.len();
            match fate {
                Fate::Answered | Fate::Twice => prop_assert_eq!(outcome, &Outcome::Reply),
                Fate::Refused => prop_assert_eq!(outcome, &Outcome::Errno(libc::EPERM, MessageType::Flush)),
                Fate::Dropped if last => prop_assert_eq!(outcome, &Outcome::Reply),
                Fate::Dropped => prop_assert_eq!(outcome, &unanswered()),
            }
        }
    }
}
