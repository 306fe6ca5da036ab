//! The language of `setkey`: statements ended by `;`.

mod ast;

pub use ast::*;
