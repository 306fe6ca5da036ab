//! Requests on the control socket.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use libpfkey::SaType;
use libpfkey::json::Keys;
use racoon_proto::engine::{Control, Phase1View, Refusal};
use racoon_proto::kernel::{Direction, Prefix, Selector};
use racoon_proto::num::Protocol;
use racoon_proto::reason::Role;
use zeroize::Zeroizing;

use super::Daemon;
use crate::admin::Reply;
use crate::admin::protocol::{Endpoints, ErrorReply, Establishment, Flow, Phase1Row, Request, Table};
use crate::clock;

/// Destination port of the route look-up. It could be any.
const ISAKMP_PORT: u16 = 500;

impl Daemon {
    /// Reads and answers what has arrived on the control socket.
    pub(super) fn serve_admin(&mut self) {
        // Taken out temporarily, because an answer needs the rest of the daemon.
        let Some(mut admin) = self.admin.take() else { return };
        let log = self.log.clone();
        admin.serve(clock::now(), &mut |request| self.answer(request), &mut |error| log.error(error));
        self.admin = Some(admin);
        self.process_outputs();
    }

    fn answer(&mut self, request: Request) -> Reply {
        self.log.debug(format_args!("control socket: {}", request.name()));
        match request {
            Request::Reload => {
                self.reload().map_err(|rejected| ErrorReply::new(libc::EINVAL, rejected.to_string()))?;
                Ok(Zeroizing::default())
            }
            Request::ShowSa(Table::Isakmp) => Ok(self.phase1_rows()),
            Request::ShowSa(table) => self.sas(table),
            Request::ShowSaJson { table, keys } => self.sas_json(table, keys),
            Request::FlushSa(table) => self.control(match protocol(table) {
                Some(protocol) => Control::FlushPhase2(Some(protocol)),
                None if table == Table::Ipsec => Control::FlushPhase2(None),
                None => Control::FlushPhase1,
            }),
            Request::DeleteSa(ends) => {
                self.control(Control::DeletePeer { local: ends.local.ip(), remote: ends.remote.ip() })
            }
            Request::EstablishSa { what: Establishment::Isakmp(ends), section } => {
                let (local, remote) = (self.source(ends.local.ip(), ends.remote.ip()), ends.remote.ip());
                self.control(Control::EstablishPhase1 { local, remote, remote_section: section })
            }
            Request::EstablishSa { what: Establishment::Ipsec(_, flow), .. } => {
                self.control(Control::EstablishPhase2(Direction::Out, selector(&flow)))
            }
            Request::GetCertificate(ends) => certificate(self.engine.phase1s(), ends),
        }
    }

    /// Returns the local address towards a peer. If the request leaves it open, it is the source address that the
    /// system would choose, provided that we listen there.
    fn source(&self, asked: IpAddr, remote: IpAddr) -> IpAddr {
        let is_ours = |ip: &IpAddr| self.sockets.locals().is_ok_and(|ours| ours.iter().any(|local| local.ip() == *ip));
        // The C racoon takes any route's address, and then fails to send from one where it does not listen.
        let wanted = if asked.is_unspecified() { routed(asked, remote).filter(is_ours) } else { None };
        wanted.unwrap_or(asked)
    }

    fn control(&mut self, control: Control) -> Reply {
        let result = self.engine.handle_control(clock::now(), control);
        self.process_outputs();
        result.map(|()| Zeroizing::default()).map_err(|refusal| {
            // EEXIST and ENOENT are those of the C racoon; racoonctl takes EEXIST for success.
            let errno = match refusal {
                Refusal::Exists => libc::EEXIST,
                Refusal::NotConfigured(_) | Refusal::Missing => libc::ENOENT,
                Refusal::Failed(_) => libc::EIO,
                Refusal::Stopping => libc::ECANCELED,
            };
            ErrorReply::new(errno, refusal.to_string())
        })
    }

    fn phase1_rows(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Vec::new();
        for view in self.engine.phase1s() {
            let created = view.created.map_or(0, |created| signed(clock::wall_time(created)));
            row(&view, created).encode(&mut body);
        }
        Zeroizing::new(body)
    }

    fn sas(&mut self, table: Table) -> Reply {
        let shown = self.kernel.show(sa_type(table), signed(clock::since_1970()));
        let shown = shown.map(|mut text| Zeroizing::new(std::mem::take(&mut *text).into_bytes()));
        shown.map_err(|error| self.unreadable(&error))
    }

    fn sas_json(&mut self, table: Table, keys: Keys) -> Reply {
        self.kernel.show_json(sa_type(table), keys).map_err(|error| self.unreadable(&error))
    }

    /// Logs that the kernel's SAs cannot be read, and returns the reply.
    fn unreadable(&self, error: &libpfkey::Error) -> ErrorReply {
        self.log.error(format_args!("cannot read the kernel's SAs: {error}"));
        ErrorReply::new(libc::EIO, error.to_string())
    }
}

