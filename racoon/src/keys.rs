//! The file of pre-shared keys as the engine's table.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use ipsec_conf::psk::PreSharedKeys;
use racoon_proto::psk::KeyTable;
use zeroize::Zeroizing;

use crate::files::Files;
use crate::log::Log;

/// The file of `path pre_shared_key`. It is read for each look-up, so that what is written into it counts at once. A clone
/// reads the same file.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: Arc<RwLock<Option<PathBuf>>>,
    log: Log,
}

impl KeyFile {
    /// None yet. What is wrong with a file is logged.
    pub fn new(log: Log) -> Self {
        Self { path: Arc::default(), log }
    }

    /// From now on this file, or none.
    pub fn set_path(&self, path: Option<PathBuf>) {
        *self.path.write().unwrap_or_else(PoisonError::into_inner) = path;
    }
}

impl KeyTable for KeyFile {
    fn key(&self, name: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let path = self.path.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        match PreSharedKeys::load(&path, &Files) {
            Ok((keys, _)) => keys.find(name).map(|key| Zeroizing::new(key.to_vec())),
            Err(error) => {
                self.log.error(format!("failed to open pre_share_key file {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_file_is_read_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("psk.txt");
        let (log, name) = (Log::in_memory(), b"192.0.2.1");
        let table = KeyFile::new(log.clone());
        assert_eq!(table.key(name), None);
        write(&path, "192.0.2.1 first\n", 0o640);
        table.clone().set_path(Some(path.clone()));
        assert_eq!(table.key(name).unwrap().as_slice(), b"first");
        write(&path, "192.0.2.1 second\n", 0o600);
        assert_eq!(table.key(name).unwrap().as_slice(), b"second");
        assert_eq!(table.key(b"192.0.2.2"), None);
        assert_eq!(log.written(), [""; 0]);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("psk.txt");
        let log = Log::in_memory();
        let table = KeyFile::new(log.clone());
        table.set_path(Some(path.clone()));
        for mode in [0o604, 0o660, 0o601] {
            write(&path, "* key\n", mode);
            assert_eq!(table.key(b"192.0.2.1"), None);
            let line = log.written().pop().unwrap();
            let expected = format!("ERROR: failed to open pre_share_key file {}: mode {mode:04o}", path.display());
            assert!(line.starts_with(&expected), "{line}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(table.key(b"192.0.2.1"), None);
        assert!(log.written()[0].contains("No such file"));
    }
}
