//! Command line of `racoonctl`.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use getopts::{Fail, Matches, Options, ParsingStyle};
use libpfkey::json::Keys;

use crate::admin::DEFAULT_PATH;
use crate::admin::protocol::{Endpoints, Establishment, Flow, Request, Table};

use super::certificate::Form;

/// Output of `--version`.
pub(super) const VERSION_LINE: &str = concat!("racoonctl (ipsec-tools-rs) ", env!("CARGO_PKG_VERSION"), "\n");

/// Usage text.
pub(super) const USAGE: &str = "\
Usage:
  racoonctl [opts] reload-config
  racoonctl [opts] show-sa <protocol>
  racoonctl [opts] --json [--keys] show-sa <protocol>
  racoonctl [opts] flush-sa <protocol>
  racoonctl [opts] get-cert [--pem | --text] <family> <src> <dst>
  racoonctl [opts] delete-sa <saopts>
  racoonctl [opts] establish-sa [-n remoteconf] <saopts>
  racoonctl --help | --version

General options:
  -l\t\tIncrease output verbosity (mainly for show-sa)
  --json\tPrint the kernel's SAs as JSON, without keys (esp, ah, ipsec)
  --keys\tWith --json: include the keys
  -s <socket>\tSpecify adminport socket to use (default: /var/run/racoon/racoon.sock)

Parameter specifications:
    <protocol>: \"isakmp\", \"esp\" or \"ah\".
        In the case of \"show-sa\" or \"flush-sa\", you can use \"ipsec\".

    <saopts>: \"isakmp\" <family> <src> <dst>
            : {\"esp\",\"ah\"} <family> <src/prefixlen/port> <dst/prefixlen/port>
                              <ul_proto>
    <family>: \"inet\" or \"inet6\"
    <ul_proto>: \"icmp\", \"tcp\", \"udp\", \"gre\" or \"any\"

";

/// Commands of KAME's racoonctl that are not implemented yet, with their abbreviations.
const NOT_YET: &[(&str, &str)] = &[
    ("show-schedule", "sc"),
    ("vpn-connect", "vc"),
    ("vpn-disconnect", "vd"),
    ("show-event", "se"),
    ("logout-user", "lu"),
    ("status", "st"),
];

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    /// `-s`: path of the control socket.
    pub(super) socket: PathBuf,
    /// `-l`, counted.
    pub(super) verbosity: usize,
    /// The request.
    pub(super) request: Request,
    /// How to write the certificate of `get-cert`.
    pub(super) form: Form,
}

/// Reason to exit without a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EarlyExit {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// Missing command, or wrong operands.
    Usage,
    /// Unknown option, or one without its argument.
    Option(String),
    /// Unknown command.
    InvalidCommand(String),
    /// Any other error.
    Error(String),
}

/// Parses the arguments after the program's name. Resolves host names.
pub(super) fn parse(arguments: &[OsString]) -> Result<Invocation, EarlyExit> {
    let mut options = Options::new();
    options.optflagmulti("l", "", "").optflagmulti("d", "", "").optmulti("s", "", "", "");
    options.optflagmulti("h", "help", "").optflagmulti("V", "version", "");
    options.optflagmulti("", "json", "").optflagmulti("", "keys", "");
    let given = parse_options(&mut options, arguments)?;
    if given.opt_present("V") {
        return Err(EarlyExit::Version);
    }
    if given.opt_present("h") {
        return Err(EarlyExit::Help);
    }
    let Some((command, rest)) = given.free.split_first() else { return Err(EarlyExit::Usage) };
    if given.opt_present("d") {
        return Err(EarlyExit::Error("-d is not supported yet".into()));
    }
    let mut form = Form::default();
    let request = match (command.as_str(), rest) {
        ("reload-config" | "rc", []) => Request::Reload,
        ("show-sa" | "ss", [table]) => Request::ShowSa(protocol(table)?),
        ("flush-sa" | "fs", [table]) => Request::FlushSa(protocol(table)?),
        ("delete-sa" | "ds", saopts) => Request::DeleteSa(match establishment(saopts)? {
            Establishment::Isakmp(ends) => ends,
            Establishment::Ipsec(_, flow) => flow.into(),
        }),
        ("establish-sa" | "es", rest) => establish(rest)?,
        ("get-cert" | "gc", rest) => {
            let ends;
            (ends, form) = certificate(rest)?;
            Request::GetCertificate(ends)
        }
        ("reload-config" | "rc" | "show-sa" | "ss" | "flush-sa" | "fs", _) => return Err(EarlyExit::Usage),
        (other, _) if NOT_YET.iter().any(|(long, short)| other == *long || other == *short) => {
            return Err(EarlyExit::Error(format!("{other} is not supported yet")));
        }
        (other, _) => return Err(EarlyExit::InvalidCommand(other.to_owned())),
    };
    let request = match (given.opt_present("json"), given.opt_present("keys")) {
        (true, keys) => json(request, if keys { Keys::Included } else { Keys::Omitted })?,
        (false, true) => return Err(EarlyExit::Error("--keys goes with --json only".into())),
        (false, false) => request,
    };
    let socket = given.opt_strs("s").pop().map_or_else(|| DEFAULT_PATH.into(), PathBuf::from);
    Ok(Invocation { socket, verbosity: given.opt_count("l"), request, form })
}

