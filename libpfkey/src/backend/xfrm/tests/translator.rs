//! Frames as messages: which request each answers, and which are events.

use super::written;
use crate::backend::xfrm::between::Between;
use crate::backend::xfrm::layout::{
    Addr, Algo, Encap, INET, INET6, Id, PolicyInfo, State, StateId, XfrmPolicyId, XfrmSelector, XfrmTemplate,
};
use crate::backend::xfrm::netlink::{Heading, push_attribute, push_frame};
use crate::backend::xfrm::numbers::{INF, attribute, flag, message};
use crate::backend::xfrm::pending::{Expect, Pending};
use crate::backend::xfrm::sa_request::replay_state;
use crate::backend::xfrm::session::soft_lookup;
use crate::backend::xfrm::translator::Translator;
use crate::dialect::Abi;
use crate::num::{ExtensionType as E, MessageType as M, SaState, SaType};
use crate::wire::writer::Writer;
use crate::wire::{Extension, Header, Message, XfrmMark, peek_header};

/// The socket's port, this process, and another process.
const PORT: u32 = 0x8000_0001;
const ME: u32 = 100;
const OTHER: u32 = 101;

/// A translator with requests under way, all of them with sequence number 0.
fn translator(requests: &[(M, u16, Expect)]) -> Translator {
    let mut translator = Translator::new(PORT);
    for (message_type, kind, expect) in requests {
        let header = Header { pid: ME, ..Header::new(*message_type, SaType::Esp) };
        translator.expect(Pending { seq: 0, kind: *kind, expect: *expect, header });
    }
    translator
}

fn frame(kind: u16, flags: u16, pid: u32, body: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_frame(&mut bytes, Heading { kind, flags, seq: 0, pid }, |writer| {
        body(writer);
        Ok(())
    })
    .unwrap();
    bytes
}

/// An error frame as the kernel sends it: with the header of the request.
fn verdict(errno: i32, kind: u16) -> Vec<u8> {
    verdict_for(ME, errno, kind)
}

fn verdict_for(pid: u32, errno: i32, kind: u16) -> Vec<u8> {
    frame(message::ERROR, 0, PORT, |writer| {
        writer.u32((-errno).cast_unsigned());
        writer.u32(100);
        writer.u16(kind);
        writer.u16(1);
        writer.u32(0);
        writer.u32(pid);
    })
}

fn done(errno: i32) -> Vec<u8> {
    frame(message::DONE, flag::MULTI, PORT, |writer| writer.u32((-errno).cast_unsigned()))
}

fn state(spi: u32) -> State {
    let mut state = State { family: INET, source: Addr::of([192, 0, 2, 1].into()), ..State::default() };
    state.id = Id { destination: Addr::of([192, 0, 2, 2].into()), spi, proto: 50 };
    let limits = &mut state.limits;
    (limits.soft_bytes, limits.hard_bytes, limits.soft_packets, limits.hard_packets) = (INF, INF, INF, INF);
    state
}

fn sa(kind: u16, flags: u16, pid: u32, spi: u32) -> Vec<u8> {
    frame(kind, flags, pid, |writer| state(spi).emit(writer))
}

fn policy(kind: u16, flags: u16, pid: u32, (index, is_sub): (u32, bool)) -> Vec<u8> {
    let selector = XfrmSelector { family: INET, ..XfrmSelector::default() };
    let info = PolicyInfo { selector, index, direction: 4, ..PolicyInfo::default() };
    frame(kind, flags, pid, |writer| {
        info.emit(writer);
        push_attribute(writer, attribute::POLICY_TYPE, |inner| inner.bytes(&[u8::from(is_sub), 0, 0, 0, 0, 0]))
            .unwrap();
    })
}

fn messages_of(translator: &mut Translator, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    datagrams.iter().for_each(|datagram| translator.datagram(datagram).unwrap());
    let mut buffer = vec![0; 1 << 16];
    std::iter::from_fn(|| translator.replies.pop(&mut buffer).map(|length| buffer[..length].to_vec())).collect()
}

/// Type, sequence number, errno, process of each message.
fn outline(messages: &[Vec<u8>]) -> Vec<(M, u32, u8, u32)> {
    let headers = messages.iter().map(|bytes| peek_header(Abi::HOST, bytes).unwrap());
    headers.map(|header| (header.message_type, header.seq, header.errno, header.pid)).collect()
}

fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse(Abi::HOST, bytes).unwrap()
}

const ADD: (M, u16, Expect) = (M::Add, message::NEWSA, Expect::Echo);
const GET: (M, u16, Expect) = (M::Get, message::GETSA, Expect::Entry);
const DUMP: (M, u16, Expect) = (M::Dump, message::GETSA, Expect::Dump);

/// A DELETE without an SPI names neither SAs between other addresses nor larval ones.
#[test]
fn sas_between_two_addresses() {
    let mut translator = translator(&[(M::Delete, message::GETSA, Expect::Between)]);
    let [source, destination] = [1, 2].map(|last| Addr::of([192, 0, 2, last].into()));
    translator.between = Between { source, destination, family: INET, found: Vec::new() };
    let shown = |spi, last: u8, has_key| {
        let state = State { source: Addr::of([192, 0, 2, last].into()), ..state(spi) };
        frame(message::NEWSA, flag::MULTI, PORT, |writer| {
            state.emit(writer);
            if has_key {
                let algo = Algo { name: b"cipher_null", key_bits: 0, icv_bits: None, key: &[] };
                push_attribute(writer, attribute::ALG_CRYPT, |inner| algo.emit(inner)).unwrap();
            }
        })
    };
    let datagrams = [shown(1, 1, true), shown(2, 1, false), shown(3, 7, true), shown(4, 1, true), done(0)];
    assert!(messages_of(&mut translator, &datagrams).is_empty());
    let spis: Vec<u32> = translator.between.found.iter().map(|(id, _)| id.spi).collect();
    assert_eq!(spis, [1, 4]);
}

#[test]
fn an_answer_is_no_notification() {
    let mut translator = translator(&[ADD, GET, ADD]);
    let datagrams = [
        sa(message::NEWSA, 0, ME, 1),
        sa(message::NEWSA, 0, OTHER, 9),
        sa(message::NEWSA, 0, PORT, 1),
        verdict(libc::EEXIST, message::NEWSA),
    ];
    let expected = [(M::Add, 0, 0, ME), (M::Add, 0, 0, OTHER), (M::Get, 0, 0, ME), (M::Add, 0, 17, ME)];
    assert_eq!(outline(&messages_of(&mut translator, &datagrams)), expected);
}

#[test]
fn an_errno_finds_its_request() {
    let delete = (M::Delete, message::DELSA, Expect::Echo);
    let mut translator = translator(&[GET, delete, ADD]);
    let datagrams = [
        verdict(libc::ESRCH, message::GETSA),
        verdict(libc::ESRCH, message::DELSA),
        sa(message::NEWSA, 0, ME, 1),
        // No request is left.
        verdict(libc::ESRCH, message::DELSA),
    ];
    let expected = [(M::Get, 0, 3, ME), (M::Delete, 0, 3, ME), (M::Add, 0, 0, ME)];
    assert_eq!(outline(&messages_of(&mut translator, &datagrams)), expected);
}

#[test]
fn changes_during_a_dump_are_no_entries() {
    let mut translator = translator(&[DUMP]);
    let datagrams = [
        sa(message::NEWSA, flag::MULTI, PORT, 1),
        sa(message::NEWSA, 0, OTHER, 9),
        [sa(message::NEWSA, flag::MULTI, PORT, 2), sa(message::NEWSA, flag::MULTI, PORT, 3)].concat(),
        done(0),
    ];
    let messages = messages_of(&mut translator, &datagrams);
    let expected = [(M::Add, 0, 0, OTHER), (M::Dump, 1, 0, ME), (M::Dump, 2, 0, ME), (M::Dump, 0, 0, ME)];
    assert_eq!(outline(&messages), expected);
    let spis: Vec<_> = messages.iter().map(|bytes| parse(bytes).sa().unwrap().spi).collect();
    assert_eq!(spis, [9, 1, 2, 3]);
}

