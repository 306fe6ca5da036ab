//! Sends the same requests over both kernel interfaces of Linux, each in its own network namespace: NETLINK_XFRM must
//! answer as PF_KEY does. The lab runs it, whose kernel has both.

#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use libpfkey::backend::{AfKey, Backend, MESSAGE_MAX, Xfrm};
use libpfkey::num::{
    DIR_FWD, DIR_IN, DIR_OUT, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, MANUAL_REQID_MAX, POLICY_BYPASS, POLICY_DISCARD,
    POLICY_ENTRUST, POLICY_IPSEC, POLICY_NONE,
};
use libpfkey::wire::{
    Address, Extension, Filter, IpsecRequest, Key, Lifetime, Policy, Sa, Sa2, SockAddr, SpiRange, peek_header,
};
use libpfkey::{Abi, Builder, ExtensionType as E, Header, Message, MessageType as M, SaFlags, SaState, SaType, dump};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use regress_skipped::{lacks, skip};

#[test]
fn both_backends_answer_alike() {
    let backends = thread::scope(|scope| {
        let open = || AfKey::open().map(|backend| Box::new(backend) as Box<dyn Backend>);
        let pf_key = scope.spawn(move || in_namespace("PF_KEY", open));
        let pf_key = pf_key.join().expect("no panic")?;
        let open = || Xfrm::open().map(|backend| Box::new(backend) as Box<dyn Backend>);
        let xfrm = scope.spawn(move || in_namespace("NETLINK_XFRM", open));
        Ok::<_, Lacking>((pf_key, xfrm.join().expect("no panic")?))
    });
    let (pf_key, xfrm) = match backends {
        Ok(backends) => backends,
        Err(Lacking::Feature(feature, error)) => return lacks(feature, error),
        Err(Lacking::Namespace(errno)) => return skip(format_args!("no network namespace: {errno}")),
    };
    let mut differing = Vec::new();
    for ((name, expected), (_, seen)) in pf_key.iter().zip(&xfrm) {
        if expected != seen {
            let [expected, seen] = [expected, seen].map(|said| said.concat());
            let _ = writeln!(std::io::stderr(), "== {name}\n-- PF_KEY\n{expected}\n-- NETLINK_XFRM\n{seen}");
            differing.push(*name);
        }
    }
    assert!(differing.is_empty(), "{differing:?}");
}

/// After that an SA of six seconds does not expire any more. Its soft limit is not so near that it has passed when the SA is
/// read back: kernels count whole seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The SPI of that SA.
const EXPIRES: u32 = 0x3000;

