//! REGISTER: which algorithms the kernel has. Netlink has no question for it, so an SA that does not exist is updated
//! with each: ENOSYS says that the algorithm is missing, anything else that it is there.

use super::algorithm::{AEADS, AUTH, CIPHERS};
use super::layout::{Addr, Algo, INET, Selector, State};
use super::netlink::{Heading, push_attribute, push_frame};
use super::numbers::{attribute, flag, message};
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{ExtensionType, MessageType, SaType};
use crate::wire::{Algorithm, Builder, Extension, Header};

/// Key bytes of a probe; none is longer.
const ZEROS: [u8; 64] = [0; 64];

/// An SPI that is hardly anybody's, at an address that is nobody's.
const NOBODY: u32 = 0xffff_fffe;

/// How many probes there are.
pub(super) const PROBES: usize = AUTH.len() + CIPHERS.len();

/// Appends the probes, with sequence numbers from 0.
///
/// # Errors
/// Never in practice: keys are short.
pub(super) fn push_probes(batch: &mut Vec<u8>) -> Result<()> {
    let key = |bits: u16| ZEROS.get(..usize::from(bits / 8)).unwrap_or(&ZEROS);
    let auth = AUTH.iter().map(|auth| {
        let bits = auth.key_bits;
        (51, attribute::ALG_AUTH_TRUNC, auth.algo(key(bits), bits.into(), auth.icv_bits))
    });
    let ciphers = CIPHERS.iter().map(|cipher| {
        let bits = cipher.min_bits;
        (50, attribute::ALG_CRYPT, cipher.algo(key(bits), bits.into()))
    });
    (0..).zip(auth.chain(ciphers)).try_for_each(|(seq, probe)| push_probe(batch, seq, probe))
}

fn push_probe(batch: &mut Vec<u8>, seq: u32, (proto, number, algorithm): (u8, u16, Algo<'_>)) -> Result<()> {
    let mut state =
        State { selector: Selector { family: INET, ..Selector::default() }, family: INET, ..State::default() };
    state.id.destination = Addr::default();
    state.id.spi = NOBODY;
    state.id.proto = proto;
    let heading = Heading { kind: message::UPDSA, flags: flag::REQUEST | flag::ACK, seq, pid: 0 };
    push_frame(batch, heading, |writer| {
        state.emit(writer);
        push_attribute(writer, number, |contents| algorithm.emit(contents))
    })
}

/// The lists of a REGISTER answer, from the errnos of the probes.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    auth: Vec<Algorithm>,
    encrypt: Vec<Algorithm>,
}

impl Lists {
    /// `errnos` in the order of the probes; `None` where no answer came.
    pub(super) fn new(errnos: &[Option<i32>]) -> Self {
        let present = |index: usize| errnos.get(index).is_some_and(|errno| *errno != Some(libc::ENOSYS));
        let auth = AUTH.iter().enumerate().filter(|(index, _)| present(*index)).map(|(_, auth)| {
            let bits = auth.key_bits;
            Algorithm { id: auth.id, iv_len: 0, min_bits: bits, max_bits: bits, reserved: 0 }
        });
        let listed = |id, iv_len, (min_bits, max_bits)| Algorithm { id, iv_len, min_bits, max_bits, reserved: 0 };
        let ciphers = CIPHERS.iter().enumerate().filter(|(index, _)| present(AUTH.len() + *index));
        let ciphers = ciphers.map(|(_, cipher)| listed(cipher.id, cipher.iv_len, (cipher.min_bits, cipher.max_bits)));
        // The kernel says at ADD whether it has these.
        let aeads = AEADS.iter().map(|aead| listed(aead.id, 8, (aead.min_bits, aead.max_bits)));
        Self { auth: auth.collect(), encrypt: ciphers.chain(aeads).collect() }
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// Never in practice: the lists are short.
    pub(super) fn emit(&self, sa_type: SaType, (seq, pid): (u32, u32), out: &mut Vec<u8>) -> Result<()> {
        let header = Header { seq, pid, ..Header::new(MessageType::Register, sa_type) };
        let mut builder = Builder::new(Abi::HOST, header, out)?;
        builder.push(&Extension::Supported(ExtensionType::SupportedAuth, self.auth.clone()))?;
        builder.push(&Extension::Supported(ExtensionType::SupportedEncrypt, self.encrypt.clone()))?;
        builder.finish()
    }
}
