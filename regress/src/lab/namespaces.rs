//! The lab in namespaces of the running kernel: process, mount, network and IPC namespaces, and a user namespace unless
//! root makes them.
//!
//! Two processes stand between the command and this program. The first creates the namespaces, the second is process 1
//! in them. Each is killed when its parent ends, and the kernel ends all processes of a process namespace with its
//! process 1.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getegid, geteuid, getppid};

use super::boot::this_program;
use super::init::run_command;
use super::plan::{Plan, WORK};
use super::sys::{self, Access};
use super::{console, etc};

/// Folder of a boot on which the lab's `/run` is mounted before it is moved.
const RUN: &str = "run";

/// Starts the process that creates the namespaces.
pub(super) fn start(work: &Path, console: File) -> Result<Child> {
    fs::create_dir(work.join(RUN))?;
    in_lab_command("namespaces", work, console)?
        .arg(std::process::id().to_string())
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("the process that makes the namespaces")
}

fn in_lab_command(role: &str, work: &Path, output: File) -> Result<Command> {
    let mut command = Command::new(this_program()?);
    command.args(["in-lab", role]).arg(work).stdout(output.try_clone()?).stderr(output);
    Ok(command)
}

/// Creates the namespaces for the process `parent`, and waits for their process 1.
pub(crate) fn make(work: &Path, parent: &str) -> Result<()> {
    let parent = Pid::from_raw(parent.parse()?);
    end_with_parent()?;
    ensure!(getppid() == parent, "`in-lab namespaces` is for the lab");
    report_failure(|| {
        // Opened before the mounts change: a file open for writing keeps its mount from becoming read-only.
        let console = File::options().append(true).open(work.join("console"))?;
        unshare_namespaces()?;
        // A change of credentials clears the setting.
        end_with_parent()?;
        let mut first = in_lab_command("first", work, console)?.stdin(Stdio::piped()).spawn().context("process 1")?;
        // Process 1 notices the end of this process when the pipe is closed.
        let lifeline = first.stdin.take();
        first.wait()?;
        drop(lifeline);
        Ok(())
    })
}

/// Runs as process 1 of the namespaces: mounts, and runs the command.
pub(crate) fn run(work: &Path) -> Result<()> {
    end_with_parent()?;
    ensure!(std::process::id() == 1, "`in-lab first` is for process 1 of the lab");
    // The parent may have ended before `end_with_parent`.
    let stdin = std::io::stdin();
    let mut lifeline = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    ensure!(poll(&mut lifeline, PollTimeout::ZERO)? == 0, "the lab has ended");
    report_failure(|| serve(work))
}

/// Runs `work`, and reports an error on the console.
fn report_failure(work: impl FnOnce() -> Result<()>) -> Result<()> {
    if let Err(error) = work() {
        eprintln!("{}{error:#}", console::ERROR_PREFIX);
    }
    Ok(())
}

fn end_with_parent() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("PR_SET_PDEATHSIG")
}

/// Enters new namespaces. If root lacks the right, as in a container, it tries a user namespace.
fn unshare_namespaces() -> Result<()> {
    let flags =
        CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        match unshare(flags) {
            Err(Errno::EPERM) => {}
            done => return done.context("cannot create namespaces"),
        }
    }
    unshare(CloneFlags::CLONE_NEWUSER | flags).context("cannot create a user namespace")?;
    // In this order: without root, the kernel accepts a map of groups only after setgroups(2) is disabled.
    for (file, text) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {user} 1")), ("gid_map", format!("0 {group} 1"))]
    {
        let path = Path::new("/proc/self").join(file);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn serve(work: &Path) -> Result<()> {
    let plan = Plan::load(work)?;
    mount_all(work, &plan)?;
    sys::lo_up().context("lo")?;
    run_command(&plan)
}

/// Makes the file systems read-only except for shares, and mounts `/run`, `/etc` and `/proc` for the lab.
fn mount_all(work: &Path, plan: &Plan) -> Result<()> {
    let root = Path::new("/");
    let nothing = None::<&str>;
    // Otherwise the mounts below would also appear on the machine.
    mount(nothing, root, nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).context("private mounts")?;
    sys::set_access(root, Access::ReadOnly).context("read-only mounts")?;
    let hardened = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), hardened, nothing).context("mount /proc")?;
    // The lab may change network settings, which belong to its network namespace.
    bind(Path::new("/proc/sys"), Path::new("/proc/sys"), Access::ReadOnly)?;
    bind(Path::new("/proc/sys/net"), Path::new("/proc/sys/net"), Access::Writable)?;
    // Mounted elsewhere and then moved, since the folder of the boot may be below /run.
    let run = work.join(RUN);
    mount(Some("run"), &run, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("tmpfs for /run")?;
    for dir in ["lab", "netns", "racoon", "outside", "outside/run", "outside/etc"] {
        fs::create_dir(run.join(dir)).with_context(|| format!("/run/{dir}"))?;
    }
    bind(work, &run.join("lab"), Access::Writable)?;
    bind(Path::new("/run"), &run.join("outside/run"), Access::ReadOnly)?;
    bind(Path::new("/etc"), &run.join("outside/etc"), Access::ReadOnly)?;
    link_folders(&run)?;
    for dir in &plan.shares {
        bind(dir, dir, Access::Writable)?;
    }
    mount(Some(&run), "/run", nothing, MsFlags::MS_MOVE, nothing).context("moving /run")?;
    ensure!(Path::new(WORK).join("plan.json").is_file(), "{WORK} is not the folder of the boot");
    etc::replace()
}

/// Links the folders of the machine's `/run` into the new one at `run`: disks and some systems' programs are there.
fn link_folders(run: &Path) -> Result<()> {
    for entry in fs::read_dir("/run").context("/run")? {
        let entry = entry?;
        let (link, target) = (run.join(entry.file_name()), Path::new("/run/outside/run").join(entry.file_name()));
        if entry.file_type()?.is_dir() && !link.exists() {
            symlink(target, link).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

/// Makes the folder `from` also visible at `to`.
fn bind(from: &Path, to: &Path, access: Access) -> Result<()> {
    let nothing = None::<&str>;
    mount(Some(from), to, nothing, MsFlags::MS_BIND | MsFlags::MS_REC, nothing)
        .with_context(|| format!("bind {}", from.display()))?;
    sys::set_access(to, access).with_context(|| format!("access to {}", to.display()))
}
