//! Bodies of the fuzz targets. Tests of ipsec-conf run them with the seeds on the stable compiler.

use std::io;
use std::path::{Path, PathBuf};

use ipsec_conf::plainrsa::RsaEntry;
use ipsec_conf::racoon::{Changes, Loader, Metadata, Passwords, load};
use ipsec_conf::setkey::{Diagnostic, RawStatement, Splitter};
use ipsec_conf::{plainrsa, psk};
use libpfkey::backend::{Backend, MESSAGE_MAX, Memory};
use libpfkey::dump::{self, Options};
use libpfkey::num::{MANUAL_REQID_MAX, PF_KEY_V2};
use libpfkey::policy;
use libpfkey::wire::{HEADER_LEN, Policy, peek_header};
use libpfkey::{Abi, ByteOrder, Dialect, Message, MessageType};
use zeroize::Zeroizing;

/// Offset of the length field in the base header.
const LENGTH_AT: usize = 4;

/// Returns every combination of dialect and byte order.
fn abis() -> impl Iterator<Item = Abi> {
    let orders = [ByteOrder::Big, ByteOrder::Little];
    Dialect::ALL.into_iter().flat_map(move |dialect| orders.map(|byte_order| Abi { dialect, byte_order }))
}

/// Returns the bytes, truncated to whole words, with their correct length in the 16-bit field at `at`. Mutation seldom
/// finds it.
fn with_true_length(abi: Abi, bytes: &[u8], at: usize) -> Vec<u8> {
    let words = u16::try_from(bytes.len() / 8).unwrap_or(u16::MAX);
    let mut repaired = bytes[..usize::from(words) * 8].to_vec();
    let length = match abi.byte_order {
        ByteOrder::Big => words.to_be_bytes(),
        ByteOrder::Little => words.to_le_bytes(),
    };
    if let Some(field) = repaired.get_mut(at..at + 2) {
        field.copy_from_slice(&length);
    }
    repaired
}

/// Parses, writes, checks and dumps a PF_KEY message.
pub fn message(bytes: &[u8]) {
    for abi in abis() {
        one_message(abi, bytes);
        one_message(abi, &with_true_length(abi, bytes, LENGTH_AT));
    }
}

fn one_message(abi: Abi, bytes: &[u8]) {
    let mut out = String::new();
    dump::structure(&mut out, abi, bytes);
    let Ok(message) = Message::parse(abi, bytes) else { return };
    let _ = message.check();
    for options in [Options { ports: false, now: 0 }, Options { ports: true, now: i64::MAX }] {
        dump::sa_entry(&mut out, &message, &options);
        dump::policy_entry(&mut out, &message, &options);
        dump::short_entry(&mut out, &message, &options);
    }
    let mut written = Vec::new();
    // Without the omitted padding, a message of the maximum length may become too long.
    if message.emit(&mut written).is_err() {
        return;
    }
    let again = Message::parse(abi, &written).expect("what was written is a message");
    assert_eq!(again.extensions, message.extensions);
    assert_eq!(again.header.message_type, message.header.message_type);
}

/// Translates datagrams of NETLINK_XFRM, each with a two-byte length before it, and checks the resulting PF_KEY
/// messages.
pub fn netlink(bytes: &[u8]) {
    let mut datagrams = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length));
        let (datagram, after) = after.split_at_checked(length).unwrap_or((after, &[]));
        datagrams.push(datagram);
        rest = after;
    }
    for message in libpfkey::backend::translate_netlink(&datagrams) {
        one_answer(Abi::HOST, &message);
    }
}

/// Parses a policy as in a socket option or a `sadb_x_policy`, and writes it.
pub fn policy_blob(bytes: &[u8]) {
    for abi in abis() {
        let Ok(policy) = Policy::from_blob(abi, &with_true_length(abi, bytes, 0)) else { continue };
        let blob = policy.to_blob(abi).expect("a policy that was read can be written");
        let again = Policy::from_blob(abi, &blob).expect("what was written is a policy");
        // Policies of other types than ipsec have no requests; bytes after their header are ignored.
        assert_eq!(again, policy);
        for ports in [false, true] {
            if let Ok(text) = policy.to_text(abi.dialect, "\n\t", ports) {
                let _ = policy::parse(&text);
            }
        }
    }
}

