//! The `proposal` section of a remote.

use std::time::Duration;

use super::weakness::Weakness;
use super::{Check, only_body, unexpected_body};
use libpfkey::algorithm::KeyBits;
use libpfkey::spelling;

use crate::racoon::algorithm::{AuthenticationMethod, Cipher, DhGroup, Encryption, Hash, default_key_bits};
use crate::racoon::directive::Section;
use crate::racoon::meaning;
use crate::racoon::operands::Operands;
use crate::racoon::parser::Statement;
use crate::racoon::place::Place;
use crate::racoon::problem::SYNTAX_ERROR;
use crate::racoon::source::Source;
use crate::racoon::suite::Suite;
use crate::racoon::token::Token;

const LEFT_OUT: &str = "use certificates with rsasig or ecdsasig, or pre-shared keys";
const CIPHER_LEFT_OUT: &str = "use aes";

/// Ciphers of other daemons that racoon lacks, with a hint.
pub(super) const REFUSED_CIPHERS: &[(&str, &str)] =
    &[("idea", CIPHER_LEFT_OUT), ("rc5", CIPHER_LEFT_OUT), ("rc4", CIPHER_LEFT_OUT), ("3idea", CIPHER_LEFT_OUT)];

/// A proposal as written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) place: Place,
    pub(super) encryption: Encryption,
    pub(super) hash: Hash,
    pub(super) method: AuthenticationMethod,
    pub(super) dh_group: DhGroup,
    /// `None` for the remote's.
    pub(super) lifetime: Option<Duration>,
}

#[derive(Default)]
struct Parts {
    encryption: Option<Encryption>,
    hash: Option<Hash>,
    method: Option<AuthenticationMethod>,
    dh_group: Option<DhGroup>,
    lifetime: Option<Duration>,
}

impl Check<'_> {
    /// Reads a proposal; `None` if something is wrong with it.
    pub(super) fn proposal(&mut self, source: &Source, statement: &Statement<'_>) -> Option<Draft> {
        let errors = self.problems.errors();
        let body = only_body(&self.problems, source, statement)?;
        let mut parts = Parts::default();
        for statement in &body.statements {
            self.proposal_directive(source, statement, &mut parts);
        }
        let place = source.place(statement.words.first()?);
        let missing = [
            ("encryption_algorithm", parts.encryption.is_none()),
            ("hash_algorithm", parts.hash.is_none()),
            ("authentication_method", parts.method.is_none()),
            ("dh_group", parts.dh_group.is_none()),
        ];
        // A wrong directive is not reported as missing as well.
        if self.problems.errors() == errors && body.is_whole {
            for (name, _) in missing.iter().filter(|(_, missing)| *missing) {
                self.problems.error(source, &body.close, &format!("{name} required."), Some("in this proposal".into()));
            }
        }
        Some(Draft {
            place,
            encryption: parts.encryption?,
            hash: parts.hash?,
            method: parts.method?,
            dh_group: parts.dh_group?,
            lifetime: parts.lifetime,
        })
    }

    fn proposal_directive(&mut self, source: &Source, statement: &Statement<'_>, parts: &mut Parts) -> Option<()> {
        let directive = self.directive(source, Section::Proposal, statement)?;
        if statement.body.is_some() {
            return unexpected_body(&self.problems, source, statement);
        }
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let value = op.peek();
        let mut weakness = None;
        match directive.name {
            "encryption_algorithm" => {
                let encryption = encryption(&mut op)?;
                weakness = Weakness::of_cipher(encryption.cipher);
                parts.encryption = Some(encryption);
            }
            "hash_algorithm" => {
                let hash = hash(&mut op)?;
                weakness = Weakness::of_hash(hash);
                parts.hash = Some(hash);
            }
            "authentication_method" => parts.method = Some(method(&mut op)?),
            "dh_group" => {
                let group = dh_group(&mut op, "dh_group")?;
                weakness = Weakness::of_group(group);
                parts.dh_group = Some(group);
            }
            _ => parts.lifetime = Some(lifetime(&mut op)?),
        }
        op.finish()?;
        self.weak(source, &value, weakness);
        Some(())
    }
}

fn encryption(op: &mut Operands<'_, '_>) -> Option<Encryption> {
    let (cipher, token) = op.algorithm(&Cipher::words(), REFUSED_CIPHERS, meaning::cipher)?;
    Some(Encryption { cipher, key_bits: key_bits(op, &token, cipher.key_bits())? })
}

