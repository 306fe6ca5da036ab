//! The tools that the checks need, installed when they are missing.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

use crate::command::HostCommand;
use crate::lab;
use crate::tree;

/// Debian packages: what every build needs.
pub(crate) const BUILD: &[&str] = &["gcc", "libssl-dev", "pkg-config"];
/// Debian packages: what the lab needs.
pub(crate) const LAB: &[&str] = &["user-mode-linux", "kmod", "iproute2", "iputils-ping", "netbase"];
/// Debian packages: what the lab needs in namespaces of the host's kernel.
pub(crate) const HOST_LAB: &[&str] = &["iproute2", "iputils-ping"];
/// Debian packages: a compiler with the sources of `std`, to check for systems without a ready-made one.
pub(crate) const STD_SOURCE: &[&str] = &["rustc-web", "rust-web-src"];

const DENY_VERSION: &str = "0.20.2";
const FUZZ_VERSION: &str = "0.13.2";
const ZIG_VERSION: &str = "0.17.1";

/// Sees to it that these Debian packages are there. On other systems whatever needs a program names it.
///
/// # Errors
/// Names the missing packages where we may not install them.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    if lab::find_program("dpkg-query").is_none() || names.iter().all(|name| installed(name)) {
        return Ok(());
    }
    let _lock = lock("packages")?;
    let missing: Vec<_> = names.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    if !nix::unistd::geteuid().is_root() {
        bail!("missing packages; run as root: apt-get install {missing}");
    }
    // Indexes as old as a container image name packages that mirrors no longer have.
    HostCommand::new("apt-get").split_args("-qq update").run()?;
    let install = HostCommand::new("apt-get").split_args("-qq install -y --no-install-recommends").split_args(&missing);
    install.env("DEBIAN_FRONTEND", "noninteractive").run()
}

/// Waits until no other step does what has this name: steps that run side by side fetch the same things.
pub(crate) fn lock(name: &str) -> Result<Flock<File>> {
    fs::create_dir_all(tree::tools())?;
    let path = tree::tools().join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).with_context(|| path.display().to_string())
}

/// Sees to it that a component of the Rust toolchain is there: `rustfmt`, `clippy`.
pub(crate) fn component(name: &str) -> Result<()> {
    let program = if name == "rustfmt" { "cargo-fmt" } else { "cargo-clippy" };
    let works = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    HostCommand::new("rustup").split_args("component add").arg(name).run()
}

/// cargo-deny.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    cargo_tool("cargo-deny", DENY_VERSION)
}

/// cargo-fuzz.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    cargo_tool("cargo-fuzz", FUZZ_VERSION)
}

/// The folder to put in `PYTHONPATH` for `python3 -m ziglang`: a C compiler with the headers of many systems.
pub(crate) fn zig() -> Result<PathBuf> {
    let dir = tree::tools().join(format!("ziglang-{ZIG_VERSION}"));
    if !dir.join("ziglang").is_dir() {
        if lab::find_program("python3").is_none() || lab::find_program("pip").is_none() {
            packages(&["python3", "python3-pip"])?;
        }
        let install =
            HostCommand::new("python3").split_args("-m pip install --quiet --disable-pip-version-check --no-deps");
        let install = install.arg(format!("ziglang=={ZIG_VERSION}")).arg("--target").arg(&dir);
        install.env("PIP_ROOT_USER_ACTION", "ignore").run()?;
    }
    Ok(dir)
}

fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(found) = lab::find_program(name) {
        return Ok(found);
    }
    let root = tree::tools().join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.is_file() {
        // Not optimized: it is built more often than it works long.
        let install = HostCommand::cargo("install --quiet --locked --debug --version")
            .arg(version)
            .arg(name)
            .arg("--root")
            .arg(&root);
        // Its own folder, so that an interrupted build of a tool goes on where it was.
        install.env("CARGO_TARGET_DIR", tree::tools().join("build")).run()?;
    }
    Ok(program)
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Abbrev}", package]).stderr(Stdio::null());
    query.output().is_ok_and(|answer| answer.stdout.starts_with(b"ii"))
}
