//! Requests with many answers.

use std::time::Duration;

use super::backends::{Scripted, bare, malformed, memory};
use super::run::{KEY, Outcome, Run, outcome, unanswered};
use crate::num::MessageType;
use crate::pipeline::{Answer, SendMode};

#[test]
fn a_dump_comes_behind_what_was_sent_before() {
    let mut run = Run::new(memory().1, SendMode::Pipelined);
    assert_eq!(run.dump(), [Outcome::Errno(libc::ENOENT, MessageType::Dump)]);
    run.add(0x1001, KEY);
    run.add(0x1002, KEY);
    assert_eq!(run.dump(), [Outcome::Reply, Outcome::Reply]);
    assert_eq!(run.finish(), [(0, Outcome::Reply), (1, Outcome::Reply)]);
}

#[test]
fn a_dump_with_noise_inside() {
    let (backend, _) = Scripted::new(4, |header, _| {
        let entry = |seq| Ok(bare(header, |entry| entry.seq = seq));
        Ok(vec![
            Ok(bare(header, |other| (other.pid, other.seq) = (1, 0))),
            entry(2),
            Ok(bare(header, |event| event.message_type = MessageType::Expire)),
            entry(1),
            malformed(),
            entry(0),
            entry(5),
        ])
    });
    let mut run = Run::new(backend, SendMode::Pipelined);
    let lost = outcome(Answer::Lost(malformed().unwrap_err()));
    assert_eq!(run.dump(), [Outcome::Reply, Outcome::Reply, lost, Outcome::Reply]);
}

#[test]
fn a_dump_that_ends_early() {
    let (mut backend, _) = Scripted::new(4, |header, _| Ok(vec![Ok(bare(header, |entry| entry.seq = 7))]));
    backend.answer_timeout = Duration::from_millis(10);
    let mut run = Run::new(backend, SendMode::Pipelined);
    assert_eq!(run.dump(), [Outcome::Reply, unanswered()]);
}
