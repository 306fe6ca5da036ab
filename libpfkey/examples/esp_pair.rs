//! Protects the traffic between two hosts with a pair of ESP SAs and their policies.

use libpfkey::algorithm::{Authentication, Encryption};
use libpfkey::policy::{Direction, Level};
use libpfkey::{Kernel, PolicySpec, SaSpec, SaType, Selector, Template};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut kernel = Kernel::open()?;
    let (here, there) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
    let pair = [(here, there, 0x1001, Direction::Out), (there, here, 0x1002, Direction::In)];
    for (source, destination, spi, direction) in pair {
        let sa = SaSpec::esp(source, destination, spi)
            .encryption(Encryption::AesCbc, b"sixteen byte key")
            .authentication(Authentication::HmacSha1, b"twenty byte hmac key");
        kernel.add(&sa.build()?)?;
        let policy = PolicySpec::ipsec(Selector::hosts(source, destination), direction)
            .template(Template::transport(SaType::Esp, Level::Require));
        kernel.policy_add(&policy.build()?)?;
    }
    Ok(())
}