/// Parses the text after `-P`, converts it to every dialect, and parses its dump.
pub fn policy_text(bytes: &[u8]) {
    let text: String = bytes.iter().copied().map(char::from).collect();
    let typed = match policy::parse(&text) {
        Ok(typed) => typed,
        Err(error) => {
            let _ = (error.to_string(), error.library_line());
            return;
        }
    };
    for abi in abis() {
        let Ok(policy) = Policy::from_text(&typed, abi.dialect) else { continue };
        let blob = policy.to_blob(abi).expect("what was lowered can be written");
        let again = Policy::from_blob(abi, &blob).expect("what was written is a policy");
        assert_eq!(again, policy);
        let dumped = policy.to_text(abi.dialect, " ", true).expect("what was lowered has a text");
        let has_own_text = typed.action.is_some()
            // The text has priorities only for Linux, and none for priority 0.
            && (policy.priority != 0) == (abi.dialect == Dialect::Linux)
            && policy.requests.iter().all(|request| request.reqid <= MANUAL_REQID_MAX);
        if has_own_text {
            let typed = policy::parse(&dumped).unwrap_or_else(|error| panic!("{dumped}: {error}"));
            assert_eq!(Policy::from_text(&typed, abi.dialect).expect("the same policy"), policy);
        }
    }
}

/// Splits a setkey script, whole and in pieces of varying sizes. The statements must be equal.
pub fn setkey_script(bytes: &[u8]) {
    let Some((&seed, script)) = bytes.split_first() else { return };
    for splitter in [Splitter::script, Splitter::interactive] {
        let whole = statements(splitter(), std::iter::once(script));
        let pieces = statements(splitter(), Pieces { rest: script, size: usize::from(seed) });
        assert_eq!(whole, pieces);
    }
}

/// A script in pieces of 1 to 16 bytes.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.size = self.size * 5 + 3;
        let (piece, rest) = self.rest.split_at_checked(self.size % 16 + 1).unwrap_or((self.rest, &[]));
        self.size %= 256;
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

/// Returns line and text of each statement, after parsing it and formatting its error.
fn statements<'a>(mut splitter: Splitter, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<(u32, String)> {
    let mut seen = Vec::new();
    for mut piece in pieces {
        loop {
            match splitter.split(&mut piece) {
                Ok(Some(statement)) => seen.push(parsed(statement)),
                Ok(None) => break,
                Err(error) => {
                    seen.push((error.line, error.to_string()));
                    return seen;
                }
            }
        }
    }
    seen.extend(splitter.finish().map(parsed));
    seen
}

fn parsed(statement: RawStatement<'_>) -> (u32, String) {
    if let Err(error) = statement.parse() {
        let _ = (Diagnostic::new("script", statement, &error).to_string(), error.to_string());
    }
    (statement.line, statement.text.to_owned())
}

/// Sends requests from two handles to the in-memory backend, with packets that need SAs. Every answer must be a
/// message.
///
/// The first byte selects the dialect and byte order. Each request starts with a byte: its length in words, and in the
/// high bit the handle.
pub fn memory_engine(bytes: &[u8]) {
    let Some((&seed, mut rest)) = bytes.split_first() else { return };
    let Some(abi) = abis().nth(usize::from(seed) % abis().count()) else { return };
    let engine = Memory::new(abi).expect("an engine");
    let mut handles = [engine.another_handle().expect("a handle"), engine];
    let mut buffer = vec![0; MESSAGE_MAX];
    while let Some((&first, after)) = rest.split_first() {
        let length = usize::from(first & 0x7f) * 8;
        let (request, after) = after.split_at_checked(length).unwrap_or((after, &[]));
        rest = after;
        let mut request = with_true_length(abi, request, LENGTH_AT);
        if let Some(version) = request.first_mut() {
            *version = PF_KEY_V2;
        }
        // An error is a valid answer.
        let _ = handles[usize::from(first >> 7)].send(&request);
        handles[0].packet_out(([10, 0, 0, 1], 1024).into(), ([10, 0, 0, 2], 53).into(), 17);
        for handle in &mut handles {
            while let Some(answer) = handle.recv(&mut buffer).expect("the buffer holds any message") {
                // Promiscuous handles see requests as they were sent.
                if answer != request {
                    one_answer(abi, answer);
                }
            }
        }
    }
}