/// Converts a request to the one with JSON in its reply.
fn json(request: Request, keys: Keys) -> Result<Request, EarlyExit> {
    match request {
        Request::ShowSa(Table::Isakmp) => {
            Err(EarlyExit::Error("show-sa isakmp has no JSON form yet; --json goes with esp, ah and ipsec".into()))
        }
        Request::ShowSa(table) => Ok(Request::ShowSaJson { table, keys }),
        other => Err(EarlyExit::Error(format!("--json goes with show-sa only, not with {}", other.name()))),
    }
}

fn parse_options(options: &mut Options, arguments: &[OsString]) -> Result<Matches, EarlyExit> {
    // Options behind the command are the command's own.
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options.parse(arguments).map_err(|fail| EarlyExit::Option(like_getopt(&fail)))
}

/// Formats an error as getopt(3) does.
fn like_getopt(fail: &Fail) -> String {
    match fail {
        Fail::UnrecognizedOption(name) if name.chars().count() == 1 => format!("invalid option -- '{name}'"),
        Fail::UnrecognizedOption(name) => format!("unrecognized option '--{name}'"),
        Fail::ArgumentMissing(name) => format!("option requires an argument -- '{name}'"),
        other => other.to_string(),
    }
}

fn establish(arguments: &[String]) -> Result<Request, EarlyExit> {
    let mut options = Options::new();
    options.optmulti("n", "", "", "").optmulti("u", "", "", "").optflagmulti("w", "", "");
    let arguments = arguments.iter().map(OsString::from).collect::<Vec<_>>();
    let given = parse_options(&mut options, &arguments)?;
    if let Some(option) = ["u", "w"].into_iter().find(|option| given.opt_present(option)) {
        return Err(EarlyExit::Error(format!("establish-sa -{option} is not supported yet")));
    }
    Ok(Request::EstablishSa { what: establishment(&given.free)?, section: given.opt_strs("n").pop() })
}

/// Parses what follows `get-cert`.
fn certificate(arguments: &[String]) -> Result<(Endpoints, Form), EarlyExit> {
    let mut options = Options::new();
    options.optflagmulti("", "pem", "").optflagmulti("", "text", "");
    let arguments = arguments.iter().map(OsString::from).collect::<Vec<_>>();
    let given = parse_options(&mut options, &arguments)?;
    let form = match (given.opt_present("pem"), given.opt_present("text")) {
        (true, true) => return Err(EarlyExit::Error("--pem and --text exclude each other".into())),
        (true, false) => Form::Pem,
        (false, true) => Form::Text,
        (false, false) => Form::Der,
    };
    let [family, source, destination] = given.free.as_slice() else { return Err(EarlyExit::Usage) };
    Ok((endpoints(is_v4(family)?, source, destination)?, form))
}

fn protocol(word: &str) -> Result<Table, EarlyExit> {
    let found = Table::WORDS.into_iter().find(|(known, _)| *known == word);
    found.map(|(_, table)| table).ok_or_else(|| EarlyExit::Error(format!("unknown protocol {word}")))
}

/// Parses `saopts`.
fn establishment(words: &[String]) -> Result<Establishment, EarlyExit> {
    let [table, family, source, destination, rest @ ..] = words else { return Err(EarlyExit::Usage) };
    let table = protocol(table)?;
    let v4 = is_v4(family)?;
    match (table, rest) {
        (Table::Isakmp, []) => Ok(Establishment::Isakmp(endpoints(v4, source, destination)?)),
        (Table::Esp | Table::Ah, [] | [_]) => {
            let protocol = rest.first().map_or(Ok(0), |word| upper_layer(word, v4))?;
            let (source, source_prefix) = network(source, v4, protocol)?;
            let (destination, destination_prefix) = network(destination, v4, protocol)?;
            let flow = Flow { source, source_prefix, destination, destination_prefix, protocol };
            Ok(Establishment::Ipsec(table, flow))
        }
        (Table::Ipsec, _) => Err(EarlyExit::Error("protocol ipsec is only for show-sa and flush-sa".into())),
        _ => Err(EarlyExit::Usage),
    }
}

