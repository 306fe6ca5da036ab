//! Randomness, from OpenSSL.

/// A random number.
///
/// # Errors
/// [`crate::Error::System`] when the generator fails.
pub(crate) fn random_u32() -> crate::Result<u32> {
    let mut bytes = [0; 4];
    openssl::rand::rand_bytes(&mut bytes)
        .map_err(|error| crate::Error::System { call: "RAND_bytes", source: std::io::Error::other(error) })?;
    Ok(u32::from_ne_bytes(bytes))
}
