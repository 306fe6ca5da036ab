//! The configuration in the engine's own words. Whoever reads the file translates it to these; inheritance, defaults and
//! file names are resolved by then.

mod remote;
mod sainfo;

pub use remote::{
    Certificate, CheckLevel, Dpd, DpdMode, GeneratePolicy, IkeFrag, LocalIdentity, NatTraversal, PeerAddress, Rekey,
    Remote, RemoteAddress,
};
pub use sainfo::{Authentication, Encryption, Esn, RemoteSide, Sainfo, Side};
