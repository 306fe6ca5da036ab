//! The grammar, compiled from `grammar.pest`.

#[derive(pest_derive::Parser)]
#[grammar = "racoon/grammar.pest"]
pub(super) struct Grammar;
