//! Two daemons, each with a kernel of another system behind a socket.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;

use libpfkey::backend::BackendKind;
use libpfkey::num::ULPROTO_ANY;
use libpfkey::policy;
use libpfkey::request::{self, SpdRequest};
use libpfkey::wire::{Policy, peek_header};
use libpfkey::{Abi, Connection, Dialect, ExtensionType, Message, MessageType, SaState, SaType};
use nix::sys::signal::Signal;

use crate::kernel::Kernel;
use crate::negotiation::{REMOTE, SAINFO, TIMER};
use crate::{Daemon, PATIENCE, Site, eventually};

/// Addresses of the hosts.
const HOSTS: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

/// A host: its kernel and the files of its daemon.
struct Host {
    address: IpAddr,
    site: Site,
    kernel: Kernel,
    dialect: Dialect,
}

/// The part of an SA that both ends have to agree on.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sa {
    source: IpAddr,
    destination: IpAddr,
    spi: u32,
    /// Encryption key, authentication key.
    keys: (Vec<u8>, Vec<u8>),
}

impl Host {
    fn new(address: &str, dialect: Dialect) -> Self {
        let site = Site::new();
        let kernel = Kernel::serve(&site, dialect);
        Self { address: address.parse().unwrap(), site, kernel, dialect }
    }

