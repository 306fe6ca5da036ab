//! Parses the text of a [`Statement`].

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::{Pair, Pairs};

use super::ast::*;
use super::error::{ErrorKind, ParseError};
use super::grammar::{Grammar, Rule};
use super::hint;
use super::secret::{secrets_of, shown};
use super::selector::{known_protocol, takes_spec, upper_spec};
use super::token::{Token, tokens};
use crate::excerpt::Secrets;
use libpfkey::algorithm::{AuthenticationWord, CompressionWord, EncryptionWord};
use libpfkey::{SaFlags, policy};

/// Length of a hexadecimal number that may be meant to be of 32 bits, with two digits too many.
const NUMBER_MAX: usize = 12;

/// Parses one statement with its `;`. `first_line` is the line of the text's first byte.
///
/// # Errors
/// The first mistake. Names are not resolved and key lengths not checked, as that needs the system and the kernel.
pub fn parse(source: &str, first_line: u32) -> Result<Statement<'_>, ParseError> {
    let reader = Reader { source, first_line, doubtful: false };
    reader.statement(reader.line_at(source.len()))
}

/// Parses a statement whose last byte is on `line`; a `doubtful` one may be part of a key.
pub(super) fn parse_piece(
    source: &str,
    (first_line, line): (u32, u32),
    doubtful: bool,
) -> Result<Statement<'_>, ParseError> {
    Reader { source, first_line, doubtful }.statement(line)
}

/// The text of the statement being read.
#[derive(Clone, Copy)]
struct Reader<'s> {
    source: &'s str,
    first_line: u32,
    doubtful: bool,
}

