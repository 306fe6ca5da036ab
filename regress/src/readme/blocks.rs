//! The code blocks of README.md.

/// A code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Shell commands, indented by four blanks. The paragraph before them says whether they are for one host or for
    /// both.
    Shell { line: usize, text: String, on_both: bool },
    /// A file, in a fence of the language `conf`. The paragraph before it starts with the name of the file.
    File { line: usize, path: String, text: String },
}

const FENCE: &str = "```";
const INDENT: &str = "    ";

/// Returns the blocks in order. Fences of other languages than `conf` are left out.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut paragraph = String::new();
    let mut lines = (1..).zip(text.lines()).peekable();
    while let Some((line, first)) = lines.next() {
        if let Some(language) = first.strip_prefix(FENCE) {
            let body = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != FENCE);
            let text: String = body.map(|text| format!("{text}\n")).collect();
            if language == "conf" {
                let path =
                    paragraph.strip_prefix('`').and_then(|rest| rest.split_once('`')).map_or("", |(path, _)| path);
                blocks.push(Block::File { line, path: path.to_owned(), text });
            }
        } else if let Some(command) = first.strip_prefix(INDENT) {
            let mut text = format!("{command}\n");
            while let Some((_, next)) = lines.next_if(|(_, next)| next.starts_with(INDENT)) {
                text.push_str(next.strip_prefix(INDENT).unwrap_or(next));
                text.push('\n');
            }
            blocks.push(Block::Shell { line, text, on_both: !paragraph.contains("on one of them") });
        } else if first.is_empty() {
            // Blank lines separate a block from its paragraph.
            if lines.peek().is_some_and(|(_, next)| !next.starts_with(INDENT) && !next.starts_with(FENCE)) {
                paragraph.clear();
            }
        } else {
            paragraph.push_str(first);
            paragraph.push('\n');
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands() {
        let text = "# Title\n\nText.\n\n    make\n    make install\n\n`/etc/a` is:\n\n```conf\nx;\n\n    y;\n```\n\n\
                    ```text\n    picture\n```\n\nThen, on one of them:\n\n    ping\n\non both:\n\n    kill\n";
        let shell = |line, text: &str, on_both| Block::Shell { line, text: text.to_owned(), on_both };
        let expected = [
            shell(5, "make\nmake install\n", true),
            Block::File { line: 10, path: "/etc/a".to_owned(), text: "x;\n\n    y;\n".to_owned() },
            shell(22, "ping\n", false),
            shell(26, "kill\n", true),
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn the_readme_has_the_expected_blocks() {
        let text = std::fs::read_to_string(crate::tree::root().join("README.md")).unwrap();
        let blocks = blocks(&text);
        let files = blocks.iter().filter_map(|block| match block {
            Block::File { path, .. } => Some(path.as_str()),
            Block::Shell { .. } => None,
        });
        let racoon = "/etc/racoon/racoon.conf";
        let expected = ["/etc/ipsec.conf", "/etc/racoon/psk.txt", racoon, racoon, "/etc/ipsec.conf"];
        assert_eq!(files.collect::<Vec<_>>(), expected);
        let ones = blocks.iter().filter(|block| matches!(block, Block::Shell { on_both: false, .. }));
        assert_eq!(ones.count(), 3);
    }
}
