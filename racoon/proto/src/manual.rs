//! How the engine works: a guide for contributors. It explains what no single item documents, namely how the items work
//! together. Names without a link are private modules and types; find them with `grep`.
//!
//! # Inputs and outputs
//!
//! ```text
//!   handle_datagram ──┐                                     ┌──► Transmit     a datagram
//!   handle_kernel ────┤     ┌───────────────────────────┐   ├──► Kernel       allocate, install, delete, policies
//!   handle_crypto ────┼────►│ Engine, with Settings,    │──►├──► Job          public-key computations, key look-up
//!   handle_control ───┤     │ Random, and its own clock │   ├──► Log, Event   a line; news for observers
//!   handle_undelivered┤     │                           │   │
//!   handle_timeout ───┘     └───────────────────────────┘   └──► Outcome      the result of a negotiation
//!                              │ poll_timeout: the next deadline
//! ```
//!
//! The shell calls one of the six functions of [`Engine`](crate::engine::Engine), drains
//! [`poll_output`](crate::engine::Engine::poll_output), and waits for the next input. The engine has no other connection
//! to the outside: it knows the time of the last call and the [`Random`](crate::random::Random) that it was given. A run is
//! therefore a function of its inputs, and can be replayed.
//!
//! Three things happen outside, because they take long or need privileges: kernel requests
//! ([`KernelRequest`](crate::kernel::KernelRequest)), public-key computations, and whatever needs the files of keys and
//! certificates (both in a [`Job`]). Each of them is an output with a number, and its result is an input with the same number.
//! Results arrive in any order, or never. The engine does not block: an exchange that needs a result is in a state that
//! waits for it, with a deadline, and everything else continues.
//!
//! The shell carries out outputs in order. "Install, then send" is expressed by emitting the two in this order.
//!
//! # Where things are
//!
//! | module | contents |
//! |---|---|
//! | `engine` | the six inputs, the outputs, and the routing of datagrams, kernel events, results and timers to their owners |
//! | `message` | encryption, decryption and traces of messages; the rules about which payloads a message may contain |
//! | `conversation` | what all exchanges share: retransmission, duplicates, deadlines, and the record of steps and faults |
//! | `path` | the addresses and ports between which a peer is reached |
//! | `phase1` | the table of phase 1s, their lifecycle, renewal and replacement; half-open limits and rate limits |
//! | `phase1::exchange` | the exchanges that negotiate a phase 1: main, aggressive and base mode, and what all of them share |
//! | `phase1::auth` | how a peer is authenticated: pre-shared keys, signatures |
//! | `credentials`, `certificate` | what a job asks of the files of keys and certificates; the names in certificates, CERT payloads |
//! | `phase2` | the table of phase 2s, quick mode of both roles, bundles, renewal, switch-over, generated policies, kernel state |
//! | `informational` | notifies, deletes, dead peer detection |
//! | `authorization` | which traffic a peer may have |
//! | `reason` | why a negotiation failed: the typed reasons, their text, their notifies, and the journal |
//! | `select`, `proposal`, `identity`, `psk`, `spd` | which section, which proposal, which identity, which key, which policy |
//! | `wire`, `num`, `crypto` | payloads, numbers, cryptography |
//! | `config`, `settings`, `kernel`, `output`, `undelivered`, `random`, `time` | the types at the boundary to the shell |
//!
//! Features that are not implemented yet have a place as well:
//!
//! | feature | place |
//! |---|---|
//! | hybrid authentication | a variant of `phase1::auth::Authenticator` |
//! | NAT traversal | `path` |
//! | XAUTH, mode configuration | a module `transaction` with its own `Conversation`s, between the stages of `phase1::readiness` |
//! | IKE fragments | reassembly in `engine::datagram`, before the routing |
//!
//! [`Job`]: crate::crypto::Job
//!
//! # Keys and tables
//!
//! The module [`engine`](crate::engine) lists what is found by which key. `Phase1s` and `Phase2s` own all entries and have one
//! map for each key; no packet, acquire or timer requires a search through all entries. Three keys need an explanation:
//!
//! * **A responder's cookie is unverified** until its message is accepted. The initiator learns the cookie from message 2, and
//!   forgets it if that message turns out to be invalid. Otherwise the first forgery would replace the peer.
//! * **A phase 2 belongs to a `TrafficKey`**: an outbound selector and the endpoints of phase 1. One policy may have many traffic
//!   keys, for example in transport mode between the hosts of two networks. We start at most one negotiation at a time for
//!   a traffic key. Later acquires for it are recorded with that negotiation, and are answered if it fails.
//! * **The kernel's sequence number of an acquire is a hint.** Linux counts globally and repeats numbers. Policies are found by
//!   index, or by the packet if the kernel reports it.
//!
//! **A look-up by id may find nothing**, because an earlier step of the same input has removed the entry: a phase 2 that fails
//! can, for example, take another one with it. The rest of the step is then no longer needed, and the function returns
//! silently. Other silent returns state their reason in a comment.
//!
//! **A step is a method of what it changes**: of a `Phase1` or `Phase2`, of a table (`Phase1s`, `Phase2s`), of
//! `GeneratedPolicies` or `LeftoverSas`. It takes `Core`, which holds what all of them use: the settings, the clock, the
//! timers, the outputs, and the kernel's policies. What has to follow elsewhere is the result of the step: a `Phase1Next`, an
//! `Action` of phase 2, a `Conclusion` of dead peer detection. `Engine` hands inputs to the owner, and has the steps that
//! concern more than one table: its methods are the list of what can begin, move or end something in several.
//!
//! Three inputs on their way; each arrow is a call, and what is indented is called on the way:
//!
//! ```text
//!   message 3 of main mode        an acquire without a phase 1        a reload
//!   Engine::handle_datagram       Engine::handle_kernel               Engine::handle_control
//!   └► Engine::datagram           └► Engine::kernel_event             └► Engine::control
//!      └► Phase1s::datagram          └► Engine::acquire                  └► Engine::reload
//!         └► Phase1s::receive           └► Engine::begin_phase2             ├► Phase1s::rebind, for each phase 1
//!            └► Phase1s::step              ├► Core::new_phase2              │  └► Phase1::section_after_reload
//!               ├► Phase1::step            └► Phase1s::await_phase1         └► Engine::phase2_reload
//!               │  └► Exchange::receive       └► Phase1s::begin                └► Phase2::is_configured, for each phase 2
//!               └► Phase1s::perform              ├► Exchange::initiate
//!                  └► Conversation::start_job    └► Phase1::answer: message 1
//! ```
//!
//! `Phase2::kernel_sas` lists what the kernel has of a phase 2, including reserved SPIs. An entry is recorded before the kernel
//! is asked to install it, so that `Phase2::release` can remove it whenever the phase 2 ends.
//!
//! # Main mode
//!
//! ```text
//!   initiator                                              responder
//!   Initiator::begin                       1 SA ──►        FirstChoice::read, Responder::begin; a half-open entry
//!   AwaitsChoice                       ◄── 2 SA            AwaitsKey
//!   PreparesKey: job(public value, key)
//!   AwaitsKey                       3 KE, Ni ──►           DerivesKeys: job(both values, key)
//!                                  ◄── 4 KE, Nr            AwaitsIdentity
//!   DerivesKeys: job(shared secret)
//!   AwaitsIdentity           5 IDii, HASH_I ──►            select_remote_by_identity
//!   Established            ◄── 6 IDir, HASH_R              Established
//! ```
//!
//! Each state is a struct. A step consumes it and returns a `Transition`: the next state with a job, a message or the reason
//! why the input is ignored; the SA; a failure; or a refusal of the peer's identity, which can be sent under the SA. The
//! exchange knows nothing of sockets, timers and tables: `phase1::negotiation` passes inputs to it and carries out its
//! transitions, without knowing which exchange it is. How the peer is authenticated is left to an `Authenticator`.
//!
//! The pre-shared key is looked up together with the first computation, because both happen outside. In main mode only the
//! address is known at that time ([`psk`](crate::psk)). A responder without a key continues with a random one, so that nobody
//! can probe which addresses have a key.
//!
//! Until message 5, a responder's remote section is a guess: the first section for the address whose proposals accept the
//! peer's. Then it is selected again by the identity, with the transform as the peer offered it.
//!
//! # Aggressive mode
//!
//! ```text
//!   initiator                                              responder
//!   Initiator::begin
//!   PreparesKey: job(public value)
//!   AwaitsAnswer           1 SA, KE, Ni, IDii ──►          FirstChoice::read, Responder::begin; a half-open entry
//!                                                          DerivesKeys: job(both values, key)
//!                  ◄── 2 SA, KE, Nr, IDir, HASH_R          AwaitsProof
//!   DerivesKeys: job(shared secret, key)
//!   Established                      3 HASH_I ──►          Established
//! ```
//!
//! The peer names itself in its first message, so its key and its remote section are found by the identity (`ClaimedPeer`). An identity
//! that no section expects is not refused at once. The exchange continues under another section with a random key, and message 3 fails as it
//! does with a wrong key: the work, the answers and the notify are the same (CVE-2002-1623).
//!
//! A responder computes message 2 before the peer has returned our cookie. Such jobs are not urgent, even in the name of a known peer, and
//! first messages are dropped while many jobs are unfinished. Message 2 is sent again only if the peer repeats message 1, or uses the SA
//! before message 3 has arrived; then the peer repeats message 3.
//!
//! # Base mode
//!
//! ```text
//!   initiator                                              responder
//!   Initiator::begin                  1 SA, IDii, Ni ──►   FirstChoice::read, Responder::begin; a half-open entry
//!   AwaitsAnswer                  ◄── 2 SA, IDir, Nr       AwaitsKey
//!   PreparesKey: job(public value, key)
//!   AwaitsKey                         3 KE, HASH_I ──►     DerivesKeys: job(both values, key)
//!                                 ◄── 4 KE, HASH_R         Established
//!   DerivesKeys: job(shared secret)
//!   Established
//! ```
//!
//! Both name themselves as in aggressive mode, and nothing is computed before the cookie has been returned, as in main mode. The hashes do
//! not depend on g^xy, so each side checks the other's before it derives keys.
//!
//! # Signatures
//!
//! The diagrams show pre-shared keys, with which a proof is computed and checked at once. With signatures, SIG and perhaps CERT payloads
//! replace each HASH, and SKEYID depends on g^xy instead of a key. Signing and verifying are jobs, for which an exchange waits in states
//! such as `Signs` and `Verifies`. The remote section is selected by the claimed identity before the signature is verified, because the
//! section says which authorities are trusted. Until then, nothing else in the claim is believed.
//!
//! # From phase 1 to quick mode
//!
//! A phase 1 is established when both sides are authenticated, and then protects informational messages. Quick modes begin under
//! it when it is usable: `phase1_usable` begins those that wait, ours and the peer's, and is the only function that does. A
//! login or mode configuration belongs between the two (`phase1::readiness`). No such exchange is implemented yet, so a phase 1
//! is usable at once.
//!
//! # Quick mode
//!
//! ```text
//!   initiator                                              responder
//!   Waiting          for a phase 1
//!   Gathering        AllocateSpi for each protocol, and
//!                    with PFS job(public value)
//!   Offered                       1 SA, Ni, [KE], [ID] ──► policy, sainfo, choice
//!                                                          Answering: AllocateSpi, with PFS job(both values)
//!                                                          InstallingInbound
//!                             ◄── 2 SA, Nr, [KE], [ID]     Answered
//!   Computing        with PFS job(shared secret)
//!   InstallingInbound
//!                                              3 HASH ──►
//!   InstallingOutbound                                     InstallingOutbound
//!   Established                                            Established
//! ```
//!
//! Each arrow is a step, a method of `Phase2` in `phase2::step`. It changes one phase 2 and returns an `Action`, which the
//! engine performs. A step that returns a reason fails the phase 2.
//!
//! **The order of installation** ensures that a renewal loses no packets. Neither side sends with an SA before the other side
//! has installed its inbound half. The responder has it before it sends message 2, and the initiator before it sends
//! message 3. The responder sends with the new pair after it has received message 3, the initiator after it has sent it.
//! Until then, the old pair is used.
//!
//! Some other daemons, as responders, install their inbound half only when they receive message 3. In a renewal the initiator
//! therefore delays its outbound SAs (`phase2::rekey_switchover`): the new phase 2 is established, but packets use the old
//! pair. An old pair whose lifetime is counted in bytes may expire at any moment, so then there is no delay.
//!
//! Reqids, modes and the protocols of a bundle come from the policy's templates; algorithms and limits come from the sainfo.
//! `phase2::bundle` joins them into one proposal, compares it with the peer's, and creates the SAs of the result. A responder
//! looks for an inbound policy with exactly the peer's selector, then for one that covers it. If there is none and the remote
//! section permits it, policies are generated (`phase2::generate_policy`); they are removed with the last phase 2 that needs
//! them.
//!
//! **Which traffic a peer may have** is decided in one place, `authorization::authorize`, a pure function with a table of tests.
//! Only its `Grant` creates a [`GrantedPolicy`](crate::kernel::GrantedPolicy), without which no policy can be requested. Traffic
//! of another peer is refused, and that peer is probed. The kernel adds a policy only if none exists, and a policy is ours only
//! if the kernel has confirmed this: it then has an index, and is deleted only by this index. Policies of other
//! programs stay, even those with the same selector.
//!
//! # Timers
//!
//! A timer has a name and is set at most once (`Timers`); setting it again moves it. Removing a phase 1 or 2 stops all of its
//! timers. In this table, `count` and `interval` are `counter` and `interval` of
//! [`Retransmission`](crate::settings::Retransmission).
//!
//! | timer | set to | when it expires |
//! |---|---|---|
//! | `Retransmit` | `interval` | the last message is retransmitted; after `count` transmissions the negotiation fails |
//! | `Deadline` of a phase 1 | `count` × `interval` | the negotiation fails: the initiator has stopped, or a job has not finished |
//! | `Deadline` of a phase 2 | [`phase1_wait`], then [`phase2_wait`] | it fails: phase 1, the kernel or a job has not finished |
//! | `Phase1Renew` | 75 to 80 % of the lifetime; 10 s after a failure | the initiator starts a new phase 1, if needed |
//! | `Phase1Expire` | the lifetime; a little longer for ongoing exchanges | the phase 1 is removed; its phase 2s move or stay |
//! | `Dpd` | `dpd_delay`, after a probe `dpd_retry` | the peer is probed, or is dead after too many unanswered probes |
//! | `Phase2Renew` | 75 to 80 % of the lifetime; 10 s after a failure | the initiator starts a new phase 2 |
//! | `Phase2SwitchOver` | 5 s, or a quarter of what is left of the old pair | packets are sent with the new pair |
//! | `Phase2Replaced` | 5 s, as initiator plus `interval`, after a pair counted in bytes is replaced | the old pair is deleted |
//! | `Phase2Expire` | the lifetime | the SAs are deleted; the peer knows the lifetime and is not told |
//! | `Phase2Forget` | `count` × `interval` after it is established | duplicates are no longer answered |
//! | `LeftoversReplaced` | 5 s after the last replacement is established | SAs of an earlier run are deleted (`phase2::leftover`) |
//! | `RateLimitReport` | a minute after the first suppressed line | the numbers of suppressed lines are logged |
//!
//! [`phase1_wait`]: crate::settings::Settings::phase1_wait
//! [`phase2_wait`]: crate::settings::Settings::phase2_wait
//!
//! The kernel has limits of its own: a soft limit, which for an initiator has the same effect as `Phase2Renew`, and a hard limit.
//!
//! # Lost, duplicate and forged messages
//!
//! Retransmission, duplicates and deadlines are the same for every exchange: each phase 1 and each phase 2 owns a
//! `Conversation`.
//!
//! * **Lost.** The side that needs an answer retransmits: in phase 1 the initiator, in quick mode the initiator message 1
//!   and the responder message 2. All other messages are repeated only as answers to duplicates. Therefore nobody can make a
//!   responder of main mode send more than it has received, and message 3 of quick mode needs no timer.
//! * **Duplicate.** Each conversation has a `ReplyCache`, which identifies packets by digest. A duplicate of the packet that is
//!   being processed is dropped, one of the last packet gets the same answer (at most `count` times), and one of an earlier
//!   packet is dropped. The cache contains only *accepted* packets: a packet that was refused may arrive again, and a forgery
//!   cannot keep the real packet out.
//! * **Early.** While a job runs, other packets are dropped, because the peer retransmits them. One exception: a single packet
//!   that is protected by an ISAKMP SA and arrives before the last message of phase 1 is held. It is the peer's first quick mode or its
//!   INITIAL-CONTACT, which has overtaken that message.
//! * **Forged.** In phase 1 nothing is authenticated before the peer's HASH or SIG; in quick mode everything is. A message that cannot
//!   be authenticated is `Ignored` or `Rejection::Unproved`, and changes no state. It is recorded as the *fault* of the
//!   exchange, which becomes the reason if the exchange times out, because a wrong pre-shared key looks just like a forgery.
//!
//! **The CBC chain.** The IV of a message is the last block of the previous one. `Opened` decrypts with a copy and carries
//! `next_iv`. The state takes it over only when the message is accepted; otherwise a single forgery would make the peer's
//! next message undecryptable.
//!
//! **Refused identities.** A responder that refuses an identity says so in an encrypted informational message, because it does
//! not send message 6. An initiator that waits for message 6 also reads informational messages, and accepts an error whose
//! HASH is right.
//!
//! **Message ids** are used only once for each ISAKMP SA, ours and the peer's; otherwise recorded messages could be replayed.
//! None is forgotten: an SA with many message ids is renewed, and one with too many ends.
//!
//! **Limits.** `phase1::half_open` limits half-open negotiations. A new negotiation evicts an older one. If new ones were
//! refused instead, a flood could use the limit to lock everybody out.
//!
//! * Negotiations whose address has not returned our cookie do not count against any address, and the oldest of them is
//!   evicted first. An honest unknown peer succeeds if the rate of a flood times the peer's round-trip time is below
//!   the size of the pool, which is at least half of the limit.
//! * Negotiations whose address has returned the cookie are limited by address: one too many evicts another of the same
//!   address. Others do not evict them as long as they fill at most half of the limit, or while a job for them runs.
//! * Peers with a configured address have a pool of their own.
//! * Authenticated peers have limits on concurrent quick modes under one phase 1 (another one is dropped as if it were lost),
//!   on phase 2s in total (another one is refused), and on phase 1s (the oldest is removed).
//! * Negotiations that packets to invented addresses trigger are limited separately from those with configured peers.
//! * The recorded parts of an offer and of the steps are limited, and invalid values do not extend a deadline.
//!
//! **Priorities.** When more messages wait than can be processed, the shell asks for the `Priority` of each. Messages with the
//! cookies of a phase 1 from its peer come first, then those in the name of a known peer, then those of unknown peers. This is a
//! look-up by key before anything is parsed. Each class has a share, so that none starves, and within a class addresses
//! take turns, so that no peer keeps another one out.
//!
//! **Plaintext traces.** All encryption goes through `message::protection::seal`, all decryption through `Opened::payloads`, and
//! both use a `MessageCodec`, which describes the messages at level debug2. The shell, which has no keys, describes unencrypted
//! messages.
//!
//! # Simultaneous negotiations
//!
//! **Phase 1.** Both sides start, and their messages cross. Neither can know which exchange will succeed, so both run. When one
//! is established, it serves everything that waits for a phase 1 with this peer. An attempt of ours that the peer has not
//! answered yet is abandoned (`Superseded`). One that it has answered runs to its end, because the peer may rely on it.
//! INITIAL-CONTACT under one of them must not remove the other, so it is honoured only if no other phase 1 was established
//! since this one began.
//!
//! **Phase 2.** Both sides get a pair, and both pairs are valid. A phase 2 of ours that still waits for its phase 1 is abandoned
//! when the peer's is established.
//!
//! **Renewal.** Afterwards there are two, and each side would renew its own for ever. Therefore the renewal time is random in both
//! phases, and before a renewal each side checks whether another phase 1 with the peer, or another phase 2 for the same
//! traffic key, lives clearly longer.
//!
//! # Renewal and removal
//!
//! The initiator renews. A phase 1 that is *dying* is still used. When its successor is established, established phase 2s move
//! there. Ongoing exchanges stay under the old phase 1, which waits for them a little beyond its lifetime, because the two
//! sides do not measure it from the same moment. Without a successor, established phase 2s stay without a phase 1. A DELETE for
//! them is then sent under any phase 1 with the peer, or not at all.
//!
//! **A peer that was killed** has lost its phase 1 and cannot prove that. An unanswered quick mode of ours, or an unencrypted
//! notify, therefore makes us probe the peer (`informational::dpd`). If it does not answer, we negotiate a second phase 1
//! besides the first one (`phase1::replacement`). Nothing changes until that is established. Then our unanswered quick modes
//! restart under it, and the peer is probed under both. If it answers only under the new one, it has lost the old one, which is
//! removed with its phase 2s. Otherwise they move to the new one.
//!
//! The old pair of a phase 2 is removed when its lifetime ends or the peer deletes it. If the lifetime is counted in bytes, it is
//! removed some time after it was replaced, unless the new pair is gone, and the peer is told.
//!
//! | what ends | is the peer told? | what else is removed |
//! |---|---|---|
//! | a lifetime | no | only this SA or pair |
//! | a phase 1 has used up its message ids | yes | nothing |
//! | a hard limit in bytes | yes, because it is earlier than agreed | the pair |
//! | the peer deletes a pair | no | the whole bundle |
//! | the peer deletes a phase 1 | no | with rekeying and DPD everything with the peer, otherwise only that phase 1 |
//! | the peer is dead; `delete-sa`, `flush-sa isakmp` | no; yes | everything with the peer; with another phase 1 only this one |
//! | somebody deletes an SA in the kernel | yes | the whole bundle |
//! | a reload removes the remote section | yes | the same; a phase 2 if no sainfo matches it any longer |
//! | shutdown | yes: phase 2s first, under their phase 1s | everything; no timer and no job remains |
//!
//! # How a failure is reported
//!
//! ```text
//!   FailureReason ──► FailureReason::notify ──► a notify to the peer   encrypted; unencrypted only rate-limited
//!     │
//!     ├─────► phase1_event, phase2_event ──► Event      for reasons that have one
//!     └─────► Outcome { result: Failed(reason), offered, configured, peer_said, … } ──► Journal
//!               └── failure_line ──► one line at level error   rate-limited if a message of the peer causes it
//! ```
//!
//! A [`FailureReason`](crate::reason::FailureReason) is created where the fault is found. It says whose fault it is, what was
//! expected and what was found, as values; only `reason::text` makes text of it, and only where a line is logged. The line
//! of a negotiation that failed is a view of its `Outcome`.
//! [`FailureReason::notify`](crate::reason::FailureReason::notify) is the only place that knows notifies. The journal, the output
//! and the event of a negotiation share one `Outcome`. `reason::tests` has a row for each reason. A `Record` collects what
//! was offered and configured, and what the peer said. Thus a refusal by the peer, which gives no details, is reported together
//! with what the peer refused.
//!
//! When an exchange times out, the reason is the last fault, or else what the peer said, or else its silence.
//!
//! **Rate limits.** Log lines that messages cause go through `phase1::rate_limit`. A line has a `PeerStanding` (authenticated or
//! receiving at its configured address; unauthenticated but in the name of a known peer; unknown), a kind (`LoggedEvent`) and a
//! reason. Each reason of each peer has a quota. Unknown peers share one for each kind, of which a single address may use
//! half. Lines beyond a quota are counted, and the counts are logged with their reasons at the end of the minute. A flood
//! therefore causes few lines, and hides neither a configured peer nor another reason. Negotiations that we start are not
//! limited.
//!
//! # How to add something
//!
//! **An algorithm.**
//!
//! 1. Add its number and name to [`num`](crate::num).
//! 2. Implement it in [`crypto`](crate::crypto), tested with the vector of an RFC, and add its key length to `crypto::keylen`.
//!    Say in `proposal::encoding::key_length` whether its key length is an attribute or fixed.
//! 3. Outside the engine, add a row to the table in `libpfkey::algorithm`, which has the words of racoon.conf and the numbers of
//!    all kernels; an entry in racoon.conf(5); and an entry in the table of `regress/src/interop`.
//!
//! **A payload.**
//!
//! 1. Add its type to [`num`](crate::num).
//! 2. Add a module to [`wire`](crate::wire) that parses with `Reader` and writes with `Writer`, tested with expected bytes and
//!    a property test; a description to [`wire::describe`](crate::wire::describe); and a case to the fuzz target `isakmp`.
//! 3. Add its occurrences to `message::rules`. That table is checked once, before a handler runs, and refuses whatever is not in
//!    it.
//!
//! **A phase 1 exchange.** Write a table of rules, and a folder next to `phase1::exchange::main` with a state for each message
//! that is awaited, which returns `Transition`s. Add a variant to `phase1::exchange::Exchange`, and accept it in
//! `Exchange::is_supported`. Everything after the transition to an established SA is common to all exchanges.
//!
//! **An authentication method.** Add a variant to `phase1::auth::Authenticator`, with a file next to `pre_shared_key`: what must be
//! looked up, how SKEYID is derived, and which payload proves an identity. Computations are tasks of a job. Accept the method in
//! `auth::is_supported`.
//!
//! **An exchange under an ISAKMP SA.** Add a branch to `Engine::datagram` that goes through `Phase1s::protecting`, which finds
//! the SA, holds early packets, and refuses other addresses. Use each message id once. A state that waits needs a timer before
//! anything else.
//!
//! # How to replay a run
//!
//! `racoon/proto/tests/simulation` runs two engines and two kernels under a virtual clock, over a link that loses, repeats,
//! delays and reorders packets. A seed determines the whole run. A failed run prints its seed and the logs of both engines:
//!
//! ```text
//!   SIMULATION_SEED=4711 cargo test -p racoon-proto --test simulation ten_thousand -- --nocapture
//! ```
//!
//! `racoon/proto/tests/hostile` runs one engine against a scripted peer, which sends every message with every fault in every state,
//! and repeats attacks that succeeded against other daemons. After each attack an honest peer must get through.
//!
//! Reproduce a failure as a test in `engine::tests`, which delivers messages one by one, before you fix it.
//!
//! # Invariants
//!
//! * No input from an unknown peer or from the kernel causes a panic, an endless loop, or an allocation of a length that it claims.
//! * Everything that is not established has a timer. Without peers and timers, the engine is in its initial state, except that
//!   it knows to whom it has sent INITIAL-CONTACT.
//! * An unauthenticated message ends or changes nothing. As long as an address may be forged, no answer to it is larger than
//!   the message, except message 2 of aggressive mode, which has a HASH in addition, or our CERT payloads and a SIG. It is sent
//!   once for each copy of message 1, up to six times, and the limits on jobs and on half-open negotiations bound how many such
//!   answers there are.
//! * What the kernel is asked to install is in `kernel_sas` first, and is removed by whatever ends the phase 2.
//! * Nothing is sent that makes the peer use an SA that is not installed here.
//! * A secret exists only in the states that need it, is wiped with them, and is in no log, error, event or `Debug` output.
//! * Hashes are computed over bytes as they were received, never over re-encoded ones.
//! * Iterations with side effects use ordered maps, so that a run repeats bit for bit (`a_run_repeats_bit_for_bit`).