/// Whether a family is IPv4; the other one is IPv6.
fn is_v4(family: &str) -> Result<bool, EarlyExit> {
    match family {
        "inet" => Ok(true),
        "inet6" => Ok(false),
        other => Err(EarlyExit::Error(format!("unknown family {other}"))),
    }
}

/// Parses the ends of a phase 1, which have no ports.
fn endpoints(v4: bool, source: &str, destination: &str) -> Result<Endpoints, EarlyExit> {
    let end = |word: &str| host(word, v4).map(|ip| SocketAddr::new(ip, 0));
    Ok(Endpoints { local: end(source)?, remote: end(destination)? })
}

fn upper_layer(word: &str, v4: bool) -> Result<u8, EarlyExit> {
    match word {
        "any" => Ok(0),
        "icmp" => Ok(if v4 { 1 } else { 58 }),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "gre" => Ok(47),
        other => Err(EarlyExit::Error(format!("unknown upper layer protocol {other}"))),
    }
}

/// Parses `HOST/LENGTH/PORT` as in the usage text, or `HOST/LENGTH[PORT]`. Length and port are optional, and the port
/// may be `any`.
///
/// A port only counts with a protocol. KAME's racoonctl ignores what follows the second slash, and scripts write `/255`
/// there beside `any`.
fn network(word: &str, v4: bool, protocol: u8) -> Result<(SocketAddr, u8), EarlyExit> {
    let longest = if v4 { 32 } else { 128 };
    let invalid =
        |what: &str, expected: &str| EarlyExit::Error(format!("invalid {what} in {word}: expected {expected}"));
    let (rest, bracketed) = match word.strip_suffix(']').and_then(|word| word.rsplit_once('[')) {
        Some((rest, port)) => (rest, Some(port)),
        None => (word, None),
    };
    let mut parts = rest.split('/');
    let name = parts.next().unwrap_or_default();
    let (length, slashed) = match (parts.next(), parts.next()) {
        // Without a length.
        (Some("any"), None) => (None, None),
        (length, port) => (length, port),
    };
    if parts.next().is_some() || (bracketed.is_some() && slashed.is_some()) {
        return Err(invalid("network", "HOST/LENGTH/PORT"));
    }
    let length = match length {
        None | Some("") => longest,
        Some(digits) => {
            let length = digits.parse::<u8>().ok().filter(|length| *length <= longest);
            length.ok_or_else(|| invalid("prefix length", &format!("0 to {longest}")))?
        }
    };
    let port = match bracketed.or(slashed) {
        None | Some("" | "any") => 0,
        Some(digits) => digits.parse::<u16>().map_err(|_| invalid("port", "0 to 65535 or any"))?,
    };
    let port = if protocol == 0 && slashed.is_some() { 0 } else { port };
    Ok((SocketAddr::new(host(name, v4)?, port), length))
}

