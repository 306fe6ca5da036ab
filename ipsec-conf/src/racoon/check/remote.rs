//! The `remote` section.

mod certificate;
mod draft;
mod whole;

use std::net::IpAddr;
use std::time::Duration;

use super::proposal::lifetime;
use super::{Check, resolve, unexpected_body};
use crate::racoon::address::is_any;
use crate::racoon::directive::Section;
use crate::racoon::meaning;
use crate::racoon::operands::Operands;
use crate::racoon::parser::{Body, Statement};
use crate::racoon::problem::SYNTAX_ERROR;
use crate::racoon::remote::*;
use crate::racoon::source::Source;
use crate::racoon::token::Kind;
use crate::system_error;
use draft::{Draft, Given};

pub(super) use draft::Drafts;

impl Check<'_> {
    /// Checks `remote NAME [inherit NAME] { … }`.
    pub(super) fn remote(&mut self, source: &Source, statement: &Statement<'_>) -> Option<()> {
        // Checks of the whole configuration refer to this line when the file is no longer in memory.
        statement.words.first().into_iter().for_each(|first| self.problems.remember(source, first));
        let head = self.remote_head(source, statement);
        match (&statement.body, head) {
            (Some(body), Some((draft, _))) => self.remote_body(source, statement, body, draft, true),
            (Some(body), None) => {
                // Its directives are checked all the same, under a name that no remote can have.
                let place = source.place(&statement.end);
                self.remote_body(source, statement, body, Draft::new(RemoteName::Quoted("".into()), place), false)
            }
            (None, Some((draft, true))) => {
                self.remotes.push(draft);
                Some(())
            }
            (None, Some(_)) if statement.end.kind == Kind::Semicolon => {
                self.problems.error(source, &statement.end, SYNTAX_ERROR, Some("expected `{`".to_owned()));
                None
            }
            (None, _) => None,
        }
    }

    /// Reads the name and copies the parent's values. Returns whether there is a parent.
    fn remote_head(&self, source: &Source, statement: &Statement<'_>) -> Option<(Draft, bool)> {
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let token = op.peek();
        let name = remote_name(&mut op)?;
        if let RemoteName::Address(address, _) = &name {
            self.check_scope(source, &token, address);
        }
        if matches!(name, RemoteName::Quoted(_)) && self.remotes.by_name.contains_key(&name) {
            let hint = Some("each remote needs a name of its own".to_owned());
            self.problems.error(source, &token, "duplicated remote", hint);
        }
        let parent = if op.accept("inherit") { Some(self.parent(&mut op, &name)?) } else { None };
        if !op.at_end() {
            let is_network = op.peek().text.starts_with(['/', '-']);
            return op.unexpected(match is_network {
                true => "`{`: a remote is one address, or anonymous",
                false => "`{`",
            });
        }
        let heir = parent.is_some();
        let mut draft = match parent {
            Some(parent) => parent.clone(),
            None => Draft::new(name.clone(), op.place()),
        };
        draft.name(name, op.place());
        Some((draft, heir))
    }

    fn parent(&self, op: &mut Operands<'_, '_>, child: &RemoteName) -> Option<&Draft> {
        let token = op.peek();
        let name = remote_name(op)?;
        if matches!(name, RemoteName::Quoted(_)) != matches!(child, RemoteName::Quoted(_)) {
            let hint = "a remote with a quoted name inherits only from one with a quoted name, and any other only from another without";
            return op.fail(&token, SYNTAX_ERROR, Some(hint.to_owned()));
        }
        let parent = self.remotes.parent(&name);
        if parent.is_none() {
            let hint = "it must precede this one";
            return op.fail(&token, "no remote configuration to inherit from", Some(hint.to_owned()));
        }
        parent
    }

    fn remote_body(
        &mut self,
        source: &Source,
        statement: &Statement<'_>,
        body: &Body<'_>,
        mut draft: Draft,
        named: bool,
    ) -> Option<()> {
        let errors = self.problems.errors();
        // An address as the name must not be contradicted by `remote_address`.
        let mut given = Given { address: !matches!(draft.remote.name, RemoteName::Quoted(_)), ..Given::default() };
        for statement in &body.statements {
            self.remote_directive(source, statement, &mut draft, &mut given);
        }
        let complete = named && body.is_whole && self.problems.errors() == errors;
        self.remote_end(source, statement, body, &draft, complete);
        self.remotes.push(draft);
        Some(())
    }

    fn remote_directive(
        &mut self,
        source: &Source,
        statement: &Statement<'_>,
        draft: &mut Draft,
        given: &mut Given,
    ) -> Option<()> {
        let directive = self.directive(source, Section::Remote, statement)?;
        if directive.name == "proposal" {
            // The child's list replaces the parent's, instead of continuing it as in the C racoon.
            if !std::mem::replace(&mut given.proposals, true) {
                draft.proposals.clear();
            }
            draft.proposals.push(self.proposal(source, statement)?);
            return Some(());
        }
        if statement.body.is_some() {
            return unexpected_body(&self.problems, source, statement);
        }
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let remote = &mut draft.remote;
        match directive.name {
            "remote_address" => {
                let token = op.peek();
                remote_address(&mut op, remote, given)?;
                if let Some(RemoteAddress::Numeric(address)) = &remote.address {
                    self.check_scope(source, &token, address);
                }
            }
            "exchange_mode" => {
                remote.exchange_modes = exchange_modes(&mut op)?;
                draft.modes_given = true;
            }
            "my_identifier" => remote.my_identifier = self.my_identifier(&mut op)?,
            "peers_identifier" => {
                let identifier = self.peers_identifier(&mut op)?;
                if !std::mem::replace(&mut given.peers_identifiers, true) {
                    remote.peers_identifiers.clear();
                }
                remote.peers_identifiers.push(identifier);
            }
            "certificate_type" => self.certificate_type(&mut op, remote, given)?,
            "peers_certfile" => self.peers_certfile(&mut op, remote, given)?,
            "ca_type" => self.ca_type(&mut op, remote, given)?,
            "script" => self.script(&mut op, &mut remote.scripts)?,
            name => simple(name, &mut op, remote)?,
        }
        op.finish()
    }

    fn script(&self, op: &mut Operands<'_, '_>, scripts: &mut Scripts) -> Option<()> {
        let token = op.string_token("the file of the script")?;
        let path = resolve(self.config.paths.script.as_deref(), token.value());
        let events = [("phase1_up", 0), ("phase1_down", 1), ("phase1_dead", 2)];
        let script = match op.choice(&events, "phase1_up, phase1_down or phase1_dead")? {
            0 => &mut scripts.up,
            1 => &mut scripts.down,
            _ => &mut scripts.dead,
        };
        // Only a warning: the script may be installed later, and negotiations do not need it.
        if let Err(error) = self.loader.metadata(&path) {
            op.warn(&token, "no such script", Some(format!("{}: {}", path.display(), system_error(&error))));
        }
        *script = Some(path);
        Some(())
    }
}

