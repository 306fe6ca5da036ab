//! The offset of each field (`linux/xfrm.h`). Structures with 64-bit fields are shorter on i386, which pads them less.

use super::{reader, written};
use crate::backend::xfrm::layout::{
    Addr, Algo, Encap, Id, Mapping, Migrate, PolicyInfo, ReplayEsn, State, StateId, XfrmAcquire, XfrmLimits,
    XfrmPolicyId, XfrmSelector, XfrmTemplate, parse_expire,
};

/// Padding at the end of structures with 64-bit fields: `usersa_info`, `userpolicy_info`.
const PAD: usize = align_of::<u64>() - 4;

fn addr(last: u8) -> Addr {
    Addr::of([10, 0, 0, last].into())
}

/// Checks the fields at their offsets, and that every other byte is 0.
#[track_caller]
fn assert_fields(bytes: &[u8], length: usize, fields: &[(usize, &[u8])]) {
    let mut expected = vec![0; length];
    for (at, field) in fields {
        expected[*at..at + field.len()].copy_from_slice(field);
    }
    assert_eq!(bytes, expected);
}

fn selector() -> XfrmSelector {
    XfrmSelector {
        destination: addr(1),
        source: addr(2),
        destination_port: 0x1122,
        destination_port_mask: 0xff00,
        source_port: 0x3344,
        source_port_mask: 0x00ff,
        family: 2,
        destination_prefix: 24,
        source_prefix: 25,
        proto: 17,
        interface: 3,
        user: 4,
    }
}

const SELECTOR: [(usize, &[u8]); 12] = [
    (0, &[10, 0, 0, 1]),
    (16, &[10, 0, 0, 2]),
    (32, &[0x11, 0x22]),
    (34, &[0xff, 0]),
    (36, &[0x33, 0x44]),
    (38, &[0, 0xff]),
    (40, const { &2_u16.to_ne_bytes() }),
    (42, &[24]),
    (43, &[25]),
    (44, &[17]),
    (48, const { &3_u32.to_ne_bytes() }),
    (52, const { &4_u32.to_ne_bytes() }),
];

fn limits() -> XfrmLimits {
    XfrmLimits {
        soft_bytes: 1,
        hard_bytes: 2,
        soft_packets: 3,
        hard_packets: 4,
        soft_add: 5,
        hard_add: 6,
        soft_use: 7,
        hard_use: 8,
    }
}

const ONES: [[u8; 8]; 8] = [
    1_u64.to_ne_bytes(),
    2_u64.to_ne_bytes(),
    3_u64.to_ne_bytes(),
    4_u64.to_ne_bytes(),
    5_u64.to_ne_bytes(),
    6_u64.to_ne_bytes(),
    7_u64.to_ne_bytes(),
    8_u64.to_ne_bytes(),
];

fn at_limits(start: usize) -> Vec<(usize, &'static [u8])> {
    ONES.iter().enumerate().map(|(index, bytes)| (start + index * 8, &bytes[..])).collect()
}

fn state() -> State {
    State {
        selector: selector(),
        id: Id { destination: addr(3), spi: 0x1234_5678, proto: 50 },
        source: addr(4),
        limits: limits(),
        seq: 9,
        reqid: 10,
        family: 2,
        mode: 1,
        replay_window: 32,
        flags: 0x81,
        ..State::default()
    }
}

fn at_state() -> Vec<(usize, &'static [u8])> {
    let mut fields = SELECTOR.to_vec();
    fields.extend(at_limits(96));
    fields.extend::<[(usize, &[u8]); 9]>([
        (56, &[10, 0, 0, 3]),
        (72, &[0x12, 0x34, 0x56, 0x78, 50]),
        (80, &[10, 0, 0, 4]),
        (204, const { &9_u32.to_ne_bytes() }),
        (208, const { &10_u32.to_ne_bytes() }),
        (212, const { &2_u16.to_ne_bytes() }),
        (214, &[1]),
        (215, &[32]),
        (216, &[0x81]),
    ]);
    fields
}

