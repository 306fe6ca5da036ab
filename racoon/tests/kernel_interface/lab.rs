//! A host with one link, its kernel interface, and another program that changes SAs and policies.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libpfkey::backend::BackendKind;
use libpfkey::num::{DIR_IN, DIR_OUT, LEVEL_REQUIRE, POLICY_IPSEC};
use libpfkey::request::{self, RequestHeader, SpdRequest};
use libpfkey::wire::{IpsecRequest, Policy as PfKeyPolicy, SockAddr};
use libpfkey::{Connection, SaId, SaType};
use racoon::kernel::{KernelInterface, LogRecord};
use racoon::poller::{self, Source};
use racoon_proto::config::Authentication;
use racoon_proto::crypto::Secret;
use racoon_proto::kernel::{
    Acquire, KernelError, KernelEvent, KernelRequest, Lifetime, Mode, Policy, RequestId, SaInstallation, SaName,
    SaTransform, SpiAllocation, Way,
};
use racoon_proto::num::{AuthAlgorithm, EspTransform, Protocol};

pub(crate) const US: &str = "192.0.2.1";
pub(crate) const PEER: &str = "192.0.2.2";

/// Limit for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Process id of the other program.
const OTHER_PID: u32 = 4242;

pub(crate) struct Lab {
    pub(crate) choice: BackendKind,
    pub(crate) interface: KernelInterface,
    other: Connection,
    seq: u32,
    /// Events that were read and not returned yet.
    happened: VecDeque<KernelEvent>,
    pub(crate) records: Arc<Mutex<Vec<LogRecord>>>,
}

