//! The padding of encrypted messages, and traces of their plaintext for the log at level debug2.

use std::cell::RefCell;
use std::net::SocketAddr;

use crate::crypto::Padding;
use crate::num::PayloadType;
use crate::output::Level;
use crate::settings::Settings;
use crate::wire::{Header, RawPayload, describe};

/// The padding of encrypted messages, and the traces of their plaintext.
#[derive(Debug, Default)]
pub(crate) struct MessageCodec {
    /// The padding.
    pub(crate) padding: Padding,
    /// The traces since the last [`MessageCodec::take_traces`]; `None` if the log level does not include them.
    traces: Option<RefCell<Vec<PlaintextTrace>>>,
}

/// The plaintext of a message, as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlaintextTrace {
    /// The peer that receives it or has sent it.
    pub(crate) peer: SocketAddr,
    /// A line for the message, and one for each payload.
    pub(crate) lines: Vec<String>,
}

impl MessageCodec {
    /// The codec for these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let traces = (settings.log >= Level::Debug2).then(RefCell::default);
        Self { padding: settings.padding, traces }
    }

    /// Traces payloads that are about to be encrypted.
    pub(super) fn note_sealed(&self, peer: SocketAddr, header: &Header, payloads: &[(PayloadType, &[u8])]) {
        self.note("encrypted for", peer, header, payloads.iter().copied());
    }

    /// Traces payloads that were decrypted. They are not authenticated yet.
    pub(super) fn note_opened(&self, peer: SocketAddr, header: &Header, payloads: &[RawPayload<'_>]) {
        self.note("decrypted of", peer, header, payloads.iter().map(|one| (one.kind, one.body)));
    }

    fn note<'a>(
        &self,
        what: &str,
        peer: SocketAddr,
        header: &Header,
        payloads: impl Iterator<Item = (PayloadType, &'a [u8])>,
    ) {
        let Some(traces) = &self.traces else { return };
        let Header { cookies, exchange, message_id, .. } = header;
        let title = format!("{what} {cookies} {exchange}, message id {message_id:08x}");
        let payloads = payloads.map(|(kind, body)| format!("  {}", describe::payload(kind, body)));
        traces.borrow_mut().push(PlaintextTrace { peer, lines: [title].into_iter().chain(payloads).collect() });
    }

    /// Takes the traces since the last call.
    pub(crate) fn take_traces(&mut self) -> Vec<PlaintextTrace> {
        self.traces.as_mut().map(|traces| std::mem::take(traces.get_mut())).unwrap_or_default()
    }
}
