//! Finds out what became of a request whose answer was lost.

use zeroize::Zeroizing;

use super::{Answer, Pending, Pipeline};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType};
use crate::request::{self, Encoding, Request};
use crate::sa::SaId;
use crate::wire::{Address, Message, peek_header};

impl<T> Pipeline<T> {
    /// Finds out whether a request was carried out, while no other is in flight.
    pub(super) fn ask(&mut self, lost: &Pending<T>) -> Result<Answer<'static>> {
        let mut buffer = self.buffer();
        let bytes = lost.sent.message(&mut buffer);
        if bytes.is_empty() {
            // No message can express it, so it cannot be compared with the kernel's entries.
            return Err(Error::Timeout);
        }
        let request = Message::parse(self.connection.abi(), bytes)?;
        let done = match lost.message_type {
            MessageType::Add | MessageType::Update => self.any_sa(&request, same_keys)?,
            MessageType::Delete => !self.any_sa(&request, |_, _| true)?,
            MessageType::SpdAdd | MessageType::SpdUpdate | MessageType::SpdSetIdx => {
                self.any_policy(&request, same_policy)?
            }
            MessageType::SpdDelete => !self.any_policy(&request, |_, _| true)?,
            MessageType::SpdDelete2 => !self.any_policy_with_id(&request)?,
            _ => false,
        };
        if done { Ok(Answer::Confirmed) } else { Err(Error::Timeout) }
    }

    /// Whether the SA that a request names exists and satisfies `same`.
    fn any_sa(&mut self, request: &Message<'_>, same: fn(&Message<'_>, &Message<'_>) -> bool) -> Result<bool> {
        let Some(id) = sa_id(request) else { return Err(Error::Timeout) };
        let xfrm_extensions = self.connection.backend().has_xfrm_extensions();
        let encoding = Encoding { xfrm_extensions, ..Encoding::default() };
        let mut bytes = Zeroizing::new(Vec::new());
        Request::Get(id).encode(self.next_request_header(), encoding, &mut bytes)?;
        self.any_entry(&bytes, false, |entry| same(request, entry))
    }

    /// Whether a policy with the selector and direction of a request exists and satisfies `same`.
    fn any_policy(&mut self, request: &Message<'_>, same: fn(&Message<'_>, &Message<'_>) -> bool) -> Result<bool> {
        let mut bytes = Zeroizing::new(Vec::new());
        request::spddump(self.next_request_header(), &mut bytes)?;
        self.any_entry(&bytes, true, |entry| same_selector(request, entry) && same(request, entry))
    }

    /// Whether the policy with the index that a request names exists.
    fn any_policy_with_id(&mut self, request: &Message<'_>) -> Result<bool> {
        let id = |message: &Message<'_>| message.policy().map(|policy| policy.id);
        let mut bytes = Zeroizing::new(Vec::new());
        request::spddump(self.next_request_header(), &mut bytes)?;
        self.any_entry(&bytes, true, |entry| id(request) == id(entry))
    }

    /// Requests entries and returns whether one satisfies `same`; an errno means that there are none.
    fn any_entry(&mut self, request: &[u8], many: bool, mut same: impl FnMut(&Message<'_>) -> bool) -> Result<bool> {
        let abi = self.connection.abi();
        let wanted = peek_header(abi, request)?;
        self.connection.send(request)?;
        let mut found = Ok(false);
        self.connection.answers(&wanted, many, &mut |_| {}, |answer| match answer {
            Answer::Reply(bytes) if Message::parse(abi, bytes).is_ok_and(|entry| same(&entry)) => found = Ok(true),
            Answer::Lost(error) => found = Err(error),
            _ => {}
        });
        found
    }
}

/// The name of the SA that a request is about.
fn sa_id(request: &Message<'_>) -> Option<SaId> {
    let mut id = SaId::from_message(request)?;
    if request.abi.dialect == Dialect::NetBsd {
        // There the ports of UDP encapsulation are part of the name, and a request has them in extensions of their own.
        // Those of its addresses mean nothing.
        id.source.set_port(request.natt_port(ExtensionType::NatTSport).unwrap_or(0));
        id.destination.set_port(request.natt_port(ExtensionType::NatTDport).unwrap_or(0));
    }
    Some(id)
}

/// Whether two messages have the same selector and direction of policy.
fn same_selector(request: &Message<'_>, entry: &Message<'_>) -> bool {
    let end = |address: Option<&Address>| address.map(|end| (end.sockaddr, end.prefix, end.proto));
    let direction = |message: &Message<'_>| message.policy().map(|policy| policy.direction);
    end(request.source()) == end(entry.source())
        && end(request.destination()) == end(entry.destination())
        && direction(request) == direction(entry)
}

/// Whether an entry is the one that a request adds, not an earlier one. If the kernel has completed what the request left
/// open, the outcome counts as unknown, which is safe.
fn same_policy(request: &Message<'_>, entry: &Message<'_>) -> bool {
    let steps = |message: &Message<'_>| message.policy().map(|policy| (policy.kind, policy.requests.clone()));
    steps(request) == steps(entry)
}

/// Whether an SA has the keys of a request, which an earlier SA of the same name would not have.
fn same_keys(request: &Message<'_>, entry: &Message<'_>) -> bool {
    [ExtensionType::KeyEncrypt, ExtensionType::KeyAuth].into_iter().all(|kind| {
        let [wanted, got] = [request, entry].map(|message| message.key(kind).map_or(&[][..], |key| key.bytes));
        wanted == got
    })
}
