//! Members that SAs and policies have in common.

use serde::Serialize;

use crate::num::ExtensionType;
use crate::wire::{Address, Lifetime, Message, SockAddr};

/// One end of an SA or selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct End {
    address: String,
    prefix: u8,
    port: u16,
}

impl End {
    pub(super) fn new(address: &Address) -> Self {
        let text = match &address.sockaddr {
            SockAddr::Inet(sockaddr) => sockaddr.ip().to_string(),
            SockAddr::Other { family } => format!("family {family}"),
        };
        Self { address: text, prefix: address.prefix, port: address.sockaddr.port() }
    }
}

/// A lifetime, or what has been used of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LifetimeMember {
    allocations: u32,
    bytes: u64,
    add_seconds: u64,
    use_seconds: u64,
}

impl LifetimeMember {
    pub(super) fn of(message: &Message<'_>, kind: ExtensionType) -> Option<Self> {
        message.lifetime(kind).map(|lifetime| {
            let Lifetime { allocations, bytes, addtime, usetime } = *lifetime;
            Self { allocations, bytes, add_seconds: addtime, use_seconds: usetime }
        })
    }
}

/// The security label up to its terminating zero.
pub(super) fn label(message: &Message<'_>) -> Option<String> {
    let context = message.security_context()?;
    let text = context.label.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(String::from_utf8_lossy(text).into_owned())
}
