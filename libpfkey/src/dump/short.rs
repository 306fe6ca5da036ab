//! One SA in a line, as `setkey -l -D` prints it.

use std::fmt::Write as _;

use super::{Options, push_address};
use crate::num::{ExtensionType, SaState, SaType};
use crate::wire::{Address, Message};

/// The line before each round.
pub const SHORT_HEADER: &str = "time p   s spi      ltime   src -> dst\n";

/// Appends an SA in one line: minutes and seconds of now, type, state, SPI, age and hard limit, addresses.
pub fn short_entry(out: &mut String, message: &Message<'_>, options: &Options) {
    let (Some(sa), Some(source), Some(destination)) = (message.sa(), message.source(), message.destination()) else {
        out.push_str("no SA or address extension.\n");
        return;
    };
    let _ = write!(out, "{:02}{:02} ", options.now / 60 % 60, options.now % 60);
    match message.header.sa_type {
        SaType::Ah => out.push_str("ah "),
        SaType::Esp => out.push_str("esp"),
        // IPComp and TCP-MD5 have no word in this format.
        other => {
            let number = other.number(message.abi.dialect).unwrap_or(0);
            let _ = write!(out, "{:<3}", format!("#{number}"));
        }
    }
    let state = match sa.state {
        SaState::Larval => 'L',
        SaState::Mature => 'M',
        SaState::Dying => 'D',
        SaState::Dead => 'd',
        SaState::Other(_) => '?',
    };
    let _ = write!(out, " {state} {:08x}", sa.spi);
    ages(out, message, options);
    endpoint(out, source);
    out.push_str(" -> ");
    endpoint(out, destination);
    out.push('\n');
}

/// Age in 3 characters, `/`, hard limit in 3.
fn ages(out: &mut String, message: &Message<'_>, options: &Options) {
    let current = message.lifetime(ExtensionType::LifetimeCurrent);
    let hard = message.lifetime(ExtensionType::LifetimeHard);
    let (Some(current), Some(hard)) = (current, hard) else {
        out.push_str(" ???/??? ");
        return;
    };
    let age = options.now.saturating_sub(i64::try_from(current.addtime).unwrap_or(0));
    // The columns have three characters.
    let word = |number: String| if number.len() > 3 { String::from("big") } else { number };
    let _ = write!(out, " {:>3}/{:<3} ", word(age.to_string()), word(hard.addtime.to_string()));
}

fn endpoint(out: &mut String, address: &Address) {
    if address.proto != 0 && address.proto != crate::num::ULPROTO_ANY {
        // KAME's own table, not the system's: the column is the same on every host.
        let name = match address.proto {
            1 => "icmp",
            2 => "igmp",
            3 => "ggp",
            4 => "ip4",
            6 => "tcp",
            8 => "egp",
            17 => "udp",
            22 => "idp",
            29 => "tp",
            41 => "ip6",
            43 => "rt6",
            44 => "frag6",
            46 => "rsvp",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "icmp6",
            59 => "none",
            60 => "dst6",
            _ => "",
        };
        let _ = if name.is_empty() { write!(out, "#{} ", address.proto) } else { write!(out, "{name} ") };
    }
    push_address(out, &address.sockaddr);
    if address.sockaddr.port() != 0 {
        let _ = write!(out, "[{}]", address.sockaddr.port());
    }
}
