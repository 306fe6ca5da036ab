//! The kinds of lab, and the choice between them.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Boot, Host, Link, Program, find_program};
use crate::tools;

/// The value of `--lab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabKind {
    /// Namespaces if they work, otherwise User Mode Linux.
    Auto,
    /// Namespaces on the kernel of this machine.
    Host,
    /// User Mode Linux.
    Uml,
}

/// A kind of lab that works on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lab {
    /// `pf_key` says whether the kernel also has PF_KEY.
    Namespaces {
        pf_key: bool,
    },
    Uml,
}

impl FromStr for LabKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "auto" => Self::Auto,
            "host" => Self::Host,
            "uml" => Self::Uml,
            _ => bail!("--lab {text}: expected host, uml or auto"),
        })
    }
}

impl LabKind {
    /// Finds a lab of this kind that works. Prints the reason if it is not the preferred one.
    ///
    /// # Errors
    /// None works. The text names what to install or to enable.
    pub(crate) fn find(self, needs_pf_key: bool) -> Result<Lab> {
        let host = || probe().and_then(|lab| sufficient(lab, needs_pf_key));
        match self {
            Self::Host => host().map_err(|error| none_works(&[("this kernel", &error)])),
            Self::Uml => uml().map_err(|error| none_works(&[("User Mode Linux", &error)])),
            Self::Auto => host().or_else(|first| {
                println!("this kernel does not work as a lab: {first:#}");
                uml().map_err(|second| none_works(&[("this kernel", &first), ("User Mode Linux", &second)]))
            }),
        }
    }
}

impl Lab {
    /// Creates a boot in this lab that runs `regress in-lab` with `arguments`.
    pub(crate) fn boot(self, arguments: &[&str]) -> Result<Boot> {
        Ok(self.adapt(Boot::regress(arguments)?))
    }

    /// Moves a boot into this lab.
    pub(crate) fn adapt(self, boot: Boot) -> Boot {
        match self {
            Self::Namespaces { .. } => boot.in_namespaces(),
            Self::Uml => boot,
        }
    }
}

fn sufficient(lab: Lab, needs_pf_key: bool) -> Result<Lab> {
    ensure!(!needs_pf_key || lab != Lab::Namespaces { pf_key: false }, "it has no PF_KEY (module af_key)");
    Ok(lab)
}

fn uml() -> Result<Lab> {
    tools::packages(tools::LAB)?;
    find_program("linux.uml").context("linux.uml is not installed")?;
    Ok(Lab::Uml)
}

/// Prefix of the line in which the probe reports whether the kernel has PF_KEY.
const PF_KEY: &str = "PF_KEY: ";

/// Tests whether namespaces work as a lab.
///
/// # Errors
/// They do not; the text says what is missing.
fn probe() -> Result<Lab> {
    // Programs may also come from elsewhere than these packages.
    if ["ip", "ping"].iter().any(|name| find_program(name).is_none()) {
        tools::packages(tools::HOST_LAB)?;
    }
    let mut output = Vec::new();
    let status = Boot::regress(&["probe"])?.in_namespaces().limit(Duration::from_secs(60)).run(&mut output)?;
    let output = String::from_utf8_lossy(&output);
    let last = output.lines().next_back().unwrap_or("the probe printed nothing");
    ensure!(status.is_success(), "{}", last.strip_prefix("regress: ").unwrap_or(last));
    Ok(Lab::Namespaces { pf_key: last.strip_prefix(PF_KEY) == Some("true") })
}