fn policy() -> PolicyInfo {
    let (selector, limits) = (selector(), limits());
    PolicyInfo {
        selector,
        limits,
        priority: 11,
        index: 12,
        direction: 1,
        action: 2,
        flags: 3,
        share: 4,
        ..PolicyInfo::default()
    }
}

#[test]
fn selectors_limits_states() {
    let bytes = written(|writer| selector().emit(writer));
    assert_fields(&bytes, 56, &SELECTOR);
    assert_eq!(XfrmSelector::parse(&mut reader(&bytes)).unwrap(), selector());
    let bytes = written(|writer| state().emit(writer));
    assert_fields(&bytes, 220 + PAD, &at_state());
    assert_eq!(State::parse(&mut reader(&bytes)).unwrap(), state());
}

#[test]
fn current_use_follows_the_limits() {
    let mut bytes = written(|writer| state().emit(writer));
    for (index, value) in (0..).zip([20_u64, 21, 22, 23]) {
        let at = 160 + 8 * index;
        bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
    let current = State::parse(&mut reader(&bytes)).unwrap().current;
    assert_eq!((current.bytes, current.packets, current.add_time, current.use_time), (20, 21, 22, 23));
}

#[test]
fn expiries_end_with_a_byte() {
    let mut bytes = written(|writer| state().emit(writer));
    bytes.extend([1; 4]);
    bytes.extend([0; PAD]);
    let mut cursor = reader(&bytes);
    assert_eq!(parse_expire(&mut cursor).unwrap(), (state(), true));
    assert_eq!(cursor.remaining(), 0);
}

#[test]
fn ids() {
    let id = StateId { destination: addr(1), spi: 0x1234_5678, family: 2, proto: 51 };
    let bytes = written(|writer| id.emit(writer));
    let fields: [(usize, &[u8]); 4] =
        [(0, &[10, 0, 0, 1]), (16, &[0x12, 0x34, 0x56, 0x78]), (20, const { &2_u16.to_ne_bytes() }), (22, &[51])];
    assert_fields(&bytes, 24, &fields);
    assert_eq!(StateId::parse(&mut reader(&bytes)).unwrap(), id);
    let id = XfrmPolicyId { selector: selector(), index: 9, direction: 2 };
    let bytes = written(|writer| id.emit(writer));
    let mut fields = SELECTOR.to_vec();
    fields.extend::<[(usize, &[u8]); 2]>([(56, const { &9_u32.to_ne_bytes() }), (60, &[2])]);
    assert_fields(&bytes, 64, &fields);
    assert_eq!(XfrmPolicyId::parse(&mut reader(&bytes)).unwrap(), id);
}

#[test]
fn policies_and_templates() {
    let bytes = written(|writer| policy().emit(writer));
    let mut fields = SELECTOR.to_vec();
    fields.extend(at_limits(56));
    fields.extend::<[(usize, &[u8]); 3]>([
        (152, const { &11_u32.to_ne_bytes() }),
        (156, const { &12_u32.to_ne_bytes() }),
        (160, &[1, 2, 3, 4]),
    ]);
    assert_fields(&bytes, 164 + PAD, &fields);
    assert_eq!(PolicyInfo::parse(&mut reader(&bytes)).unwrap(), policy());
    let id = Id { destination: addr(1), spi: 0, proto: 108 };
    let template = XfrmTemplate { id, family: 2, source: addr(2), reqid: 5, mode: 1, optional: true };
    let bytes = written(|writer| template.emit(writer));
    let fields: [(usize, &[u8]); 8] = [
        (0, &[10, 0, 0, 1]),
        (20, &[108]),
        (24, const { &2_u16.to_ne_bytes() }),
        (28, &[10, 0, 0, 2]),
        (44, const { &5_u32.to_ne_bytes() }),
        (48, &[1]),
        (50, &[1]),
        // With other masks of algorithms the kernel's inbound check refuses every SA.
        (52, &[0xff; 12]),
    ];
    assert_fields(&bytes, XfrmTemplate::LEN, &fields);
    assert_eq!(XfrmTemplate::parse(&mut reader(&bytes)).unwrap(), template);
}

#[test]
fn algorithms_encapsulations_windows() {
    let algorithm = Algo { name: b"hmac(sha1)", key_bits: 12, icv_bits: Some(96), key: &[1, 2] };
    let bytes = written(|writer| algorithm.emit(writer));
    let fields: [(usize, &[u8]); 4] = [
        (0, b"hmac(sha1)"),
        (64, const { &12_u32.to_ne_bytes() }),
        (68, const { &96_u32.to_ne_bytes() }),
        (72, &[1, 2]),
    ];
    assert_fields(&bytes, 74, &fields);
    assert!(Algo::parse(&mut reader(&bytes), true).unwrap() == algorithm);
    let plain = Algo { icv_bits: None, ..algorithm };
    assert_eq!(written(|writer| plain.emit(writer)).len(), 70);
    let encap = Encap { kind: 2, source_port: 4500, destination_port: 4501 };
    let bytes = written(|writer| encap.emit(writer));
    let fields: [(usize, &[u8]); 2] = [(0, const { &2_u16.to_ne_bytes() }), (2, &[0x11, 0x94, 0x11, 0x95])];
    assert_fields(&bytes, 24, &fields);
    let replay = ReplayEsn { window: 100 };
    let bytes = written(|writer| replay.emit(writer));
    let fields: [(usize, &[u8]); 2] = [(0, const { &4_u32.to_ne_bytes() }), (20, const { &100_u32.to_ne_bytes() })];
    assert_fields(&bytes, 24 + 16, &fields);
    assert_eq!(ReplayEsn::parse(&mut reader(&bytes)).unwrap(), replay);
}

#[test]
fn events() {
    let mut bytes = vec![0; 24];
    bytes[0..4].copy_from_slice(&[10, 0, 0, 1]);
    bytes[20] = 50;
    bytes.extend(written(|writer| writer.bytes(&addr(2).0)));
    bytes.extend(written(|writer| selector().emit(writer)));
    bytes.extend(written(|writer| policy().emit(writer)));
    bytes.extend([0xff; 12]);
    bytes.extend(77_u32.to_ne_bytes());
    assert_eq!(bytes.len(), 276 + PAD);
    let acquire = XfrmAcquire::parse(&mut reader(&bytes)).unwrap();
    assert_eq!((acquire.seq, acquire.family, acquire.policy.index), (77, 2, 12));
    assert_eq!((acquire.id.destination, acquire.source), (addr(1), addr(2)));

    let mut bytes = vec![0; 64];
    bytes[16..20].copy_from_slice(&[0, 0, 1, 0]);
    bytes[28..32].copy_from_slice(&[10, 0, 0, 8]);
    bytes[44..48].copy_from_slice(&[10, 0, 0, 9]);
    bytes[60..64].copy_from_slice(&[0x11, 0x94, 0x11, 0x95]);
    let mapping = Mapping::parse(&mut reader(&bytes)).unwrap();
    assert_eq!((mapping.old_source, mapping.new_source), (addr(8), addr(9)));
    assert_eq!((mapping.id.spi, mapping.old_port, mapping.new_port), (256, 4500, 4501));

    let migrate = Migrate {
        old_destination: addr(1),
        old_source: addr(2),
        new_destination: addr(3),
        new_source: addr(4),
        proto: 50,
        mode: 1,
        reqid: 6,
        old_family: 2,
        new_family: 2,
    };
    let bytes = written(|writer| migrate.emit(writer));
    let fields: [(usize, &[u8]); 9] = [
        (0, &[10, 0, 0, 1]),
        (16, &[10, 0, 0, 2]),
        (32, &[10, 0, 0, 3]),
        (48, &[10, 0, 0, 4]),
        (64, &[50]),
        (65, &[1]),
        (68, const { &6_u32.to_ne_bytes() }),
        (72, const { &2_u16.to_ne_bytes() }),
        (74, const { &2_u16.to_ne_bytes() }),
    ];
    assert_fields(&bytes, 76, &fields);
    assert_eq!(Migrate::parse(&mut reader(&bytes)).unwrap(), migrate);
}
