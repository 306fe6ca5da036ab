//! Negotiation from a packet on. Each daemon has an in-memory kernel behind a socket.

use std::net::IpAddr;
use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use libpfkey::backend::{Memory, SocketServer};
use libpfkey::{Abi, Dialect, SaType};
use nix::sys::signal::Signal;
use racoon::kernel::KernelInterface;
use racoon_proto::kernel::{
    Direction, Mode, Policy, PolicyAction, Prefix, RequestId, Selector, Template, TemplateLevel,
};
use racoon_proto::num::Protocol;

use crate::negotiation::{REMOTE, SAINFO, TIMER};
use crate::{Site, eventually};

/// A kernel behind a socket.
pub(crate) struct Kernel {
    pub(crate) memory: Memory,
    end: Option<Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Kernel {
    /// Serves the kernel at `DIR/kernel`.
    pub(crate) fn serve(site: &Site, dialect: Dialect) -> Self {
        let memory = Memory::new(Abi::of(dialect)).unwrap();
        let backend = Box::new(memory.another_handle().unwrap());
        let mut server = SocketServer::bind(&site.path("kernel"), backend).unwrap();
        let (end, ended) = channel();
        let server = spawn(move || {
            while ended.try_recv() != Err(TryRecvError::Disconnected) {
                server.turn(Some(Duration::from_millis(5))).unwrap();
            }
        });
        Self { memory, end: Some(end), server: Some(server) }
    }

    fn interface(&self) -> KernelInterface {
        let handle = || Box::new(self.memory.another_handle().unwrap());
        KernelInterface::over(handle(), handle(), 0, Box::new(|_| ())).unwrap()
    }

    /// Adds policies for a tunnel between two networks.
    fn protect(&self, ours: &str, theirs: &str) {
        let mut interface = self.interface();
        let out = Selector {
            source: Prefix::new(ours.parse().unwrap(), 16),
            destination: Prefix::new(theirs.parse().unwrap(), 16),
            protocol: 0,
            source_port: 0,
            destination_port: 0,
        };
        let host: IpAddr = "127.0.0.1".parse().unwrap();
        let ends = Some((host, host));
        let esp = Template {
            protocol: Protocol::ESP,
            mode: Mode::Tunnel,
            level: TemplateLevel::Require,
            reqid: 0,
            endpoints: ends,
        };
        for (direction, selector) in [(Direction::Out, out), (Direction::In, out.mirrored())] {
            let action = PolicyAction::Protect(vec![esp]);
            let policy = Policy { index: 0, direction, selector, action, priority: 0 };
            interface.add_policy(RequestId(1), &policy, &mut |_| ());
        }
    }

    fn sas(&self) -> String {
        self.interface().show(SaType::Unspec, 0).unwrap().to_string()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        drop(self.end.take());
        drop(self.server.take().map(JoinHandle::join));
    }
}

/// Configures a daemon with a kernel behind a socket and a peer at another port.
fn configure(site: &Site, other: &Site) {
    site.write("psk.txt", "127.0.0.1 correct horse battery staple\n");
    site.configure_on(
        "socket \"DIR/kernel\"",
        &format!("{TIMER}\nremote 127.0.0.1 [{}] {REMOTE}\n{SAINFO}", other.port),
    );
}

#[test]
fn from_a_packet_to_sas() {
    let (a, b) = (Site::new(), Site::new());
    configure(&a, &b);
    configure(&b, &a);
    let (kernel_a, kernel_b) = (Kernel::serve(&a, Dialect::HOST), Kernel::serve(&b, Dialect::HOST));
    kernel_a.protect("10.1.0.0", "10.2.0.0");
    kernel_b.protect("10.2.0.0", "10.1.0.0");
    let (mut first, _second) = (a.start(&[]), b.start(&[]));

    let (from, to) = ("10.1.0.1:9".parse().unwrap(), "10.2.0.1:9".parse().unwrap());
    assert!(eventually(|| kernel_a.memory.packet_out(from, to, 17) == 1 || a.log().contains("established")));
    for (site, kernel) in [(&a, &kernel_a), (&b, &kernel_b)] {
        assert!(eventually(|| site.log().matches("IPsec-SA established").count() == 2), "{}", site.log());
        let shown = site.ctl(&["show-sa", "esp"]).stdout;
        assert_eq!(shown.matches("\tesp mode=tunnel spi=").count(), 2, "{shown}");
        assert_eq!(shown.matches("state=mature").count(), 2, "{shown}");
        assert_eq!(kernel.sas().matches("spi=").count(), 2);
        assert_eq!(site.ctl(&["show-sa", "ah"]).stdout, "No SAD entries.\n");
        assert!(site.ctl(&["-l", "show-sa", "isakmp"]).stdout.ends_with("     1 \n"));
    }

    // SAs flushed at one end are deleted at the other, and negotiated again on demand.
    assert_eq!(a.ctl(&["flush-sa", "esp"]).status, Some(0));
    assert!(eventually(|| kernel_b.sas().is_empty()), "{}", b.log());
    let network = ["establish-sa", "esp", "inet", "10.1.0.0/16", "10.2.0.0/16", "any"];
    assert_eq!(a.ctl(&network).status, Some(0));
    assert!(eventually(|| kernel_b.sas().matches("state=mature").count() == 2), "{}", b.log());
    let unknown = ["establish-sa", "esp", "inet", "10.1.0.0/16", "10.3.0.0/16", "any"];
    assert_eq!(a.ctl(&unknown).status, Some(1));

    // A shutdown leaves no SAs at either end.
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().code(), Some(0));
    assert_eq!(kernel_a.sas(), "");
    assert!(eventually(|| kernel_b.sas().is_empty()), "{}", b.log());
}

/// The system's limit is logged.
#[test]
fn receive_buffer_above_the_limit() {
    let site = Site::new();
    let _kernel = Kernel::serve(&site, Dialect::HOST);
    site.configure_on("socket \"DIR/kernel\"", "pfkey_buffer 4194303;\n");
    let _daemon = site.start(&[]);
    site.await_log("WARNING: pfkey_buffer: the system allows ");
    assert!(site.log().contains(" KiB, not 4194303\n"), "{}", site.log());
}

#[test]
fn daemon_requires_a_kernel() {
    let (a, b) = (Site::new(), Site::new());
    configure(&a, &b);
    let ran = a.run(&["-F"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.starts_with("racoon: kernel: "), "{}", ran.stderr);

    let kernel = Kernel::serve(&a, Dialect::HOST);
    let mut daemon = a.start(&[]);
    drop(kernel);
    assert_eq!(daemon.ended().code(), Some(1));
    let log = a.log();
    let errors = log.lines().filter(|line| line.contains("ERROR: ")).collect::<Vec<_>>();
    // One error line from each of the two daemons.
    assert_eq!((errors.len(), log.matches("ERROR: kernel: ").count()), (2, 2), "{log}");
}
