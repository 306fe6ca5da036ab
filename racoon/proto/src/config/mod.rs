//! The configuration as the engine needs it. The shell translates the file to these types; it has resolved inheritance, defaults and
//! file names by then.

mod remote;
mod sainfo;

pub use remote::{
    CheckLevel, Dpd, DpdMode, GeneratePolicy, IkeFrag, LocalIdentity, NatTraversal, OwnCertificate, PeerAddress, Rekey,
    Remote, RemoteAddress,
};
pub use sainfo::{Authentication, Encryption, Esn, RemoteSide, Sainfo, Side};
