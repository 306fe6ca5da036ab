//! The file of pre-shared keys as the engine's table.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ipsec_conf::psk::{LineProblem, PreSharedKeys};
use racoon_proto::psk::{KeyTable, NoKey};
use zeroize::Zeroizing;

use crate::files::Files;

/// The file of `path pre_shared_key`; none at first. It is read for each look-up, so that what is written into it counts at
/// once. A clone reads the same file.
#[derive(Clone, Debug, Default)]
pub struct KeyFile {
    path: Arc<RwLock<Option<PathBuf>>>,
    files: Files,
}

impl KeyFile {
    /// A file of these.
    pub fn of(files: Files) -> Self {
        Self { files, ..Self::default() }
    }

    /// From now on this file, or none.
    pub fn set_path(&self, path: Option<PathBuf>) {
        *self.path.write().unwrap_or_else(PoisonError::into_inner) = path;
    }
}

impl KeyTable for KeyFile {
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        let path = self.path.read().unwrap_or_else(PoisonError::into_inner).clone();
        let path = path.ok_or_else(|| NoKey("`path pre_shared_key' is not set".into()))?;
        let (keys, problems) = PreSharedKeys::load(&path, &self.files).map_err(|error| NoKey(error.to_string()))?;
        let found = keys.find(name).map(|key| Zeroizing::new(key.to_vec()));
        found.ok_or_else(|| NoKey(advice(&path, &problems)))
    }
}

/// What to do where a line is missing. It may be there, and be none that can be used.
fn advice(path: &Path, problems: &[LineProblem]) -> String {
    let advice = format!("add a line to {}", path.display());
    match problems.iter().find(|problem| problem.loses_the_line()) {
        Some(problem) => format!("{advice}, whose line {} cannot be used: {problem}", problem.line),
        None => advice,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    /// A table, and the file that it reads.
    fn table() -> (TempDir, PathBuf, KeyFile) {
        let directory = tempfile::tempdir().unwrap();
        let (path, table) = (directory.path().join("psk.txt"), KeyFile::default());
        table.clone().set_path(Some(path.clone()));
        (directory, path, table)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn why_not(table: &KeyFile) -> String {
        table.key(b"192.0.2.1").unwrap_err().0
    }

    #[test]
    fn the_file_is_read_each_time() {
        let (_directory, path, table) = table();
        write(&path, "192.0.2.1 first\n", 0o640);
        assert_eq!(table.key(b"192.0.2.1").unwrap().as_slice(), b"first");
        write(&path, "192.0.2.1 second\n", 0o600);
        assert_eq!(table.key(b"192.0.2.1").unwrap().as_slice(), b"second");
        table.set_path(None);
        assert_eq!(why_not(&table), "`path pre_shared_key' is not set");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_directory, path, table) = table();
        for mode in [0o604, 0o660, 0o601] {
            write(&path, "* key\n", mode);
            let expected = format!("{}: mode {mode:04o} is too open", path.display());
            assert!(why_not(&table).starts_with(&expected), "{}", why_not(&table));
        }
        fs::remove_file(&path).unwrap();
        assert!(why_not(&table).contains("No such file"));
    }

    #[test]
    fn the_line_that_is_missing_may_be_one_that_cannot_be_used() {
        let (_directory, path, table) = table();
        let advice = format!("add a line to {}", path.display());
        write(&path, "192.0.2.2 key\r\n", 0o600);
        assert_eq!(why_not(&table), advice);
        write(&path, "192.0.2.2 key\r\n192.0.2.1 0x5ecre7\n192.0.2.3\n", 0o600);
        assert_eq!(why_not(&table), advice + ", whose line 2 cannot be used: after 0x stand hex digits, two an octet");
    }
}
