//! The command `racoon` on files that the tests write.

#![allow(clippy::unwrap_used)]

mod compare;
mod good;
mod manual;
mod options;
mod private;
mod readme;
mod refused;
mod samples;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A directory in place of `/etc/racoon`.
struct Site(TempDir);

/// What the command did.
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

    /// Writes a file that only its owner can read. `DIR` in it is this directory.
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

    /// Runs the command here. What is not yet in effect, and that there is no remote, is of interest in tests about it only.
    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.run_fully(arguments);
        Ran { stderr: without_waiting(&ran.stderr), ..ran }
    }

    /// The same, with all that is said.
    fn run_fully(&self, arguments: &[&str]) -> Ran {
        let output =
            Command::new(env!("CARGO_BIN_EXE_racoon")).args(arguments).current_dir(self.0.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(self.0.path().to_str().unwrap(), "DIR");
        Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Tests `racoon.conf`, which has to be refused; returns what is said of it.
    fn refused(&self, text: &str) -> String {
        let ran = self.write("racoon.conf", text).run(&["-t", "-f", "racoon.conf"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
        ran.stderr
    }

    /// Tests `racoon.conf`, which has to be good; returns the warnings.
    fn accepted(&self, text: &str) -> String {
        let ran = self.write("racoon.conf", text).run(&["-t", "-f", "racoon.conf"]);
        let expected = "racoon: configuration file \"racoon.conf\" syntax is ok\n\
            racoon: configuration file \"racoon.conf\" test is successful\n";
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
        ran.stderr
    }
}

/// The text without the warning about what is not yet in effect: a line that says so, and a line of it.
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

/// A remote that can stand alone, with more directives in it.
fn remote(name: &str, more: &str) -> String {
    format!(
        "remote {name} {{\n    exchange_mode main;\n    {more}\n    proposal {{\n        encryption_algorithm aes 256;\n        \
         hash_algorithm sha256;\n        authentication_method rsasig;\n        dh_group modp2048;\n    }}\n    \
         certificate_type x509 \"gw.pem\" \"gw.key\";\n}}\n"
    )
}

/// A site with the files that [`remote`] names.
fn site() -> Site {
    let site = Site::new();
    site.write("gw.pem", "certificate").write("gw.key", "key");
    site
}