/// Answers to each step, as the requester and as an observer receives them.
type Said = Vec<(&'static str, [String; 2])>;

/// Why there is nothing to compare.
enum Lacking {
    Namespace(Errno),
    Feature(&'static str, libpfkey::Error),
}

fn in_namespace(feature: &'static str, open: impl Fn() -> libpfkey::Result<Box<dyn Backend>>) -> Result<Said, Lacking> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(Lacking::Namespace)?;
    let open = || open().map_err(|error| Lacking::Feature(feature, error));
    let (backend, observer) = (open()?, open()?);
    let mut conversation = Conversation { backend, observer, ids: Vec::new(), expired: false, said: Vec::new() };
    for (seq, (name, step)) in (0x1000..).zip(steps()) {
        conversation.step(name, seq, &step);
    }
    let begin = Instant::now();
    while !conversation.expired && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
        conversation.listen("expiries");
    }
    Ok(conversation.said)
}

/// A request to be composed.
struct Step {
    kind: M,
    sa_type: SaType,
    extensions: Vec<Extension<'static>>,
    /// The policy's id is that of the so-manieth policy that was seen.
    by_id: Option<usize>,
}

struct Conversation {
    backend: Box<dyn Backend>,
    /// Somebody who only looks.
    observer: Box<dyn Backend>,
    /// Policy ids in the order of their appearance: kernels count on from namespace to namespace.
    ids: Vec<u32>,
    /// The SA that was to end has ended.
    expired: bool,
    said: Said,
}

impl Conversation {
    fn step(&mut self, name: &'static str, seq: u32, step: &Step) {
        let header = Header { seq, pid: std::process::id(), ..Header::new(step.kind, step.sa_type) };
        let mut request = Vec::new();
        let mut builder = Builder::new(Abi::HOST, header, &mut request).expect("a header");
        for extension in &step.extensions {
            builder.push(extension).expect("an extension");
        }
        if let Some(nth) = step.by_id {
            let id = self.ids.get(nth).copied().unwrap_or(u32::MAX - 7);
            builder.push(&Extension::Policy(Policy::named(id))).expect("an id");
        }
        builder.finish().expect("a request");
        match self.backend.send(&request) {
            Ok(()) => self.listen(name),
            Err(error) => self.said.push((name, [error.to_string(), String::new()])),
        }
    }

    /// Writes down what has come.
    fn listen(&mut self, name: &'static str) {
        let mut texts = [String::new(), String::new()];
        let mut buffer = vec![0; MESSAGE_MAX];
        let backends = [("requester", &mut self.backend), ("observer", &mut self.observer)];
        for ((who, backend), text) in backends.into_iter().zip(&mut texts) {
            while let Some(bytes) = backend.recv(&mut buffer).expect("an open backend") {
                self.expired |= is_end_of(EXPIRES, bytes);
                let masked = masked(bytes, &mut self.ids);
                // Nothing stands in reserved fields and padding.
                let plain = bytes.len() != masked.len() || is_plain(bytes);
                text.push_str(&format!("{who}, {} bytes, plain: {plain}\n", masked.len()));
                dump::structure(text, Abi::HOST, &masked);
            }
        }
        match self.said.last_mut() {
            Some((last, said)) if *last == name => said.iter_mut().zip(texts).for_each(|(said, text)| *said += &text),
            _ => self.said.push((name, texts)),
        }
    }
}

/// Whether a message says that the SA with this SPI has come to its end.
fn is_end_of(spi: u32, bytes: &[u8]) -> bool {
    Message::parse(Abi::HOST, bytes).is_ok_and(|message| {
        let is_hard = message.header.message_type == M::Expire && message.lifetime(E::LifetimeHard).is_some();
        is_hard && message.sa().is_some_and(|sa| sa.spi == spi)
    })
}

/// Whether a message is what this library would write.
fn is_plain(bytes: &[u8]) -> bool {
    let mut out = Vec::new();
    Message::parse(Abi::HOST, bytes).is_ok_and(|message| message.emit(&mut out).is_ok()) && out == bytes
}

/// A message without what differs from run to run.
fn masked(bytes: &[u8], ids: &mut Vec<u32>) -> Vec<u8> {
    let header = peek_header(Abi::HOST, bytes).expect("a header");
    if header.errno != 0 {
        return bytes.to_vec();
    }
    let mut message = Message::parse(Abi::HOST, bytes).expect("a message");
    // A count of references.
    message.header.reserved = 0;
    for extension in &mut message.extensions {
        match extension {
            Extension::Lifetime(E::LifetimeCurrent, lifetime) => {
                lifetime.addtime = lifetime.addtime.min(1);
                lifetime.usetime = lifetime.usetime.min(1);
            }
            // Of an SA that was mature before PF_KEY says that it is dead.
            Extension::Sa(sa) if header.message_type == M::Update => sa.state = SaState::Mature,
            // Of an SA that is gone netlink does not tell more.
            Extension::Sa(sa) if header.message_type == M::Expire && sa.state == SaState::Dead => {
                (sa.auth, sa.encrypt) = (0, 0);
            }
            Extension::Policy(policy) => mask_policy(policy, ids),
            // PF_KEY does not know of ciphers that authenticate.
            Extension::Supported(E::SupportedEncrypt, list) => {
                list.retain(|algorithm| !matches!(algorithm.id, 14..=20 | 23 | 240));
            }
            _ => {}
        }
    }
    let is_hard = header.message_type == M::Expire && message.lifetime(E::LifetimeHard).is_some();
    let is_natt = |kind| matches!(kind, E::NatTType | E::NatTSport | E::NatTDport);
    message.extensions.retain(|extension| !is_hard || !is_natt(extension.kind()));
    let mut out = Vec::new();
    message.emit(&mut out).expect("a message");
    out
}

fn mask_policy(policy: &mut Policy, ids: &mut Vec<u32>) {
    if !ids.contains(&policy.id) {
        ids.push(policy.id);
    }
    let nth = ids.iter().position(|id| *id == policy.id).and_then(|nth| u32::try_from(nth).ok());
    policy.id = nth.unwrap_or_default() << 3 | (policy.id & 7);
    let mine = policy.requests.iter_mut().filter(|request| request.reqid > MANUAL_REQID_MAX);
    mine.for_each(|request| request.reqid = MANUAL_REQID_MAX + 1);
}

fn ip(text: &str) -> SockAddr {
    SockAddr::from(text.parse::<IpAddr>().expect("an address"))
}

fn step(kind: M, sa_type: SaType, extensions: Vec<Extension<'static>>) -> Step {
    Step { kind, sa_type, extensions, by_id: None }
}

/// Source and destination of an SA.
fn pair(source: &str, destination: &str) -> Vec<Extension<'static>> {
    let end = |kind, text| Extension::Address(kind, Address::host(ip(text)));
    vec![end(E::AddressSrc, source), end(E::AddressDst, destination)]
}

