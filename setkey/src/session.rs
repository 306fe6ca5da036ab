//! Statements carried out: composed, sent, their answers shown.

use std::net::SocketAddr;

use ipsec_conf::setkey::{AddressOptions, Command, ParseError, Protocol, Statement, Word};
use libpfkey::algorithm::Supported;
use libpfkey::request::{self, Request, RequestHeader};
use libpfkey::wire::peek_header;
use libpfkey::{
    Abi, Answer, Connection, Message, MessageType, Pipeline, Refusal as KernelRefusal, SaId, SaType, SendMode, list,
};
use zeroize::Zeroizing;

use crate::compose::{self, Refusal, SaPlan, SpdPlan, Target};
use crate::console::Console;
use crate::resolve::Names;
use crate::view::{Tag, View, errno_words};

/// A connection, what is known of the kernel behind it, and where its answers are shown.
#[derive(Debug)]
pub(crate) struct Session {
    pipeline: Pipeline<Tag>,
    pub(crate) view: View,
    supported: Supported,
    abi: Abi,
    /// Whether the backend understands libpfkey's extensions for NETLINK_XFRM.
    has_xfrm: bool,
    /// `-n`: nothing is sent.
    dry: bool,
    /// Each `in` policy is followed by its `fwd` copy.
    mirror: bool,
}

