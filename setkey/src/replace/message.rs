//! Builds requests from other messages: from the request for a wanted entry, and from dumped or deleted entries.

use libpfkey::algorithm::Encryption;
use libpfkey::num::ULPROTO_ANY;
use libpfkey::request::RequestHeader;
use libpfkey::wire::{Key, Policy, Sa, Sa2};
use libpfkey::{Abi, Dialect, Error, Extension, ExtensionType, Message, MessageType, Result, SaState, SaType};

/// Repeats a request with the number that `header` gives.
pub(super) fn repeat(request: &[u8], kind: MessageType, header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    let message = Message::parse(header.abi, request)?;
    header.write(kind, message.header.sa_type, buffer, |builder| {
        message.extensions.iter().try_for_each(|extension| builder.push(extension))
    })
}

/// Copies a request for a policy with another priority.
pub(super) fn with_priority(request: &[u8], priority: u32, header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    let message = Message::parse(header.abi, request)?;
    header.write(message.header.message_type, SaType::Unspec, buffer, |builder| {
        message.extensions.iter().try_for_each(|extension| match extension {
            Extension::Policy(policy) => builder.push(&Extension::Policy(Policy { priority, ..policy.clone() })),
            other => builder.push(other),
        })
    })
}

/// Writes the ADD that restores a dumped or deleted SA.
pub(super) fn add(shown: &[u8], header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    let message = Message::parse(header.abi, shown)?;
    let sa_type = message.header.sa_type;
    header.write(MessageType::Add, sa_type, buffer, |builder| {
        message.extensions.iter().filter_map(|extension| asked(extension)).try_for_each(|it| builder.push(&it))?;
        // Kernels omit empty keys in dumps, but require them in requests.
        let sa = message.sa().ok_or_else(|| missing(header.abi))?;
        let null = Encryption::from_number(header.abi.dialect, sa.encrypt) == Encryption::Null;
        let keys = [
            (ExtensionType::KeyEncrypt, sa_type == SaType::Esp && null),
            (ExtensionType::KeyAuth, sa_type == SaType::Ah && sa.auth != 0),
        ];
        keys.into_iter()
            .filter(|(kind, wants)| *wants && message.key(*kind).is_none())
            .try_for_each(|(kind, _)| builder.push(&Extension::Key(kind, Key { bits: 0, reserved: 0, bytes: &[] })))
    })
}

/// Converts an extension of a dumped SA for a request; returns none for the kernel's own counters.
fn asked<'a>(extension: &Extension<'a>) -> Option<Extension<'a>> {
    use ExtensionType as T;
    Some(match extension {
        Extension::Sa(sa) => Extension::Sa(Sa { state: SaState::Larval, ..*sa }),
        Extension::Sa2(sa2) => Extension::Sa2(Sa2 { mode: sa2.mode, reqid: sa2.reqid, ..Sa2::default() }),
        Extension::Lifetime(T::LifetimeHard | T::LifetimeSoft, _) | Extension::Key(..) => extension.clone(),
        Extension::Address(kind @ (T::AddressSrc | T::AddressDst), address) => {
            let mut address = *address;
            address.proto = ULPROTO_ANY;
            Extension::Address(*kind, address)
        }
        Extension::Address(T::AddressProxy, proxy) if proxy.prefix != 0 => extension.clone(),
        Extension::Address(T::NatTOaInitiator | T::NatTOaResponder, _) => extension.clone(),
        // NetBSD dumps type 0 if there is none.
        Extension::NatTType(0) => return None,
        Extension::NatTType(_) | Extension::NatTPort(..) | Extension::NatTFrag(_) => extension.clone(),
        Extension::SecurityContext(_) | Extension::SaReplay(_) => extension.clone(),
        extension if is_xfrm(extension) => extension.clone(),
        Extension::Opaque(T::XfrmReplayState, _) => extension.clone(),
        _ => return None,
    })
}

/// Writes the DELETE of a dumped SA. `numbers`: requests its last sequence numbers in the answer.
pub(super) fn delete(shown: &[u8], numbers: bool, header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    let message = Message::parse(header.abi, shown)?;
    let spi = message.sa().ok_or_else(|| missing(header.abi))?.spi;
    let netbsd = header.abi.dialect == Dialect::NetBsd;
    header.write(MessageType::Delete, message.header.sa_type, buffer, |builder| {
        builder.push(&Extension::Sa(Sa::named(spi)))?;
        let named = message.extensions.iter().filter_map(|extension| asked(extension));
        let named = named.filter(|extension| match extension {
            Extension::Address(kind, _) => matches!(kind, ExtensionType::AddressSrc | ExtensionType::AddressDst),
            // NetBSD also finds SAs by their ports.
            Extension::NatTType(_) | Extension::NatTPort(..) => netbsd,
            // The mark is part of an SA's identity.
            Extension::XfrmMark(_) => true,
            _ => false,
        });
        named.collect::<Vec<_>>().iter().try_for_each(|extension| builder.push(extension))?;
        if numbers {
            builder.push(&Extension::Opaque(ExtensionType::XfrmReplayState, &[]))?;
        }
        Ok(())
    })
}

/// Writes the SPDUPDATE that restores a dumped policy.
pub(super) fn put(shown: &[u8], header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    let message = Message::parse(header.abi, shown)?;
    let policy = message.policy().ok_or_else(|| missing(header.abi))?;
    header.write(MessageType::SpdUpdate, SaType::Unspec, buffer, |builder| {
        builder.push(&Extension::Policy(Policy { id: 0, scope: 0, ..policy.clone() }))?;
        for extension in &message.extensions {
            let limited = |lifetime: &libpfkey::wire::Lifetime| lifetime.addtime != 0 || lifetime.usetime != 0;
            match extension {
                Extension::Address(..) | Extension::SecurityContext(_) => builder.push(extension)?,
                extension if is_xfrm(extension) => builder.push(extension)?,
                Extension::Lifetime(ExtensionType::LifetimeHard, lifetime) if limited(lifetime) => {
                    builder.push(extension)?
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// Writes the SPDDELETE2 of a dumped policy, by its id, so that no other one is deleted.
pub(super) fn remove(shown: &[u8], header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    let message = Message::parse(header.abi, shown)?;
    let id = message.policy().ok_or_else(|| missing(header.abi))?.id;
    header.write(MessageType::SpdDelete2, SaType::Unspec, buffer, |builder| {
        builder.push(&Extension::Policy(Policy::named(id)))?;
        message
            .extensions
            .iter()
            .filter(|extension| is_xfrm(extension))
            .try_for_each(|extension| builder.push(extension))
    })
}

/// Whether an extension is one of libpfkey's for NETLINK_XFRM.
fn is_xfrm(extension: &Extension<'_>) -> bool {
    matches!(
        extension,
        Extension::XfrmAuthTrunc(_)
            | Extension::XfrmIfId(_)
            | Extension::XfrmMark(_)
            | Extension::XfrmOffload(_)
            | Extension::XfrmOutputMark(_)
            | Extension::XfrmReplay(_)
    )
}

fn missing(abi: Abi) -> Error {
    Error::NotInDialect { dialect: abi.dialect, what: "an entry without its parts" }
}
