//! Validates statements without a kernel: finds what a kernel of the target's dialect would refuse.

use std::net::SocketAddr;

use ipsec_conf::setkey::{Command, ParseError, Range, Sa, Selector, Spd, Statement, Word};
use libpfkey::request::{self, RequestHeader};
use libpfkey::rules::{self, DuplicateDetector, Refused, RequestPart};
use libpfkey::wire::Address;
use libpfkey::{Dialect, Extension, ExtensionType, Header, Message, MessageType, SaType};
use zeroize::Zeroizing;

use crate::compose::{self, Refusal, Target};
use crate::resolve::{Names, is_name};

/// Warning: a `fwd` policy has the selector of an earlier `in` policy.
pub(crate) const HAS_COPY: &str = "WARNING: an in policy has already added a fwd policy with this selector (see -k)";
/// Warning: an `in` policy has the selector of an earlier `fwd` policy.
pub(crate) const HAS_FORWARD: &str =
    "WARNING: an earlier statement has a fwd policy with this selector, which is kept (see -k)";

/// A fault in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The error, with its place in the statement.
    pub(crate) error: ParseError,
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The statement is loaded, or the running kernel's version decides.
    Warning,
    /// Every kernel of the dialect refuses the statement.
    Error,
}

/// Validates the statements of a script in order. It does not know the kernel's state, so a `delete` of an entry that the script
/// did not add is not an error.
#[derive(Debug)]
pub(crate) struct Validator<'k> {
    target: Target<'k>,
    /// Entries that the statements so far have added; none if duplicates are not checked.
    created: Option<DuplicateDetector>,
    /// Each `in` policy is followed by its `fwd` copy.
    mirror: bool,
}

impl<'k> Validator<'k> {
    /// `mirror`: a run copies `in` policies to `fwd` if the dialect has these.
    pub(crate) fn new(target: Target<'k>, mirror: bool) -> Self {
        Self { target, created: Some(DuplicateDetector::default()), mirror: mirror && target.dialect().has_forward() }
    }

    /// Creates a validator for callers that check duplicates themselves.
    pub(crate) fn without_duplicates(target: Target<'k>) -> Self {
        Self { target, created: None, mirror: false }
    }

    /// Returns the faults in the next statement, warnings first.
    pub(crate) fn statement(&mut self, statement: &Statement<'_>) -> Vec<Finding> {
        let mut warnings = Vec::new();
        let checked = self.check(statement, &mut warnings);
        let warning = |error| Finding { severity: Severity::Warning, error };
        let mut findings: Vec<Finding> = warnings.into_iter().map(warning).collect();
        let error = match checked {
            Ok(()) => return findings,
            Err(Refusal::Error(error)) => *error,
            // The address family of a name is not known.
            Err(Refusal::Families) if !self.is_certain(&hosts(&statement.command)) => return findings,
            Err(Refusal::Families) => families(statement),
        };
        findings.push(Finding { severity: Severity::Error, error });
        findings
    }

    /// Composes the requests of a run, which finds what a run would find before it asks the kernel, then applies the rules.
    fn check(&mut self, statement: &Statement<'_>, warnings: &mut Vec<ParseError>) -> Result<(), Refusal> {
        use MessageType as M;
        match &statement.command {
            Command::Add(sa) => self.sa(M::Add, statement, sa, warnings),
            Command::Update(sa) => self.sa(M::Update, statement, sa, warnings),
            Command::GetSpi(sa) => self.sa(M::GetSpi, statement, sa, warnings),
            Command::Get(sa) => self.sa(M::Get, statement, sa, warnings),
            Command::Delete(sa) => self.sa(M::Delete, statement, sa, warnings),
            Command::DeleteAll { options, source, destination, protocol } => {
                let pairs = compose::host_pairs(statement, *source, *destination, *options, self.target.names)?;
                if let Some(sa_type) = compose::sa_type_of(*protocol, self.target.dialect()) {
                    self.delete_all(&pairs, sa_type, self.is_certain(&[*source, *destination]));
                }
                Ok(())
            }
            Command::SpdAdd(spd) => self.spd(M::SpdAdd, statement, spd, warnings),
            Command::SpdUpdate(spd) => self.spd(M::SpdUpdate, statement, spd, warnings),
            Command::SpdDelete(spd) => self.spd(M::SpdDelete, statement, spd, warnings),
            Command::Flush(protocol) => {
                if let Some(sa_type) = compose::sa_type_of(*protocol, self.target.dialect()) {
                    self.forget_sas(sa_type);
                }
                Ok(())
            }
            Command::SpdFlush => {
                self.forget(request::spdflush);
                Ok(())
            }
            Command::Dump(_) | Command::SpdDump | Command::Quit => Ok(()),
        }
    }

