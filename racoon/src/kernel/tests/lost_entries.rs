//! Dumps of which messages get lost.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use libpfkey::backend::{Backend, Memory};
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Dialect, Error, Header, MessageType, Result};
use racoon_proto::kernel::{Direction, KernelEvent};

use super::memory::{Lab, policy};
use super::{aes_sha1, outbound};

/// Losses of which the sequence numbers of four messages tell: the index of the lost one.
const SHOWN: [(Dialect, usize); 5] =
    [(Dialect::Linux, 0), (Dialect::Linux, 1), (Dialect::FreeBsd, 1), (Dialect::NetBsd, 1), (Dialect::Darwin, 1)];

/// Losses of a [`Lossy`].
#[derive(Debug, Default)]
struct Losses {
    /// Index of the message that each dump loses.
    index: usize,
    /// Number of dumps that lose it.
    dumps: usize,
    /// Number of messages of the present dump so far.
    messages: usize,
}

impl Losses {
    fn loses(&mut self, header: &Header) -> bool {
        let is_dump = matches!(header.message_type, MessageType::Dump | MessageType::SpdDump);
        if !is_dump || header.errno != 0 {
            return false;
        }
        let is_lost = self.dumps > 0 && self.messages == self.index;
        self.messages += 1;
        if header.seq == 0 {
            self.messages = 0;
            self.dumps = self.dumps.saturating_sub(1);
        }
        is_lost
    }
}

/// A kernel that loses messages of dumps.
#[derive(Debug)]
struct Lossy {
    memory: Memory,
    losses: Arc<Mutex<Losses>>,
}

impl Backend for Lossy {
    fn abi(&self) -> Abi {
        self.memory.abi()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.memory.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.memory.send(message)
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        loop {
            let Some(length) = self.memory.recv(buffer)?.map(<[u8]>::len) else { return Ok(None) };
            let header = peek_header(self.abi(), &buffer[..length])?;
            if !self.losses.lock().unwrap().loses(&header) {
                return Ok(Some(&buffer[..length]));
            }
        }
    }

    fn window(&self) -> usize {
        self.memory.window()
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.memory.set_receive_buffer(kib)
    }
}

/// Returns a kernel with four SAs of racoon and four policies, and its losses, of which there are none yet.
fn lab(dialect: Dialect) -> (Lab, Arc<Mutex<Losses>>) {
    let memory = Memory::new(Abi::of(dialect)).unwrap();
    let losses = Arc::default();
    let lossy = Lossy { memory: memory.another_handle().unwrap(), losses: Arc::clone(&losses) };
    let mut lab = Lab::over(memory, Box::new(lossy));
    for number in 1..=4 {
        lab.install(outbound(0x1000 + number, aes_sha1())).unwrap();
        let mut policy = policy(Direction::Out);
        policy.selector.source_port = u16::try_from(number).unwrap();
        lab.add_policy(&policy);
    }
    lab.events();
    (lab, losses)
}

fn resync(lab: &mut Lab) -> Vec<KernelEvent> {
    let mut events = Vec::new();
    lab.interface.resync(&mut |event| events.push(event));
    events
}

#[test]
fn dump_with_a_gap_is_repeated() {
    for (dialect, index) in SHOWN {
        let (mut lab, losses) = lab(dialect);
        let lose = || *losses.lock().unwrap() = Losses { index, dumps: 3, messages: 0 };
        lose();
        assert_eq!(lab.interface.counters().unwrap().len(), 4, "{dialect}");
        lose();
        let [KernelEvent::Policies(policies)] = &resync(&mut lab)[..] else { panic!("{dialect}") };
        assert_eq!(policies.len(), 4, "{dialect}");
    }
}

/// What a dump with a gap does not show is not taken for removed.
#[test]
fn incomplete_dump_removes_nothing() {
    for (dialect, index) in SHOWN {
        let (mut lab, losses) = lab(dialect);
        *losses.lock().unwrap() = Losses { index, dumps: usize::MAX, messages: 0 };
        assert!(matches!(lab.interface.counters(), Err(Error::Incomplete)), "{dialect}");
        assert!(resync(&mut lab).is_empty(), "{dialect}");
        *losses.lock().unwrap() = Losses::default();
        assert_eq!(lab.interface.counters().unwrap().len(), 4, "{dialect}");
    }
}