/// Runs in the namespaces: creates a host on a link with a packet capture, and adds an ESP SA like those that racoon
/// negotiates.
pub(crate) fn probe_in_lab() -> Result<()> {
    let link = Link::new("link").context("no bridge between network namespaces")?;
    let host = Host::new("alice")?;
    link.plug(&host, "eth0", &["192.0.2.1/24"]).context("no interface on the bridge")?;
    link.watch().context("no packet socket")?.end()?;
    let keys = [("enc", "cbc(aes)", 32), ("auth-trunc", "hmac(sha256)", 32)];
    let mut words: Vec<String> = "xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 mode transport"
        .split(' ')
        .map(str::to_owned)
        .collect();
    for (kind, name, length) in keys {
        words.extend([kind.to_owned(), name.to_owned(), format!("0x{}", "5a".repeat(length))]);
    }
    // The length of the truncated ICV in bits.
    words.push("128".to_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let added = host.run(Program::new("ip", &words))?;
    ensure!(added.success(), "it does not add an ESP SA over NETLINK_XFRM: {}", added.text().trim());
    println!("{PF_KEY}{}", host.enter(has_pf_key)?);
    Ok(())
}

/// Returns whether a PF_KEY socket can be opened. Opening it loads `af_key` if the module exists.
fn has_pf_key() -> bool {
    const PF_KEY_V2: i32 = 2;
    Socket::new(Domain::from(libc::AF_KEY), Type::RAW, Some(Protocol::from(PF_KEY_V2))).is_ok()
}

/// What to do if no lab works; follows the reasons.
const REMEDIES: &str = "\
One of the two is enough. Namespaces need a kernel with XFRM and ESP (as root: modprobe -a xfrm_user esp4, unless
/etc/modprobe.d forbids it), and root or user namespaces for all users. The other is Debian's User Mode Linux.
  Debian, Ubuntu  apt-get install iproute2 iputils-ping; as root, or after
                  sysctl kernel.unprivileged_userns_clone=1 (Debian) or
                  sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu);
                  or apt-get install user-mode-linux kmod iproute2 iputils-ping netbase
  Fedora          dnf install iproute iputils kernel-modules; the modules as above, if they are not loaded on demand
  Arch            pacman -S iproute2 iputils; after a kernel update, reboot to find its modules
  a container     run it with --privileged, on a machine that has loaded the modules: modprobe -a xfrm_user esp4 veth bridge;
                  or, in an image of Debian, install User Mode Linux, which needs no privileges";

fn none_works(reasons: &[(&str, &Error)]) -> Error {
    let reasons: Vec<String> = reasons.iter().map(|(kind, error)| format!("  {kind}: {error:#}\n")).collect();
    let kinds = if reasons.len() > 1 { "no lab works here" } else { "this kind of lab does not work here" };
    Error::msg(format!("{kinds}\n{}{REMEDIES}", reasons.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_values() {
        assert_eq!("auto".parse::<LabKind>().unwrap(), LabKind::Auto);
        assert_eq!("host".parse::<LabKind>().unwrap(), LabKind::Host);
        assert_eq!("uml".parse::<LabKind>().unwrap(), LabKind::Uml);
        let error = "qemu".parse::<LabKind>().unwrap_err().to_string();
        assert_eq!(error, "--lab qemu: expected host, uml or auto");
    }

    #[test]
    fn a_kernel_without_pf_key_works_for_netlink() {
        let (with, without) = (Lab::Namespaces { pf_key: true }, Lab::Namespaces { pf_key: false });
        assert_eq!(sufficient(with, true).unwrap(), with);
        assert_eq!(sufficient(without, false).unwrap(), without);
        assert_eq!(sufficient(Lab::Uml, true).unwrap(), Lab::Uml);
        assert_eq!(sufficient(without, true).unwrap_err().to_string(), "it has no PF_KEY (module af_key)");
    }

    #[test]
    fn the_error_names_all_reasons_and_systems() {
        let reasons = [Error::msg("unshare: EPERM: Operation not permitted"), Error::msg("linux.uml is not installed")];
        let text = none_works(&[("this kernel", &reasons[0]), ("User Mode Linux", &reasons[1])]).to_string();
        let beginning = "no lab works here\n  this kernel: unshare: EPERM: Operation not permitted\n  \
                         User Mode Linux: linux.uml is not installed\n";
        assert!(text.starts_with(beginning), "{text}");
        for system in ["Debian", "Ubuntu", "Fedora", "Arch", "container"] {
            assert!(text.lines().any(|line| line.trim_start().contains(system)), "{system}: {text}");
        }
    }
}
