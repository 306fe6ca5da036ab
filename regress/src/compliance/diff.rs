//! A line-by-line diff of two texts.

use super::escape;

/// Returns the lines that are only in `expected` (`-`) or only in `got` (`+`), with some context.
pub(crate) fn diff(expected: &[u8], got: &[u8]) -> String {
    let (expected, got) = (escape::write(expected), escape::write(got));
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let lines = if old.len().saturating_mul(new.len()) > MAX_CELLS { unaligned(&old, &new) } else { align(&old, &new) };
    shorten(&lines)
}

/// Cells of the alignment table above which the texts are not aligned, to bound memory.
const MAX_CELLS: usize = 4_000_000;

/// Equal lines shown before and after a difference.
const CONTEXT: usize = 3;

type Line<'a> = (char, &'a str);

fn unaligned<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let removed = old.iter().map(|line| ('-', *line));
    removed.chain(new.iter().map(|line| ('+', *line))).collect()
}

/// Aligns by the longest common subsequence.
fn align<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    // common[i][j] is the length of the longest common subsequence of `old[i..]` and `new[j..]`.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    // From the end, because each cell needs those of the lines that follow.
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        // Removed lines before added ones, as in diff(1).
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    lines
}

/// Leaves out equal lines far from any difference.
fn shorten(lines: &[Line<'_>]) -> String {
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        lines.iter().skip(from).take(at - from + CONTEXT + 1).any(|&(mark, _)| mark != ' ')
    };
    let (mut text, mut gap) = (String::new(), false);
    for (at, (mark, line)) in lines.iter().enumerate() {
        if near(at) {
            text.push_str(&format!("    {mark}{line}\n"));
            gap = false;
        } else if !gap {
            text.push_str("     ...\n");
            gap = true;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_have_context() {
        assert_eq!(diff(b"a\nb\nc\n", b"a\nx\nc\n"), "     a\n    -b\n    +x\n     c\n");
        assert_eq!(diff(b"", b"new"), "    +\\new\\c\n");
        assert_eq!(diff(b"same\n", b"same\n"), "     ...\n");
    }

    #[test]
    fn distant_lines_are_omitted() {
        let old: String = (0..20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("10\n", "ten\n");
        let text = diff(old.as_bytes(), new.as_bytes());
        assert_eq!(text.matches("...").count(), 2);
        assert!(text.contains("     9\n    -10\n    +ten\n     11\n"), "{text}");
        assert!(!text.contains("     5\n"));
    }

    #[test]
    fn huge_texts_are_not_aligned() {
        let many = "x\n".repeat(3000);
        assert_eq!(diff(many.as_bytes(), many.as_bytes()).lines().count(), 6000);
    }
}
