//! Hints in errors: guesses at misspelt keywords, and lists of words.

/// Largest number of words in a guess.
const MOST: usize = 6;

/// Guesses which of `words` was meant by `text`, and returns a question; `None` if none is similar.
///
/// ```
/// use libpfkey::spelling::guess;
///
/// assert_eq!(guess("spadd", ["spdadd", "spddelete"]).as_deref(), Some("did you mean `spdadd`?"));
/// ```
pub fn guess<'w>(text: &str, words: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut words: Vec<&str> = words.into_iter().collect();
    words.sort_unstable();
    words.dedup();
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
        return Some(format!("did you mean `{word}`?"));
    }
    // A part of a name, as `sha1` is of `hmac-sha1`.
    let whole: Vec<&str> = words.iter().copied().filter(|word| text.len() > 2 && word.contains(&text)).collect();
    if (1..=MOST).contains(&whole.len()) {
        let quoted: Vec<String> = whole.iter().map(|word| format!("`{word}`")).collect();
        return Some(format!("did you mean {}?", either(&quoted)));
    }
    let (distance, word) = words.into_iter().map(|word| (distance(&text, word), word)).min()?;
    // With more mistakes a short word is like any other, and the guess would mislead.
    (distance <= 1 + word.len() / 4 && distance < word.len()).then(|| format!("did you mean `{word}`?"))
}

/// Joins words: `a`, `a or b`, `a, b or c`.
pub fn either<S: AsRef<str>>(words: &[S]) -> String {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        text.push_str(match i {
            0 => "",
            _ if i + 1 == words.len() => " or ",
            _ => ", ",
        });
        text.push_str(word.as_ref());
    }
    text
}

/// Counts the insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(one: &str, other: &str) -> usize {
    // Longer than any keyword: not worth the work.
    if one.len() > 32 {
        return usize::MAX;
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // Row i: the distances from the first i bytes of `one` to each beginning of `other`.
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for i in 0..one.len() {
        let mut next = vec![i + 1; other.len() + 1];
        for j in 0..other.len() {
            let replaced = row[j] + usize::from(one[i] != other[j]);
            next[j + 1] = replaced.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && one[i] == other[j - 1] && one[i - 1] == other[j] {
                next[j + 1] = next[j + 1].min(above[j - 1] + 1);
            }
        }
        above = std::mem::replace(&mut row, next);
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("spadd", "spdadd"), 1);
        assert_eq!(distance("", "add"), 3);
        assert_eq!(distance("add", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("dump", "dump"), 0);
        assert_eq!(distance("eps", "esp"), 1);
        assert_eq!(distance("dmpu", "dump"), 2);
    }

    #[test]
    fn guesses() {
        let words = ["hmac-sha1", "keyed-sha1", "hmac-md5", "esp", "ah", "spdadd"];
        assert_eq!(guess("sha1", words).as_deref(), Some("did you mean `hmac-sha1` or `keyed-sha1`?"));
        assert_eq!(guess("hmac-md4", words).as_deref(), Some("did you mean `hmac-md5`?"));
        assert_eq!(guess("SPADD", words).as_deref(), Some("did you mean `spdadd`?"));
        assert_eq!(guess("frobnicate", words), None);
        assert_eq!(guess("x", words), None);
        assert_eq!(guess(&"x".repeat(1000), words), None);
    }

    #[test]
    fn lists() {
        assert_eq!(either::<&str>(&[]), "");
        assert_eq!(either(&["a"]), "a");
        assert_eq!(either(&["a", "b"]), "a or b");
        assert_eq!(either(&["a", "b", "c"]), "a, b or c");
    }
}
