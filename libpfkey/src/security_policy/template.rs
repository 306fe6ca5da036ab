//! Templates: the SAs that a policy asks for.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::num::{
    IPPROTO_AH, IPPROTO_ESP, IPPROTO_IPCOMP, LEVEL_DEFAULT, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, SaType,
};
use crate::policy::{self, Level};
use crate::sa::Mode;
use crate::strerror::Code;
use crate::wire::{IpsecRequest, SockAddr};

/// One processing step of a policy: the SA that a packet needs (`sadb_x_ipsecrequest`, on Linux `xfrm_user_tmpl`).
///
/// ```
/// use libpfkey::policy::Level;
/// use libpfkey::{SaType, Template};
///
/// // Compression before encryption: in outgoing packets, ESP is the outer header.
/// let (here, there) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
/// let templates = [
///     Template::transport(SaType::IpComp, Level::Use),
///     Template::tunnel(SaType::Esp, here, there, Level::Unique(7)),
/// ];
/// assert_eq!(templates[1].endpoints.map(|(source, _)| source.port()), Some(0));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Protocol of the SA.
    pub sa_type: SaType,
    /// Its mode.
    pub mode: Mode,
    /// Whether it must exist.
    pub level: Level,
    /// Addresses of the tunnel, with the ports of UDP encapsulation; 0 without.
    pub endpoints: Option<(SocketAddr, SocketAddr)>,
}

impl Template {
    /// Transport mode between the addresses of the packet.
    pub fn transport(sa_type: SaType, level: Level) -> Self {
        Self { sa_type, mode: Mode::Transport, level, endpoints: None }
    }

    /// A tunnel between two addresses.
    pub fn tunnel(sa_type: SaType, source: IpAddr, destination: IpAddr, level: Level) -> Self {
        let endpoints = Some((SocketAddr::new(source, 0), SocketAddr::new(destination, 0)));
        Self { sa_type, mode: Mode::Tunnel, level, endpoints }
    }

    /// Converts a request of the policy language.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`] for a zone that is not an interface.
    pub(super) fn from_text(request: &policy::RequestText) -> Result<Self> {
        // `me` and `any` are the addresses of the packet, which a template has when it has none of its own.
        let endpoints = match &request.endpoints {
            Some(policy::Endpoints::Pair(source, destination)) => Some((resolve(source)?, resolve(destination)?)),
            Some(policy::Endpoints::AnyToMe | policy::Endpoints::MeToAny) | None => None,
        };
        let sa_type = match request.protocol {
            policy::Protocol::Ah => SaType::Ah,
            policy::Protocol::Esp => SaType::Esp,
            policy::Protocol::IpComp => SaType::IpComp,
        };
        Ok(Self { sa_type, mode: request.mode, level: request.level, endpoints })
    }

    /// Returns the request of a policy extension.
    ///
    /// # Errors
    /// [`Code::InvalidProtocol`] for an SA type without packets, [`Code::InvalidLevel`] for a reqid that does not fit.
    pub(super) fn to_wire(self, dialect: Dialect) -> Result<IpsecRequest> {
        let (level, reqid) = match self.level {
            Level::Default => (LEVEL_DEFAULT, 0),
            Level::Use => (LEVEL_USE, 0),
            Level::Require => (LEVEL_REQUIRE, 0),
            Level::Unique(reqid) => (LEVEL_UNIQUE, reqid),
        };
        // `sadb_x_ipsecrequest` of the BSDs has 16 bits for it.
        if dialect != Dialect::Linux && u16::try_from(reqid).is_err() {
            return Err(Code::InvalidLevel.into());
        }
        let proto = match self.sa_type {
            SaType::Ah => IPPROTO_AH,
            SaType::Esp => IPPROTO_ESP,
            SaType::IpComp => IPPROTO_IPCOMP,
            _ => return Err(Code::InvalidProtocol.into()),
        };
        let endpoints = self.endpoints.map(|(source, destination)| (source.into(), destination.into()));
        Ok(IpsecRequest { proto, mode: self.mode.into(), level, reqid, endpoints })
    }

    /// Reads a request of a policy extension; `None` for what no template expresses.
    pub fn from_request(request: &IpsecRequest) -> Option<Self> {
        let sa_type = match request.proto {
            IPPROTO_AH => SaType::Ah,
            IPPROTO_ESP => SaType::Esp,
            IPPROTO_IPCOMP => SaType::IpComp,
            _ => return None,
        };
        let level = match request.level {
            LEVEL_DEFAULT => Level::Default,
            LEVEL_USE => Level::Use,
            LEVEL_REQUIRE => Level::Require,
            // Linux drops the reqid of any other level.
            LEVEL_UNIQUE => Level::Unique(request.reqid),
            _ => return None,
        };
        let endpoints = match request.endpoints {
            Some((SockAddr::Inet(source), SockAddr::Inet(destination))) => Some((source, destination)),
            Some(_) => return None,
            None => None,
        };
        Some(Self { sa_type, mode: request.mode.into(), level, endpoints })
    }
}

fn resolve(endpoint: &policy::Endpoint) -> Result<SocketAddr> {
    let port = endpoint.port.unwrap_or(0);
    let scope = match endpoint.scope.as_deref() {
        None => 0,
        // A number is an index, as in `fe80::1%2`.
        Some(scope) => match scope.parse() {
            Ok(index) => index,
            Err(_) => nix::net::if_::if_nametoindex(scope).map_err(|_| Error::Refused(Code::InvalidAddress))?,
        },
    };
    Ok(match endpoint.address {
        IpAddr::V4(address) => SocketAddr::from((address, port)),
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, scope).into(),
    })
}
