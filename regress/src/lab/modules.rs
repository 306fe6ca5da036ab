//! The kernel modules the lab loads, by what they are for.

/// PF_KEY; left out where only NETLINK_XFRM may be used.
pub(crate) const PF_KEY: &[&str] = &["af_key"];

/// IPsec transforms and the netlink door to them.
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

/// Links between hosts, and NAT on them.
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

/// A program's own tree of files laid over the host's.
const FILES: &[&str] = &["overlay"];

/// Everything an SA can name: loading on demand is switched off once these are in.
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

/// The modules of one boot.
pub(crate) fn names(pf_key: bool) -> Vec<String> {
    let first = if pf_key { PF_KEY } else { &[] };
    [first, IPSEC, NETWORK, FILES, CRYPTO].concat().into_iter().map(str::to_owned).collect()
}
