//! What the fuzz targets do with their bytes. ipsec-conf's tests do the same with the seeds, on the stable compiler.

use std::io;
use std::path::{Path, PathBuf};

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

/// Every layout there is.
fn abis() -> impl Iterator<Item = Abi> {
    let orders = [ByteOrder::Big, ByteOrder::Little];
    Dialect::ALL.into_iter().flat_map(move |dialect| orders.map(|byte_order| Abi { dialect, byte_order }))
}

/// The bytes, cut to whole words, with their true length in the 16-bit field at `at`: mutation seldom finds it.
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

/// A message from a kernel, a file or a helper: parsed, written again, checked, dumped.
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
    // Padding that was left out may make a message of the greatest length too long.
    if message.emit(&mut written).is_err() {
        return;
    }
    let again = Message::parse(abi, &written).expect("what was written is a message");
    assert_eq!(again.extensions, message.extensions);
    assert_eq!(again.header.message_type, message.header.message_type);
}

/// Datagrams of NETLINK_XFRM, each behind its length in two bytes: what they become are messages.
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

/// A policy as a socket option or a `sadb_x_policy` has it.
pub fn policy_blob(bytes: &[u8]) {
    for abi in abis() {
        let Ok(policy) = Policy::from_blob(abi, &with_true_length(abi, bytes, 0)) else { continue };
        let blob = policy.to_blob(abi).expect("a policy that was read can be written");
        let again = Policy::from_blob(abi, &blob).expect("what was written is a policy");
        // Policies of other kinds than ipsec have no requests: what follows their header is passed over.
        assert_eq!(again, policy);
        for ports in [false, true] {
            if let Ok(text) = policy.to_text(abi.dialect, "\n\t", ports) {
                let _ = policy::parse(&text);
            }
        }
    }
}

/// The text after `-P`: parsed, lowered to every dialect, dumped, and read again.
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
            // Text has priorities of Linux only, and no word for 0.
            && (policy.priority != 0) == (abi.dialect == Dialect::Linux)
            && policy.requests.iter().all(|request| request.reqid <= MANUAL_REQID_MAX);
        if has_own_text {
            let typed = policy::parse(&dumped).unwrap_or_else(|error| panic!("{dumped}: {error}"));
            assert_eq!(Policy::from_text(&typed, abi.dialect).expect("the same policy"), policy);
        }
    }
}

/// A script for setkey, whole and in pieces of changing sizes: the statements are the same.
pub fn setkey_script(bytes: &[u8]) {
    let Some((&seed, script)) = bytes.split_first() else { return };
    for splitter in [Splitter::script, Splitter::interactive] {
        let whole = statements(splitter(), std::iter::once(script));
        let pieces = statements(splitter(), Pieces { rest: script, size: usize::from(seed) });
        assert_eq!(whole, pieces);
    }
}

/// A script cut into pieces of 1 to 16 bytes.
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

/// Line and text of each statement; parsed on the way, and its error shown.
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

/// Requests to an engine from two handles, and packets that need SAs: whatever it says is a message.
///
/// The first byte chooses the layout. Each request begins with a byte: its words, and in the high bit whose it is.
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
        // An error is an answer, too.
        let _ = handles[usize::from(first >> 7)].send(&request);
        handles[0].packet_out(([10, 0, 0, 1], 1024).into(), ([10, 0, 0, 2], 53).into(), 17);
        for handle in &mut handles {
            while let Some(answer) = handle.recv(&mut buffer).expect("the buffer holds any message") {
                // Promiscuous handles are shown requests as they were sent.
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
    // The BSDs count the header around another message twice. A request of this type comes back as it was.
    let wraps = header.message_type == MessageType::Promisc && length == answer.len() + HEADER_LEN;
    assert!(length == answer.len() || wraps, "{length} bytes are claimed, {} were sent", answer.len());
    // A refused request comes back as it was; in a message of type promisc stands another message.
    if header.errno == 0 && header.message_type != MessageType::Promisc {
        Message::parse(abi, answer).expect("an answer is a message");
        one_message(abi, answer);
    }
}

/// A configuration for racoon, with the files that it includes and names: read, printed, and read again.
///
/// NULs separate the files, whose names are their numbers; the first one is read.
pub fn racoon_conf(bytes: &[u8]) {
    let files = Files(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect());
    let first = load("0", &files);
    assert_eq!(first.config.is_some(), first.errors == 0);
    for problem in &first.problems {
        let _ = (problem.to_string(), problem.log_line());
    }
    let Some(config) = first.config else { return };
    let _ = config.not_yet_in_effect().count();
    // Octets of key ids that are no text have no printed form.
    if std::str::from_utf8(bytes).is_err() {
        return;
    }
    let printed = Printed(config.to_text(Passwords::Shown).into_bytes(), &files);
    let again = load("printed", &printed).config.expect("what was printed is a configuration");
    assert_eq!(again, config);
    assert!(Changes::between(&config, &again).is_empty());
}

/// Files whose names are their numbers.
struct Files(Vec<Vec<u8>>);

impl Loader for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let number = path.to_str().and_then(|name| name.parse::<usize>().ok());
        number.and_then(|number| self.0.get(number)).cloned().ok_or_else(|| io::Error::other("no such file"))
    }

    /// `*` is all of the files.
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

/// A file of pre-shared keys, and one of plain RSA keys.
pub fn psk(bytes: &[u8]) {
    let (keys, problems) = psk::PreSharedKeys::parse(bytes);
    for problem in &problems {
        assert!(!problem.to_string().is_empty());
    }
    let _ = keys.short_keys().count();
    // No line of a file in UTF-16 is used.
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    // The first line without `#`, blanks before it and anything strange behind its identifier.
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
    let _ = plainrsa::parse(bytes);
}
