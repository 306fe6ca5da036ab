//! SAs whose soft limit was reached. The kernel's notification has neither their algorithms nor their ports, which the
//! EXPIRE of `af_key` includes, so each SA is looked up first.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::layout::StateId;
use crate::wire::XfrmMark;

/// An SA whose soft limit was reached.
#[derive(Debug)]
struct SoftExpiry {
    id: StateId,
    /// A mark is part of the SA's name.
    mark: Option<XfrmMark>,
    /// The EXPIRE without algorithms and ports, used when the look-up fails; `None` once it is queued.
    message: Option<Zeroizing<Vec<u8>>>,
}

/// SAs to be looked up, and look-ups under way.
#[derive(Debug, Default)]
pub(super) struct SoftExpiries {
    waiting: VecDeque<SoftExpiry>,
    /// In the order of the requests, which is the order of the answers.
    asked: VecDeque<SoftExpiry>,
}

impl SoftExpiries {
    /// Notes an SA, and the EXPIRE for when it cannot be looked up.
    pub(super) fn push(&mut self, id: StateId, mark: Option<XfrmMark>, message: Zeroizing<Vec<u8>>) {
        self.waiting.push_back(SoftExpiry { id, mark, message: Some(message) });
    }

    /// The name and mark of the next SA to be looked up. The caller sends the request.
    pub(super) fn next(&mut self) -> Option<(StateId, Option<XfrmMark>)> {
        let expiry = self.waiting.pop_front()?;
        let name = (expiry.id, expiry.mark);
        self.asked.push_back(expiry);
        Some(name)
    }

    /// Ends the oldest look-up. Returns its message unless that was queued meanwhile.
    pub(super) fn answered(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.asked.pop_front()?.message
    }

    /// Takes the messages of an SA, which is gone and cannot be looked up any more.
    pub(super) fn take(&mut self, id: StateId) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
        // The look-up stays in the list: its answer still comes, and must not be taken for another one's.
        let of_it = self.waiting.iter_mut().chain(&mut self.asked).filter(move |expiry| expiry.id == id);
        of_it.filter_map(|expiry| expiry.message.take())
    }

    /// Ends all look-ups, whose answers are lost, and takes their messages.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
        self.asked.drain(..).filter_map(|expiry| expiry.message)
    }
}