/// Takes the key length, which may follow the name of a cipher.
pub(super) fn key_bits(op: &mut Operands<'_, '_>, name: &Token<'_>, lengths: KeyBits) -> Option<Option<u16>> {
    let token = op.peek();
    // `3des` begins with a digit, but it is the next cipher of a list that lacks a comma.
    let is_name = || Suite::read(token.text).is_some_and(|suite| suite.cipher.is_some());
    if op.at_end() || !token.text.starts_with(|c: char| c.is_ascii_digit()) || is_name() {
        return Some(default_key_bits(lengths));
    }
    let bits: u64 = op.number(0, u64::MAX)?;
    if lengths.is_fixed() {
        // `des3`, read as `des` and a number.
        let is_triple = bits == 3 && name.text.starts_with("des");
        let hint =
            if is_triple { meaning::write("3des") } else { "keys of this cipher have a fixed length".to_owned() };
        return op.fail(name, "keylen not allowed", Some(hint));
    }
    match u16::try_from(bits).ok().filter(|bits| lengths.allows(*bits)) {
        Some(bits) => Some(Some(bits)),
        None => {
            let hint = match lengths {
                KeyBits::Range { min, max } => format!("a multiple of 8 in {min} to {max}"),
                KeyBits::Each(each) => spelling::either(&each.iter().map(u16::to_string).collect::<Vec<_>>()),
            };
            op.fail(&token, &format!("invalid keylen {bits}"), Some(hint))
        }
    }
}

fn hash(op: &mut Operands<'_, '_>) -> Option<Hash> {
    let token = op.peek();
    if token.is_word("tiger") {
        op.next();
        return op.fail(&token, "tiger is not supported", Some("use sha256".to_owned()));
    }
    op.choice_or(&Hash::words(), "a hash", meaning::hash)
}

fn method(op: &mut Operands<'_, '_>) -> Option<AuthenticationMethod> {
    let token = op.peek();
    let left_out = ["gssapi_krb", "dsssig", "rsaenc", "rsarev", "hybrid_dss_client", "hybrid_dss_server"];
    if left_out.iter().any(|word| token.is_word(word)) {
        op.next();
        return op.fail(&token, &format!("{} is not supported", token.text), Some(LEFT_OUT.to_owned()));
    }
    op.choice_or(AuthenticationMethod::WORDS, "an authentication method", meaning::method)
}

/// Reads the name or number of a group. `directive` is `dh_group` or `pfs_group`.
pub(super) fn dh_group(op: &mut Operands<'_, '_>, directive: &str) -> Option<DhGroup> {
    let token = op.peek();
    let words: Vec<_> = DhGroup::WORDS.iter().copied().filter(|(_, group)| group.is_supported()).collect();
    let unsupported = DhGroup::from_name(token.text).filter(|group| !group.is_supported());
    if let (Some(group), false) = (unsupported, op.at_end()) {
        op.next();
        let what = if directive == "dh_group" { "proposal" } else { "sainfo" };
        let hint = format!("this {what} can never be agreed on: use modp2048 or ecp256");
        // Only a warning: other proposals of the remote may have groups that work.
        op.warn(&token, &format!("{group} (group {}) is not supported", group.number()), Some(hint));
        return Some(group);
    }
    // `group 14` and `modp 2048`, in two words.
    if matches!(token.text, "group" | "modp" | "dh" | "ecp") && !op.at_end() {
        op.next();
        let name = format!("{}{}", token.text, op.peek().text);
        let hint =
            meaning::group(&name, directive).unwrap_or_else(|| "write the group's name, such as `modp2048`".to_owned());
        return op.fail(&token, SYNTAX_ERROR, Some(hint));
    }
    op.choice_or(&words, "a group", |text| meaning::group(text, directive))
}

/// Reads `time NUMBER UNIT`.
pub(super) fn lifetime(op: &mut Operands<'_, '_>) -> Option<Duration> {
    let token = op.peek();
    if op.accept("time") {
        return op.time(1);
    }
    if op.accept("byte") {
        let hint = "a lifetime in bytes is valid in sainfo only".to_owned();
        return op.fail(&token, "no byte lifetime in phase 1", Some(hint));
    }
    op.unexpected("`time`, a number and a unit, as in `lifetime time 8 hour`")
}
