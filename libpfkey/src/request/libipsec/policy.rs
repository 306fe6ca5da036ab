//! Requests about policies.

use super::check_pair;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType, SaType};
use crate::request::RequestHeader;
use crate::strerror::Code;
use crate::wire::{Address, Extension, KmAddress, Lifetime, Policy, SockAddr};

/// The selector and policy of X_SPDADD, X_SPDUPDATE, X_SPDDELETE and X_SPDSETIDX. [`PolicySpec`](crate::PolicySpec) is their
/// typed form.
#[derive(Clone, Debug)]
pub struct SpdRequest {
    /// Source address.
    pub source: SockAddr,
    /// Bits of the source address that count.
    pub source_prefix: u8,
    /// Destination address.
    pub destination: SockAddr,
    /// Bits of the destination address that count.
    pub destination_prefix: u8,
    /// Upper-layer protocol; 255 is any.
    pub proto: u8,
    /// Seconds until the kernel removes the policy; 0 is never.
    pub lifetime: u64,
    /// Seconds without use until the kernel removes it; 0 is never.
    pub validtime: u64,
    /// The policy.
    pub policy: Policy,
}

impl SpdRequest {
    fn write(&self, header: RequestHeader, message_type: MessageType, buffer: &mut Vec<u8>) -> Result<()> {
        check_pair(&self.source, &self.destination)?;
        let full = self.source.full_prefix();
        if self.source_prefix > full || self.destination_prefix > full {
            return Err(Code::InvalidPrefix.into());
        }
        // libipsec checks that the policy has the size of its header.
        if message_type == MessageType::SpdDelete && !self.policy.requests.is_empty() {
            return Err(Code::InvalidArgument.into());
        }
        header.write(message_type, SaType::Unspec, buffer, |builder| {
            let (source, destination) = (self.source, self.destination);
            let end = |sockaddr, prefix| Address { proto: self.proto, prefix, reserved: 0, sockaddr };
            builder.push(&Extension::Address(ExtensionType::AddressSrc, end(source, self.source_prefix)))?;
            builder.push(&Extension::Address(ExtensionType::AddressDst, end(destination, self.destination_prefix)))?;
            let limits = Lifetime { addtime: self.lifetime, usetime: self.validtime, ..Lifetime::default() };
            // Always present in libipsec's messages: zeros mean no limits.
            builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, limits))?;
            builder.push(&Extension::Policy(self.policy.clone()))
        })
    }
}

/// X_SPDADD (`pfkey_send_spdadd`, `pfkey_send_spdadd2`).
///
/// # Errors
/// [`Code::InvalidPrefix`]; as [`add`](super::add).
pub fn spdadd(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdAdd, buffer)
}

/// X_SPDUPDATE (`pfkey_send_spdupdate`, `pfkey_send_spdupdate2`).
///
/// # Errors
/// As [`spdadd`].
pub fn spdupdate(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdUpdate, buffer)
}

/// X_SPDSETIDX (`pfkey_send_spdsetidx`).
///
/// # Errors
/// As [`spdadd`].
pub fn spdsetidx(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdSetIdx, buffer)
}

/// X_SPDDELETE (`pfkey_send_spddelete`): only the policy's direction counts, and it has no requests.
///
/// # Errors
/// [`Code::InvalidArgument`] for a policy with requests; as [`spdadd`].
pub fn spddelete(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdDelete, buffer)
}

/// X_SPDDELETE2 (`pfkey_send_spddelete2`): by the kernel's id.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spddelete2(header: RequestHeader, id: u32, buffer: &mut Vec<u8>) -> Result<()> {
    by_id(header, MessageType::SpdDelete2, id, buffer)
}

/// X_SPDGET (`pfkey_send_spdget`): by the kernel's id.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spdget(header: RequestHeader, id: u32, buffer: &mut Vec<u8>) -> Result<()> {
    by_id(header, MessageType::SpdGet, id, buffer)
}

fn by_id(header: RequestHeader, message_type: MessageType, id: u32, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(message_type, SaType::Unspec, buffer, |builder| builder.push(&Extension::Policy(Policy::named(id))))
}

/// X_SPDFLUSH (`pfkey_send_spdflush`).
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spdflush(header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(MessageType::SpdFlush, SaType::Unspec, buffer, |_| Ok(()))
}

/// X_SPDDUMP (`pfkey_send_spddump`).
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spddump(header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(MessageType::SpdDump, SaType::Unspec, buffer, |_| Ok(()))
}

/// X_SPDDUMP of FreeBSD policies of some scopes: a mask of the `SCOPE_` numbers, 0 for all of them.
///
/// # Errors
/// [`Error::NotInDialect`] where policies have no scope.
pub fn spddump_of_scope(header: RequestHeader, scope: u8, buffer: &mut Vec<u8>) -> Result<()> {
    let dialect = header.abi.dialect;
    if scope != 0 && dialect != Dialect::FreeBsd {
        return Err(Error::NotInDialect { dialect, what: "policies with a scope" });
    }
    // The message has no extension: FreeBSD reads the byte of the SA type as the mask.
    header.write(MessageType::SpdDump, SaType::from_number(dialect, scope), buffer, |_| Ok(()))
}

/// X_MIGRATE (`pfkey_send_migrate`): the policy's requests come in pairs, old then new.
///
/// # Errors
/// As [`spdadd`]; [`Error::NotInDialect`] where the kernel has none.
pub fn migrate(
    header: RequestHeader,
    request: &SpdRequest,
    key_manager: Option<KmAddress>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    check_pair(&request.source, &request.destination)?;
    header.write(MessageType::Migrate, SaType::Unspec, buffer, |builder| {
        if let Some(addresses) = key_manager {
            builder.push(&Extension::KmAddress(addresses))?;
        }
        let end = |sockaddr, prefix| Address { proto: request.proto, prefix, reserved: 0, sockaddr };
        let source = end(request.source, request.source_prefix);
        let destination = end(request.destination, request.destination_prefix);
        builder.push(&Extension::Address(ExtensionType::AddressSrc, source))?;
        builder.push(&Extension::Address(ExtensionType::AddressDst, destination))?;
        builder.push(&Extension::Policy(request.policy.clone()))
    })
}
