//! What NETLINK_XFRM tells of an SA and PF_KEY does not, in the words of the setkey language.

use std::fmt::Write as _;

use nix::net::if_::if_indextoname;

use crate::num::{Authentication, ExtensionType, OFFLOAD_PACKET};
use crate::wire::Message;

/// Appends the line of what the private extensions say; nothing where there are none.
pub(super) fn private_line(out: &mut String, message: &Message<'_>) {
    let mut words = Vec::new();
    let mut mark = |kind, name: &str| {
        words.extend(message.words(kind).map(|[value, mask]| format!("{name}=0x{value:x}/0x{mask:x}")));
    };
    mark(ExtensionType::XfrmMark, "mark");
    mark(ExtensionType::XfrmOutputMark, "output-mark");
    words.extend(message.words(ExtensionType::XfrmIfId).map(|[id, _]| format!("if-id={id}")));
    // The length of RFC 4868 has a name; others are of other programs.
    let auth = message.sa().map(|sa| Authentication::from_number(message.abi.dialect, sa.auth));
    if let Some(bits) = icv_bits(message)
        && auth.is_none_or(|auth| auth.name_with_icv(Some(bits)) == auth.name())
    {
        words.push(format!("icv={bits}"));
    }
    if let Some([window, esn]) = message.words(ExtensionType::XfrmReplay) {
        words.push(format!("window={window}"));
        words.extend((esn != 0).then(|| String::from("esn")));
    }
    if let Some([interface, flags]) = message.words(ExtensionType::XfrmOffload) {
        let kind = if flags & OFFLOAD_PACKET == 0 { "crypto" } else { "packet" };
        words.push(format!("offload={kind} dev {}", device(interface)));
    }
    if !words.is_empty() {
        let _ = writeln!(out, "\t{}", words.join(" "));
    }
}

/// Bits of an SA's ICV, where it is not the one that the kernel's PF_KEY gives to the algorithm.
pub(super) fn icv_bits(message: &Message<'_>) -> Option<u32> {
    message.words(ExtensionType::XfrmAuthTrunc).map(|[bits, _]| bits)
}

/// The name of a network interface; its index where it has none here.
pub fn device(index: u32) -> String {
    // For an index without an interface it gives an empty name.
    match if_indextoname(index) {
        Ok(name) if !name.is_empty() => name.to_string_lossy().into_owned(),
        _ => format!("#{index}"),
    }
}

/// Appends a private extension as `-v` prints it.
pub(super) fn private_structure(out: &mut String, kind: ExtensionType, [first, second]: [u32; 2]) -> std::fmt::Result {
    match kind {
        ExtensionType::XfrmAuthTrunc => writeln!(out, "xfrm_auth_trunc{{ icv_bits={first} }}"),
        ExtensionType::XfrmIfId => writeln!(out, "xfrm_if_id{{ id={first} }}"),
        ExtensionType::XfrmMark => writeln!(out, "xfrm_mark{{ value=0x{first:08x} mask=0x{second:08x} }}"),
        ExtensionType::XfrmOffload => writeln!(out, "xfrm_offload{{ ifindex={first} flags=0x{second:02x} }}"),
        ExtensionType::XfrmOutputMark => writeln!(out, "xfrm_output_mark{{ value=0x{first:08x} mask=0x{second:08x} }}"),
        ExtensionType::XfrmReplay => writeln!(out, "xfrm_replay{{ window={first} esn={second} }}"),
        _ => Ok(()),
    }
}
