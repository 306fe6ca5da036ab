//! Changes whose answers are brief: acknowledged instead of notified.

use super::reader;
use super::same_bytes::{HEADER, Recording, frame, shown_policy_with};
use crate::algorithm::Encryption;
use crate::backend::xfrm::layout::PolicyInfo;
use crate::backend::xfrm::netlink::next_frame;
use crate::backend::xfrm::numbers::{flag, group, message};
use crate::backend::xfrm::policy_reply::PolicyAttributes;
use crate::backend::xfrm::session::{Session, Transport as _};
use crate::backend::xfrm::submit;
use crate::dialect::Abi;
use crate::num::{MessageType, SaType};
use crate::policy::{Direction, Level};
use crate::request::Request;
use crate::sa::SaSpec;
use crate::security_policy::{PolicySpec, Template};
use crate::selector::Selector;
use crate::wire::peek_header;

const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";

/// The kernel's acknowledgement of the request with [`HEADER`]; an errno makes it a refusal.
fn acknowledgement(errno: i32, kind: u16) -> Vec<u8> {
    frame(message::ERROR, HEADER.seq, |writer| {
        writer.u32((-errno).cast_unsigned());
        writer.u32(100);
        writer.u16(kind);
        writer.u16(flag::REQUEST | flag::ACK);
        writer.u32(HEADER.seq);
        writer.u32(HEADER.pid);
    })
}

/// Requests that change an entry, with the frame that each becomes.
fn changes() -> Vec<(Request, u16, MessageType)> {
    let (here, there) = (HERE.parse().unwrap(), THERE.parse().unwrap());
    let sa = || SaSpec::esp(here, there, 0x1001).encryption(Encryption::AesCbc, b"sixteen byte key").build().unwrap();
    let id = sa().id;
    let policy = || PolicySpec::discard(Selector::hosts(here, there), Direction::Out).build().unwrap();
    vec![
        (Request::Add(sa().into()), message::NEWSA, MessageType::Add),
        (Request::Update(sa().into()), message::UPDSA, MessageType::Update),
        (Request::Delete(id), message::DELSA, MessageType::Delete),
        (Request::PolicyAdd(policy().into()), message::NEWPOLICY, MessageType::SpdAdd),
        (Request::PolicyUpdate(policy().into()), message::UPDPOLICY, MessageType::SpdUpdate),
    ]
}

/// A session as it is opened, whose answers are brief.
fn brief() -> Session<Recording> {
    let mut transport = Recording::default();
    [group::SA, group::POLICY, group::MIGRATE].into_iter().for_each(|group| transport.join(group).unwrap());
    let mut session = Session::new(transport);
    session.set_brief().unwrap();
    session
}

#[test]
fn changes_ask_for_acknowledgements_which_become_base_headers() {
    for (request, kind, message_type) in changes() {
        for errno in [0, libc::EEXIST] {
            let mut session = brief();
            assert_eq!(session.transport.joined, [group::MIGRATE]);
            submit(&mut session, &request, HEADER).unwrap();
            session.flush();
            session.transport.answers.push_back(acknowledgement(errno, kind));
            let mut buffer = vec![0; 1 << 12];
            let answer = session.recv(&mut buffer).unwrap().unwrap();
            assert_eq!(answer.len(), 16, "{message_type:?}");
            let header = peek_header(Abi::HOST, answer).unwrap();
            assert_eq!((header.message_type, i32::from(header.errno)), (message_type, errno));
            assert_eq!((header.seq, header.pid), (HEADER.seq, HEADER.pid));
            let frame = next_frame(&mut reader(&session.transport.sent[0])).unwrap().unwrap();
            assert_eq!((frame.kind, frame.flags), (kind, flag::REQUEST | flag::ACK));
            assert!(session.recv(&mut buffer).unwrap().is_none());
        }
    }
}

/// A dump and a single entry are whole.
#[test]
fn entries_are_whole() {
    let mut session = brief();
    submit(&mut session, &Request::Dump(SaType::Unspec), HEADER).unwrap();
    let mut buffer = vec![0; 1 << 12];
    let mut entries = 0;
    while let Some(entry) = session.recv(&mut buffer).unwrap() {
        assert!(entry.len() > 16);
        entries += 1;
    }
    assert_eq!(entries, 3);
}

/// The reqids that other programs take are known by notifications only, so a request that leaves one open ends the brevity of
/// policies, not that of SAs.
#[test]
fn reqids_of_other_programs_are_not_taken() {
    let (here, there) = (HERE.parse().unwrap(), THERE.parse().unwrap());
    let unique = Template::transport(SaType::Esp, Level::Unique(0));
    let policy = PolicySpec::ipsec(Selector::hosts(here, there), Direction::Out).template(unique).build().unwrap();
    let reqid_of = |session: &mut Session<Recording>| {
        submit(session, &Request::PolicyAdd(policy.clone().into()), HEADER).unwrap();
        session.flush();
        let sent = session.transport.sent.last().unwrap();
        let mut frame = next_frame(&mut reader(sent)).unwrap().unwrap();
        assert_eq!((frame.kind, frame.flags), (message::NEWPOLICY, flag::REQUEST));
        PolicyInfo::parse(&mut frame.body).unwrap();
        PolicyAttributes::parse(&mut frame.body).unwrap().reqids().next().unwrap()
    };
    let mut session = brief();
    // The recording's own policy has the first one.
    assert_eq!(reqid_of(&mut session), 16_385);
    assert_eq!(session.transport.joined, [group::MIGRATE, group::POLICY]);
    session.transport.answers.push_back(shown_policy_with(99, 16_386));
    let mut buffer = vec![0; 1 << 12];
    while session.recv(&mut buffer).unwrap().is_some() {}
    assert_eq!(reqid_of(&mut session), 16_387);
    let (request, kind, _) = changes().swap_remove(0);
    submit(&mut session, &request, HEADER).unwrap();
    session.flush();
    let frame = next_frame(&mut reader(session.transport.sent.last().unwrap())).unwrap().unwrap();
    assert_eq!((frame.kind, frame.flags), (kind, flag::REQUEST | flag::ACK));
}
