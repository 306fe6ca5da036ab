//! Octets in hexadecimal.

use zeroize::Zeroizing;

/// Decodes hex digits, two for each octet; `None` if there is another character or an odd number of digits. The octets may
/// be a key, so their memory is wiped.
pub fn octets(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    // The capacity suffices: growing would leave a copy of the key behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks(2) {
        let &[high, low] = pair else { return None };
        octets.push(digit(high)? << 4 | digit(low)?);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_per_octet() {
        assert_eq!(octets(b"01aBff").as_deref(), Some(&vec![0x01, 0xab, 0xff]));
        assert_eq!(octets(b"").as_deref(), Some(&Vec::new()));
        for wrong in [&b"1"[..], b"012", b"0g", b"+1", b"0\xe9"] {
            assert_eq!(octets(wrong), None);
        }
    }
}