fn key(kind: E, bytes: &'static [u8]) -> Extension<'static> {
    Extension::Key(kind, Key::new(bytes).expect("a key"))
}

fn limit(kind: E, allocations: u32, bytes: u64, addtime: u64, usetime: u64) -> Extension<'static> {
    Extension::Lifetime(kind, Lifetime { allocations, bytes, addtime, usetime })
}

fn named(spi: u32) -> Vec<Extension<'static>> {
    let mut all = vec![Extension::Sa(Sa::named(spi))];
    all.extend(pair("192.0.2.1", "192.0.2.2"));
    all
}

/// An SA: numbers of authentication and cipher, then what else there is.
fn sa(spi: u32, auth: u8, encrypt: u8, more: Vec<Extension<'static>>) -> Vec<Extension<'static>> {
    let sa = Sa { replay: 4, state: SaState::Mature, auth, encrypt, ..Sa::named(spi) };
    let mut all = vec![Extension::Sa(sa)];
    all.extend(pair("192.0.2.1", "192.0.2.2"));
    all.extend(more);
    all
}

const SHA1: &[u8] = &[1; 20];
const AES: &[u8] = &[2; 16];

fn esp_keys() -> Vec<Extension<'static>> {
    vec![key(E::KeyAuth, SHA1), key(E::KeyEncrypt, AES)]
}

fn selector(source: (&str, u16, u8), destination: (&str, u16, u8), proto: u8) -> Vec<Extension<'static>> {
    let end = |kind, (text, port, prefix): (&str, u16, u8)| {
        let sockaddr = SockAddr::Inet(SocketAddr::new(text.parse().expect("an address"), port));
        Extension::Address(kind, Address { proto, prefix, reserved: 0, sockaddr })
    };
    vec![end(E::AddressSrc, source), end(E::AddressDst, destination)]
}

/// A policy for `192.0.2.0/24` and one host.
fn spd(host: &str, direction: u8, kind: u16, requests: Vec<IpsecRequest>) -> Vec<Extension<'static>> {
    let mut all = selector(("192.0.2.0", 0, 24), (host, 53, 32), 17);
    all.push(Extension::Policy(Policy { kind, direction, scope: 0, id: 99, priority: 0x8000_0000, requests }));
    all
}

fn transform(proto: u16, mode: u8, level: u8, reqid: u32) -> IpsecRequest {
    IpsecRequest { proto, mode, level, reqid, endpoints: None }
}

fn tunnel(level: u8, reqid: u32, ends: (&str, &str)) -> IpsecRequest {
    IpsecRequest { endpoints: Some((ip(ends.0), ip(ends.1))), ..transform(50, 2, level, reqid) }
}

