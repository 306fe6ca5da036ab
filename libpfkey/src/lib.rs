//! IPsec in the kernel, from user space: SAs and policies over PF_KEY version 2 (RFC 2367, with the KAME extensions) and
//! over Linux' NETLINK_XFRM.
//!
//! # A map of PF_KEY
//!
//! A kernel that does IPsec has two databases. The **SAD** holds *security associations*: keys and algorithms for packets
//! of one direction, found by destination, protocol and *SPI*. The **SPD** holds *policies*: which packets need which SAs,
//! pass in clear, or are dropped. A *key manager* (racoon, or an administrator with setkey) fills both:
//!
//! | to do | request | method |
//! |---|---|---|
//! | install keys by hand | ADD | [`Kernel::add`] |
//! | reserve an SPI, and install the negotiated keys | GETSPI, UPDATE | [`Kernel::allocate_spi`], [`Kernel::update`] |
//! | look at SAs | GET, DUMP | [`Kernel::get`], [`Kernel::dump`] |
//! | remove SAs | DELETE, FLUSH | [`Kernel::delete`], [`Kernel::flush`] |
//! | say which packets need SAs | SPDADD, SPDUPDATE, … | [`Kernel::policy_add`] and the other `policy_` methods |
//! | be told when a packet needs an SA, or an SA expires | REGISTER; ACQUIRE, EXPIRE | [`Kernel::register`], [`Kernel::events`] |
//!
//! A host that both sends and receives needs two SAs and two policies, one of each for either direction; the peer has the
//! same two SAs, and the policies the other way round. A *reqid* binds a policy to certain SAs. The four kernels with
//! PF_KEY number and arrange it differently: a [`Dialect`] is a property of the connection, not of the build.
//!
//! # Two programs
//!
//! An ESP pair with its policies, on any kernel:
//!
//! ```no_run
//! use libpfkey::algorithm::Encryption;
//! use libpfkey::policy::{Direction, Level};
//! use libpfkey::{Kernel, PolicySpec, SaSpec, SaType, Selector, Template};
//!
//! let mut kernel = Kernel::open()?;
//! let (here, there) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
//! for (source, destination, direction) in [(here, there, Direction::Out), (there, here, Direction::In)] {
//!     let spi = if direction == Direction::Out { 0x1001 } else { 0x1002 };
//!     let sa = SaSpec::esp(source, destination, spi).encryption(Encryption::AesCbc, b"sixteen byte key");
//!     kernel.add(&sa.build()?)?;
//!     let esp = Template::transport(SaType::Esp, Level::Require);
//!     let policy = PolicySpec::ipsec(Selector::hosts(source, destination), direction).template(esp);
//!     kernel.policy_add(&policy.build()?)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! TCP-MD5 SAs for a BGP session on a BSD. This example uses the in-process key engine; [`Kernel::open`] uses the kernel:
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
//! // On Linux the error says what to use instead.
//! let mut linux = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::Linux))?;
//! let error = linux.add(&SaSpec::tcp_md5(router, neighbour, b"secret").build()?).unwrap_err();
//! assert!(error.to_string().contains("TCP_MD5SIG"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Other modules and types
//!
//! - [`SaSpec`], [`PolicySpec`], [`Selector`]: what is installed; [`InstalledSa`], [`InstalledPolicy`]: what a kernel reports.
//! - [`algorithm`]: algorithms, their names, numbers and key lengths.
//! - [`policy`]: the policy language of `setkey -P` and `ipsec_set_policy(3)`.
//! - [`backend`]: the kernel interfaces, and [`Memory`](backend::Memory), an in-process key engine for tests.
//! - [`rules`]: what kernels refuse, and why.
//! - [`dump`]: the texts that `setkey -D` prints.
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
