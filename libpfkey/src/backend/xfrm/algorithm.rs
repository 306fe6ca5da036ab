//! Algorithms by the kernel's names: a view of the table for Linux.

use super::layout::Algo;
use crate::algorithm::{Authentication, Compression, CryptoApi, Encryption};
use crate::dialect::Dialect;

/// Authentication algorithms, in the order of `af_key`'s REGISTER answer.
pub(super) fn authentications() -> impl Iterator<Item = (Authentication, &'static CryptoApi)> {
    Authentication::ALL.iter().filter_map(|one| Some((*one, one.crypto_api()?)))
}

/// Ciphers without authentication, in the order of `af_key`'s REGISTER answer.
pub(super) fn ciphers() -> impl Iterator<Item = (Encryption, &'static CryptoApi)> {
    encryptions().filter(|(one, _)| !one.is_aead())
}

/// Ciphers that authenticate (AEAD). `af_key` has numbers for them but refuses them.
pub(super) fn aeads() -> impl Iterator<Item = (Encryption, &'static CryptoApi)> {
    encryptions().filter(|(one, _)| one.is_aead())
}

fn encryptions() -> impl Iterator<Item = (Encryption, &'static CryptoApi)> {
    Encryption::ALL.iter().filter_map(|one| Some((*one, one.crypto_api()?)))
}

/// The authentication algorithm of a PF_KEY number.
pub(super) fn authentication(number: u8) -> Option<(Authentication, &'static CryptoApi)> {
    let algorithm = Authentication::from_number(Dialect::Linux, number);
    Some((algorithm, algorithm.crypto_api()?))
}

/// The encryption algorithm of a PF_KEY number.
pub(super) fn encryption(number: u8) -> Option<(Encryption, &'static CryptoApi)> {
    let algorithm = Encryption::from_number(Dialect::Linux, number);
    Some((algorithm, algorithm.crypto_api()?))
}

/// The authentication algorithm with this name of the kernel's.
pub(super) fn authentication_named(name: &[u8]) -> Option<Authentication> {
    authentications().find(|(_, api)| api.is_named(name)).map(|(one, _)| one)
}

/// Returns the PF_KEY number of the cipher with this kernel name; 0 if there is none.
pub(super) fn cipher_number(name: &[u8]) -> u8 {
    number(ciphers().find(|(_, api)| api.is_named(name)).map(|(one, _)| one))
}

/// Returns the PF_KEY number of the AEAD cipher with this kernel name and ICV length in bits; 0 if there is none.
pub(super) fn aead_number(name: &[u8], icv_bits: u32) -> u8 {
    let is_it =
        |(one, api): &(Encryption, &CryptoApi)| api.is_named(name) && one.icv_bits().map(u32::from) == Some(icv_bits);
    number(aeads().find(is_it).map(|(one, _)| one))
}

fn number(encryption: Option<Encryption>) -> u8 {
    encryption.and_then(|one| one.number(Dialect::Linux)).unwrap_or(0)
}

/// The compression algorithm of a PF_KEY number. An IPComp SA has it in `sadb_sa_encrypt`.
pub(super) fn compression(number: u8) -> Option<Algo<'static>> {
    let api = Compression::from_number(Dialect::Linux, number).crypto_api()?;
    Some(Algo { name: api.name.as_bytes(), key_bits: 0, icv_bits: None, key: &[] })
}

/// PF_KEY's number of the compression algorithm with this name of the kernel's; 0 if there is none.
pub(super) fn compression_number(name: &[u8]) -> u8 {
    let is_named = |one: &&Compression| one.crypto_api().is_some_and(|api| api.is_named(name));
    Compression::ALL.iter().find(is_named).and_then(|one| one.number(Dialect::Linux)).unwrap_or(0)
}
