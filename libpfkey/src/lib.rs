//! PF_KEY version 2.