impl<'s> Reader<'s> {
    /// Parses the statement, whose last byte is on `line`.
    fn statement(self, line: u32) -> Result<Statement<'s>, ParseError> {
        let Self { source, doubtful, .. } = self;
        let mut pairs = Grammar::parse(Rule::statement, source).map_err(|error| self.syntax_error(&error))?;
        let command = match pairs.next() {
            // The grammar takes any word for the name of an algorithm; report an unknown one if it is the first mistake.
            Some(pair) => self.command(pair).map_err(|error| self.unknown_algorithm(usize::MAX).unwrap_or(error))?,
            None => return Err(self.error_at(ErrorKind::Syntax, "syntax error", 0)),
        };
        Ok(Statement { source, line, doubtful, command })
    }

    fn line_at(self, offset: usize) -> u32 {
        let before = self.source.as_bytes().get(..offset).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        self.first_line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX))
    }

    fn error_at(self, kind: ErrorKind, message: impl Into<Cow<'static, str>>, offset: usize) -> ParseError {
        ParseError {
            kind,
            message: message.into(),
            token: shown(&self.secrets(), Token::at(self.source, offset).source(), offset),
            line: self.line_at(offset),
            offset,
            library_line: None,
            hint: None,
        }
    }

    fn secrets(self) -> Secrets {
        secrets_of(self.source, self.doubtful)
    }

    fn syntax_error(self, cause: &pest::error::Error<Rule>) -> ParseError {
        let offset = match cause.location {
            InputLocation::Pos(offset) | InputLocation::Span((offset, _)) => offset,
        };
        let expected = match &cause.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
            ErrorVariant::CustomError { .. } => &[],
        };
        self.unknown_algorithm(offset).unwrap_or_else(|| self.unexpected(offset, expected))
    }

    /// Returns the error at the first algorithm name before `end` that is not in the table.
    fn unknown_algorithm(self, end: usize) -> Option<ParseError> {
        let mut tokens = tokens(self.source).take_while(|(offset, _)| *offset < end);
        if !matches!(tokens.next()?.1, Token::Plain("add" | "update")) {
            return None;
        }
        let mut flag = "";
        for (offset, token) in tokens {
            let name = token.source();
            let (is_known, expected): (bool, &[Rule]) = match flag {
                "-E" => (EncryptionWord::from_name(name).is_some(), &[Rule::keyless_cipher, Rule::cipher]),
                "-A" => (AuthenticationWord::from_name(name).is_some(), &[Rule::keyless_hash, Rule::hash]),
                "-C" => (CompressionWord::from_name(name).is_some(), &[Rule::compression_name]),
                _ => (true, &[]),
            };
            if !is_known {
                return Some(self.unexpected(offset, expected));
            }
            flag = if matches!(token, Token::Plain(_)) { name } else { "" };
        }
        None
    }

    /// Returns the error at an offset where one of `expected` was required.
    fn unexpected(self, offset: usize, expected: &[Rule]) -> ParseError {
        let token = Token::at(self.source, offset);
        let hint = hint::for_syntax_error((self.source, self.first_line == 1), offset, token, expected);
        let error = match token {
            // A single character is not a key.
            Token::Illegal(text) => {
                let error = self.error_at(ErrorKind::Lexical, "Syntax error", offset);
                ParseError { token: Some(text.to_owned()), ..error }
            }
            _ => self.error_at(ErrorKind::Syntax, "syntax error", offset),
        };
        ParseError { hint, ..error }
    }

    /// Returns an error at a well-formed but impossible value. The value is shown if it is a number, and so not a key.
    fn value_error(self, message: impl Into<Cow<'static, str>>, pair: &Pair<'_, Rule>) -> ParseError {
        let is_number = match pair.as_rule() {
            Rule::number | Rule::prefix => true,
            Rule::hex | Rule::spi => pair.as_str().len() <= NUMBER_MAX,
            _ => false,
        };
        let error = self.error_at(ErrorKind::Value, message, pair.as_span().start());
        if is_number && !self.doubtful { ParseError { token: Some(pair.as_str().to_owned()), ..error } } else { error }
    }

    fn command(self, pair: Pair<'s, Rule>) -> Result<Command<'s>, ParseError> {
        let rule = pair.as_rule();
        let mut parts = pair.into_inner();
        let verb = parts.next().map_or("", |verb| verb.as_str());
        Ok(match rule {
            Rule::keyed if verb == "add" => Command::Add(self.sa(parts)?),
            Rule::keyed => Command::Update(self.sa(parts)?),
            Rule::reference => match verb {
                "delete" => Command::Delete(self.sa(parts)?),
                "get" => Command::Get(self.sa(parts)?),
                _ => Command::GetSpi(self.sa(parts)?),
            },
            Rule::all => delete_all(parts),
            Rule::listing if verb == "dump" => Command::Dump(protocol(parts)),
            Rule::listing => Command::Flush(protocol(parts)),
            Rule::spd => {
                let spd = self.spd(parts)?;
                match verb {
                    "spdadd" => Command::SpdAdd(spd),
                    "spdupdate" => Command::SpdUpdate(spd),
                    _ => Command::SpdDelete(spd),
                }
            }
            _ => match verb {
                "spddump" => Command::SpdDump,
                "spdflush" => Command::SpdFlush,
                _ => Command::Quit,
            },
        })
    }

    fn sa(self, parts: Pairs<'s, Rule>) -> Result<Sa<'s>, ParseError> {
        let mut sa = Sa::default();
        let mut source = None;
        for part in parts {
            match part.as_rule() {
                Rule::option => add_option(&mut sa.options, part.as_str()),
                Rule::endpoint if source.is_none() => source = Some(self.endpoint(part)?),
                Rule::endpoint => sa.destination = self.endpoint(part)?,
                Rule::simple_protocol | Rule::esp_udp => sa.protocol = protocol_word(part.as_str()),
                Rule::original => sa.original_address = part.into_inner().next().map(|part| word(&part)),
                Rule::spi => sa.spi = self.spi(&last(part))?,
                Rule::encryption => sa.algorithms.encryption = Some(self.encryption(part, sa.protocol)?),
                Rule::authentication => sa.algorithms.authentication = Some(self.authentication(part)?),
                Rule::compression => self.compression(&mut sa.algorithms, part)?,
                _ => self.extension(&mut sa, part)?,
            }
        }
        sa.source = source.unwrap_or_default();
        Ok(sa)
    }

    fn extension(self, sa: &mut Sa<'s>, part: Pair<'s, Rule>) -> Result<(), ParseError> {
        match part.as_rule() {
            Rule::counter => self.counter(sa, part)?,
            Rule::mode => {
                sa.mode = match last(part).as_str() {
                    "transport" => Mode::Transport,
                    "tunnel" => Mode::Tunnel,
                    _ => Mode::Any,
                }
            }
            Rule::padding => match last(part).as_str() {
                "random-pad" => sa.padding.random = true,
                "zero-pad" => sa.padding.zero = true,
                "seq-pad" => sa.padding.sequential = true,
                _ => sa.no_cyclic_sequence = true,
            },
            Rule::context => sa.context = Some(self.context(part)?),
            Rule::esn => sa.esn = true,
            Rule::natt => {
                let mut ends = part.into_inner().skip(1);
                let mut end = || ends.next().map_or(Ok(Endpoint::default()), |end| self.endpoint(end));
                sa.natt = Some((end()?, end()?));
            }
            Rule::mark => {
                // The rule has two flags: `-mark` and `-output-mark`.
                let output = part.as_str().starts_with("-o");
                let mark = self.mark(part)?;
                *if output { &mut sa.output_mark } else { &mut sa.mark } = Some(mark);
            }
            Rule::if_id => sa.if_id = Some(self.value(&last(part))?),
            Rule::offload => {
                let mut parts = part.into_inner().skip(1);
                let packet = parts.next().is_some_and(|kind| kind.as_str() == "packet");
                sa.offload = Some(Offload { packet, device: parts.next().as_ref().map(word).unwrap_or_default() });
            }
            _ => {}
        }
        Ok(())
    }

    fn counter(self, sa: &mut Sa<'s>, part: Pair<'s, Rule>) -> Result<(), ParseError> {
        let flag = part.as_str().as_bytes().get(1..3).unwrap_or_default();
        let operand = last(part);
        match flag {
            b"lh" => sa.hard.seconds = self.number(&operand, u64::MAX)?,
            b"ls" => sa.soft.seconds = self.number(&operand, u64::MAX)?,
            b"bh" => sa.hard.bytes = self.number(&operand, u64::MAX)?,
            b"bs" => sa.soft.bytes = self.number(&operand, u64::MAX)?,
            // They are sent in `sadb_lifetime_allocations`, which has 32 bits (RFC 2367, section 2.3.2).
            b"ph" => sa.hard.packets = self.number(&operand, u32::MAX)?,
            b"ps" => sa.soft.packets = self.number(&operand, u32::MAX)?,
            [b'u', ..] => sa.reqid = self.number(&operand, u32::MAX)?,
            // RFC 1826 and RFC 1827 have no sequence numbers.
            _ if matches!(sa.protocol, Some(Protocol::AhOld | Protocol::EspOld)) => {
                return Err(self.value_error("replay prevention cannot be used with ah/esp-old", &operand));
            }
            _ => sa.replay = self.number(&operand, u32::MAX)?,
        }
        Ok(())
    }

    /// A decimal number up to the largest of its type.
    fn number<N: FromStr + Display>(self, pair: &Pair<'_, Rule>, maximum: N) -> Result<N, ParseError> {
        pair.as_str().parse().map_err(|_| self.value_error(format!("number not in 0 to {maximum}"), pair))
    }

    /// A 32-bit number, decimal or hex.
    fn value(self, pair: &Pair<'_, Rule>) -> Result<u32, ParseError> {
        number_or_hex(pair.as_str()).ok_or_else(|| self.value_error(format!("number not in 0 to {}", u32::MAX), pair))
    }

    fn spi(self, pair: &Pair<'_, Rule>) -> Result<u32, ParseError> {
        number_or_hex(pair.as_str()).ok_or_else(|| self.value_error("SPI too big", pair))
    }

    fn mark(self, pair: Pair<'s, Rule>) -> Result<Mark, ParseError> {
        let mut values = pair.into_inner().filter(|part| matches!(part.as_rule(), Rule::hex | Rule::number));
        let mut value = || values.next().map(|part| self.value(&part)).transpose();
        // Without a mask, all bits are compared.
        Ok(Mark { value: value()?.unwrap_or_default(), mask: value()?.unwrap_or(u32::MAX) })
    }

    /// A host with an optional port.
    fn endpoint(self, pair: Pair<'s, Rule>) -> Result<Endpoint<'s>, ParseError> {
        let mut endpoint = Endpoint::default();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::port => endpoint.port = self.port(part)?,
                _ => endpoint.host = word(&part),
            }
        }
        Ok(endpoint)
    }

    fn port(self, pair: Pair<'s, Rule>) -> Result<Option<Word<'s>>, ParseError> {
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::number if part.as_str().parse::<u16>().is_err() => {
                    return Err(self.value_error("invalid port, not in 0 to 65535", &part));
                }
                Rule::number | Rule::word => return Ok(Some(word(&part))),
                _ => {}
            }
        }
        Ok(None)
    }

    fn context(self, pair: Pair<'s, Rule>) -> Result<SecurityContext<'s>, ParseError> {
        let mut parts = pair.into_inner().skip(1);
        let mut number = || parts.next().map_or(Ok(0), |part| self.number(&part, u8::MAX));
        let (doi, algorithm) = (number()?, number()?);
        Ok(SecurityContext { doi, algorithm, label: parts.next().as_ref().map(unquoted).unwrap_or_default() })
    }

    fn encryption(
        self,
        pair: Pair<'s, Rule>,
        protocol: Option<Protocol>,
    ) -> Result<Keyed<'s, EncryptionWord>, ParseError> {
        let (name, key) = keyed(pair);
        let algorithm = EncryptionWord::from_name(name.text).ok_or_else(|| self.unknown(name))?;
        let (short_iv, derived_iv) =
            (algorithm.flags.contains(SaFlags::IV4B), algorithm.flags.contains(SaFlags::DERIV));
        let mismatched = (short_iv && protocol != Some(Protocol::EspOld))
            || (derived_iv && matches!(protocol, Some(Protocol::EspOld | Protocol::AhOld)));
        match &key {
            Some((_, pair)) if mismatched => Err(self.value_error("algorithm mismatched", pair)),
            _ => Ok(Keyed { algorithm, name, key: key.map(|(key, _)| key) }),
        }
    }

    fn authentication(self, pair: Pair<'s, Rule>) -> Result<Keyed<'s, AuthenticationWord>, ParseError> {
        let (name, key) = keyed(pair);
        let algorithm = AuthenticationWord::from_name(name.text).ok_or_else(|| self.unknown(name))?;
        Ok(Keyed { algorithm, name, key: key.map(|(key, _)| key) })
    }

    fn compression(self, algorithms: &mut Algorithms<'s>, pair: Pair<'s, Rule>) -> Result<(), ParseError> {
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::compression_name => {
                    let name = word(&part);
                    let algorithm = CompressionWord::from_name(name.text).ok_or_else(|| self.unknown(name))?;
                    algorithms.compression = Some(algorithm);
                }
                Rule::raw_cpi => algorithms.raw_cpi = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// A name that is not in the table of algorithms.
    fn unknown(self, name: Word<'_>) -> ParseError {
        self.error_at(ErrorKind::Syntax, "syntax error", name.offset)
    }

    fn spd(self, parts: Pairs<'s, Rule>) -> Result<Spd<'s>, ParseError> {
        let mut options = AddressOptions::default();
        let (mut source, mut destination) = (None, Range::default());
        let (mut upper, mut misc, mut context, mut tag) = (Upper::Any, None, None, None);
        let mut policy = None;
        for part in parts {
            match part.as_rule() {
                Rule::option => add_option(&mut options, part.as_str()),
                Rule::range if source.is_none() => source = Some(self.range(part)?),
                Rule::range => destination = self.range(part)?,
                Rule::protocol_number => upper = Upper::Number(protocol_number(part.as_str())),
                // A number like others, but in the rule of `gre`, because a key may follow it.
                Rule::gre if part.as_str() == "47" => upper = Upper::Number(47),
                Rule::tcp | Rule::upper_name | Rule::gre => upper = Upper::Named(word(&part)),
                Rule::misc | Rule::gre_key => misc = Some(word(&part)),
                Rule::context => context = Some(self.context(part)?),
                Rule::quoted => tag = Some(unquoted(&part)),
                Rule::policy => policy = part.into_inner().find(|part| part.as_rule() == Rule::policy_text),
                _ => {}
            }
        }
        let policy_text = policy.as_ref().map(word).unwrap_or_default();
        self.check_misc(upper, misc, policy_text)?;
        let policy = policy::parse(policy_text.text).map_err(|error| self.policy_error(policy_text, &error))?;
        let source = source.unwrap_or_default();
        let selector = match tag {
            Some(tag) => Selector::Tagged(tag),
            None => Selector::Ranges { source, destination, upper, misc, context },
        };
        Ok(Spd { options, selector, policy_text, policy })
    }

    fn range(self, pair: Pair<'s, Rule>) -> Result<Range<'s>, ParseError> {
        let mut range = Range::default();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::word => range.host = word(&part),
                Rule::prefix => range.prefix = Some(self.number(&part, u8::MAX)?),
                Rule::port => range.port = self.port(part)?,
                _ => {}
            }
        }
        Ok(range)
    }

    /// What follows the upper-layer protocol, where the protocol's number is known.
    fn check_misc(self, upper: Upper<'s>, misc: Option<Word<'s>>, policy: Word<'s>) -> Result<(), ParseError> {
        let Some(misc) = misc else { return Ok(()) };
        let protocol = match upper {
            Upper::Any => None,
            Upper::Named(name) => known_protocol(name.text),
            Upper::Number(number) => Some(number),
        };
        let Some(protocol) = protocol else { return Ok(()) };
        if !takes_spec(protocol) {
            let hint = hint::for_unwanted_spec(misc.text).map(Into::into);
            return Err(ParseError { hint, ..self.error_at(ErrorKind::Syntax, "syntax error", misc.offset) });
        }
        if upper_spec(protocol, misc.text).is_some() {
            return Ok(());
        }
        let error = self.error_at(ErrorKind::Value, "invalid an upper layer protocol spec", misc.offset);
        let token = self.source.get(policy.offset..).unwrap_or_default();
        let token = shown(&self.secrets(), token, policy.offset);
        let hint = Some(hint::for_upper_spec(protocol).into());
        Err(ParseError { token, line: self.line_at(self.source.len()), hint, ..error })
    }

    fn policy_error(self, text: Word<'s>, cause: &policy::PolicyError) -> ParseError {
        let offset = text.offset + cause.offset;
        let secrets = self.secrets();
        let word = Token::at(self.source, offset).source();
        let hint = if hint::is_statement(word) { Some(hint::cut_short(word)) } else { cause.hint.clone() };
        // The library's line repeats the word at the error.
        let library_line = match secrets.cover(offset) {
            true => cause.library_line().map(|_| "libipsec: syntax error at the key".to_owned()),
            false => cause.library_line(),
        };
        ParseError {
            kind: ErrorKind::Policy(cause.kind),
            message: cause.to_string().into(),
            token: shown(&secrets, text.text, text.offset),
            line: self.line_at(text.offset + text.text.len()),
            offset,
            library_line,
            hint,
        }
    }
}

fn delete_all<'s>(parts: Pairs<'s, Rule>) -> Command<'s> {
    let mut options = AddressOptions::default();
    let mut hosts = parts.clone().filter(|part| part.as_rule() == Rule::word);
    let mut host = || hosts.next().as_ref().map(word).unwrap_or_default();
    let (source, destination) = (host(), host());
    for part in parts.clone().filter(|part| part.as_rule() == Rule::option) {
        add_option(&mut options, part.as_str());
    }
    Command::DeleteAll { options, source, destination, protocol: protocol(parts) }
}

