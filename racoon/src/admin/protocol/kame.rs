//! What is known here of the protocol of KAME's racoon: enough to refuse it.
//!
//! Its header has the same four fields: length, command, version of a request or errno of a reply, protocol. It answers a
//! command that it does not know with `ENOTSUP`, the command, the protocol, and no body.

/// Flag in the command of a request: the version is there. A reply does not have it.
const WITH_VERSION: u16 = 0x8000;

/// The name of a command, by its number.
pub(super) fn name(command: u16) -> String {
    let name = match command & !WITH_VERSION {
        0x0001 => "reload-config",
        0x0002 => "show-schedule",
        0x0003 => "show-event",
        0x0101 => "show-sa",
        0x0102 => "flush-sa",
        0x0103 | 0x0104 => "status",
        0x0201 => "delete-sa",
        0x0202 | 0x0203 => "establish-sa",
        0x0204 => "vpn-disconnect",
        0x0205 => "logout-user",
        0x0206 => "get-cert",
        _ => return format!("command {command:#06x}"),
    };
    name.to_owned()
}

/// A refusal that its racoonctl understands.
pub(super) fn refusal(command: u16, errno: u16, protocol: u16) -> Vec<u8> {
    [8, command & !WITH_VERSION, errno, protocol].into_iter().flat_map(u16::to_ne_bytes).collect()
}
