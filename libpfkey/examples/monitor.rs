//! Prints what the kernel reports of its SAs and policies.

use libpfkey::{Event, Kernel, SaType};

fn main() -> libpfkey::Result<()> {
    let mut kernel = Kernel::open()?;
    kernel.register(SaType::Esp)?;
    for event in kernel.events() {
        match event? {
            Event::Acquire(acquire) => {
                println!("an SA from {} to {} is needed", acquire.source.ip(), acquire.destination.ip())
            }
            Event::Expire { sa, hard } => {
                println!("{} {}", sa.spec.id, if hard { "has expired" } else { "expires soon" })
            }
            Event::SaAdded(sa) => println!("{} was added", sa.spec.id),
            Event::SaDeleted(id) => println!("{id} was deleted"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