fn one_answer(abi: Abi, answer: &[u8]) {
    let header = peek_header(abi, answer).expect("an answer has a header");
    let length = usize::from(header.words) * 8;
    // The BSDs count the header twice if a message contains another one. A request of this type is returned unchanged.
    let wraps = header.message_type == MessageType::Promisc && length == answer.len() + HEADER_LEN;
    assert!(length == answer.len() || wraps, "{length} bytes are claimed, {} were sent", answer.len());
    // A refused request is returned unchanged; a message of type promisc contains another message.
    if header.errno == 0 && header.message_type != MessageType::Promisc {
        Message::parse(abi, answer).expect("an answer is a message");
        one_message(abi, answer);
    }
}

/// Parses a racoon configuration with the files that it includes, prints it, and parses the result.
///
/// NUL bytes separate the files. Their names are their numbers, and the first one is the configuration.
pub fn racoon_conf(bytes: &[u8]) {
    let files = Files(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect());
    let first = load("0", &files);
    assert_eq!(first.config.is_some(), first.errors == 0);
    for problem in &first.problems {
        let _ = (problem.to_string(), problem.log_line());
    }
    let Some(config) = first.config else { return };
    let _ = config.not_yet_in_effect().count();
    // Octets of key ids that are not UTF-8 have no printed form.
    if std::str::from_utf8(bytes).is_err() {
        return;
    }
    let printed = Printed(config.to_text(Passwords::Shown).into_bytes(), &files);
    let again = load("printed", &printed).config.expect("what was printed is a configuration");
    assert_eq!(again, config);
    assert!(Changes::between(&config, &again).is_empty());
}

/// Files named by their numbers.
struct Files(Vec<Vec<u8>>);

impl Loader for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let number = path.to_str().and_then(|name| name.parse::<usize>().ok());
        number.and_then(|number| self.0.get(number)).cloned().ok_or_else(|| io::Error::other("no such file"))
    }

    /// `*` matches all files.
    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        match pattern {
            "*" => Ok((0..self.0.len()).map(|number| number.to_string().into()).collect()),
            name => Ok(vec![name.into()]),
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.read(path).map(|_| Metadata { regular: true, owner: 0, mode: 0o600 })
    }

    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
        Ok((self.metadata(path)?, self.read(path)?.into()))
    }

    fn uid(&self) -> u32 {
        0
    }
}

/// The same files, and `printed`.
struct Printed<'a>(Vec<u8>, &'a Files);

impl Loader for Printed<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("printed") { Ok(self.0.clone()) } else { self.1.read(path) }
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        self.1.expand(pattern)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.1.metadata(path)
    }

    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
        Ok((self.metadata(path)?, self.read(path)?.into()))
    }

    fn uid(&self) -> u32 {
        self.1.uid()
    }
}

/// Parses a file of pre-shared keys, and one of plain RSA keys.
pub fn psk(bytes: &[u8]) {
    let (keys, problems) = psk::PreSharedKeys::parse(bytes);
    for problem in &problems {
        assert!(!problem.to_string().is_empty());
    }
    let _ = keys.short_keys().count();
    // Lines of a file in UTF-16 are not used.
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    // The first line that is not a comment, if its identifier has no leading blanks and the rest is plain.
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.starts_with(b"#")).unwrap_or_default();
    if let Some((identifier, key)) = first.iter().position(|byte| *byte == b' ').map(|at| first.split_at(at))
        && !is_utf16
        && !identifier.is_empty()
        && !identifier.contains(&b'\t')
        && !key.trim_ascii_start().is_empty()
        && !key.trim_ascii_start().starts_with(b"0x")
    {
        assert!(keys.find(identifier).is_some());
    }
    for entry in plainrsa::parse(bytes).unwrap_or_default() {
        let again = plainrsa::parse(entry.to_text().as_bytes()).expect("what was written is an entry");
        assert!(matches!(again.as_slice(), [one] if *one == RsaEntry { line: one.line, ..entry }));
    }
}
