//! Secret bytes.

use std::fmt;

use zeroize::Zeroizing;

use super::hash::equal;

/// Secret bytes. They are wiped on drop, not shown by `Debug`, and compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes as the place for a result.
    pub(super) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::from(b"hunter2".to_vec())), "Secret(7 bytes)");
    }

    #[test]
    fn it_equals_the_same_bytes() {
        let secret = Secret::from(b"hunter2".to_vec());
        assert_eq!(secret, Secret::from(b"hunter2".to_vec()));
        assert_ne!(secret, Secret::from(b"hunter3".to_vec()));
        assert_ne!(secret, Secret::from(b"hunter".to_vec()));
        assert_ne!(secret, Secret::from(Vec::new()));
        assert_eq!(Secret::from(Vec::new()), Secret::from(Vec::new()));
    }
}
