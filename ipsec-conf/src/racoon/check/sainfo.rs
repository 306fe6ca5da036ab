//! The `sainfo` section.

use std::net::IpAddr;
use std::time::Duration;

use super::proposal::{REFUSED_CIPHERS, dh_group, key_bits};
use super::weakness::Weakness;
use super::{Check, unexpected_body};
use crate::racoon::algorithm::{EspAuthentication, EspCipher, EspEncryption, compressions};
use crate::racoon::directive::Section;
use crate::racoon::identifier::Identifier;
use crate::racoon::meaning;
use crate::racoon::operands::Operands;
use crate::racoon::parser::{Body, Statement};
use crate::racoon::place::Place;
use crate::racoon::problem::SYNTAX_ERROR;
use crate::racoon::sainfo::{Esn, Sainfo, SainfoId};
use crate::racoon::source::Source;
use crate::racoon::token::Kind;

/// Default lifetime of a phase 2.
const LIFETIME: Duration = Duration::from_secs(28800);

/// Identity of a section: ends, `from`, `remoteid`.
pub(super) type Key = (SainfoId, SainfoId, Option<Identifier>, u32);

const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// Upper-layer protocols that have names.
const PROTOCOLS: [(&str, u8); 9] = [
    ("any", 0),
    ("esp", 50),
    ("ah", 51),
    ("ipcomp", 108),
    ("icmp", ICMP),
    ("icmp6", ICMP6),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
];

/// Message about ends that no policy can have.
const FOR_NOBODY: &str = "this sainfo matches no policy";

const NOT_KEYED: &str = "no peer supports it: use hmac_sha256";

/// Authentication algorithms that the C racoon reads but cannot use.
const REFUSED_AUTHENTICATIONS: &[(&str, &str)] = &[("des_mac", NOT_KEYED), ("kpdk", NOT_KEYED)];

