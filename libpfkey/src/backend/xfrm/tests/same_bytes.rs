//! A typed request, and the PF_KEY message that [`Request::encode`] writes of it, become the same netlink bytes.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::reader;
use crate::algorithm::{Authentication, Compression, Encryption};
use crate::backend::xfrm::layout::{Addr, Algo, INET, Id, PolicyInfo, State, XfrmSelector, XfrmTemplate};
use crate::backend::xfrm::netlink::{Heading, next_frame, push_attribute, push_frame, push_mark};
use crate::backend::xfrm::numbers::{attribute, flag, message};
use crate::backend::xfrm::session::{Session, Transport};
use crate::backend::xfrm::{send, submit};
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{SaFlags, SaType};
use crate::policy::{Action, Direction, Level};
use crate::request::{Encoding, Request, RequestHeader, SpiSpec};
use crate::sa::{Keyed, Lifetimes, Mode, Replay, SaId, SaSpec, SecurityLabel, UdpEncapsulation};
use crate::secret_key::SecretKey;
use crate::security_policy::{PolicyId, PolicySpec, Template};
use crate::selector::{Selector, SelectorAddress};
use crate::wire::writer::Writer;
use crate::wire::{Lifetime, XfrmAuthTrunc, XfrmMark, XfrmOffload};

const PORT: u32 = 0x8000_0001;
pub(super) const HEADER: RequestHeader = RequestHeader { abi: Abi::HOST, pid: 100, seq: 7 };
const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";

/// Records what is sent, and answers dumps as a kernel with a few SAs and policies does.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) joined: Vec<u32>,
    pub(super) answers: VecDeque<Vec<u8>>,
    last: Vec<u8>,
}

impl Transport for Recording {
    fn port(&self) -> u32 {
        PORT
    }

    fn leave(&mut self, group: u32) -> Result<()> {
        self.joined.retain(|joined| *joined != group);
        Ok(())
    }

    fn join(&mut self, group: u32) -> Result<()> {
        self.joined.push(group);
        Ok(())
    }

