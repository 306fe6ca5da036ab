//! The part of KAME racoon's control protocol that is needed to refuse it.
//!
//! Its header has the same four fields: length, command, version (request) or errno (reply), protocol. It answers an
//! unknown command with `ENOTSUP`, the command, the protocol, and no body.

/// Flag in a request's command: the version field is valid. Replies do not have it.
const WITH_VERSION: u16 = 0x8000;

/// Returns the name of a command.
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

/// Encodes a refusal for that racoonctl.
pub(super) fn refusal(command: u16, errno: u16, protocol: u16) -> Vec<u8> {
    [8, command & !WITH_VERSION, errno, protocol].into_iter().flat_map(u16::to_ne_bytes).collect()
}
