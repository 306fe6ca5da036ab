//! Attribute types of X.501 names: their names in text, and their object identifiers.

/// Names of attribute types (RFC 4519 section 2, RFC 2985) and their object identifiers. If a type has several names, the first one
/// is displayed.
const ATTRIBUTE_TYPES: &[(&str, &str)] = &[
    ("C", "2.5.4.6"),
    ("CN", "2.5.4.3"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("E", "1.2.840.113549.1.9.1"),
    ("GN", "2.5.4.42"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("SN", "2.5.4.4"),
    ("ST", "2.5.4.8"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("commonName", "2.5.4.3"),
    ("countryName", "2.5.4.6"),
    ("description", "2.5.4.13"),
    ("dnQualifier", "2.5.4.46"),
    ("domainComponent", "0.9.2342.19200300.100.1.25"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
    ("generationQualifier", "2.5.4.44"),
    ("givenName", "2.5.4.42"),
    ("initials", "2.5.4.43"),
    ("localityName", "2.5.4.7"),
    ("name", "2.5.4.41"),
    ("organizationName", "2.5.4.10"),
    ("organizationalUnitName", "2.5.4.11"),
    ("postalCode", "2.5.4.17"),
    ("pseudonym", "2.5.4.65"),
    ("serialNumber", "2.5.4.5"),
    ("stateOrProvinceName", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("surname", "2.5.4.4"),
    ("title", "2.5.4.12"),
    ("unstructuredName", "1.2.840.113549.1.9.2"),
    ("userId", "0.9.2342.19200300.100.1.1"),
];

/// Returns the object identifier of an attribute type, given by name or in dotted numbers, as the contents of its DER encoding;
/// `None` if the name is unknown or the numbers are invalid.
pub fn object_identifier(name: &str) -> Option<Vec<u8>> {
    let known = ATTRIBUTE_TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    encode(known.map_or(name, |(_, numbers)| numbers))
}

/// Returns the name of an object identifier, or its dotted numbers.
pub(super) fn title(oid: &[u8]) -> String {
    let known = ATTRIBUTE_TYPES.iter().find(|(_, numbers)| encode(numbers).as_deref() == Some(oid));
    known.map_or_else(|| numbers(oid), |(name, _)| (*name).to_owned())
}

/// Encodes dotted numbers (X.690 section 8.19): the first two are joined, and each is written in base 128, with the high bit set in
/// all bytes but the last.
fn encode(numbers: &str) -> Option<Vec<u8>> {
    let arcs = numbers.split('.').map(|arc| arc.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    let [first @ 0..=2, second, rest @ ..] = arcs.as_slice() else {
        return None;
    };
    if *first < 2 && *second > 39 {
        return None;
    }
    // The first arc is at most 2, and under 0 and 1 the second is at most 39, so that both can be told apart.
    let joint = first.checked_mul(40)?.checked_add(*second)?;
    Some(std::iter::once(&joint).chain(rest).flat_map(|arc| base_128(*arc)).collect())
}

fn base_128(number: u32) -> Vec<u8> {
    let digit = |shift: u32| u8::try_from(number >> shift & 0x7f).unwrap_or_default();
    // 32 bits are at most five digits of 7 bits.
    let digits = [28, 21, 14, 7].into_iter().skip_while(|shift| number >> shift == 0).map(|shift| digit(shift) | 0x80);
    digits.chain([digit(0)]).collect()
}

/// Returns the dotted numbers. One of more than 64 bits loses its high bits, which does not matter in a log line.
fn numbers(oid: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    for byte in oid {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    let mut arcs = arcs.into_iter();
    let joint = arcs.next().unwrap_or_default();
    // Only under 2 may the second number be greater than 39.
    let first = (joint / 40).min(2);
    arcs.fold(format!("{first}.{}", joint - first * 40), |text, arc| format!("{text}.{arc}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(object_identifier("cn"), Some(vec![0x55, 4, 3]));
        assert_eq!(object_identifier("2.5.4.3"), Some(vec![0x55, 4, 3]));
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        assert_eq!(object_identifier("emailAddress").as_deref(), Some(email.as_slice()));
        let domain = [9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
        assert_eq!(object_identifier("DC").as_deref(), Some(domain.as_slice()));
        for wrong in ["XX", "", "2", "3.1", "1.40", "2.5.x", "2.4294967295", "1.2.4294967296"] {
            assert_eq!(object_identifier(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn titles() {
        assert_eq!((title(&[0x55, 4, 3]), title(&[0x55, 4, 99])), ("CN".into(), "2.5.4.99".into()));
        for numbers in ["0.9.2342.19200300.100.1.99", "1.39.1", "2.999.3"] {
            assert_eq!(title(&encode(numbers).unwrap()), numbers);
        }
        assert_eq!(title(&[]), "0.0");
        title(&[0xff; 40]);
    }
}
