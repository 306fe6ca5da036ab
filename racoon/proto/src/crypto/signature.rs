//! Signatures of HASH_I and HASH_R (RFC 2409 section 5.1, RFC 4754).
//!
//! The hash is signed as it is: neither method hashes it again, and RSA adds no DigestInfo, unlike PKCS #1.

use openssl::bn::{BigNum, BigNumRef};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use thiserror::Error;

use super::CryptoError;
use crate::num::{AuthMethod, Hash};

/// The reason why a signature cannot be made or checked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The method has no signatures.
    #[error("authentication method {0} has no signatures")]
    Method(AuthMethod),
    /// The key is of another kind than the method needs: what it is, such as `RSA` or `P-256`.
    #[error("authentication method {0} needs another key than {1}")]
    KeyKind(AuthMethod, String),
    /// The hash is not one of the method.
    #[error("authentication method {0} does not sign a hash of {1} bytes")]
    HashLength(AuthMethod, usize),
    /// An error of libcrypto.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<ErrorStack> for SignatureError {
    fn from(errors: ErrorStack) -> Self {
        Self::Crypto(errors.into())
    }
}

/// The form of a method's signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// PKCS #1 v1.5 block type 1 around the hash, as long as the modulus.
    Rsa,
    /// The numbers r and s, each as long as the order of the curve.
    Ecdsa {
        curve: Nid,
        /// Length of each number in bytes.
        length: usize,
        hash: Hash,
        /// Length of the hash in bytes.
        hash_length: usize,
    },
}

impl Form {
    fn of(method: AuthMethod) -> Result<Self, SignatureError> {
        let ecdsa = |curve, length, hash, hash_length| Self::Ecdsa { curve, length, hash, hash_length };
        Ok(match method {
            AuthMethod::RSA_SIGNATURES
            | AuthMethod::HYBRID_RSA_CLIENT
            | AuthMethod::HYBRID_RSA_SERVER
            | AuthMethod::XAUTH_RSA_CLIENT
            | AuthMethod::XAUTH_RSA_SERVER => Self::Rsa,
            AuthMethod::ECDSA_256 => ecdsa(Nid::X9_62_PRIME256V1, 32, Hash::SHA256, 32),
            AuthMethod::ECDSA_384 => ecdsa(Nid::SECP384R1, 48, Hash::SHA384, 48),
            AuthMethod::ECDSA_521 => ecdsa(Nid::SECP521R1, 66, Hash::SHA512, 64),
            _ => return Err(SignatureError::Method(method)),
        })
    }

    /// Checks that a key and a hash are of the method.
    fn check<T: HasPublic>(self, method: AuthMethod, key: &PKeyRef<T>, hash: &[u8]) -> Result<(), SignatureError> {
        let (is_key, is_hash) = match self {
            Self::Rsa => (key.id() == Id::RSA && has_usable_exponent(key)?, !hash.is_empty()),
            Self::Ecdsa { curve, hash_length, .. } => (named_curve(key) == Some(curve), hash.len() == hash_length),
        };
        if !is_key {
            return Err(SignatureError::KeyKind(method, key_kind(key)));
        }
        if is_hash { Ok(()) } else { Err(SignatureError::HashLength(method, hash.len())) }
    }
}

/// Signs a hash, and returns the body of a SIG payload.
///
/// # Errors
/// If the key or the hash is not one of the method, or libcrypto fails.
pub fn sign(method: AuthMethod, key: &PKeyRef<Private>, hash: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let form = Form::of(method)?;
    form.check(method, key, hash)?;
    let mut context = PkeyCtx::new(key)?;
    context.sign_init()?;
    let mut signature = Vec::new();
    match form {
        Form::Rsa => {
            // Without a hash algorithm, libcrypto pads what it signs and adds no DigestInfo.
            context.set_rsa_padding(Padding::PKCS1)?;
            context.sign_to_vec(hash, &mut signature)?;
            Ok(signature)
        }
        Form::Ecdsa { length, .. } => {
            context.sign_to_vec(hash, &mut signature)?;
            let numbers = EcdsaSig::from_der(&signature)?;
            let padded = |number: &BigNumRef| number.to_vec_padded(i32::try_from(length).unwrap_or(0));
            Ok([padded(numbers.r())?, padded(numbers.s())?].concat())
        }
    }
}

