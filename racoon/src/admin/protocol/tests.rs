use std::net::SocketAddr;

use libpfkey::json::Keys;

use super::encoding::ADDRESS_LENGTH;
use super::phase1_row::ROW_LENGTH;
use super::request::{DELETE_SA, ESTABLISH_SA, GET_CERTIFICATE, SHOW_SA, SHOW_SA_JSON};
use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parsed(bytes: &[u8]) -> Result<Request, Malformed> {
    let (header, body) = bytes.split_first_chunk().unwrap();
    let header = RequestHeader::parse(*header)?;
    assert_eq!(header.length, bytes.len());
    Request::parse(&header, body)
}

fn requests() -> Vec<Request> {
    let ends = Endpoints { local: address("0.0.0.0:0"), remote: address("192.0.2.1:501") };
    let flow = Flow {
        source: address("[2001:db8::]:0"),
        source_prefix: 64,
        destination: address("[fe80::1%7]:80"),
        destination_prefix: 128,
        protocol: 6,
    };
    let mut all = vec![
        Request::Reload,
        Request::DeleteSa(ends),
        Request::GetCertificate(ends),
        Request::EstablishSa { what: Establishment::Isakmp(ends), section: None },
        Request::EstablishSa { what: Establishment::Isakmp(ends), section: Some("gw".into()) },
        Request::EstablishSa { what: Establishment::Ipsec(Table::Esp, flow), section: None },
        Request::EstablishSa { what: Establishment::Ipsec(Table::Ah, flow), section: None },
    ];
    all.extend(Table::WORDS.map(|(_, table)| Request::ShowSa(table)));
    all.extend(Table::WORDS.map(|(_, table)| Request::FlushSa(table)));
    for keys in [Keys::Omitted, Keys::Included] {
        all.extend([Table::Ipsec, Table::Ah, Table::Esp].map(|table| Request::ShowSaJson { table, keys }));
    }
    all
}

#[test]
fn requests_round_trip() {
    for request in requests() {
        assert_eq!(parsed(&request.encode()), Ok(request));
    }
}

/// KAME's racoon knows commands 0x0001 to 0x0206 and ignores the flag 0x8000. No request is one of these in either byte
/// order.
#[test]
fn no_request_is_valid_for_kame() {
    for request in requests() {
        let bytes = request.encode();
        assert_eq!(usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])), bytes.len());
        assert_eq!(bytes[2..4], *b"rr");
        assert!(kame::name(COMMAND).starts_with("command "));
        assert_eq!(bytes[4..8], [VERSION, 0].map(u16::to_ne_bytes).concat());
    }
}

#[test]
fn replies_of_another_daemon_are_recognised() {
    let parsed =
        |words: [u16; 4]| ReplyHeader::parse(words.map(u16::to_ne_bytes).concat().try_into().unwrap()).unwrap();
    // KAME's racoon refuses our command; the second header is as if it executed it.
    for errno in [95, 0] {
        assert_eq!(parsed([8, COMMAND, errno, 0]), ReplyHeader { length: 8, errno, version: None });
    }
    assert_eq!(parsed([8, 0x0101, 0, 0x01ff]).version, None);
    assert_eq!(parsed([8, COMMAND, 0, 7]).version, Some(7));
}

#[test]
fn bodies_of_wrong_length_are_refused() {
    for request in requests() {
        let bytes = request.encode();
        let (head, body) = bytes.split_first_chunk::<HEADER_LENGTH>().unwrap();
        let header = RequestHeader::parse(*head).unwrap();
        let named = matches!(&request, Request::EstablishSa { section: Some(_), .. });
        for cut in 0..body.len() {
            // A truncated name is still a name.
            let shorter = named && cut >= body.len() - 2;
            assert_eq!(Request::parse(&header, &body[..cut]).is_ok(), shorter, "{request:?} {cut}");
        }
        let longer = [body, b"\xff"].concat();
        assert_eq!(Request::parse(&header, &longer), Err(Malformed::Body), "{request:?}");
    }
}