impl Check<'_> {
    /// Checks `sainfo LOCAL REMOTE [from ID | group "NAME"] { … }`.
    pub(super) fn sainfo(&mut self, source: &Source, statement: &Statement<'_>) -> Option<()> {
        let head = self.sainfo_head(source, statement);
        if statement.body.is_none() && statement.end.kind == Kind::Semicolon {
            self.problems.error(source, &statement.end, SYNTAX_ERROR, Some("expected `{`".to_owned()));
        }
        let body = statement.body.as_ref()?;
        // The directives of a broken head are checked too, for a sainfo that is then dropped.
        let broken = head.is_none();
        let place = source.place(statement.words.first()?);
        let mut sainfo = head.unwrap_or_else(|| new(place, SainfoId::Anonymous, SainfoId::Anonymous));
        let errors = self.problems.errors();
        for statement in &body.statements {
            self.sainfo_directive(source, statement, &mut sainfo);
        }
        // A wrong directive is not reported as missing as well.
        if self.problems.errors() == errors && body.is_whole {
            self.sainfo_end(source, body, &sainfo);
        }
        if !broken {
            self.check_duplicate(source, statement, &sainfo);
            self.config.sainfos.push(sainfo);
        }
        Some(())
    }

    fn sainfo_head(&self, source: &Source, statement: &Statement<'_>) -> Option<Sainfo> {
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let local = if op.accept("anonymous") { SainfoId::Anonymous } else { sainfo_id(&mut op)? };
        // `sainfo anonymous` alone is for both ends.
        let alone = op.at_end() || op.peek().is_word("from") || op.peek().is_word("group");
        let remote = if op.accept("clientaddr") {
            SainfoId::ClientAddress
        } else if op.accept("anonymous") || (local == SainfoId::Anonymous && alone) {
            SainfoId::Anonymous
        } else {
            sainfo_id(&mut op)?
        };
        let mut sainfo = new(op.place(), local, remote);
        if op.accept("from") {
            sainfo.from = Some(self.phase1_identifier(&mut op)?);
        } else if op.accept("group") {
            sainfo.group = Some(op.name("a group")?.into());
        }
        if op.at_end() { Some(sainfo) } else { op.unexpected("`{`, or `from` or `group`") }
    }

    fn sainfo_directive(&mut self, source: &Source, statement: &Statement<'_>, sainfo: &mut Sainfo) -> Option<()> {
        let directive = self.directive(source, Section::Sainfo, statement)?;
        if statement.body.is_some() {
            return unexpected_body(&self.problems, source, statement);
        }
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let value = op.peek();
        let mut weak = Vec::new();
        match directive.name {
            "pfs_group" => {
                let group = dh_group(&mut op, "pfs_group")?;
                weak.push((value, Weakness::of_group(group)));
                sainfo.pfs_group = Some(group);
            }
            "remoteid" => sainfo.remoteid = op.number(0, u32::MAX)?,
            "lifetime" => lifetime(&mut op, sainfo)?,
            "encryption_algorithm" => list(&mut op, &mut sainfo.encryption, |op| {
                let (cipher, token) = op.algorithm(&EspCipher::words(), REFUSED_CIPHERS, meaning::esp_cipher)?;
                let key_bits = key_bits(op, &token, cipher.key_bits())?;
                weak.push((token, Weakness::of_esp_cipher(cipher)));
                Some(EspEncryption { cipher, key_bits })
            })?,
            "authentication_algorithm" => list(&mut op, &mut sainfo.authentication, |op| {
                let known = meaning::esp_authentication;
                let (algorithm, token) = op.algorithm(&EspAuthentication::words(), REFUSED_AUTHENTICATIONS, known)?;
                weak.push((token, Weakness::of_esp_authentication(algorithm)));
                Some(algorithm)
            })?,
            "compression_algorithm" => {
                list(&mut op, &mut sainfo.compression, |op| {
                    op.algorithm(&compressions(), &[], meaning::compression).map(|(name, _)| name)
                })?;
            }
            "esn" => sainfo.esn = op.choice(Esn::WORDS, "off, on or require")?,
            _ => sainfo.replay_window = op.number(0, 4096)?,
        }
        op.finish()?;
        for (token, weakness) in weak {
            self.weak(source, &token, weakness);
        }
        Some(())
    }

    /// Checks that a section is complete.
    fn sainfo_end(&self, source: &Source, body: &Body<'_>, sainfo: &Sainfo) {
        let hint = || Some("in this sainfo".to_owned());
        let aead_only = !sainfo.encryption.is_empty() && sainfo.encryption.iter().all(|e| e.cipher.is_aead());
        if sainfo.encryption.is_empty() {
            self.problems.error(source, &body.close, "no encryption algorithm", hint());
        }
        if sainfo.authentication.is_empty() && !aead_only {
            self.problems.error(source, &body.close, "no authentication algorithm", hint());
        }
        // An error in the C racoon. Many files lack the line, and nothing depends on it.
        if sainfo.compression.is_empty() {
            let hint = Some("IPComp is not offered".to_owned());
            self.problems.warning(source, &body.close, "no compression algorithm", hint);
        }
    }

    fn check_duplicate(&mut self, source: &Source, statement: &Statement<'_>, sainfo: &Sainfo) {
        let key = (sainfo.local.clone(), sainfo.remote.clone(), sainfo.from.clone(), sainfo.remoteid);
        let anonymous = sainfo.local == SainfoId::Anonymous && sainfo.remote == SainfoId::Anonymous;
        let first = statement.words.first().unwrap_or(&statement.end);
        match self.sainfos.get(&key) {
            None => {
                self.sainfos.insert(key, source.place(first));
            }
            Some(place) if anonymous => {
                let hint =
                    Some(format!("the one in {}:{} matches everything that this one does", place.file, place.line));
                // With a group it may be for other clients.
                if sainfo.group.is_none() {
                    self.problems.warning(source, first, "this sainfo is never used", hint);
                }
            }
            Some(place) => {
                let hint = Some(format!("it is the same as the one in {}:{}", place.file, place.line));
                self.problems.error(source, first, "duplicated sainfo", hint);
            }
        }
    }
}

fn new(place: Place, local: SainfoId, remote: SainfoId) -> Sainfo {
    Sainfo {
        place,
        local,
        remote,
        from: None,
        group: None,
        remoteid: 0,
        pfs_group: None,
        lifetime: LIFETIME,
        lifetime_bytes: None,
        encryption: Vec::new(),
        authentication: Vec::new(),
        compression: Vec::new(),
        esn: Esn::Off,
        replay_window: 64,
    }
}

/// Reads items separated by commas and appends them.
fn list<'a, 's, T, F>(op: &mut Operands<'a, 's>, list: &mut Vec<T>, mut item: F) -> Option<()>
where
    F: FnMut(&mut Operands<'a, 's>) -> Option<T>,
{
    loop {
        list.push(item(op)?);
        if !op.comma() {
            return Some(());
        }
    }
}

fn lifetime(op: &mut Operands<'_, '_>, sainfo: &mut Sainfo) -> Option<()> {
    if op.accept("time") {
        sainfo.lifetime = op.time(1)?;
    } else if op.accept("byte") {
        sainfo.lifetime_bytes = Some(op.octets()?);
    } else {
        return op.unexpected("`time` or `byte`, a number and a unit, as in `lifetime time 1 hour`");
    }
    Some(())
}