/// Whether `signature`, the body of a SIG payload, is one of `key` over `hash`.
///
/// # Errors
/// If the key or the hash is not one of the method, or libcrypto fails before it looks at the signature.
pub fn verify<T: HasPublic>(
    method: AuthMethod,
    key: &PKeyRef<T>,
    hash: &[u8],
    signature: &[u8],
) -> Result<bool, SignatureError> {
    let form = Form::of(method)?;
    form.check(method, key, hash)?;
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    let valid = match form {
        // RFC 8017 section 8.2.2 step 1; libcrypto would also accept a shorter one.
        Form::Rsa if signature.len() != key.size() => return Ok(false),
        Form::Rsa => {
            context.set_rsa_padding(Padding::PKCS1)?;
            // Everything behind the padding must be the hash. Otherwise, with the exponent 3, anybody could choose bytes behind
            // the hash that make the block a third power.
            context.verify(hash, signature)
        }
        Form::Ecdsa { length, .. } => {
            let Some((r, s)) = signature.split_at_checked(length).filter(|(_, s)| s.len() == length) else {
                return Ok(false);
            };
            let numbers = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
            // libcrypto refuses numbers that are not between 1 and the order minus 1.
            context.verify(hash, &numbers.to_der()?)
        }
    };
    // libcrypto reports most invalid signatures as errors.
    Ok(valid.unwrap_or(false))
}

/// Returns the hash that replaces the negotiated one in HASH_I and HASH_R (RFC 4754 section 4); `None` for the negotiated one.
pub fn signature_hash(method: AuthMethod) -> Option<Hash> {
    match Form::of(method) {
        Ok(Form::Ecdsa { hash, .. }) => Some(hash),
        _ => None,
    }
}

/// Returns the method that signs with a key; `None` if there is none.
pub fn signature_method<T: HasPublic>(key: &PKeyRef<T>) -> Option<AuthMethod> {
    if key.id() == Id::RSA {
        return Some(AuthMethod::RSA_SIGNATURES);
    }
    match named_curve(key)? {
        Nid::X9_62_PRIME256V1 => Some(AuthMethod::ECDSA_256),
        Nid::SECP384R1 => Some(AuthMethod::ECDSA_384),
        Nid::SECP521R1 => Some(AuthMethod::ECDSA_521),
        _ => None,
    }
}

/// Returns what a key is: `RSA`, the curve, such as `P-256`, or libcrypto's name of another kind.
pub fn key_kind<T: HasPublic>(key: &PKeyRef<T>) -> String {
    match (key.id(), named_curve(key)) {
        (Id::RSA, _) if has_usable_exponent(key).unwrap_or(false) => "RSA".into(),
        (Id::RSA, _) => "RSA with an unusable exponent".into(),
        (_, Some(Nid::X9_62_PRIME256V1)) => "P-256".into(),
        (_, Some(Nid::SECP384R1)) => "P-384".into(),
        (_, Some(Nid::SECP521R1)) => "P-521".into(),
        (Id::EC, None) => "EC with parameters of its own".into(),
        (id, curve) => {
            let nid = curve.unwrap_or(Nid::from_raw(id.as_raw()));
            nid.short_name().map_or_else(|_| format!("kind {}", nid.as_raw()), str::to_owned)
        }
    }
}

/// Returns the named curve of an EC key.
fn named_curve<T: HasPublic>(key: &PKeyRef<T>) -> Option<Nid> {
    if key.id() != Id::EC {
        return None;
    }
    key.ec_key().ok()?.group().curve_name()
}

/// Whether the public exponent of an RSA key is odd and not 1. With 1 everybody could sign, and an even one has no inverse.
fn has_usable_exponent<T: HasPublic>(key: &PKeyRef<T>) -> Result<bool, ErrorStack> {
    let rsa = key.rsa()?;
    Ok(rsa.e().is_bit_set(0) && rsa.e().num_bits() > 1)
}

#[cfg(test)]
mod tests;
