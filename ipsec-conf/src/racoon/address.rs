//! Parsing of addresses, prefixes and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::identifier::Address;
use super::operands::Operands;
use super::problem::SYNTAX_ERROR;
use super::token::Kind;

impl Operands<'_, '_> {
    /// Takes a numeric address and leaves what follows it in the same word (`/24`, `-10.0.0.9`).
    pub(super) fn address(&mut self) -> Option<Address> {
        let token = self.peek();
        if !self.at_end() && token.kind == Kind::String {
            return self.fail(&token, SYNTAX_ERROR, Some("write the address without quotes".to_owned()));
        }
        // `[2001:db8::1]`, as in a URL.
        if !self.at_end() && token.kind == Kind::Port && token.value().contains(':') {
            return self.fail(
                &token,
                SYNTAX_ERROR,
                Some("write the address without brackets; brackets are for a port".to_owned()),
            );
        }
        if self.at_end() || token.kind != Kind::Word {
            return self.unexpected("an address");
        }
        let Some((address, octets)) = parse(token.text) else {
            self.next();
            return self.fail(&token, SYNTAX_ERROR, Some(hint(token.text)));
        };
        self.take(octets);
        Some(address)
    }

    /// Takes an address, which may be in quotes without anything else.
    pub(super) fn quoted_address(&mut self) -> Option<Address> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::String {
            return self.address();
        }
        self.next();
        match parse(token.value()).filter(|(_, octets)| *octets == token.value().len()) {
            Some((address, _)) => Some(address),
            None => self.fail(&token, SYNTAX_ERROR, Some(hint(token.value()))),
        }
    }

    /// Takes an address; a scope is ignored with a warning.
    pub(super) fn ip(&mut self) -> Option<IpAddr> {
        self.without_scope(Self::address)
    }

    /// As [`Self::ip`], with or without quotes.
    pub(super) fn quoted_ip(&mut self) -> Option<IpAddr> {
        self.without_scope(Self::quoted_address)
    }

    fn without_scope(&mut self, read: impl FnOnce(&mut Self) -> Option<Address>) -> Option<IpAddr> {
        let token = self.peek();
        let address = read(self)?;
        if address.scope.is_some() {
            self.warn(&token, "the scope of the address is ignored", None);
        }
        Some(address.ip)
    }

    pub(super) fn ipv4(&mut self) -> Option<Ipv4Addr> {
        let token = self.peek();
        match self.ip()? {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => self.fail(&token, "IPv4 only", None),
        }
    }

    /// Takes `/` and a prefix length, if they are next.
    pub(super) fn prefix(&mut self, most: u8) -> Option<Option<u8>> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::Word || !token.text.starts_with('/') {
            return Some(None);
        }
        // A mask such as `/255.255.255.0` begins with digits, too.
        if let Some(mask) = token.text.get(1..).and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            let hint = match mask_length(mask) {
                Some(length) => format!("write `/{length}`"),
                None => "expected a prefix length, as in `/24`".to_owned(),
            };
            return self.fail(&token, SYNTAX_ERROR, Some(hint));
        }
        let digits = token.text.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        if !(1..=3).contains(&digits) {
            return self.unexpected("a prefix length");
        }
        self.take(1 + digits);
        let prefix = token.text.get(1..=digits).and_then(|text| text.parse().ok()).filter(|prefix| *prefix <= most);
        match prefix {
            Some(prefix) => Some(Some(prefix)),
            None => self.fail(&token, &format!("prefix length not in 0 to {most}"), None),
        }
    }

    /// Takes `[PORT]`, if it is next; 0 stands for `[any]`.
    pub(super) fn port(&mut self, allow_any: bool) -> Option<Option<u16>> {
        let token = self.peek();
        let is_number = token.kind == Kind::Word && token.text.bytes().all(|byte| byte.is_ascii_digit());
        if !self.at_end() && is_number && !allow_any {
            let hint = format!("write the port in brackets: `[{}]`", token.text);
            return self.fail(&token, SYNTAX_ERROR, Some(hint));
        }
        if !self.at_end() && token.text == "[" {
            return self.fail(&token, SYNTAX_ERROR, Some("the `]` after the port is missing".to_owned()));
        }
        if self.at_end() || token.kind != Kind::Port {
            return Some(None);
        }
        self.next();
        match token.value() {
            "any" if allow_any => Some(Some(0)),
            // `parse` would accept a sign.
            text if text.starts_with('+') => self.fail(&token, SYNTAX_ERROR, Some("expected a port".to_owned())),
            text => match text.parse::<u16>() {
                Ok(port) => Some(Some(port)),
                Err(_) => self.fail(&token, SYNTAX_ERROR, Some("expected a port, 0 to 65535, without blanks".into())),
            },
        }
    }
}

