//! Tests of the lab itself: the demo in namespaces, and the messages of a lab that fails. A lab kernel takes the place
//! of a user's machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, stdout};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::{Boot, Program, TIMEOUT, this_program, wait_until};
use crate::summary::Summary;
use crate::tree;

/// Where the lab kernel shows the programs to all its users, who may be unable to read the build folder.
const PROGRAMS: &str = "/run/programs";

/// Folder for temporary files of all users.
const TEMPORARY: &str = "/run/tmp";

/// The user `nobody`, and its group.
const NOBODY: u32 = 65534;

/// What the demo prints if all went well.
const PROTECTED: &str = "Every ping crossed the link as ESP, none in clear.";

/// Runs the tests as a step of `cargo regress`.
pub(crate) fn check() -> Result<Summary> {
    check_uml_failure()?;
    check_uml_kill()?;
    let folder = tree::target().join("debug");
    let folder = folder.to_str().context("the path of the programs is not text")?;
    let boot = Boot::regress(&["host-lab", folder])?.for_backend("xfrm").limit(Duration::from_secs(1200));
    boot.run(&mut stdout())?.check()?;
    Ok(Summary::PASSED)
}

/// A command that does not exist gives a one-line error, which names a file with the console.
fn check_uml_failure() -> Result<()> {
    let result = Boot::new(vec!["/no/such/program".to_owned()]).run(&mut stdout());
    let line = format!("{:#}", result.err().context("a command that does not exist ran")?);
    let beginning = "the lab failed: /no/such/program: No such file or directory; the console is in ";
    let file = line.strip_prefix(beginning).with_context(|| line.clone())?;
    let console = fs::read_to_string(file).with_context(|| file.to_owned())?;
    ensure!(console.contains("/no/such/program"), "{file} is not the console:\n{console}");
    fs::remove_file(file)?;
    println!("the error of a failed lab: {line}");
    Ok(())
}

/// Killing the program that booted a lab also ends the kernel and removes its files.
fn check_uml_kill() -> Result<()> {
    let mut lab = Command::new(this_program()?);
    lab.args(["lab", "--", "sh", "-c", "echo up; exec sleep 86399"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut lab = lab.spawn().context("lab")?;
    let mut argument = [0; 3];
    lab.stdout.take().context("no pipe")?.read_exact(&mut argument).context("the command did not start")?;
    // The folder's name identifies the kernel, because it is on its command line.
    let folder = std::env::temp_dir().join(format!("lab.{}.0", lab.id()));
    let name = folder.display().to_string();
    let kernel = || find_process(|line| line.starts_with("linux.uml\0") && line.contains(&name));
    let was_there = kernel().is_some() && folder.is_dir();
    lab.kill()?;
    lab.wait()?;
    ensure!(was_there, "kernel or folder of {name} not found");
    let ended = wait_until(TIMEOUT, || kernel().is_none() && !folder.exists(), || Ok(()))?;
    ensure!(ended, "the lab was killed, but {:?} or {name} remains", kernel());
    println!("passed: a killed lab ends its kernel");
    Ok(())
}

/// Runs inside the lab, as root. `folder` contains the programs.
pub(crate) fn run_in_lab(folder: &str) -> Result<()> {
    for dir in [PROGRAMS, TEMPORARY] {
        fs::create_dir(dir)?;
    }
    fs::set_permissions(TEMPORARY, PermissionsExt::from_mode(0o1777))?;
    mount(Some(folder), PROGRAMS, None::<&str>, MsFlags::MS_BIND, None::<&str>).context("bind the programs")?;
    let machine = MachineState::read()?;
    let demo = ["run-demo", "--programs", PROGRAMS];

    // The kernel has only NETLINK_XFRM, and a user runs the demo.
    let output = Run::new(Some(NOBODY), &demo).succeed()?;
    ensure!(output.contains("network namespaces of this kernel"), "the demo did not use namespaces:\n{output}");
    ensure!(
        output.contains("(this kernel has no PF_KEY: module af_key)"),
        "the demo does not report the missing PF_KEY:\n{output}"
    );
    ensure!(output.contains("backend: xfrm)") && output.contains(PROTECTED), "pings were not protected:\n{output}");
    machine.check_unchanged()?;
    let output = Run::new(Some(NOBODY), &[&demo[..], &["--lab", "host", "--backend", "pfkey"]].concat()).fail()?;
    ensure!(output.contains("this kernel: it has no PF_KEY (module af_key)"), "{output}");
    println!("passed: the demo as a user, without PF_KEY");

    // The kernel has both interfaces, and root runs the demo.
    modules(&["modprobe", "-d", "/run/lab/root", "af_key"])?;
    let output = Run::new(None, &[&demo[..], &["--lab", "host"]].concat()).succeed()?;
    ensure!(output.contains("backend: pfkey)") && output.contains(PROTECTED), "pings were not protected:\n{output}");
    machine.check_unchanged()?;
    println!("passed: the demo as root, PF_KEY");

    for user in [None, Some(NOBODY)] {
        let output = Run::new(user, &["lab", "--lab", "host", "--", "/no/such/program"]).fail()?;
        let line = "regress: the lab failed: /no/such/program: No such file or directory\n";
        ensure!(output == line, "expected {line}got {output}");
        for victim in ["regress\0lab\0", "regress\0in-lab\0namespaces\0"] {
            check_kill(user, victim)?;
        }
    }
    machine.check_unchanged()?;
    println!("passed: the whole lab ends with SIGKILL");

    let setting = "/proc/sys/user/max_user_namespaces";
    let most = fs::read_to_string(setting)?;
    fs::write(setting, "0")?;
    let output = Run::new(Some(NOBODY), &[&demo[..], &["--lab", "host"]].concat()).fail()?;
    fs::write(setting, most)?;
    ensure!(output.contains("this kernel: the lab failed: cannot create a user namespace: ENOSPC"), "{output}");
    println!("passed: the error names the lack of user namespaces");

    // Without these modules the kernel has no ESP over IPv4.
    modules(&["rmmod", "esp4_offload", "esp4"])?;
    let output = Run::new(None, &[&demo[..], &["--lab", "host"]].concat()).fail()?;
    ensure!(output.contains("this kernel: it does not add an ESP SA over NETLINK_XFRM: "), "{output}");
    ensure!(
        output.contains("Debian") && output.contains("modprobe -a xfrm_user esp4"),
        "the error suggests nothing:\n{output}"
    );
    println!("passed: a kernel without ESP is refused");
    Ok(())
}

/// Starts a long command in namespaces, kills one of the processes above it, and waits for all of them to end.
fn check_kill(user: Option<u32>, victim: &str) -> Result<()> {
    // This number identifies the command among all processes.
    const SECONDS: &str = "86399";
    let sleeps = || find_process(|line| line.starts_with("sleep\0") && line.contains(SECONDS)).is_some();
    let mut run = Run::new(user, &["lab", "--lab", "host", "--", "sleep", SECONDS]).command;
    let mut outside = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("lab")?;
    ensure!(wait_until(TIMEOUT, sleeps, || Ok(()))?, "the command did not start");
    let (id, _) = find_process(|line| line.starts_with(victim)).with_context(|| format!("no process {victim:?}"))?;
    kill(Pid::from_raw(id), Signal::SIGKILL)?;
    let parts = ["sleep\0", "regress\0in-lab\0namespaces\0", "regress\0in-lab\0first\0"];
    let left = || find_process(|line| parts.iter().any(|part| line.starts_with(part)));
    let ended = wait_until(TIMEOUT, || left().is_none(), || Ok(()))?;
    outside.wait()?;
    ensure!(ended, "{victim:?} was killed, but this process remains: {:?}", left());
    Ok(())
}

/// Returns the id and command line of the first process whose command line matches. The command line starts with the
/// file name of its program.
fn find_process(matches: impl Fn(&str) -> bool) -> Option<(i32, String)> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut lines = processes.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let program = arguments.split('\0').next()?;
        let name = program.rfind('/').map_or(0, |slash| slash + 1);
        Some((id, arguments.get(name..)?.to_owned()))
    });
    lines.find(|(_, arguments)| matches(arguments))
}

