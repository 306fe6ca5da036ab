//! The `pfkey_send_*` functions of libipsec, with their checks: each writes one message into a buffer.

mod policy;
mod sa;
#[cfg(test)]
mod tests;

pub use policy::*;
pub use sa::*;

use crate::error::Result;
use crate::num::SaType;
use crate::strerror::Code;
use crate::wire::SockAddr;

/// Checks two addresses as every libipsec request does.
fn check_pair(source: &SockAddr, destination: &SockAddr) -> Result<()> {
    if !source.same_family(destination) {
        return Err(Code::FamilyMismatch.into());
    }
    if matches!(source, SockAddr::Other { .. }) {
        return Err(Code::InvalidFamily.into());
    }
    Ok(())
}

/// Refuses SA types that FLUSH and DUMP do not have.
pub(super) fn check_whole(sa_type: SaType) -> Result<()> {
    match sa_type {
        SaType::Unspec | SaType::Ah | SaType::Esp | SaType::IpComp | SaType::TcpSignature => Ok(()),
        _ => Err(Code::InvalidSaType.into()),
    }
}