#[test]
fn an_interrupted_dump_is_repeated() {
    let mut translator = translator(&[DUMP]);
    let entry = |flags, spi| sa(message::NEWSA, flag::MULTI | flags, ME, spi);
    let first = messages_of(&mut translator, &[entry(flag::DUMP_INTR, 1), entry(0, 2), done(0)]);
    assert_eq!(outline(&first), [(M::Dump, 1, 0, ME)], "the second is held");
    let again = translator.again().expect("another round");
    translator.expect(again);
    // Only new entries are reported.
    let rest = messages_of(&mut translator, &[entry(0, 2), entry(0, 3), entry(0, 1), done(0)]);
    assert_eq!(outline(&rest), [(M::Dump, 2, 0, ME), (M::Dump, 0, 0, ME)]);
    assert_eq!(rest.iter().map(|bytes| parse(bytes).sa().unwrap().spi).collect::<Vec<_>>(), [2, 3]);
    assert!(translator.again().is_none());
}

#[test]
fn a_table_that_keeps_changing_ends_with_an_errno() {
    let mut translator = translator(&[DUMP]);
    let mut rounds = 0;
    let told = loop {
        let entry = sa(message::NEWSA, flag::MULTI | flag::DUMP_INTR, ME, 1);
        let told = messages_of(&mut translator, &[entry, done(0)]);
        rounds += 1;
        match translator.again() {
            Some(again) => translator.expect(again),
            None => break told,
        }
    };
    assert_eq!(rounds, 8);
    let errno = u8::try_from(libc::EAGAIN).unwrap();
    assert_eq!(outline(&told), [(M::Dump, 1, 0, ME), (M::Dump, 0, errno, ME)]);
}

#[test]
fn empty_dumps_and_wrong_filters() {
    assert_eq!(outline(&messages_of(&mut translator(&[DUMP]), &[done(0)])), [(M::Dump, 0, 2, ME)]);
    assert_eq!(outline(&messages_of(&mut translator(&[DUMP]), &[done(libc::EINVAL)])), [(M::Dump, 0, 22, ME)]);
    let refused = messages_of(&mut translator(&[DUMP]), &[verdict(libc::EPERM, message::GETSA)]);
    assert_eq!(outline(&refused), [(M::Dump, 0, 1, ME)]);
}

#[test]
fn socket_policies_are_shown_and_sub_policies_not() {
    let mut translator = translator(&[(M::SpdDump, message::GETPOLICY, Expect::Dump)]);
    let entry = |index, is_sub| policy(message::NEWPOLICY, flag::MULTI, PORT, (index, is_sub));
    let messages = messages_of(&mut translator, &[entry(12, false), entry(20, true), done(0)]);
    assert_eq!(outline(&messages), [(M::SpdDump, 0, 0, ME)]);
    let message = parse(&messages[0]);
    assert_eq!(message.policy().map(|policy| (policy.id, policy.direction)), Some((12, 5)));
    let event = policy(message::NEWPOLICY, 0, OTHER, (8, true));
    let sub_flush = frame(message::FLUSHPOLICY, 0, OTHER, |writer| {
        push_attribute(writer, attribute::POLICY_TYPE, |inner| inner.bytes(&[1, 0, 0, 0, 0, 0])).unwrap();
    });
    assert!(messages_of(&mut translator, &[event, sub_flush]).is_empty());
}

#[test]
fn a_flush_is_reported_and_acknowledged() {
    let flush = (M::Flush, message::FLUSHSA, Expect::Ack);
    let event = frame(message::FLUSHSA, 0, ME, |writer| writer.u8(255));
    let messages = messages_of(&mut translator(&[flush]), &[event, verdict(0, message::FLUSHSA)]);
    assert_eq!(outline(&messages), [(M::Flush, 0, 0, ME); 2]);
    assert_eq!(
        outline(&messages_of(&mut translator(&[flush]), &[verdict(0, message::FLUSHSA)])),
        [(M::Flush, 0, 0, ME)]
    );
}

#[test]
fn deleted_by_selector_or_id() {
    let deleted = |index| {
        frame(message::DELPOLICY, 0, OTHER, |writer| {
            let selector = XfrmSelector { family: INET, ..XfrmSelector::default() };
            XfrmPolicyId { selector, index, direction: 1 }.emit(writer);
            let info = PolicyInfo { selector, index: 9, direction: 1, ..PolicyInfo::default() };
            push_attribute(writer, attribute::POLICY, |inner| info.emit(inner)).unwrap();
        })
    };
    let messages = messages_of(&mut translator(&[]), &[deleted(0), deleted(9)]);
    assert_eq!(outline(&messages), [(M::SpdDelete, 0, 0, OTHER), (M::SpdDelete2, 0, 0, OTHER)]);
    let sa = frame(message::DELSA, 0, OTHER, |writer| {
        StateId { destination: Addr::default(), spi: 7, family: INET, proto: 50 }.emit(writer);
        push_attribute(writer, attribute::SA, |inner| state(7).emit(inner)).unwrap();
    });
    let messages = messages_of(&mut translator(&[]), &[sa]);
    assert_eq!(parse(&messages[0]).sa().map(|sa| (sa.spi, sa.state)), Some((7, SaState::Dead)));
}