/// Reads `"name"`, `ADDRESS [port]` or `anonymous [port]`.
fn remote_name(op: &mut Operands<'_, '_>) -> Option<RemoteName> {
    let token = op.peek();
    if !op.at_end() && token.kind == Kind::String {
        return op.name("a name").map(|name| RemoteName::Quoted(name.into()));
    }
    if op.accept("anonymous") {
        return Some(RemoteName::Anonymous(port(op)?));
    }
    if op.at_end() || token.kind != Kind::Word {
        return op.unexpected("an address, anonymous, or a name in quotes");
    }
    if is_any(token.text) {
        let hint = "expected a numeric address; `remote anonymous` matches any peer";
        return op.fail(&token, SYNTAX_ERROR, Some(hint.to_owned()));
    }
    let address = op.address()?;
    Some(RemoteName::Address(address, port(op)?))
}

/// Reads a port; 0 stands for none.
fn port(op: &mut Operands<'_, '_>) -> Option<Option<u16>> {
    Some(op.port(false)?.filter(|port| *port != 0))
}

fn remote_address(op: &mut Operands<'_, '_>, remote: &mut Remote, given: &mut Given) -> Option<()> {
    if std::mem::replace(&mut given.address, true) {
        return op.fail(&op.first(), "remote_address is already defined", None);
    }
    let token = op.peek();
    // A numeric address may be in quotes too.
    let is_name = token.kind == Kind::String && token.value().parse::<IpAddr>().is_err();
    remote.address = Some(match is_name && !op.at_end() {
        true => RemoteAddress::Host(op.name("a name")?.into()),
        false => RemoteAddress::Numeric(op.quoted_address()?),
    });
    remote.port = port(op)?;
    Some(())
}

