//! Signs the TCP segments of a BGP session with MD5 (RFC 2385), on a BSD: one SA for each direction.

use libpfkey::{Kernel, SaSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut kernel = Kernel::open()?;
    let (router, neighbour) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
    for (source, destination) in [(router, neighbour), (neighbour, router)] {
        kernel.add(&SaSpec::tcp_md5(source, destination, b"secret of both routers").build()?)?;
    }
    Ok(())
}
