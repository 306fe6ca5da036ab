//! Compression algorithms of IPComp.

use super::column::{CryptoApi, PfKey, PfKeys};
use super::ike::IkeCompression;
use super::table::{columns, table};
use crate::dialect::Dialect;

/// A row of the table.
pub(super) struct CompressionRow {
    /// Its name in dumps.
    pub(super) name: &'static str,
    /// Its word in setkey.
    setkey: Option<&'static str>,
    /// Its number in PF_KEY, `sadb_sa_encrypt` of an IPComp SA.
    pub(super) pf_key: PfKeys,
    /// Its name in Linux.
    linux: Option<CryptoApi>,
    /// Its word in racoon.conf, and its number in IKE.
    pub(super) ike: Option<IkeCompression>,
}

/// What a row says unless it says otherwise.
const DEFAULT: CompressionRow = CompressionRow { name: "", setkey: None, pf_key: PfKeys::NONE, linux: None, ike: None };

table! {
    /// Compression algorithm of IPComp.
    Compression: CompressionRow {
        /// No compression.
        None => CompressionRow { name: "none", pf_key: PfKeys::everywhere(0, "SADB_X_CALG_NONE"), ..DEFAULT },
        /// An OUI.
        Oui => CompressionRow {
            name: "oui",
            setkey: Some("oui"),
            pf_key: PfKeys::everywhere(1, "SADB_X_CALG_OUI"),
            ike: Some(IkeCompression { names: &["oui"], transform: 1 }),
            ..DEFAULT
        },
        /// DEFLATE (RFC 2394).
        Deflate => CompressionRow {
            name: "deflate",
            setkey: Some("deflate"),
            pf_key: PfKeys::everywhere(2, "SADB_X_CALG_DEFLATE"),
            linux: Some(CryptoApi::new("deflate").module("deflate")),
            ike: Some(IkeCompression { names: &["deflate"], transform: 2 }),
        },
        /// LZS (RFC 2395).
        Lzs => CompressionRow {
            name: "lzs",
            setkey: Some("lzs"),
            pf_key: PfKeys::everywhere(3, "SADB_X_CALG_LZS"),
            linux: Some(CryptoApi::new("lzs")),
            ike: Some(IkeCompression { names: &["lzs"], transform: 3 }),
        },
        /// LZJH (RFC 3051).
        Lzjh => CompressionRow {
            name: "lzjh",
            pf_key: PfKeys { linux: PfKey::new(4, "SADB_X_CALG_LZJH"), ..PfKeys::NONE },
            linux: Some(CryptoApi::new("lzjh")),
            ..DEFAULT
        },
    }
}

columns! {
    Compression {
        /// Its word in setkey.
        pub(super) setkey: Option<&'static str> = setkey or None;
    }
}