/// Reads an end other than `anonymous` and `clientaddr`.
fn sainfo_id(op: &mut Operands<'_, '_>) -> Option<SainfoId> {
    let kinds = [("address", 0), ("subnet", 1), ("fqdn", 2), ("user_fqdn", 3), ("keyid", 4), ("asn1dn", 5)];
    let token = op.peek();
    let noun = "anonymous, address, subnet, fqdn, user_fqdn or keyid";
    let kind = op.choice_or(&kinds, noun, meaning::sainfo_end)?;
    if (2..=4).contains(&kind) {
        op.warn(&token, FOR_NOBODY, Some("policies select traffic by address, not by name".to_owned()));
    }
    match kind {
        0 | 1 => network(op),
        2 => Some(SainfoId::Name(Identifier::Fqdn(op.name("a name")?.into()))),
        3 => Some(SainfoId::Name(Identifier::UserFqdn(op.name("a name")?.into()))),
        4 => Some(SainfoId::Name(Identifier::KeyId(Some(super::identifier::tag(op)?)))),
        _ => op.fail(&token, "asn1dn cannot be an end of an SA", Some("`from asn1dn` may follow the ends".into())),
    }
}

/// Reads `ADDR[/PREFIX][PORT] PROTOCOL` or `ADDR-ADDR[PORT] PROTOCOL`.
fn network(op: &mut Operands<'_, '_>) -> Option<SainfoId> {
    let token = op.peek();
    if !op.at_end() && token.kind == Kind::String {
        return quoted_host(op);
    }
    let first = op.ip()?;
    let width = if first.is_ipv4() { 32 } else { 128 };
    let last = range_end(op, first)?;
    let behind = op.peek();
    let prefix = op.prefix(width)?;
    if last.is_some() && prefix.is_some() {
        op.warn(&behind, "the prefix of a range is ignored", None);
    }
    let port_token = op.peek();
    let port = op.port(true)?.unwrap_or(0);
    let protocol = protocol(op)?;
    if port != 0 && matches!(protocol, ICMP | ICMP6) {
        return op.fail(&port_token, "port number must be \"any\"", Some("ICMP has no ports".to_owned()));
    }
    if (protocol == ICMP && !first.is_ipv4()) || (protocol == ICMP6 && first.is_ipv4()) {
        let hint = "icmp is for IPv4, icmp6 for IPv6".to_owned();
        return op.fail(&token, "upper layer protocol mismatched with the address", Some(hint));
    }
    if last.is_some_and(|last| !is_prefix(first, last)) {
        op.warn(&token, FOR_NOBODY, Some("policies select prefixes, and this range is not one".to_owned()));
    }
    Some(match last {
        Some(last) => SainfoId::Range { first, last, port, protocol },
        None => SainfoId::Network { address: first, prefix: prefix.unwrap_or(width), port, protocol },
    })
}

/// Reads `"ADDR"`, with or without a protocol.
fn quoted_host(op: &mut Operands<'_, '_>) -> Option<SainfoId> {
    let token = op.peek();
    if token.value().split_once('/').is_some_and(|(ip, _)| ip.parse::<IpAddr>().is_ok()) {
        let hint = format!("write a network without quotes: `{}`", token.value());
        return op.fail(&token, SYNTAX_ERROR, Some(hint));
    }
    let address = op.quoted_ip()?;
    let behind = op.peek();
    let has_protocol = !op.at_end() && PROTOCOLS.iter().any(|(name, _)| behind.is_word(name));
    let protocol = if has_protocol { protocol(op)? } else { 0 };
    // Quotes leave no room for a prefix or a port.
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Some(SainfoId::Network { address, prefix, port: 0, protocol })
}

/// Whether a prefix covers exactly this range.
fn is_prefix(first: IpAddr, last: IpAddr) -> bool {
    let bits = |address| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    // The bits in which both ends differ must be the lowest ones, and all 0 in the first address.
    let hosts = bits(first) ^ bits(last);
    hosts & hosts.wrapping_add(1) == 0 && bits(first) & hosts == 0
}

/// Reads `-` and the address right after it, if they are next.
fn range_end(op: &mut Operands<'_, '_>, first: IpAddr) -> Option<Option<IpAddr>> {
    let token = op.peek();
    // A range is one word, of which the first address has been taken.
    if op.at_end() || token.kind != Kind::Word || !token.text.starts_with('-') {
        return Some(None);
    }
    op.skip_octet();
    let last = op.ip()?;
    if last.is_ipv4() != first.is_ipv4() {
        return op.fail(&token, "the ends of the range belong to different families", None);
    }
    if last < first {
        return op.fail(&token, "the range ends before it begins", None);
    }
    Some(Some(last))
}

fn protocol(op: &mut Operands<'_, '_>) -> Option<u8> {
    let token = op.peek();
    if !op.at_end() && token.kind == Kind::Word && token.text.starts_with(|c: char| c.is_ascii_digit()) {
        return op.number(0, u8::MAX);
    }
    op.choice_or(&PROTOCOLS, "an upper-layer protocol, or any", meaning::protocol)
}
