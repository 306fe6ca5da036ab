//! A pipeline whose outcomes can be compared.

use zeroize::Zeroizing;

use crate::backend::Backend;
use crate::connection::Connection;
use crate::error::Result;
use crate::num::{DIR_OUT, LEVEL_REQUIRE, MODE_TRANSPORT, MessageType, POLICY_IPSEC, POLICY_NONE, SaFlags, SaType};
use crate::pipeline::{Answer, Pipeline, SendMode};
use crate::request::{self, RequestHeader, SaRequest, SpdRequest};
use crate::sa::SaId;
use crate::wire::{IpsecRequest, Lifetime, Policy, SockAddr};

/// An outcome that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Reply,
    Errno(i32, MessageType),
    Confirmed,
    Lost(String),
}

pub(super) fn outcome(answer: Answer<'_>) -> Outcome {
    match answer {
        Answer::Reply(_) => Outcome::Reply,
        Answer::Errno(errno, message_type, _) => Outcome::Errno(errno, message_type),
        Answer::Confirmed => Outcome::Confirmed,
        Answer::Lost(error) => Outcome::Lost(error.to_string()),
    }
}

pub(super) fn unanswered() -> Outcome {
    Outcome::Lost("no answer from the kernel".into())
}

/// A pipeline, and what it reported.
pub(super) struct Run {
    pub(super) pipeline: Pipeline<u32>,
    pub(super) outcomes: Vec<(u32, Outcome)>,
    pub(super) tags: u32,
}

impl Run {
    pub(super) fn new(backend: Box<dyn Backend>, send_mode: SendMode) -> Self {
        let pipeline = Pipeline::new(Connection::new(backend), send_mode);
        Self { pipeline, outcomes: Vec::new(), tags: 0 }
    }

    pub(super) fn submit(&mut self, write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> Result<()>) -> Result<()> {
        let mut bytes = self.pipeline.buffer();
        assert!(bytes.is_empty(), "an emptied buffer");
        write(self.pipeline.next_request_header(), &mut bytes)?;
        let outcomes = &mut self.outcomes;
        let tag = self.tags;
        self.tags += 1;
        self.pipeline.submit(bytes, tag, &mut |tag, answer| outcomes.push((*tag, outcome(answer))))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.submit(|header, bytes| request::flush(header, SaType::Esp, bytes))
    }

    pub(super) fn add(&mut self, spi: u32, key: &[u8]) {
        self.submit(|header, bytes| request::add(header, &sa(spi, key), bytes)).unwrap();
    }

    pub(super) fn delete(&mut self, spi: u32) {
        let ip = |end: SockAddr| end.ip().unwrap();
        let name = SaId::new(SaType::Esp, ip(end(1)), ip(end(2)), spi);
        self.submit(|header, bytes| request::delete(header, &name, bytes)).unwrap();
    }

    pub(super) fn dump(&mut self) -> Vec<Outcome> {
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

    /// A request that disturbs none of the others.
    pub(super) fn flush_ah(&mut self) {
        self.submit(|header, bytes| request::flush(header, SaType::Ah, bytes)).unwrap();
    }

    pub(super) fn spdadd(&mut self, last: u8, kind: u16) {
        self.submit(|header, bytes| request::spdadd(header, &policy(last, kind), bytes)).unwrap();
    }

    pub(super) fn spddelete2(&mut self, id: u32) {
        self.submit(|header, bytes| request::spddelete2(header, id, bytes)).unwrap();
    }

    pub(super) fn spddelete(&mut self, last: u8) {
        let policy = policy(last, POLICY_NONE);
        self.submit(|header, bytes| request::spddelete(header, &policy, bytes)).unwrap();
    }

    pub(super) fn finish(mut self) -> Vec<(u32, Outcome)> {
        let outcomes = &mut self.outcomes;
        self.pipeline.finish(&mut |tag, answer| outcomes.push((*tag, outcome(answer))));
        self.outcomes
    }
}

pub(super) fn end(last: u8) -> SockAddr {
    SockAddr::Inet(([10, 0, 0, last], 0).into())
}

pub(super) fn sa(spi: u32, key: &[u8]) -> SaRequest<'_> {
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

pub(super) fn policy(last: u8, kind: u16) -> SpdRequest {
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

pub(super) const KEY: &[u8] = b"sixteen byte key";
