//! The assignment of one boot of the lab: a JSON file that the program inside reads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Selection;
use super::case::{Case, CaseFile};

/// A share of the cases.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) setkey: PathBuf,
    pub(super) selection: Selection,
    pub(super) files: Vec<PathBuf>,
    /// Every `shares`th of the selected cases, from this index on. Neighbouring cases take similar time, so this
    /// balances the shares.
    pub(super) share: usize,
    pub(super) shares: usize,
    /// The file to which results are appended.
    pub(super) report: PathBuf,
}

impl Assignment {
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    pub(super) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Returns the cases of this share. `files` must be loaded in the order of `self.files`.
    pub(super) fn cases<'a>(&self, files: &'a [CaseFile]) -> impl Iterator<Item = (&'a Path, &'a Case)> {
        let all = files.iter().flat_map(|file| file.cases.iter().map(move |case| (file.path.as_path(), case)));
        all.filter(|(_, case)| self.selection.takes(case)).skip(self.share).step_by(self.shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_and_complete() {
        let text: String = (0..7).map(|n| format!("=== case-{n}\n--- script\n")).collect();
        let files = [CaseFile::parse(Path::new("x.case"), &text).expect("a case file")];
        let mut names = Vec::new();
        for share in 0..3 {
            let selection = Selection { backend: "pfkey".to_owned(), filter: String::new() };
            let (setkey, report) = (PathBuf::new(), PathBuf::new());
            let assignment = Assignment { setkey, selection, files: Vec::new(), share, shares: 3, report };
            names.extend(assignment.cases(&files).map(|(_, case)| case.name.clone()));
        }
        names.sort();
        assert_eq!(names, (0..7).map(|n| format!("case-{n}")).collect::<Vec<_>>());
    }
}
