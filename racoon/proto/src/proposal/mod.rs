//! Compares proposals with the configuration, as `proposal_check` requires, and encodes and decodes them.

pub mod encoding;
mod phase1;
mod phase2;
mod refusal;

pub use encoding::{OfferedPhase1, Phase1Offer, answered_phase1, offered_phase1, phase1_answer, phase1_sa};
pub use phase1::{Phase1Acceptance, Phase1Mismatch, Phase1Terms, accept_phase1, check_phase1, closest_phase1};
pub use phase2::{
    Phase2Agreement, Phase2Mismatch, Phase2Terms, Phase2Transform, accept_transform, check_phase2, check_transform,
    heed_responder_lifetime, transforms,
};
pub(crate) use phase2::{terms_mismatches, transform_mismatches};
pub use refusal::{ProposalRefusal, Sides};
