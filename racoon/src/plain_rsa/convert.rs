//! Conversion between keys of a file and keys of OpenSSL.

use ipsec_conf::plainrsa::{Network, Number, PrivateKey, PublicKey, RsaEntry, RsaKey};
use openssl::bn::{BigNum, BigNumRef};
use openssl::error::ErrorStack;
use openssl::pkey::{HasPublic, PKey, Private, Public};
use openssl::rsa::{Rsa, RsaRef};

/// The shortest modulus in bits: shorter ones have been factored.
pub(crate) const BITS_MIN: u32 = 1024;

/// The longest modulus in bits with which OpenSSL computes.
pub(crate) const BITS_MAX: u32 = 16_384;

/// Returns a private key for OpenSSL.
///
/// # Errors
/// If its numbers do not belong together or are too short.
pub(crate) fn private_key(key: &PrivateKey) -> Result<PKey<Private>, String> {
    let number = |number: &Number| BigNum::from_slice(number);
    let rsa = || {
        Rsa::from_private_components(
            number(&key.modulus)?,
            number(&key.public_exponent)?,
            number(&key.private_exponent)?,
            number(&key.prime1)?,
            number(&key.prime2)?,
            number(&key.exponent1)?,
            number(&key.exponent2)?,
            number(&key.coefficient)?,
        )
    };
    let rsa = rsa().map_err(library)?;
    check_size(&rsa)?;
    let is_consistent = rsa.check_key();
    drop(ErrorStack::get());
    if !is_consistent.unwrap_or(false) {
        return Err("the numbers of the private key do not belong together".into());
    }
    PKey::from_rsa(rsa).map_err(library)
}

/// Returns a public key for OpenSSL.
///
/// # Errors
/// If its numbers cannot be a key, or are too short.
pub(crate) fn public_key(key: &PublicKey) -> Result<PKey<Public>, String> {
    let number = |number: &Number| BigNum::from_slice(number);
    let rsa = || Rsa::from_public_components(number(&key.modulus)?, number(&key.exponent)?);
    let rsa = rsa().map_err(library)?;
    check_size(&rsa)?;
    PKey::from_rsa(rsa).map_err(library)
}

/// Returns the entry of a private key for all addresses.
///
/// # Errors
/// If the key has no primes.
pub(crate) fn private_entry(rsa: &RsaRef<Private>) -> Result<RsaEntry, String> {
    let part = |number: Option<&BigNumRef>| number.map(octets).ok_or("the private key has no primes");
    let key = PrivateKey {
        modulus: octets(rsa.n()),
        public_exponent: octets(rsa.e()),
        private_exponent: octets(rsa.d()),
        prime1: part(rsa.p())?,
        prime2: part(rsa.q())?,
        exponent1: part(rsa.dmp1())?,
        exponent2: part(rsa.dmq1())?,
        coefficient: part(rsa.iqmp())?,
    };
    Ok(entry(RsaKey::Private(Box::new(key))))
}

/// Returns the entry of a public key for all addresses.
pub(crate) fn public_entry<T: HasPublic>(rsa: &RsaRef<T>) -> RsaEntry {
    entry(RsaKey::Public(PublicKey { exponent: octets(rsa.e()), modulus: octets(rsa.n()) }))
}

fn entry(key: RsaKey) -> RsaEntry {
    RsaEntry { line: 1, local: Network::Any, remote: Network::Any, key }
}

fn octets(number: &BigNumRef) -> Number {
    Number::new(number.to_vec())
}

fn check_size<T: HasPublic>(rsa: &RsaRef<T>) -> Result<(), String> {
    let (modulus, exponent) = (rsa.n(), rsa.e());
    let bits = u32::try_from(modulus.num_bits()).unwrap_or(0);
    if !(BITS_MIN..=BITS_MAX).contains(&bits) {
        return Err(format!("the key has {bits} bits, not {BITS_MIN} to {BITS_MAX}"));
    }
    // With 1 as exponent everybody could sign, and even numbers have no inverse. OpenSSL limits exponents to 64 bits.
    if !modulus.is_bit_set(0) || !exponent.is_bit_set(0) || !(2..=64).contains(&exponent.num_bits()) {
        return Err("the numbers of the key cannot be an RSA key".into());
    }
    Ok(())
}

/// Returns OpenSSL's reason.
pub(crate) fn library(errors: ErrorStack) -> String {
    errors.errors().last().and_then(|error| error.reason()).unwrap_or("unknown error of libcrypto").into()
}