fn modules(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no program")?;
    let done = Program::new(program, arguments).run()?;
    ensure!(done.success(), "{}: {}", command.join(" "), done.text());
    Ok(())
}

/// A run of this program on the lab kernel, by root or a user.
struct Run {
    command: Command,
}

impl Run {
    fn new(user: Option<u32>, arguments: &[&str]) -> Self {
        let mut command = Command::new(Path::new(PROGRAMS).join("regress"));
        command.args(arguments).stdin(Stdio::null()).env("TMPDIR", TEMPORARY).env_remove("LIBPFKEY_BACKEND");
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        Self { command }
    }

    fn succeed(self) -> Result<String> {
        let (success, output) = self.end()?;
        ensure!(success, "the lab in namespaces failed:\n{output}");
        Ok(output)
    }

    fn fail(self) -> Result<String> {
        let (success, output) = self.end()?;
        ensure!(!success, "the lab in namespaces did not fail:\n{output}");
        Ok(output)
    }

    fn end(mut self) -> Result<(bool, String)> {
        let done = self.command.output().context("regress")?;
        let output = [done.stdout, done.stderr].concat();
        Ok((done.status.success(), String::from_utf8_lossy(&output).into_owned()))
    }
}

/// State of the machine that the lab must not change: interfaces, addresses, routes, SAs, policies, mounts and network
/// settings.
#[derive(PartialEq, Eq)]
struct MachineState {
    parts: BTreeMap<String, String>,
}

impl MachineState {
    fn read() -> Result<Self> {
        let mut parts = BTreeMap::new();
        for line in
            ["-o link", "-o address", "route show table all", "-6 route show table all", "xfrm state", "xfrm policy"]
        {
            let arguments: Vec<&str> = line.split(' ').collect();
            let done = Program::new("ip", &arguments).run()?;
            ensure!(done.success(), "ip {line}: {}", done.text());
            parts.insert(format!("ip {line}"), done.text());
        }
        parts.insert("mounts".to_owned(), fs::read_to_string("/proc/self/mounts")?);
        for folder in ["net/core", "net/ipv4", "net/ipv6", "kernel"] {
            for file in tree::files(&Path::new("/proc/sys").join(folder), &[""])? {
                let name = file.display().to_string();
                // Some files cannot be read, and some contain another number each time.
                if !name.contains("/random/") && !name.ends_with("ns_last_pid") {
                    parts.insert(name, fs::read_to_string(file).unwrap_or_default());
                }
            }
        }
        Ok(Self { parts })
    }

    fn check_unchanged(&self) -> Result<()> {
        let now = Self::read()?;
        let names = self.parts.keys().chain(now.parts.keys());
        for name in names {
            let (before, now) = (self.parts.get(name), now.parts.get(name));
            ensure!(before == now, "the lab changed the machine: {name} was {before:?} and is {now:?}");
        }
        Ok(())
    }
}