    /// Writes the configuration, and adds policies for all traffic between the hosts.
    fn prepare(&self, peer: &Self) {
        let (us, them) = (self.address, peer.address);
        self.site.write("psk.txt", &format!("{them} correct horse battery staple\n"));
        let text = format!(
            "backend socket \"DIR/kernel\";
             path pidfile \"DIR/racoon.pid\";
             path pre_shared_key \"DIR/psk.txt\";
             {TIMER}
             listen {{ isakmp {us} [{}]; adminsock \"DIR/racoon.sock\"; }}
             remote {them} [{}] {REMOTE}
             {SAINFO}",
            self.site.port, peer.site.port
        );
        self.site.write("racoon.conf", &text);
        self.add_policy("out ipsec esp/transport//require", us, them);
        self.add_policy("in ipsec esp/transport//require", them, us);
    }

    fn add_policy(&self, text: &str, source: IpAddr, destination: IpAddr) {
        let mut kernel = self.connect();
        let policy = Policy::from_text(&policy::parse(text).unwrap(), self.dialect).unwrap();
        let spd = SpdRequest {
            source: source.into(),
            source_prefix: 32,
            destination: destination.into(),
            destination_prefix: 32,
            proto: ULPROTO_ANY,
            lifetime: 0,
            validtime: 0,
            policy,
        };
        let mut bytes = Vec::new();
        request::spdadd(kernel.request_header(1), &spd, &mut bytes).unwrap();
        kernel.send(&bytes).unwrap();
        let answer = kernel.recv(Some(PATIENCE)).unwrap().unwrap();
        assert_eq!(peek_header(Abi::of(self.dialect), answer).unwrap().errno, 0);
    }

    /// Connects another program to the kernel.
    fn connect(&self) -> Connection {
        let choice = BackendKind::Socket(self.site.path("kernel"));
        Connection::new(choice.open(Some(self.dialect)).unwrap())
    }

    fn start(&self) -> Daemon<'_> {
        self.site.start_with(&[("LIBPFKEY_DIALECT", self.dialect.name())], &[])
    }

    /// Sends a packet to the peer. Returns the number of ACQUIREs.
    fn packet(&self, peer: &Self) -> usize {
        self.kernel.memory.packet_out(SocketAddr::new(self.address, 7), SocketAddr::new(peer.address, 7), 17)
    }

    /// Returns the usable SAs, ordered by SPI, as dumped through the socket.
    fn sas(&self) -> Vec<Sa> {
        let mut kernel = self.connect();
        let mut bytes = Vec::new();
        request::dump(kernel.request_header(1), SaType::Esp, &mut bytes).unwrap();
        kernel.send(&bytes).unwrap();
        let mut sas = Vec::new();
        loop {
            let answer = kernel.recv(Some(PATIENCE)).unwrap().expect("an answer to DUMP");
            let header = peek_header(Abi::of(self.dialect), answer).unwrap();
            // Broadcasts of the daemon's requests arrive in between.
            if header.message_type != MessageType::Dump {
                continue;
            }
            if header.errno != 0 {
                break;
            }
            sas.extend(Sa::of(&Message::parse(Abi::of(self.dialect), answer).unwrap()));
            if header.seq == 0 {
                break;
            }
        }
        sas.sort();
        sas
    }

    fn await_sas(&self, count: usize) -> Vec<Sa> {
        let mut sas = Vec::new();
        let reached = eventually(|| {
            sas = self.sas();
            sas.len() == count
        });
        assert!(reached, "{} SAs, not {count}:\n{}", sas.len(), self.site.log());
        sas
    }
}

impl Sa {
    /// Returns `None` for a reserved SPI.
    fn of(message: &Message<'_>) -> Option<Self> {
        let ip = |end: Option<&libpfkey::wire::Address>| end.unwrap().sockaddr.ip().unwrap();
        let key = |kind| message.key(kind).map(|key| key.bytes.to_vec()).unwrap_or_default();
        let sa = message.sa().unwrap();
        matches!(sa.state, SaState::Mature | SaState::Dying).then(|| Self {
            source: ip(message.source()),
            destination: ip(message.destination()),
            spi: sa.spi,
            keys: (key(ExtensionType::KeyEncrypt), key(ExtensionType::KeyAuth)),
        })
    }
}

/// Negotiation, rekeying and shutdown.
fn life(dialect: Dialect) {
    let [alice, bob] = HOSTS.map(|address| Host::new(address, dialect));
    alice.prepare(&bob);
    bob.prepare(&alice);
    assert_eq!(alice.packet(&bob), 0, "nobody has registered: nobody is asked");
    let (mut first, mut second) = (alice.start(), bob.start());

    assert_eq!(alice.packet(&bob), 1, "{dialect}");
    let sas = alice.await_sas(2);
    assert_eq!(bob.await_sas(2), sas, "{dialect}");
    let ways: Vec<_> = sas.iter().map(|sa| (sa.source, sa.destination)).collect();
    assert!(ways.contains(&(alice.address, bob.address)) && ways.contains(&(bob.address, alice.address)));
    assert!(sas.iter().all(|sa| (sa.keys.0.len(), sa.keys.1.len()) == (32, 32)), "{sas:?}");
    assert_ne!(sas[0].keys, sas[1].keys);
    assert_eq!(alice.packet(&bob), 0, "the SA is there");
    assert_eq!(bob.packet(&alice), 0);

    // The initiator rekeys. The old SAs stay until they expire.
    let outbound = sas.iter().find(|sa| sa.source == alice.address).unwrap();
    assert!(alice.kernel.memory.expire_soft(SaType::Esp, outbound.source, outbound.destination, outbound.spi));
    let renewed = alice.await_sas(4);
    assert_eq!(bob.await_sas(4), renewed, "{dialect}");
    assert!(sas.iter().all(|old| renewed.contains(old)), "{dialect}");

    // A daemon that stops deletes its SAs and informs the peer.
    first.signal(Signal::SIGTERM);
    let status = first.ended();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", alice.site.log());
    assert_eq!(alice.sas(), []);
    bob.await_sas(0);
    second.signal(Signal::SIGTERM);
    assert_eq!(second.ended().code(), Some(0), "{}", bob.site.log());
    for host in [&alice, &bob] {
        assert!(!host.site.log().contains("WARNING: ignoring a message of the kernel"), "{}", host.site.log());
    }
}

#[test]
fn netbsd_over_a_socket() {
    life(Dialect::NetBsd);
}

#[test]
fn freebsd_over_a_socket() {
    life(Dialect::FreeBsd);
}

#[test]
fn darwin_over_a_socket() {
    life(Dialect::Darwin);
}

#[test]
fn linux_over_a_socket() {
    life(Dialect::Linux);
}

#[test]
fn unknown_dialect() {
    let site = Site::new();
    let ran = site.run_with(&[("LIBPFKEY_DIALECT", "openbsd")], &["-F"]);
    assert_eq!(ran.status, Some(1));
    let expected =
        "racoon: kernel: LIBPFKEY_DIALECT: unknown dialect `openbsd': expected linux, freebsd, netbsd or darwin\n";
    assert_eq!(ran.stderr, expected);
}