#[test]
fn sequence_numbers_are_for_the_requester() {
    let counters = [900, 9, 1_764_444_444, 1_764_444_445];
    let deleted = |pid, attribute: u16, numbers: &'static [u8]| {
        frame(message::DELSA, 0, pid, |writer| {
            StateId { destination: Addr::default(), spi: 7, family: INET, proto: 50 }.emit(writer);
            push_attribute(writer, attribute::SA, |inner| {
                // `emit` writes no counters: `xfrm_lifetime_cur` is at byte 160.
                let mut bytes = written(|writer| state(7).emit(writer));
                bytes[160..192].copy_from_slice(&written(|writer| counters.into_iter().for_each(|it| writer.u64(it))));
                inner.bytes(&bytes);
            })
            .unwrap();
            push_attribute(writer, attribute, |inner| inner.bytes(numbers)).unwrap();
        })
    };
    let reported_numbers = |expect, pid, attribute, numbers| {
        let messages =
            messages_of(&mut translator(&[(M::Delete, message::DELSA, expect)]), &[deleted(pid, attribute, numbers)]);
        replay_state(&parse(&messages[0])).map(<[u8]>::to_vec)
    };
    let replay = b"oseq-seq-map";
    let mut expected = written(|writer| {
        counters.into_iter().for_each(|count| writer.u64(count));
        writer.u16(attribute::REPLAY_VAL);
        writer.u16(12);
        writer.bytes(replay);
    });
    // The length of an extension with its header of 4 bytes is a multiple of 8.
    expected.resize((expected.len() + 4).next_multiple_of(8) - 4, 0);
    let asked = Expect::EchoWithNumbers;
    assert_eq!(reported_numbers(asked, ME, attribute::REPLAY_VAL, replay), Some(expected));
    let esn = reported_numbers(asked, ME, attribute::REPLAY_ESN_VAL, &[9; 28]).unwrap();
    assert!(esn.windows(28).any(|window| window == [9; 28]), "{esn:?}");
    assert_eq!(reported_numbers(Expect::Echo, ME, attribute::REPLAY_VAL, replay), None);
    assert_eq!(reported_numbers(asked, OTHER, attribute::REPLAY_VAL, replay), None);
}

#[test]
fn marks_of_policies_are_reported() {
    let policy = frame(message::NEWPOLICY, 0, OTHER, |writer| {
        let selector = XfrmSelector { family: INET, ..XfrmSelector::default() };
        PolicyInfo { selector, index: 9, direction: 1, ..PolicyInfo::default() }.emit(writer);
        push_attribute(writer, attribute::MARK, |inner| [5, 0xff].into_iter().for_each(|word| inner.u32(word)))
            .unwrap();
        push_attribute(writer, attribute::IF_ID, |inner| inner.u32(7)).unwrap();
    });
    let messages = messages_of(&mut translator(&[]), &[policy]);
    let message = parse(&messages[0]);
    assert_eq!(message.xfrm().mark, Some(XfrmMark { value: 5, mask: 0xff }));
    assert_eq!(message.xfrm().if_id, Some(7));
}