fn steps() -> Vec<(&'static str, Step)> {
    let mut all = sa_steps();
    all.extend(sa_refused());
    all.extend(spd_steps());
    all.extend(spd_refused());
    all.extend(odd_steps());
    all
}

fn sa_steps() -> Vec<(&'static str, Step)> {
    let esp = |kind, extensions| step(kind, SaType::Esp, extensions);
    let null = || vec![key(E::KeyEncrypt, &[])];
    let mut rich = esp_keys();
    rich.push(limit(E::LifetimeHard, 9, 1 << 40, 86_400, 3600));
    rich.push(limit(E::LifetimeSoft, 8, 1 << 39, 72_000, 1800));
    rich.push(Extension::Sa2(Sa2 { mode: 2, reqid: 70_000, ..Sa2::default() }));
    rich.extend([Extension::NatTType(2), Extension::NatTPort(E::NatTSport, 4500)]);
    rich.push(Extension::NatTPort(E::NatTDport, 14_500));
    let mut renewed = rich.clone();
    renewed.iter_mut().for_each(|extension| {
        if let Extension::Lifetime(_, lifetime) = extension {
            lifetime.addtime += 1;
        }
    });
    let flags = SaFlags::NOECN | SaFlags::DECAP_DSCP | SaFlags::NOPMTUDISC;
    let mut flagged = sa(0x1003, 3, 12, esp_keys());
    if let Some(Extension::Sa(sa)) = flagged.first_mut() {
        (sa.flags, sa.replay) = (flags, 255);
    }
    let mut six = vec![Extension::Sa(Sa { auth: 3, encrypt: 12, ..Sa::named(0x1004) })];
    six.extend(pair("2001:db8::1", "2001:db8::2"));
    six.extend(esp_keys());
    let mut proxied = esp_keys();
    proxied.push(Extension::Address(E::AddressProxy, Address { prefix: 24, ..Address::host(ip("10.0.0.0")) }));
    let range = |min, max| Extension::SpiRange(SpiRange { min, max });
    let getspi = |min, max| {
        let mut all = pair("192.0.2.1", "192.0.2.2");
        all.push(Extension::Sa2(Sa2 { mode: 2, reqid: 7, ..Sa2::default() }));
        all.push(range(min, max));
        all
    };
    let mut filter = [0; 16];
    filter[..3].copy_from_slice(&[192, 0, 2]);
    let filter = |prefix| Filter {
        source: filter,
        destination: [0; 16],
        family: 2,
        source_prefix: prefix,
        destination_prefix: 0,
    };
    let filtered = |prefix| step(M::Dump, SaType::Unspec, vec![Extension::Filter(filter(prefix))]);
    vec![
        ("add", esp(M::Add, sa(0x1000, 3, 12, esp_keys()))),
        ("add again", esp(M::Add, sa(0x1000, 3, 12, esp_keys()))),
        ("add with everything", esp(M::Add, sa(0x1001, 5, 12, rich.clone()))),
        ("add ah", step(M::Add, SaType::Ah, sa(0x1000, 3, 0, vec![key(E::KeyAuth, SHA1)]))),
        ("add null", esp(M::Add, sa(0x1002, 0, 11, null()))),
        ("add ipcomp", step(M::Add, SaType::IpComp, sa(0x1002, 0, 2, vec![]))),
        ("add with flags", esp(M::Add, flagged)),
        ("add ipv6", esp(M::Add, six)),
        ("add with proxy", esp(M::Add, sa(0x1006, 3, 12, proxied))),
        ("getspi", esp(M::GetSpi, getspi(0x2000, 0x2000))),
        ("getspi of a taken one", esp(M::GetSpi, getspi(0x2000, 0x2000))),
        ("add of a larval one", esp(M::Add, sa(0x2000, 3, 12, esp_keys()))),
        ("get larval", esp(M::Get, named(0x2000))),
        ("update of a larval one", esp(M::Update, sa(0x2000, 3, 12, esp_keys()))),
        ("update", esp(M::Update, sa(0x1001, 5, 12, renewed))),
        ("get", esp(M::Get, named(0x1001))),
        ("dump", step(M::Dump, SaType::Unspec, vec![])),
        ("dump ah", step(M::Dump, SaType::Ah, vec![])),
        ("dump filtered", filtered(24)),
        ("dump filtered wrongly", filtered(129)),
        ("delete", esp(M::Delete, named(0x1001))),
        ("delete again", esp(M::Delete, named(0x1001))),
        ("flush ah", step(M::Flush, SaType::Ah, vec![])),
        ("flush ah again", step(M::Flush, SaType::Ah, vec![])),
        ("flush", step(M::Flush, SaType::Unspec, vec![])),
        ("dump of nothing", step(M::Dump, SaType::Unspec, vec![])),
    ]
}

