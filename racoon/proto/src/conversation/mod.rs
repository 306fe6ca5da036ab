//! What every exchange has, whichever phase it belongs to: the messages it has answered, the message it repeats, and the record
//! of what happened.

pub(crate) mod record;
pub(crate) mod reply_cache;
pub(crate) mod retransmission;

pub(crate) use record::Record;
