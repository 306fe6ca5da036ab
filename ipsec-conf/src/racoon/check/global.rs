//! Directives for the whole daemon.

use std::path::Path;
use std::time::Duration;

use super::{Check, at_place};
use crate::racoon::address::is_any;
use crate::racoon::config::Config;
use crate::racoon::global::{
    Account, AdminSocket, Backend, Listen, ListenSocket, LogLevel, Padding, Privsep, SocketAccess, Timer,
};
use crate::racoon::meaning;
use crate::racoon::operands::Operands;
use crate::racoon::parser::Statement;
use crate::racoon::problem::{SYNTAX_ERROR, Severity};
use crate::racoon::source::Source;
use crate::racoon::token::{Kind, Token};

/// UDP port of IKE.
const ISAKMP_PORT: u16 = 500;
/// UDP port of IKE and ESP in UDP.
const NATT_PORT: u16 = 4500;

impl Check<'_> {
    /// Checks a directive outside of sections, whose name takes `skip` words.
    pub(super) fn global(&mut self, source: &Source, name: &str, statement: &Statement<'_>, skip: usize) -> Option<()> {
        let mut op = Operands::new(source, &self.problems, statement, skip);
        let config = &mut self.config;
        match name {
            "path include" => config.paths.include = Some(path(&mut op)?),
            "path pre_shared_key" => config.paths.pre_shared_key = Some(path(&mut op)?),
            "path certificate" => config.paths.certificate = Some(path(&mut op)?),
            "path script" => config.paths.script = Some(path(&mut op)?),
            "path backupsa" => config.paths.backupsa = Some(path(&mut op)?),
            "path pidfile" => config.paths.pidfile = Some(path(&mut op)?),
            // In KiB; its bytes fit into 32 bits.
            "pfkey_buffer" => config.pfkey_buffer = op.number(0, u32::MAX / 1024)?,
            "log" => config.log = op.choice_or(LogLevel::WORDS, "a level", meaning::log_level)?,
            "complex_bundle" => config.complex_bundle = op.switch()?,
            "threads" => config.threads = Some(op.number(1, 1024)?),
            "journal" => config.journal = op.number(0, 1_000_000)?,
            "half_open_limit" => half_open_limit(config, &mut op)?,
            _ => config.backend = backend(&mut op)?,
        }
        op.finish()
    }

    /// Begins a `privsep` section. Several sections add up to one.
    pub(super) fn begin_privsep(&mut self, source: &Source, statement: &Statement<'_>) {
        let place = source.place(statement.words.first().unwrap_or(&statement.end));
        self.config.privsep.get_or_insert(Privsep { place, user: Account::Id(0), group: Account::Id(0), chroot: None });
    }

    /// Checks what privilege separation needs.
    pub(super) fn check_privsep(&self) {
        let Some(privsep) = self.config.privsep.as_ref().filter(|privsep| privsep.user != Account::Id(0)) else {
            return;
        };
        let paths = &self.config.paths;
        for (name, path) in [("path certificate", &paths.certificate), ("path script", &paths.script)] {
            if path.is_none() {
                let why = "the privileged process opens only files in that directory";
                let message = format!("privsep needs `{name}`");
                at_place(&self.problems, &privsep.place, Severity::Error, message, Some(why.to_owned()));
            }
        }
    }
}

fn path(op: &mut Operands<'_, '_>) -> Option<Box<Path>> {
    Some(Path::new(op.name("a path")?).into())
}

fn half_open_limit(config: &mut Config, op: &mut Operands<'_, '_>) -> Option<()> {
    config.half_open_limit.total = op.number(1, u32::MAX)?;
    if !op.accept("per_source") {
        return op.unexpected("`per_source` and a number");
    }
    config.half_open_limit.per_source = op.number(1, u32::MAX)?;
    Some(())
}

fn backend(op: &mut Operands<'_, '_>) -> Option<Backend> {
    Some(match op.choice(Backend::WORDS, "a backend")? {
        "xfrm" => Backend::Xfrm,
        "pfkey" => Backend::PfKey,
        "memory" => Backend::Memory,
        "socket" => Backend::Socket(path(op)?),
        _ => Backend::Auto,
    })
}

pub(super) fn privsep(config: &mut Config, name: &str, op: &mut Operands<'_, '_>) -> Option<()> {
    let privsep = config.privsep.as_mut()?;
    match name {
        "user" => privsep.user = account(op)?,
        "group" => privsep.group = account(op)?,
        _ => privsep.chroot = Some(path(op)?),
    }
    Some(())
}

