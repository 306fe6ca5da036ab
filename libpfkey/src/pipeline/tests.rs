use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{Answer, Pipeline, SendMode};
use crate::algorithm::Encryption;
use crate::backend::{ANSWER_TIMEOUT, Backend, Memory};
use crate::connection::Connection;
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::num::{DIR_OUT, LEVEL_REQUIRE, MODE_TRANSPORT, MessageType, POLICY_IPSEC, POLICY_NONE, SaFlags, SaType};
use crate::request::{self, Encoding, Order, Request, RequestHeader, SaRequest, SpdRequest};
use crate::sa::{SaId, SaSpec};
use crate::strerror::Code;
use crate::wire::{Header, IpsecRequest, Lifetime, Policy, SockAddr, peek_header, replace_header};

const ABI: Abi = Abi::of(Dialect::Linux);

/// Result of a scripted backend.
type Item = Result<Vec<u8>>;

/// A backend that answers each request as a test prescribes.
struct Scripted<F> {
    script: F,
    waiting: VecDeque<Item>,
    /// Never readable: all there is to receive is there when `send` returns.
    quiet: (UnixStream, UnixStream),
    window: usize,
    log: Arc<Mutex<Log>>,
    answer_timeout: Duration,
}

#[derive(Debug, Default)]
struct Log {
    sent: Vec<Header>,
    under_way: usize,
    most: usize,
}

/// Waiting so long is as good as hanging.
const FOREVER: Duration = Duration::from_secs(3600);

impl<F: FnMut(Header, &[u8]) -> Result<Vec<Item>> + Send> Scripted<F> {
    fn new(window: usize, script: F) -> (Box<Self>, Arc<Mutex<Log>>) {
        let log = Arc::<Mutex<Log>>::default();
        let quiet = UnixStream::pair().unwrap();
        let backend =
            Self { script, waiting: VecDeque::new(), quiet, window, log: Arc::clone(&log), answer_timeout: FOREVER };
        (Box::new(backend), log)
    }
}

impl<F> fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scripted")
    }
}

impl<F: FnMut(Header, &[u8]) -> Result<Vec<Item>> + Send> Backend for Scripted<F> {
    fn abi(&self) -> Abi {
        ABI
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.quiet.0.as_fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let header = peek_header(ABI, message)?;
        self.waiting.extend((self.script)(header, message)?);
        let mut log = self.log.lock().unwrap();
        log.sent.push(header);
        log.under_way += 1;
        log.most = log.most.max(log.under_way);
        Ok(())
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        let Some(item) = self.waiting.pop_front() else { return Ok(None) };
        let bytes = item?;
        let mut log = self.log.lock().unwrap();
        log.under_way = log.under_way.saturating_sub(1);
        let place = &mut buffer[..bytes.len()];
        place.copy_from_slice(&bytes);
        Ok(Some(place))
    }

    fn window(&self) -> usize {
        self.window
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        Ok(kib)
    }

    fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }
}

/// An engine whose answers may take for ever.
#[derive(Debug)]
struct Slow(Memory);

impl Backend for Slow {
    fn abi(&self) -> Abi {
        self.0.abi()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.send(message)
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        self.0.recv(buffer)
    }

    fn window(&self) -> usize {
        self.0.window()
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.0.set_receive_buffer(kib)
    }

    fn answer_timeout(&self) -> Duration {
        FOREVER
    }
}

/// An engine that takes typed requests.
#[derive(Debug)]
struct Typed(Memory);

impl Backend for Typed {
    fn abi(&self) -> Abi {
        self.0.abi()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        assert_eq!(peek_header(ABI, message)?.message_type, MessageType::Get, "only the look-up is a message");
        self.0.send(message)
    }

    fn submit(&mut self, request: &Request, header: RequestHeader) -> Result<()> {
        self.0.submit(request, header)
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        self.0.recv(buffer)
    }

    fn window(&self) -> usize {
        self.0.window()
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.0.set_receive_buffer(kib)
    }

    fn has_xfrm_extensions(&self) -> bool {
        true
    }
}

/// A bare header back.
fn bare(header: Header, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header { words: 2, ..header };
    change(&mut header);
    let mut bytes = vec![0; 16];
    replace_header(ABI, &mut bytes, &header).unwrap();
    bytes
}

fn echo(header: Header) -> Vec<u8> {
    bare(header, |_| {})
}

fn malformed() -> Item {
    Err(Error::Malformed { code: Code::InvalidMessage, what: "a test", offset: 0 })
}

/// An outcome that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Reply,
    Errno(i32, MessageType),
    Confirmed,
    Lost(String),
}

fn outcome(answer: Answer<'_>) -> Outcome {
    match answer {
        Answer::Reply(_) => Outcome::Reply,
        Answer::Errno(errno, message_type, _) => Outcome::Errno(errno, message_type),
        Answer::Confirmed => Outcome::Confirmed,
        Answer::Lost(error) => Outcome::Lost(error.to_string()),
    }
}

fn unanswered() -> Outcome {
    Outcome::Lost("no answer from the kernel".into())
}

/// A pipeline, and what it reported.
struct Run {
    pipeline: Pipeline<u32>,
    outcomes: Vec<(u32, Outcome)>,
    tags: u32,
}