fn sa_refused() -> Vec<(&'static str, Step)> {
    let esp = |kind, extensions| step(kind, SaType::Esp, extensions);
    let with = |more: Extension<'static>| {
        let mut all = esp_keys();
        all.push(more);
        all
    };
    let no_bits = || vec![key(E::KeyAuth, &[]), key(E::KeyEncrypt, AES)];
    let mixed = |kind| {
        let mut all = vec![Extension::Sa(Sa { auth: 3, encrypt: 12, ..Sa::named(0x1000) })];
        all.extend(pair("192.0.2.1", "2001:db8::1"));
        all.extend(esp_keys());
        esp(kind, all)
    };
    let wide = || {
        let mut all = sa(0x1000, 3, 12, esp_keys());
        if let Some(Extension::Address(_, address)) = all.get_mut(2) {
            address.prefix = 33;
        }
        all
    };
    let mode = |mode| Extension::Sa2(Sa2 { mode, ..Sa2::default() });
    let range = |min, max| {
        let mut all = pair("192.0.2.1", "192.0.2.2");
        all.push(Extension::SpiRange(SpiRange { min, max }));
        all
    };
    vec![
        ("update of none", esp(M::Update, sa(0x1000, 3, 12, esp_keys()))),
        ("get of none", esp(M::Get, named(0x1000))),
        ("get of no type", step(M::Get, SaType::Unspec, named(0x1000))),
        ("get of an odd type", step(M::Get, SaType::Other(7), named(0x1000))),
        ("delete of no type", step(M::Delete, SaType::Unspec, named(0x1000))),
        ("add of no type", step(M::Add, SaType::Unspec, sa(0x1000, 3, 12, esp_keys()))),
        ("add of an odd type", step(M::Add, SaType::Other(7), sa(0x1000, 3, 12, esp_keys()))),
        ("add without cipher key", esp(M::Add, sa(0x1000, 3, 12, vec![key(E::KeyAuth, SHA1)]))),
        ("add without cipher", esp(M::Add, sa(0x1000, 3, 0, esp_keys()))),
        ("add of two families", mixed(M::Add)),
        ("add of a wide prefix", esp(M::Add, wide())),
        ("add of an unknown hash", esp(M::Add, sa(0x1000, 200, 12, esp_keys()))),
        ("add of no such hash", esp(M::Add, sa(0x1000, 252, 12, esp_keys()))),
        ("add of an unknown cipher", esp(M::Add, sa(0x1000, 3, 200, esp_keys()))),
        ("add of no such cipher", esp(M::Add, sa(0x1000, 3, 254, esp_keys()))),
        ("add of an unknown compression", step(M::Add, SaType::IpComp, sa(0x1000, 0, 1, vec![]))),
        ("add of no such compression", step(M::Add, SaType::IpComp, sa(0x1000, 0, 5, vec![]))),
        ("add of an empty key", esp(M::Add, sa(0x1000, 3, 12, no_bits()))),
        ("add of an empty key for nothing", esp(M::Add, sa(0x1000, 0, 12, no_bits()))),
        ("add of a short key", esp(M::Add, sa(0x1000, 0, 12, vec![key(E::KeyEncrypt, &[1; 15])]))),
        ("add of one limit", esp(M::Add, sa(0x1000, 3, 12, with(limit(E::LifetimeHard, 0, 0, 1, 0))))),
        ("add of an odd mode", esp(M::Add, sa(0x1000, 3, 12, with(mode(9))))),
        ("add of an odd mode and hash", esp(M::Add, sa(0x1000, 200, 12, with(mode(9))))),
        ("getspi of no type", step(M::GetSpi, SaType::Unspec, range(0x100, 0x200))),
        ("getspi of an empty range", esp(M::GetSpi, range(0x200, 0x100))),
        ("getspi of ipcomp without range", step(M::GetSpi, SaType::IpComp, pair("192.0.2.1", "192.0.2.2"))),
        ("flush of an odd type", step(M::Flush, SaType::Other(7), vec![])),
        ("dump of an odd type", step(M::Dump, SaType::Other(7), vec![])),
    ]
}

