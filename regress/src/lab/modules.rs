//! Kernel modules that the lab loads, by purpose.

/// PF_KEY. Not loaded for the backend `xfrm`.
pub(crate) const PF_KEY: &[&str] = &["af_key"];

/// IPsec transforms and NETLINK_XFRM.
const IPSEC: &[&str] = &[
    "xfrm_user",
    "esp4",
    "esp6",
    "esp4_offload",
    "esp6_offload",
    "ah4",
    "ah6",
    "ipcomp",
    "ipcomp6",
    "xfrm4_tunnel",
    "xfrm6_tunnel",
    "tunnel6",
    "xfrm_interface",
];

/// Links between hosts, and NAT.
const NETWORK: &[&str] = &[
    "veth",
    "bridge",
    "dummy",
    "af_packet",
    "sch_netem",
    "sch_ingress",
    "cls_u32",
    "act_gact",
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "nft_nat",
    "nft_masq",
    "nft_chain_nat",
    "iptable_nat",
    "iptable_filter",
    "xt_MASQUERADE",
    "xt_policy",
];

/// Overlays, which put the files of another daemon over `/usr`.
const FILES: &[&str] = &["overlay"];

/// All algorithms of SAs. Loading on demand is disabled after these are loaded.
const CRYPTO: &[&str] = &[
    "authenc",
    "authencesn",
    "cbc",
    "ctr",
    "ecb",
    "gcm",
    "ccm",
    "cmac",
    "xcbc",
    "hmac",
    "md5",
    "rmd160",
    "sha1_generic",
    "sha256_generic",
    "sha512_generic",
    "sm3_generic",
    "aes_generic",
    "des_generic",
    "blowfish_generic",
    "twofish_generic",
    "camellia_generic",
    "cast5_generic",
    "cast6_generic",
    "serpent_generic",
    "sm4_generic",
    "seqiv",
    "echainiv",
    "deflate",
    "chacha20poly1305",
    "chacha_generic",
    "poly1305_generic",
    "ghash-generic",
    "crypto_null",
    "drbg",
];

/// Returns the modules for a boot.
pub(crate) fn names(pf_key: bool) -> Vec<String> {
    let first = if pf_key { PF_KEY } else { &[] };
    [first, IPSEC, NETWORK, FILES, CRYPTO].concat().into_iter().map(str::to_owned).collect()
}
