//! Prints messages to and from the kernel.

use std::time::{SystemTime, UNIX_EPOCH};

use libpfkey::wire::peek_header;
use libpfkey::{Abi, Answer, Message, MessageType, SaState, dump, errno_text};
use zeroize::Zeroizing;

use crate::console::Console;
use crate::reason::refusal_text;

/// Output options of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// `-a`: include dead SAs.
    pub(crate) dead: bool,
    /// `-H`: print sent messages in hexadecimal.
    pub(crate) hex: bool,
    /// `-N`: omit the policies of sockets, and print their number at the end.
    pub(crate) hide_socket_policies: bool,
    /// `-p`: print ports.
    pub(crate) ports: bool,
    /// `-l`: print one line per SA.
    pub(crate) short: bool,
    /// `-v`: print every message field by field.
    pub(crate) verbose: bool,
}

/// Prints messages.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) console: Console,
    style: Style,
    /// Buffer for the text. It may contain keys.
    text: Zeroizing<String>,
    /// Number of socket policies omitted in this dump.
    hidden: u32,
    /// Whether the warning that the kernel ignores priorities was printed.
    warned_of_priority: bool,
    /// Time of the first answer to this request that prints a time.
    now: Option<i64>,
    /// The backend is NETLINK_XFRM.
    pub(crate) netlink: bool,
}

/// Identifies the statement of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Line on which the statement ends.
    pub(crate) line: u32,
    /// Priority with which a policy was added.
    pub(crate) priority: Option<u32>,
    /// Index of a step in a plan.
    pub(crate) step: usize,
}

impl View {
    pub(crate) fn new(console: Console, style: Style) -> Self {
        let text = Zeroizing::default();
        Self { console, style, text, hidden: 0, warned_of_priority: false, now: None, netlink: false }
    }

    /// Returns whether requests are printed.
    pub(crate) fn shows_requests(&self) -> bool {
        self.style.verbose || self.style.hex
    }

    /// Prints a request if the options say so.
    pub(crate) fn request(&mut self, abi: Abi, bytes: &[u8]) {
        self.text.clear();
        self.structure(abi, bytes);
        if self.style.hex {
            dump::hex_lines(&mut self.text, bytes);
        }
        self.show();
    }

    /// Prints an answer.
    pub(crate) fn answer(&mut self, abi: Abi, tag: Tag, answer: Answer<'_>) {
        match answer {
            // libpfkey wrote this message itself, so parsing it would find no mistake, and this interface keeps priorities.
            Answer::Reply(bytes) if self.netlink && !self.style.verbose && is_change(abi, bytes) => {}
            Answer::Reply(bytes) => self.reply(abi, tag, bytes),
            Answer::Confirmed => {}
            Answer::Errno(errno, message_type, refusal) => {
                self.text.clear();
                self.structure(abi, refusal.reply);
                self.show();
                let text = match self.explains() {
                    true => refusal_text(abi, self.netlink, errno, message_type, &refusal),
                    false => errno_words(errno, message_type),
                };
                self.console.kernel(tag.line, &text);
            }
            Answer::Lost(error) => self.console.kernel(tag.line, &error.to_string()),
        }
    }

    /// Returns whether refusals are printed with their reason. Programs that read messages over PF_KEY, or the standard output of
    /// `-c`, get only what the C program prints.
    fn explains(&self) -> bool {
        self.console.explains() || (self.netlink && self.console.is_script())
    }

    /// Prints a message in the way answers are printed. Without `-v`, only dumps and single entries print anything.
    pub(crate) fn reply(&mut self, abi: Abi, tag: Tag, bytes: &[u8]) {
        self.text.clear();
        self.structure(abi, bytes);
        match Message::parse(abi, bytes) {
            // Linux reports a wrong length for some policies, although it has carried out the request.
            Err(_) if has_wrong_length(abi, bytes) => self.console.system("invalid keymsg length"),
            Err(error) => {
                self.text.push_str(&error.to_string());
                self.text.push('\n');
            }
            Ok(message) => self.entry(&message, tag),
        }
        self.show();
    }

