//! Booting the lab from outside: a kernel or a set of namespaces for one command, with a time limit.

use std::fs::{self, File};
use std::io::{Read, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::plan::Plan;
use super::watcher::Watcher;
use super::{console, modules, namespaces, uml};
use crate::summary::Summary;

/// A lab to boot, and the command that runs in it as root.
pub(crate) struct Boot {
    plan: Plan,
    limit: Duration,
    kind: Kind,
}

/// Where the command runs.
enum Kind {
    /// In a kernel of its own.
    Uml { like_amx: bool },
    /// In namespaces on the kernel of this machine.
    Namespaces,
}

/// Exit status of the command: 128 + signal if a signal ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) i32);

impl Status {
    pub(crate) fn is_success(self) -> bool {
        self.0 == 0
    }

    /// # Errors
    /// The command failed.
    pub(crate) fn check(self) -> Result<()> {
        ensure!(self.is_success(), "the command in the lab ended with status {}", self.0);
        Ok(())
    }
}

impl Boot {
    /// Creates a boot that runs `command` on a kernel with PF_KEY, for at most ten minutes.
    pub(crate) fn new(command: Vec<String>) -> Self {
        let plan = Plan { command, env: Vec::new(), shares: Vec::new(), modules: modules::names(true) };
        Self { plan, limit: Duration::from_secs(600), kind: Kind::Uml { like_amx: false } }
    }

    /// Creates a boot that runs `regress in-lab` with `arguments`.
    pub(crate) fn regress(arguments: &[&str]) -> Result<Self> {
        let me = this_program()?.to_str().context("the path of this program is not text")?.to_owned();
        let words = ["in-lab"].iter().chain(arguments).map(|&word| word.to_owned());
        Ok(Self::new(std::iter::once(me).chain(words).collect()))
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.plan.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the folder `dir` writable in the lab.
    pub(crate) fn share(mut self, dir: &Path) -> Self {
        self.plan.shares.push(dir.to_owned());
        self
    }

    /// Selects the kernel modules for a backend: for `xfrm`, there is no `af_key`.
    pub(crate) fn for_backend(mut self, backend: &str) -> Self {
        if backend == "xfrm" {
            self.plan.modules = modules::names(false);
        }
        self
    }

    /// Makes the kernel take the code path for processors with AMX, on any processor.
    pub(crate) fn like_amx(mut self) -> Self {
        self.kind = Kind::Uml { like_amx: true };
        self
    }

    /// Runs the command in namespaces of this machine instead of a separate kernel. The machine's modules are used.
    pub(crate) fn in_namespaces(mut self) -> Self {
        self.kind = Kind::Namespaces;
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Boots, runs the command, and copies its output to `output` while it runs.
    ///
    /// # Errors
    /// The lab did not come up, or it ended before the command did. The error is one line with the cause, and names the
    /// file with the console.
    pub(crate) fn run(self, output: &mut dyn Write) -> Result<Status> {
        self.run_watched(&mut |_, bytes| {
            output.write_all(bytes)?;
            Ok(output.flush()?)
        })
    }

    /// Runs the command with its output on standard output, and also returns the output.
    pub(crate) fn run_captured(self) -> Result<(Status, String)> {
        let mut captured = Vec::new();
        let status = self.run_watched(&mut |_, bytes| {
            captured.extend_from_slice(bytes);
            let mut output = stdout();
            output.write_all(bytes)?;
            Ok(output.flush()?)
        })?;
        Ok((status, String::from_utf8_lossy(&captured).into_owned()))
    }

    /// Runs a command that ends with a summary of its checks, and returns that summary.
    ///
    /// # Errors
    /// As for `run`, and if the command failed or printed no summary.
    pub(crate) fn run_summarized(self) -> Result<Summary> {
        let (status, captured) = self.run_captured()?;
        status.check()?;
        Ok(Summary::last_in(&captured).context("the command printed no summary")?.with_remarks_in(&captured))
    }

    /// Runs the command and passes its output to `watch` as it appears, with the process group of the kernel.
    pub(crate) fn run_watched(self, watch: &mut dyn FnMut(Pid, &[u8]) -> Result<()>) -> Result<Status> {
        let work = WorkDir::create()?;
        self.plan.save(&work.dir)?;
        let mut watcher = Watcher::start(&work.dir)?;
        let mut lab = self.start(&work.dir)?;
        let group = Pid::from_raw(i32::try_from(lab.id())?);
        watcher.watch(group)?;
        let ended = follow(&mut lab, self.limit, &work.dir.join("out"), &mut |bytes| watch(group, bytes));
        // Processes of the kernel share its group; none may outlive the boot.
        let _ = killpg(group, Signal::SIGKILL);
        drop(watcher);
        let exit = lab.wait()?;
        let console = work.dir.join("console");
        if !ended? {
            bail!("the lab was stopped after its limit of {} s; {}", self.limit.as_secs(), console::keep(&console));
        }
        match fs::read_to_string(work.dir.join("status")) {
            Ok(status) => Ok(Status(status.trim().parse().context("exit status of the command in the lab")?)),
            Err(_) => {
                let text = fs::read(&console).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                match console::cause(&text) {
                    // Process 1 of the namespaces prints nothing but its error, so there is no console to read.
                    Some(cause) if text.lines().count() == 1 => bail!("the lab failed: {cause}"),
                    Some(cause) => bail!("the lab failed: {cause}; {}", console::keep(&console)),
                    None => bail!("the lab failed: it ended with {exit}; {}", console::keep(&console)),
                }
            }
        }
    }

    fn start(&self, work: &Path) -> Result<Child> {
        // The lab only writes to these files, because it may lack the right to create files in the folder.
        for name in ["out", "console"] {
            File::create(work.join(name))?;
        }
        let console = File::options().append(true).open(work.join("console"))?;
        match self.kind {
            Kind::Uml { like_amx } => uml::start(work, console, like_amx),
            Kind::Namespaces => namespaces::start(work, console),
        }
    }
}

/// The folder of a boot, which is removed when this is dropped.
struct WorkDir {
    dir: PathBuf,
}

impl WorkDir {
    fn create() -> Result<Self> {
        let base = std::env::temp_dir();
        for attempt in 0..1000 {
            let dir = base.join(format!("lab.{}.{attempt}", std::process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self { dir }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| dir.display().to_string()),
            }
        }
        bail!("no free folder name below {}", base.display())
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Passes what is added to the file `path` to `watch`, until the lab ends (true) or the limit passes (false).
fn follow(lab: &mut Child, limit: Duration, path: &Path, watch: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
    let start = Instant::now();
    let mut file = File::open(path)?;
    let mut chunk = Vec::new();
    loop {
        // The order matters: output written just before the end must still be read.
        let ended = lab.try_wait()?.is_some();
        chunk.clear();
        file.read_to_end(&mut chunk)?;
        if !chunk.is_empty() {
            watch(&chunk)?;
        }
        if ended || start.elapsed() > limit {
            return Ok(ended);
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Returns the path of this program, to run it again in the lab. If cargo has replaced the file meanwhile, the kernel
/// marks the path as deleted.
pub(crate) fn this_program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("the path of this program")?;
    let text = path.to_str().context("the path of this program is not text")?;
    Ok(PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(text)))
}

/// Returns the first file of this name in `PATH`, or in the system folders that the `PATH` of a user may lack.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].into_iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}
