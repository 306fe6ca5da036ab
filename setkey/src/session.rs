//! Statements carried out: composed, sent, their answers shown.

use std::net::SocketAddr;

use ipsec_conf::setkey::{AddressOptions, Command, ParseError, Protocol, Statement, Word};
use libpfkey::algorithm::Supported;
use libpfkey::request::{self, Origin, SaName};
use libpfkey::wire::SockAddr;
use libpfkey::{Abi, Answer, Connection, ExtensionType, Message, MessageType, Pace, Pipeline, SaType};
use zeroize::Zeroizing;

use crate::compose::{self, Refusal, SaPlan, SpdPlan, Target};
use crate::resolve::Names;
use crate::view::{Tag, View};

/// A connection, what is known of the kernel behind it, and where its answers are shown.
#[derive(Debug)]
pub(crate) struct Session {
    pipeline: Pipeline<Tag>,
    pub(crate) view: View,
    supported: Supported,
    abi: Abi,
    /// The door understands this library's private extensions.
    private: bool,
    /// `-n`: nothing is sent.
    dry: bool,
    /// Each `in` policy is followed by its `fwd` copy.
    mirror: bool,
}

/// What a statement leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Quit,
}

impl Session {
    /// Takes over a connection.
    pub(crate) fn new(
        mut connection: Connection,
        supported: Supported,
        view: View,
        pace: Pace,
        (dry, mirror): (bool, bool),
    ) -> Self {
        let abi = connection.abi();
        let private = connection.backend().has_xfrm_extensions();
        let mirror = mirror && abi.dialect.has_forward();
        Self { pipeline: Pipeline::new(connection, pace), view, supported, abi, private, dry, mirror }
    }

    /// Carries one statement out.
    ///
    /// # Errors
    /// What is wrong with it; nothing was sent then.
    pub(crate) fn execute(
        &mut self,
        statement: &Statement<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<Flow, Refusal> {
        match &statement.command {
            Command::Add(sa) => self.sa(MessageType::Add, statement, sa, warnings)?,
            Command::Update(sa) => self.sa(MessageType::Update, statement, sa, warnings)?,
            Command::GetSpi(sa) => self.sa(MessageType::GetSpi, statement, sa, warnings)?,
            Command::Get(sa) => self.sa(MessageType::Get, statement, sa, warnings)?,
            Command::Delete(sa) => self.sa(MessageType::Delete, statement, sa, warnings)?,
            Command::DeleteAll { options, source, destination, protocol } => {
                self.delete_all(statement, (*source, *destination), *options, *protocol)?;
            }
            Command::Dump(protocol) => self.list(statement, *protocol),
            Command::Flush(protocol) => self.empty(statement, *protocol),
            Command::SpdAdd(spd) => self.spd(MessageType::SpdAdd, statement, spd)?,
            Command::SpdUpdate(spd) => self.spd(MessageType::SpdUpdate, statement, spd)?,
            Command::SpdDelete(spd) => self.spd(MessageType::SpdDelete, statement, spd)?,
            Command::SpdDump => self.dump(tag(statement), request::spddump),
            Command::SpdFlush => self.submit(tag(statement), request::spdflush),
            Command::Quit => return Ok(Flow::Quit),
        }
        Ok(Flow::Continue)
    }

    /// Waits for all answers.
    pub(crate) fn finish(&mut self) {
        let (view, abi) = (&mut self.view, self.abi);
        self.pipeline.finish(&mut |tag, answer| view.answer(abi, *tag, answer));
    }

    /// What statements are composed for.
    fn target(&self) -> Target<'_> {
        Target { abi: self.abi, supported: &self.supported, private: self.private, names: Names::Ask }
    }

    fn sa(
        &mut self,
        message_type: MessageType,
        statement: &Statement<'_>,
        sa: &ipsec_conf::setkey::Sa<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), Refusal> {
        let plan: SaPlan = compose::plan_sa(message_type, statement, sa, &self.target(), warnings)?;
        for pair in &plan.pairs {
            if message_type == MessageType::Get {
                // The entry shows the number that the request had: 0, as scripts know it.
                self.dump(tag(statement), |origin, buffer| plan.emit(Origin { seq: 0, ..origin }, *pair, buffer));
            } else {
                self.submit(tag(statement), |origin, buffer| plan.emit(origin, *pair, buffer));
            }
        }
        Ok(())
    }

    fn spd(
        &mut self,
        message_type: MessageType,
        statement: &Statement<'_>,
        spd: &ipsec_conf::setkey::Spd<'_>,
    ) -> Result<(), Refusal> {
        let mut plan: SpdPlan = compose::plan_spd(message_type, statement, spd, &self.target())?;
        let priority = self.abi.dialect.has_priority().then_some(plan.policy.priority);
        let tag = Tag { priority, ..tag(statement) };
        self.submit(tag, |origin, buffer| plan.emit(origin, buffer));
        if self.mirror && plan.make_forward() {
            self.submit(tag, |origin, buffer| plan.emit(origin, buffer));
        }
        Ok(())
    }

    /// `dump`. A protocol that the kernel has no SAs of has no entries.
    fn list(&mut self, statement: &Statement<'_>, protocol: Option<Protocol>) {
        match compose::sa_type_of(protocol, self.abi.dialect) {
            Some(sa_type) => self.dump(tag(statement), |origin, buffer| request::dump(origin, sa_type, buffer)),
            None => {
                self.finish();
                self.view.answer(self.abi, tag(statement), Answer::Errno(libc::ENOENT, MessageType::Dump, &[]));
            }
        }
    }