    fn entry(&mut self, message: &Message<'_>, tag: Tag) {
        let options = dump::Options { ports: self.style.ports, now: *self.now.get_or_insert_with(now) };
        match message.header.message_type {
            MessageType::Get | MessageType::Dump => {
                let dead = message.sa().is_some_and(|sa| sa.state == SaState::Dead);
                // `get` prints an SA that was asked for by name, even a dead one.
                if dead && !self.style.dead && message.header.message_type == MessageType::Dump {
                    return;
                }
                if self.style.short {
                    dump::short_entry(&mut self.text, message, &options);
                } else {
                    dump::sa_entry(&mut self.text, message, &options);
                }
            }
            MessageType::SpdDump | MessageType::SpdGet => self.policy(message, &options),
            MessageType::SpdAdd => self.check_priority(message, tag),
            _ => {}
        }
    }

    fn policy(&mut self, message: &Message<'_>, options: &dump::Options) {
        if message.header.seq == 1 {
            self.hidden = 0;
        }
        if self.style.hide_socket_policies && dump::is_socket_policy(message) {
            self.hidden = self.hidden.saturating_add(1);
        } else {
            dump::policy_entry(&mut self.text, message, options);
        }
        // The last message of a dump has the sequence number 0.
        if message.header.seq == 0 && self.hidden > 0 {
            let noun = if self.hidden == 1 { "policy" } else { "policies" };
            self.text.push_str(&format!("{} per-socket {noun} not shown (filtered by -N)\n", self.hidden));
        }
    }

    fn check_priority(&mut self, message: &Message<'_>, tag: Tag) {
        let Some(wanted) = tag.priority.filter(|priority| *priority != 0) else { return };
        // The kernel's answer shows the priority that it has stored.
        let kept = message.policy().is_some_and(|policy| policy.priority == wanted);
        if !kept && !self.warned_of_priority {
            self.warned_of_priority = true;
            self.text.push_str("WARNING: Kernel does not support policy priorities\n");
        }
    }

    /// Prints a message field by field, if the options say so.
    fn structure(&mut self, abi: Abi, bytes: &[u8]) {
        if self.style.verbose && !bytes.is_empty() {
            dump::structure(&mut self.text, abi, bytes);
            self.text.push('\n');
        }
    }

    fn show(&mut self) {
        if !self.text.is_empty() {
            self.console.print(&self.text);
        }
    }
}

/// Returns the text of an errno. The kernel reports an empty SAD or SPD as ENOENT.
pub(crate) fn errno_words(errno: i32, message_type: MessageType) -> String {
    match message_type {
        MessageType::Delete | MessageType::Get | MessageType::SpdDelete if errno == libc::ENOENT => "No entry".into(),
        MessageType::Dump if errno == libc::ENOENT => "No SAD entries".into(),
        MessageType::SpdDump if errno == libc::ENOENT => "No SPD entries".into(),
        _ => errno_text(errno),
    }
}

/// Returns whether a message tells of an entry that was added or updated, of which nothing is printed.
fn is_change(abi: Abi, bytes: &[u8]) -> bool {
    use MessageType::{Add, SpdAdd, SpdUpdate, Update};
    peek_header(abi, bytes).is_ok_and(|header| matches!(header.message_type, Add | Update | SpdAdd | SpdUpdate))
}

fn has_wrong_length(abi: Abi, bytes: &[u8]) -> bool {
    peek_header(abi, bytes).is_ok_and(|header| usize::from(header.words) * 8 != bytes.len())
}

/// Returns the current time in seconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use libpfkey::{Builder, Header, SaType};

    use super::*;

    /// A buffer for standard error that a test reads.
    #[derive(Clone, Default)]
    struct Errors(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Errors {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Errors {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Linux reports a wrong length for some policies that other programs load over PF_KEY.
    #[test]
    fn message_of_wrong_length_is_reported() {
        let errors = Errors::default();
        let mut view = View::new(Console::heard_by(errors.clone()), Style::default());
        let mut bytes = Vec::new();
        let header = Header::new(MessageType::SpdDump, SaType::Unspec);
        Builder::new(Abi::HOST, header, &mut bytes).unwrap().finish().unwrap();
        bytes.extend([0; 24]);
        view.answer(Abi::HOST, Tag::default(), Answer::Reply(&bytes));
        assert_eq!(errors.text(), "setkey: invalid keymsg length\n");
    }
}
