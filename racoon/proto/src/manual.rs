//! How the engine works, for those who will change it. It documents nothing that an item says of itself: it is about
//! what is between the items. Names without a link are modules and types that are not public; `grep` finds them.
//!
//! # What goes in and what comes out
//!
//! ```text
//!   handle_datagram ──┐                                     ┌──► Transmit     a datagram
//!   handle_kernel ────┤     ┌───────────────────────────┐   ├──► Kernel       allocate, install, delete, policies
//!   handle_crypto ────┼────►│ Engine, with Settings,    │──►├──► Job          Diffie-Hellman, look-up of a key
//!   handle_control ───┤     │ Random, and its own clock │   ├──► Log, Event   a line; news for who watches
//!   handle_undelivered┤     │                           │   │
//!   handle_timeout ───┘     └───────────────────────────┘   └──► Outcome      how a negotiation ended
//!                              │ poll_timeout: when to come back at the latest
//! ```
//!
//! The shell calls one of the six functions of [`Engine`](crate::engine::Engine), drains
//! [`poll_output`](crate::engine::Engine::poll_output), and goes on waiting. Nothing else reaches the engine: it has
//! the time of the last call, the [`Random`](crate::random::Random) that it was given, and no other world. So a run is
//! a function of its inputs.
//!
//! Three things are done outside because they take long or need rights: what the kernel does
//! ([`KernelRequest`](crate::kernel::KernelRequest)), public-key computations, and reading the file of keys (both in a
//! [`Job`](crate::crypto::Job)). Each is an output with a number and comes back as an input with the same number, in
//! whatever order, or never. The engine does not wait: an exchange that needs an answer is in a state that says so, has
//! a deadline, and everything else goes on.
//!
//! Outputs are carried out in their order. That is how "install, then send" is said.
//!
//! # Who is who
//!
//! The keys are in the table of [`engine`](crate::engine). `Phase1s` and `Phase2s` own everything and hold one map for
//! each key; nothing looks through all entries for a packet, an acquire or a timer. Three things deserve a word:
//!
//! * **A responder's cookie is a claim** until its message is accepted. The initiator learns it from message 2, and
//!   unlearns it if that message turns out to be no good, or the first forgery would take the place of the peer.
//! * **A phase 2 is for a `TrafficKey`**: an outbound selector and the two ends of phase 1. One policy may have many of them
//!   (transport mode between the hosts of two networks), and of one bond at most one is negotiated by us at a time:
//!   acquires for it that come later are noted there, to be told if nothing comes of it.
//! * **The kernel's number of an acquire is a hint.** Linux counts globally and repeats itself. Policies are found by
//!   index, or by the packet where a kernel shows it.
//!
//! `Phase2::written` is what the kernel has of a phase 2, reserved SPIs included. It is noted before the kernel is
//! asked, so that whatever ends the phase 2, `undo` can take it back.
//!
//! # The life of a main mode
//!
//! ```text
//!   initiator                                              responder
//!   Initiator::begin                       1 SA ──►        FirstChoice::read, Responder::begin; a half-open entry
//!   AwaitsChoice                       ◄── 2 SA            AwaitsKey
//!   PreparesKey: job(public value, key)
//!   AwaitsKey                       3 KE, Ni ──►           DerivesKeys: job(both values, key)
//!                                  ◄── 4 KE, Nr            AwaitsIdentity
//!   DerivesKeys: job(shared secret)
//!   AwaitsIdentity           5 IDii, HASH_I ──►            narrow: which block is this peer's?
//!   Up                     ◄── 6 IDir, HASH_R              Up
//! ```
//!
//! A state is a struct; a step consumes it and returns a `Turn`: a job, a message, the SA, a failure, or `Ignored` with
//! the state as it was. The exchange knows nothing of sockets, timers and tables: `engine::phase1` gives it what came
//! and does what it brings. The pre-shared key is asked for together with the first computation, because both are done
//! elsewhere; in main mode only the address can be asked for ([`psk`](crate::psk)). A responder without a key goes on with a
//! random one, so that nobody can ask which addresses have one.
//!
//! A responder's remote block is a guess until message 5: the first block for the address whose proposals accept the
//! peer's. Then the identity decides again, with the transform as the peer offered it.
//!
//! # The life of a quick mode
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
//! **The order of installation** is why renewals lose nothing. Nobody sends by an SA before the other side has its
//! inbound half: the responder has it before message 2 leaves, the initiator before message 3 leaves; the responder
//! sends by the new pair after message 3, the initiator after it has sent that. In between the old pair serves. Other
//! responders install their inbound half only when message 3 comes. So in a renewal the initiator holds its outbound SAs
//! back for a while (`engine::rekey_switchover`): it is established, and sends by the old pair. (Not if bytes are counted: then
//! the old pair may end any moment.)
//!
//! Reqids, modes and the protocols of a bundle come from the policy's templates, algorithms and limits from the sainfo;
//! `phase2::bundle` joins them into one proposal, compares it with the peer's, and makes the SAs of what is agreed. A
//! responder looks for an inbound policy with exactly the peer's selector, then for one that covers it; if it finds
//! none and the block says so, policies are made (`engine::generate_policy`) and go with the last phase 2 that needs them. Whether a
//! peer may have what it asks for is decided in one place, `authorization::authorize`, a pure function with a table of tests;
//! only its `Grant` makes the engine ask for a policy. What another peer holds is refused, and that peer is probed. The
//! kernel adds a policy only where there is none, and a policy is ours only if it has said so: then it has an index, by which
//! alone it is deleted. What others set, even with the same selector, stays.
//!
//! # Time
//!
//! A timer has a name and is set at most once (`Timers`); setting it again moves it. Whoever removes a phase 1 or 2
//! stops all of its timers. `count` and `interval` are `counter` and `interval` of
//! [`Retransmission`](crate::settings::Retransmission).
//!
//! | timer | set to | when due |
//! |---|---|---|
//! | `Phase1Retransmit` | `interval` | the last message is sent again; after `count` transmissions it fails |
//! | `Phase1Deadline` | `count` × `interval` | a responder's peer does not go on, or a job does not end: it fails |
//! | `Phase1Renew` | 75 to 80 % of the lifetime; 10 s after a failure | its initiator begins another one, if needed |
//! | `Phase1Expire` | the lifetime; a little more for what is on its way | it goes; its phase 2s move or live on |
//! | `Dpd` | `dpd_delay`, after a probe `dpd_retry` | a probe, or the peer has left too many unanswered |
//! | `Phase2Retransmit` | `interval` | message 1 or 2 is sent again; after `count` transmissions it fails |
//! | `Phase2Deadline` | [`phase1_wait`], then [`phase2_wait`] | phase 1, the kernel or a job did not come: it fails |
//! | `Phase2Renew` | 75 to 80 % of the lifetime; 10 s after a failure | its initiator begins another one |
//! | `Phase2TakeOver` | 5 s, or a quarter of what is left of the old pair | what is sent goes by the new pair |
//! | `Phase2Replaced` | 5 s after a pair counted in bytes is replaced; an initiator: and `interval` | it goes, unless the new pair is gone; the peer is told |
//! | `Phase2Expire` | the lifetime | its SAs go; the peer knows it, and is not told |
//! | `Phase2Forget` | `count` × `interval` after it is up | duplicates are not answered any more |
//! | `LeftoversReplaced` | 5 s after the last replacement is up | SAs of an earlier run go (`engine::leftover`) |
//! | `Strangers` | a minute after the first line beyond its ration | the numbers of such lines are logged |
//!
//! [`phase1_wait`]: crate::settings::Settings::phase1_wait
//! [`phase2_wait`]: crate::settings::Settings::phase2_wait
//!
//! The kernel has limits of its own: a soft one, which an initiator takes as `Phase2Renew`, and a hard one.
//!
//! # Messages that are lost, come twice, or are forged
//!
//! * **Lost.** Who needs an answer repeats itself: in main mode the initiator, in quick mode the initiator message 1
//!   and the responder message 2. The other messages are repeated as answers to duplicates only. So nobody can make a
//!   responder of main mode send more than it was sent, and message 3 of quick mode needs no timer.
//! * **Twice.** An `Inbox` per exchange knows packets by digest: the one that is being worked on, the last one with its
//!   answer, and those before. An equal packet is dropped, answered from memory (at most `count` times), or dropped.
//!   Only what was *accepted* is known: a packet that was refused may come again, and a forgery cannot keep the real
//!   one out.
//! * **Early.** While a job runs, another packet is dropped, for the peer will repeat it; but what is protected by an
//!   ISAKMP SA and comes before message 6 is held, one packet: it is the peer's first quick mode, which has overtaken.
//! * **Forged.** In main mode nothing is authenticated before messages 5 and 6, in quick mode everything is. What
//!   cannot be authenticated is `Ignored`, or `Rejection::Unproved`: it changes no state. It is noted as the *fault* of
//!   the exchange, and if the time runs out, that is the cause; for a wrong pre-shared key looks just like a forgery.
//!
//! **The CBC chain.** The IV of a message is the last block of the one before. `Opened` decrypts with a copy and
//! carries `next_iv`; the state takes it over when the message is accepted and not before, or one forgery makes the
//! peer's next message noise.
//!
//! **Refused.** A responder that does not like an identity says so under the keys, for it has no message 6 to send; an
//! initiator that waits for that message reads informational messages, too, and believes an error whose HASH is right.
//!
//! **Used once.** Message ids are used once for each ISAKMP SA, ours and the peer's, or what was recorded could be sent
//! again. None is forgotten: an SA with many of them is renewed, and one with too many ends.
//!
//! **Too much.** `engine::half_open` bounds half-open negotiations. A newcomer takes the place of an older one; to be turned
//! away because others came first would make the bound an attack. Negotiations whose address has not returned our cookie
//! count against no address, and the oldest of them makes way: a stranger gets through while the rate of a flood times
//! its round trip is below the size of the pool, at least half of the limit. Those whose address is proved by the cookie
//! are limited by address, and do not make way for a minority of the others, or while a job for them runs. Peers with a
//! configured address have a pool of their own. A peer that is no stranger has a limit of quick modes on their way under one
//! phase 1 (one more is as if it had been lost), of phase 2s in all (one more is refused), and of phase 1s (the oldest
//! goes). What packets to made-up addresses begin is bounded beside what is configured. What is kept of an offer, and of
//! the steps on the way, is bounded, and values that cannot be computed with do not put a deadline off.
//!
//! **What goes first.** When more messages wait than can be worked on, the shell asks for the `Priority` of each: those
//! with the cookies of a phase 1 with their sender go before those in the name of a known peer, and these before
//! strangers'. It is a look-up by key, before anything is parsed; each class has its share, so that none waits for ever,
//! and within a class the addresses take turns, so that no peer keeps out another one.
//!
//! **In words.** What is encrypted goes through `exchange::message::seal`, what is decrypted through
//! `Opened::payloads`, and both through an `MessageCodec`: at level debug2 it notes what they say. Messages in clear are
//! told by the shell, which has no keys.
//!
//! # Both sides at once
//!
//! **Phase 1.** Both begin, both messages cross. Neither side can know which will come up, so both exchanges run. When
//! one is up, all that waits for a phase 1 with this peer is served; an attempt of ours that the peer has not even
//! answered is given up (`Superseded`), one that it has answered runs to its end, for the peer may count on it.
//! INITIAL-CONTACT under one of them must not remove the other: it is heeded only if no other phase 1 came up since
//! this one began.
//!
//! **Phase 2.** Both get a pair, and both pairs are good. One of ours that only waits for its phase 1 is given up when
//! the peer's comes up.
//!
//! **Afterwards** there are two, and each side would renew its own for ever. So the time of renewal is drawn at random,
//! in both phases, and who is about to renew looks whether another one with the peer, or for the same bond, lives
//! clearly longer.
//!
//! # Renewal, and the end
//!
//! The side that began renews. A phase 1 that is *dying* still serves; when its successor is up, established phase 2s
//! move there. What is on its way under the old one stays there, and the old one waits for it a little beyond its end:
//! the two sides do not count from the same moment. Without a successor established phase 2s live on with no phase 1; a
//! delete for them is then sent under whatever phase 1 there is with the peer, or not at all.
//!
//! **A peer that was killed** does not know its phase 1 any more, and cannot prove that. So an unanswered quick mode of ours,
//! or a notify in clear, makes us probe the peer (`engine::dpd`), and silence makes us negotiate a second phase 1 beside the
//! first one (`engine::replacement`). Only when that is up does anything change: our unanswered quick modes begin again
//! under it, and the peer is probed under both. If it answers under the new one alone, it has lost the old one, and that goes
//! with its phase 2s; else they move to the new one.
//!
//! The old pair of a phase 2 ends with its time, or when the peer deletes it; if its lifetime is counted in bytes, a while
//! after it was replaced.
//!
//! | what ends | the peer is told | what goes with it |
//! |---|---|---|
//! | a lifetime | no | the one SA or pair |
//! | the message ids of a phase 1 are used up | yes | only it |
//! | a hard limit in bytes | yes, it is earlier than agreed | the pair |
//! | the peer deletes a pair | no | all of the bundle |
//! | the peer deletes a phase 1 | no | with rekeying and DPD everything with the peer, else only that phase 1 |
//! | the peer is dead; `delete-sa`, `flush-sa isakmp` | no; yes | everything with the peer; with another phase 1 beside it, only this one |
//! | somebody deletes an SA in the kernel | yes | all of the bundle |
//! | a reload without a block for it | yes | the same; a phase 2 if no sainfo is left for it |
//! | shutdown | yes: phase 2s first, under their phase 1s | everything. No timer and no job is left |
//!
//! # How a failure is told
//!
//! ```text
//!   FailureReason ──► FailureReason::notify ──► what the peer is told     under the SA; in clear rationed, and never to a flood
//!     │
//!     ├─────► Display ──► one line at level error         rationed where a message of the peer causes it
//!     ├─────► EventKind                                   those that have one
//!     └─────► Outcome { ending: Failed(cause), offered, configured, peer_said, steps } ──► Journal
//! ```
//!
//! A [`FailureReason`](crate::outcome::FailureReason) is made where the fault is found, and says whose it is, what was expected and
//! what was there. It is never turned into text before the end. [`FailureReason::notify`](crate::outcome::FailureReason::notify) is the
//! only place that knows notifies. A `Record` gathers on the way what was offered and configured, in words, and what
//! the peer said; so a refusal by the peer, which names nothing, is still told together with what it refused.
//!
//! When time runs out, the cause is, in this order: the last fault, what the peer said, its silence.
//!
//! **Rations.** What a message can make us log goes through `engine::rate_limit`. A line has a `Party` (a peer that is
//! authenticated or receives at its configured address, an unauthenticated message in the name of a known one, a stranger),
//! a kind (its `Complaint`) and a reason in words. Each reason of each peer has a ration; strangers share one for each kind,
//! half of it for one address. Counts beyond it are logged with their reasons at the end of the minute. So a flood costs
//! little, and hides neither a configured peer nor another reason. What we begin ourselves is not rationed.
//!
//! # How to add something
//!
//! **An algorithm.** Its number and name in [`num`](crate::num). What computes in [`crypto`](crate::crypto), with a
//! vector of an RFC, and its key length in `crypto::keylen`. If its key length is an attribute or fixed:
//! `proposal::encoding::key_length`. Outside: the word in `ipsec-conf`, `racoon::config`, the kernel's number in
//! `racoon::kernel` and `libpfkey`, racoon.conf(5), and a word for the table of `regress/src/interop`.
//!
//! **A payload.** Its type in [`num`](crate::num); a module in [`wire`](crate::wire) that parses through the `Reader`
//! and writes through the `Writer`, with golden bytes and a property test; its words in
//! [`wire::describe`](crate::wire::describe); its place in the fuzz target `isakmp`; then its occurrences in
//! `exchange::rules`. That table is looked at once, before a handler runs, and what is not in it is refused.
//!
//! **An exchange of phase 1.** A table of rules; a folder beside `phase1::main` with a state for each message that is
//! awaited, which makes `Turn`s. `MainMode` is what `Stage::Negotiating` holds and has to become a choice;
//! `check_exchange` and `first_exchange` let it in. What follows `Up` is the same for all.
//!
//! **An exchange under an ISAKMP SA.** A branch in `Engine::datagram`, through `protecting`, which finds the SA, holds
//! what is early, and refuses other addresses; and a message id that is used once. A state that waits needs an entry in
//! the table of timers before anything else.
//!
//! # How to replay a run
//!
//! `racoon/proto/tests/simulation` has two engines, two kernels, and a line that loses, repeats, delays and reorders,
//! under a clock that nobody waits for. A seed decides everything. A failed run names its seed and prints what both
//! engines logged:
//!
//! ```text
//!   SIMULATION_SEED=4711 cargo test -p racoon-proto --test simulation ten_thousand -- --nocapture
//! ```
//!
//! `racoon/proto/tests/hostile` has one engine and a peer that is played by hand: each message wrong in each way, in
//! each state, and what went wrong in other daemons. After each attack the honest peer has to get through.
//!
//! Write a failure down as a test of `engine::tests`, where messages are delivered one by one, before the fix.
//!
//! # What must stay true
//!
//! * No input of a stranger or the kernel panics, loops, or makes the engine allocate by a length that it claims.
//! * Whatever is not established has a timer. With no peer and no timer left, the engine is as new, but for knowing whom
//!   it has said INITIAL-CONTACT.
//! * Nothing unauthenticated ends or changes what goes on. As long as an address may be forged, no answer to it is
//!   larger than what it answers.
//! * What the kernel was asked to have is in `written` first, and is undone by whatever ends it.
//! * Nothing is sent that makes the peer use an SA which is not installed here.
//! * A secret lives in the states that need it, is wiped with them, and is in no log, error, event or `Debug`.
//! * Bytes that are hashed are those that were received, never written anew.
//! * Iteration that has an effect is over ordered maps: a run repeats bit for bit (`a_run_repeats_bit_for_bit`).
