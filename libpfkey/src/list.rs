//! Lists of a kernel's databases: the answers to DUMP and X_SPDDUMP.
//!
//! A kernel without buffer space for an answer may drop it without a sign. The sequence numbers of the answers then have a
//! gap, or the last answer never comes.

/// Number of times a database is listed while entries get lost.
pub const TRIES: usize = 4;

/// Receive buffer for lists, in KiB.
pub const BUFFER_KIB: usize = 8 << 10;

/// Returns whether no entry is missing from a list, by the sequence numbers of its messages in the order of arrival.
///
/// Linux numbers the entries from 1, with 0 for the last; the BSDs count down to 0. Some losses do not show in the numbers:
/// on Linux that of the entries right before the last, on the BSDs that of the first entries.
///
/// ```
/// use libpfkey::list::is_complete;
///
/// assert!(is_complete(&[1, 2, 0]), "Linux");
/// assert!(is_complete(&[2, 1, 0]), "BSD");
/// assert!(!is_complete(&[2, 0]), "an entry is missing");
/// ```
pub fn is_complete(numbers: &[u32]) -> bool {
    let last = numbers.len().saturating_sub(1);
    let numbers = || numbers.iter().map(|number| usize::try_from(*number).unwrap_or(usize::MAX)).enumerate();
    let counts_up = numbers().all(|(index, number)| number == if index == last { 0 } else { index + 1 });
    counts_up || numbers().all(|(index, number)| number == last - index)
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    #[test]
    fn complete_lists() {
        for numbers in [&[][..], &[0], &[1, 0], &[1, 2, 3, 0], &[2, 1, 0]] {
            assert!(is_complete(numbers), "{numbers:?}");
        }
    }

    #[test]
    fn gaps() {
        for (numbers, missing) in [
            (&[2, 3, 0][..], "the first entry, on Linux"),
            (&[3, 0], "the first entries, on Linux"),
            (&[1, 3, 0], "one in the middle, on Linux"),
            (&[1, 2, 3], "the last one, on Linux"),
            (&[1], "the last one, on Linux"),
            (&[3, 1, 0], "one in the middle, on a BSD"),
            (&[2, 0], "one in the middle, on a BSD"),
            (&[2, 1], "the last one, on a BSD"),
        ] {
            assert!(!is_complete(numbers), "{missing} is missing: {numbers:?}");
        }
        assert!(!is_complete(&[1, 1, 0]) && !is_complete(&[u32::MAX, 0]));
    }
}
