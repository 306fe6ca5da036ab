//! Reasons why a kernel refused a request, as far as they can be determined.

use libpfkey::{Abi, Message, MessageType, Refusal, rules};

use crate::replace::in_the_way;
use crate::view::errno_words;

/// Returns the text of an errno with its reason, if there is one. `netlink`: the backend is NETLINK_XFRM.
pub(crate) fn refusal_text(abi: Abi, netlink: bool, errno: i32, kind: MessageType, refusal: &Refusal<'_>) -> String {
    let Some(reason) = reason(abi, netlink, errno, refusal) else { return errno_words(errno, kind) };
    match errno {
        // The system's text for ELOOP is about symbolic links.
        libc::ELOOP => format!("too many steps: {reason}"),
        _ => format!("{}: {reason}", errno_words(errno, kind)),
    }
}

/// The kernel's explanation; without one, the entry that conflicts, or the rule that the request breaks.
fn reason(abi: Abi, netlink: bool, errno: i32, refusal: &Refusal<'_>) -> Option<String> {
    if let Some(explanation) = refusal.explanation {
        return Some(explanation.to_owned());
    }
    let request = Message::parse(abi, refusal.request).ok()?;
    if errno == libc::EEXIST {
        return in_the_way(&request);
    }
    // A rule explains the refusal only if the kernel's errno is the one that the rule predicts.
    let broken = rules::check(&request, netlink).err()?;
    let reason = broken.reason.strip_prefix("Not supported: ").unwrap_or(&broken.reason);
    (broken.errno() == errno).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use libpfkey::num::DIR_IN;
    use libpfkey::request::{self, RequestHeader, SpdRequest};
    use libpfkey::wire::{IpsecRequest, Policy, SockAddr};
    use libpfkey::{Dialect, SaId, SaType};

    use super::*;

    fn host(address: &str) -> SockAddr {
        SockAddr::Inet(format!("{address}:0").parse().unwrap())
    }

    fn policy(steps: usize) -> SpdRequest {
        let step = IpsecRequest { proto: 50, mode: 1, level: 2, reqid: 0, endpoints: None };
        let requests = vec![step; steps];
        SpdRequest {
            source: host("10.1.0.0"),
            source_prefix: 24,
            destination: host("192.0.2.2"),
            destination_prefix: 32,
            proto: 6,
            lifetime: 0,
            validtime: 0,
            policy: Policy { kind: 2, direction: DIR_IN, scope: 0, id: 0, priority: 0, requests },
        }
    }

    fn text(dialect: Dialect, errno: i32, words: Option<&str>, write: impl Fn(RequestHeader, &mut Vec<u8>)) -> String {
        let abi = Abi::of(dialect);
        let mut request = Vec::new();
        write(RequestHeader { abi, pid: 1, seq: 0 }, &mut request);
        refusal_text(
            abi,
            false,
            errno,
            MessageType::SpdAdd,
            &Refusal { reply: &[], request: &request, explanation: words },
        )
    }

    #[test]
    fn conflicting_entry_is_named() {
        let add = |header, buffer: &mut Vec<u8>| request::spdadd(header, &policy(1), buffer).unwrap();
        let expected = "File exists: the kernel has a policy in 10.1.0.0/24 192.0.2.2/32 6";
        assert_eq!(text(Dialect::Linux, libc::EEXIST, None, add), expected);
        let ip = |text: &str| host(text).ip().unwrap();
        let name = SaId::new(SaType::Ah, ip("192.0.2.1"), ip("192.0.2.2"), 0x1001);
        let sa = |header, buffer: &mut Vec<u8>| request::get(header, &name, buffer).unwrap();
        let expected = "File exists: the kernel has an ah SA to 192.0.2.2 with SPI 0x00001001";
        assert_eq!(text(Dialect::Linux, libc::EEXIST, None, sa), expected);
        let expected = "File exists: the kernel has an ah SA from 192.0.2.1 to 192.0.2.2 with SPI 0x00001001";
        assert_eq!(text(Dialect::NetBsd, libc::EEXIST, None, sa), expected);
    }

    #[test]
    fn too_many_steps() {
        let add = |header, buffer: &mut Vec<u8>| request::spdadd(header, &policy(7), buffer).unwrap();
        let expected = "too many steps: a policy of linux has at most 6 steps, not 7";
        assert_eq!(text(Dialect::Linux, libc::ELOOP, None, add), expected);
    }

    #[test]
    fn kernel_message_takes_precedence() {
        let add = |header, buffer: &mut Vec<u8>| request::spdadd(header, &policy(7), buffer).unwrap();
        let expected = "Invalid argument: Invalid number of templates";
        assert_eq!(text(Dialect::Linux, libc::EINVAL, Some("Invalid number of templates"), add), expected);
        // Without a rule, only the errno's text is printed.
        assert_eq!(text(Dialect::Linux, libc::ENOMEM, None, add), "Cannot allocate memory");
        assert_eq!(text(Dialect::Linux, libc::EINVAL, None, |_, _| {}), "Invalid argument");
    }
}