fn spd_steps() -> Vec<(&'static str, Step)> {
    let spd_step = |kind, extensions| step(kind, SaType::Unspec, extensions);
    let by_id = |kind, nth| Step { by_id: Some(nth), ..step(kind, SaType::Unspec, vec![]) };
    let ends = ("192.0.2.1", "192.0.2.2");
    let bundle = || vec![transform(108, 1, LEVEL_USE, 0), tunnel(LEVEL_UNIQUE, 77, ends)];
    let unique = || vec![transform(51, 1, LEVEL_UNIQUE, 0), transform(50, 1, LEVEL_REQUIRE, 5)];
    let mut limited = spd("192.0.2.4", DIR_FWD, POLICY_NONE, vec![]);
    limited.push(limit(E::LifetimeHard, 0, 0, 7200, 3600));
    let mut six = selector(("2001:db8::", 0, 32), ("::", 0, 0), 255);
    six.push(Extension::Policy(Policy {
        kind: POLICY_IPSEC,
        direction: DIR_OUT,
        scope: 0,
        id: 0,
        priority: 0,
        requests: vec![tunnel(LEVEL_REQUIRE, 0, ends)],
    }));
    let beet = || vec![IpsecRequest { mode: 3, ..tunnel(LEVEL_REQUIRE, 0, ends) }];
    vec![
        ("spdadd", spd_step(M::SpdAdd, spd("192.0.2.1", DIR_OUT, POLICY_IPSEC, bundle()))),
        ("spdadd again", spd_step(M::SpdAdd, spd("192.0.2.1", DIR_OUT, POLICY_IPSEC, bundle()))),
        ("spdadd unique", spd_step(M::SpdAdd, spd("192.0.2.2", DIR_IN, POLICY_IPSEC, unique()))),
        ("spdadd discard", spd_step(M::SpdSetIdx, spd("192.0.2.3", DIR_IN, POLICY_DISCARD, vec![]))),
        ("spdadd limited", spd_step(M::SpdAdd, limited)),
        ("spdadd ipv6 over ipv4", spd_step(M::SpdAdd, six)),
        ("spdadd beet", spd_step(M::SpdAdd, spd("192.0.2.6", DIR_OUT, POLICY_IPSEC, beet()))),
        ("spdadd ipsec without requests", spd_step(M::SpdAdd, spd("192.0.2.5", DIR_OUT, POLICY_IPSEC, vec![]))),
        ("spdupdate", spd_step(M::SpdUpdate, spd("192.0.2.1", DIR_OUT, POLICY_DISCARD, vec![]))),
        ("spdupdate of none", spd_step(M::SpdUpdate, spd("192.0.2.9", DIR_OUT, POLICY_NONE, vec![]))),
        ("spdget", by_id(M::SpdGet, 0)),
        ("spddump", spd_step(M::SpdDump, vec![])),
        ("spddelete2", by_id(M::SpdDelete2, 1)),
        ("spddelete2 again", by_id(M::SpdDelete2, 1)),
        ("spddelete", spd_step(M::SpdDelete, spd("192.0.2.1", DIR_OUT, POLICY_NONE, vec![]))),
        ("spddelete again", spd_step(M::SpdDelete, spd("192.0.2.1", DIR_OUT, POLICY_NONE, vec![]))),
        ("spdflush", spd_step(M::SpdFlush, vec![])),
        ("spdflush again", spd_step(M::SpdFlush, vec![])),
        ("spddump of nothing", spd_step(M::SpdDump, vec![])),
    ]
}