/// Returns the address that a text begins with, and its length in the text. A prefix or the end of a range may follow.
fn parse(text: &str) -> Option<(Address, usize)> {
    let length = text.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.'))).unwrap_or(text.len());
    let (ip, mut after) = text.split_at_checked(length)?;
    let ip: IpAddr = ip.parse().ok()?;
    let mut scope = None;
    if let (IpAddr::V6(_), Some(name)) = (ip, after.strip_prefix('%')) {
        // The name of an interface may contain a dash or a dot, but no slash.
        let length = name.find('/').unwrap_or(name.len());
        let (name, behind) = name.split_at_checked(length)?;
        (scope, after) = ((!name.is_empty()).then(|| name.into()), behind);
    }
    let is_whole = after.is_empty() || after.starts_with(['/', '-']);
    is_whole.then(|| (Address { ip, scope }, text.len() - after.len()))
}

/// Returns the prefix length of a network mask.
fn mask_length(mask: Ipv4Addr) -> Option<u32> {
    let length = mask.to_bits().leading_ones();
    (mask.to_bits().checked_shl(length).unwrap_or(0) == 0).then_some(length)
}

/// Explains why a text is not an address.
fn hint(text: &str) -> String {
    let numeric = text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'/' | b'-'));
    // `192.0.2.1:500` and `192.0.2.1.500`, as other programs write them.
    if let Some((ip, port)) = text.rsplit_once([':', '.'])
        && ip.parse::<Ipv4Addr>().is_ok()
        && port.parse::<u16>().is_ok()
    {
        return format!("write the port in brackets: `{ip} [{port}]`");
    }
    match text {
        "me" => "expected a numeric address".to_owned(),
        _ if is_any(text) => "expected a numeric address, not a word for any address".to_owned(),
        _ if text.starts_with('<') || text.contains('>') || is_placeholder(text) => {
            "replace the placeholder with a numeric address".to_owned()
        }
        _ if numeric && text.parse::<Ipv6Addr>().is_err() => match without_zeros(text) {
            Some(ip) => format!("write `{ip}`, without leading zeros"),
            None => format!("`{text}` is not an IPv4 or IPv6 address"),
        },
        _ => "expected a numeric address: host names are not looked up here".to_owned(),
    }
}

/// Whether a word means any address in other programs.
pub(super) fn is_any(text: &str) -> bool {
    matches!(text, "any" | "%any" | "all" | "anonymous" | "default" | "*" | "0.0.0.0/0" | "::/0")
}

/// Whether a text is four short words with dots between, not all numbers: `x.x.x.x`, `192.0.2.x`.
fn is_placeholder(text: &str) -> bool {
    let is_part = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.split('.').count() == 4 && text.split('.').all(is_part) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Parses an IPv4 address with leading zeros, which some programs read as octal numbers.
fn without_zeros(text: &str) -> Option<Ipv4Addr> {
    let numbers = text.split('.').map(|part| part.parse::<u8>().ok()).collect::<Option<Vec<_>>>()?;
    <[u8; 4]>::try_from(numbers).ok().map(Ipv4Addr::from)
}
