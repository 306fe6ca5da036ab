//! The syntax tree of one statement. It borrows from the statement's text.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::error::{ErrorKind, ParseError};
use super::secret::{secrets_of, shown};
use super::token::{Token, skip_blanks};
use libpfkey::algorithm::{AuthenticationWord, CompressionWord, EncryptionWord};
use libpfkey::policy::PolicyText;

/// One statement with its place in the input. Its `Debug` form has no keys in it.
#[derive(Clone, PartialEq)]
pub struct Statement<'s> {
    /// The statement's text, to its `;`. Bytes above 127 of the file are widened as Latin-1.
    pub source: &'s str,
    /// Line of the terminating `;`, from 1. Kernel errors are reported with it.
    pub line: u32,
    /// Whether the text may be part of a key: see [`RawStatement::doubtful`](super::RawStatement::doubtful).
    pub doubtful: bool,
    /// The statement itself.
    pub command: Command<'s>,
}

impl<'s> Statement<'s> {
    /// Returns an error at the token that begins at `offset`.
    pub fn error_at(&self, offset: usize, message: impl Into<Cow<'static, str>>) -> ParseError {
        self.error(Token::at(self.source, offset).source(), offset, offset, offset, message.into())
    }

    /// Returns an error about the token at `offset` that KAME setkey detects, and reports, at the next token.
    /// (An unresolvable source host of `add` is reported at the destination.)
    pub fn error_after(&self, offset: usize, message: impl Into<Cow<'static, str>>) -> ParseError {
        let end = offset + Token::at(self.source, offset).source().len();
        let next = skip_blanks(self.source, end);
        self.error(Token::at(self.source, next).source(), next, next, offset, message.into())
    }

    /// Returns an error about the token at `offset` that KAME setkey detects only when the statement is complete: its
    /// message shows the `;`, preceded by the text after `-P` if there is one.
    pub fn error_at_end(&self, offset: usize, message: impl Into<Cow<'static, str>>) -> ParseError {
        let start = self.policy_text().map_or(self.source.len().saturating_sub(1), |text| text.offset);
        let token = self.source.get(start..).unwrap_or_default();
        self.error(token, start, self.source.len(), offset, message.into())
    }

    /// Returns the line of `offset`.
    pub fn line_at(&self, offset: usize) -> u32 {
        let rest = self.source.as_bytes().get(offset..).unwrap_or_default();
        let after = rest.iter().filter(|byte| **byte == b'\n').count();
        self.line.saturating_sub(u32::try_from(after).unwrap_or(u32::MAX))
    }

    fn policy_text(&self) -> Option<Word<'s>> {
        match &self.command {
            Command::SpdAdd(spd) | Command::SpdDelete(spd) | Command::SpdUpdate(spd) => Some(spd.policy_text),
            _ => None,
        }
    }

    /// `start`: beginning of the token; `stands`: position of the reference's parser; `offset`: the offending text.
    fn error(&self, token: &str, start: usize, stands: usize, offset: usize, message: Cow<'static, str>) -> ParseError {
        ParseError {
            kind: ErrorKind::Value,
            message,
            token: shown(&secrets_of(self.source, self.doubtful), token, start),
            line: self.line_at(stands),
            offset,
            library_line: None,
            hint: None,
        }
    }
}

impl std::fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement")
            .field("source", &secrets_of(self.source, self.doubtful).blot(self.source, 0))
            .field("line", &self.line)
            .field("doubtful", &self.doubtful)
            .field("command", &self.command)
            .finish()
    }
}

/// A word of the statement and the offset of its first byte in [`Statement::source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word<'s> {
    /// The text as written (without the quotes, for a quoted string).
    pub text: &'s str,
    /// Offset in the statement's text.
    pub offset: usize,
}

