//! Resolves the hosts and ports of statements to addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipsec_conf::setkey::{AddressOptions, Family, Word};

use crate::sys::{self, Hints};

/// How names are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// By the system's resolver.
    Ask,
    /// Without a network and the system's tables (`--check`): a name stands for a documentation address.
    Assume,
}

/// Reason why a host or its port cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// The resolver's text.
    pub(crate) text: String,
    /// The port, not the host, cannot be resolved.
    pub(crate) is_port: bool,
    /// A hint for the author.
    pub(crate) hint: Option<&'static str>,
}

/// Returns the addresses of a host, each with the port.
///
/// # Errors
/// Returns what could not be resolved.
pub(crate) fn addresses(
    host: Word<'_>,
    port: Option<Word<'_>>,
    options: AddressOptions,
    names: Names,
) -> Result<Vec<SocketAddr>, Unresolved> {
    if let Some(address) = digits(host.text, port, options) {
        return Ok(vec![address]);
    }
    let family = match options.family {
        None => libc::AF_UNSPEC,
        Some(Family::V4) => libc::AF_INET,
        Some(Family::V6) => libc::AF_INET6,
    };
    // One documentation address stands for all names, so that the family and the rules can be checked.
    if names == Names::Assume && !options.numeric && is_name(host.text) {
        let address = if options.family == Some(Family::V6) { "[2001:db8::]:0" } else { "192.0.2.0:0" };
        return Ok(address.parse().into_iter().collect());
    }
    let hints = Hints { family, numeric: options.numeric || names == Names::Assume };
    let asked = match names {
        Names::Ask => host.text,
        // Only the target machine knows whether the zone is an interface, so it is not checked.
        Names::Assume => host.text.split('%').next().unwrap_or_default(),
    };
    sys::lookup(asked, port.map(|port| port.text), hints).map_err(|text| match port {
        Some(port) if is_unknown_port(port.text) => {
            Unresolved { text, is_port: true, hint: Some(hint_for_port(port.text)) }
        }
        _ => Unresolved { text, is_port: false, hint: hint_for_host(host.text, options) },
    })
}

/// Returns whether the system does not know a port, whatever the host is.
fn is_unknown_port(port: &str) -> bool {
    sys::lookup("127.0.0.1", Some(port), Hints { family: libc::AF_INET, numeric: true }).is_err()
}

fn hint_for_port(port: &str) -> &'static str {
    match port.split_once([':', '-']) {
        Some((from, to)) if [from, to].iter().all(|end| end.parse::<u16>().is_ok()) => {
            "a port is one number, one name or `any`: no range"
        }
        _ => "port names are looked up as UDP services, also for TCP: write the number",
    }
}

fn hint_for_host(host: &str, options: AddressOptions) -> Option<&'static str> {
    let is_v4 = |text: &str| text.parse::<Ipv4Addr>().is_ok();
    if let (Ok(address), Some(family)) = (host.parse::<IpAddr>(), options.family)
        && address.is_ipv4() != (family == Family::V4)
    {
        return Some("the option before the addresses, -4 or -6, excludes this one");
    }
    if host.split_once(':').is_some_and(|(address, port)| is_v4(address) && port.parse::<u16>().is_ok()) {
        return Some("a port stands in brackets behind its address: ADDRESS[PORT]");
    }
    if host.split_once('-').is_some_and(|(from, to)| is_v4(from) && (is_v4(to) || to.parse::<u8>().is_ok())) {
        return Some("a range of addresses is written as networks with their prefix lengths");
    }
    if host.contains('%') {
        return Some("no interface has the name after the %");
    }
    if host.contains(':') {
        return Some("not an IPv6 address");
    }
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Some("not an IPv4 address: write four numbers from 0 to 255");
    }
    match host.to_ascii_lowercase().as_str() {
        "all" | "anywhere" | "default" => Some("any address is written 0.0.0.0/0, or ::/0 for IPv6"),
        _ if options.numeric => Some("with -n only numeric addresses are accepted"),
        _ => None,
    }
}

/// Parses a numeric address without the resolver. Special forms (`10.1`, `fe80::1%eth0`) are left to the resolver.
fn digits(host: &str, port: Option<Word<'_>>, options: AddressOptions) -> Option<SocketAddr> {
    let port = port.map_or(Ok(0), |port| port.text.parse()).ok()?;
    let address: IpAddr = host.parse().ok()?;
    match (address, options.family) {
        (IpAddr::V4(_), Some(Family::V6)) | (IpAddr::V6(_), Some(Family::V4)) => None,
        _ => Some(SocketAddr::new(address, port)),
    }
}

/// Returns whether a host is a name rather than a misspelt address.
pub(crate) fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    !host.contains(':') && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word<'_> {
        Word { text, offset: 0 }
    }

    fn resolve(host: &str, port: Option<&str>, family: Option<Family>) -> Result<Vec<SocketAddr>, String> {
        let options = AddressOptions { family, numeric: true };
        addresses(word(host), port.map(word), options, Names::Ask).map_err(|error| error.text)
    }

    #[test]
    fn numbers_need_no_resolver() {
        assert_eq!(resolve("192.0.2.1", Some("4500"), None), Ok(vec!["192.0.2.1:4500".parse().unwrap()]));
        assert_eq!(resolve("2001:db8::1", None, Some(Family::V6)), Ok(vec!["[2001:db8::1]:0".parse().unwrap()]));
    }

    #[test]
    fn old_forms_and_errors_go_to_the_resolver() {
        assert_eq!(resolve("10.1", None, None), Ok(vec!["10.0.0.1:0".parse().unwrap()]));
        assert!(resolve("10.0.0.256", None, None).is_err());
        assert!(resolve("192.0.2.1", None, Some(Family::V6)).is_err());
        assert_eq!(resolve("::1", Some("isakmp"), None), Ok(vec!["[::1]:500".parse().unwrap()]));
    }

    #[test]
    fn host_or_port_at_fault_is_named() {
        let fault = |host, port: Option<&'static str>, family| {
            let options = AddressOptions { family, numeric: true };
            let error = addresses(word(host), port.map(word), options, Names::Assume).unwrap_err();
            (error.is_port, error.hint.unwrap_or_default())
        };
        let service = "port names are looked up as UDP services, also for TCP: write the number";
        let range = "a port is one number, one name or `any`: no range";
        for (host, port, expected) in [
            ("192.0.2.1", Some("no-such-service"), (true, service)),
            ("192.0.2.1", Some("1:65535"), (true, range)),
            ("192.0.2.1:80", None, (false, "a port stands in brackets behind its address: ADDRESS[PORT]")),
            (
                "192.0.2.1-192.0.2.9",
                None,
                (false, "a range of addresses is written as networks with their prefix lengths"),
            ),
            ("192.0.2.256", Some("isakmp"), (false, "not an IPv4 address: write four numbers from 0 to 255")),
            ("2001:db8::g", None, (false, "not an IPv6 address")),
            ("anywhere", None, (false, "any address is written 0.0.0.0/0, or ::/0 for IPv6")),
        ] {
            assert_eq!(fault(host, port, None), expected, "{host} {port:?}");
        }
        let excluded = "the option before the addresses, -4 or -6, excludes this one";
        assert_eq!(fault("192.0.2.1", None, Some(Family::V6)), (false, excluded));
    }

    #[test]
    fn names_are_assumed_without_a_network() {
        let options = AddressOptions::default();
        assert_eq!(addresses(word("west.example"), None, options, Names::Assume).map(|all| all.len()), Ok(1));
        assert!(addresses(word("10.0.0.256"), None, options, Names::Assume).is_err());
    }
}