/// An SA with keys, encapsulation, and limits.
fn rich() -> Vec<u8> {
    let mut state = state(0x1000);
    (state.limits.soft_packets, state.current.packets, state.limits.hard_add) = (5, 5, 60);
    let key = [7; 20];
    let auth = Algo { name: b"hmac(sha1)", key_bits: 160, icv_bits: None, key: &key };
    let mut bytes = frame(message::NEWSA, 0, OTHER, |writer| {
        state.emit(writer);
        push_attribute(writer, attribute::ALG_AUTH, |inner| auth.emit(inner)).unwrap();
        let long = Algo { icv_bits: Some(96), ..auth };
        push_attribute(writer, attribute::ALG_AUTH_TRUNC, |inner| long.emit(inner)).unwrap();
        let null = Algo { name: b"ecb(cipher_null)", key_bits: 0, icv_bits: None, key: &[] };
        push_attribute(writer, attribute::ALG_CRYPT, |inner| null.emit(inner)).unwrap();
        let encap = Encap { kind: 2, source_port: 4500, destination_port: 4501 };
        push_attribute(writer, attribute::ENCAP, |inner| encap.emit(inner)).unwrap();
    });
    // `emit` writes no counters: five packets have passed.
    bytes[16 + 168] = 5;
    bytes
}

#[test]
fn the_order_of_extensions() {
    let messages = messages_of(&mut translator(&[]), &[rich()]);
    let message = parse(&messages[0]);
    let kinds: Vec<_> = message.extensions.iter().map(Extension::kind).collect();
    let expected = [
        E::Sa,
        E::LifetimeHard,
        E::LifetimeSoft,
        E::LifetimeCurrent,
        E::AddressSrc,
        E::AddressDst,
        // The selector's source is any address.
        E::AddressProxy,
        E::KeyAuth,
        E::Sa2,
        E::NatTType,
        E::NatTSport,
        E::NatTDport,
    ];
    assert_eq!(kinds, expected);
    let sa = message.sa().unwrap();
    assert_eq!((sa.auth, sa.encrypt, sa.state), (3, 11, SaState::Dying));
    let soft = message.lifetime(E::LifetimeSoft).unwrap();
    assert_eq!((soft.allocations, soft.bytes), (5, 0));
}

#[test]
fn expiries_and_acquires_need_a_registration() {
    let expire = |hard: u8| {
        frame(message::EXPIRE, 0, 0, |writer| {
            state(7).emit(writer);
            writer.bytes(&[hard, 0, 0, 0, 0, 0, 0, 0]);
        })
    };
    let acquire = frame(message::ACQUIRE, 0, 0, |writer| {
        let six = Addr::of("2001:db8::1".parse().unwrap());
        writer.bytes(&six.0);
        writer.bytes(&[0, 0, 0, 0, 50, 0, 0, 0]);
        writer.bytes(&six.0);
        XfrmSelector { family: INET, ..XfrmSelector::default() }.emit(writer);
        PolicyInfo { index: 17, priority: 9, ..PolicyInfo::default() }.emit(writer);
        writer.bytes(&[0xff; 12]);
        writer.u32(77);
        // An IPv4 packet needs a tunnel over IPv6.
        let id = Id { destination: six, spi: 0, proto: 50 };
        let template = XfrmTemplate { id, family: INET6, source: six, mode: 1, ..XfrmTemplate::default() };
        push_attribute(writer, attribute::TMPL, |inner| template.emit(inner)).unwrap();
    });
    let mut translator = translator(&[]);
    assert!(messages_of(&mut translator, &[expire(1), acquire.clone()]).is_empty());
    translator.registered.insert(2);
    assert!(messages_of(&mut translator, &[expire(0)]).is_empty(), "what is not told is asked for first");
    assert_eq!(translator.next_soft().map(|(id, mark)| (id.spi, mark)), Some((7, None)));
    translator.expect(soft_lookup());
    let messages = messages_of(&mut translator, &[sa(message::NEWSA, 0, PORT, 7), expire(1), acquire]);
    let expected = [(M::Expire, 0, 0, 0), (M::Expire, 0, 0, 0), (M::Acquire, 77, 0, 0)];
    assert_eq!(outline(&messages), expected);
    let (soft, hard, acquire) = (parse(&messages[0]), parse(&messages[1]), parse(&messages[2]));
    assert!(hard.lifetime(E::LifetimeHard).is_some() && hard.lifetime(E::LifetimeSoft).is_none());
    assert!(soft.lifetime(E::LifetimeSoft).is_some() && soft.lifetime(E::LifetimeHard).is_none());
    assert_eq!((hard.sa().unwrap().state, soft.sa().unwrap().state), (SaState::Dead, SaState::Dying));
    let kinds: Vec<_> = acquire.extensions.iter().map(Extension::kind).collect();
    assert_eq!(kinds, [E::AddressSrc, E::AddressDst, E::Policy, E::Proposal]);
    assert_eq!(acquire.policy().map(|policy| (policy.id, policy.direction, policy.priority)), Some((17, 2, 9)));
    assert_eq!(acquire.destination().unwrap().sockaddr.ip(), Some("2001:db8::1".parse().unwrap()));
}

