//! Per-socket bypass policies: IKE packets must not wait for the SAs that IKE negotiates.

use std::io;
use std::os::fd::AsFd;

use libpfkey::policy;
use libpfkey::wire::Policy;
use libpfkey::{Abi, Dialect};

use super::ports::Family;
use super::sys;

/// Whether a socket needs its bypass policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Without them the socket is useless.
    Required,
    /// The SAs are on another system or in memory, where their policies cannot affect our packets.
    BestEffort,
}

#[cfg(target_os = "linux")]
const PF_KEY: (i32, i32) = (libc::IP_IPSEC_POLICY, libc::IPV6_IPSEC_POLICY);
#[cfg(target_os = "netbsd")]
const PF_KEY: (i32, i32) = (22, 28);
#[cfg(not(any(target_os = "linux", target_os = "netbsd")))]
const PF_KEY: (i32, i32) = (21, 28);

/// Exempts a socket's packets from IPsec, in both directions.
///
/// # Errors
/// Those of setsockopt(2), which requires root.
pub(super) fn apply(socket: impl AsFd, family: Family) -> io::Result<()> {
    for direction in ["in", "out"] {
        // Each form needs its module: xfrm_user understands this one, af_key the one below.
        #[cfg(target_os = "linux")]
        if let Ok(()) = xfrm::apply(&socket, family, direction) {
            continue;
        }
        set(&socket, family, PF_KEY, &sadb_x_policy(direction)?)?;
    }
    Ok(())
}

fn set(socket: impl AsFd, family: Family, options: (i32, i32), policy: &[u8]) -> io::Result<()> {
    let (level, option) = match family {
        Family::V4 => (libc::IPPROTO_IP, options.0),
        Family::V6 => (libc::IPPROTO_IPV6, options.1),
    };
    sys::set_option(socket, level, option, policy)
}

/// Returns the policy as ipsec_set_policy(3) encodes it.
fn sadb_x_policy(direction: &str) -> io::Result<Vec<u8>> {
    let policy = policy::parse(&format!("{direction} bypass")).map_err(io::Error::other)?;
    let policy = Policy::from_text(&policy, Dialect::HOST).map_err(io::Error::other)?;
    policy.to_blob(Abi::HOST).map_err(io::Error::other)
}

/// Linux without af_key does not understand the PF_KEY form.
#[cfg(target_os = "linux")]
mod xfrm {
    use std::io;
    use std::os::fd::AsFd;

    use super::{Family, set};

    const OPTIONS: (i32, i32) = (libc::IP_XFRM_POLICY, libc::IPV6_XFRM_POLICY);

    pub(super) fn apply(socket: impl AsFd, family: Family, direction: &str) -> io::Result<()> {
        set(socket, family, OPTIONS, &policy(family, direction == "out"))
    }

    /// Returns an `xfrm_userpolicy_info` that allows all packets of a family, without limits.
    pub(super) fn policy(family: Family, out: bool) -> Vec<u8> {
        let family = match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        let mut policy = Vec::with_capacity(168);
        // Selector: two addresses, two ports with masks, the family, and wildcards.
        policy.resize(40, 0);
        policy.extend_from_slice(&u16::try_from(family).unwrap_or(0).to_ne_bytes());
        policy.resize(56, 0);
        // Four infinite limits; usage counters, priority and index of 0.
        policy.resize(88, 0xff);
        policy.resize(160, 0);
        // Direction (0 in, 1 out), then action 0: allow.
        policy.push(u8::from(out));
        policy.resize(168, 0);
        policy
    }
}

#[cfg(all(test, target_os = "linux", target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let word = |direction| [2, 0, 18, 0, 4, 0, direction, 0, 0, 0, 0, 0];
        assert_eq!(sadb_x_policy("in").unwrap()[..12], word(1));
        assert_eq!(sadb_x_policy("out").unwrap()[..12], word(2));
        assert_eq!(sadb_x_policy("out").unwrap().len(), 16);

        let policy = xfrm::policy(Family::V6, true);
        let set = policy.iter().enumerate().filter(|(_, byte)| **byte != 0);
        let mut expected = vec![(40, &10)];
        expected.extend((56..88).map(|at| (at, &255)));
        expected.push((160, &1));
        assert_eq!((policy.len(), set.collect::<Vec<_>>()), (168, expected));
    }
}
