//! A PF_KEY message from a kernel or a file: parsing and dumping it in every dialect.

#![no_main]

use libfuzzer_sys::fuzz_target;
use libpfkey::{Abi, Dialect, Message};

fuzz_target!(|bytes: &[u8]| {
    for dialect in Dialect::ALL {
        let abi = Abi::of(dialect);
        let Ok(message) = Message::parse(abi, bytes) else { continue };
        let mut again = Vec::new();
        if message.emit(&mut again).is_ok() {
            let parsed = Message::parse(abi, &again).expect("what was emitted parses");
            assert_eq!(parsed.header.message_type, message.header.message_type);
        }
    }
});
