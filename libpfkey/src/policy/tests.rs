use proptest::prelude::*;

use super::*;

fn policy(
    direction: Direction,
    priority: Option<u32>,
    action: Option<Action>,
    requests: Vec<RequestText>,
) -> PolicyText {
    PolicyText { direction, priority, action, requests }
}

fn transport(protocol: Protocol, level: Level) -> RequestText {
    RequestText { protocol, mode: Mode::Transport, endpoints: None, level }
}

fn end(address: &str, port: Option<u16>) -> Endpoint {
    let (address, scope) = address.split_once('%').map_or((address, None), |(a, s)| (a, Some(s.into())));
    Endpoint { address: address.parse().unwrap(), scope, port }
}

fn tunnel(source: Endpoint, destination: Endpoint, level: Level) -> RequestText {
    RequestText {
        protocol: Protocol::Esp,
        mode: Mode::Tunnel,
        endpoints: Some(Endpoints::Pair(source, destination)),
        level,
    }
}

fn requests(text: &str) -> Vec<RequestText> {
    parse(text).unwrap().requests
}

#[test]
fn documented_policies() {
    use Direction::{Forward, In, Out};
    let ipsec = Some(Action::Ipsec);
    let gateways = || (end("192.0.2.1", None), end("192.0.2.2", None));
    let (a, b) = gateways();
    assert_eq!(parse("in discard"), Ok(policy(In, None, Some(Action::Discard), vec![])));
    assert_eq!(parse("out none"), Ok(policy(Out, None, Some(Action::None), vec![])));
    assert_eq!(
        parse("out ipsec esp/transport//require"),
        Ok(policy(Out, None, ipsec, vec![transport(Protocol::Esp, Level::Require)]))
    );
    assert_eq!(
        parse("in ipsec ah/transport//unique"),
        Ok(policy(In, None, ipsec, vec![transport(Protocol::Ah, Level::Unique(0))]))
    );
    assert_eq!(
        parse("out ipsec esp/tunnel/192.0.2.1-192.0.2.2/use"),
        Ok(policy(Out, None, ipsec, vec![tunnel(a, b, Level::Use)]))
    );
    assert_eq!(
        parse("in ipsec ipcomp/transport//use\n\tah/transport//require"),
        Ok(policy(
            In,
            None,
            ipsec,
            vec![transport(Protocol::IpComp, Level::Use), transport(Protocol::Ah, Level::Require)]
        ))
    );
    let (a, b) = gateways();
    assert_eq!(
        parse("out priority high + 20 ipsec esp/tunnel/192.0.2.1-192.0.2.2/unique:77"),
        Ok(policy(Out, Some(0x4000_0000 - 20), ipsec, vec![tunnel(a, b, Level::Unique(77))]))
    );
    assert_eq!(
        parse("in prio low ipsec esp/transport"),
        Ok(policy(In, Some(0xc000_0000), ipsec, vec![transport(Protocol::Esp, Level::Default)]))
    );
    let (a, b) = gateways();
    assert_eq!(
        parse("fwd ipsec esp/tunnel/192.0.2.1-192.0.2.2/require"),
        Ok(policy(Forward, None, ipsec, vec![tunnel(a, b, Level::Require)]))
    );
    assert_eq!(parse("out bypass"), Ok(policy(Out, None, Some(Action::Bypass), vec![])));
    assert_eq!(parse("in entrust"), Ok(policy(In, None, Some(Action::Entrust), vec![])));
    assert_eq!(parse("out"), Ok(policy(Out, None, None, vec![])));
    assert_eq!(parse("out ipsec"), Ok(policy(Out, None, ipsec, vec![])));
}