/// A command with its operands.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<'s> {
    /// `add`: create SAs.
    Add(Sa<'s>),
    /// `delete`: remove one SA.
    Delete(Sa<'s>),
    /// `deleteall`: remove all SAs between two hosts.
    DeleteAll {
        /// Address options of the statement.
        options: AddressOptions,
        /// Source host.
        source: Word<'s>,
        /// Destination host.
        destination: Word<'s>,
        /// Protocol; all when absent.
        protocol: Option<Protocol>,
    },
    /// `dump`: print the SAD.
    Dump(Option<Protocol>),
    /// `flush`: empty the SAD.
    Flush(Option<Protocol>),
    /// `get`: print one SA.
    Get(Sa<'s>),
    /// `getspi`: reserve an SPI (a larval SA).
    GetSpi(Sa<'s>),
    /// `exit`, `quit`, `bye`.
    Quit,
    /// `spdadd`: create a policy.
    SpdAdd(Spd<'s>),
    /// `spddelete`: remove a policy.
    SpdDelete(Spd<'s>),
    /// `spddump`: print the SPD.
    SpdDump,
    /// `spdflush`: empty the SPD.
    SpdFlush,
    /// `spdupdate`: create or replace a policy.
    SpdUpdate(Spd<'s>),
    /// `update`: complete a larval SA or change an SA.
    Update(Sa<'s>),
}

/// `-4`, `-6`, `-n` before the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressOptions {
    /// Restrict resolution to one family; the last letter given wins.
    pub family: Option<Family>,
    /// Numeric addresses only: no name service.
    pub numeric: bool,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A host with an optional port or service name in brackets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint<'s> {
    /// Host name or address.
    pub host: Word<'s>,
    /// Port number or (UDP) service name; `any` is `None`.
    pub port: Option<Word<'s>>,
}

/// A protocol word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `ah`
    Ah,
    /// `ah-old` (RFC 1826)
    AhOld,
    /// `esp`
    Esp,
    /// `esp-old` (RFC 1827)
    EspOld,
    /// `esp-udp`: ESP in UDP (RFC 3948)
    EspUdp,
    /// `ipcomp`
    IpComp,
    /// `tcp`: TCP-MD5 signatures (RFC 2385), BSD only
    Tcp,
}

/// The SA mode after `-m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `any`, the default.
    #[default]
    Any,
    /// `transport`
    Transport,
    /// `tunnel`
    Tunnel,
}

/// The padding chosen by `-f`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingFlags {
    /// `-f random-pad`
    pub random: bool,
    /// `-f zero-pad`
    pub zero: bool,
    /// `-f seq-pad` (its flag value is 0; kept for round trips)
    pub sequential: bool,
}

/// A security label: `-ctx DOI ALGORITHM "LABEL"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityContext<'s> {
    /// Domain of interpretation.
    pub doi: u8,
    /// Label algorithm.
    pub algorithm: u8,
    /// The label, without the terminating NUL that goes on the wire.
    pub label: Word<'s>,
}

/// A value with a mask: `V/M`, both decimal or hex; without `/M` all bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The mask.
    pub mask: u32,
}

/// `-offload KIND DEVICE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload<'s> {
    /// `packet` (whole packets) rather than `crypto`.
    pub packet: bool,
    /// The network device.
    pub device: Word<'s>,
}

/// Limits in seconds, bytes and packets; 0 is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// `-lh`/`-ls`: seconds since creation.
    pub seconds: u64,
    /// `-bh`/`-bs`: bytes.
    pub bytes: u64,
    /// `-ph`/`-ps`: packets, `sadb_lifetime_allocations` on the wire.
    pub packets: u32,
}

/// The operands of the SA statements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sa<'s> {
    /// Address options.
    pub options: AddressOptions,
    /// Source.
    pub source: Endpoint<'s>,
    /// Destination.
    pub destination: Endpoint<'s>,
    /// Protocol; grammatically optional (the kernel refuses SA type 0).
    pub protocol: Option<Protocol>,
    /// The original address after `esp-udp`.
    pub original_address: Option<Word<'s>>,
    /// SPI in host byte order; 0 in `getspi` lets the kernel choose.
    pub spi: u32,
    /// `-m`
    pub mode: Mode,
    /// `-r`: replay window; 0 if none is given. In the kernel interface's unit: bytes on the BSDs, packets on Linux.
    pub replay: u32,
    /// `-u`
    pub reqid: u32,
    /// `-f zero-pad`, `random-pad`, `seq-pad`
    pub padding: PaddingFlags,
    /// `-f nocyclic-seq`: the sequence number may not wrap.
    pub no_cyclic_sequence: bool,
    /// Hard limits.
    pub hard: Lifetime,
    /// Soft limits.
    pub soft: Lifetime,
    /// `-ctx`
    pub context: Option<SecurityContext<'s>>,
    /// `-esn`
    pub esn: bool,
    /// `-natt SRC[PORT] DST[PORT]`
    pub natt: Option<(Endpoint<'s>, Endpoint<'s>)>,
    /// `-mark V/M`
    pub mark: Option<Mark>,
    /// `-output-mark V/M`
    pub output_mark: Option<Mark>,
    /// `-if-id N`
    pub if_id: Option<u32>,
    /// `-offload KIND DEVICE`
    pub offload: Option<Offload<'s>>,
    /// Algorithms; only `add` and `update` have them.
    pub algorithms: Algorithms<'s>,
}