    fn sa(
        &mut self,
        message_type: MessageType,
        statement: &Statement<'_>,
        sa: &Sa<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), Refusal> {
        let plan = compose::plan_sa(message_type, statement, sa, &self.target, warnings)?;
        let place = |part| place_in_sa(statement, sa, part);
        // The mark is part of an SA's identity, but is not compared here.
        let is_known = self.is_certain(&[sa.source.host, sa.destination.host]) && sa.mark.is_none();
        for sa in &plan.sas {
            let mut bytes = Zeroizing::new(Vec::new());
            plan.encode(sa, self.request_header(), &mut bytes).map_err(|error| unsendable(statement, &error))?;
            let request = self.parse(statement, &bytes)?;
            self.apply_rules(statement, &request, place, warnings)?;
            if !is_known && message_type == MessageType::Delete {
                self.forget_sas(SaType::Unspec);
            }
            if is_known && self.is_duplicate(&request) {
                let text = match self.target.dialect() {
                    Dialect::Linux => "an earlier statement has an SA with this destination, protocol and SPI",
                    _ => "an earlier statement has this SA",
                };
                return Err(statement.error_at_end(statement.start(), text).into());
            }
        }
        Ok(())
    }

    fn spd(
        &mut self,
        message_type: MessageType,
        statement: &Statement<'_>,
        spd: &Spd<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), Refusal> {
        let plan = compose::plan_spd(message_type, statement, spd, &self.target)?;
        let mut bytes = Vec::new();
        plan.encode(self.request_header(), &mut bytes).map_err(|error| unsendable(statement, &error))?;
        let request = self.parse(statement, &bytes)?;
        self.apply_rules(statement, &request, |part| place_in_spd(statement, spd, part), warnings)?;
        // The label is part of a policy's identity, but is not compared here.
        let is_known = match &spd.selector {
            Selector::Ranges { source, destination, context: None, .. } => {
                self.is_certain(&[source.host, destination.host])
            }
            _ => false,
        };
        if !is_known && message_type == MessageType::SpdDelete {
            self.forget(request::spdflush);
        }
        if !is_known {
            return Ok(());
        }
        if self.is_duplicate(&request) {
            if !(self.mirror && plan.is_forward()) {
                let text = "an earlier statement has a policy with this selector and direction";
                return Err(statement.error_at_end(statement.start(), text).into());
            }
            warnings.push(statement.error_at_end(statement.start(), HAS_COPY));
        }
        if let Some(forward) = plan.forward().filter(|_| self.mirror) {
            forward.encode(self.request_header(), &mut bytes).map_err(|error| unsendable(statement, &error))?;
            if self.is_duplicate(&self.parse(statement, &bytes)?) {
                warnings.push(statement.error_at_end(statement.start(), HAS_FORWARD));
            }
        }
        Ok(())
    }

    /// Parses a request as the kernel would.
    fn parse<'b>(&self, statement: &Statement<'_>, bytes: &'b [u8]) -> Result<Message<'b>, Refusal> {
        Message::parse(self.target.abi, bytes).map_err(|error| unsendable(statement, &error))
    }

    /// Applies the kernels' rules: returns an error, or adds a warning if only some versions refuse the request.
    fn apply_rules(
        &self,
        statement: &Statement<'_>,
        request: &Message<'_>,
        place: impl Fn(RequestPart) -> Option<usize>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), Refusal> {
        let Err(Refused { part, reason, versions, .. }) = rules::check(request, self.target.has_xfrm) else {
            return Ok(());
        };
        let at = place(part).unwrap_or_else(|| statement.start());
        match versions {
            None => Err(statement.error_at_end(at, reason).into()),
            Some(versions) => {
                warnings.push(statement.error_at_end(at, format!("WARNING: {reason} ({versions})")));
                Ok(())
            }
        }
    }

