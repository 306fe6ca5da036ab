//! Hosts and ports of statements to addresses.

use std::net::{IpAddr, SocketAddr};

use ipsec_conf::setkey::{AddressOptions, Family, Word};

use crate::sys::{self, Hints};

/// Looks names up, or only understands digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Ask the resolver.
    Ask,
    /// Without a network and a system's tables (`--check`): a name stands for a documentation address.
    Assume,
}

/// The addresses of a host, each with the port.
///
/// # Errors
/// The resolver's text.
pub(crate) fn addresses(
    host: Word<'_>,
    port: Option<Word<'_>>,
    options: AddressOptions,
    names: Names,
) -> Result<Vec<SocketAddr>, String> {
    if let Some(address) = digits(host.text, port, options) {
        return Ok(vec![address]);
    }
    let family = match options.family {
        None => libc::AF_UNSPEC,
        Some(Family::V4) => libc::AF_INET,
        Some(Family::V6) => libc::AF_INET6,
    };
    if names == Names::Assume && !options.numeric && is_name(host.text) {
        let address = if options.family == Some(Family::V6) { "[2001:db8::]:0" } else { "192.0.2.0:0" };
        return Ok(address.parse().into_iter().collect());
    }
    let hints = Hints { family, numeric: options.numeric || names == Names::Assume };
    let host = match names {
        Names::Ask => host.text,
        // Whether the zone is an interface only its own machine can tell.
        Names::Assume => host.text.split('%').next().unwrap_or_default(),
    };
    sys::lookup(host, port.map(|port| port.text), hints)
}

/// What is written in digits needs no resolver. Its special forms (`10.1`, `fe80::1%eth0`) do.
fn digits(host: &str, port: Option<Word<'_>>, options: AddressOptions) -> Option<SocketAddr> {
    let port = port.map_or(Ok(0), |port| port.text.parse()).ok()?;
    let address: IpAddr = host.parse().ok()?;
    match (address, options.family) {
        (IpAddr::V4(_), Some(Family::V6)) | (IpAddr::V6(_), Some(Family::V4)) => None,
        _ => Some(SocketAddr::new(address, port)),
    }
}

/// Whether a host is a name rather than a misspelt address.
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
        addresses(word(host), port.map(word), options, Names::Ask)
    }

    #[test]
    fn numbers_need_no_resolver() {
        assert_eq!(resolve("192.0.2.1", Some("4500"), None), Ok(vec!["192.0.2.1:4500".parse().unwrap()]));
        assert_eq!(resolve("2001:db8::1", None, Some(Family::V6)), Ok(vec!["[2001:db8::1]:0".parse().unwrap()]));
    }

    #[test]
    fn old_forms_and_mistakes_go_to_the_resolver() {
        assert_eq!(resolve("10.1", None, None), Ok(vec!["10.0.0.1:0".parse().unwrap()]));
        assert!(resolve("10.0.0.256", None, None).is_err());
        assert!(resolve("192.0.2.1", None, Some(Family::V6)).is_err());
        assert_eq!(resolve("::1", Some("isakmp"), None), Ok(vec!["[::1]:500".parse().unwrap()]));
    }

    #[test]
    fn names_are_assumed_without_a_network() {
        let options = AddressOptions::default();
        assert_eq!(addresses(word("west.example"), None, options, Names::Assume).map(|all| all.len()), Ok(1));
        assert!(addresses(word("10.0.0.256"), None, options, Names::Assume).is_err());
    }
}
