//! The language of `racoon.conf`.

mod algorithm;
mod config;
mod directive;
mod distinguished_name;
mod global;
mod identifier;
mod loader;
mod mode_cfg;
mod place;
mod remote;
mod sainfo;
mod secret;
mod word;

pub use algorithm::*;
pub use config::Config;
pub use directive::{Directive, Section};
pub use distinguished_name::{Attribute, DistinguishedName};
pub use global::{
    Account, AdminSocket, Backend, HalfOpenLimit, Listen, ListenSocket, LogLevel, Padding, Paths, Privsep,
    SocketAccess, Timer,
};
pub use identifier::{Address, Identifier, KeyId};
pub use loader::{Loader, Metadata};
pub use mode_cfg::*;
pub use place::Place;
pub use remote::*;
pub use sainfo::{Esn, Sainfo, SainfoId};
pub use secret::Secret;
