//! Every test that `DEVIATIONS.md` cites must exist, as a case, a test or a scenario of that name.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Collects all files below a folder, except those in `target`.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            files(&path, into);
        } else if path.is_file() {
            into.push(path);
        }
    }
}

/// Returns the names in the last column of each table.
fn names(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let columns = rows.filter_map(|row| row.rsplit(" | ").next());
    columns.flat_map(|column| column.split('`').skip(1).step_by(2))
}

/// Returns the name that a line of source or of a case file defines: a function, a case, or a scenario.
fn defined(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(case) = line.strip_prefix("=== ") {
        return Some(case);
    }
    // The only scenario of a list is on the line of the list.
    let scenario = line.strip_prefix("(\"").or_else(|| Some(line.split_once("&[(\"")?.1));
    if let Some(scenario) = scenario {
        return scenario.split('"').next();
    }
    line.rsplit_once("fn ")?.1.split(['(', '<']).next()
}

#[test]
fn cited_tests_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("regress/DEVIATIONS.md")).unwrap();
    let mut paths = Vec::new();
    for folder in ["ipsec-conf", "libpfkey", "racoon", "regress", "setkey"] {
        files(&root.join(folder), &mut paths);
    }
    // The name of a test module may be cited too.
    let modules = paths.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let mut known: HashSet<String> = modules.collect();
    for path in &paths {
        let text = fs::read(path).unwrap();
        known.extend(String::from_utf8_lossy(&text).lines().filter_map(defined).map(str::to_owned));
    }
    let exists = |name: &&str| {
        let last = name.rsplit("::").next().unwrap_or(name);
        known.contains(last) || root.join("regress").join(name).exists()
    };
    assert!(names(&page).count() > 150, "{} names", names(&page).count());
    let missing: Vec<_> = names(&page).filter(|name| !exists(name)).collect();
    assert_eq!(missing, [""; 0]);
}
