//! Properties that only NETLINK_XFRM reports, in the words of the setkey language.

use std::fmt::Write as _;

use nix::net::if_::if_indextoname;

use crate::algorithm::Authentication;
use crate::num::OFFLOAD_PACKET;
use crate::wire::{Extension, Message, XfrmAuthTrunc, XfrmMark, XfrmOffload, XfrmReplay};

/// Appends a line with this library's extensions for NETLINK_XFRM; nothing where there are none.
pub(super) fn xfrm_line(out: &mut String, message: &Message<'_>) {
    let xfrm = message.xfrm();
    let mut words = Vec::new();
    let mut push_mark = |mark: Option<XfrmMark>, name: &str| {
        words.extend(mark.map(|XfrmMark { value, mask }| format!("{name}=0x{value:x}/0x{mask:x}")));
    };
    push_mark(xfrm.mark, "mark");
    push_mark(xfrm.output_mark, "output-mark");
    words.extend(xfrm.if_id.map(|id| format!("if-id={id}")));
    // The length of RFC 4868 has a name; others are of other programs.
    let auth = message.sa().map(|sa| Authentication::from_number(message.abi.dialect, sa.auth));
    if let Some(bits) = icv_bits(message)
        && auth.is_none_or(|auth| auth.name_with_icv(Some(bits)) == auth.name())
    {
        words.push(format!("icv={bits}"));
    }
    if let Some(XfrmReplay { window, esn }) = xfrm.replay {
        words.push(format!("window={window}"));
        words.extend(esn.then(|| String::from("esn")));
    }
    if let Some(XfrmOffload { interface, flags }) = xfrm.offload {
        let kind = if flags & OFFLOAD_PACKET == 0 { "crypto" } else { "packet" };
        words.push(format!("offload={kind} dev {}", device(interface)));
    }
    if !words.is_empty() {
        let _ = writeln!(out, "\t{}", words.join(" "));
    }
}

/// Bits of an SA's ICV, where it is not the one that the kernel's PF_KEY gives to the algorithm.
pub(super) fn icv_bits(message: &Message<'_>) -> Option<u32> {
    message.xfrm().auth_trunc.map(|auth_trunc| auth_trunc.icv_bits)
}

/// The name of a network interface; its index where it has none here.
pub fn device(index: u32) -> String {
    // For an index without an interface it gives an empty name.
    match if_indextoname(index) {
        Ok(name) if !name.is_empty() => name.to_string_lossy().into_owned(),
        _ => format!("#{index}"),
    }
}

/// Appends one of this library's extensions as `-v` prints it; nothing for any other.
pub(super) fn xfrm_structure(out: &mut String, extension: &Extension<'_>) -> std::fmt::Result {
    match extension {
        Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits, .. }) => {
            writeln!(out, "xfrm_auth_trunc{{ icv_bits={icv_bits} }}")
        }
        Extension::XfrmIfId(id) => writeln!(out, "xfrm_if_id{{ id={id} }}"),
        Extension::XfrmMark(XfrmMark { value, mask }) => {
            writeln!(out, "xfrm_mark{{ value=0x{value:08x} mask=0x{mask:08x} }}")
        }
        Extension::XfrmOffload(XfrmOffload { interface, flags }) => {
            writeln!(out, "xfrm_offload{{ ifindex={interface} flags=0x{flags:02x} }}")
        }
        Extension::XfrmOutputMark(XfrmMark { value, mask }) => {
            writeln!(out, "xfrm_output_mark{{ value=0x{value:08x} mask=0x{mask:08x} }}")
        }
        Extension::XfrmReplay(XfrmReplay { window, esn }) => {
            writeln!(out, "xfrm_replay{{ window={window} esn={} }}", u8::from(*esn))
        }
        _ => Ok(()),
    }
}
