//! Reads the present state of a kernel from its dumps.

use libpfkey::{Dialect, Message, SaState, SaType, dump};

use super::facts::{of_policy, of_sa};
use super::foreign::Foreign;
use super::plan::{Present, PresentPolicy, PresentSa};
use super::wanted::Request;
use crate::session::{Entries, Session};

/// FreeBSD's scopes of policies that belong to an interface or a socket, and NetBSD's flag of policies that the kernel created.
const FREEBSD_OWNED: u8 = 0x02 | 0x04;
const NETBSD_OWNED: u8 = 0x80;

/// Reads both databases. Entries that the request flushes are removable, except those of `foreign`.
///
/// # Errors
/// Returns the line that says why they cannot be read.
pub(super) fn read(session: &mut Session, request: &Request, foreign: &Foreign) -> Result<Present, String> {
    let mut sas = Vec::new();
    for entry in session.entries(Entries::Sas)? {
        let Ok(message) = Message::parse(session.abi(), &entry) else { continue };
        let Some((name, facts)) = of_sa(&message) else { continue };
        let state = message.sa().map_or(SaState::Dead, |sa| sa.state);
        // Larval SAs belong to an IKE daemon and expire by themselves; one with SPI 0 stands for an acquire.
        if state == SaState::Larval && facts.spi == 0 {
            continue;
        }
        let flushed = request.flushed.iter().any(|kind| *kind == SaType::Unspec || *kind == facts.sa_type);
        // Dead SAs are only waiting to be freed.
        let stays = matches!(state, SaState::Larval | SaState::Dead) || foreign.has_sa(&message);
        let removable = flushed && !stays;
        sas.push(PresentSa { name, facts, state, removable, message: entry });
    }
    let mut policies = Vec::new();
    for entry in session.entries(Entries::Policies)? {
        let Ok(message) = Message::parse(session.abi(), &entry) else { continue };
        // No script can name these policies.
        if is_owned(&message) {
            continue;
        }
        let Some((name, facts)) = of_policy(&message) else { continue };
        let removable = request.spd_flushed && !foreign.has_policy(&message);
        let id = message.policy().map_or(0, |policy| policy.id);
        policies.push(PresentPolicy { name, facts, rank: [id.into(), 0], removable, message: entry });
    }
    rank(session.abi().dialect, &mut policies);
    Ok(Present { sas, policies })
}

/// Returns whether a policy belongs to a socket, an interface or the kernel.
fn is_owned(message: &Message<'_>) -> bool {
    let scope = message.policy().map_or(0, |policy| policy.scope);
    let owned = match message.abi.dialect {
        Dialect::FreeBsd => scope & FREEBSD_OWNED != 0,
        Dialect::NetBsd => scope & NETBSD_OWNED != 0,
        Dialect::Linux | Dialect::Darwin => false,
    };
    owned || dump::is_socket_policy(message)
}

/// Sets the ranks: the order in which the kernel applies policies of one priority. Linux dumps the most recently changed first, and ids
/// count up; a replaced policy keeps its id, and also its place unless its priority changed. The BSDs dump in the order of
/// application.
fn rank(dialect: Dialect, policies: &mut [PresentPolicy]) {
    let linux = dialect == Dialect::Linux;
    let count = u64::try_from(policies.len()).unwrap_or(u64::MAX);
    for (index, policy) in (0..).zip(policies) {
        let [id, _] = policy.rank;
        policy.rank = if linux { [id, count - index] } else { [index; 2] };
    }
}