#[test]
fn shapes_of_a_request() {
    let esp = |level| vec![transport(Protocol::Esp, level)];
    assert_eq!(requests("out ipsec esp/transport"), esp(Level::Default));
    assert_eq!(requests("out ipsec esp/transport/"), esp(Level::Default));
    assert_eq!(requests("out ipsec esp/transport//default"), esp(Level::Default));
    assert_eq!(requests("out ipsec esp / transport / / use"), esp(Level::Use));
    assert_eq!(requests("out ipsec esp/transport//\\\nuse"), esp(Level::Use));
    for text in
        ["esp/tunnel/192.0.2.1-192.0.2.2", "esp/tunnel/192.0.2.1-192.0.2.2/", "esp/tunnel/192.0.2.1 - 192.0.2.2"]
    {
        let expected = vec![tunnel(end("192.0.2.1", None), end("192.0.2.2", None), Level::Default)];
        assert_eq!(requests(&format!("out ipsec {text}")), expected, "{text}");
    }
    assert_eq!(
        requests("out ipsec esp/tunnel/192.0.2.1[4500]-192.0.2.2[31000]/unique:40000"),
        vec![tunnel(end("192.0.2.1", Some(4500)), end("192.0.2.2", Some(31000)), Level::Unique(40000))]
    );
    assert_eq!(
        requests("out ipsec esp/tunnel/fe80::1%eth0.5-fe80::2%eth0.5/require"),
        vec![tunnel(end("fe80::1%eth0.5", None), end("fe80::2%eth0.5", None), Level::Require)]
    );
    let me = |endpoints| vec![RequestText { endpoints: Some(endpoints), ..transport(Protocol::Esp, Level::Require) }];
    assert_eq!(requests("out ipsec esp/transport/me-any/require"), me(Endpoints::MeToAny));
    assert_eq!(requests("in ipsec esp/transport/any-me/require"), me(Endpoints::AnyToMe));
}

#[test]
fn requests_after_another_action_are_dropped() {
    let expected = policy(Direction::Out, None, Some(Action::None), vec![]);
    assert_eq!(parse("out none esp/transport//require"), Ok(expected.clone()));
    assert_eq!(parse("out none esp/tunnel//require"), Ok(expected));
    assert_eq!(parse("out none foo").unwrap_err().kind, ErrorKind::Syntax);
}

#[test]
fn priorities() {
    for (text, value) in [
        ("0", 0x8000_0000),
        ("100", 0x8000_0000 - 100),
        ("-100", 0x8000_0000 + 100),
        ("- 100", 0x8000_0000 + 100),
        ("2147483648", 0),
        ("-2147483647", u32::MAX),
        ("high", 0x4000_0000),
        ("def+1", 0x7fff_ffff),
        ("high - 100", 0x4000_0000 + 100),
        ("high + 1073741824", 0),
        ("low - 1073741823", u32::MAX),
        ("low-5", 0xc000_0005),
    ] {
        assert_eq!(parse(&format!("in prio {text} none")).map(|policy| policy.priority), Ok(Some(value)), "{text}");
    }
    for (text, kind) in [
        ("2147483649", ErrorKind::PriorityOffset),
        ("-2147483648", ErrorKind::PriorityOffset),
        ("99999999999999999999", ErrorKind::PriorityOffset),
        ("high + 1073741825", ErrorKind::PriorityBaseOffset),
        ("def - 1073741824", ErrorKind::PriorityBaseOffset),
        ("low + 4294967296", ErrorKind::PriorityBaseOffset),
    ] {
        let error = parse(&format!("in prio {text} none")).unwrap_err();
        assert_eq!((error.kind, error.token), (kind, None), "{text}");
    }
}

/// Kind, token and offset of the error in a policy.
fn error(text: &str) -> (ErrorKind, Option<String>, usize) {
    let error = parse(text).unwrap_err();
    (error.kind, error.token, error.offset)
}

#[test]
fn syntax_errors() {
    for (text, token, offset) in [
        ("", "", 0),
        ("ipsec esp/transport//require", "ipsec", 0),
        ("OUT none", "OUT", 0),
        ("out foo", "foo", 4),
        ("out prio foo ipsec", "foo", 9),
        ("out prio high + ipsec", "ipsec", 16),
        ("out ipsec foo/transport//require", "foo", 10),
        ("out ipsec esp/transport//", "", 25),
        ("out ipsec esp/transport//foo", "foo", 25),
        ("out ipsec esp/transport//unique:foo", "unique:foo", 25),
        ("out ipsec esp/tunnel/1.1.1.1/require", "/", 28),
        ("out ipsec esp/tunnel/1.1.1.1[500]-2.2.2.2/require", "/", 41),
        ("out ipsec esp/tunnel/1.1.1.1[x]-2.2.2.2/require", "[", 28),
        ("out ipsec esp/transport//use/use", "/", 28),
        ("out none none", "none", 9),
        ("out !", "!", 4),
        ("in none é", "é", 8),
    ] {
        assert_eq!(error(text), (ErrorKind::Syntax, Some(token.to_owned()), offset), "{text}");
    }
    let error = parse("out foo").unwrap_err();
    assert_eq!(error.to_string(), "Invalid argument");
    assert_eq!(error.library_line().as_deref(), Some("libipsec: syntax error while parsing \"foo\""));
}

