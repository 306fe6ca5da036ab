//! `--json`: prints the SAD or SPD as a JSON object, one entry per line.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use libpfkey::algorithm::{Authentication, Compression, Encryption};
use libpfkey::num::{MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL, OFFLOAD_PACKET, SCOPE_IFNET};
use libpfkey::protocol::protocol_name;
use libpfkey::wire::{Address, Lifetime, Policy, SockAddr, XfrmMark, XfrmOffload};
use libpfkey::{
    Answer, Connection, Dialect, ExtensionType, Message, MessageType, Pipeline, SaState, SaType, SendMode, errno_text,
    request,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::output;
use crate::protocol::protocol_word;

/// Version of the format. Increased when a member is removed or changes its meaning.
const VERSION: u32 = 1;

/// Prints a database: the policies of the scopes in `policies`, or the SAs; with keys if `keys`, with dead SAs if `dead`.
///
/// # Errors
/// Returns the line that says what the kernel or the system refused.
pub(crate) fn run(connection: Connection, policies: Option<u8>, keys: bool, dead: bool) -> Result<ExitCode, String> {
    let abi = connection.abi();
    let mut pipeline = Pipeline::<()>::new(connection, SendMode::Pipelined);
    let mut bytes = Vec::new();
    let header = pipeline.next_request_header();
    match policies {
        Some(scope) => request::spddump_of_scope(header, scope, &mut bytes),
        None => request::dump(header, SaType::Unspec, &mut bytes),
    }
    .map_err(|error| error.to_string())?;
    let table = if policies.is_some() { "policies" } else { "sas" };
    let mut list = List { out: BufWriter::new(io::stdout()), table, empty: true, failed: None, unwritten: None };
    let dumped = pipeline.dump(&bytes, &(), &mut |(), answer| match answer {
        Answer::Reply(bytes) => match Message::parse(abi, bytes) {
            Ok(message) => list.message(&message, keys, dead),
            Err(error) => list.failed = Some(error.to_string()),
        },
        // ENOENT reports an empty table, and a list of no entries is valid JSON.
        Answer::Errno(libc::ENOENT, ..) | Answer::Confirmed => {}
        Answer::Errno(errno, ..) => list.failed = Some(errno_text(errno)),
        Answer::Lost(error) => list.failed = Some(error.to_string()),
    });
    dumped.map_err(|error| error.to_string())?;
    list.end()
}

/// State of a listing.
struct List {
    out: BufWriter<io::Stdout>,
    /// Name of the member with the entries.
    table: &'static str,
    empty: bool,
    /// Error of the kernel.
    failed: Option<String>,
    /// Error of standard output.
    unwritten: Option<io::Error>,
}

impl List {
    fn message(&mut self, message: &Message<'_>, keys: bool, dead: bool) {
        let text = match message.header.message_type {
            MessageType::SpdDump => serde_json::to_string(&PolicyEntry::new(message)),
            _ if !dead && message.sa().is_some_and(|sa| sa.state == SaState::Dead) => return,
            _ => serde_json::to_string(&SaEntry::new(message, keys)),
        };
        let written = text.map_err(io::Error::from).map(Zeroizing::new).and_then(|text| self.entry(&text));
        if let Err(error) = written {
            // The first error names the cause; later ones only follow from it.
            self.unwritten.get_or_insert(error);
        }
    }

    fn entry(&mut self, text: &str) -> io::Result<()> {
        match std::mem::replace(&mut self.empty, false) {
            true => self.begin("\n")?,
            false => self.out.write_all(b",\n")?,
        }
        self.out.write_all(text.as_bytes())
    }

    fn begin(&mut self, behind: &str) -> io::Result<()> {
        write!(self.out, "{{\"version\":{VERSION},\"{}\":[{behind}", self.table)
    }

    fn end(mut self) -> Result<ExitCode, String> {
        let ended = match self.empty {
            true => self.begin("]}\n"),
            false => self.out.write_all(b"\n]}\n"),
        };
        let ended = ended.and_then(|()| self.out.flush());
        // A truncated list must not look complete, so this takes precedence over errors of the kernel.
        if let Some(error) = self.unwritten.or(ended.err()) {
            // Do not retry a failed write.
            let _ = self.out.into_parts();
            return Ok(output::failure(&error));
        }
        match self.failed {
            Some(text) => Err(text),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

/// One end of an SA or selector.
#[derive(Debug, Serialize)]
struct End {
    address: String,
    prefix: u8,
    port: u16,
}

impl End {
    fn new(address: &Address) -> Self {
        let text = match &address.sockaddr {
            SockAddr::Inet(sockaddr) => sockaddr.ip().to_string(),
            SockAddr::Other { family } => format!("family {family}"),
        };
        Self { address: text, prefix: address.prefix, port: address.sockaddr.port() }
    }
}

#[derive(Debug, Serialize)]
struct Limits {
    allocations: u32,
    bytes: u64,
    add_seconds: u64,
    use_seconds: u64,
}

impl Limits {
    fn new(lifetime: &Lifetime) -> Self {
        let Lifetime { allocations, bytes, addtime, usetime } = *lifetime;
        Self { allocations, bytes, add_seconds: addtime, use_seconds: usetime }
    }
}

/// An algorithm with the length of its key, and the key if requested.
#[derive(Debug, Serialize)]
struct Keyed {
    name: String,
    key_bits: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Zeroizing<String>>,
}

/// An SA. Times are in seconds since 1970; 0 means never.
#[derive(Debug, Serialize)]
struct SaEntry {
    source: Option<End>,
    destination: Option<End>,
    protocol: &'static str,
    spi: Option<u32>,
    mode: Option<&'static str>,
    reqid: Option<u32>,
    state: Option<&'static str>,
    replay_window: Option<u32>,
    sequence: Option<u32>,
    flags: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<Keyed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication: Option<Keyed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_t: Option<NatT>,
    current: Option<Limits>,
    hard: Option<Limits>,
    soft: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<String>,
    #[serde(flatten)]
    xfrm: XfrmEntry,
}

/// Properties that only NETLINK_XFRM reports.
#[derive(Debug, Serialize)]
struct XfrmEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<Masked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_mark: Option<Masked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icv_bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    esn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offload: Option<Offload>,
}

#[derive(Debug, Serialize)]
struct Masked {
    value: u32,
    mask: u32,
}

#[derive(Debug, Serialize)]
struct Offload {
    kind: &'static str,
    device: String,
}

impl XfrmEntry {
    fn new(message: &Message<'_>) -> Self {
        let xfrm = message.xfrm();
        let masked = |mark: Option<XfrmMark>| mark.map(|XfrmMark { value, mask }| Masked { value, mask });
        Self {
            mark: masked(xfrm.mark),
            output_mark: masked(xfrm.output_mark),
            if_id: xfrm.if_id,
            icv_bits: xfrm.auth_trunc.map(|auth_trunc| auth_trunc.icv_bits),
            esn: xfrm.replay.map(|replay| replay.esn),
            offload: xfrm.offload.map(|XfrmOffload { interface, flags }| Offload {
                kind: if flags & OFFLOAD_PACKET == 0 { "crypto" } else { "packet" },
                device: libpfkey::dump::device(interface),
            }),
        }
    }
}

#[derive(Debug, Serialize)]
struct NatT {
    source_port: u16,
    destination_port: u16,
}

impl SaEntry {
    fn new(message: &Message<'_>, keys: bool) -> Self {
        let dialect = message.abi.dialect;
        let (sa, sa2) = (message.sa(), message.sa2());
        let sa_type = message.header.sa_type;
        let limits = |kind| message.lifetime(kind).map(Limits::new);
        let keyed = |kind, name: Option<&'static str>, number: u8| {
            message.key(kind).map(|key| Keyed {
                name: name.map_or_else(|| number.to_string(), str::to_owned),
                key_bits: key.bits,
                key: keys.then(|| hex(key.bytes)),
            })
        };
        let xfrm = message.xfrm();
        let window = xfrm.replay.map(|replay| replay.window);
        let icv_bits = xfrm.auth_trunc.map(|auth_trunc| auth_trunc.icv_bits);
        let compresses = sa_type == SaType::IpComp;
        Self {
            source: message.source().map(End::new),
            destination: message.destination().map(End::new),
            protocol: protocol_word(sa_type),
            spi: sa.map(|sa| sa.spi),
            mode: sa2.map(|sa2| mode(sa2.mode)),
            reqid: sa2.map(|sa2| sa2.reqid),
            state: sa.map(|sa| state(sa.state)),
            replay_window: window.or(sa.map(|sa| u32::from(sa.replay))),
            sequence: sa2.map(|sa2| sa2.sequence),
            flags: sa.map(|sa| sa.flags.bits()),
            encryption: sa.filter(|_| !compresses).and_then(|sa| {
                keyed(ExtensionType::KeyEncrypt, Encryption::from_number(dialect, sa.encrypt).name(), sa.encrypt)
            }),
            authentication: sa.and_then(|sa| {
                let auth = Authentication::from_number(dialect, sa.auth);
                keyed(ExtensionType::KeyAuth, auth.name_with_icv(icv_bits), sa.auth)
            }),
            compression: sa.filter(|_| compresses).map(|sa| {
                let name = Compression::from_number(dialect, sa.encrypt).name();
                name.map_or_else(|| sa.encrypt.to_string(), str::to_owned)
            }),
            nat_t: message.natt_type().filter(|kind| *kind != 0).map(|_| NatT {
                source_port: message.natt_port(ExtensionType::NatTSport).unwrap_or(0),
                destination_port: message.natt_port(ExtensionType::NatTDport).unwrap_or(0),
            }),
            current: limits(ExtensionType::LifetimeCurrent),
            hard: limits(ExtensionType::LifetimeHard),
            soft: limits(ExtensionType::LifetimeSoft),
            security_context: label(message),
            xfrm: XfrmEntry::new(message),
        }
    }
}

/// A policy.
#[derive(Debug, Serialize)]
struct PolicyEntry {
    source: Option<End>,
    destination: Option<End>,
    upper_layer: Option<String>,
    socket_policy: bool,
    /// The policy in the syntax of `-P`.
    policy: Option<String>,
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    current: Option<Limits>,
    hard: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<String>,
}

impl PolicyEntry {
    fn new(message: &Message<'_>) -> Self {
        let dialect: Dialect = message.abi.dialect;
        let policy = message.policy();
        let limits = |kind| message.lifetime(kind).map(Limits::new);
        Self {
            source: message.source().map(End::new),
            destination: message.destination().map(End::new),
            upper_layer: message.source().map(|address| protocol_name(address.proto).into_owned()),
            socket_policy: libpfkey::dump::is_socket_policy(message),
            policy: policy.and_then(|policy| policy.to_text(dialect, " ", true).ok()),
            id: policy.map(|policy| policy.id),
            priority: policy
                .filter(|policy| dialect.has_priority() && !is_of_interface(policy))
                .map(|policy| policy.priority),
            current: limits(ExtensionType::LifetimeCurrent),
            hard: limits(ExtensionType::LifetimeHard),
            security_context: label(message),
        }
    }
}

/// Returns whether the priority field contains the index of an interface, as on FreeBSD.
fn is_of_interface(policy: &Policy) -> bool {
    policy.scope == SCOPE_IFNET
}

fn label(message: &Message<'_>) -> Option<String> {
    let context = message.security_context()?;
    let text = context.label.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(String::from_utf8_lossy(text).into_owned())
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    // Allocates the whole length at once: growing would leave copies of key material in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

fn mode(number: u8) -> &'static str {
    match number {
        MODE_ANY => "any",
        MODE_TRANSPORT => "transport",
        MODE_TUNNEL => "tunnel",
        _ => "unknown",
    }
}

fn state(state: SaState) -> &'static str {
    match state {
        SaState::Larval => "larval",
        SaState::Mature => "mature",
        SaState::Dying => "dying",
        SaState::Dead => "dead",
        SaState::Other(_) => "unknown",
    }
}
