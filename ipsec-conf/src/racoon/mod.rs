//! The language of `racoon.conf`.

mod address;
mod algorithm;
mod changes;
mod check;
mod config;
mod directive;
mod distinguished_name;
mod foreign;
mod global;
mod grammar;
mod identifier;
mod loader;
mod meaning;
mod mode_cfg;
mod operands;
mod parser;
mod password;
mod place;
mod problem;
mod remote;
mod sainfo;
mod secret;
mod source;
mod stray;
mod suite;
mod text;
mod token;
mod word;

pub use algorithm::*;
pub use changes::{Changes, Difference};
pub use check::{Load, load};
pub use config::Config;
pub use directive::{Directive, Section};
pub use distinguished_name::{Attribute, DistinguishedName};
pub use global::{
    Account, AdminSocket, Backend, HalfOpenLimit, Listen, ListenSocket, LogLevel, Padding, Paths, Privsep,
    SocketAccess, Timer,
};
pub use identifier::{Address, Identifier, KeyId};
pub use loader::{Credential, CredentialFile, FileFault, KEY_FILE_MAX, Loader, Metadata};
pub use mode_cfg::*;
pub use place::Place;
pub use problem::{Problem, Severity};
pub use remote::*;
pub use sainfo::{Esn, Sainfo, SainfoId};
pub use secret::Secret;
pub use text::Passwords;

#[cfg(test)]
mod tests;