    /// `flush`. A protocol that the kernel has no SAs of has none to lose: SA type 0 would empty the whole SAD.
    fn empty(&mut self, statement: &Statement<'_>, protocol: Option<Protocol>) {
        if let Some(sa_type) = compose::sa_type_of(protocol, self.abi.dialect) {
            self.submit(tag(statement), |origin, buffer| request::flush(origin, sa_type, buffer));
        }
    }

    fn delete_all(
        &mut self,
        statement: &Statement<'_>,
        (source, destination): (Word<'_>, Word<'_>),
        options: AddressOptions,
        protocol: Option<Protocol>,
    ) -> Result<(), Refusal> {
        let pairs = compose::host_pairs(statement, source, destination, options, Names::Ask)?;
        let Some(sa_type) = compose::sa_type_of(protocol, self.abi.dialect) else { return Ok(()) };
        if !self.abi.dialect.has_delete_all() {
            self.delete_each(statement, &pairs, sa_type);
            return Ok(());
        }
        // These kernels want to know the protocol.
        let all = [SaType::Ah, SaType::Esp, SaType::IpComp];
        let sa_types = if sa_type == SaType::Unspec { &all[..] } else { std::slice::from_ref(&sa_type) };
        for (source, destination) in pairs {
            for sa_type in sa_types {
                self.submit(tag(statement), |origin, buffer| {
                    request::delete_all(origin, *sa_type, source.into(), destination.into(), buffer)
                });
            }
        }
        Ok(())
    }

    /// For kernels that delete by SPI only: lists the SAs, and deletes each that is between the addresses.
    fn delete_each(&mut self, statement: &Statement<'_>, pairs: &[(SocketAddr, SocketAddr)], sa_type: SaType) {
        let tag = tag(statement);
        let Some(bytes) = self.prepare(tag, |origin, buffer| request::dump(origin, sa_type, buffer)) else { return };
        // Answers to earlier statements are not entries of this list.
        self.finish();
        let mut found = Vec::new();
        let (view, abi) = (&mut self.view, self.abi);
        let result = self.pipeline.dump(&bytes, &tag, &mut |tag, answer| match answer {
            Answer::Reply(bytes) => found.extend(matching(abi, bytes, pairs)),
            // Nothing to delete is no error.
            Answer::Errno(errno, ..) if errno == libc::ENOENT => {}
            other => view.answer(abi, *tag, other),
        });
        if let Err(error) = result {
            return self.refused(tag, &error);
        }
        for name in found {
            self.submit(tag, |origin, buffer| request::delete(origin, &name, buffer));
        }
    }

    /// Sends one request that has one answer.
    fn submit(&mut self, tag: Tag, write: impl FnOnce(Origin, &mut Vec<u8>) -> libpfkey::Result<()>) {
        let Some(bytes) = self.prepare(tag, write) else { return };
        let (view, abi) = (&mut self.view, self.abi);
        let result = self.pipeline.submit(bytes, tag, &mut |tag, answer| view.answer(abi, *tag, answer));
        if let Err(error) = result {
            self.refused(tag, &error);
        }
    }

    /// Sends one request that has many answers.
    pub(crate) fn dump(&mut self, tag: Tag, write: impl FnOnce(Origin, &mut Vec<u8>) -> libpfkey::Result<()>) {
        let Some(bytes) = self.prepare(tag, write) else { return };
        let (view, abi) = (&mut self.view, self.abi);
        let result = self.pipeline.dump(&bytes, &tag, &mut |tag, answer| view.answer(abi, *tag, answer));
        if let Err(error) = result {
            self.refused(tag, &error);
        }
    }

    /// Sends FLUSH or SPDFLUSH for the command line.
    pub(crate) fn flush(&mut self, policies: bool) {
        self.submit(Tag::default(), |origin, buffer| match policies {
            true => request::spdflush(origin, buffer),
            false => request::flush(origin, SaType::Unspec, buffer),
        });
        self.finish();
    }

    /// The bytes of a request, shown if asked for; `None` when nothing is to be sent.
    fn prepare(
        &mut self,
        tag: Tag,
        write: impl FnOnce(Origin, &mut Vec<u8>) -> libpfkey::Result<()>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = self.pipeline.buffer();
        let origin = self.pipeline.next_origin();
        if let Err(error) = write(origin, &mut bytes) {
            self.refused(tag, &error);
            return None;
        }
        if self.dry {
            return None;
        }
        self.view.request(self.abi, &bytes);
        Some(bytes)
    }

    /// A request that cannot be written, or that the door itself refused. (BSD kernels say so what Linux says in an
    /// answer.)
    fn refused(&mut self, tag: Tag, error: &libpfkey::Error) {
        self.finish();
        self.view.console.refused(tag.line, &error.to_string());
    }
}

fn tag(statement: &Statement<'_>) -> Tag {
    Tag { line: statement.line, priority: None }
}

/// The name of a dumped SA, if it is between one of the pairs; ports count.
fn matching(abi: Abi, bytes: &[u8], pairs: &[(SocketAddr, SocketAddr)]) -> Option<SaName> {
    let message = Message::parse(abi, bytes).ok()?;
    let (source, destination) = (message.source()?.sockaddr, message.destination()?.sockaddr);
    let wanted =
        |pair: &(SocketAddr, SocketAddr)| SockAddr::Inet(pair.0) == source && SockAddr::Inet(pair.1) == destination;
    let sa_type = message.header.sa_type;
    let mark = message.words(ExtensionType::XfrmMark);
    pairs.iter().any(wanted).then_some(SaName { sa_type, source, destination, spi: message.sa()?.spi, mark })
}
