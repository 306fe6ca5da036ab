//! Tools that the steps need, installed if they are missing.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

use crate::command::HostCommand;
use crate::lab;
use crate::tree;

/// Debian packages for every build.
pub(crate) const BUILD: &[&str] = &["gcc", "libssl-dev", "pkg-config"];
/// Debian packages for the lab in User Mode Linux.
pub(crate) const LAB: &[&str] = &["user-mode-linux", "kmod", "iproute2", "iputils-ping", "netbase"];
/// Debian packages for the lab in namespaces of this machine.
pub(crate) const HOST_LAB: &[&str] = &["iproute2", "iputils-ping"];
/// Debian packages with a compiler and the sources of `std`, to check targets without a prebuilt one.
pub(crate) const STD_SOURCE: &[&str] = &["rustc-web", "rust-web-src"];

const DENY_VERSION: &str = "0.20.2";
const FUZZ_VERSION: &str = "0.13.2";
const ZIG_VERSION: &str = "0.17.1";

/// Installs Debian packages that are missing. On other systems it does nothing: whatever needs a program reports it.
///
/// # Errors
/// Without the right to install packages, names those that are missing.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    if lab::find_program("dpkg-query").is_none() || names.iter().all(|name| installed(name)) {
        return Ok(());
    }
    let _lock = lock("packages")?;
    // Another step may have installed them while this one waited for the lock.
    let missing: Vec<_> = names.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    if !nix::unistd::geteuid().is_root() {
        bail!("packages are missing; as root, run: apt-get install {missing}");
    }
    // Package indexes as old as a container image name versions that mirrors no longer have.
    HostCommand::new("apt-get").split_args("-qq update").run()?;
    let install = HostCommand::new("apt-get").split_args("-qq install -y --no-install-recommends").split_args(&missing);
    install.env("DEBIAN_FRONTEND", "noninteractive").run()
}

/// Takes the lock of this name, for steps that run in parallel and fetch the same files.
pub(crate) fn lock(name: &str) -> Result<Flock<File>> {
    fs::create_dir_all(tree::tools())?;
    let path = tree::tools().join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).with_context(|| path.display().to_string())
}

/// Installs a component of the Rust toolchain, `rustfmt` or `clippy`, if it is missing.
pub(crate) fn component(name: &str) -> Result<()> {
    let program = if name == "rustfmt" { "cargo-fmt" } else { "cargo-clippy" };
    let works = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    HostCommand::new("rustup").split_args("component add").arg(name).run()
}

/// Returns the path of cargo-deny.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    cargo_tool("cargo-deny", DENY_VERSION)
}

/// Returns the path of cargo-fuzz.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    cargo_tool("cargo-fuzz", FUZZ_VERSION)
}

/// Returns the folder for `PYTHONPATH` with which `python3 -m ziglang` works: a C compiler with the headers of many
/// systems.
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
        // Unoptimized: building it takes longer than running it.
        let install = HostCommand::cargo("install --quiet --locked --debug --version")
            .arg(version)
            .arg(name)
            .arg("--root")
            .arg(&root);
        // A folder of its own lets an interrupted build continue.
        install.env("CARGO_TARGET_DIR", tree::tools().join("build")).run()?;
    }
    Ok(program)
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Abbrev}", package]).stderr(Stdio::null());
    query.output().is_ok_and(|answer| answer.stdout.starts_with(b"ii"))
}