impl Lab {
    pub(crate) fn new(choice: &BackendKind, other: &BackendKind) -> Self {
        link();
        let records = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&records);
        let log = Box::new(move |record| {
            if !matches!(record, LogRecord::Request(_)) {
                log.lock().expect("a log").push(record);
            }
        });
        let interface = KernelInterface::open(choice, None, 1024, log).expect("a interface");
        let other = Connection::new(other.open(None).expect("another interface"));
        let mut lab =
            Self { choice: choice.clone(), interface, other, seq: 0x9000_0000, happened: VecDeque::new(), records };
        assert!(matches!(&lab.events()[..], [KernelEvent::Policies(none)] if none.is_empty()));
        lab
    }

    /// Returns all pending events.
    pub(crate) fn events(&mut self) -> Vec<KernelEvent> {
        self.listen();
        self.happened.drain(..).collect()
    }

    /// Waits for an event.
    pub(crate) fn event(&mut self) -> KernelEvent {
        loop {
            self.listen();
            if let Some(event) = self.happened.pop_front() {
                return event;
            }
            let ready =
                poller::wait(&[Source::control(self.interface.fd(), ())], Some(PATIENCE)).expect("a descriptor");
            assert!(!ready.is_empty(), "nothing happens");
        }
    }

    fn listen(&mut self) {
        self.interface.read_events(&mut |event| self.happened.push_back(event)).expect("an open interface");
    }

    pub(crate) fn acquire(&mut self) -> Acquire {
        match self.event() {
            KernelEvent::Acquire(acquire) => acquire,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask(&mut self, request: KernelRequest) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        self.interface.execute(request, &mut |event| events.push(event));
        events
    }

    pub(crate) fn add_policy(&mut self, policy: &Policy) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        self.interface.add_policy(RequestId(1), policy, &mut |event| events.push(event));
        events
    }

    /// Returns the SAs that a resync reports as deleted.
    pub(crate) fn gone(&mut self) -> Vec<SaName> {
        let mut gone = Vec::new();
        self.interface.resync(&mut |event| match event {
            KernelEvent::Deleted(name) => gone.push(name),
            KernelEvent::Policies(_) => {}
            other => panic!("{other:?}"),
        });
        gone
    }

    pub(crate) fn allocate(&mut self, protocol: Protocol, acquire: u32) -> u32 {
        let allocation = SpiAllocation {
            id: RequestId(7),
            protocol,
            source: ip(PEER),
            destination: ip(US),
            mode: Mode::Transport,
            reqid: 0,
            udp: None,
            acquire,
        };
        match self.ask(KernelRequest::AllocateSpi(allocation)).pop() {
            Some(KernelEvent::Spi(RequestId(7), Ok(spi))) => spi,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn install(&mut self, installation: SaInstallation) -> Result<(), KernelError> {
        match self.ask(KernelRequest::Install(Box::new(installation))).pop() {
            Some(KernelEvent::Installed(RequestId(8), result)) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request of the other program.
    pub(crate) fn other(&mut self, write: impl FnOnce(RequestHeader, &mut Vec<u8>) -> libpfkey::Result<()>) {
        self.seq += 1;
        let mut bytes = Vec::new();
        write(RequestHeader { abi: self.other.abi(), pid: OTHER_PID, seq: self.seq }, &mut bytes).expect("a request");
        self.other.send(&bytes).expect("an open interface");
        let mut answered = false;
        while let Some(bytes) = self.other.recv(Some(Duration::ZERO)).expect("an open interface") {
            let header = libpfkey::wire::peek_header(libpfkey::Abi::HOST, bytes).expect("a header");
            assert_eq!(header.errno, 0, "{header:?}");
            answered |= header.pid == OTHER_PID;
        }
        assert!(answered);
    }

    pub(crate) fn other_deletes(&mut self, name: &SaName) {
        let name = SaId::new(SaType::Esp, name.source, name.destination, name.spi);
        self.other(|origin, buffer| request::delete(origin, &name, buffer));
    }
}

/// Creates a link with addresses of both families and a route to a network behind the peer.
fn link() {
    let script = "link set lo up\n\
                  link add d0 type dummy\n\
                  link set d0 up\n\
                  address add 192.0.2.1/24 dev d0\n\
                  address add 2001:db8::1/64 dev d0 nodad\n\
                  route add 10.0.2.0/24 dev d0 src 192.0.2.1\n";
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    ip.stdin.take().expect("its input").write_all(script.as_bytes()).expect("a reader");
    assert!(ip.wait().expect("its end").success());
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Sends a packet.
pub(crate) fn send(to: &str) {
    let to = SocketAddr::new(ip(to), 9);
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from).expect("a socket");
    // On some kernels a packet that waits for an SA is an error.
    let _ = socket.send_to(b"x", to);
}

pub(crate) fn secret(length: usize) -> Secret {
    Secret::from(vec![0x5a; length])
}

pub(crate) fn aes_sha1() -> SaTransform {
    let authentication = Authentication::from(AuthAlgorithm::HMAC_SHA1);
    SaTransform::Esp { encryption: (EspTransform::AES, secret(16)), authentication: Some((authentication, secret(20))) }
}

/// Returns an SA that expires after some seconds.
pub(crate) fn sa(way: Way, spi: u32, transform: SaTransform, seconds: u64) -> SaInstallation {
    let (source, destination) = match way {
        Way::Inbound => (ip(PEER), ip(US)),
        Way::Outbound => (ip(US), ip(PEER)),
    };
    let protocol = match transform {
        SaTransform::Esp { .. } => Protocol::ESP,
        SaTransform::Ah { .. } => Protocol::AH,
        SaTransform::Ipcomp(_) => Protocol::IPCOMP,
    };
    let hard = Lifetime { seconds, kilobytes: Some(1 << 20) };
    SaInstallation {
        id: RequestId(8),
        way,
        name: SaName { protocol, source, destination, spi },
        crosses_families: false,
        mode: Mode::Transport,
        reqid: 0,
        transform,
        hard,
        soft: Lifetime { seconds: seconds / 2, kilobytes: Some(1 << 19) },
        replay_window: 64,
        esn: false,
        udp: None,
        acquire: 0,
    }
}

/// Returns a policy of the other program.
pub(crate) fn spd(
    direction: u8,
    source: (&str, u8),
    destination: (&str, u8),
    requests: Vec<IpsecRequest>,
) -> SpdRequest {
    let policy = PfKeyPolicy { kind: POLICY_IPSEC, direction, scope: 0, id: 0, priority: 0x8000_0000, requests };
    SpdRequest {
        source: ip(source.0).into(),
        source_prefix: source.1,
        destination: ip(destination.0).into(),
        destination_prefix: destination.1,
        proto: 255,
        lifetime: 0,
        validtime: 0,
        policy,
    }
}

/// Returns `esp/transport//require` in both directions.
pub(crate) fn transport_pair() -> [SpdRequest; 2] {
    let esp = || vec![step(50, None)];
    [spd(DIR_OUT, (US, 32), (PEER, 32), esp()), spd(DIR_IN, (PEER, 32), (US, 32), esp())]
}

pub(crate) fn step(proto: u16, ends: Option<(&str, &str)>) -> IpsecRequest {
    let end = |text| SockAddr::from(ip(text));
    IpsecRequest {
        proto,
        mode: if ends.is_some() { 2 } else { 1 },
        level: LEVEL_REQUIRE,
        reqid: 0,
        endpoints: ends.map(|(source, destination)| (end(source), end(destination))),
    }
}
