//! Paths in the source tree and in the build folder.

use std::path::{Path, PathBuf};

/// Returns the root of the workspace.
pub(crate) fn root() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder)
}

/// Returns the build folder: `CARGO_TARGET_DIR`, or `target`.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Returns the folder for tools that Debian does not package.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// Returns the path of a program of this workspace, built with the profile `debug` or `release`.
pub(crate) fn program(name: &str, profile: &str) -> PathBuf {
    target().join(profile).join(name)
}

/// Returns the files below `dir` whose names end in one of `endings`, sorted by path.
pub(crate) fn files(dir: &Path, endings: &[&str]) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if dir.is_dir() {
        collect(dir, endings, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(dir: &Path, endings: &[&str], found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in dir.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, endings, found)?;
        } else if path.to_str().is_some_and(|name| endings.iter().any(|ending| name.ends_with(ending))) {
            found.push(path);
        }
    }
    Ok(())
}
