//! The command `racoon` with configurations written by the tests.

#![allow(clippy::unwrap_used)]

mod compare;
mod good;
mod manual;
mod options;
#[path = "../shared/pki.rs"]
mod pki;
mod private;
mod readme;
mod refused;
mod samples;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use pki::Authority;
use tempfile::TempDir;

/// A directory in place of `/etc/racoon`.
struct Site(TempDir);

/// Result of a run.
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only its owner can read. `DIR` stands for this directory.
    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("DIR", self.0.path().to_str().unwrap())).unwrap();
        self.allow(name, 0o600)
    }

    fn allow(&self, name: &str, mode: u32) -> &Self {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Runs the command in the directory. Warnings about unimplemented directives and missing remotes are removed; only
    /// tests about them want them.
    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.run_fully(arguments);
        Ran { stderr: without_waiting(&ran.stderr), ..ran }
    }

    /// Runs the command in the directory.
    fn run_fully(&self, arguments: &[&str]) -> Ran {
        let output =
            Command::new(env!("CARGO_BIN_EXE_racoon")).args(arguments).current_dir(self.0.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(self.0.path().to_str().unwrap(), "DIR");
        Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Checks a `racoon.conf` that has to be refused. Returns the errors.
    fn refused(&self, text: &str) -> String {
        let ran = self.write("racoon.conf", text).run(&["-t", "-f", "racoon.conf"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
        ran.stderr
    }

    /// Checks a `racoon.conf` that has to be accepted. Returns the warnings.
    fn accepted(&self, text: &str) -> String {
        let ran = self.write("racoon.conf", text).run(&["-t", "-f", "racoon.conf"]);
        let expected = "racoon: configuration file \"racoon.conf\" syntax is ok\n\
            racoon: configuration file \"racoon.conf\" test is successful\n";
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
        ran.stderr
    }
}

/// Removes the warnings about unimplemented directives (two lines) and about missing remotes.
fn without_waiting(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        if line.contains("warning: accepted, not yet in effect") {
            lines.next();
        } else if !line.contains("warning: no remote section") {
            kept.push_str(line);
        }
    }
    kept
}

/// Returns a complete remote section with additional directives.
fn remote(name: &str, more: &str) -> String {
    format!(
        "remote {name} {{\n    exchange_mode main;\n    {more}\n    proposal {{\n        encryption_algorithm aes 256;\n        \
         hash_algorithm sha256;\n        authentication_method rsasig;\n        dh_group modp2048;\n    }}\n    \
         certificate_type x509 \"gw.pem\" \"gw.key\";\n}}\n"
    )
}

/// Returns a directory with the files that [`remote`] names.
fn site() -> Site {
    let site = Site::new();
    let own = Authority::new().issue_rsa("gw.example", 2, 300);
    site.write("gw.pem", &own.certificate).write("gw.key", &own.key);
    site
}
