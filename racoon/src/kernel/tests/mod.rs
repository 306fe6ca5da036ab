mod compose;
mod crash;
mod decode;
mod limits;
mod lost_entries;
mod memory;

use std::net::IpAddr;

use libpfkey::request::RequestHeader;
use libpfkey::{Abi, Connection, Dialect, PolicySpec, Request};
use racoon_proto::config::Authentication;
use racoon_proto::crypto::Secret;
use racoon_proto::kernel::{
    Lifetime, Mode, Policy, RequestId, SaInstallation, SaName, SaTransform, SpiAllocation, Way,
};
use racoon_proto::num::{AuthAlgorithm, EspTransform, Protocol};

use super::Target;

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Returns a kernel behind PF_KEY.
pub(super) fn pf_key(dialect: Dialect) -> Target {
    Target { abi: Abi::of(dialect), has_xfrm: false }
}

/// Returns Linux behind NETLINK_XFRM.
pub(super) fn xfrm() -> Target {
    Target { has_xfrm: true, ..pf_key(Dialect::Linux) }
}

fn header(target: Target) -> RequestHeader {
    RequestHeader { abi: target.abi, pid: 7, seq: 9 }
}

/// Returns the specification of a policy that a kernel of the dialect has.
fn policy_of(dialect: Dialect, policy: &Policy) -> PolicySpec {
    super::policy::to_spec(pf_key(dialect), policy).unwrap().unwrap()
}

/// Submits a request of another program.
fn submit(connection: &mut Connection, request: &Request) {
    let header = connection.request_header(1);
    connection.backend().submit(request, header).unwrap();
}

/// Returns an ESP transform with keys of these lengths.
pub(super) fn esp(encryption: (EspTransform, usize), authentication: Option<(Authentication, usize)>) -> SaTransform {
    let secret = |length| Secret::from(vec![0x11; length]);
    SaTransform::Esp {
        encryption: (encryption.0, secret(encryption.1)),
        authentication: authentication.map(|(algorithm, length)| (algorithm, secret(length))),
    }
}

pub(super) fn aes_sha1() -> SaTransform {
    esp((EspTransform::AES, 16), Some((AuthAlgorithm::HMAC_SHA1.into(), 20)))
}

/// An inbound ESP SA in transport mode.
pub(super) fn inbound(spi: u32, transform: SaTransform) -> SaInstallation {
    SaInstallation {
        id: RequestId(1),
        way: Way::Inbound,
        name: SaName { protocol: Protocol::ESP, source: ip("10.0.0.2"), destination: ip("10.0.0.1"), spi },
        crosses_families: false,
        mode: Mode::Transport,
        reqid: 0,
        transform,
        hard: Lifetime { seconds: 100, kilobytes: Some(10) },
        soft: Lifetime { seconds: 80, kilobytes: Some(8) },
        replay_window: 64,
        esn: false,
        udp: None,
        acquire: 0,
    }
}

fn outbound(spi: u32, transform: SaTransform) -> SaInstallation {
    let SaInstallation { name, .. } = inbound(spi, aes_sha1());
    let name = SaName { source: name.destination, destination: name.source, ..name };
    SaInstallation { way: Way::Outbound, name, ..inbound(spi, transform) }
}

fn allocation(protocol: Protocol) -> SpiAllocation {
    SpiAllocation {
        id: RequestId(2),
        protocol,
        source: ip("10.0.0.2"),
        destination: ip("10.0.0.1"),
        mode: Mode::Tunnel,
        reqid: 5,
        udp: None,
        acquire: 0,
    }
}
