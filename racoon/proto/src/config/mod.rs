//! The configuration as the engine needs it. The reader of the file translates to these types, and resolves inheritance, defaults
//! and file names.

mod remote;
mod sainfo;

pub use remote::{
    CheckLevel, Dpd, DpdMode, GeneratePolicy, IkeFrag, LocalIdentity, NatTraversal, OwnCertificate, PeerAddress, Rekey,
    Remote, RemoteAddress,
};
pub use sainfo::{Authentication, Encryption, Esn, RemoteSide, Sainfo, Side};