impl Run {
    fn new(backend: Box<dyn Backend>, send_mode: SendMode) -> Self {
        let pipeline = Pipeline::new(Connection::new(backend), send_mode);
        Self { pipeline, outcomes: Vec::new(), tags: 0 }
    }

    fn submit(&mut self, write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> Result<()>) -> Result<()> {
        let mut bytes = self.pipeline.buffer();
        assert!(bytes.is_empty(), "an emptied buffer");
        write(self.pipeline.next_request_header(), &mut bytes)?;
        let outcomes = &mut self.outcomes;
        let tag = self.tags;
        self.tags += 1;
        self.pipeline.submit(bytes, tag, &mut |tag, answer| outcomes.push((*tag, outcome(answer))))
    }

    fn flush(&mut self) -> Result<()> {
        self.submit(|header, bytes| request::flush(header, SaType::Esp, bytes))
    }

    fn add(&mut self, spi: u32, key: &[u8]) {
        self.submit(|header, bytes| request::add(header, &sa(spi, key), bytes)).unwrap();
    }

    fn delete(&mut self, spi: u32) {
        let ip = |end: SockAddr| end.ip().unwrap();
        let name = SaId::new(SaType::Esp, ip(end(1)), ip(end(2)), spi);
        self.submit(|header, bytes| request::delete(header, &name, bytes)).unwrap();
    }

    fn dump(&mut self) -> Vec<Outcome> {
        let mut bytes = Zeroizing::new(Vec::new());
        request::dump(self.pipeline.next_request_header(), SaType::Unspec, &mut bytes).unwrap();
        let (outcomes, mut dumped) = (&mut self.outcomes, Vec::new());
        let mut on_answer = |tag: &u32, answer: Answer<'_>| match *tag {
            u32::MAX => dumped.push(outcome(answer)),
            tag => outcomes.push((tag, outcome(answer))),
        };
        self.pipeline.dump(&bytes, &u32::MAX, &mut on_answer).unwrap();
        dumped
    }

    fn finish(mut self) -> Vec<(u32, Outcome)> {
        let outcomes = &mut self.outcomes;
        self.pipeline.finish(&mut |tag, answer| outcomes.push((*tag, outcome(answer))));
        self.outcomes
    }
}

fn end(last: u8) -> SockAddr {
    SockAddr::Inet(([10, 0, 0, last], 0).into())
}

fn sa(spi: u32, key: &[u8]) -> SaRequest<'_> {
    SaRequest {
        sa_type: SaType::Esp,
        mode: MODE_TRANSPORT,
        source: end(1),
        destination: end(2),
        spi,
        reqid: 0,
        window: 4,
        encrypt: (12, key),
        auth: (0, &[]),
        flags: SaFlags::empty(),
        hard: Lifetime::default(),
        soft: Lifetime::default(),
        natt: None,
        context: None,
    }
}

fn policy(last: u8, kind: u16) -> SpdRequest {
    let step = IpsecRequest { proto: 50, mode: MODE_TRANSPORT, level: LEVEL_REQUIRE, reqid: 0, endpoints: None };
    let requests = if kind == POLICY_IPSEC { vec![step] } else { Vec::new() };
    SpdRequest {
        source: end(last),
        source_prefix: 32,
        destination: end(2),
        destination_prefix: 32,
        proto: 255,
        lifetime: 0,
        validtime: 0,
        policy: Policy { kind, direction: DIR_OUT, scope: 0, id: 0, priority: 0, requests },
    }
}

fn memory() -> (Memory, Box<Memory>) {
    let memory = Memory::new(ABI).unwrap();
    let handle = memory.another_handle().unwrap();
    (memory, Box::new(handle))
}

const KEY: &[u8] = b"sixteen byte key";

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

/// Loses the answer to each of some requests, with others before and behind, and returns what was said of them. An answer
/// that was overtaken is not waited for.
fn outcomes_of_dropped(prepare: impl FnOnce(&mut Run), dropped: impl FnOnce(&mut Run)) -> Vec<Outcome> {
    let (engine, handle) = memory();
    let mut run = Run::new(Box::new(Slow(*handle)), SendMode::Pipelined);
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

impl Run {
    /// A request that disturbs none of the others.
    fn flush_ah(&mut self) {
        self.submit(|header, bytes| request::flush(header, SaType::Ah, bytes)).unwrap();
    }

    fn spdadd(&mut self, last: u8, kind: u16) {
        self.submit(|header, bytes| request::spdadd(header, &policy(last, kind), bytes)).unwrap();
    }

    fn spddelete2(&mut self, id: u32) {
        self.submit(|header, bytes| request::spddelete2(header, id, bytes)).unwrap();
    }

    fn spddelete(&mut self, last: u8) {
        let policy = policy(last, POLICY_NONE);
        self.submit(|header, bytes| request::spddelete(header, &policy, bytes)).unwrap();
    }
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
    let mut pipeline = Pipeline::new(Connection::new(Box::new(Typed(*handle))), SendMode::Pipelined);
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
    let mut run = Run::new(Box::new(Slow(*handle)), SendMode::Pipelined);
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