/// The algorithms of an SA with their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Algorithms<'s> {
    /// `-E NAME KEY`
    pub encryption: Option<Keyed<'s, EncryptionWord>>,
    /// `-A NAME KEY`
    pub authentication: Option<Keyed<'s, AuthenticationWord>>,
    /// `-C NAME`
    pub compression: Option<CompressionWord>,
    /// `-R`: the SPI is the CPI on the wire.
    pub raw_cpi: bool,
}

/// An algorithm word with its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyed<'s, A> {
    /// The algorithm.
    pub algorithm: A,
    /// Its name as written.
    pub name: Word<'s>,
    /// The key; absent for `null` and `simple`.
    pub key: Option<Key<'s>>,
}

/// A key as written. Its `Debug` form does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key<'s> {
    /// Between quotes: the raw bytes, widened as Latin-1.
    Quoted(Word<'s>),
    /// `0x` and hex digits: the digits.
    Hex(Word<'s>),
}

impl Key<'_> {
    /// Returns the key's bytes: one per character, or one per two hex digits. If the number of digits is odd, the first
    /// digit is a byte by itself, as in KAME setkey.
    pub fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::new());
        match self {
            Self::Quoted(word) => {
                bytes.reserve_exact(word.text.len());
                // The text is Latin-1 widened to UTF-8: every character is below 256.
                bytes.extend(word.text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
            }
            Self::Hex(word) => {
                bytes.reserve_exact(word.text.len().div_ceil(2));
                let nibble = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
                let digits = word.text.as_bytes();
                let (first, rest) = digits.split_at(digits.len() % 2);
                bytes.extend(first.iter().map(nibble));
                bytes.extend(rest.chunks_exact(2).map(|pair| nibble(&pair[0]) << 4 | nibble(&pair[1])));
            }
        }
        bytes
    }

    /// Returns the offset of the key in the statement, behind its quote or `0x`.
    pub fn offset(&self) -> usize {
        match self {
            Self::Quoted(word) | Self::Hex(word) => word.offset,
        }
    }
}

impl std::fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Quoted(_) => f.write_str("Quoted(..)"),
            Self::Hex(_) => f.write_str("Hex(..)"),
        }
    }
}

/// The operands of the SPD statements.
#[derive(Clone, Debug, PartialEq)]
pub struct Spd<'s> {
    /// Address options.
    pub options: AddressOptions,
    /// Packets that the policy applies to.
    pub selector: Selector<'s>,
    /// The text after `-P`, as written up to the `;`.
    pub policy_text: Word<'s>,
    /// The policy.
    pub policy: PolicyText,
}

/// The traffic selector of a policy.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector<'s> {
    /// Address ranges.
    Ranges {
        /// Source range.
        source: Range<'s>,
        /// Destination range.
        destination: Range<'s>,
        /// Upper-layer protocol.
        upper: Upper<'s>,
        /// `TYPE,CODE` for ICMP and MH, a key for GRE.
        misc: Option<Word<'s>>,
        /// `-ctx`
        context: Option<SecurityContext<'s>>,
    },
    /// `tagged "NAME"`: packets with a tag of the packet filter.
    Tagged(Word<'s>),
}

/// A host, prefix and port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range<'s> {
    /// Host name or address.
    pub host: Word<'s>,
    /// Prefix length as written; full when absent. The kernel checks it against the address family.
    pub prefix: Option<u8>,
    /// Port number or (UDP) service name; `any` is `None`.
    pub port: Option<Word<'s>>,
}

/// The upper-layer protocol of a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper<'s> {
    /// `any`
    Any,
    /// A protocol name, to be looked up in the system's table.
    Named(Word<'s>),
    /// A protocol number.
    Number(u8),
}