/// A database of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    Policies,
    Sas,
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
        mut view: View,
        send_mode: SendMode,
        (dry, mirror): (bool, bool),
    ) -> Self {
        let abi = connection.abi();
        let has_xfrm = connection.backend().has_xfrm_extensions();
        view.netlink = has_xfrm;
        let mirror = mirror && abi.dialect.has_forward();
        Self { pipeline: Pipeline::new(connection, send_mode), view, supported, abi, has_xfrm, dry, mirror }
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
            Command::SpdFlush => self.submit_request(tag(statement), Request::PolicyFlush),
            Command::Quit => return Ok(Flow::Quit),
        }
        Ok(Flow::Continue)
    }

    /// Asks for answers that only acknowledge changes, unless the options print answers.
    pub(crate) fn set_brief_answers(&mut self) {
        if !self.view.shows_requests() {
            // On failure answers stay as they are, which costs only time.
            let _ = self.pipeline.connection().backend().set_brief_answers();
        }
    }

    /// Waits for all answers.
    pub(crate) fn finish(&mut self) {
        let (view, abi) = (&mut self.view, self.abi);
        self.pipeline.finish(&mut |tag, answer| view.answer(abi, *tag, answer));
    }

    /// What statements are composed for.
    fn target(&self) -> Target<'_> {
        Target { abi: self.abi, supported: &self.supported, has_xfrm: self.has_xfrm, names: Names::Ask }
    }

    fn sa(
        &mut self,
        message_type: MessageType,
        statement: &Statement<'_>,
        sa: &ipsec_conf::setkey::Sa<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), Refusal> {
        let plan: SaPlan = compose::plan_sa(message_type, statement, sa, &self.target(), warnings)?;
        let tag = tag(statement);
        match message_type {
            MessageType::Add => plan.sas.into_iter().for_each(|sa| self.submit_request(tag, Request::Add(sa.into()))),
            MessageType::Update => {
                plan.sas.into_iter().for_each(|sa| self.submit_request(tag, Request::Update(sa.into())))
            }
            // The entry shows the number that the request had: 0, as scripts know it.
            MessageType::Get => plan.sas.iter().for_each(|sa| {
                self.dump(tag, |header, buffer| plan.encode(sa, RequestHeader { seq: 0, ..header }, buffer));
            }),
            // KAME setkey sends more in these than the name of the SA, which is all that a typed request has.
            _ => plan.sas.iter().for_each(|sa| self.submit(tag, |header, buffer| plan.encode(sa, header, buffer))),
        }
        Ok(())
    }

    fn spd(
        &mut self,
        message_type: MessageType,
        statement: &Statement<'_>,
        spd: &ipsec_conf::setkey::Spd<'_>,
    ) -> Result<(), Refusal> {
        let plan: SpdPlan = compose::plan_spd(message_type, statement, spd, &self.target())?;
        let priority = self.abi.dialect.has_priority().then_some(plan.priority);
        let tag = Tag { priority, ..tag(statement) };
        let forward = plan.forward().filter(|_| self.mirror);
        for plan in std::iter::once(plan).chain(forward) {
            match plan.typed() {
                Some(request) => self.submit_request(tag, request(plan.policy.into())),
                None => self.submit(tag, |header, buffer| plan.encode(header, buffer)),
            }
        }
        Ok(())
    }

    /// `dump`. A protocol that the kernel has no SAs of has no entries.
    fn list(&mut self, statement: &Statement<'_>, protocol: Option<Protocol>) {
        match compose::sa_type_of(protocol, self.abi.dialect) {
            Some(sa_type) => self.dump(tag(statement), |header, buffer| request::dump(header, sa_type, buffer)),
            None => {
                self.finish();
                self.view.answer(
                    self.abi,
                    tag(statement),
                    Answer::Errno(libc::ENOENT, MessageType::Dump, KernelRefusal::default()),
                );
            }
        }
    }

    /// `flush`. A protocol that the kernel has no SAs of has none to lose: SA type 0 would empty the whole SAD.
    fn empty(&mut self, statement: &Statement<'_>, protocol: Option<Protocol>) {
        if let Some(sa_type) = compose::sa_type_of(protocol, self.abi.dialect) {
            self.submit_request(tag(statement), Request::Flush(sa_type));
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
        let dialect = self.abi.dialect;
        // These kernels want to know the protocol.
        let all = [SaType::Ah, SaType::Esp, SaType::IpComp, SaType::TcpSignature];
        let sa_types = if sa_type == SaType::Unspec { &all[..] } else { std::slice::from_ref(&sa_type) };
        for (source, destination) in pairs {
            for sa_type in sa_types.iter().filter(|sa_type| sa_type.number(dialect).is_some()) {
                self.submit(tag(statement), |header, buffer| {
                    request::delete_all(header, *sa_type, source.into(), destination.into(), buffer)
                });
            }
        }
        Ok(())
    }

    /// For kernels that delete by SPI only: lists the SAs, and deletes each that is between the addresses.
    fn delete_each(&mut self, statement: &Statement<'_>, pairs: &[(SocketAddr, SocketAddr)], sa_type: SaType) {
        let tag = tag(statement);
        let Some(bytes) = self.prepare(tag, |header, buffer| request::dump(header, sa_type, buffer)) else { return };
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
            self.submit(tag, |header, buffer| request::delete(header, &name, buffer));
        }
    }

    /// Sends a typed request that has one answer.
    fn submit_request(&mut self, tag: Tag, request: Request) {
        let header = self.pipeline.next_request_header();
        let encoding = self.target().encoding();
        // With -n, too, a request that no message can express is an error.
        if self.dry || self.view.shows_requests() {
            let mut bytes = self.pipeline.buffer();
            if let Err(error) = request.encode(header, encoding, &mut bytes) {
                return self.refused(tag, &error);
            }
            if self.dry {
                return;
            }
            self.view.request(self.abi, &bytes);
        }
        let (view, abi) = (&mut self.view, self.abi);
        let mut on_answer = |tag: &Tag, answer: Answer<'_>| view.answer(abi, *tag, answer);
        if let Err(error) = self.pipeline.submit_request(request, header, encoding, tag, &mut on_answer) {
            self.refused(tag, &error);
        }
    }

    /// Sends one request that has one answer, as a PF_KEY message.
    fn submit(&mut self, tag: Tag, write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> libpfkey::Result<()>) {
        let Some(bytes) = self.prepare(tag, write) else { return };
        let (view, abi) = (&mut self.view, self.abi);
        let result = self.pipeline.submit(bytes, tag, &mut |tag, answer| view.answer(abi, *tag, answer));
        if let Err(error) = result {
            self.refused(tag, &error);
        }
    }

    /// Sends one request that has many answers.
    pub(crate) fn dump(&mut self, tag: Tag, write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> libpfkey::Result<()>) {
        let Some(bytes) = self.prepare(tag, write) else { return };
        let (view, abi) = (&mut self.view, self.abi);
        let result = self.pipeline.dump(&bytes, &tag, &mut |tag, answer| view.answer(abi, *tag, answer));
        if let Err(error) = result {
            self.refused(tag, &error);
        }
    }

    /// Sends FLUSH or SPDFLUSH for the command line.
    pub(crate) fn flush(&mut self, policies: bool) {
        let request = if policies { Request::PolicyFlush } else { Request::Flush(SaType::Unspec) };
        self.submit_request(Tag::default(), request);
        self.finish();
    }

    /// Lists a database: the kernel's messages, in their order.
    ///
    /// # Errors
    /// The line that says why the list is not known to be whole.
    pub(crate) fn entries(&mut self, what: Entries) -> Result<Vec<Zeroizing<Vec<u8>>>, String> {
        // A kernel that has no room for the answers may drop them without a word.
        let _ = self.pipeline.connection().backend().set_receive_buffer(list::BUFFER_KIB);
        let mut list = self.list_once(what);
        for _ in 1..list::TRIES {
            if list.is_ok() {
                break;
            }
            list = self.list_once(what);
        }
        list.map_err(|error| match what {
            Entries::Policies => format!("the SPD cannot be listed: {error}"),
            Entries::Sas => format!("the SAD cannot be listed: {error}"),
        })
    }

    fn list_once(&mut self, what: Entries) -> Result<Vec<Zeroizing<Vec<u8>>>, String> {
        let mut bytes = self.pipeline.buffer();
        let header = self.pipeline.next_request_header();
        let written = match what {
            Entries::Policies => request::spddump(header, &mut bytes),
            Entries::Sas => request::dump(header, SaType::Unspec, &mut bytes),
        };
        written.map_err(|error| error.to_string())?;
        self.view.request(self.abi, &bytes);
        let (mut entries, mut numbers, mut trouble) = (Vec::new(), Vec::new(), None);
        let abi = self.abi;
        let sent = self.pipeline.dump(&bytes, &Tag::default(), &mut |_, answer| match answer {
            Answer::Reply(bytes) => {
                numbers.push(peek_header(abi, bytes).map_or(0, |header| header.seq));
                entries.push(bytes.to_vec().into());
            }
            Answer::Errno(errno, ..) if errno == libc::ENOENT => {}
            Answer::Errno(errno, kind, _) => trouble = Some(errno_words(errno, kind)),
            Answer::Lost(error) => trouble = Some(error.to_string()),
            Answer::Confirmed => {}
        });
        sent.map_err(|error| error.to_string())?;
        if trouble.is_none() && !list::is_complete(&numbers) {
            return Err("entries were lost".to_owned());
        }
        trouble.map_or(Ok(entries), Err)
    }

    /// Sends one request that has one answer. `on_answer` gets the answers that have come in by then, in their order.
    ///
    /// # Errors
    /// A request that cannot be written, or that the backend itself refuses.
    pub(crate) fn send(
        &mut self,
        tag: Tag,
        write: &dyn Fn(RequestHeader, &mut Vec<u8>) -> libpfkey::Result<()>,
        on_answer: &mut dyn FnMut(&mut View, &Tag, Answer<'_>),
    ) -> libpfkey::Result<()> {
        let mut bytes = self.pipeline.buffer();
        let header = self.pipeline.next_request_header();
        write(header, &mut bytes)?;
        self.view.request(self.abi, &bytes);
        let view = &mut self.view;
        self.pipeline.submit(bytes, tag, &mut |tag, answer| on_answer(view, tag, answer))
    }

    /// Waits for all answers to what was sent with [`Session::send`].
    pub(crate) fn settle(&mut self, on_answer: &mut dyn FnMut(&mut View, &Tag, Answer<'_>)) {
        let view = &mut self.view;
        self.pipeline.finish(&mut |tag, answer| on_answer(view, tag, answer));
    }

    /// Lends what statements are composed for, whether `in` policies get their `fwd` copies, and the console.
    pub(crate) fn with_target<T>(&mut self, work: impl FnOnce(Target<'_>, bool, &mut Console) -> T) -> T {
        let target = Target { abi: self.abi, supported: &self.supported, has_xfrm: self.has_xfrm, names: Names::Ask };
        work(target, self.mirror, &mut self.view.console)
    }

    /// The layout of messages.
    pub(crate) fn abi(&self) -> Abi {
        self.abi
    }

    /// Whether the backend understands libpfkey's extensions for NETLINK_XFRM.
    pub(crate) fn has_xfrm(&self) -> bool {
        self.has_xfrm
    }

    /// Whether nothing is to be sent (`-n`).
    pub(crate) fn is_dry(&self) -> bool {
        self.dry
    }

    /// The bytes of a request, shown if asked for; `None` when nothing is to be sent.
    fn prepare(
        &mut self,
        tag: Tag,
        write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> libpfkey::Result<()>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = self.pipeline.buffer();
        let header = self.pipeline.next_request_header();
        if let Err(error) = write(header, &mut bytes) {
            self.refused(tag, &error);
            return None;
        }
        if self.dry {
            return None;
        }
        self.view.request(self.abi, &bytes);
        Some(bytes)
    }

    /// A request that cannot be written, or that the backend itself refused. (BSD kernels say so what Linux says in an
    /// answer.)
    fn refused(&mut self, tag: Tag, error: &libpfkey::Error) {
        self.finish();
        self.view.console.refused(tag.line, &error.to_string());
    }
}

fn tag(statement: &Statement<'_>) -> Tag {
    Tag { line: statement.line, ..Tag::default() }
}

/// The name of a dumped SA, if it is between one of the pairs; ports count.
fn matching(abi: Abi, bytes: &[u8], pairs: &[(SocketAddr, SocketAddr)]) -> Option<SaId> {
    let message = Message::parse(abi, bytes).ok()?;
    let id = SaId::from_message(&message)?;
    pairs.contains(&(id.source, id.destination)).then_some(id)
}
