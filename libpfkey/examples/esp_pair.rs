//! Protects the traffic between two hosts with a pair of ESP SAs and their policies.

use libpfkey::algorithm::Encryption;
use libpfkey::policy::{Direction, Level};
use libpfkey::{Kernel, PolicySpec, SaSpec, SaType, Selector, Template};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut kernel = Kernel::open()?;
    let (here, there) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
    for (source, destination, direction) in [(here, there, Direction::Out), (there, here, Direction::In)] {
        let spi = if direction == Direction::Out { 0x1001 } else { 0x1002 };
        let sa = SaSpec::esp(source, destination, spi).encryption(Encryption::AesCbc, b"sixteen byte key");
        kernel.add(&sa.build()?)?;
        let esp = Template::transport(SaType::Esp, Level::Require);
        let policy = PolicySpec::ipsec(Selector::hosts(source, destination), direction).template(esp);
        kernel.policy_add(&policy.build()?)?;
    }
    Ok(())
}
