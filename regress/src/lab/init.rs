//! The first process in the lab's kernel: it mounts, loads modules, runs the command, and powers off.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

use super::plan::{Plan, WORK};
use super::{console, etc, sys};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs as process 1 and does not return: whatever happens, it powers off.
pub(crate) fn run(work: &Path) -> Result<()> {
    if std::process::id() != 1 {
        anyhow::bail!("`in-lab init` is for process 1 of the lab");
    }
    if let Err(error) = serve(work) {
        // Only the console receives this. Without a status file, `Boot` reads the console.
        eprintln!("{}{error:#}", console::ERROR_PREFIX);
    }
    nix::unistd::sync();
    reboot(RebootMode::RB_POWER_OFF)?;
    Ok(())
}

fn serve(work: &Path) -> Result<()> {
    let plan = Plan::load(work)?;
    mount_all(work, &plan)?;
    load_modules(&plan.modules)?;
    sys::lo_up().context("lo")?;
    run_command(&plan)
}

fn mount_all(work: &Path, plan: &Plan) -> Result<()> {
    let none = MsFlags::empty();
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run"), ("tmpfs", "/dev/shm")] {
        // The device file system may lack a mount point. That is not fatal.
        let done = mount(Some(kind), at, Some(kind), none, None::<&str>);
        if at != "/dev/shm" {
            done.with_context(|| format!("mount {at}"))?;
        }
    }
    let _ = fs::create_dir_all("/dev/pts");
    mount(Some("devpts"), "/dev/pts", Some("devpts"), none, Some("ptmxmode=666")).context("mount /dev/pts")?;
    for dir in [WORK, "/run/netns", "/run/racoon"] {
        fs::create_dir_all(dir)?;
    }
    share(work, Path::new(WORK))?;
    for dir in &plan.shares {
        share(dir, dir)?;
    }
    etc::install()
}

/// Mounts the folder `from` of the machine, writable, at `at`.
fn share(from: &Path, at: &Path) -> Result<()> {
    mount(Some("none"), at, Some("hostfs"), MsFlags::empty(), Some(from))
        .with_context(|| format!("share {}", from.display()))
}

fn load_modules(names: &[String]) -> Result<()> {
    let root = Path::new(WORK).join("root");
    // `-a -q` skips modules that this kernel lacks. A test that needs one fails with a better message.
    Command::new("modprobe")
        .args(["-q", "-a", "-d"])
        .arg(root)
        .args(names)
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .status()
        .context("modprobe")?;
    // Everything available is loaded by now. For each unknown name the kernel would fork modprobe, and a SADB_REGISTER
    // asks for dozens.
    fs::write("/proc/sys/kernel/modprobe", "\n").context("switching module loading off")
}

/// Runs the command of a plan and records its exit status.
pub(super) fn run_command(plan: &Plan) -> Result<()> {
    let (program, arguments) = plan.command.split_first().context("no command")?;
    let out = File::options().append(true).open(Path::new(WORK).join("out"))?;
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/run"), ("TMPDIR", "/run"), ("LC_ALL", "C"), ("TZ", "UTC0")])
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .current_dir("/run")
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .status()
        .with_context(|| program.clone())?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    fs::write(Path::new(WORK).join("status"), code.to_string()).context("status")
}
