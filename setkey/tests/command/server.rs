//! A key engine behind a socket, which outlives the runs of setkey.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use libpfkey::backend::{Backend, Memory, SocketServer};
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Dialect, Header, Result};

use crate::program::{Ended, Scratch, fed};

/// A server in a thread.
pub(crate) struct Server {
    socket: Scratch,
    dialect: Dialect,
    /// A handle of the engine.
    pub(crate) engine: Memory,
    requests: Arc<Mutex<Vec<Header>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Records the requests.
#[derive(Debug)]
struct Recorder {
    backend: Memory,
    requests: Arc<Mutex<Vec<Header>>>,
}

impl Server {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let engine = Memory::new(Abi::of(dialect)).unwrap();
        let requests = Arc::<Mutex<Vec<Header>>>::default();
        let backend = Recorder { backend: engine.another_handle().unwrap(), requests: Arc::clone(&requests) };
        let socket = Scratch::path();
        let mut server = SocketServer::bind(socket.as_path(), Box::new(backend)).unwrap();
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                server.turn(Some(Duration::from_millis(20))).unwrap();
            }
        });
        Self { socket, dialect, engine, requests, stop, thread: Some(thread) }
    }

    /// The options that select this server.
    pub(crate) fn options(&self) -> [String; 4] {
        let backend = format!("socket:{}", self.socket.as_str());
        ["--backend".into(), backend, "--dialect".into(), self.dialect.to_string()]
    }

    /// Runs setkey against it.
    pub(crate) fn setkey(&self, arguments: &[&str]) -> Ended {
        self.fed(arguments, "")
    }

    pub(crate) fn fed(&self, arguments: &[&str], input: &str) -> Ended {
        let options = self.options();
        let all: Vec<&str> = options.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        fed(&all, input.as_bytes())
    }

    /// Runs a script that must succeed and print nothing.
    pub(crate) fn load(&self, script: &str) {
        assert_eq!(self.fed(&["-e", "-f", "-"], script).all(), (Some(0), "", ""));
    }

    /// The headers of the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Header> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Backend for Recorder {
    fn abi(&self) -> Abi {
        self.backend.abi()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.backend.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.requests.lock().unwrap().push(peek_header(self.abi(), message)?);
        self.backend.send(message)
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        self.backend.recv(buffer)
    }

    fn window(&self) -> usize {
        self.backend.window()
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.backend.set_receive_buffer(kib)
    }
}
