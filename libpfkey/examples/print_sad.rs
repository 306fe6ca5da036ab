//! Prints the SAD, as `setkey -D` does.

use std::time::{SystemTime, UNIX_EPOCH};

use libpfkey::backend::BackendKind;
use libpfkey::{Answer, Connection, Dialect, Message, Pipeline, SaType, SendMode};
use libpfkey::{dump, request};

fn main() -> libpfkey::Result<()> {
    let dialect = Dialect::from_environment()?;
    let backend = BackendKind::from_environment()?.open(dialect)?;
    let connection = Connection::new(backend);
    let abi = connection.abi();
    // Times are printed as ages.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let options = dump::Options { now: i64::try_from(now).unwrap_or(0), ..Default::default() };
    let mut pipeline = Pipeline::new(connection, SendMode::Pipelined);
    let mut bytes = pipeline.buffer();
    request::dump(pipeline.next_request_header(), SaType::Unspec, &mut bytes)?;
    pipeline.dump(&bytes, &(), &mut |(), answer| match answer {
        // One for each SA.
        Answer::Reply(bytes) => match Message::parse(abi, bytes) {
            Ok(message) => {
                let mut text = String::new();
                dump::sa_entry(&mut text, &message, &options);
                print!("{text}");
            }
            Err(error) => eprintln!("{error}"),
        },
        // ENOENT: there is none.
        Answer::Errno(errno, ..) => {
            eprintln!("{}", libpfkey::errno_text(errno));
        }
        Answer::Lost(error) => eprintln!("{error}"),
        Answer::Confirmed => {}
    })
}
