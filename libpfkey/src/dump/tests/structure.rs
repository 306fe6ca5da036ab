use expect_test::{Expect, expect};

use super::*;
use crate::dump::structure;
use crate::wire::{
    Algorithm, Combination, Identity, IpsecRequest, KmAddress, Policy, Proposal, SpiRange, XfrmAuthTrunc, XfrmMark,
    XfrmOffload, XfrmReplay,
};

#[track_caller]
fn prints(abi: Abi, extensions: Vec<Extension<'_>>, expected: &Expect) {
    let message = Message { abi, ..message(MessageType::Add, SaType::Esp, extensions) };
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    let mut out = String::new();
    structure(&mut out, abi, &bytes);
    expected.assert_eq(&out);
}

#[test]
fn sa_with_keys() {
    let flags = SaFlags::CYCSEQ;
    let current = Lifetime { allocations: 1, bytes: u64::MAX, addtime: 1_750_000_000, usetime: 2 };
    let key: Vec<u8> = (0..40).collect();
    prints(
        LINUX,
        vec![
            Extension::Sa(Sa { spi: 4097, replay: 4, state: SaState::Larval, auth: 3, encrypt: 12, flags }),
            Extension::Sa2(Sa2 { mode: 2, reserved1: 1, reserved2: 2, sequence: 3, reqid: 4 }),
            Extension::Lifetime(T::LifetimeCurrent, current),
            Extension::Address(
                T::AddressSrc,
                Address { proto: 17, prefix: 24, reserved: 0x0201, sockaddr: socket("10.0.0.0:500") },
            ),
            host(T::AddressDst, "[2001:db8::1%3]:0"),
            Extension::Key(T::KeyEncrypt, Key::new(&key).unwrap()),
            Extension::NatTType(2),
            Extension::NatTPort(T::NatTSport, 4500),
        ],
        &expect![[r#"
            sadb_msg{ version=2 type=3 errno=0 satype=3
              len=26 reserved=1 seq=3 pid=77
            sadb_ext{ len=2 type=1 }
            sadb_sa{ spi=4097 replay=4 state=0
              auth=3 encrypt=12 flags=0x00000040 }
            sadb_ext{ len=2 type=19 }
            sadb_x_sa2{ mode=2 reqid=4
              reserved1=1 reserved2=2 sequence=3 }
            sadb_ext{ len=4 type=2 }
            sadb_lifetime{ alloc=1, bytes=18446744073709551615
              addtime=1750000000, usetime=2 }
            sadb_ext{ len=3 type=5 }
            sadb_address{ proto=17 prefixlen=24 reserved=0x0102 }
            sockaddr{ len=16 family=2 port=500
             0a000000  }
            sadb_ext{ len=5 type=6 }
            sadb_address{ proto=255 prefixlen=128 reserved=0x0000 }
            sockaddr{ len=28 family=10 port=0
              flowinfo=0x00000000, scope_id=0x00000003
             20010db8 00000000 00000000 00000001  }
            sadb_ext{ len=6 type=9 }
            sadb_key{ bits=320 reserved=0
              key= 00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f
             20212223 24252627 }
            sadb_ext{ len=1 type=20 }
            sadb_x_nat_t_type{ type=2 }
            sadb_ext{ len=1 type=21 }
            sadb_x_nat_t_port{ port=4500 }
        "#]],
    );
}

#[test]
fn policies() {
    let endpoints = Some((socket("10.0.0.1:0"), socket("10.0.0.2:4500")));
    let requests = vec![
        IpsecRequest { proto: 50, mode: 2, level: 3, reqid: 0x4001, endpoints },
        IpsecRequest { proto: 51, mode: 1, level: 2, reqid: 0, endpoints: None },
    ];
    let policy =
        Extension::Policy(Policy { kind: 2, direction: 2, scope: 0, id: 0xab, priority: 0x8000_0000, requests });
    prints(
        LINUX,
        vec![policy.clone()],
        &expect![[r#"
        sadb_msg{ version=2 type=3 errno=0 satype=3
          len=12 reserved=1 seq=3 pid=77
        sadb_ext{ len=10 type=18 }
        sadb_x_policy{ type=2 dir=2 id=ab priority=2147483648 }
         { len=48 proto=50 mode=2 level=3 reqid=16385
        sockaddr{ len=16 family=2 port=0
         0a000001  }
        sockaddr{ len=16 family=2 port=4500
         0a000002  }
         }
         { len=16 proto=51 mode=1 level=2 reqid=0
         }
    "#]],
    );
    prints(
        Abi { dialect: Dialect::NetBsd, ..LINUX },
        vec![policy],
        &expect![[r#"
        sadb_msg{ version=2 type=3 errno=0 satype=3
          len=10 reserved=1 seq=3 pid=77
        sadb_ext{ len=8 type=18 }
        sadb_x_policy{ type=2 dir=2 flags=0x00 id=ab }
         { len=40 proto=50 mode=2 level=3 reqid=16385
        sockaddr{ len=16 family=2 port=0
         0a000001  }
        sockaddr{ len=16 family=2 port=4500
         0a000002  }
         }
         { len=8 proto=51 mode=1 level=2 reqid=0
         }
    "#]],
    );
}

#[test]
fn lists() {
    let algorithm = |id| Algorithm { id, iv_len: 8, min_bits: 40, max_bits: 448, reserved: 0 };
    let combination =
        Combination { auth: 2, encrypt: 3, auth_min_bits: 128, soft_usetime: 9, ..Combination::default() };
    prints(
        LINUX,
        vec![
            Extension::Supported(T::SupportedEncrypt, vec![algorithm(7), algorithm(11)]),
            Extension::Proposal(Proposal { replay: 4, combinations: vec![combination] }),
        ],
        &expect![[r#"
            sadb_msg{ version=2 type=3 errno=0 satype=3
              len=15 reserved=1 seq=3 pid=77
            sadb_ext{ len=3 type=15 }
            sadb_sup{
              { id=7 ivlen=8 min=40 max=448 }
              { id=11 ivlen=8 min=40 max=448 }
            }
            sadb_ext{ len=10 type=13 }
            sadb_prop{ replay=4
            sadb_comb{ auth=2 encrypt=3 flags=0x0000 reserved=0x00000000
              auth_minbits=128 auth_maxbits=0 encrypt_minbits=0 encrypt_maxbits=0
              soft_alloc=0 hard_alloc=0 soft_bytes=0 hard_bytes=0
              soft_addtime=0 hard_addtime=0 soft_usetime=9 hard_usetime=0 }
            }
        "#]],
    );
}

#[test]
fn the_rest() {
    let identity = |kind, value| Extension::Identity(kind, Identity { kind: 2, reserved: 0, id: 7, value });
    let (local, remote) = (socket("10.0.0.1:0"), socket("10.0.0.2:0"));
    prints(
        LINUX,
        vec![
            identity(T::IdentitySrc, b"host.example\0\0\0\0"),
            identity(T::IdentityDst, b"\0\0\0\0\0\0\0\0"),
            Extension::SpiRange(SpiRange { min: 256, max: 512 }),
            Extension::KmAddress(KmAddress { reserved: 1, local, remote }),
            Extension::SecurityContext(SecurityContext { algorithm: 1, doi: 1, label: b"x\0" }),
            Extension::Opaque(T::Other(99), &[1, 2, 3, 4]),
        ],
        &expect![[r#"
            sadb_msg{ version=2 type=3 errno=0 satype=3
              len=19 reserved=1 seq=3 pid=77
            sadb_ext{ len=4 type=10 }
            sadb_ident_src{ type=2 id=7
              str="host.example" }
            sadb_ext{ len=3 type=11 }
            sadb_ident_dst{ type=2 id=7 }
            sadb_ext{ len=2 type=16 }
            sadb_ext{ len=5 type=25 }
            sadb_x_kmaddress{ reserved=0x00000001 }
            sockaddr{ len=16 family=2 port=0
             0a000001  }
            sockaddr{ len=16 family=2 port=0
             0a000002  }
            sadb_ext{ len=2 type=24 }
            kdebug_sadb: invalid ext_type 24 was passed.
            sadb_ext{ len=1 type=99 }
            kdebug_sadb: invalid ext_type 99 was passed.
        "#]],
    );
    prints(
        FREEBSD,
        vec![Extension::NatTFrag(552), Extension::SaReplay(1024)],
        &expect![[r#"
        sadb_msg{ version=2 type=3 errno=0 satype=3
          len=4 reserved=1 seq=3 pid=77
        sadb_ext{ len=1 type=25 }
        sadb_x_nat_t_frag{ fraglen=552 }
        sadb_ext{ len=1 type=26 }
        sadb_x_sa_replay{ replay=1024 }
    "#]],
    );
}

#[test]
fn xfrm_extensions() {
    prints(
        LINUX,
        vec![
            Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: 128, align4: false }),
            Extension::XfrmReplay(XfrmReplay { window: 128, esn: true }),
            Extension::XfrmMark(XfrmMark { value: 1, mask: 0xff }),
            Extension::XfrmOutputMark(XfrmMark { value: 2, mask: u32::MAX }),
            Extension::XfrmIfId(7),
            Extension::XfrmOffload(XfrmOffload { interface: 3, flags: 6 }),
        ],
        &expect![[r#"
            sadb_msg{ version=2 type=3 errno=0 satype=3
              len=14 reserved=1 seq=3 pid=77
            sadb_ext{ len=2 type=200 }
            xfrm_auth_trunc{ icv_bits=128 }
            sadb_ext{ len=2 type=201 }
            xfrm_replay{ window=128 esn=1 }
            sadb_ext{ len=2 type=202 }
            xfrm_mark{ value=0x00000001 mask=0x000000ff }
            sadb_ext{ len=2 type=203 }
            xfrm_output_mark{ value=0x00000002 mask=0xffffffff }
            sadb_ext{ len=2 type=204 }
            xfrm_if_id{ id=7 }
            sadb_ext{ len=2 type=205 }
            xfrm_offload{ ifindex=3 flags=0x06 }
        "#]],
    );
}

#[test]
fn broken_bytes_are_complained_about_once() {
    let complaint = |bytes: &[u8]| {
        let mut out = String::new();
        structure(&mut out, LINUX, bytes);
        out
    };
    let header = [2, 3, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let printed = "sadb_msg{ version=2 type=3 errno=0 satype=3\n  len=3 reserved=0 seq=0 pid=0\n";
    assert_eq!(complaint(&header), printed);
    let with = |extension: &[u8]| complaint(&[&header[..], extension].concat());
    assert_eq!(
        with(&[0; 8]),
        format!("{printed}kdebug_sadb: Invalid sadb message: an extension of length 0 at byte 16.\n")
    );
    assert_eq!(
        with(&[2, 0, 1, 0, 0, 0, 0, 0]),
        format!("{printed}kdebug_sadb: Invalid sadb message: an extension longer than the message at byte 16.\n")
    );
    assert_eq!(complaint(&[2, 3]), "kdebug_sadb: Invalid sadb message: the message ends inside a field at byte 2.\n");
}
