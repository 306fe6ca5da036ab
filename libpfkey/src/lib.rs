//! IPsec in the kernel, managed from user space: SAs and policies over PF_KEY version 2 (RFC 2367, with the KAME extensions)
//! on Linux, FreeBSD, NetBSD and macOS, and over NETLINK_XFRM on Linux.
//!
//! Most programs need only a [`Kernel`]. It installs an [`SaSpec`] or a [`PolicySpec`], returns what the kernel has as
//! [`InstalledSa`] and [`InstalledPolicy`], and reports each [`Event`].
//!
//! # Two programs
//!
//! An ESP pair with its policies, on any kernel:
//!
//! ```no_run
//! use libpfkey::algorithm::{Authentication, Encryption};
//! use libpfkey::policy::{Direction, Level};
//! use libpfkey::{Kernel, PolicySpec, SaSpec, SaType, Selector, Template};
//!
//! let mut kernel = Kernel::open()?;
//! let (here, there) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
//! let pair = [(here, there, 0x1001, Direction::Out), (there, here, 0x1002, Direction::In)];
//! for (source, destination, spi, direction) in pair {
//!     let sa = SaSpec::esp(source, destination, spi)
//!         .encryption(Encryption::AesCbc, b"sixteen byte key")
//!         .authentication(Authentication::HmacSha1, b"twenty byte hmac key");
//!     kernel.add(&sa.build()?)?;
//!     let policy = PolicySpec::ipsec(Selector::hosts(source, destination), direction)
//!         .template(Template::transport(SaType::Esp, Level::Require));
//!     kernel.policy_add(&policy.build()?)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! TCP-MD5 SAs for a BGP session on a BSD, and what the error says on Linux, where the key belongs to the socket. Here the
//! kernels are in-process engines; a program calls [`Kernel::open`]:
//!
//! ```
//! use libpfkey::backend::BackendKind;
//! use libpfkey::{Dialect, Kernel, SaSpec};
//!
//! let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::FreeBsd))?;
//! let (router, neighbour) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
//! for (source, destination) in [(router, neighbour), (neighbour, router)] {
//!     kernel.add(&SaSpec::tcp_md5(source, destination, b"secret of both routers").build()?)?;
//! }
//!
//! let mut linux = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::Linux))?;
//! let error = linux.add(&SaSpec::tcp_md5(router, neighbour, b"secret of both routers").build()?).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "Linux has no TCP-MD5 SAs: set the key on the socket with the option TCP_MD5SIG, see tcp(7)"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A map of PF_KEY
//!
//! A kernel that does IPsec has two databases (RFC 4301 section 4.4):
//!
//! - The **SAD** holds *security associations*. An SA has the keys, algorithms and limits for packets of one direction. A
//!   received packet names its SA by destination, protocol and *SPI*.
//! - The **SPD** holds *policies*. A policy applies to the packets that its *selector* matches, in one direction, and lets
//!   them pass, discards them, or protects them with SAs; its *templates* say with which.
//!
//! A *key manager* fills both databases: an IKE daemon such as racoon, or an administrator with setkey. Two hosts that
//! protect the packets between them share two SAs, one for each direction, and each host has an `out` and an `in` policy. An
//! IKE daemon replaces the SAs before they expire:
//!
//! ```text
//!   kernel                                      key manager
//!   a packet needs an SA      ── ACQUIRE ────►  starts to negotiate
//!   reserves an SPI           ◄── GETSPI ─────  for the inbound SA, which is `larval` until it has keys
//!   installs the inbound SA   ◄── UPDATE ─────  with the negotiated keys: `mature`
//!   installs the outbound SA  ◄── ADD ────────  likewise, with the SPI that the peer has chosen
//!   soft limit reached        ── EXPIRE ─────►  negotiates the next pair; the SA still works: `dying`
//!   hard limit reached        ── EXPIRE ─────►  the kernel has removed the SA
//! ```
//!
//! Each message is a request or an event. The kernel answers a request with a message of the same type, process id and
//! sequence number, and tells other programs of the change:
//!
//! | to | messages | method |
//! |---|---|---|
//! | install keys by hand | ADD | [`Kernel::add`] |
//! | reserve an SPI, and install negotiated keys | GETSPI, UPDATE | [`Kernel::allocate_spi`], [`Kernel::update`] |
//! | read SAs | GET, DUMP | [`Kernel::get`], [`Kernel::dump`] |
//! | remove SAs | DELETE, FLUSH | [`Kernel::delete`], [`Kernel::flush`] |
//! | say which packets need SAs | X_SPDADD, X_SPDUPDATE, … | [`Kernel::policy_add`] and the other `policy_` methods |
//! | learn which algorithms the kernel has | REGISTER | [`Kernel::register`] |
//! | learn that a packet needs an SA, or that an SA expires | REGISTER, then ACQUIRE, EXPIRE | [`Kernel::events`] |
//!
//! Kernels number and lay out messages differently. A [`Dialect`] is a property of the connection, not of the build, so a
//! program can also talk to another system, through [`backend::Socket`].
//!
//! # Other modules and types
//!
//! - [`SaId`], [`PolicyId`]: the names of an SA and of a policy; [`Selector`], [`Template`], [`Lifetimes`]: parts of them.
//! - [`algorithm`]: algorithms, their names, numbers and key lengths.
//! - [`policy`]: the policy language of `setkey -P` and `ipsec_set_policy(3)`.
//! - [`backend`]: the kernel interfaces, and [`Memory`](backend::Memory), an in-process key engine for tests.
//! - [`rules`]: what kernels refuse, and why.
//! - [`lifetime`], [`protocol`], [`spelling`]: soft limits as percentages, names of protocols, and hints in errors, for programs
//!   with a language of their own.
//! - [`num`]: the numbers of PF_KEY in each dialect.
//! - [`dump`]: the texts that `setkey -D` prints.
//! - [`list`]: whether a list of SAs or policies is complete.
//! - `json`, with the feature `serde`: SAs and policies as JSON, and its schema.
//! - [`state_file`], [`kernel_state`]: the file in which racoon lists its SAs and policies.
//!
//! The types are built on messages: [`wire`] parses and writes them, [`request`] composes them as libipsec does,
//! [`Connection`] sends and receives them, and [`Pipeline`] keeps many requests in flight.

