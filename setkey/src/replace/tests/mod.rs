//! Loads against the in-process key engine.

mod files;
mod foreign;
mod lists;
mod order;
mod plan;
mod undo;

use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use ipsec_conf::setkey::{Splitter, parse};
use libpfkey::backend::{Backend, Memory};
use libpfkey::kernel_state::KernelState;
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Connection, Dialect, Header, MessageType, Result, SaType, SendMode};
use zeroize::Zeroizing;

use super::facts::{PolicyFacts, PolicyName};
use super::foreign::Foreign;
use super::plan::Present;
use super::wanted::{File, Request};
use super::{load, present};
use crate::console::Console;
use crate::session::Session;
use crate::view::{Style, View};

/// A kernel with a session.
struct Kernel {
    engine: Memory,
    session: Session,
    errors: Lines,
    watch: Arc<Mutex<Watch>>,
    /// Entries of racoon.
    racoon: KernelState,
}

/// Error lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Actions at each request that changes something.
#[derive(Default)]
struct Watch {
    /// Number of requests so far.
    changes: Vec<Header>,
    /// Index of the request that fails, and its errno.
    fails: Option<(usize, i32)>,
    /// Index of the request whose answer is lost.
    loses: Option<usize>,
    /// Index of the entry that is lost from lists, and the number of lists.
    loses_entry: Option<(usize, usize)>,
    /// Number of lists so far.
    lists: usize,
    /// Number of entries of the last list so far.
    entries: usize,
    /// Called after each.
    after: Option<Box<dyn FnMut() + Send>>,
}

impl Watch {
    /// Counts the entries of lists. Returns whether this message is an entry that gets lost.
    fn loses(&mut self, header: &Header) -> bool {
        if !is_list(header.message_type) || header.errno != 0 {
            return false;
        }
        let index = self.entries;
        self.entries += 1;
        self.loses_entry.is_some_and(|(lost, lists)| index == lost && self.lists <= lists)
    }
}

fn is_list(message_type: MessageType) -> bool {
    matches!(message_type, MessageType::Dump | MessageType::SpdDump)
}

struct Watched {
    inner: Memory,
    watch: Arc<Mutex<Watch>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Backend for Watched {
    fn abi(&self) -> Abi {
        self.inner.abi()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.inner.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        use MessageType as M;
        let header = peek_header(self.abi(), message)?;
        let is_list = is_list(header.message_type);
        let changes = !is_list && !matches!(header.message_type, M::Register | M::Get | M::SpdGet);
        let mut watch = self.watch.lock().unwrap();
        if is_list {
            watch.lists += 1;
            watch.entries = 0;
        }
        if changes {
            match watch.fails {
                Some((at, errno)) if at == watch.changes.len() => self.inner.fail_next(header.message_type, errno),
                _ => {}
            }
            if watch.loses == Some(watch.changes.len()) {
                self.inner.drop_next_replies(1);
            }
            watch.changes.push(header);
        }
        self.inner.send(message)?;
        if let Some(after) = watch.after.as_mut().filter(|_| changes) {
            after();
        }
        Ok(())
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        loop {
            let Some(length) = self.inner.recv(buffer)?.map(<[u8]>::len) else { return Ok(None) };
            let header = peek_header(self.abi(), &buffer[..length])?;
            if !self.watch.lock().unwrap().loses(&header) {
                return Ok(Some(&buffer[..length]));
            }
        }
    }

    fn window(&self) -> usize {
        self.inner.window()
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.inner.set_receive_buffer(kib)
    }
}

impl Kernel {
    fn new(dialect: Dialect) -> Self {
        Self::with(dialect, false)
    }

    /// A Linux for which `in` policies get `fwd` copies.
    fn mirroring() -> Self {
        Self::with(Dialect::Linux, true)
    }

    fn with(dialect: Dialect, mirror: bool) -> Self {
        let engine = Memory::new(Abi::of(dialect)).unwrap();
        engine.set_time(1_764_444_444);
        Self::over(engine, mirror)
    }

    /// Another process that has a session with the same kernel.
    fn over(engine: Memory, mirror: bool) -> Self {
        let watch = Arc::<Mutex<Watch>>::default();
        let inner = Watched { inner: engine.another_handle().unwrap(), watch: Arc::clone(&watch) };
        let mut connection = Connection::new(Box::new(inner));
        let supported = connection.register(SaType::Unspec).unwrap();
        let errors = Lines::default();
        let view = View::new(Console::heard_by(errors.clone()), Style::default());
        let session = Session::new(connection, supported, view, SendMode::Pipelined, (false, mirror));
        Self { engine, session, errors, watch, racoon: KernelState::default() }
    }

    /// Runs a script as `-f` does.
    fn run(&mut self, script: &str) {
        let mut splitter = Splitter::script();
        let mut input = script.as_bytes();
        while let Some(raw) = splitter.split(&mut input).unwrap() {
            let statement = parse(raw.text, raw.first_line).unwrap();
            self.session.execute(&statement, &mut Vec::new()).unwrap();
        }
        self.session.finish();
        assert_eq!(self.lines(), "", "{script}");
        self.watch.lock().unwrap().changes.clear();
    }

    /// Replaces the tables by files. Returns the last line, and the error lines before it.
    fn load(&mut self, scripts: &[&str]) -> (std::result::Result<(), String>, String) {
        let file = |(index, script): (usize, &&str)| File {
            name: format!("{}.conf", char::from(b'a' + u8::try_from(index).unwrap())),
            bytes: Zeroizing::new(script.as_bytes().to_vec()),
        };
        let files: Vec<File> = scripts.iter().enumerate().map(file).collect();
        let racoon = self.racoon.clone();
        let loaded = load(&mut self.session, &files, || Ok(Foreign::listed(racoon)));
        (loaded, self.lines())
    }

    /// Loads a file that must be accepted without output.
    fn replace(&mut self, script: &str) {
        assert_eq!(self.load(&[script]), (Ok(()), String::new()), "{script}");
    }

    /// Returns the error lines since the last call.
    fn lines(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.errors.0.lock().unwrap())).unwrap()
    }

    /// Returns the requests for changes since the last call.
    fn changes(&self) -> Vec<MessageType> {
        let changes = std::mem::take(&mut self.watch.lock().unwrap().changes);
        changes.into_iter().map(|header| header.message_type).collect()
    }

    fn present(&mut self) -> Present {
        let all = Request { flushed: vec![SaType::Unspec], spd_flushed: true, ..Request::default() };
        present::read(&mut self.session, &all, &Foreign::default()).unwrap()
    }

    /// Returns all entries with their keys.
    fn state(&mut self) -> (Vec<String>, Vec<(PolicyName, PolicyFacts)>) {
        let abi = self.session.abi();
        let Present { sas, mut policies } = self.present();
        let key = |sa: super::plan::PresentSa| {
            let message = libpfkey::Message::parse(abi, &sa.message).unwrap();
            let keys = [libpfkey::ExtensionType::KeyAuth, libpfkey::ExtensionType::KeyEncrypt];
            let limits = message.lifetime(libpfkey::ExtensionType::LifetimeHard).map(|hard| hard.addtime);
            format!("{} {:?} {limits:?}", sa.facts, keys.map(|kind| message.key(kind).map(|key| key.bytes)))
        };
        let mut sas: Vec<String> = sas.into_iter().map(key).collect();
        sas.sort();
        policies.sort_by_key(|policy| policy.name.to_string());
        (sas, policies.into_iter().map(|policy| (policy.name, policy.facts)).collect())
    }
}
