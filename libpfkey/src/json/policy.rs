//! A policy as JSON.

use serde::Serialize;

use super::member::{End, LifetimeMember, label};
use crate::dump::is_socket_policy;
use crate::num::{ExtensionType, SCOPE_IFNET};
use crate::protocol::protocol_name;
use crate::wire::{Message, Policy};

/// View of a policy in a message: an element of `policies` in [`SCHEMA`](super::SCHEMA).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyEntry {
    source: Option<End>,
    destination: Option<End>,
    upper_layer: Option<String>,
    socket_policy: bool,
    /// In the syntax of `-P`.
    policy: Option<String>,
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    current: Option<LifetimeMember>,
    hard: Option<LifetimeMember>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<String>,
}

impl PolicyEntry {
    /// The policy of an SPDDUMP or SPDGET reply.
    pub fn new(message: &Message<'_>) -> Self {
        let dialect = message.abi.dialect;
        let policy = message.policy();
        Self {
            source: message.source().map(End::new),
            destination: message.destination().map(End::new),
            upper_layer: message.source().map(|address| protocol_name(address.proto).into_owned()),
            socket_policy: is_socket_policy(message),
            policy: policy.and_then(|policy| policy.to_text(dialect, " ", true).ok()),
            id: policy.map(|policy| policy.id),
            priority: policy
                .filter(|policy| dialect.has_priority() && !is_of_interface(policy))
                .map(|policy| policy.priority),
            current: LifetimeMember::of(message, ExtensionType::LifetimeCurrent),
            hard: LifetimeMember::of(message, ExtensionType::LifetimeHard),
            security_context: label(message),
        }
    }
}

/// Returns whether the priority field contains the index of an interface, as on FreeBSD.
fn is_of_interface(policy: &Policy) -> bool {
    policy.scope == SCOPE_IFNET
}