#[test]
fn invalid_requests() {
    let parse = |kind: u16, table: u16, rest: &[u8]| {
        let body = [&kind.to_ne_bytes()[..], &table.to_ne_bytes(), rest].concat();
        parsed(&message(VERSION, 0, &body))
    };
    assert_eq!(parse(0x0777, 0, &[]), Err(Malformed::Kind(0x0777)));
    assert_eq!(parse(SHOW_SA, 0x0301, &[]), Err(Malformed::Table(0x0301)));
    assert_eq!(parse(SHOW_SA_JSON, 0x01ff, &[0]), Err(Malformed::Table(0x01ff)));
    assert_eq!(parse(SHOW_SA_JSON, 0x02ff, &[2]), Err(Malformed::Body));
    let ends = Endpoints { local: address("0.0.0.0:0"), remote: address("192.0.2.1:0") };
    let flow = &Request::DeleteSa(ends).encode()[HEADER_LENGTH + 4..];
    assert_eq!(parse(ESTABLISH_SA, 0x02ff, flow), Err(Malformed::Table(0x02ff)));
    assert_eq!(parse(GET_CERTIFICATE, 0x0202, flow), Err(Malformed::Table(0x0202)));
    for (at, value) in [(0, 33), (1, 33), (3, 6), (3, 5), (3 + ADDRESS_LENGTH, 6)] {
        let mut flow = flow.to_vec();
        flow[at] = value;
        assert_eq!(parse(DELETE_SA, 0, &flow), Err(Malformed::Body), "{at}");
    }
}

#[test]
fn lengths() {
    let header = |length: u16, command: u16, number: u16| {
        [length, command, number, 0].map(u16::to_ne_bytes).concat().try_into().unwrap()
    };
    let request = |length| RequestHeader::parse(header(length, COMMAND, 1)).map(|header| header.length);
    assert_eq!(request(7), Err(Malformed::Length(7)));
    assert_eq!(request(8), Ok(8));
    assert_eq!(request(4097), Err(Malformed::Length(4097)));
    let reply = |length, number| ReplyHeader::parse(header(length, COMMAND | LONG, number)).map(|header| header.length);
    assert_eq!(reply(1, 0), Err(Malformed::Length(1)));
    assert_eq!(reply(1, 1), Ok(0x1_0001));
    assert_eq!(reply(1, 0xffff), Err(Malformed::Length(0xffff_0001)));
}

#[test]
fn replies() {
    let header = |bytes: &[u8]| ReplyHeader::parse(*bytes.first_chunk().unwrap()).unwrap();
    let ours = |length, errno| ReplyHeader { length, errno, version: Some(VERSION) };
    let refused = reply(Err(&ErrorReply::new(17, "no")));
    assert_eq!((header(&refused), &refused[8..]), (ours(10, 17), &b"no"[..]));
    for length in [0, 1, 0x1_0000 - HEADER_LENGTH - 1, 0x1_0000 - HEADER_LENGTH, 200_000] {
        let bytes = reply(Ok(&vec![1; length]));
        assert_eq!(bytes.len(), HEADER_LENGTH + length);
        assert_eq!(header(&bytes), ours(HEADER_LENGTH + length, 0));
    }
}

#[test]
fn rows() {
    let row = Phase1Row {
        cookies: *b"0123456789abcdef",
        state: 9,
        initiator: true,
        version: 0x10,
        exchange: 2,
        local: address("192.0.2.1:500"),
        remote: address("[2001:db8::1]:4500"),
        created: 1_790_000_000,
        phase2_count: 3,
    };
    let mut body = Vec::new();
    row.encode(&mut body);
    row.encode(&mut body);
    assert_eq!(body.len(), 2 * ROW_LENGTH);
    assert_eq!(Phase1Row::parse_all(&body), Ok(vec![row.clone(), row]));
    assert_eq!(Phase1Row::parse_all(&body[1..]), Err(Malformed::Body));
    assert_eq!(Phase1Row::parse_all(&[]), Ok(vec![]));
}
