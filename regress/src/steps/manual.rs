//! Checks of the manual pages.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::{tools, tree};

/// What mandoc reports for references to pages that are not installed on this machine: ours, and those of other
/// systems. A test checks references instead.
const UNKNOWN_REFERENCES: [&str; 2] = ["STYLE: referenced manual not found", "outdated mandoc.db"];

/// Lets mandoc(1) check every page, including its style.
pub(super) fn check() -> Result<Summary> {
    let pages = tree::files(&tree::root().join("man"), &[".1", ".3", ".5", ".8"])?;
    ensure!(!pages.is_empty(), "no manual pages found");
    tools::packages(&["mandoc"])?;
    let check =
        |page: &std::path::PathBuf| lint(page).map_or_else(|error| Summary::failed_with(&error), |()| Summary::PASSED);
    Ok(pages.iter().map(check).sum())
}

fn lint(page: &Path) -> Result<()> {
    HostCommand::new("mandoc").split_args("-T lint -W warning").arg(page).run()?;
    let keeps = |line: &str| !UNKNOWN_REFERENCES.iter().any(|text| line.contains(text));
    // The exit status also counts the lines that are left out here.
    let output =
        HostCommand::new("mandoc").split_args("-T lint -W style").arg(page).keep_lines(keeps).run_captured().output;
    match output.lines().skip(1).collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        faults => bail!("{}", faults.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Pages of other packages and systems that ours may refer to.
    const EXTERNAL: [&str; 11] = [
        "glob 3",
        "if_ipsec 4",
        "ip-xfrm 8",
        "ipsec 4",
        "protocols 5",
        "ps 1",
        "rc 8",
        "services 5",
        "syslogd 8",
        "systemd 1",
        "systemd.exec 5",
    ];

    #[test]
    fn references_are_to_known_pages() {
        let pages = tree::files(&tree::root().join("man"), &[".3", ".5", ".8"]).unwrap();
        let names = pages.iter().map(|page| page.file_name().unwrap().to_string_lossy().into_owned());
        let own: Vec<String> =
            names.map(|name| name.rsplit_once('.').map(|(name, part)| format!("{name} {part}")).unwrap()).collect();
        let mut seen = 0;
        for page in &pages {
            let text = fs::read_to_string(page).unwrap();
            for line in text.lines().filter(|line| line.starts_with('.')) {
                for rest in line.split("Xr ").skip(1) {
                    let reference: Vec<&str> = rest.split(' ').take(2).collect();
                    let reference = reference.join(" ");
                    let known = own.contains(&reference) || EXTERNAL.contains(&reference.as_str());
                    assert!(known, "{}: {line}", page.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
