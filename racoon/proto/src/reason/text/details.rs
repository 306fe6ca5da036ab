//! The text of the values in a reason.

use std::fmt;

use super::joined;
use crate::kernel::KernelError;
use crate::num::ExchangeType;
use crate::reason::{
    AuthenticationFailure, BadChoice, CryptoFailure, DenialReason, Denied, ExpectedIdentity, KernelFailure, Malformed,
    NoPhase1, PayloadProblem, Phase2IdentityError, Role, Unanswered, Unreadable,
};

impl fmt::Display for BadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(error) => error.fmt(f),
            Self::Changed(difference) => difference.fmt(f),
            Self::Proposals(error) => error.fmt(f),
            Self::Incomplete => f.write_str("there is not one choice for each protocol"),
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exchange, role, message, bytes, sent, repeated, unreadable } = self;
        let transmissions = counted(*sent, "transmission");
        write!(f, "no answer to message {message} of {exchange} mode ({bytes} bytes) after {transmissions}")?;
        match (*exchange, role, message) {
            (ExchangeType::MAIN, Role::Initiator, 3) => f.write_str("; message 1 was answered")?,
            (ExchangeType::MAIN, Role::Initiator, 5) => f.write_str("; messages 1 and 3 were answered")?,
            (ExchangeType::MAIN, Role::Responder, 4) => f.write_str("; message 2 was answered")?,
            (ExchangeType::QUICK, ..) => f.write_str("; phase 1 is established")?,
            _ => {}
        }
        if *repeated > 0 {
            write!(f, "; the peer repeated message {} {}", message.saturating_sub(1), counted(*repeated, "time"))?;
        }
        if *unreadable > 0 {
            write!(f, "; the peer sent {} that cannot be read", counted(*unreadable, "encrypted message"))?;
        }
        Ok(())
    }
}

/// `1 time`, `2 times`.
fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::Unreadable(error) => error.fmt(f),
            Self::Encryption { encrypted, message, exchange } => {
                write!(f, "message {message} of {exchange} mode is {}encrypted", if *encrypted { "" } else { "not " })
            }
            Self::OtherExchange { found, expected } => write!(f, "a message of {found} mode in {expected} mode"),
            Self::LongSa(bytes) => write!(f, "an SA payload of {bytes} bytes"),
            Self::Busy => f.write_str("a message arrived before the previous one was processed"),
        }
    }
}

impl fmt::Display for PayloadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Repeated => "occurs too often",
            Self::NotFirst => "is not the first",
            Self::Unexpected => "is not allowed",
        })
    }
}

impl fmt::Display for AuthenticationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WRONG_KEY: &str = "the message cannot be decrypted, wrong pre-shared key?";
        match self {
            Self::Hash => f.write_str("the hash is wrong"),
            // With another key the bytes are random, and the position of the first fault says nothing.
            Self::Unreadable(Unreadable::Payloads(_)) => f.write_str(WRONG_KEY),
            Self::Unreadable(error) => write!(f, "{WRONG_KEY} ({error})"),
        }
    }
}

impl fmt::Display for ExpectedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { remote, identifiers } = self;
        write!(f, "{} (peers_identifier of remote section {remote})", joined(identifiers, " or "))
    }
}

impl fmt::Display for Phase2IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.write_str("there is only one"),
            Self::Malformed(error) => error.fmt(f),
            Self::Traffic(error) => error.fmt(f),
            Self::Changed => f.write_str("the peer returns other ones than were sent"),
            Self::NotReturned => f.write_str("the peer returns none"),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.traffic, self.problem)
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDEN: &str = "name it in a sainfo if the peer may have it";
        match self {
            Self::NotEndpoints { local, remote, support_proxy } => {
                write!(f, "identities in transport mode have to be the endpoints of phase 1, {local} and {remote}")?;
                match support_proxy {
                    true => f.write_str(
                        "; for others a sainfo has to name both addresses, with `remoteid`, or with `from` an identity \
                         that is verified",
                    ),
                    false => Ok(()),
                }
            }
            Self::Unproved(identity) => write!(
                f,
                "its sainfo is for {identity}, but the peer does not prove that it is that (see verify_identifier)"
            ),
            Self::Everything => write!(f, "the peer's side is everything; {WIDEN}"),
            Self::NotUnicast(side) => write!(f, "{side} is no host or subnet of unicast addresses"),
            Self::LinkLocal(side) => write!(f, "{side} has link-local addresses, which are not only the peer's"),
            Self::OwnAddress(side, own) => write!(f, "{side} overlaps {own}, an address of this host; {WIDEN}"),
            Self::OtherRemote(side, other) => {
                write!(f, "{side} overlaps {other}, the address of another remote section; {WIDEN}")
            }
            Self::OtherSainfo(side) => write!(f, "{side} overlaps what another sainfo names as a peer's side"),
            Self::Policy { side, direction, source, destination } => {
                write!(f, "{side} overlaps the {direction} policy {source} -> {destination}; {WIDEN}")
            }
            Self::InUse(side, peer) => write!(f, "{side} is in use by the peer at {peer}"),
            Self::GeneratedForAnother => f.write_str("its policies were generated for another peer"),
        }
    }
}

impl fmt::Display for NoPhase1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the one under which it was negotiated is gone"),
            Self::Deleted => f.write_str("deleted"),
            Self::Flushed => f.write_str("flushed"),
            Self::NotConfigured => f.write_str("its remote section is no longer configured"),
            Self::Failed(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for KernelFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::SpiExpired { name, after, limit } => write!(
                f,
                "the SPI reserved for {name} expired {} s into the negotiation; raise {limit} if the peer needs longer",
                after.as_secs()
            ),
            Self::Deleted(name) => write!(f, "another program deleted {name}"),
            Self::Flushed => f.write_str("another program deleted all SAs"),
            Self::NameInUse(name) => write!(f, "{name} is in use by another negotiation"),
        }
    }
}

impl fmt::Display for KernelError {
    /// What the kernel lacks, what it was asked for, and what it said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, message, explanation, missing, .. } = self;
        if let Some(missing) = missing {
            write!(f, "kernel has no {missing}: ")?;
        }
        if !operation.is_empty() {
            write!(f, "{operation}: ")?;
        }
        f.write_str(message)?;
        explanation.iter().try_for_each(|explanation| write!(f, ": {explanation}"))
    }
}

impl fmt::Display for CryptoFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::NotComputed => {
                f.write_str("the key exchange or signature could not be computed: too much is waiting")
            }
            Self::Late => f.write_str("the key exchange or signature was not computed in time"),
            Self::Incomplete => f.write_str("the result of a job is incomplete"),
            Self::Unexpected => f.write_str("the result of a job that was not ordered"),
        }
    }
}