    fn send(&mut self, batch: &[u8]) -> Result<()> {
        self.sent.push(batch.to_vec());
        let mut frames = reader(batch);
        while let Some(request) = next_frame(&mut frames)? {
            if request.flags & flag::DUMP != flag::DUMP {
                continue;
            }
            match request.kind {
                message::GETSA => (1..=3).for_each(|spi| self.answers.push_back(shown_sa(request.seq, spi))),
                _ => self.answers.push_back(shown_policy(request.seq)),
            }
            self.answers.push_back(frame(message::DONE, request.seq, |writer| writer.u32(0)));
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<&[u8]>> {
        let Some(next) = self.answers.pop_front() else { return Ok(None) };
        self.last = next;
        Ok(Some(&self.last))
    }
}

pub(super) fn frame(kind: u16, seq: u32, body: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_frame(&mut bytes, Heading { kind, flags: flag::MULTI, seq, pid: PORT }, |writer| {
        body(writer);
        Ok(())
    })
    .unwrap();
    bytes
}

/// An SA between the two hosts; every other one has a mark.
fn shown_sa(seq: u32, spi: u32) -> Vec<u8> {
    let [source, destination] = [HERE, THERE].map(|host| Addr::of(ip(host)));
    let state = State { family: INET, source, id: Id { destination, spi, proto: 50 }, ..State::default() };
    frame(message::NEWSA, seq, |writer| {
        state.emit(writer);
        let cipher = Algo { name: b"cipher_null", key_bits: 0, icv_bits: None, key: &[] };
        push_attribute(writer, attribute::ALG_CRYPT, |contents| cipher.emit(contents)).unwrap();
        push_mark(writer, (spi % 2 == 1).then_some(XfrmMark { value: spi, mask: 0xff })).unwrap();
    })
}

/// A policy that uses the first reqid of those that the kernel chooses.
fn shown_policy(seq: u32) -> Vec<u8> {
    shown_policy_with(seq, 16_384)
}

pub(super) fn shown_policy_with(seq: u32, reqid: u32) -> Vec<u8> {
    let selector = XfrmSelector { family: INET, ..XfrmSelector::default() };
    frame(message::NEWPOLICY, seq, |writer| {
        PolicyInfo { selector, index: 8, ..PolicyInfo::default() }.emit(writer);
        let template = XfrmTemplate { family: INET, reqid, ..XfrmTemplate::default() };
        push_attribute(writer, attribute::TMPL, |contents| template.emit(contents)).unwrap();
    })
}

/// What a request led to.
#[derive(Debug, PartialEq)]
struct Effect {
    /// The error of the call.
    error: Option<String>,
    /// Datagrams to the kernel.
    sent: Vec<Vec<u8>>,
    joined: Vec<u32>,
    /// PF_KEY messages for the caller.
    replies: Vec<Vec<u8>>,
}

fn effect(mut session: Session<Recording>, outcome: Result<()>) -> Effect {
    session.flush();
    let mut buffer = vec![0; 1 << 16];
    let mut replies = Vec::new();
    while let Some(reply) = session.recv(&mut buffer).unwrap() {
        replies.push(reply.to_vec());
    }
    let Recording { sent, joined, .. } = session.transport;
    Effect { error: outcome.err().map(|error| error.to_string()), sent, joined, replies }
}

fn by_submit(request: &Request) -> Effect {
    let mut session = Session::new(Recording::default());
    let outcome = submit(&mut session, request, HEADER);
    effect(session, outcome)
}

fn by_bytes(request: &Request) -> Effect {
    let mut session = Session::new(Recording::default());
    let encoding = Encoding { xfrm_extensions: true, ..Encoding::default() };
    let mut bytes = Vec::new();
    let outcome = request.encode(HEADER, encoding, &mut bytes).and_then(|()| send(&mut session, &bytes));
    effect(session, outcome)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Few addresses, so that most pairs are of one family.
fn address() -> impl Strategy<Value = SocketAddr> {
    let host = prop_oneof![6 => select(&[HERE, THERE, "0.0.0.0"][..]), 1 => Just("2001:db8::1")];
    (host, select(&[0_u16, 500, 4500][..])).prop_map(|(host, port)| SocketAddr::new(ip(host), port))
}

fn sa_type() -> impl Strategy<Value = SaType> {
    let named = [SaType::Unspec, SaType::Ah, SaType::IpComp, SaType::TcpSignature, SaType::Mip];
    prop_oneof![4 => Just(SaType::Esp), 3 => select(named.to_vec()), 1 => (0_u8..12).prop_map(SaType::Other)]
}

fn mark() -> impl Strategy<Value = Option<XfrmMark>> {
    option::of(any::<(u32, u32)>().prop_map(|(value, mask)| XfrmMark { value, mask }))
}

fn id() -> impl Strategy<Value = SaId> {
    (sa_type(), address(), address(), any::<u32>(), mark()).prop_map(|(sa_type, source, destination, spi, mark)| {
        let named = SaId::new(sa_type, source.ip(), destination.ip(), spi);
        SaId { source, destination, mark, ..named }
    })
}

fn keyed<A: Clone + std::fmt::Debug>(algorithm: impl Strategy<Value = A>) -> impl Strategy<Value = Option<Keyed<A>>> {
    let key = option::of(prop::collection::vec(any::<u8>(), 0..70));
    option::of((algorithm, key).prop_map(|(algorithm, key)| Keyed { algorithm, key: key.map(SecretKey::from) }))
}

fn encryption() -> impl Strategy<Value = Encryption> {
    prop_oneof![select(Encryption::ALL), any::<u8>().prop_map(|number| Encryption::from_number(Dialect::Linux, number))]
}

fn authentication() -> impl Strategy<Value = Authentication> {
    let any_number = any::<u8>().prop_map(|number| Authentication::from_number(Dialect::Linux, number));
    prop_oneof![select(Authentication::ALL), any_number]
}

fn limits() -> impl Strategy<Value = Option<Lifetime>> {
    option::of(any::<(u32, u64, u64, u64)>().prop_map(|(allocations, bytes, addtime, usetime)| Lifetime {
        allocations,
        bytes,
        addtime,
        usetime,
    }))
}

fn encapsulation() -> impl Strategy<Value = Option<UdpEncapsulation>> {
    let fragment = prop_oneof![4 => Just(0), 1 => any::<u16>()];
    let parts = (any::<(u16, u16)>(), option::of(address()), fragment);
    option::of(parts.prop_map(|((source, destination), original_address, fragment)| UdpEncapsulation {
        original_address,
        fragment,
        ..UdpEncapsulation::new(source, destination)
    }))
}

fn label() -> impl Strategy<Value = Option<SecurityLabel>> {
    let text = prop::collection::vec(any::<u8>(), 0..40);
    option::of((any::<(u8, u8)>(), text).prop_map(|((algorithm, doi), text)| SecurityLabel { algorithm, doi, text }))
}

fn sa() -> impl Strategy<Value = Box<SaSpec>> {
    let algorithms = (keyed(encryption()), keyed(authentication()), option::of(select(Compression::ALL)));
    let numbers = (0_u8..5, any::<u32>(), 0_u32..5000, any::<bool>(), any::<u32>());
    let parts = (limits(), limits(), encapsulation(), label(), option::of((address(), 0_u8..140)));
    let netlink = (mark(), option::of(any::<u32>()), any::<Option<(u32, bool)>>(), any::<Option<(u32, u32)>>());
    (id(), algorithms, numbers, parts, netlink).prop_map(|(id, algorithms, numbers, parts, netlink)| {
        let (encryption, authentication, compression) = algorithms;
        let (mode, reqid, window, esn, flags) = numbers;
        let (hard, soft, encapsulation, label, inner_source) = parts;
        let (output_mark, if_id, auth_trunc, offload) = netlink;
        Box::new(SaSpec {
            mode: Mode::from(mode),
            reqid,
            encryption,
            authentication,
            compression,
            replay: Replay { window, esn },
            flags: SaFlags::from_bits_retain(flags),
            lifetimes: Lifetimes { hard, soft },
            encapsulation,
            label,
            inner_source: inner_source.map(|(address, prefix)| (address.ip(), prefix)),
            output_mark,
            if_id,
            auth_trunc: auth_trunc.map(|(icv_bits, align4)| XfrmAuthTrunc { icv_bits, align4 }),
            offload: offload.map(|(interface, flags)| XfrmOffload { interface, flags }),
            ..SaSpec::new(id)
        })
    })
}

fn spi() -> impl Strategy<Value = SpiSpec> {
    let parts = (0_u8..5, any::<u32>(), option::of(any::<(u16, u32)>()), encapsulation());
    (id(), parts).prop_map(|(id, (mode, reqid, range, encapsulation))| SpiSpec {
        source: id.source,
        destination: id.destination,
        mode: mode.into(),
        reqid,
        range: range.map(|(min, max)| u32::from(min)..=max),
        encapsulation,
        ..SpiSpec::new(id.sa_type, id.source.ip(), id.destination.ip())
    })
}

fn policy_id() -> impl Strategy<Value = PolicyId> {
    let end = || (address(), 0_u8..34).prop_map(|(address, prefix_len)| SelectorAddress { address, prefix_len });
    let direction = select(&[Direction::In, Direction::Out, Direction::Forward][..]);
    (end(), end(), any::<u8>(), direction, label(), mark(), any::<Option<u32>>()).prop_map(
        |(source, destination, protocol, direction, label, mark, if_id)| {
            let selector = Selector::new(source, destination).protocol(protocol);
            PolicyId { label, mark, if_id, ..PolicyId::new(selector, direction) }
        },
    )
}

fn template() -> impl Strategy<Value = Template> {
    let reqid = prop_oneof![Just(0), any::<u32>()];
    let level = prop_oneof![select(&[Level::Default, Level::Use, Level::Require][..]), reqid.prop_map(Level::Unique),];
    (sa_type(), 0_u8..5, level, option::of((address(), address()))).prop_map(|(sa_type, mode, level, endpoints)| {
        Template { mode: mode.into(), endpoints, ..Template::transport(sa_type, level) }
    })
}

fn policy() -> impl Strategy<Value = Box<PolicySpec>> {
    let all = [Action::Discard, Action::None, Action::Entrust, Action::Bypass];
    let action = option::of(prop_oneof![4 => Just(Action::Ipsec), 1 => select(all.to_vec())]);
    let templates = prop::collection::vec(template(), 0..8);
    (policy_id(), action, any::<Option<u32>>(), templates, any::<(u64, u64)>()).prop_map(
        |(id, action, priority, templates, (lifetime, idle_lifetime))| {
            Box::new(PolicySpec { id, action, priority, templates, lifetime, idle_lifetime })
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        4 => sa().prop_map(Request::Add),
        2 => sa().prop_map(Request::Update),
        1 => id().prop_map(Request::Delete),
        1 => id().prop_map(|id| Request::DeleteAll(id.sa_type, id.source, id.destination)),
        1 => id().prop_map(Request::Get),
        2 => spi().prop_map(Request::AllocateSpi),
        1 => sa_type().prop_map(Request::Register),
        1 => sa_type().prop_map(Request::Flush),
        1 => sa_type().prop_map(Request::Dump),
        4 => policy().prop_map(Request::PolicyAdd),
        2 => policy().prop_map(Request::PolicyUpdate),
        1 => policy_id().prop_map(|id| Request::PolicyDelete(Box::new(id))),
        1 => any::<u32>().prop_map(Request::PolicyDeleteIndex),
        1 => (0_u32..32).prop_map(Request::PolicyGet),
        1 => Just(Request::PolicyFlush),
        1 => Just(Request::PolicyDump),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn either_way_sends_the_same_bytes(request in request()) {
        prop_assert_eq!(by_submit(&request), by_bytes(&request));
    }
}

/// The property would also hold if every request were refused.
#[test]
fn each_kind_of_request_is_sent() {
    let (here, there) = (ip(HERE), ip(THERE));
    let id = SaId::new(SaType::Esp, here, there, 0x1001);
    let sa = SaSpec::builder(id).encryption(Encryption::AesCbc, &[7; 16]).build().unwrap();
    let policy = PolicySpec::ipsec(Selector::hosts(here, there), Direction::Out)
        .template(Template::transport(SaType::Esp, Level::Unique(0)))
        .build()
        .unwrap();
    // The kinds of the frames, in the order in which they are sent.
    let requests: [(Request, &[u16]); 16] = [
        (Request::Add(Box::new(sa.clone())), &[message::NEWSA]),
        (Request::Update(Box::new(sa)), &[message::UPDSA]),
        (Request::Delete(id), &[message::DELSA]),
        (
            Request::DeleteAll(SaType::Esp, id.source, id.destination),
            &[message::GETSA, message::DELSA, message::DELSA, message::DELSA],
        ),
        (Request::Get(id), &[message::GETSA]),
        (Request::AllocateSpi(SpiSpec::new(SaType::Esp, here, there)), &[message::ALLOCSPI]),
        (Request::Register(SaType::Esp), &[message::UPDSA]),
        (Request::Flush(SaType::Unspec), &[message::FLUSHSA]),
        (Request::Dump(SaType::Unspec), &[message::GETSA]),
        (Request::PolicyAdd(Box::new(policy.clone())), &[message::GETPOLICY, message::NEWPOLICY]),
        (Request::PolicyUpdate(Box::new(policy.clone())), &[message::GETPOLICY, message::UPDPOLICY]),
        (Request::PolicyDelete(Box::new(policy.id)), &[message::DELPOLICY]),
        (Request::PolicyDeleteIndex(8), &[message::DELPOLICY]),
        (Request::PolicyGet(8), &[message::GETPOLICY]),
        (Request::PolicyFlush, &[message::FLUSHPOLICY]),
        (Request::PolicyDump, &[message::GETPOLICY]),
    ];
    for (request, expected) in requests {
        let effect = by_submit(&request);
        assert_eq!(effect, by_bytes(&request), "{request}");
        assert_eq!(effect.error, None, "{request}");
        let sent = effect.sent.concat();
        let mut frames = reader(&sent);
        let mut kinds: Vec<u16> = Vec::new();
        while let Some(frame) = next_frame(&mut frames).unwrap() {
            kinds.push(frame.kind);
        }
        // REGISTER probes each algorithm.
        if matches!(request, Request::Register(_)) {
            kinds.dedup();
        }
        assert_eq!(kinds, expected, "{request}");
    }
}