/// Reads a quoted name or a number.
fn account(op: &mut Operands<'_, '_>) -> Option<Account> {
    let token = op.peek();
    if !op.at_end() && token.kind == Kind::Word && token.text.starts_with(|c: char| c.is_ascii_digit()) {
        return op.number(0, u32::MAX).map(Account::Id);
    }
    op.name("a name").map(named)
}

/// Converts a name, which may be a number in quotes.
fn named(text: &str) -> Account {
    // `racoon -C` prints numbers in quotes where the grammar requires a string.
    match text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse()) {
        Some(Ok(id)) => Account::Id(id),
        _ => Account::Name(text.into()),
    }
}

pub(super) fn padding(padding: &mut Padding, name: &str, op: &mut Operands<'_, '_>) -> Option<()> {
    match name {
        "randomize" => padding.randomize = op.switch()?,
        "randomize_length" => padding.randomize_length = op.switch()?,
        "maximum_length" => padding.maximum_length = op.number(0, u8::MAX)?,
        "strict_check" => padding.strict_check = op.switch()?,
        _ => padding.exclusive_tail = op.switch()?,
    }
    Some(())
}

pub(super) fn timer(timer: &mut Timer, name: &str, op: &mut Operands<'_, '_>) -> Option<()> {
    match name {
        "counter" => timer.counter = op.number(1, u32::MAX)?,
        "interval" => timer.interval = op.time(1)?,
        "persend" => timer.persend = op.number(1, 16)?,
        "phase1" => timer.phase1 = op.time(1)?,
        "phase2" => timer.phase2 = op.time(1)?,
        _ => timer.natt_keepalive = op.time(0).map(|time| Some(time).filter(|time| *time != Duration::ZERO))?,
    }
    Some(())
}

pub(super) fn listen(listen: &mut Listen, name: &str, op: &mut Operands<'_, '_>) -> Option<()> {
    match name {
        "isakmp" | "isakmp_natt" => {
            let natt = name == "isakmp_natt";
            let token = op.peek();
            // Other programs have a word for all addresses.
            if !op.at_end() && is_any(token.text) {
                let hint = format!("without `{name}`, racoon listens on all addresses: remove the line");
                return op.fail(&token, SYNTAX_ERROR, Some(hint));
            }
            let address = op.address()?;
            let port = op.port(false)?.unwrap_or(if natt { NATT_PORT } else { ISAKMP_PORT });
            listen.sockets.push(ListenSocket { place: op.place(), address, port, natt });
        }
        "strict_address" => listen.strict_address = true,
        _ => listen.adminsock = adminsock(op)?,
    }
    Some(())
}

fn adminsock(op: &mut Operands<'_, '_>) -> Option<AdminSocket> {
    if op.accept("disabled") {
        return Some(AdminSocket::Disabled);
    }
    // Otherwise the hint would be to put the word in quotes, as a path.
    if ["off", "no", "none", "disable"].iter().any(|word| op.peek().is_word(word)) {
        return op.fail(&op.peek(), SYNTAX_ERROR, Some(meaning::write("disabled")));
    }
    let token = op.string_token("the path of a socket, or disabled")?;
    let path = Path::new(token.value());
    check_socket_path(op, &token, path)?;
    let access = if op.at_end() { None } else { Some(socket_access(op)?) };
    Some(AdminSocket::Path { place: op.place(), path: path.into(), access })
}

/// Checks the path of the control socket. The required ending protects other files, because a stale socket is removed.
fn check_socket_path(op: &Operands<'_, '_>, token: &Token<'_>, path: &Path) -> Option<()> {
    let is_socket = path.extension().is_some_and(|extension| extension == "sock" || extension == "socket");
    if !is_socket {
        return op.fail(token, "the name of the socket must end in .sock or .socket", None);
    }
    if path.components().any(|component| component == std::path::Component::ParentDir) {
        return op.fail(token, "the path of the socket may not go through ..", None);
    }
    Some(())
}

fn socket_access(op: &mut Operands<'_, '_>) -> Option<SocketAccess> {
    let owner = named(op.name("the owner")?);
    let group = named(op.name("the group")?);
    let token = op.peek();
    // The token is a decimal number whose digits mean an octal mode, as in the C racoon.
    op.number(0, u32::MAX)?;
    match u16::from_str_radix(token.text, 8).ok().filter(|mode| *mode <= 0o777) {
        Some(mode) => Some(SocketAccess { owner, group, mode }),
        None => op.fail(&token, "expected a mode of three octal digits", None),
    }
}