pub mod algorithm;
mod arbitrary;
pub mod backend;
mod connection;
mod dialect;
pub mod dump;
mod error;
mod event;
#[cfg(feature = "serde")]
pub mod json;
mod kernel;
pub mod kernel_state;
pub mod lifetime;
pub mod list;
pub mod num;
mod pipeline;
pub mod policy;
pub mod protocol;
pub mod request;
pub mod rules;
mod sa;
mod secret_key;
mod security_policy;
mod selector;
mod setters;
mod spec_error;
pub mod spelling;
pub mod state_file;
mod strerror;
mod sys;
pub mod wire;

pub use connection::Connection;
pub use dialect::{Abi, ByteOrder, DIALECT_VARIABLE, Dialect, UnknownDialect};
pub use error::{Error, Result};
pub use event::{Acquire, Event};
pub use kernel::{Events, Kernel};
pub use num::{ExtensionType, MessageType, SaFlags, SaState, SaType};
pub use pipeline::{Answer, Pipeline, Refusal, SendMode};
pub use request::Request;
pub use sa::{
    InstalledSa, Keyed, Lifetimes, Mode, Replay, SaBuilder, SaId, SaSpec, SecurityLabel, TCP_MD5_SPI, UdpEncapsulation,
};
pub use secret_key::SecretKey;
pub use security_policy::{InstalledPolicy, PolicyBuilder, PolicyId, PolicySpec, Template};
pub use selector::{Selector, SelectorAddress};
pub use spec_error::SpecError;
pub use strerror::{Code, errno_text};
pub use wire::{Builder, Extension, Header, Message};
