//! REGISTER: the algorithms of the kernel. Netlink has no request for them, so a probe for each algorithm updates an SA that
//! does not exist. ENOSYS means that the kernel lacks the algorithm, any other errno that it has it.

use super::algorithm::{aeads, authentications, ciphers};
use super::layout::{Addr, Algo, INET, State, XfrmSelector};
use super::netlink::{Heading, push_attribute, push_frame};
use super::numbers::{attribute, flag, message};
use crate::algorithm::{Encryption, KeyBits};
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{ExtensionType, MessageType, SaType};
use crate::wire::{Algorithm, Builder, Extension, Header};

/// Key of a probe; no algorithm has a longer one.
const ZEROS: [u8; 64] = [0; 64];

/// SPI of the SA in the probes. Its address is 0.0.0.0, so it does not exist.
const PROBE_SPI: u32 = 0xffff_fffe;

/// Number of the probes.
pub(super) fn probes() -> usize {
    authentications().count() + ciphers().count()
}

/// Appends the probes, with sequence numbers from 0.
///
/// # Errors
/// Never in practice, because the keys are short.
pub(super) fn push_probes(batch: &mut Vec<u8>) -> Result<()> {
    let key = |bits: u16| ZEROS.get(..usize::from(bits / 8)).unwrap_or(&ZEROS);
    let linux = Dialect::Linux;
    let auth = authentications().map(|(one, api)| {
        let bits = one.key_bits().min();
        (51, attribute::ALG_AUTH_TRUNC, Algo::new(api, key(bits), bits.into(), Some(one.icv_bits(linux).into())))
    });
    let ciphers = ciphers().map(|(one, api)| {
        let bits = one.key_bits().min();
        (50, attribute::ALG_CRYPT, Algo::new(api, key(bits), bits.into(), None))
    });
    (0..).zip(auth.chain(ciphers)).try_for_each(|(seq, probe)| push_probe(batch, seq, probe))
}

fn push_probe(batch: &mut Vec<u8>, seq: u32, (proto, number, algorithm): (u8, u16, Algo<'_>)) -> Result<()> {
    let mut state =
        State { selector: XfrmSelector { family: INET, ..XfrmSelector::default() }, family: INET, ..State::default() };
    state.id.destination = Addr::default();
    state.id.spi = PROBE_SPI;
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
    /// Makes the lists of the errnos, in the order of the probes; `None` stands for a lost answer.
    pub(super) fn new(errnos: &[Option<i32>]) -> Self {
        let present = |index: usize| errnos.get(index).is_some_and(|errno| *errno != Some(libc::ENOSYS));
        let record = |id: Option<u8>, iv_len, bits: KeyBits| {
            Some(Algorithm { id: id?, iv_len, min_bits: bits.min(), max_bits: bits.max(), reserved: 0 })
        };
        let auth = authentications().enumerate().filter(|(index, _)| present(*index));
        let auth = auth.filter_map(|(_, (one, _))| record(one.number(Dialect::Linux), 0, one.key_bits()));
        let first = authentications().count();
        let ciphers = ciphers().enumerate().filter(|(index, _)| present(first + *index)).map(|(_, cipher)| cipher);
        // AEAD ciphers are not probed: the kernel refuses one that it lacks at ADD.
        let encrypt = ciphers.chain(aeads()).filter_map(|(one, _)| {
            // `af_key` reports 8 bytes for every cipher with an IV.
            let iv_len = if one == Encryption::Null { 0 } else { 8 };
            record(one.number(Dialect::Linux), iv_len, one.key_bits())
        });
        Self { auth: auth.collect(), encrypt: encrypt.collect() }
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// Never in practice, because the lists are short.
    pub(super) fn emit(&self, sa_type: SaType, (seq, pid): (u32, u32), out: &mut Vec<u8>) -> Result<()> {
        let header = Header { seq, pid, ..Header::new(MessageType::Register, sa_type) };
        let mut builder = Builder::new(Abi::HOST, header, out)?;
        builder.push(&Extension::Supported(ExtensionType::SupportedAuth, self.auth.clone()))?;
        builder.push(&Extension::Supported(ExtensionType::SupportedEncrypt, self.encrypt.clone()))?;
        builder.finish()
    }
}
