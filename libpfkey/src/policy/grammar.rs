//! The grammar, compiled from `grammar.pest`.

#[derive(pest_derive::Parser)]
#[grammar = "policy/grammar.pest"]
pub(super) struct Grammar;
