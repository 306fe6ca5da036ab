//! Guessing which keyword a wrong word was meant to be, and listing what may stand somewhere.

/// The most words a guess names.
const MOST: usize = 6;

/// A guess at which of `words` the word `text` was meant to be, as a question; `None` when none is like it.
pub(crate) fn guess<'w>(text: &str, words: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut words: Vec<&str> = words.into_iter().collect();
    words.sort_unstable();
    words.dedup();
    // A part of a name, as `sha1` is of `hmac-sha1`.
    let whole: Vec<&str> = words.iter().copied().filter(|word| text.len() > 2 && word.contains(&text)).collect();
    if (1..=MOST).contains(&whole.len()) {
        let quoted: Vec<String> = whole.iter().map(|word| format!("`{word}`")).collect();
        return Some(format!("did you mean {}?", either(&quoted)));
    }
    let (distance, word) = words.into_iter().map(|word| (distance(&text, word), word)).min()?;
    (distance <= 1 + word.len() / 4 && distance < word.len()).then(|| format!("did you mean `{word}`?"))
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn either<S: AsRef<str>>(words: &[S]) -> String {
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

/// Insertions, deletions and replacements between two words.
fn distance(one: &str, other: &str) -> usize {
    // Longer than any keyword: not worth the work.
    if one.len() > 32 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
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