fn host(name: &str, v4: bool) -> Result<IpAddr, EarlyExit> {
    let family = if v4 { "IPv4" } else { "IPv6" };
    let unknown = |why: String| EarlyExit::Error(format!("{name}: {why}"));
    if let Ok(ip) = name.parse::<IpAddr>() {
        return if ip.is_ipv4() == v4 { Ok(ip) } else { Err(unknown(format!("not an {family} address"))) };
    }
    let found = (name, 0).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let mut found = found.map(|address| address.ip()).filter(|ip| ip.is_ipv4() == v4);
    found.next().ok_or_else(|| unknown(format!("no {family} address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Invocation, EarlyExit> {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn request(line: &str) -> Request {
        of(line).unwrap().request
    }

    fn because(line: &str) -> String {
        match of(line) {
            Err(EarlyExit::Error(text)) => text,
            other => format!("{other:?}"),
        }
    }

    fn ends(local: &str, remote: &str) -> Endpoints {
        let of = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        Endpoints { local: of(local), remote: of(remote) }
    }

    #[test]
    fn options() {
        let run = of("-ll -s /tmp/x.sock show-sa isakmp").unwrap();
        assert_eq!((run.socket.to_str(), run.verbosity), (Some("/tmp/x.sock"), 2));
        assert_eq!(run.request, Request::ShowSa(Table::Isakmp));
        assert_eq!(of("rc").unwrap().socket.to_str(), Some("/var/run/racoon/racoon.sock"));
        assert_eq!(of("show-sa -l isakmp"), Err(EarlyExit::Usage));
    }

    #[test]
    fn json_of_the_kernels_sas() {
        let json = |table, keys| Request::ShowSaJson { table, keys };
        assert_eq!(request("--json show-sa esp"), json(Table::Esp, Keys::Omitted));
        assert_eq!(request("--json ss ah"), json(Table::Ah, Keys::Omitted));
        assert_eq!(request("--keys -l --json ss ipsec"), json(Table::Ipsec, Keys::Included));
        let isakmp = "show-sa isakmp has no JSON form yet; --json goes with esp, ah and ipsec";
        assert_eq!(because("--json show-sa isakmp"), isakmp);
        assert_eq!(because("--json rc"), "--json goes with show-sa only, not with reload-config");
        assert_eq!(because("--json fs esp"), "--json goes with show-sa only, not with flush-sa");
        assert_eq!(because("--keys ss esp"), "--keys goes with --json only");
        assert_eq!(of("--json show-sa"), Err(EarlyExit::Usage));
    }

    #[test]
    fn commands() {
        assert_eq!(request("fs ipsec"), Request::FlushSa(Table::Ipsec));
        let pair = ends("192.0.2.1", "192.0.2.2");
        assert_eq!(request("ds isakmp inet 192.0.2.1 192.0.2.2"), Request::DeleteSa(pair));
        assert_eq!(request("delete-sa esp inet 192.0.2.1/32 192.0.2.2/32 any"), Request::DeleteSa(pair));
        let expected = Request::EstablishSa { what: Establishment::Isakmp(pair), section: Some("gw".into()) };
        assert_eq!(request("es -n gw isakmp inet 192.0.2.1 192.0.2.2"), expected);
        let flow = Flow {
            source: "[2001:db8::]:0".parse().unwrap(),
            source_prefix: 64,
            destination: "[2001:db8:1::1]:80".parse().unwrap(),
            destination_prefix: 128,
            protocol: 6,
        };
        let expected = Request::EstablishSa { what: Establishment::Ipsec(Table::Esp, flow), section: None };
        assert_eq!(request("es esp inet6 2001:db8::/64[any] 2001:db8:1::1[80] tcp"), expected);
    }

    #[test]
    fn forms_of_a_certificate() {
        for (line, form) in [
            ("get-cert inet 192.0.2.1 192.0.2.2", Form::Der),
            ("gc --pem inet 192.0.2.1 192.0.2.2", Form::Pem),
            ("-l gc --text inet 192.0.2.1 192.0.2.2", Form::Text),
        ] {
            let run = of(line).unwrap();
            let pair = ends("192.0.2.1", "192.0.2.2");
            assert_eq!((run.request, run.form), (Request::GetCertificate(pair), form), "{line}");
        }
        let pair = ends("::", "2001:db8::1");
        assert_eq!(request("gc inet6 :: 2001:db8::1"), Request::GetCertificate(pair));
        for line in ["gc", "gc inet 192.0.2.1", "gc isakmp inet 192.0.2.1 192.0.2.2"] {
            assert_eq!(of(line), Err(EarlyExit::Usage), "{line}");
        }
        assert_eq!(because("gc inet 192.0.2.1 2001:db8::1"), "2001:db8::1: not an IPv4 address");
        assert_eq!(because("gc --pem --text inet 192.0.2.1 192.0.2.2"), "--pem and --text exclude each other");
        let unknown = Err(EarlyExit::Option("unrecognized option '--der'".into()));
        assert_eq!(of("gc --der inet 192.0.2.1 192.0.2.2"), unknown);
    }

    /// The forms that usage texts of racoonctl have shown.
    #[test]
    fn networks() {
        let flow = |line: &str| match request(line) {
            Request::EstablishSa { what: Establishment::Ipsec(Table::Esp, flow), section: None } => {
                let Flow { source, source_prefix, destination, destination_prefix, .. } = flow;
                format!("{source}/{source_prefix} {destination}/{destination_prefix}")
            }
            other => panic!("{other:?}"),
        };
        let nets = "192.0.1.0:0/24 192.0.2.0:0/24";
        for (arguments, expected) in [
            ("inet 192.0.1.0/24/255 192.0.2.0/24/255 any", nets),
            ("inet 192.0.1.0/24/any 192.0.2.0/24/any any", nets),
            ("inet 192.0.1.0/24/0 192.0.2.0/24/ any", nets),
            ("inet 192.0.1.0/24/0 192.0.2.0/24/0", nets),
            ("inet 192.0.1.0/24 192.0.2.0/24[any] any", nets),
            ("inet 192.0.1.0/24/0 192.0.2.0/24/80 tcp", "192.0.1.0:0/24 192.0.2.0:80/24"),
            ("inet 192.0.1.0/24[0] 192.0.2.0/24[80] tcp", "192.0.1.0:0/24 192.0.2.0:80/24"),
            ("inet 192.0.2.1/32/0 192.0.2.2/32/0 any", "192.0.2.1:0/32 192.0.2.2:0/32"),
            ("inet 192.0.2.1//1701 192.0.2.2//1701 udp", "192.0.2.1:1701/32 192.0.2.2:1701/32"),
            ("inet 192.0.2.1/any 192.0.2.2[1701] udp", "192.0.2.1:0/32 192.0.2.2:1701/32"),
            ("inet6 2001:db8::/64/any 2001:db8:1::1/128/443 tcp", "[2001:db8::]:0/64 [2001:db8:1::1]:443/128"),
            ("inet6 2001:db8::1 ::1//0 any", "[2001:db8::1]:0/128 [::1]:0/128"),
            ("inet localhost/32/0 127.0.0.1/8/0 any", "127.0.0.1:0/32 127.0.0.1:0/8"),
        ] {
            assert_eq!(flow(&format!("establish-sa esp {arguments}")), expected, "{arguments}");
        }
        let pair = ends("192.0.2.1", "192.0.2.2");
        assert_eq!(request("delete-sa esp inet 192.0.2.1/32/0 192.0.2.2/32/any any"), Request::DeleteSa(pair));
    }

    #[test]
    fn refused() {
        for usage in ["", "rc now", "ss", "es isakmp inet 192.0.2.1", "es isakmp inet ::1 ::2 any"] {
            assert!(matches!(of(usage), Err(EarlyExit::Usage)) || usage.contains("::"), "{usage}");
        }
        for (arguments, text) in [
            ("-x rc", "invalid option -- 'x'"),
            ("es -q", "invalid option -- 'q'"),
            ("--frob rc", "unrecognized option '--frob'"),
            ("-s", "option requires an argument -- 's'"),
        ] {
            assert_eq!(of(arguments), Err(EarlyExit::Option(text.into())), "{arguments}");
        }
        assert_eq!(of("frobnicate"), Err(EarlyExit::InvalidCommand("frobnicate".into())));
        assert_eq!(because("ss foo"), "unknown protocol foo");
        assert_eq!(because("status"), "status is not supported yet");
        assert_eq!(because("se"), "se is not supported yet");
        assert_eq!(because("es -u joe isakmp inet 192.0.2.1 192.0.2.2"), "establish-sa -u is not supported yet");
        assert_eq!(because("es isakmp inet3 a b"), "unknown family inet3");
        assert_eq!(because("es isakmp inet ::1 ::2"), "::1: not an IPv4 address");
        let length = "invalid prefix length in 192.0.2.1/33: expected 0 to 32";
        assert_eq!(because("es esp inet 192.0.2.1/33 192.0.2.2"), length);
        let port = |word: &str| format!("invalid port in {word}: expected 0 to 65535 or any");
        assert_eq!(because("es esp inet 192.0.2.1[x] 192.0.2.2"), port("192.0.2.1[x]"));
        assert_eq!(because("es esp inet 192.0.2.1/32/65536 192.0.2.2"), port("192.0.2.1/32/65536"));
        let form = "invalid network in 192.0.2.1/32/80/6: expected HOST/LENGTH/PORT";
        assert_eq!(because("es esp inet 192.0.2.1/32/80/6 192.0.2.2"), form);
        assert_eq!(of("--help rc"), Err(EarlyExit::Help));
        assert_eq!(of("-h"), Err(EarlyExit::Help));
        assert_eq!(of("--version"), Err(EarlyExit::Version));
        assert_eq!(of("-V"), Err(EarlyExit::Version));
        assert_eq!(because("es esp inet 192.0.2.1 192.0.2.2 sctp"), "unknown upper layer protocol sctp");
        assert_eq!(because("es ipsec inet 192.0.2.1 192.0.2.2"), "protocol ipsec is only for show-sa and flush-sa");
    }
}
