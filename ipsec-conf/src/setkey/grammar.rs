//! The grammar, compiled from `grammar.pest`.

#[derive(pest_derive::Parser)]
#[grammar = "setkey/grammar.pest"]
pub(super) struct Grammar;