/// The protocol among the operands of a statement.
fn protocol(mut parts: Pairs<'_, Rule>) -> Option<Protocol> {
    let part = parts.find(|part| matches!(part.as_rule(), Rule::simple_protocol | Rule::esp_udp))?;
    protocol_word(part.as_str())
}

fn protocol_word(text: &str) -> Option<Protocol> {
    Some(match text {
        "ah" => Protocol::Ah,
        "ah-old" => Protocol::AhOld,
        "esp" => Protocol::Esp,
        "esp-old" => Protocol::EspOld,
        "esp-udp" => Protocol::EspUdp,
        "ipcomp" => Protocol::IpComp,
        "tcp" => Protocol::Tcp,
        _ => return None,
    })
}

fn add_option(options: &mut AddressOptions, text: &str) {
    for letter in text.bytes() {
        match letter {
            b'4' => options.family = Some(Family::V4),
            b'6' => options.family = Some(Family::V6),
            b'n' => options.numeric = true,
            _ => {}
        }
    }
}

fn word<'s>(pair: &Pair<'s, Rule>) -> Word<'s> {
    Word { text: pair.as_str(), offset: pair.as_span().start() }
}

/// A quoted string without its quotes.
fn unquoted<'s>(pair: &Pair<'s, Rule>) -> Word<'s> {
    Word { text: pair.as_str().trim_matches('"'), offset: pair.as_span().start() + 1 }
}

/// The last part of a pair: the operand of a flag.
fn last(pair: Pair<'_, Rule>) -> Pair<'_, Rule> {
    pair.clone().into_inner().next_back().unwrap_or(pair)
}

fn number_or_hex(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A protocol number, cut to 8 bits as KAME setkey cuts it.
fn protocol_number(digits: &str) -> u8 {
    digits.bytes().fold(0, |number: u8, digit| number.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0')))
}

/// An algorithm's name and key; the key with its pair, for errors at it.
fn keyed<'s>(pair: Pair<'s, Rule>) -> (Word<'s>, Option<(Key<'s>, Pair<'s, Rule>)>) {
    let mut parts = pair.into_inner().skip(1);
    let name = parts.next().as_ref().map(word).unwrap_or_default();
    let key = parts.next().map(|part| {
        let key = match part.as_rule() {
            Rule::quoted => Key::Quoted(unquoted(&part)),
            _ => {
                Key::Hex(Word { text: part.as_str().get(2..).unwrap_or_default(), offset: part.as_span().start() + 2 })
            }
        };
        (key, part)
    });
    (name, key)
}
