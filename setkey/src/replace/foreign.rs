//! SAs and policies of others that stay, whatever the files say: those of a running racoon.

use libpfkey::Message;

/// What belongs to racoon.
#[derive(Debug, Default)]
pub(super) struct Foreign {}

impl Foreign {
    /// Whether an SA of the kernel's is racoon's.
    pub(super) fn has_sa(&self, _message: &Message<'_>) -> bool {
        false
    }

    /// Whether a policy of the kernel's is racoon's.
    pub(super) fn has_policy(&self, _message: &Message<'_>) -> bool {
        false
    }
}