fn spd_refused() -> Vec<(&'static str, Step)> {
    let add = |extensions| step(M::SpdAdd, SaType::Unspec, extensions);
    let one = |direction, request| add(spd("192.0.2.1", direction, POLICY_IPSEC, vec![request]));
    let by_id = |kind, id| step(kind, SaType::Unspec, vec![Extension::Policy(Policy::named(id))]);
    let ends = ("192.0.2.1", "192.0.2.2");
    let many = vec![transform(50, 1, LEVEL_REQUIRE, 0); 7];
    let mut wide = selector(("192.0.2.0", 0, 33), ("192.0.2.1", 0, 32), 255);
    wide.extend(spd("192.0.2.1", DIR_OUT, POLICY_NONE, vec![]).pop());
    vec![
        ("spdadd entrust", add(spd("192.0.2.1", DIR_OUT, POLICY_ENTRUST, vec![]))),
        ("spdadd bypass", add(spd("192.0.2.1", DIR_OUT, POLICY_BYPASS, vec![]))),
        ("spdadd of no direction", add(spd("192.0.2.1", 0, POLICY_NONE, vec![]))),
        ("spdadd of an odd direction", add(spd("192.0.2.1", 4, POLICY_NONE, vec![]))),
        ("spdadd without policy", add(selector(("192.0.2.0", 0, 24), ("192.0.2.1", 0, 32), 17))),
        ("spdadd of a wide prefix", add(wide)),
        ("spdadd of any mode", one(DIR_OUT, transform(50, 0, LEVEL_REQUIRE, 0))),
        ("spdadd of an odd protocol", one(DIR_OUT, transform(6, 1, LEVEL_REQUIRE, 0))),
        ("spdadd of an odd level", one(DIR_OUT, transform(50, 1, 9, 7))),
        ("spdadd of use for a tunnel", one(DIR_OUT, tunnel(LEVEL_USE, 0, ends))),
        ("spdadd of a tunnel without ends", one(DIR_OUT, transform(50, 2, LEVEL_REQUIRE, 0))),
        ("spdadd of seven", add(spd("192.0.2.1", DIR_OUT, POLICY_IPSEC, many))),
        ("spdget of an odd direction", by_id(M::SpdGet, 0xf6 | 5)),
        ("spdget of 0", by_id(M::SpdGet, 0)),
        ("spddelete2 of none", by_id(M::SpdDelete2, 0xfff0)),
        ("spddelete of none", step(M::SpdDelete, SaType::Unspec, spd("192.0.2.1", DIR_IN, POLICY_NONE, vec![]))),
    ]
}

fn odd_steps() -> Vec<(&'static str, Step)> {
    let bare = |kind, sa_type| step(kind, sa_type, vec![]);
    let mut short = esp_keys();
    short.extend([limit(E::LifetimeSoft, 0, 0, 4, 0), limit(E::LifetimeHard, 0, 0, 6, 0)]);
    short.extend([Extension::NatTType(2), Extension::NatTPort(E::NatTSport, 4500)]);
    short.push(Extension::NatTPort(E::NatTDport, 14_500));
    vec![
        ("acquire", bare(M::Acquire, SaType::Esp)),
        ("acquire with ends", step(M::Acquire, SaType::Esp, pair("192.0.2.1", "192.0.2.2"))),
        ("expire", bare(M::Expire, SaType::Esp)),
        ("pchange", bare(M::PChange, SaType::Esp)),
        ("register of an odd type", bare(M::Register, SaType::Other(10))),
        ("register", bare(M::Register, SaType::Esp)),
        ("register again", bare(M::Register, SaType::Esp)),
        ("register of no type", bare(M::Register, SaType::Unspec)),
        ("promisc of an odd type", bare(M::Promisc, SaType::Other(2))),
        ("add for seconds", step(M::Add, SaType::Esp, sa(EXPIRES, 3, 12, short))),
    ]
}