#[test]
fn errors_of_meaning() {
    for (text, kind, offset) in [
        ("out ipsec esp", ErrorKind::FewArguments, 13),
        ("out ipsec esp/", ErrorKind::FewArguments, 14),
        ("out ipsec esp/any//require", ErrorKind::FewArguments, 14),
        ("out ipsec esp ah", ErrorKind::FewArguments, 14),
        ("out ipsec esp/tunnel//require", ErrorKind::NoEndpoints, 14),
        ("out ipsec esp/tunnel", ErrorKind::NoEndpoints, 14),
        ("out ipsec esp/tunnel/me-any/require", ErrorKind::NoEndpoints, 21),
        ("out ipsec esp/tunnel/1.1.1.1-::1/require", ErrorKind::Family, 29),
        ("in ipsec esp/transport/me-any/require", ErrorKind::Direction, 23),
        ("fwd ipsec esp/transport/any-me/require", ErrorKind::Direction, 24),
        ("out ipsec esp/transport//unique:4294967296", ErrorKind::Reqid, 25),
        ("out ipsec esp/tunnel/1.1.1.1[65536]-2.2.2.2[1]/use", ErrorKind::Port, 28),
    ] {
        assert_eq!(error(text), (kind, None, offset), "{text}");
    }
    assert_eq!(parse("out ipsec esp").unwrap_err().library_line(), None);
}

#[test]
fn bad_addresses() {
    for (endpoints, token, offset) in [
        ("one.example-two.example", "-", 0),
        ("one.example - 192.0.2.1", "-", 0),
        ("192.0.2.1-Z.Z.Z.Z", "Z.Z.Z.Z", 10),
        ("192.0.2.256[500]-192.0.2.1[500]", "[500]", 0),
        ("192.0.2.1%eth0-192.0.2.2", "-", 0),
        ("fe80::1%-fe80::2", "-", 0),
    ] {
        let text = format!("out ipsec esp/tunnel/{endpoints}/require");
        assert_eq!(error(&text), (ErrorKind::Address, Some(token.to_owned()), 21 + offset), "{text}");
    }
    let error = parse("in ipsec esp/tunnel/x-y/use").unwrap_err();
    assert_eq!(error.to_string(), "Name or service not known");
    assert_eq!(error.library_line().as_deref(), Some("libipsec: invalid IP address while parsing \"-\""));
}

#[test]
fn request_count_is_bounded() {
    let text = |count| format!("out ipsec {}", "esp/transport//use ".repeat(count));
    assert_eq!(requests(&text(MAX_REQUESTS)).len(), MAX_REQUESTS);
    assert_eq!(parse(&text(MAX_REQUESTS + 1)).unwrap_err().kind, ErrorKind::TooManyRequests);
}

#[test]
fn hints() {
    for (text, hint) in [
        ("out ipsec esp/transport//requir", Some("did you mean `require`?")),
        ("out ipse", Some("did you mean `ipsec`?")),
        ("out ipsec hip/transport//require", Some("expected a request")),
        (
            "out ipsec esp/tunnel/192.0.2.1/use",
            Some("a tunnel needs the addresses of both ends, with a `-` between them"),
        ),
        ("out prio 2147483649 none", None),
    ] {
        assert_eq!(parse(text).unwrap_err().hint.as_deref(), hint, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn any_words_are_parsed_or_refused(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "in", "out", "prio", "high", "+", "-", "7", "ipsec", "none", "esp", "ah", "/", "//", "transport", "tunnel",
            "192.0.2.1", "2001:db8::1", "fe80::1%x", "[500]", "me", "any", "use", "unique:", "unique:3", " ", "x", "[",
        ]), 0..24),
        spaced: bool,
    ) {
        let text = words.join(if spaced { " " } else { "" });
        match parse(&text) {
            Ok(policy) => prop_assert!(policy.requests.len() <= words.len()),
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }
}
