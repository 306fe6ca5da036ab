//! Bytes as hex digits.

use std::fmt::Write as _;

use zeroize::Zeroize;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends a blank before each group of 4 bytes, and a newline before each 32 bytes but the first
/// (`ipsec_hexdump`).
pub fn hex_groups(out: &mut String, bytes: &[u8]) {
    // Keys are printed by this function, too.
    reserve(out, groups_len(bytes));
    for (index, byte) in bytes.iter().enumerate() {
        if index % 32 == 0 && index != 0 {
            out.push('\n');
        }
        if index % 4 == 0 {
            out.push(' ');
        }
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Characters that [`hex_groups`] appends at most.
pub(super) fn groups_len(bytes: &[u8]) -> usize {
    bytes.len() * 2 + bytes.len() / 4 + bytes.len() / 32 + 2
}

/// Reserves `more` bytes. Reallocation by `String` would leave a copy of the keys in freed memory.
pub(super) fn reserve(out: &mut String, more: usize) {
    if out.capacity() - out.len() < more {
        let mut larger = String::with_capacity((out.len() + more) * 2);
        larger.push_str(out);
        std::mem::swap(out, &mut larger);
        larger.zeroize();
    }
}

/// Appends `setkey -H` lines: an offset, then 16 bytes each followed by a blank.
pub fn hex_lines(out: &mut String, bytes: &[u8]) {
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let _ = write!(out, "{:08x}: ", line * 16);
        for byte in chunk {
            let _ = write!(out, "{byte:02x} ");
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let mut out = String::from("A: x ");
        hex_groups(&mut out, &(0..34).collect::<Vec<u8>>());
        assert_eq!(out, "A: x  00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f\n 2021");
    }

    #[test]
    fn lines() {
        let mut out = String::new();
        hex_lines(&mut out, &[0xab; 17]);
        assert_eq!(out, format!("00000000: {}\n00000010: ab \n", "ab ".repeat(16)));
    }
}