fn sa_type(table: Table) -> SaType {
    match table {
        Table::Ah => SaType::Ah,
        Table::Esp => SaType::Esp,
        Table::Ipsec | Table::Isakmp => SaType::Unspec,
    }
}

fn row(view: &Phase1View<'_>, created: i64) -> Phase1Row {
    Phase1Row {
        cookies: view.cookies.to_bytes(),
        state: view.state,
        initiator: view.role == Role::Initiator,
        version: view.version,
        exchange: view.exchange.0,
        local: view.local,
        remote: view.remote,
        created,
        phase2_count: u32::try_from(view.phase2_count).unwrap_or(u32::MAX),
    }
}

/// Returns the certificate of a peer, from the newest phase 1 that is established; empty if the peer has proved its
/// identity without one.
fn certificate<'a>(phase1s: impl Iterator<Item = Phase1View<'a>>, ends: Endpoints) -> Reply {
    let (local, remote) = (ends.local.ip(), ends.remote.ip());
    let between = phase1s.filter(|view| {
        view.remote.ip() == remote && (local.is_unspecified() || view.local.ip() == local) && view.created.is_some()
    });
    let newest = between.max_by_key(|view| view.created);
    let newest =
        newest.ok_or_else(|| ErrorReply::new(libc::ENOENT, "there is no established phase 1 between these hosts"))?;
    Ok(Zeroizing::new(newest.certificate.map_or_else(Vec::new, |certificate| certificate.to_vec())))
}

fn protocol(table: Table) -> Option<Protocol> {
    match table {
        Table::Ah => Some(Protocol::AH),
        Table::Esp => Some(Protocol::ESP),
        Table::Ipsec | Table::Isakmp => None,
    }
}

fn selector(flow: &Flow) -> Selector {
    let prefix = |address: IpAddr, length| Prefix::new(address, length);
    Selector {
        source: prefix(flow.source.ip(), flow.source_prefix),
        destination: prefix(flow.destination.ip(), flow.destination_prefix),
        protocol: flow.protocol,
        source_port: flow.source.port(),
        destination_port: flow.destination.port(),
    }
}

/// Returns the source address that the system chooses for a destination. `unspecified` is of the destination's family.
fn routed(unspecified: IpAddr, remote: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(unspecified, 0)).ok()?;
    // Connecting a UDP socket sends nothing; it only looks up the route.
    socket.connect(SocketAddr::new(remote, ISAKMP_PORT)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// Converts seconds since 1970 to the protocol's signed form.
fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use racoon_proto::num::ExchangeType;
    use racoon_proto::time::Time;
    use racoon_proto::wire::CookiePair;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn certificate_of_the_newest_phase_1() {
        let (old, new): (Arc<[u8]>, Arc<[u8]>) = (b"old".as_slice().into(), b"new".as_slice().into());
        let view = |remote, created, certificate| Phase1View {
            cookies: CookiePair::default(),
            local: address("192.0.2.1:4500"),
            remote: address(remote),
            role: Role::Initiator,
            exchange: ExchangeType::MAIN,
            state: 9,
            version: 0x10,
            created,
            phase2_count: 0,
            remote_section: None,
            terms: None,
            certificate,
        };
        let views = || {
            [
                view("192.0.2.2:4500", Some(Time::from_secs(2)), Some(&new)),
                view("192.0.2.2:4500", Some(Time::from_secs(1)), Some(&old)),
                view("192.0.2.2:4500", None, None),
                view("192.0.2.3:500", Some(Time::from_secs(3)), None),
                view("192.0.2.4:500", None, None),
            ]
            .into_iter()
        };
        let reply = |local: &str, remote: &str| {
            let ends = Endpoints { local: address(local), remote: address(remote) };
            certificate(views(), ends).map(|body| body.to_vec())
        };
        assert_eq!(reply("192.0.2.1:0", "192.0.2.2:0"), Ok(b"new".to_vec()));
        assert_eq!(reply("0.0.0.0:0", "192.0.2.2:0"), Ok(b"new".to_vec()));
        assert_eq!(reply("192.0.2.1:0", "192.0.2.3:0"), Ok(Vec::new()));
        let missing = Err(ErrorReply::new(libc::ENOENT, "there is no established phase 1 between these hosts"));
        for (local, remote) in
            [("192.0.2.9:0", "192.0.2.2:0"), ("192.0.2.1:0", "192.0.2.4:0"), ("192.0.2.1:0", "192.0.2.5:0")]
        {
            assert_eq!(reply(local, remote), missing, "{local} {remote}");
        }
    }

    #[test]
    fn route_to_this_host() {
        let (any, here) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(routed(any, here), Some(here));
    }
}
