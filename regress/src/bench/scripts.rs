//! Scripts with equal SAs and policies for setkey and for `ip -batch`.

use std::fmt::Write;
use std::ops::RangeInclusive;

/// `add` statements.
pub(super) fn setkey_sas(numbers: RangeInclusive<usize>) -> String {
    lines(numbers, |text, number, [a, b, c]| {
        write!(
            text,
            "add 10.0.0.1 10.{a}.{b}.{c} esp 0x{:x} -m transport -E aes-cbc 0x{number:032x} -A hmac-sha256 0x{number:064x};",
            number + FIRST_SPI
        )
    })
}

/// The same for ip, with an ICV of 96 bits, as with PF_KEY on Linux.
pub(super) fn ip_sas(numbers: RangeInclusive<usize>) -> String {
    lines(numbers, |text, number, [a, b, c]| {
        write!(
            text,
            "xfrm state add src 10.0.0.1 dst 10.{a}.{b}.{c} proto esp spi 0x{:x} mode transport \
             enc cbc(aes) 0x{number:032x} auth-trunc hmac(sha256) 0x{number:064x} 96",
            number + FIRST_SPI
        )
    })
}

/// `spdadd` statements.
pub(super) fn setkey_policies(numbers: RangeInclusive<usize>) -> String {
    lines(numbers, |text, _, [a, b, c]| {
        write!(text, "spdadd 10.0.0.1/32 10.{a}.{b}.{c}/32 any -P out ipsec esp/transport//require;")
    })
}

/// The same for ip, with setkey's default priority.
pub(super) fn ip_policies(numbers: RangeInclusive<usize>) -> String {
    lines(numbers, |text, _, [a, b, c]| {
        write!(
            text,
            "xfrm policy add src 10.0.0.1/32 dst 10.{a}.{b}.{c}/32 dir out priority 2147483648 \
             tmpl proto esp mode transport"
        )
    })
}

/// Smaller SPIs are reserved.
const FIRST_SPI: usize = 0x1000;

/// Returns one line for each number; the three address bytes are derived from the number.
fn lines(numbers: RangeInclusive<usize>, line: impl Fn(&mut String, usize, [u8; 3]) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for number in numbers {
        let address = number % 0xff_ffff;
        let [.., a, b, c] = address.to_be_bytes();
        // Writing to a string cannot fail.
        let _ = line(&mut text, number, [a, b, c]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_equal_entries() {
        let (setkey, ip) = (setkey_sas(1..=300), ip_sas(1..=300));
        assert_eq!((setkey.lines().count(), ip.lines().count()), (300, 300));
        assert!(setkey.lines().nth(255).is_some_and(|line| line.starts_with("add 10.0.0.1 10.0.1.0 esp 0x1100 ")));
        assert!(ip.lines().nth(255).is_some_and(|line| line.contains(" dst 10.0.1.0 proto esp spi 0x1100 ")));
        assert_eq!(setkey_policies(1..=2).lines().count(), ip_policies(1..=2).lines().count());
    }
}
