//! The cryptography of IKEv1, implemented with OpenSSL's libcrypto (3.0 or later). Apart from names in [`crate::identity`] and
//! [certificates](crate::certificate), no other module calls libcrypto.
//!
//! The names are those of RFC 2409: [`digest`] and [`Prf`], [`CipherKey`] and its [`Iv`], Diffie-Hellman
//! groups ([`Exponent`]), [`Phase1Keys`] and what is derived from them, keys of IPsec SAs ([`esp_key_length`],
//! [`split_keymat`]), the [`Padding`] of encrypted messages, [signatures](signature). Slow operations are performed as a [`Job`].

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
pub mod signature;

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