    /// Returns whether the hosts are addresses rather than names that stand for some.
    fn is_certain(&self, hosts: &[Word<'_>]) -> bool {
        self.target.names == Names::Ask || hosts.iter().all(|host| !is_name(host.text))
    }

    /// Records a request. Returns whether an earlier one has added the same entry.
    fn is_duplicate(&mut self, request: &Message<'_>) -> bool {
        self.created.as_mut().is_some_and(|created| !created.apply(request))
    }

    /// Records a request that deletes the entries that it names.
    fn forget(&mut self, write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> libpfkey::Result<()>) {
        let mut bytes = Vec::new();
        if write(self.request_header(), &mut bytes).is_ok()
            && let Ok(request) = Message::parse(self.target.abi, &bytes)
        {
            self.is_duplicate(&request);
        }
    }

    /// Records a `deleteall`. If the addresses are not known, it counts as if it deleted all SAs.
    fn delete_all(&mut self, pairs: &[(SocketAddr, SocketAddr)], sa_type: SaType, is_known: bool) {
        if !is_known {
            return self.forget_sas(sa_type);
        }
        let all = [SaType::Ah, SaType::Esp, SaType::IpComp, SaType::TcpSignature];
        let sa_types = if sa_type == SaType::Unspec { &all[..] } else { std::slice::from_ref(&sa_type) };
        let end = |kind, address: SocketAddr| Extension::Address(kind, Address::host(address.into()));
        for (source, destination) in pairs {
            let ends = vec![end(ExtensionType::AddressSrc, *source), end(ExtensionType::AddressDst, *destination)];
            for sa_type in sa_types {
                let header = Header::new(MessageType::Delete, *sa_type);
                self.is_duplicate(&Message { abi: self.target.abi, header, extensions: ends.clone() });
            }
        }
    }

    fn forget_sas(&mut self, sa_type: SaType) {
        self.forget(|header, buffer| request::flush(header, sa_type, buffer));
    }

    fn request_header(&self) -> RequestHeader {
        RequestHeader { abi: self.target.abi, pid: 0, seq: 0 }
    }
}

/// Returns the source and destination of a statement.
fn hosts<'s>(command: &Command<'s>) -> Vec<Word<'s>> {
    match command {
        Command::Add(sa) | Command::Delete(sa) | Command::Get(sa) | Command::GetSpi(sa) | Command::Update(sa) => {
            vec![sa.source.host, sa.destination.host]
        }
        Command::DeleteAll { source, destination, .. } => vec![*source, *destination],
        Command::SpdAdd(spd) | Command::SpdDelete(spd) | Command::SpdUpdate(spd) => match &spd.selector {
            Selector::Ranges { source, destination, .. } => vec![source.host, destination.host],
            Selector::Tagged(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Returns the error that source and destination have no address family in common.
pub(crate) fn families(statement: &Statement<'_>) -> ParseError {
    let at = hosts(&statement.command).get(1).map_or_else(|| statement.start(), |destination| destination.offset);
    statement.error_at(at, "source and destination are of different address families")
}

fn unsendable(statement: &Statement<'_>, error: &libpfkey::Error) -> Refusal {
    statement.error_at_end(statement.start(), error.to_string()).into()
}

/// Returns where a part of an SA is written.
fn place_in_sa(statement: &Statement<'_>, sa: &Sa<'_>, part: RequestPart) -> Option<usize> {
    let cipher = || sa.algorithms.encryption.as_ref().map(|word| word.name.offset);
    let hash = || sa.algorithms.authentication.as_ref().map(|word| word.name.offset);
    match part {
        // A missing algorithm is reported at the existing one.
        RequestPart::Encryption => cipher().or_else(hash),
        RequestPart::Authentication => hash().or_else(cipher),
        RequestPart::Compression => cipher(),
        RequestPart::Source => Some(sa.source.host.offset),
        RequestPart::Destination => Some(sa.destination.host.offset),
        RequestPart::Protocol => statement.protocol_offset(sa).or_else(|| statement.spi_offset(sa)),
        RequestPart::Spi => statement.spi_offset(sa),
        RequestPart::Lifetimes => statement.option_offset(&["-lh", "-ls", "-bh", "-bs", "-ph", "-ps"]),
        RequestPart::Policy | RequestPart::Step(_) => None,
    }
}

/// Returns where a part of a policy is written.
fn place_in_spd(statement: &Statement<'_>, spd: &Spd<'_>, part: RequestPart) -> Option<usize> {
    let end = |range: &Range<'_>| Some(statement.prefix_offset(range).unwrap_or(range.host.offset));
    match (part, &spd.selector) {
        (RequestPart::Source, Selector::Ranges { source, .. }) => end(source),
        (RequestPart::Destination, Selector::Ranges { destination, .. }) => end(destination),
        (RequestPart::Step(number), _) => statement.step_offset(number).or(Some(compose::start_of_policy(spd))),
        (_, Selector::Tagged(tag)) => Some(tag.offset),
        _ => Some(compose::start_of_policy(spd)),
    }
}
