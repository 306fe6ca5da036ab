//! libpfkey(3): Cargo compiles its examples, and every item that it names exists.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../man/libpfkey.3");

/// The SYNOPSIS as it stands there.
#[rustfmt::skip]
mod synopsis {
    #![expect(unused_imports, reason = "they have to be there")]
use libpfkey::{Kernel, PolicySpec, SaSpec, Selector, Template};
use libpfkey::{Connection, Message, Pipeline, policy, request};
use libpfkey::backend::BackendKind;
}

/// The names of items, each of which has to exist.
macro_rules! names {
    ($($item:path),* $(,)?) => {{
        $(let _ = $item;)*
        [$(stringify!($item)),*]
    }};
}

/// What the literal displays of a section show.
fn displays(section: &str) -> Vec<String> {
    let (_, text) = PAGE.split_once(&format!("\n.Sh {section}\n")).expect("a section");
    let text = text.split("\n.Sh ").next().unwrap_or_default();
    let displays = text.split(".Bd -literal\n").skip(1).filter_map(|rest| rest.split("\n.Ed").next());
    displays.map(|text| text.replace("\\(dq", "\"").replace("\\e", "\\") + "\n").collect()
}

#[test]
fn examples_are_compiled() {
    assert_eq!(
        displays("EXAMPLES"),
        [include_str!("../examples/esp_pair.rs"), include_str!("../examples/print_sad.rs")]
    );
}

#[test]
fn synopsis_is_compiled() {
    let [_, uses] = displays("SYNOPSIS").try_into().expect("dependencies and imports");
    assert!(include_str!("manual.rs").contains(&uses), "{uses}");
}

#[test]
fn every_function_exists() {
    use libpfkey::algorithm::Supported;
    use libpfkey::backend::BackendKind;
    use libpfkey::lifetime::SoftRate;
    use libpfkey::wire::Policy;
    use libpfkey::{Connection, Dialect, Error, Kernel, Message, SaSpec, dump, policy, request};

    type Backend = dyn libpfkey::backend::Backend;

    let there = names![
        Backend::fd,
        Backend::set_receive_buffer,
        BackendKind::from_environment,
        BackendKind::open,
        Connection::recv,
        Connection::register,
        Connection::send,
        Dialect::errno_to_host,
        Dialect::from_environment,
        Dialect::has_priority,
        Error::code,
        Error::strerror,
        Kernel::add,
        Kernel::allocate_spi,
        Kernel::delete,
        Kernel::delete_all,
        Kernel::dump,
        Kernel::events,
        Kernel::flush,
        Kernel::get,
        Kernel::next_event,
        Kernel::open,
        Kernel::policy_add,
        Kernel::policy_delete,
        Kernel::policy_dump,
        Kernel::policy_flush,
        Kernel::policy_get,
        Kernel::policy_update,
        Kernel::register,
        Kernel::update,
        Message::check,
        Message::parse,
        Policy::from_blob,
        Policy::from_text,
        Policy::to_blob,
        Policy::to_text,
        SaSpec::esp,
        SoftRate::rate,
        SoftRate::set,
        Supported::algorithm,
        Supported::check_key_bits,
        Supported::check_key_bits_of,
        Supported::from_reply,
        dump::hex_groups,
        dump::is_socket_policy,
        dump::policy_entry,
        dump::sa_entry,
        dump::structure,
        policy::parse,
        request::add,
        request::delete,
        request::delete_all,
        request::dump,
        request::flush,
        request::get,
        request::getspi,
        request::migrate,
        request::promisc,
        request::register,
        request::spdadd,
        request::spddelete,
        request::spddelete2,
        request::spddump,
        request::spdflush,
        request::spdget,
        request::spdsetidx,
        request::spdupdate,
        request::update,
    ];
    let mut there = BTreeSet::from(there);
    #[cfg(feature = "serde")]
    there.extend(names![Kernel::dump_json, Kernel::policy_dump_json]);
    // The page documents them whether this build has the feature or not.
    #[cfg(not(feature = "serde"))]
    there.extend(["Kernel::dump_json", "Kernel::policy_dump_json"]);
    assert_eq!(functions(), there);
}

/// The functions that the page names, but for those of C.
fn functions() -> BTreeSet<&'static str> {
    // In the table, the name of C is before the first separator.
    let lines = PAGE.lines().map(|line| line.split_once(" Ta ").map_or(line, |(_, rust)| rust));
    let names = lines.flat_map(|line| line.split("Fn ").skip(1));
    names.filter_map(|rest| rest.split(' ').next()).collect()
}

#[test]
fn every_backend_exists() {
    use libpfkey::backend::BackendKind;

    let (_, text) = PAGE.split_once("\n.Ss Backends\n").expect("a section");
    let list = text.split("\n.El\n").next().unwrap_or_default();
    let words = list.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    let words: Vec<String> = words.map(|word| word.replace(" : Ns Ar PATH", ":/path")).collect();
    let kinds: Vec<BackendKind> = words.iter().map(|word| word.parse().expect("a backend")).collect();
    let path = "/path".into();
    assert_eq!(
        kinds,
        [BackendKind::Auto, BackendKind::Xfrm, BackendKind::PfKey, BackendKind::Socket(path), BackendKind::Memory]
    );
}
