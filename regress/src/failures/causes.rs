//! Checks the table of causes in README.md: each log line that it names must have been logged by a failure.

use anyhow::{Result, ensure};

const README: &str = include_str!("../../../README.md");

/// The header of the table.
const HEAD: &str = "| the line says | look at |\n|---|---|\n";

/// Searches `lines`, from all logs of all failures, for each line that the table names.
pub(super) fn check(lines: &[String]) -> Result<()> {
    let lines: Vec<String> = lines.iter().map(|line| normalize(line)).collect();
    let is_logged = |parts: &[String]| lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    let missing: Vec<String> =
        named(README).into_iter().filter(|parts| !is_logged(parts)).map(|parts| parts.join(" … ")).collect();
    ensure!(missing.is_empty(), "not logged by any failure: {}", missing.join("; "));
    Ok(())
}

/// Returns the log lines that the table names, each split at its ellipses and brackets.
fn named(readme: &str) -> Vec<Vec<String>> {
    let table = readme.split_once(HEAD).map_or("", |(_, rest)| rest);
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1)?.trim().strip_prefix('`')?.split('`').next());
    let parts = |cell: &str| {
        cell.split(['…', '[', ']']).map(|part| normalize(part.trim())).filter(|part| !part.is_empty()).collect()
    };
    cells.map(parts).collect()
}

/// Replaces one host's address by the other's, since either may log the line.
fn normalize(text: &str) -> String {
    text.replace("192.0.2.1", "192.0.2.2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_parsed() {
        let readme = format!(
            "Text\n\n{HEAD}| `no key for 192.0.2.1: …` | that |\n| `a […], b […]` (responder) | it |\n| nothing | x |\n\n| y |"
        );
        assert_eq!(named(&readme), [vec!["no key for 192.0.2.2:"], vec!["a", ", b"]]);
        assert!(named(README).len() > 10, "{:?}", named(README));
    }

    #[test]
    fn a_line_that_is_not_logged_is_an_error() {
        assert!(check(&[]).unwrap_err().to_string().contains("no sainfo"));
    }
}
