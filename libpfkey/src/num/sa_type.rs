//! Types and states of SAs.

use super::Tables;
use super::table::numbered;
use crate::dialect::Dialect;

numbered! {
    /// `sadb_msg_satype`: the security protocol.
    SaType(u8), sa_types:
    /// AH.
    Ah,
    /// ESP.
    Esp,
    /// IPComp.
    IpComp,
    /// Mobile IP.
    Mip,
    /// OSPFv2.
    OspfV2,
    /// macOS: policy.
    Policy,
    /// RIPv2.
    RipV2,
    /// RSVP.
    Rsvp,
    /// TCP-MD5 signatures (RFC 2385).
    TcpSignature,
    /// Unspecified.
    Unspec,
}

/// `sadb_sa_state` (the same numbers everywhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaState {
    /// 3: its hard lifetime has passed.
    Dead,
    /// 2: its soft lifetime has passed.
    Dying,
    /// 0: an SPI without keys.
    Larval,
    /// 1: in use.
    Mature,
    /// Any other number.
    Other(u8),
}

impl From<u8> for SaState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Larval,
            1 => Self::Mature,
            2 => Self::Dying,
            3 => Self::Dead,
            other => Self::Other(other),
        }
    }
}

impl From<SaState> for u8 {
    fn from(state: SaState) -> Self {
        match state {
            SaState::Larval => 0,
            SaState::Mature => 1,
            SaState::Dying => 2,
            SaState::Dead => 3,
            SaState::Other(other) => other,
        }
    }
}