/// Reads one or more modes, with or without commas between them.
fn exchange_modes(op: &mut Operands<'_, '_>) -> Option<Vec<ExchangeMode>> {
    let mut modes = Vec::new();
    loop {
        let token = op.peek();
        let mode = op.choice_or(ExchangeMode::WORDS, "main, aggressive or base", meaning::exchange)?;
        if modes.contains(&mode) {
            op.warn(&token, "the exchange mode is listed twice", None);
        } else {
            modes.push(mode);
        }
        let comma = op.comma();
        if !comma && op.at_end() {
            return Some(modes);
        }
    }
}

/// Reads a directive with one value.
fn simple(name: &str, op: &mut Operands<'_, '_>, remote: &mut Remote) -> Option<()> {
    let seconds =
        |op: &mut Operands<'_, '_>, least: u32| op.number(least, u32::MAX).map(|n| Duration::from_secs(n.into()));
    match name {
        "doi" => op.choice(&[("ipsec_doi", ())], "ipsec_doi")?,
        "situation" => op.choice(&[("identity_only", ())], "identity_only")?,
        "xauth_login" => remote.xauth_login = Some(op.name("a login")?.into()),
        "verify_identifier" => remote.verify_identifier = op.switch()?,
        "crl_policy" => remote.crl_policy = op.choice(CrlPolicy::WORDS, "optional or require")?,
        "mode_cfg" => remote.mode_cfg = op.switch()?,
        "weak_phase1_check" => remote.weak_phase1_check = op.switch()?,
        "send_cert" => remote.send_cert = op.switch()?,
        "send_cr" => remote.send_cr = op.switch()?,
        "match_empty_cr" => remote.match_empty_cr = op.switch()?,
        "verify_cert" => remote.verify_cert = op.switch()?,
        "lifetime" => remote.lifetime = lifetime(op)?,
        "ike_frag" => remote.ike_frag = op.choice(Ternary::WORDS, "off, on or force")?,
        "esp_frag" => remote.esp_frag = op.number(0, u16::MAX)?,
        "initial_contact" => remote.initial_contact = op.switch()?,
        "passive" => remote.passive = op.switch()?,
        "proposal_check" => remote.proposal_check = op.choice(ProposalCheck::WORDS, "a level")?,
        "support_proxy" => remote.support_proxy = op.switch()?,
        "generate_policy" => remote.generate_policy = op.choice(GeneratePolicy::WORDS, "a level")?,
        "generate_policy_bounds" => remote.generate_policy_bounds = op.switch()?,
        "nat_traversal" => remote.nat_traversal = op.choice(Ternary::WORDS, "off, on or force")?,
        "dpd" => remote.dpd = op.switch()?,
        "dpd_delay" => remote.dpd_delay = Some(seconds(op, 0)?).filter(|delay| *delay != Duration::ZERO),
        "dpd_retry" => remote.dpd_retry = seconds(op, 1)?,
        "dpd_maxfail" => remote.dpd_maxfail = op.number(1, u32::MAX)?,
        "dpd_mode" => remote.dpd_mode = op.choice(DpdMode::WORDS, "always, traffic or idle")?,
        "rekey" => remote.rekey = op.choice(Ternary::WORDS, "off, on or force")?,
        // The limits of RFC 2409 section 5.
        "nonce_size" => remote.nonce_size = op.number(8, 256)?,
        _ => remote.ph1id = op.number(0, u32::MAX)?,
    }
    Some(())
}
