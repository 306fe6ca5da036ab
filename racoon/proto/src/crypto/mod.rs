//! All cryptography of IKEv1, by OpenSSL's libcrypto (3.0 or later): nothing outside of this module calls it.
//!
//! What is public is in the words of RFC 2409: [`digest`] and [`Prf`], [`CipherKey`] and its [`Iv`], Diffie-Hellman
//! groups ([`Exponent`]), [`Phase1Keys`] and what follows from them, keys of IPsec SAs ([`esp_key_length`],
//! [`split_keymat`]), the [`Padding`] of encrypted messages. What is slow goes into a [`Job`].

mod cipher;
mod error;
mod group;
mod hash;
#[cfg(test)]
mod hex;
mod job;
mod keylen;
mod keys;
mod library;
mod padding;
mod random;
mod secret;

pub use cipher::{CipherKey, Iv};
pub use error::{CryptoError, GroupError, PeerValueError};
pub use group::Exponent;
pub use hash::{Prf, digest, equal, prf};
pub use job::{DhOperation, DhResult, DhTask, DhValues, Job, JobResult, KeyQuery, KeyResult, Task, TaskResult};
pub use keylen::{auth_key_length, esp_key_length, split_keymat};
pub use keys::{HashInput, Phase1Keys, Phase2Seed, skeyid_psk, skeyid_signature};
pub use library::{initialise, is_supported, is_supported_group, is_supported_hash, version};
pub use padding::{Padding, PaddingError};
pub use random::{OpenSslRandom, SeededRandom};
pub use secret::Secret;
