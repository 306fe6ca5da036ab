use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parsed(bytes: &[u8]) -> Result<Request, Malformed> {
    let (header, body) = bytes.split_first_chunk().unwrap();
    let header = Header::parse(*header, REQUEST_MAX)?;
    assert_eq!(header.length, bytes.len());
    Request::parse(&header, body)
}

fn requests() -> Vec<Request> {
    let ends = Ends { local: address("0.0.0.0:0"), remote: address("192.0.2.1:501") };
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
        Request::EstablishSa { what: Establishment::Isakmp(ends), block: None },
        Request::EstablishSa { what: Establishment::Isakmp(ends), block: Some("gw".into()) },
        Request::EstablishSa { what: Establishment::Ipsec(Table::Esp, flow), block: None },
        Request::EstablishSa { what: Establishment::Ipsec(Table::Ah, flow), block: None },
    ];
    all.extend(Table::WORDS.map(|(_, table)| Request::ShowSa(table)));
    all.extend(Table::WORDS.map(|(_, table)| Request::FlushSa(table)));
    all
}

#[test]
fn requests_come_back_as_they_were() {
    for request in requests() {
        assert_eq!(parsed(&request.encode()), Ok(request));
    }
}

#[test]
fn the_header_is_kames() {
    let bytes = Request::ShowSa(Table::Esp).encode();
    let words = bytes.chunks(2).map(|two| u16::from_ne_bytes([two[0], two[1]])).collect::<Vec<_>>();
    assert_eq!(words, [8, 0x0101, 0, 0x0202]);
}

#[test]
fn bodies_of_another_length_are_refused() {
    for request in requests() {
        let bytes = request.encode();
        let (head, body) = bytes.split_first_chunk::<HEADER_LENGTH>().unwrap();
        let header = Header::parse(*head, REQUEST_MAX).unwrap();
        let named = matches!(&request, Request::EstablishSa { block: Some(_), .. });
        for cut in 0..body.len() {
            // A shorter name is a name.
            let shorter = named && cut >= body.len() - 2;
            assert_eq!(Request::parse(&header, &body[..cut]).is_ok(), shorter, "{request:?} {cut}");
        }
        let longer = [body, b"\xff"].concat();
        assert_eq!(Request::parse(&header, &longer), Err(Malformed::Body), "{request:?}");
    }
}

#[test]
fn what_is_refused() {
    let header = |command, protocol| Header { length: 8, command, errno: 0, protocol };
    assert_eq!(Request::parse(&header(0x0777, 0), &[]), Err(Malformed::Command(0x0777)));
    assert_eq!(Request::parse(&header(SHOW_SA, 0x0301), &[]), Err(Malformed::Protocol(0x0301)));
    let body = &Request::DeleteSa(Ends { local: address("0.0.0.0:0"), remote: address("192.0.2.1:0") }).encode()[8..];
    assert_eq!(Request::parse(&header(ESTABLISH_SA, 0x02ff), body), Err(Malformed::Protocol(0x02ff)));
    for (at, value) in [(0, 33), (1, 33), (3, 6), (3, 5), (3 + ADDRESS_LENGTH, 6)] {
        let mut body = body.to_vec();
        body[at] = value;
        assert_eq!(Request::parse(&header(DELETE_SA, 0), &body), Err(Malformed::Body), "{at}");
    }
}

#[test]
fn lengths() {
    let length = |length: u16, command: u16, number: u16, limit| {
        let words = [length, command, number, 0].map(u16::to_ne_bytes);
        Header::parse(words.concat().try_into().unwrap(), limit).map(|header| header.length)
    };
    assert_eq!(length(7, 1, 0, 100), Err(Malformed::Length(7)));
    assert_eq!(length(8, 1, 0, 100), Ok(8));
    assert_eq!(length(101, 1, 0, 100), Err(Malformed::Length(101)));
    assert_eq!(length(1, 0x8101, 1, REPLY_MAX), Ok(0x1_0001));
    assert_eq!(length(1, 0x8101, 0xffff, REPLY_MAX), Err(Malformed::Length(0xffff_0001)));
}

#[test]
fn replies() {
    let to = Header { length: 8, command: SHOW_SA, errno: 0, protocol: 0x01ff };
    let header = |bytes: &[u8]| Header::parse(*bytes.first_chunk().unwrap(), REPLY_MAX).unwrap();
    let refused = reply(&to, Err(&Failure::new(17, "no")));
    assert_eq!((header(&refused), &refused[8..]), (Header { length: 10, errno: 17, ..to }, &b"no"[..]));
    for length in [0, 1, 0x1_0000 - HEADER_LENGTH - 1, 0x1_0000 - HEADER_LENGTH, 200_000] {
        let bytes = reply(&to, Ok(&vec![1; length]));
        assert_eq!(bytes.len(), HEADER_LENGTH + length);
        assert_eq!(header(&bytes), Header { length: HEADER_LENGTH + length, ..to });
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