#[test]
fn unsent_requests_are_refused() {
    let mut translator = translator(&[ADD, GET, DUMP]);
    translator.refuse_last(2, libc::ENOBUFS);
    let messages = messages_of(&mut translator, &[sa(message::NEWSA, 0, ME, 1)]);
    assert_eq!(outline(&messages), [(M::Get, 0, 105, ME), (M::Dump, 0, 105, ME), (M::Add, 0, 0, ME)]);
}

/// The length field of a frame does not include the padding.
#[test]
fn frames_are_padded() {
    let bytes = frame(message::FLUSHSA, 0, ME, |writer| writer.u8(255));
    assert_eq!((bytes.len(), bytes[0]), (20, 17));
    let attribute = written(|writer| push_attribute(writer, 25, |inner| inner.u8(50)).unwrap());
    assert_eq!(attribute, [5, 0, 25, 0, 50, 0, 0, 0]);
}

#[test]
fn soft_limits_are_reported_before_hard_ones() {
    let mut translator = translator(&[]);
    translator.registered.insert(2);
    let expire = |hard: u8| {
        frame(message::EXPIRE, 0, 0, |writer| {
            state(7).emit(writer);
            writer.bytes(&[hard, 0, 0, 0, 0, 0, 0, 0]);
        })
    };
    assert!(messages_of(&mut translator, &[expire(0)]).is_empty());
    assert!(translator.next_soft().is_some());
    translator.expect(soft_lookup());
    let messages = messages_of(&mut translator, &[expire(1), verdict_for(0, libc::ESRCH, message::GETSA)]);
    let states: Vec<_> = messages.iter().map(|bytes| parse(bytes).sa().unwrap().state).collect();
    assert_eq!(states, [SaState::Dying, SaState::Dead]);
}

#[test]
fn a_failed_look_up_still_gives_an_expire() {
    let mut translator = translator(&[]);
    translator.registered.insert(2);
    let expire = frame(message::EXPIRE, 0, 0, |writer| {
        state(7).emit(writer);
        writer.zeros(8);
    });
    let gone = frame(message::ERROR, 0, PORT, |writer| writer.u32((-libc::ESRCH).cast_unsigned()));
    assert!(messages_of(&mut translator, &[expire]).is_empty());
    assert!(translator.next_soft().is_some() && translator.next_soft().is_none());
    translator.expect(soft_lookup());
    assert_eq!(outline(&messages_of(&mut translator, &[gone])), [(M::Expire, 0, 0, 0)]);
}

/// The kernel's explanation belongs to one refusal and to no other message.
#[test]
fn explanations_belong_to_one_refusal() {
    let refusal = |kind, words: &[u8]| {
        frame(message::ERROR, flag::CAPPED | flag::ACK_TLVS, PORT, |writer| {
            writer.u32((-libc::EINVAL).cast_unsigned());
            writer.u32(100);
            [kind, 1].into_iter().for_each(|half| writer.u16(half));
            [0, ME].into_iter().for_each(|word| writer.u32(word));
            push_attribute(writer, 1, |contents| contents.bytes(words)).unwrap();
        })
    };
    let mut translator = translator(&[
        (M::Add, message::NEWSA, Expect::Echo),
        (M::SpdAdd, message::NEWPOLICY, Expect::Echo),
        (M::Delete, message::DELSA, Expect::Echo),
    ]);
    translator.datagram(&refusal(message::NEWSA, b"Requested type not found\0")).unwrap();
    translator.datagram(&verdict(libc::EEXIST, message::NEWPOLICY)).unwrap();
    translator.datagram(&refusal(message::DELSA, b"last\0")).unwrap();
    let mut buffer = vec![0; 64];
    let mut seen = Vec::new();
    while translator.replies.pop(&mut buffer).is_some() {
        seen.push(translator.replies.explanation().map(str::to_owned));
    }
    assert_eq!(seen, [Some("Requested type not found".to_owned()), None, Some("last".to_owned())]);
}
